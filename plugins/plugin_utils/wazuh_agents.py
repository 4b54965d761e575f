# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents of a Wazuh manager -> hosts and groups of an inventory. Pure functions.

Who may enrol an agent chooses its name, and an agent reports its own address and system: no such text becomes a host's or a group's name, or an
address to connect to, unless it can mean nothing else. What is refused is said, and the host is known by its agent id instead.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.host.address import parse_network
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, shown
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import printable

MANAGER = "000"
NAME, ID, IP, NONE = "name", "id", "ip", "none"
CONNECTED = frozenset({"active", "disconnected"})  # of the others the API gives the address of the registration
LONGEST_TEXT = 256
LISTED = 5
_ID = re.compile(r"[0-9]{3,10}\Z")
_BY_ID = "wazuh_agent_"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,126}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,128}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_OUR_HOST = re.compile(rf"{_BY_ID}[0-9]+\Z", re.IGNORECASE)
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\Z", re.IGNORECASE)  # what a resolver takes for an IPv4 address
_RESERVED = frozenset({"all", "ungrouped", "localhost", "ip6-localhost", "ip6-loopback", "broadcasthost"})
_GROUP = re.compile(r"[A-Za-z0-9._ -]{1,128}\Z")


@dataclass(frozen=True)
class Agent:
    """One agent. id: as the API pads it; ip: the address it connected from, empty when there is none to speak of; os: name, platform, version, arch."""

    id: str
    name: str
    ip: str = ""
    status: str = ""
    version: str = ""
    os: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    def variables(self) -> dict[str, Any]:
        """Agent 000 says no id: alerts of devices behind the manager carry it as well."""
        values = {
            "id": "" if self.id == MANAGER else self.id,
            "name": printable(self.name, LONGEST_TEXT),
            "ip": self.ip,
            "status": self.status,
            "version": self.version,
            "os": dict(self.os),
            "groups": list(self.groups),
        }
        return {f"wazuh_agent_{key}": value for key, value in values.items() if value or key not in ("id", "ip")}


@dataclass(frozen=True)
class Wanted:
    """What the user asked for. statuses: empty = all."""

    name_from: str = NAME
    host_from: str = NONE
    group_prefix: str = "wazuh_group_"
    platform_prefix: str = "wazuh_platform_"
    statuses: tuple[str, ...] = ()
    include_manager: bool = False


@dataclass
class Host:
    name: str
    agent: Agent
    ansible_host: str = ""
    groups: list[str] = field(default_factory=list)


@dataclass
class Fleet:
    hosts: list[Host] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Before:
    """What earlier sources put into the inventory. agent_ids: each host's wazuh_agent_id, None = it says none."""

    def __init__(self, agent_ids: Mapping[str, object], groups: Collection[str]) -> None:
        self.groups = frozenset(groups)
        self.agents = {host: _claim(said) for host, said in agent_ids.items()}
        claims = Counter(self.agents.values())
        self._hosts = {agent: host for host, agent in self.agents.items() if agent and claims[agent] == 1}

    def host_of(self, agent_id: str) -> str:
        """The one host that says it is this agent, or nothing."""
        return self._hosts.get(agent_id, "")


def _claim(said: object) -> str:
    """Empty: none; `?`: one that cannot be read."""
    if said is None:
        return ""
    text = str(said)
    return text.lstrip("0").zfill(3) if isinstance(said, str) and text.isascii() and text.isdigit() else "?"


