# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a lock file, with a limit."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from .errors import Problem


@contextmanager
def locked(path: str, seconds: int, busy: Problem, take: Callable[[int, int], object] = fcntl.flock) -> Iterator[None]:
    """Holds an exclusive lock on a file, which is made when missing; raises `busy` when somebody else holds it for so long."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _taken(handle, take):
            if time.monotonic() > deadline:
                raise busy
            time.sleep(0.02)  # neither kind of lock offers a wait with a limit
        yield
    finally:
        os.close(handle)


def _taken(handle: int, take: Callable[[int, int], object]) -> bool:
    try:
        take(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # held: EAGAIN or EACCES, by the kind of lock
        return False
    return True
