# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documented in plugins/modules/plan.py. Runs on the controller; all thinking is in module_utils/alert."""

from __future__ import annotations

import base64
import binascii
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert, read_alerts
from ansible_collections.riposte.active_response.plugins.module_utils.alert.breakers import HOUR, Earlier
from ansible_collections.riposte.active_response.plugins.module_utils.alert.plan import PENDING, Approval, Past, Plan, make_plan
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import Policy
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, shown
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import parse_moment
from ansible_collections.riposte.active_response.plugins.plugin_utils import audit
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import content_of, full_path
from ansible_collections.riposte.active_response.plugins.plugin_utils.policy_file import listed, read_policy_file
from ansible_collections.riposte.active_response.plugins.plugin_utils.raw_inventory import inventory_of
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.approvals import Pending
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.lease import at_work
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Planned, Taken
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool

OPTIONS = {
    "alerts": {"type": "str"},
    "alerts_b64": {"type": "str"},
    "spool": {"type": "str"},
    "batch": {"type": "int"},
    "policy": {"type": "str", "required": True},
    "since": {"type": "str"},
    "approved": {"type": "list", "elements": "str", "default": []},
    "audit": {"type": "str"},
}
SOURCES = ("alerts", "alerts_b64", "spool")
TOGETHER = {"required_one_of": [SOURCES], "mutually_exclusive": [SOURCES, ("since", "spool"), ("approved", "spool")], "required_together": [("spool", "batch")]}
LARGEST_ALERTS = 64 << 20


