# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runner of the program: how the engine reaches the system's own programs when Ansible is not there."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from engine.host.errors import ToolError
from engine.host.runner import SEARCH, Completed

ENVIRONMENT = {"PATH": SEARCH, "LC_ALL": "C"}  # nothing of the caller's


def run_program(argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
    """Runs one program to its end: no shell, C locale, at most `seconds`."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin or "",
            capture_output=True,  # pipes: a program that SELinux confines may not be let write into a file of ours
            encoding="utf-8",
            errors="replace",
            env=ENVIRONMENT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{argv[0]}: did not end within {seconds} s and was killed") from error
    except OSError as error:
        raise ToolError(f"{argv[0]}: cannot be started: {error}") from error
    return Completed(done.returncode, done.stdout, done.stderr)
