# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads while `./dev` works, and how commands are run for them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TAIL = 60
"""Lines of a failed command's output that are shown."""
WIDTH = 400
"""Characters of such a line."""
LIMIT = 1200
"""Seconds that a command run quietly may take."""


class Stop(Exception):
    """The command cannot go on; the text says what was seen and what to do."""


@dataclass(frozen=True)
class Result:
    name: str
    ok: bool
    seconds: float


@dataclass
class Report:
    """The steps of one `./dev` command: each is said as it ends, all are summed up at the end."""

    only: str = ""
    """Steps whose name does not hold this are left out."""
    results: list[Result] = field(default_factory=list)

    def step(self, name: str, check: Callable[[], str]) -> bool:
        """Run one check. It returns its complaints; an empty text is a pass."""
        if self.only not in name:
            return True
        print(f"  {name:<34} ", end="", flush=True)
        start = time.monotonic()
        complaint = check()
        self.add(name, not complaint, time.monotonic() - start)
        print(f"{'FAILED' if complaint else 'ok':>6} {self.results[-1].seconds:6.1f} s", flush=True)
        for line in complaint.rstrip().splitlines():
            print(f"      {line}", flush=True)
        return not complaint

    def add(self, name: str, ok: bool, seconds: float) -> None:
        self.results.append(Result(name, ok, seconds))

    def close(self, command: str) -> int:
        """Print the summary; the value is the exit code."""
        failed = [result.name for result in self.results if not result.ok]
        seconds = sum(result.seconds for result in self.results)
        print(f"\n./dev {command}: {len(self.results) - len(failed)} of {len(self.results)} steps ok in {seconds:.0f} s")
        for name in failed:
            print(f"  FAILED  {name}")
        return 1 if failed else 0


def complaint_of(argv: Sequence[object], env: dict[str, str] | None = None, cwd: Path = ROOT, telling: str = "") -> str:
    """Run a command quietly. Empty when it exits 0, else the end of what it said and which command it was.

    `telling`: a pattern for the lines worth reading, where a tool talks much; all of them if none is like that.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT} s: {_shown(words)}"
    if done.returncode == 0:
        return ""
    lines = done.stdout.rstrip().splitlines()
    lines = [line for line in lines if re.search(telling, line)] or lines
    where = "" if cwd == ROOT else ", in a copy of the collection"
    return "\n".join([*(line[:WIDTH] for line in lines[-TAIL:]), f"exit code {done.returncode} of: {_shown(words)}{where}"])


def _shown(words: Sequence[str]) -> str:
    """A command as a person would type it in the repository."""
    return shlex.join(words).replace(f"{ROOT}/", "")


def follow(argv: Sequence[object], env: dict[str, str] | None = None) -> int:
    """Run a command in the foreground, its output as it comes; the value is its exit code.

    Who is told to stop lets the child clean up first, then raises Stop. (Ctrl-C reaches the child by the terminal.)
    """
    told: list[int] = []
    sys.stdout.flush()
    child = subprocess.Popen([str(word) for word in argv], cwd=ROOT, env={**os.environ, **(env or {})})

    def hear(number: int, frame: object) -> None:
        told.append(number)
        if number == signal.SIGTERM:
            child.terminate()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if told:
        raise Stop(f"interrupted by {signal.Signals(told[0]).name}")
    return code
