# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the engine before its n-th step, then ticks once, then looks what there is.

A step: a program started, a program running (it goes on without the engine), a statement that writes to the ledger, a file made, written through, renamed or
removed, a signal sent.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from engine.runner import Completed
from scenario import USER, Host, Scenario, await_orphans, become_reaper, engine, in_child, runs, session


class Steps:
    """Counts the engine's steps and dies before the n-th."""

    def __init__(self, fatal: int = 0) -> None:
        self.count, self.fatal = 0, fatal

    def step(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, call: Callable[..., Any], when: Callable[..., bool] = lambda *_words, **_named: True) -> Callable[..., Any]:
        def stepping(*words: Any, **named: Any) -> Any:
            if when(*words, **named):
                self.step()
            return call(*words, **named)

        return stepping

    def run(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
        """A Runner with two steps a program: before it starts, and when it has been given all it needs."""
        self.step()
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, "LC_ALL": "C"}) as child:
            assert child.stdin
            child.stdin.write(stdin or "")
            child.stdin.close()
            child.stdin = None
            self.step()
            out, err = child.communicate(timeout=seconds)
        return Completed(child.returncode, out, err)

    def install(self) -> None:
        """Into this process, for good."""
        for place, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (os, "makedirs"), (signal, "pidfd_send_signal")):
            setattr(place, name, self.before(getattr(place, name)))
        os.open = self.before(os.open, lambda _path, flags, *_more, **_named: bool(flags & os.O_CREAT))
        steps = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if not statement.lstrip().startswith(("SELECT", "PRAGMA synchronous")):
                    steps.step()
                return super().execute(statement, *values)

            def executemany(self, statement: str, *values: Any) -> sqlite3.Cursor:
                steps.step()
                return super().executemany(statement, *values)

            def executescript(self, script: str) -> sqlite3.Cursor:
                steps.step()
                return super().executescript(script)

        connect = sqlite3.connect
        sqlite3.connect = lambda *words, **named: connect(*words, factory=Connection, **named)


def attempt(scenario: Scenario, backend: str, point: int) -> tuple[bool, list[str]]:
    """One try, in this process: whether there was such a point, and what is wrong."""
    host = Host(backend)
    host.reset()
    become_reaper()
    with session() as pid:

        def prepare() -> int:
            for step in scenario.prepare:
                step()
            return 0

        def die() -> int:
            steps = Steps(point)
            steps.install()
            scenario.call(engine(steps.run, scenario.ahead))
            return 0

        prepared = in_child(prepare)
        if prepared != 0:
            return True, [f"the preparation ended with {prepared}"]
        died = in_child(die)
        if died == 0:
            return False, []
        if died != -signal.SIGKILL:
            return True, [f"it ended with {died}, not by the kill"]
        await_orphans(pid)
        report = host.tick(scenario.ahead)
        host.judge([scenario.before, scenario.after])
        again = host.tick(scenario.ahead)
        if again and again.results:
            host.wrong.append(f"the second tick still did something: {[each.as_dict() for each in again.results]}")
        if report and report.warnings:
            host.wrong.append(f"the tick warned: {report.warnings}")
        if ("disable_account", USER) in host.seen() and runs(pid):
            host.wrong.append("the account is locked, and its session goes on")
    return True, host.wrong
