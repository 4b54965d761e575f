# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an order of wazuh-execd's comes to: something begins, something that it began ends, or nothing is done; and what is told of it."""

from __future__ import annotations

from typing import NamedTuple

from engine.host.errors import LedgerError, Problem
from engine.host.kind import KINDS
from engine.host.ledger import ENDED, RELEASED, Ledger, Row, new_id
from engine.host.lifetime import moment_text, parse_duration
from engine.host.response import DONE, FAILED, UNCHANGED, Request, Result, printable

from .call import Call
from .executables import ORIGIN
from .lifetimes import CONF, KEEP, Conf, choose, read_conf
from .log import one_line, until_text
from .message import Order

EARLY = 5  # seconds before its end up to which a delete is on time
HISTORY = 100  # of what is over for a target: far more than others begin there between two words of the daemon
LONGEST_ECHO = 60_000  # characters; Wazuh cuts a line of a log at 65536 bytes, and then reads no JSON in it


class Known(NamedTuple):
    """What is known of a target: what stands and whether it is in force, what ran out and is not recorded as over, what wazuh-execd had there last."""

    row: Row | None
    in_force: bool
    ran_out: bool
    last: Row | None


def carry_out(call: Call, order: Order, aborted: bool) -> bool:
    """Whether all is as it was asked for. Problem when it cannot be told what stands."""
    try:
        conf: Conf | None = read_conf(call.engine.paths.at(CONF))
    except Problem as problem:  # costs the exit code but no block
        call.log.text(f"{problem}; until it is mended, what Wazuh starts has its default lifetime")
        conf = None
    done = _end if order.release else _called_off if aborted else _begin
    return done(call, order, conf) and conf is not None


def fail(call: Call, order: Order, message: str) -> None:
    """Says that it failed, and keeps that in mind."""
    call.say(FAILED, message)
    if not order.release:
        _keep_in_mind(call, order, FAILED, message)


# -- begin


def _begin(call: Call, order: Order, conf: Conf | None) -> bool:
    notes: list[str] = []
    term = choose(order, call.name, conf, call.home, notes)
    for note in notes:
        call.log.text(note)
    request = Request(
        call.kind.response,
        [call.target],
        timeout=term.timeout,
        permanent=term.timeout is None,
        repeated_offenders=term.repeated_offenders,
        reason=order.reason,
        alert_id=call.alert_id,
        end_sessions=term.end_sessions or None,  # else as a lock that stands; a new one ends nothing, or failed log-ins would stop a service
    )
    item = _respond(call, request)
    well = item.outcome in (DONE, UNCHANGED)
    if well:
        call.log.json(_echo(call, order))
    else:
        _keep_in_mind(call, order, item.outcome, item.message)
    message = item.message
    if item.outcome == UNCHANGED and not message and item.standing:
        message = f"in force already since {moment_text(item.standing.since)}"
    _say(call, item, item.outcome, message)
    return well


def _called_off(call: Call, order: Order, conf: Conf | None) -> bool:
    """The daemon has this key on its list, so it takes the target for answered. Where that is not so any more, it is answered again."""
    known = _known(call, HISTORY)
    row, last = known.row, known.last
    if row and known.in_force and not _is_over(call, row):
        call.say(UNCHANGED, "aborted: wazuh-execd has this key on its list already, and it is in force; nothing was done", row.id, until_text(row.until))
        return True
    if row or known.ran_out or (last and last.ended_by != RELEASED):
        call.log.text(f"wazuh-execd has {call.target} on its list already and aborts, but nothing is in force here: it is answered as if it were new")
        return _begin(call, order, conf)
    why = "it was released here" if last else "nothing is known of it here"
    call.say(UNCHANGED, f"aborted: wazuh-execd has this key on its list already, but {why}; nothing was done")
    return True


# -- end


