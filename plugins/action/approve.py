# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documented in plugins/modules/approve.py. Runs on the controller; what persons say is kept by the spool."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Collection
from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import read_alerts
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, shown
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import moment_text
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import printable
from ansible_collections.riposte.active_response.plugins.plugin_utils import audit
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import full_path
from ansible_collections.riposte.active_response.plugins.plugin_utils.policy_file import listed
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.approvals import APPROVED, REJECTED, Waiting
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.lease import LEAD, Lock
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import ANSWERED, FAILED
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool

OPTIONS = {
    "spool": {"type": "str", "required": True},
    "approved": {"type": "list", "elements": "str", "default": []},
    "rejected": {"type": "list", "elements": "str", "default": []},
    "rules": {"type": "list", "elements": "str", "default": []},
    "by": {"type": "str"},
    "wait": {"type": "int", "default": 0},
    "audit": {"type": "str"},
}
LONGEST_WAIT = 3600
LOOK_SECONDS = 0.2


class ActionModule(ControllerAction):
    OPTIONS = OPTIONS

    def answer(self, options: dict[str, Any], check: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        _check(options)
        directory = full_path(options["spool"])
        spool = Spool.open(directory, make=False)
        try:
            said, wrong = _say(spool, options, check)
            warning = "" if check else audit.write(options["audit"] or "", [audit.approval(**each) for each in said])
            answer = {"changed": bool(said), "said": said, **_became(spool, [] if check else said, options["wait"])}
            answer["waiting"] = [_waiting(each) for each in spool.waiting()]
        finally:
            spool.close()
        answer["handing_out"] = _handing_out(directory)
        failure = {"failed": True, "msg": listed("these were not approved or rejected, the others were", wrong)} if wrong else {}
        return {**answer, **({"warnings": [warning]} if warning else {}), **failure}


def _check(options: dict[str, Any]) -> None:
    both = sorted(set(options["approved"]) & set(options["rejected"]))
    if both:
        raise BadInput(f"rejected: {shown(both[0])} is approved as well; nothing was done")
    if options["rules"] and not options["approved"] and not options["rejected"]:
        raise BadInput("rules: these rules of which alerts? Say approved or rejected; nothing was done")
    if not 0 <= options["wait"] <= LONGEST_WAIT:
        raise BadInput(f"wait: {options['wait']}: it must be from 0 to {LONGEST_WAIT} seconds; nothing was done")


def _say(spool: Spool, options: dict[str, Any], check: bool) -> tuple[list[dict[str, str]], list[str]]:
    """What was said that is new, and what could not be said."""
    by, now = options["by"] or _user(), time.time()
    said: list[dict[str, str]] = []
    wrong: list[str] = []
    ways: list[tuple[str, Callable[..., list[str]], Collection[str]]] = [
        (APPROVED, spool.approve, options["approved"]),
        (REJECTED, spool.reject, options["rejected"]),
    ]
    for word, say, alerts in ways:
        for alert_id in dict.fromkeys(alerts):
            try:
                rules = say(alert_id, by, now, options["rules"], check)
            except BadInput as error:
                wrong.append(str(error))
                continue
            said += [{"alert_id": alert_id, "rule": rule, "said": word, "by": by} for rule in rules]
    return said, wrong


def _user() -> str:
    """Who is at the keyboard, also behind sudo."""
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name


def _became(spool: Spool, said: list[dict[str, str]], seconds: int) -> dict[str, Any]:
    """What became of the alerts that were approved, after so many seconds at most."""
    done = sorted({each["alert_id"] for each in said if each["said"] == APPROVED})
    unfinished = _wait(spool, done, seconds)
    return {"unfinished": unfinished, "answers": [answer for each in done for answer in _answers(spool, each)]}


def _wait(spool: Spool, alerts: list[str], seconds: int) -> list[str]:
    """Waits for their ends; returns those that have none yet."""
    end = time.monotonic() + seconds
    while True:
        alerts = [each for each in alerts if spool.progress(each)[0] not in (ANSWERED, FAILED)]
        if not alerts or time.monotonic() >= end:
            return alerts
        time.sleep(LOOK_SECONDS)


def _answers(spool: Spool, alert_id: str) -> list[dict[str, Any]]:
    _state, rows = spool.progress(alert_id)
    names = ("host", "response", "target", "outcome", "message")
    return [{"alert_id": alert_id, **dict(zip(names, row))} for row in rows]


def _waiting(each: Waiting) -> dict[str, Any]:
    [alert], _problems = read_alerts(each.body)
    return {
        "alert_id": each.alert_id,
        "since": moment_text(each.received),
        "alert_rule": alert.rule_id,
        "level": alert.level,
        "description": printable(alert.description, 200),
        "rule": each.rule,
        "response": each.response,
        "target": each.target,
        "hosts": list(each.hosts),
    }


def _handing_out(directory: str) -> bool:
    """Whether an event source hands out what is in this spool."""
    lock = Lock(directory, LEAD)
    try:
        return not lock.try_alone()
    finally:
        lock.close()