class ActionModule(ControllerAction):
    OPTIONS = OPTIONS
    TOGETHER = TOGETHER

    def answer(self, options: dict[str, Any], check: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        if check:
            options["audit"] = None
        if options["spool"] is None:
            return _plan(options, task_vars)
        if check:
            raise BadInput("batch: it is handed out once, so it is not for check mode; give a file of alerts for that")
        return _plan_batch(options, task_vars)


def _plan(options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    if options["since"] is not None:
        parse_moment("since", options["since"])
    policy = read_policy_file(options["policy"])
    where, content = _content(options)
    alerts, unread = read_alerts(content)
    problems = [f"{where}, {place}: {why}" for place, why in unread]
    if not alerts:
        raise BadInput(listed(f"alerts {where}: there is no alert in this file", problems))
    approved = {each: Approval() for each in options["approved"] or ()}
    unknown = sorted(set(approved) - {alert.id for alert in alerts})
    if unknown:
        raise BadInput(f"approved: no alert in {where} has the id {', '.join(map(shown, unknown[:10]))}; nothing was done")
    plan = make_plan(alerts, policy, inventory_of(task_vars), options["since"], Past(approved=approved))
    told = [audit.alert(each, "taken") for each in alerts]
    return _answer(policy, plan, problems, audit.write(options["audit"] or "", [*told, *_decisions(plan, policy, None)]))


def _content(options: dict[str, Any]) -> tuple[str, bytes]:
    """The alerts' text, and what to call it."""
    if options["alerts"] is not None:
        return options["alerts"], content_of(options["alerts"], "alerts", LARGEST_ALERTS)
    if len(options["alerts_b64"]) > LARGEST_ALERTS * 4 // 3:
        raise BadInput(f"alerts_b64: it is longer than {LARGEST_ALERTS >> 20} MiB; split it")
    try:
        return "alerts_b64", base64.b64decode(options["alerts_b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"alerts_b64: it is not base64: {error}") from error


def _answer(policy: Policy, plan: Plan, problems: list[str], warning: str) -> dict[str, Any]:
    decisions = [decision.as_dict() for decision in plan.decisions]
    answer = {"mode": policy.mode, "hosts": plan.hosts, "decisions": decisions, "problems": problems + plan.problems}
    return {**answer, "warnings": [warning]} if warning else answer


def _plan_batch(options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    """The plan for a batch, recorded in the spool before it is returned."""
    batch = options["batch"]
    policy, inventory = read_policy_file(options["policy"]), inventory_of(task_vars)  # first: what is wrong with them is no fault of the batch
    with at_work(full_path(options["spool"])) as spool:
        now = time.time()
        taken = {each.id: each for each in spool.begin(batch, os.getppid(), now)}  # the parent of a worker is ansible-playbook itself
        failed = {each.id: why for each in taken.values() if (why := _unfit(each, policy, now))}
        alerts = [_alert(each) for each in taken.values() if each.id not in failed]
        since = {each.id: f"{each.received:.3f}" for each in taken.values()}  # what comes late is shorter, not longer
        plan = make_plan(alerts, policy, inventory, since, _past(spool, taken.values(), now))
        _only_what_is_left(plan, taken)
        spool.plan(batch, _planned(taken.values(), plan, failed), policy.max_age, now)
    told = [audit.ended(identity, "failed", why, batch) for identity, why in failed.items()]
    told += [audit.alert(each, "taken", "", batch, taken[each.id].received) for each in alerts]
    warning = audit.write(options["audit"] or "", [*told, *_decisions(plan, policy, batch)])
    return _answer(policy, plan, [f"alert {identity}: {why}" for identity, why in failed.items()], warning)


def _decisions(plan: Plan, policy: Policy, batch: int | None) -> list[dict[str, Any]]:
    return [audit.decision(decision.as_dict(), policy.mode, batch) for decision in plan.decisions]


def _past(spool: Spool, taken: Collection[Taken], now: float) -> Past:
    approved = {each.id: Approval(each.given, f"{each.approved:.3f}", each.left) for each in taken if each.approved is not None}
    return Past(_earlier(spool, now), approved, lambda response, target: spool.offences(response, target, now))


def _earlier(spool: Spool, now: float) -> Iterator[Earlier]:
    """What the runs of the last hour have begun, for the breakers."""
    for response, target, moment in spool.begun_since(now - HOUR):
        yield Earlier(now - moment, response == "disable_account", target)


def _unfit(taken: Taken, policy: Policy, now: float) -> str:
    """Why an alert is given up instead of answered."""
    age = now - (taken.approved or taken.happened)
    if age > policy.max_age:
        return f"too old: it {'was approved' if taken.approved else 'happened'} {age:.0f} s ago, the policy's max_age is {policy.max_age} s"
    alerts, problems = read_alerts(taken.body)
    return "" if alerts else f"it can no longer be read: {'; '.join(problem.why for problem in problems)}"


def _alert(taken: Taken) -> Alert:
    [alert], _problems = read_alerts(taken.body)
    return replace(alert, id=taken.id)


def _only_what_is_left(plan: Plan, taken: Mapping[str, Taken]) -> None:
    """Leaves out what a host has done already."""
    for host, requests in plan.hosts.items():
        for request in requests:
            settled = taken[request["alert_id"]].settled
            request["targets"] = [target for target in request["targets"] if (host, request["response"], target) not in settled]
    plan.hosts = {host: left for host, requests in plan.hosts.items() if (left := [request for request in requests if request["targets"]])}


def _planned(taken: Collection[Taken], plan: Plan, failed: Mapping[str, str]) -> list[Planned]:
    expected: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    whys: dict[str, dict[str, None]] = defaultdict(dict)
    pending: dict[str, list[Pending]] = defaultdict(list)
    for host, requests in plan.hosts.items():
        for request in requests:
            expected[request["alert_id"]].update((host, request["response"], target) for target in request["targets"])
    for decision in plan.decisions:
        whys[decision.alert_id][decision.why] = None
        if decision.outcome == PENDING:
            pending[decision.alert_id].append(Pending(decision.rule, decision.response, decision.target, decision.hosts))
    given_up = [Planned(each.number, [], failed[each.id], failed=True) for each in taken if each.id in failed]
    answered = [each for each in taken if each.id not in failed]
    return given_up + [Planned(each.number, sorted(expected[each.id]), "; ".join(whys[each.id]), pending=pending[each.id]) for each in answered]
