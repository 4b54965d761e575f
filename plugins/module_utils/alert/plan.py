# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts + policy + inventory -> which host does what, and for each alert why or why not. A pure function.

Unknown means nobody, ambiguous means nobody, and both are said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from ..host.errors import shown
from ..host.response import printable
from .alert import Alert
from .observables import find
from .policy import AGENTS, ALL, GROUPS, OBSERVE, Hosts, Policy, Response, Rule

PLANNED, WOULD, NOTHING = "planned", "would", "nothing"
MANAGER = "000"
LONGEST_REASON = 500

# Wazuh's rules about active responses that ran (650 to 658, all in group active_response), and our own.
OUR_RULES = frozenset(str(number) for number in range(650, 659))
OUR_GROUPS = frozenset({"active_response", "riposte"})


@dataclass(frozen=True)
class Decision:
    """What one rule makes of one alert. outcome: planned; would (the mode is observe); nothing, and then `why` says why not."""

    alert_id: str
    alert_rule: str
    outcome: str
    why: str
    rule: str = ""
    response: str = ""
    target: str = ""
    mode: str = ""
    hosts: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "hosts": list(self.hosts)}


@dataclass
class Plan:
    """hosts: for each host that has something to do the `responses` of module respond. problems: what is wrong with the inventory."""

    hosts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Reached(NamedTuple):
    """The hosts a response goes to, and why these."""

    names: tuple[str, ...]
    why: str


class Inventory:
    """The hosts by the ways a plan looks for them. agent_ids: each host's `wazuh_agent_id` just as the inventory has it, None = none."""

    def __init__(self, agent_ids: Mapping[str, object], groups: Mapping[str, Sequence[str]]) -> None:
        self.names = tuple(agent_ids)
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
        return self._own(alert, by_name)

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

    def _own(self, alert: Alert, by_name: bool) -> Reached:
        agent, missing = "the alert names no agent id", ""
        if alert.agent_id:
            own, padded = self._agent(alert.agent_id), _padded(alert.agent_id)
            if padded == MANAGER or padded in self._by_agent:
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
        padded = _padded(agent_id)
        found = self._by_agent.get(padded, [])
        if len(found) == 1:
            return Reached((found[0],), f"agent {agent_id}")
        if found:
            return Reached((), f"agent {agent_id} is ambiguous: {len(found)} hosts say that wazuh_agent_id ({', '.join(found[:5])})")
        if padded == MANAGER:
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
                f'write it as Wazuh does, in quotes: "{_padded(text)}"; the host answers for no agent'
            )
            return ""
        return _padded(text)


def make_plan(alerts: Sequence[Alert], policy: Policy, inventory: Inventory, since: str | None = None) -> Plan:
    """since: the moment from which timeouts count (ISO 8601 or epoch seconds); None = when the host gets to it."""
    return _Planner(policy, inventory, since).run(alerts)


class _Planner:
    def __init__(self, policy: Policy, inventory: Inventory, since: str | None) -> None:
        self._policy = policy
        self._inventory = inventory
        self._since = since
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
            for response in rule.responses:
                self._decide(alert, rule, response)

    def _decide(self, alert: Alert, rule: Rule, response: Response) -> None:
        nothing = Decision(alert.id, alert.rule_id, NOTHING, "", rule.name, response.response, mode=rule.mode)
        found = find(alert, response.observable)
        if found.value is None:
            self._plan.decisions.append(replace(nothing, why=found.why))
            return
        reached = self._inventory.reach(response.hosts, alert, self._policy.find_hosts_by_name)
        if not reached.names:
            self._plan.decisions.append(replace(nothing, why=reached.why, target=found.value))
            return
        outcome = WOULD if rule.mode == OBSERVE else PLANNED
        why = f"{found.why}; {reached.why}"
        self._plan.decisions.append(replace(nothing, outcome=outcome, why=why, target=found.value, hosts=reached.names))
        if outcome == PLANNED:
            for name in reached.names:
                self._request(name, alert, rule, response, found.value)

    def _nothing(self, alert: Alert, why: str) -> None:
        self._plan.decisions.append(Decision(alert.id, alert.rule_id, NOTHING, why))

    def _request(self, host: str, alert: Alert, rule: Rule, response: Response, target: str) -> None:
        key = (host, alert.id, response.response, repr(sorted(response.options.items())))
        known = self._requests.get(key)
        if known is not None:
            known["targets"] += [target] if target not in known["targets"] else []
            return
        request = {"response": response.response, "targets": [target], **response.options}
        if self._since is not None and "timeout" in response.options:
            request["since"] = self._since
        request["reason"] = _reason(alert, rule, response)
        request["alert_id"] = alert.id
        self._requests[key] = request
        self._plan.hosts.setdefault(host, []).append(request)


def _reason(alert: Alert, rule: Rule, response: Response) -> str:
    text = f"{response.reason or rule.name} (Wazuh rule {alert.rule_id}, level {alert.level}: {alert.description})"
    return printable(text, LONGEST_REASON)[:LONGEST_REASON]


def _padded(agent_id: str) -> str:
    """Wazuh pads agent ids to three digits; people do not."""
    return agent_id.lstrip("0").zfill(3) if agent_id.isdigit() else agent_id
