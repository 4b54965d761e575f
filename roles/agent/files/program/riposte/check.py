# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host keeps its promises: what is recorded is in force, the tick runs, the guard can be read, Wazuh is answered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.host.engine import Engine
from engine.host.errors import Problem, shown
from engine.host.guard import parse_guard_file, read_guard_file
from engine.host.lifetime import moment_text
from engine.host.paths import Paths
from engine.host.run import Look
from engine.host.tick import tick_problem

from .executables import EXECUTABLES
from .lifetimes import CONF, RELEASE, parse_conf, read_conf
from .log import FOLDER, Log
from .others import TAIL, also_started

KEPT = "active-response/riposte-kept"
OURS, WAZUHS, OVERWRITTEN = "ours", "Wazuh's", "overwritten"
LATE = 180  # seconds: a tick comes every 30 or 60
SHOWN = 10


class Finding(NamedTuple):
    """One thing looked at: its name, what was seen, and whether that is as it should be."""

    name: str
    seen: str
    well: bool = True


def check_guard(path: str) -> int:
    """Whether a file could be the guard file; it need not belong to root yet."""
    parse_guard_file(_text(path), path)
    return 0


def check_wazuh(path: str) -> int:
    """Whether a file could be the one of what Wazuh starts; it need not belong to root yet."""
    parse_conf(_text(path), path)
    return 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read: {error}") from error


def check_host(engine: Engine) -> int:
    """One line for each thing looked at; exit code 1 when one is wrong."""
    findings = [*_guard(engine.paths), *_disabled(engine.paths), *_responses(engine), *_tick(engine), *_wazuh(engine.paths)]
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


def _wazuh(paths: Paths) -> Iterator[Finding]:
    """Whose Wazuh's executables are, and whether what Wazuh starts has the lifetimes that the host's owner wants."""
    path = paths.at(CONF)
    try:
        conf = read_conf(path)
    except Problem as problem:
        yield Finding("wazuh", f"{problem}; until it is mended, what Wazuh starts has its default lifetime", well=False)
        return
    home = paths.at(conf.home.lstrip("/"))
    owners = {name: _owner(home, name, paths.program) for name in EXECUTABLES}
    ours = [name for name, owner in owners.items() if owner == OURS]
    if os.path.lexists(path) or ours:
        yield Finding("wazuh", f"in {home}/{FOLDER} this program answers to {', '.join(ours) or 'no name'}")
    for name, owner in owners.items():
        if owner == OVERWRITTEN:
            yield Finding("wazuh", f"{home}/{FOLDER}/{name} is no link to this program any more (an upgrade of Wazuh?); run the role agent again", well=False)
    yield from _log(Log(home, "riposte"), ours) if ours else ()
    if conf.early_delete == RELEASE and any(each.timeout != "" for each in conf.lifetimes.values()):
        yield Finding("wazuh", f"{path}: its lifetimes end early where Wazuh's own timeout is shorter; early_delete = keep changes that")


def _log(log: Log, ours: Sequence[str]) -> Iterator[Finding]:
    """Whether Wazuh can be told, and which alerts it has answered twice: by this program, and by an executable that no ledger and no guard knows."""
    problem = log.problem()
    if problem:
        yield Finding("wazuh", f"{problem}: Wazuh is not told what becomes of its responses", well=False)
        return
    for name, alerts in also_started(log.tail(TAIL)).items():
        if name not in ours:
            count = f"{len(alerts)} of the alerts" if len(alerts) > 1 else "an alert"
            yield Finding("wazuh", f"{name}, which is not this program, was started too for {count} that this program answered, the last {shown(alerts[-1])}")


def _owner(home: str, name: str, program: str) -> str:
    """Whose one of the executables is. What the role replaced it keeps, so something else beside what is kept came later."""
    if os.path.realpath(os.path.join(home, FOLDER, name)) == os.path.realpath(program):
        return OURS
    return OVERWRITTEN if os.path.lexists(os.path.join(home, KEPT, name)) else WAZUHS
