# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runner of the program: how the engine reaches the system's own programs when Ansible is not there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import BinaryIO

from engine.host.errors import ToolError
from engine.host.runner import SEARCH, Completed

ENVIRONMENT = {"PATH": SEARCH, "LC_ALL": "C"}  # nothing of the caller's


def run_program(argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
    """Runs one program to its end: no shell, C locale, at most `seconds`."""
    try:
        with _memory() as out, _memory() as err:
            done = subprocess.run(list(argv), input=(stdin or "").encode(), stdout=out, stderr=err, env=ENVIRONMENT, timeout=seconds, check=False)
            return Completed(done.returncode, _text(out), _text(err))
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{argv[0]}: did not end within {seconds} s and was killed") from error
    except OSError as error:
        raise ToolError(f"{argv[0]}: cannot be started: {error}") from error


def _memory() -> BinaryIO:
    """A file in memory to write to: through a pipe this side would wake up for each of the 50,000 pieces in which nft lists 10,000 addresses."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("output"), "w+b")
    import tempfile  # not at the top: only for systems other than Linux

    return tempfile.TemporaryFile()


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
