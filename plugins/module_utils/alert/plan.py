# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts + policy + inventory -> which host does what, and for each alert why or why not. A pure function.

Unknown means nobody, ambiguous means nobody, and both are said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from ..host.address import parse_network
from ..host.errors import BadInput, shown
from ..host.response import printable
from .alert import Alert
from .allow import allow_list
from .breakers import Breakers, Earlier
from .match import padded, values_at
from .observables import ADDRESS, DESTINATION, USER
from .policy import AGENTS, ALL, ENFORCE, GROUPS, OBSERVE, SERVER, Hosts, Policy, Response, Rule

PLANNED, WOULD, PENDING, HELD, NOTHING = "planned", "would", "pending", "held", "nothing"
MANAGER = "000"
LONGEST_REASON = 500

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


class Reached(NamedTuple):
    """The hosts a response goes to, and why these."""

    names: tuple[str, ...]
    why: str


class Inventory:
    """The hosts by the ways a plan looks for them. agent_ids: each host's `wazuh_agent_id` just as the inventory has it, None = none.

    addresses: each host's `ansible_host` just as the inventory has it; its name where it has none.
    """

    def __init__(self, agent_ids: Mapping[str, object], groups: Mapping[str, Sequence[str]], addresses: Mapping[str, str] | None = None) -> None:
        self.names = tuple(agent_ids)
        self.addresses = {} if addresses is None else addresses
        self._known = frozenset(agent_ids)
        self.problems: list[str] = []
        self._groups = groups
        self._claims: dict[str, str] = {}  # host -> its agent id; empty: it says one that cannot be read
        self._by_agent: dict[str, list[str]] = {}
        for name, said in agent_ids.items():
            if said is not None:
                self._claims[name] = self._agent_id(name, said)
                self._by_agent.setdefault(self._claims[name], []).append(name)

    def reach(self, hosts: Hosts, alert: Alert, by_name: bool) -> Reached:
        if hosts.kind == ALL:
            return Reached(self.names, "all hosts" if self.names else "the inventory has no hosts")
        if hosts.kind == GROUPS:
            return self._in_groups(hosts.groups)
        if hosts.kind == AGENTS:
            return self._of_agents(hosts.agents)
        if hosts.kind == SERVER:
            return self._agent(MANAGER)
        return self.own(alert, by_name)

    def missing(self, hosts: Hosts) -> str:
        """What is named there and nobody answers for."""
        agents = (MANAGER,) if hosts.kind == SERVER else hosts.agents
        unknown = [group for group in hosts.groups if group not in self._groups]
        said = [f"the inventory has no group {', '.join(unknown)}"] if unknown else []
        return "; ".join(said + [reached.why for agent in agents if not (reached := self._agent(agent)).names])

    def _in_groups(self, groups: tuple[str, ...]) -> Reached:
        known = [group for group in groups if group in self._groups]
        unknown = [group for group in groups if group not in self._groups]
        members = {name for group in known for name in self._groups[group]}
        why = [f"{'hosts of' if members else 'no host is in'} {', '.join(known)}"] if known else []
        why += [f"the inventory has no group {', '.join(unknown)}"] if unknown else []
        return Reached(tuple(name for name in self.names if name in members), "; ".join(why))

    def _of_agents(self, agents: tuple[str, ...]) -> Reached:
        reached = [self._agent(agent) for agent in agents]
        return Reached(tuple(dict.fromkeys(name for each in reached for name in each.names)), "; ".join(each.why for each in reached))

    def own(self, alert: Alert, by_name: bool) -> Reached:
        agent, missing = "the alert names no agent id", ""
        if alert.agent_id:
            own, agent_id = self._agent(alert.agent_id), padded(alert.agent_id)
            if agent_id == MANAGER or agent_id in self._by_agent:
                return own
            agent, missing = f"agent {alert.agent_id}", own.why
        name = alert.agent_name
        if not by_name or not name:
            return Reached((), missing or agent)
        if name not in self._known:
            return Reached((), f"{missing or agent}, and none is named {shown(name)}")
        if name in self._claims:
            return Reached((), f"{missing or agent}; host {name} has its name but says wazuh_agent_id: {self._claims[name] or 'unreadable'}")
        return Reached((name,), f"{agent}, found by its name")

    def _agent(self, agent_id: str) -> Reached:
        """The one host that answers for an agent."""
        found = self._by_agent.get(padded(agent_id), [])
        if len(found) == 1:
            return Reached((found[0],), f"agent {agent_id}")
        if found:
            return Reached((), f"agent {agent_id} is ambiguous: {len(found)} hosts say that wazuh_agent_id ({', '.join(found[:5])})")
        if padded(agent_id) == MANAGER:
            return Reached((), f'agent {agent_id} is the Wazuh manager or a device behind it; no host says wazuh_agent_id: "{MANAGER}"')
        return Reached((), f"agent {agent_id}: no host says that wazuh_agent_id")

    def _agent_id(self, name: str, said: object) -> str:
        """YAML reads 012 as ten: a number that could have been written so may mean two agents, and so means none."""
        text = str(said) if isinstance(said, int) and not isinstance(said, bool) else said
        if not isinstance(text, str) or not text.isascii() or not text.replace("-", "").isalnum():
            self.problems.append(f'host {name}: wazuh_agent_id is {shown(said)}, expected text such as "001"; the host answers for no agent')
            return ""
        if isinstance(said, int) and 8 <= said < 64:
            self.problems.append(
                f"host {name}: wazuh_agent_id is the number {text}, which YAML also makes of 0{said:o}; "
                f'write it as Wazuh does, in quotes: "{padded(text)}"; the host answers for no agent'
            )
            return ""
        return padded(text)


