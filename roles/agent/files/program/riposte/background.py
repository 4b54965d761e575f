# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives whoever asked for it: the one who asked waits a moment only."""

from __future__ import annotations

import os
import select
import time
from typing import Callable, NoReturn


def in_background(work: Callable[[], int], deadline: float) -> int | None:
    """The exit code of work done by a process of its own (negative: the signal that ended it), or None when it goes on after the deadline (monotonic)."""
    ended, held = os.pipe()  # nobody but that process holds its other end
    child = os.fork()
    if child == 0:
        _alone(work)
    os.close(held)
    if not select.select([ended], [], [], max(0.0, deadline - time.monotonic()))[0]:
        return None
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _alone(work: Callable[[], int]) -> NoReturn:
    """Never returns: what called this belongs to the other process."""
    code = 1
    try:
        os.setsid()
        os.umask(0o077)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        code = work()
    finally:
        os._exit(code)
