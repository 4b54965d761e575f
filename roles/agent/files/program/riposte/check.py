# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host keeps its promises: what is recorded is in force, the tick runs, the guard can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from host.engine import Engine
from host.errors import Problem
from host.guard import parse_guard_file, read_guard_file
from host.lifetime import moment_text
from host.paths import Paths
from host.run import Look
from host.tick import tick_problem

LATE = 180  # seconds: a tick comes every 30 or 60
SHOWN = 10


class Finding(NamedTuple):
    """One thing looked at: its name, what was seen, and whether that is as it should be."""

    name: str
    seen: str
    well: bool = True


def check_guard(path: str) -> int:
    """Whether a file could be the guard file; it need not belong to root yet."""
    try:
        with open(path, encoding="utf-8") as stream:
            parse_guard_file(stream.read(), path)
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read as a guard file: {error}") from error
    return 0


def check_host(engine: Engine) -> int:
    """One line for each thing looked at; exit code 1 when one is wrong."""
    findings = [*_guard(engine.paths), *_disabled(engine.paths), *_responses(engine), *_tick(engine)]
    for name, seen, well in findings:
        print(f"{'ok   ' if well else 'WRONG'}  {name}: {seen}")
    return int(not all(each.well for each in findings))


def _guard(paths: Paths) -> Iterator[Finding]:
    try:
        file = read_guard_file(paths.guard)
    except Problem as problem:
        yield Finding("guard", str(problem), well=False)
        return
    counts = f"{len(file.addresses)} addresses, {len(file.accounts)} accounts, {len(file.groups)} groups on the never-list"
    yield Finding("guard", f"{paths.guard}: {counts}" if os.path.exists(paths.guard) else f"{paths.guard} does not exist, so the built-in entries alone hold")


def _disabled(paths: Paths) -> Iterator[Finding]:
    if os.path.lexists(paths.disabled):
        yield Finding("disabled", f"{paths.disabled} exists: nothing new is put into force until it is removed", well=False)


def _responses(engine: Engine) -> Iterator[Finding]:
    looks, _ended, report = engine.look()
    for warning in report.warnings:
        yield Finding("responses", warning, well=False)
    wrong = [(look, problem) for look in looks for problem in [_wrong(look, engine.clock())] if problem]
    for look, problem in wrong[:SHOWN]:
        yield Finding("responses", f"{look.row.response} {look.row.target} ({look.row.id}) {problem}", well=False)
    if len(wrong) > SHOWN:
        yield Finding("responses", f"and {len(wrong) - SHOWN} more that are not as recorded (`riposte list` shows all)", well=False)
    if not (wrong or report.warnings):
        yield Finding("responses", f"{len(looks)} stand, all in force" if looks else "none stand")


def _wrong(look: Look, now: float) -> str:
    if look.row.until is not None and look.row.until + LATE < now:
        return f"should have ended at {moment_text(look.row.until)}"
    return "" if look.in_force else "is recorded but not in force; the tick restores it if it may"


def _tick(engine: Engine) -> Iterator[Finding]:
    problem = tick_problem(engine.runner, engine.paths) or _tick_late(engine)
    yield Finding("tick", problem or "runs", well=not problem)


def _tick_late(engine: Engine) -> str | None:
    """Installed and active is not yet done: while something stands, each tick leaves its mark."""
    if not os.path.exists(engine.paths.standing):
        return None
    last = max(os.stat(path).st_mtime for path in (engine.paths.lock, engine.paths.standing))
    if engine.clock() - last <= LATE:
        return None
    return f"it has not run since {moment_text(last)}, though something stands; see `journalctl -u riposte-tick` or the cron daemon's log"