def make_plan(
    alerts: Sequence[Alert],
    policy: Policy,
    inventory: Inventory,
    since: str | Mapping[str, str] | None = None,
    earlier: Iterable[Earlier] = (),
    approved: Collection[tuple[str, str]] = (),
) -> Plan:
    """BadInput when the policy's allow list names a host that the inventory does not have.

    since: the moment from which timeouts count (ISO 8601 or epoch seconds), one or by alert id; None = when the host gets to it.
    earlier: what runs of the last hour have begun, for the breakers. approved: (alert id, rule) that somebody has approved.
    """
    return _Planner(policy, inventory, since, tuple(earlier), approved).run(alerts)


class _Planner:
    def __init__(
        self, policy: Policy, inventory: Inventory, since: str | Mapping[str, str] | None, earlier: Sequence[Earlier], approved: Collection[tuple[str, str]]
    ) -> None:
        self._policy = policy
        self._inventory = inventory
        self._since = since
        self._approved = approved
        self._allow = allow_list(policy.allow, inventory.addresses)
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
            for name in decision.hosts:
                self._request(for_whom, name, alert, rule, response, decision.target)

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
        if not reached.names:
            return replace(nothing, why=reached.why)
        return self._bounded(replace(nothing, outcome=self._outcome(alert, rule), why=f"{found.why}; {reached.why}", hosts=reached.names), response)

    def _outcome(self, alert: Alert, rule: Rule) -> str:
        if rule.mode == OBSERVE:
            return WOULD
        return PLANNED if rule.mode == ENFORCE or (alert.id, rule.name) in self._approved else PENDING

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

    def _request(self, for_whom: dict[str, list[dict[str, Any]]], host: str, alert: Alert, rule: Rule, response: Response, target: str) -> None:
        key = (id(for_whom), host, alert.id, response.response, repr(sorted(response.options.items())))
        known = self._requests.get(key)
        if known is not None:
            known["targets"] += [target] if target not in known["targets"] else []
            return
        request = {"response": response.response, "targets": [target], **response.options}
        since = self._since.get(alert.id) if isinstance(self._since, Mapping) else self._since
        if since is not None and "timeout" in response.options:
            request["since"] = since
        request["reason"] = _reason(alert, rule, response)
        request["alert_id"] = alert.id
        self._requests[key] = request
        for_whom.setdefault(host, []).append(request)


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
