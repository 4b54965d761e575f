# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory as a plan looks at it: which hosts an alert's agent, a group, or a policy's list of agents means.

Unknown means nobody, ambiguous means nobody, and both are said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..host.errors import shown
from .alert import Alert
from .match import padded
from .policy import AGENTS, ALL, GROUPS, SERVER, Hosts

MANAGER = "000"


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