def read_agents(items: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """What the API says, checked; BadInput when an agent has no readable id: then it is not known what the list means."""
    agents = [_agent(item) for item in items]
    for agent_id, times in Counter(agent.id for agent in agents).items():
        if times > 1:
            raise BadInput(f"agent {agent_id} is {times} times in the list of agents")
    return agents


def _agent(item: Mapping[str, Any]) -> Agent:
    said = item.get("id")
    if not isinstance(said, str) or not _ID.match(said) or said != said.lstrip("0").zfill(3):
        raise BadInput(f'an agent has id {shown(said)}, expected text such as "001"')
    name, groups, os = item.get("name"), item.get("group"), item.get("os")
    status = _text(item.get("status"))
    return Agent(
        id=said,
        name=name if isinstance(name, str) else "",
        ip=_ip(item.get("ip")) if status in CONNECTED else "",
        status=status,
        version=_text(item.get("version")),
        os={key: _text(os[key]) for key in ("name", "platform", "version", "arch") if os.get(key)} if isinstance(os, dict) else {},
        groups=tuple(dict.fromkeys(_text(group) for group in groups if isinstance(group, str))) if isinstance(groups, list) else (),
    )


def _text(value: object) -> str:
    return printable(value, LONGEST_TEXT) if isinstance(value, str) else ""


def _ip(value: object) -> str:
    try:
        network = parse_network(value) if isinstance(value, str) else None
    except BadInput:
        return ""
    return network.text if network and network.single else ""


def make_fleet(agents: Sequence[Agent], wanted: Wanted, before: Before) -> Fleet:
    """The hosts, each with its groups; BadInput when that cannot be had safely.

    A name that two agents share is nobody's, also when one of them is left out for its status.
    """
    if not wanted.platform_prefix:
        raise BadInput("platform_prefix: it is empty, and an agent tells its platform itself: it could choose any group of the inventory")
    kept = [agent for agent in agents if (agent.id != MANAGER or wanted.include_manager) and (not wanted.statuses or agent.status in wanted.statuses)]
    warnings = _Warnings()
    groups = _Groups(kept, wanted, before, warnings)
    taken = groups.names() | before.groups
    names = Counter(agent.name.casefold() for agent in agents)
    hosts = []
    for agent in kept:
        refused = bad_name(agent.name) or ("another agent has this name as well" if names[agent.name.casefold()] > 1 else "")
        host = Host(_name(agent, refused, wanted, before, taken, warnings), agent, groups=groups.of(agent))
        host.ansible_host = agent.name if wanted.host_from == NAME and not refused else ""
        hosts.append(host)
    if wanted.host_from == IP:
        _addresses(hosts, warnings)
    return Fleet(hosts, warnings.lines())


def id_name(agent: Agent) -> str:
    return _BY_ID + agent.id


def _name(agent: Agent, refused: str, wanted: Wanted, before: Before, taken: Collection[str], warnings: _Warnings) -> str:
    known = before.host_of(agent.id)
    if known:
        return known
    if wanted.name_from == ID:
        return id_name(agent)
    why = refused
    if not why and agent.name in taken:
        why = "a group has this name"
    if not why and before.agents.get(agent.name):
        why = "a host of this name says another wazuh_agent_id"
    if why:
        warnings.add(f"known by their id only ({why})", agent)
        return id_name(agent)
    return agent.name


def bad_name(name: str) -> str:
    """Why this is no name for a host: it could be taken for a pattern, a path, an option, a group or an address that somebody else owns. Or nothing."""
    low = name.casefold()
    if not _HOST.match(name):
        return "the name has characters that a host name has not"
    if low in _RESERVED or low.startswith("localhost.") or low.endswith(".localhost"):
        return "the name is reserved"
    if _OUR_HOST.match(name):
        return "the name is an agent id's"
    if _NUMBERS.match(name) and not _reachable(_ip(name)):
        return "the name is a number or an address that is no host's"
    return ""


def _reachable(ip: str) -> bool:
    if not ip:
        return False
    address = ipaddress.ip_address(ip)
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local or ip == "255.255.255.255")


def _addresses(hosts: Sequence[Host], warnings: _Warnings) -> None:
    """An address that two agents report is nobody's."""
    times = Counter(host.agent.ip for host in hosts)
    for host in hosts:
        ip = host.agent.ip
        if not _reachable(ip):
            warnings.add("without ansible_host (no address that one could connect to)", host.agent)
        elif times[ip] > 1:
            warnings.add("without ansible_host (another agent reports this address as well)", host.agent)
        else:
            host.ansible_host = ip


class _Groups:
    """Ansible's names for Wazuh's groups and platforms."""

    def __init__(self, agents: Iterable[Agent], wanted: Wanted, before: Before, warnings: _Warnings) -> None:
        self._wanted = wanted
        self._before = before
        self._platforms: set[str] = set()
        said: dict[str, set[str]] = {}  # our name -> Wazuh's
        for agent in agents:
            for group in agent.groups:
                said.setdefault(self._safe(wanted.group_prefix, group), set()).add(group)
            self._platforms.add(self._platform(agent))
        self._groups = {}
        for name, theirs in sorted(said.items()):
            why = f"{name} would be all of them" if name and len(theirs) > 1 else "" if self._usable(name) else "no name for a group"
            if why:
                warnings.say(f"no group is made of Wazuh's {_listed([shown(group) for group in sorted(theirs)])}: {why}")
            else:
                self._groups[next(iter(theirs))] = name
        self._platforms = {name for name in self._platforms - set(self._groups.values()) if self._usable(name)}

    def names(self) -> set[str]:
        return set(self._groups.values()) | self._platforms

    def of(self, agent: Agent) -> list[str]:
        names = [self._groups[group] for group in agent.groups if group in self._groups]
        platform = self._platform(agent)
        return names + ([platform] if platform in self._platforms and platform not in names else [])

    def _platform(self, agent: Agent) -> str:
        """Told by the agent itself: two that come out alike are one, for whoever would lie can as well say the other's."""
        return self._safe(self._wanted.platform_prefix, agent.os.get("platform", "").lower())

    def _usable(self, name: str) -> bool:
        return bool(name) and name not in ("all", "ungrouped") and name not in self._before.agents and not _OUR_HOST.match(name)

    def _safe(self, prefix: str, text: str) -> str:
        """A variable's name, as Ansible wants it; empty when there is none."""
        if not _GROUP.match(text):
            return ""
        name = prefix + re.sub(r"[^A-Za-z0-9]", "_", text)
        return name if not name[0].isdigit() else f"_{name}"


class _Warnings:
    """One line for each kind of thing, however many agents it happened to."""

    def __init__(self) -> None:
        self._agents: dict[str, list[str]] = {}
        self._lines: list[str] = []

    def add(self, what: str, agent: Agent) -> None:
        self._agents.setdefault(what, []).append(f"{agent.id} {shown(agent.name)}")

    def say(self, line: str) -> None:
        self._lines.append(line)

    def lines(self) -> list[str]:
        return self._lines + [f"agents {_listed(agents)}: {what}" for what, agents in self._agents.items()]


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - LISTED} more" if len(items) > LISTED else ""
    return ", ".join(items[:LISTED]) + more
