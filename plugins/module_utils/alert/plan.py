# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts + policy + inventory -> which host does what, and for each alert why or why not. A pure function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..host.address import parse_network
from ..host.errors import BadInput
from ..host.response import LONGEST_REASON, printable
from .alert import Alert
from .allow import allow_list
from .breakers import Breakers, Earlier
from .inventory import Inventory, Reached
from .match import values_at
from .observables import ADDRESS, DESTINATION, USER
from .policy import ALL, ENFORCE, OBSERVE, Policy, Response, Rule

PLANNED, WOULD, PENDING, HELD, NOTHING = "planned", "would", "pending", "held", "nothing"

# Wazuh's rules about active responses that ran (650 to 658, all in group active_response), and those of our role manager, which may have other numbers.
OUR_RULES = frozenset(str(number) for numbers in (range(650, 659), range(100900, 100920)) for number in numbers)
OUR_GROUPS = frozenset({"active_response", "riposte"})
AGENT_ADDRESSES = ("agent.ip", "wazuh.agent.host.ip")


@dataclass(frozen=True)
class Decision:
    """What one rule makes of one alert.

    outcome: planned; would (the mode is observe); pending (the mode is approve, and nobody has approved it); held (by breaker `held_by`);
    nothing. `why` says why, or why not. What a breaker would hold of what is observed is would, with held_by.
    """

    alert_id: str
    alert_rule: str
    outcome: str
    why: str
    rule: str = ""
    response: str = ""
    target: str = ""
    mode: str = ""
    hosts: tuple[str, ...] = ()
    held_by: str = ""
    position: int = 0  # of the response in its rule

    def as_dict(self) -> dict[str, Any]:
        values = {**asdict(self), "hosts": list(self.hosts)}
        del values["position"]
        return values


@dataclass
class Plan:
    """hosts: for each host that has something to do the `responses` of module respond. pending: what it would have, if somebody approved it.

    problems: what is wrong with the inventory.
    """

    hosts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pending: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Approval:
    """What a person has approved of an alert. given: (rule, response, target) -> the hosts that were shown to them; None = whatever waits.

    since: when, as text; timeouts of what was given count from there. left: (host, response, target) that are owed from before, of what needs no approval.
    """

    given: Mapping[tuple[str, str, str], Collection[str]] | None = None
    since: str | None = None
    left: Collection[tuple[str, str, str]] = ()


def never(_response: str, _target: str) -> int:
    """No offence is known."""
    return 0


@dataclass(frozen=True)
class Past:
    """What went before. earlier: what runs of the last hour have begun, for the breakers. approved: by alert id.

    offences: how often the fleet has answered attacks of a target that are over, by response and target.
    """

    earlier: Iterable[Earlier] = ()
    approved: Mapping[str, Approval] = field(default_factory=dict)
    offences: Callable[[str, str], int] = never


def make_plan(alerts: Sequence[Alert], policy: Policy, inventory: Inventory, since: str | Mapping[str, str] | None = None, past: Past | None = None) -> Plan:
    """BadInput when the policy's allow list names a host that the inventory does not have.

    since: the moment from which timeouts count (ISO 8601 or epoch seconds), one or by alert id; None = when the host gets to it.
    """
    return _Planner(policy, inventory, since, past or Past()).run(alerts)


