# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tick did, told to Wazuh. What went wrong and still does at the next tick is told once, not every 30 seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Callable

from engine.host.engine import Engine
from engine.host.errors import LedgerError, Problem
from engine.host.kind import KINDS
from engine.host.ledger import Ledger
from engine.host.response import DONE, FAILED, Report, Result

from .lifetimes import CONF, read_conf
from .log import Log, until_text
from .work import TOLD

Wrong = tuple[str, str, str]  # response, target, and the outcome or, where nobody asked, the message


def tell_wazuh(engine: Engine, report: Report) -> None:
    """Writes one line for each result and warning, where Wazuh is; that it cannot changes nothing of what was done."""
    if not os.path.lexists(engine.paths.at(CONF)):
        return
    try:
        home = read_conf(engine.paths.at(CONF)).home
    except Problem as problem:
        _say(f"{problem}; so Wazuh is not told")
        return
    log = Log(engine.paths.at(home.lstrip("/")), "riposte", _say)
    told, alert_ids = _told(engine), _alert_ids(engine, report.results, _say)
    wrong: list[Wrong] = [("", "", warning) for warning in report.warnings]
    for _response, _target, warning in wrong:
        if ("", "", warning) not in told:
            log.result(FAILED, "", "", warning)
    for each in report.results:
        outcome = _outcome(each)
        if each.outcome != DONE:
            wrong.append((each.response, each.target, outcome))
        if (each.response, each.target, outcome) not in told:
            _tell(log, each, outcome, alert_ids)
    _remember(engine, wrong)


def tell_ended(engine: Engine, log: Log, ended: Sequence[Result]) -> None:
    """What the system had ended by itself, and a run by the name of one of Wazuh's executables found so."""
    alert_ids = _alert_ids(engine, ended, log.text)
    for each in ended:
        _tell(log, each, _outcome(each), alert_ids)


def _tell(log: Log, each: Result, outcome: str, alert_ids: Mapping[str | None, str]) -> None:
    standing = each.standing
    identity = standing.id if standing else None
    log.result(outcome, each.response, each.target, each.message, identity, alert_ids.get(identity, ""), standing and until_text(standing.end))


def _outcome(each: Result) -> str:
    if each.outcome != DONE:
        return each.outcome
    return "expired" if each.state == "absent" else "restored"


def _alert_ids(engine: Engine, results: Sequence[Result], say: Callable[[str], None]) -> dict[str | None, str]:
    """Which alert each response was for: of those that ended last, and of all that stands."""
    if not results:
        return {}
    try:
        ledger = Ledger.open(engine.paths, write=False)
        try:
            rows = [*ledger.history(len(results)), *(row for kind in KINDS for row in ledger.standing(kind))]
        finally:
            ledger.close()
    except LedgerError as error:
        say(f"{error}; so Wazuh is not told which alerts these were for")
        return {}
    return {row.id: row.alert_id for row in rows}


def _told(engine: Engine) -> set[Wrong]:
    """What was wrong at the last tick; nothing when that cannot be read, for twice is better than never."""
    try:
        with open(engine.paths.at(TOLD), encoding="ascii") as stream:
            return {(str(response), str(target), str(what)) for response, target, what in json.load(stream)}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as error:
        _say(f"/{TOLD}: {error}; Wazuh may be told twice")
        return set()


def _remember(engine: Engine, wrong: list[Wrong]) -> None:
    path = engine.paths.at(TOLD)
    try:
        if wrong:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as stream:
                json.dump(wrong, stream)
        elif os.path.exists(path):
            os.unlink(path)
    except OSError as error:
        _say(f"/{TOLD}: {error}; Wazuh may be told twice")


def _say(text: str) -> None:
    """For the journal, or what cron does with it."""
    print(f"warning: {text}")
