# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one seam between the engine and the programs of the system."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .errors import ToolError

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Completed(NamedTuple):
    """What a program left: exit code, standard output, standard error."""

    rc: int
    out: str
    err: str


class Runner(Protocol):
    """Runs one program: no shell, C locale, a time limit in seconds.

    Raises ToolError when it cannot be started or runs over its limit; a non-zero exit code is the caller's to judge.
    """

    def __call__(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed: ...


def find_program(name: str) -> str | None:
    """The path of a system program; also sbin, which a plain user's PATH lacks."""
    for folder in filter(None, (SEARCH + os.pathsep + os.environ.get("PATH", "")).split(os.pathsep)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def program(name: str) -> str:
    """As find_program, or ToolError."""
    path = find_program(name)
    if path is None:
        raise ToolError(f"{name}: program not found on this host (looked in {SEARCH})")
    return path


def run(runner: Runner, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> str:
    """Standard output of a program that must succeed."""
    done = runner(argv, stdin, seconds)
    if done.rc != 0:
        said = " ".join((done.err or done.out).split())[:300] or "it said nothing"
        raise ToolError(f"{os.path.basename(argv[0])}: exit code {done.rc}: {said}")
    return done.out