class _Planner:
    def __init__(self, policy: Policy, inventory: Inventory, since: str | Mapping[str, str] | None, past: Past) -> None:
        self._policy = policy
        self._inventory = inventory
        self._since = since
        self._past = past
        self._allow = allow_list(policy.allow, inventory.addresses)
        earlier = tuple(past.earlier)
        # What is only observed must use up nothing of what is enforced.
        self._breakers = {
            outcome: Breakers(policy.limits, len(inventory.names), (each for each in earlier if each.observed == observed))
            for outcome, observed in ((PLANNED, False), (WOULD, True))
        }
        self._plan = Plan(problems=list(inventory.problems))
        self._requests: dict[tuple[object, ...], dict[str, Any]] = {}

    def run(self, alerts: Sequence[Alert]) -> Plan:
        seen: dict[str, Alert] = {}
        for alert in alerts:
            first = seen.setdefault(alert.id, alert)
            if first is not alert:
                same = "the same" if first.raw == alert.raw else "another"
                self._nothing(alert, f"{same} alert with this id came before; an id is answered once")
                continue
            self._answer(alert)
        return self._plan

    def _answer(self, alert: Alert) -> None:
        if OUR_RULES & set(alert.rule_ids) or OUR_GROUPS & set(alert.groups):
            self._nothing(alert, "it is about an active response, and those start nothing")
            return
        rules = [rule for rule in self._policy.rules if rule.match.matches(alert)]
        if not rules:
            self._nothing(alert, f"no rule of the policy matches Wazuh rule {alert.rule_id}, level {alert.level}")
        for rule in rules:
            for position, response in enumerate(rule.responses):
                self._decide(alert, rule, response, position)

    def _decide(self, alert: Alert, rule: Rule, response: Response, position: int) -> None:
        decision = replace(self._decision(alert, rule, response), position=position)
        self._plan.decisions.append(decision)
        for_whom = {PLANNED: self._plan.hosts, PENDING: self._plan.pending}.get(decision.outcome)
        if for_whom is not None:
            self._request(for_whom, decision, alert, rule, response)

    def _decision(self, alert: Alert, rule: Rule, response: Response) -> Decision:
        nothing = Decision(alert.id, alert.rule_id, NOTHING, "", rule.name, response.response, mode=rule.mode)
        found = self._policy.table.find(alert, response.observable)
        if found.value is None:
            return replace(nothing, why=found.why)
        nothing = replace(nothing, target=found.value)
        allowed = self._allow.entry_for(found.value) if response.observable in (ADDRESS, DESTINATION) else None
        if allowed is not None:
            return replace(nothing, why=f"{found.why}; it is on the policy's allow list: {allowed.where}")
        reached = self._spare(alert, response, found.value, self._inventory.reach(response.hosts, alert, self._policy.find_hosts_by_name))
        outcome = self._outcome(alert, rule, response, found.value)
        if outcome == PLANNED:
            reached = self._granted(alert, rule, response, found.value, reached)
        if not reached.names:
            return replace(nothing, why=reached.why)
        return self._bounded(replace(nothing, outcome=outcome, why=f"{found.why}; {reached.why}", hosts=reached.names), response)

    def _outcome(self, alert: Alert, rule: Rule, response: Response, target: str) -> str:
        if rule.mode == OBSERVE:
            return WOULD
        approval = self._past.approved.get(alert.id)
        approved = approval is not None and (approval.given is None or (rule.name, response.response, target) in approval.given)
        return PLANNED if rule.mode == ENFORCE or approved else PENDING

    def _granted(self, alert: Alert, rule: Rule, response: Response, target: str, reached: Reached) -> Reached:
        """Of an alert that is here again because something was approved: that, for the hosts it was approved for, and what is owed from before."""
        approval = self._past.approved.get(alert.id)
        if approval is None or approval.given is None:
            return reached
        hosts = approval.given.get((rule.name, response.response, target))
        if hosts is None:
            names = tuple(name for name in reached.names if (name, response.response, target) in approval.left)
            return Reached(names, reached.why if names else "it was answered before")
        names = tuple(name for name in reached.names if name in hosts)
        return Reached(names, f"{reached.why}; approved for {', '.join(sorted(hosts)[:10])}")

    def _spare(self, alert: Alert, response: Response, target: str, reached: Reached) -> Reached:
        """Who can write an agent's own address into an alert could have the others shut it out: it goes to no other host."""
        whose = _whose(alert, response.observable, target, self._policy)
        if not whose or not reached.names:
            return reached
        own = self._inventory.own(alert, self._policy.find_hosts_by_name).names
        names = tuple(name for name in reached.names if name in own)
        if names == reached.names:
            return reached
        why = f"{target} is {whose}, so it goes to no other host: an alert that was forged could shut it out everywhere"
        return Reached(names, f"{reached.why}; {why}" if names else why)

    def _bounded(self, decision: Decision, response: Response) -> Decision:
        """What waits for approval is counted when it has it."""
        breakers = self._breakers.get(decision.outcome)
        trip = breakers and breakers.trip(response.observable == USER, decision.target, decision.hosts, response.hosts.kind == ALL)
        if not trip:
            return decision
        outcome, held = (HELD, "held") if decision.outcome == PLANNED else (WOULD, "it would be held")
        why = f"{decision.why}; {held} by breaker {trip.name}: {trip.why}; nothing {'was' if outcome == HELD else 'would be'} done"
        return replace(decision, outcome=outcome, held_by=trip.name, why=why)

    def _nothing(self, alert: Alert, why: str) -> None:
        self._plan.decisions.append(Decision(alert.id, alert.rule_id, NOTHING, why))

    def _request(self, for_whom: dict[str, list[dict[str, Any]]], decision: Decision, alert: Alert, rule: Rule, response: Response) -> None:
        target = decision.target
        options = {**response.options, **self._moment(alert, rule, response, target)}
        offences = self._past.offences(response.response, target) if response.fleet else 0
        if offences:
            options["offences"] = offences
        key = (id(for_whom), alert.id, response.response, repr(sorted(options.items())))
        wanted = {"response": response.response, **options, "reason": _reason(alert, rule, response), "alert_id": alert.id}
        for host in decision.hosts:
            known = self._requests.get((host, *key))
            if known is not None:
                known["targets"] += [target] if target not in known["targets"] else []
                continue
            self._requests[(host, *key)] = request = {**wanted, "targets": [target]}
            for_whom.setdefault(host, []).append(request)

    def _moment(self, alert: Alert, rule: Rule, response: Response, target: str) -> dict[str, str]:
        """Where a timeout counts from, as an option."""
        since = self._since.get(alert.id) if isinstance(self._since, Mapping) else self._since
        approval = self._past.approved.get(alert.id)
        if approval is not None and approval.given is not None and (rule.name, response.response, target) in approval.given:
            since = approval.since
        return {} if since is None or "timeout" not in response.options else {"since": since}


def _reason(alert: Alert, rule: Rule, response: Response) -> str:
    text = f"{response.reason or rule.name} (Wazuh rule {alert.rule_id}, level {alert.level}: {alert.description})"
    return printable(text, LONGEST_REASON)[:LONGEST_REASON]


def _whose(alert: Alert, observable: str, target: str, policy: Policy) -> str:
    """In words, when the address is that of the alert's own agent, or of whom was attacked."""
    for path in AGENT_ADDRESSES if observable in (ADDRESS, DESTINATION) else ():
        if any(_same_address(value, target) for value in values_at(alert.raw, path)):
            return f"the address of the alert's own agent ({path})"
    if observable == ADDRESS and (attacked := policy.table.find(alert, DESTINATION)).value == target:
        return f"also the destination in this alert ({attacked.why})"
    return ""


def _same_address(value: object, target: str) -> bool:
    try:
        return isinstance(value, str) and parse_network(value).text == target
    except BadInput:
        return False
