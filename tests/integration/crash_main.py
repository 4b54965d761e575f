# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a practice host beside the engine: each scenario, killed at its first step, at its second, and so on, then one tick.

Prints one JSON object a kill: the step, and what is wrong afterwards (nothing, if the promises hold).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import engine.run
from engine.engine import Engine
from engine.kind import kind_of
from engine.ledger import STANDING, Ledger
from engine.paths import Paths
from engine.plan import same_end
from engine.response import FAILED, Request
from engine.runner import Completed

PATHS = Paths()
BLOCKED = ("203.0.113.9", "198.51.100.0/24", "2001:db8::9")
ACCOUNTS = ("mallory",)
engine.run.tick_problem = lambda _runner, _paths: None  # the ticks are run here, by hand


class Steps:
    """Counts what an engine does to the outside, and dies at one of them; 0 = at none."""

    def __init__(self, fatal: int = 0) -> None:
        self.fatal = fatal
        self.taken = 0

    def step(self) -> None:
        self.taken += 1
        if self.taken == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **options: Any) -> Any:
            self.step()
            answer = work(*args, **options)
            self.step()
            return answer

        return stepped

    def run(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
        done = subprocess.run(list(argv), input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False)
        return Completed(done.returncode, done.stdout, done.stderr)


def respond(steps: Steps, *requests: Request) -> None:
    """One run that counts and may die: around each program, each write to the ledger, and each step of replacing a file."""
    Ledger.write = steps.around(Ledger.write)  # type: ignore[method-assign]
    Ledger.adopt = steps.around(Ledger.adopt)  # type: ignore[method-assign]
    os.replace = steps.around(os.replace)  # type: ignore[assignment]
    os.fsync = steps.around(os.fsync)  # type: ignore[assignment]
    report = Engine(steps.around(steps.run)).respond(requests)
    failed = [each.message for each in report.results if each.outcome == FAILED]
    if failed:
        raise SystemExit(f"the run itself failed: {failed}")


def tick() -> None:
    report = Engine(Steps().run, origin="tick", session=False).tick()
    if report.warnings or any(each.outcome == FAILED for each in report.results):
        raise SystemExit(f"the tick failed: {report.warnings} {[each.message for each in report.results]}")


def apart(work: Callable[[], object]) -> int:
    """Does something in a process of its own; how that ended (negative: by a signal)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def request(response: str, backend: str, **options: Any) -> Request:
    targets = ACCOUNTS if response == "disable_account" else BLOCKED
    return Request(response, targets, backend=backend, **options)


Scenario = tuple[Callable[[], object], Callable[[Steps], object]]


def scenarios(response: str, backend: str, vanish: str) -> Iterator[tuple[str, Scenario]]:
    """Name, what comes before, and the run that is killed."""

    def present(steps: Steps, **options: Any) -> None:
        respond(steps, request(response, backend, **(options or {"timeout": "1h"})))

    def add() -> None:
        present(Steps())

    def vanished() -> None:
        add()
        subprocess.run(["sh", "-c", vanish], check=True)

    yield "add", (lambda: None, present)
    other = "auto" if response == "disable_account" else backend
    yield "add beside others", (lambda: respond(Steps(), Request("firewall_drop", ["192.0.2.77"], timeout="1h", backend=other)), present)
    yield "repeat", (add, present)
    yield "extend", (add, lambda steps: present(steps, until=str(int(time.time()) + 7200)))
    yield "permanent", (add, lambda steps: present(steps, permanent=True))
    yield "release", (add, lambda steps: respond(steps, request(response, backend, state="absent")))
    yield "restore", (vanished, present)


def wrong(response: str, shadow: bytes) -> list[str]:
    """What is not as promised after a tick: each response in force with its recorded end, or gone."""
    found = []
    kind = kind_of(response, end_sessions=False)
    backends = kind.backends(Steps().run, PATHS)
    seen = {target: each for backend in backends for target, each in backend.read().items()}
    ledger = Ledger.open(PATHS, write=True)
    rows = ledger.open_rows(response)
    ledger.close()
    for target in {*seen, *rows}:
        row, each = rows.get(target), seen.get(target)
        if row is None or each is None:
            found.append(f"{target}: {'in force without a record' if row is None else 'recorded, not in force'}")
        elif row.phase != STANDING or not each.in_force or not same_end(row.until, each.until, time.time()):
            found.append(f"{target}: phase {row.phase}, in force {each.in_force}, ends {row.until} and {each.until}")
    with open("/etc/shadow", "rb") as stream:
        if not seen and stream.read() != shadow:
            found.append("/etc/shadow is not as it was")
    if bool(rows) and not os.path.exists(PATHS.standing):
        found.append("something stands, and the tick would be skipped")
    return found + [f"{name} was left" for name in os.listdir("/etc") if name.endswith(".riposte")]


def clean(response: str, shadow: bytes) -> None:
    shutil.rmtree(PATHS.state, ignore_errors=True)
    for target, backend in [(target, each) for each in kind_of("firewall_drop").backends(Steps().run, PATHS) for target in each.read()]:
        backend.change({}, [target])
        backend.read()
    if response == "disable_account":
        with open("/etc/shadow", "wb") as stream:
            stream.write(shadow)


def main(response: str, backend: str, vanish: str) -> None:
    with open("/etc/shadow", "rb") as stream:
        shadow = stream.read()
    for name, (before, run) in scenarios(response, backend, vanish):
        fatal, code = 1, -signal.SIGKILL
        while code == -signal.SIGKILL:
            clean(response, shadow)
            found = [] if apart(before) == 0 else ["what comes before failed"]
            code = apart(lambda run=run, fatal=fatal: run(Steps(fatal)))
            found += [] if code in (0, -signal.SIGKILL) else [f"the run ended with {code}"]
            found += [] if apart(tick) == 0 else ["the tick failed"]
            found += wrong(response, shadow)
            print(json.dumps({"scenario": name, "killed": code != 0, "step": fatal, "wrong": found}), flush=True)
            fatal += 1
    clean(response, shadow)


if __name__ == "__main__":
    main(*sys.argv[1:])