def _end(call: Call, order: Order, conf: Conf | None) -> bool:
    """Ends what this very executable began, and nothing of others."""
    known = _known(call)
    if known.row is None:
        call.say(UNCHANGED, "its time was over" if known.ran_out else "nothing stands for this target")
        return True
    reason = _kept(call, order, conf, known.row)
    if reason:
        until = until_text(known.row.until)
        call.say("kept", f"it stands until its recorded end, {until}: {reason}", known.row.id, until)
        return True
    item = _respond(call, Request(call.kind.response, [call.target], state="absent"))
    if item.outcome == DONE:
        call.log.json(_echo(call, order))
    _say(call, item, "released" if item.outcome == DONE else item.outcome, item.message)
    return item.outcome in (DONE, UNCHANGED)


def _kept(call: Call, order: Order, conf: Conf | None, row: Row) -> str:
    """Why a delete does not end what stands; empty when it does."""
    if row.origin != call.engine.origin:
        return f"it was begun by {row.origin}, not by {call.engine.origin}"
    if row.until is not None and row.until - call.engine.clock() <= EARLY:
        return ""
    if conf and conf.early_delete == KEEP:
        return f"early_delete = keep in /{CONF}"
    first = choose(order, call.name, conf, call.home, []).timeout
    if first is None or (row.until is not None and row.until - row.since <= parse_duration(first) + EARLY):
        return ""
    return f"that is longer than the {first} that {call.name} gives the first time: a repeated offender's, or made longer since"


# -- what is known, done and told


def _known(call: Call, history: int = 0) -> Known:
    looks, over, report = call.engine.look(history, call.target)
    others = tuple(f"{kind}: " for kind in KINDS if kind != call.kind.response)
    wrong = [each for each in report.warnings if not each.startswith(others)]
    if wrong:
        raise Problem(f"what stands cannot be told, so nothing was done: {'; '.join(wrong)}")
    mine = (call.kind.response, call.target)
    look = next((each for each in looks if (each.row.response, each.row.target) == mine), None)
    last = next((row for row in over if (row.response, row.target) == mine and row.origin.startswith(ORIGIN)), None)
    return Known(look.row if look else None, bool(look and look.in_force), any((each.response, each.target) == mine for each in report.ended), last)


def _is_over(call: Call, row: Row) -> bool:
    return row.until is not None and row.until <= call.engine.clock()


def _respond(call: Call, request: Request) -> Result:
    report = call.engine.respond([request])
    for warning in report.warnings:
        call.log.text(f"warning: {warning}")
    if report.ended:  # others whose time was over too
        from .tell import tell_ended

        tell_ended(call.engine, call.log, report.ended)
    [item] = report.results
    return item


def _keep_in_mind(call: Call, order: Order, outcome: str, message: str) -> None:
    """Records what the engine has not, which does so only for what it tried, held or found guarded: an abort of this key must then be no success."""
    now, origin = call.engine.clock(), call.engine.origin
    row = Row(new_id(), call.kind.response, call.target, "", ENDED, now, now, printable(order.reason, 500), call.alert_id, origin)
    row = row._replace(ended=now, ended_by=outcome, message=printable(message, 1000))
    try:
        ledger = Ledger.open(call.engine.paths, write=True)
        try:
            last = next(ledger.history(1, call.target), None)
            known = last and (last.response, last.alert_id, last.origin, last.ended_by)
            if known != (row.response, row.alert_id, row.origin, row.ended_by):
                ledger.write([row])
        finally:
            ledger.close()
    except LedgerError as error:
        call.log.text(f"{error}; so it is not recorded that {call.kind.response} {call.target} was {outcome}")


def _echo(call: Call, order: Order) -> dict[str, object]:
    """The message, by which Wazuh's own rules tell that the response is in force, or was ended."""
    message = dict(order.message)
    if order.wazuh4:
        message["parameters"] = {**message["parameters"], "program": call.log.program}
    if len(one_line(message)) <= LONGEST_ECHO:
        return message
    if order.wazuh4:
        return {**message, "parameters": {"extra_args": [], "alert": {"id": call.alert_id}, "program": call.log.program}}
    return {"command": message["command"], "wazuh": {"active_response": message["wazuh"]["active_response"]}}


def _say(call: Call, item: Result, outcome: str, message: str) -> None:
    standing = item.standing
    call.say(outcome, message, *((standing.id, until_text(standing.end)) if standing else ()))
