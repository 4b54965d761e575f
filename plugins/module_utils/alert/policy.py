# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy: which responses an alert calls for, on which hosts, for how long, and in which mode.

It comes as the YAML file was loaded. What is wrong with it is told all at once, each error with the path of the key, the value seen, and the rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from ..host.errors import BadInput, shown
from ..host.guard import ACCOUNT_ENTRIES, ADDRESS_ENTRIES, check_overrides
from ..host.lifetime import parse_duration, parse_moment
from .alert import HIGHEST_LEVEL, Alert
from .observables import ADDRESS, USER

OBSERVE, ENFORCE = "observe", "enforce"
MODES = (OBSERVE, ENFORCE)
OWN, ALL, GROUPS, AGENTS = "own", "all", "groups", "agents"

_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_AGENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,127}\Z")


class Kind(NamedTuple):
    """What a policy may say of a kind of response. sweeping: it may go to all hosts, and to alerts picked by level or group."""

    observable: str
    guard_entries: Sequence[str]
    sweeping: bool
    backends: Sequence[str] = ()
    switches: Sequence[str] = ()


KINDS: Mapping[str, Kind] = {
    "firewall_drop": Kind(ADDRESS, ADDRESS_ENTRIES, sweeping=True, backends=("auto", "nftables", "ipset")),
    "disable_account": Kind(USER, ACCOUNT_ENTRIES, sweeping=False, switches=("end_sessions",)),
}


@dataclass(frozen=True)
class Match:
    """Which alerts a rule is for: all that is given must hold (Wazuh's own matching takes what meets any of it)."""

    rule_ids: tuple[str, ...] = ()
    level: int | None = None
    groups: tuple[str, ...] = ()

    def matches(self, alert: Alert) -> bool:
        given = (
            (self.rule_ids, bool(set(self.rule_ids) & set(alert.rule_ids))),
            (self.level, self.level is not None and alert.level >= self.level),
            (self.groups, bool(set(self.groups) & set(alert.groups))),
        )
        asked = [holds for wanted, holds in given if wanted]
        return bool(asked) and all(asked)


@dataclass(frozen=True)
class Hosts:
    """On which hosts: the alert's own agent, all of the inventory, some of its groups, or those of some agents."""

    kind: str = OWN
    groups: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """One response a rule calls for. `options` are those of module respond, as it takes them."""

    response: str
    options: Mapping[str, Any]
    hosts: Hosts = Hosts()
    reason: str = ""

    @property
    def observable(self) -> str:
        return KINDS[self.response].observable


@dataclass(frozen=True)
class Rule:
    name: str
    mode: str
    match: Match
    responses: tuple[Response, ...]


@dataclass(frozen=True)
class Policy:
    mode: str
    rules: tuple[Rule, ...]
    find_hosts_by_name: bool = False


def read_policy(data: object) -> tuple[Policy | None, list[str]]:
    """A loaded YAML document -> the policy, or everything that is wrong with it."""
    reader = _Reader()
    policy = reader.policy(data)
    return (None if reader.errors else policy), reader.errors


class _Reader:
    """Reads on after an error, so that the owner sees all of them. What it returns is of use only when there was none."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def policy(self, data: object) -> Policy:
        given = self.mapping("", data, ("mode", "rules", "find_hosts_by_name"))
        mode = self.choice("mode", given.get("mode"), MODES)
        rules = tuple(self.rule(f"rules[{at}]", each, mode) for at, each in enumerate(self.items("rules", given.get("rules"))))
        names = [rule.name for rule in rules]
        for at, name in enumerate(names):
            if name and name in names[:at]:
                self.wrong(f"rules[{at}].name", name, "another rule has this name; results name their rule, so each needs its own")
        return Policy(mode, rules, self.switch("find_hosts_by_name", given.get("find_hosts_by_name", False)))

    def rule(self, path: str, data: object, mode: str) -> Rule:
        given = self.mapping(path, data, ("name", "mode", "match", "responses"))
        if "mode" in given:
            mode = self.choice(f"{path}.mode", given["mode"], MODES)
        match = self.match(f"{path}.match", given.get("match"))
        items = self.items(f"{path}.responses", given.get("responses"))
        named = isinstance(given.get("match"), Mapping) and "rule_ids" in given["match"]
        responses = tuple(self.response(f"{path}.responses[{at}]", each, named) for at, each in enumerate(items))
        return Rule(self.text(f"{path}.name", given.get("name"), 100), mode, match, responses)

    def match(self, path: str, data: object) -> Match:
        given = self.mapping(path, data, ("rule_ids", "level", "groups"))
        if isinstance(data, Mapping) and not data:
            self.wrong(path, data, "an empty match matches nothing; give rule_ids, level or groups")
        level = given.get("level")
        if "level" in given and (level is None or not _is_number(level) or not 1 <= level <= HIGHEST_LEVEL):
            self.wrong(f"{path}.level", level, f"it must be the lowest level to match, a whole number from 1 to {HIGHEST_LEVEL}")
            level = None
        rule_ids = self.items(f"{path}.rule_ids", given["rule_ids"]) if "rule_ids" in given else []
        return Match(
            tuple(self.rule_id(f"{path}.rule_ids[{at}]", each) for at, each in enumerate(rule_ids)),
            level,
            self.texts(f"{path}.groups", given["groups"]) if "groups" in given else (),
        )

    def rule_id(self, path: str, value: object) -> str:
        text = str(value) if _is_number(value) else value
        if not isinstance(text, str) or not _RULE_ID.match(text):
            self.wrong(path, value, 'it must be the id of a Wazuh rule, such as "5712"')
            return ""
        return text

    def response(self, path: str, data: object, rules_named: bool) -> Response:
        name = data.get("response") if isinstance(data, Mapping) else None
        kind = KINDS.get(name) if isinstance(name, str) else None
        known = ["response", "timeout", "repeated_offenders", "until", "permanent", "hosts", "reason", "override"]
        if not isinstance(data, Mapping) or kind is None:
            self.wrong(f"{path}.response", name if isinstance(data, Mapping) else data, f"it must be one of {', '.join(KINDS)}")
            return Response("", {})
        given = self.mapping(path, data, [*known, *(["backend"] if kind.backends else []), *kind.switches])
        options = self.lifetime(path, given)
        if "repeated_offenders" in given:
            options["repeated_offenders"] = self.repeated_offenders(f"{path}.repeated_offenders", given)
        if kind.backends and "backend" in given:
            options["backend"] = self.choice(f"{path}.backend", given["backend"], kind.backends)
        if "override" in given:
            options["override"] = self.override(f"{path}.override", given["override"], kind)
        options.update({key: self.switch(f"{path}.{key}", given[key]) for key in kind.switches if key in given})
        reason = self.text(f"{path}.reason", given["reason"], 200) if "reason" in given else ""
        hosts = self.hosts(f"{path}.hosts", given.get("hosts", OWN))
        if not kind.sweeping:
            self.aim(path, str(name), rules_named, hosts)
        return Response(str(name), options, hosts, reason)

    def aim(self, path: str, name: str, rules_named: bool, hosts: Hosts) -> None:
        if hosts.kind == ALL:
            self.wrong(f"{path}.hosts", ALL, f"{name} must name its hosts: only addresses may be answered on all hosts")
        if not rules_named:
            self.wrong(f"{path}.response", name, "its rule must name each Wazuh rule in match.rule_ids; a level or group alone is too wide for it")

    def lifetime(self, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
        chosen = [key for key in ("timeout", "until", "permanent") if key in given]
        if len(chosen) != 1:
            self.wrong(path, {key: given[key] for key in chosen}, "give exactly one of timeout, until, permanent: true; nothing is permanent by accident")
            return {}
        key = chosen[0]
        value = given[key]
        if key == "permanent":
            if value is not True:
                self.wrong(f"{path}.permanent", value, "it can only be true; for an end say timeout or until")
            return {"permanent": True}
        if key == "timeout":
            return {key: self.duration(f"{path}.{key}", value)}
        text = value.isoformat() if isinstance(value, date) else str(value) if _is_number(value) else value
        if not isinstance(text, str):
            self.wrong(f"{path}.{key}", value, "it must be a moment such as 2027-01-01T00:00:00Z")
            return {}
        try:
            parse_moment(key, text)
        except BadInput as error:
            self.errors.append(f"{path}.{error}")
        return {key: text}

    def duration(self, path: str, value: object) -> str:
        text = str(value) if _is_number(value) else value
        if not isinstance(text, str):
            self.wrong(path, value, "it must be a duration such as 10m")
            return ""
        try:
            parse_duration(text)
        except BadInput as error:
            self.errors.append(f"{path}{str(error).removeprefix('timeout')}")
        return text

    def repeated_offenders(self, path: str, given: Mapping[str, Any]) -> list[str]:
        if "timeout" not in given:
            self.wrong(path, given["repeated_offenders"], "it says how long a repeat stands, so it needs timeout beside it")
        items = self.items(path, given["repeated_offenders"])
        return [self.duration(f"{path}[{at}]", each) for at, each in enumerate(items)]

    def override(self, path: str, value: object, kind: Kind) -> list[str]:
        names = self.texts(path, value)
        try:
            check_overrides(names, kind.guard_entries)
        except BadInput as error:
            self.errors.append(f"{path}: {error}")
        return list(names)

    def hosts(self, path: str, value: object) -> Hosts:
        if value in (OWN, ALL):
            return Hosts(str(value))
        if not isinstance(value, Mapping) or len(value) != 1:
            self.wrong(path, value, "it must be own, all, {groups: [GROUP, …]}, or {agents: [ID, …]}")
            return Hosts()
        given = self.mapping(path, value, (GROUPS, AGENTS))
        if AGENTS in given:
            ids = self.items(f"{path}.agents", given[AGENTS])
            return Hosts(AGENTS, agents=tuple(self.agent_id(f"{path}.agents[{at}]", each) for at, each in enumerate(ids)))
        groups = self.texts(f"{path}.groups", given.get(GROUPS))
        if ALL in groups:
            self.wrong(f"{path}.groups", value.get("groups"), "group all is every host; say hosts: all")
        return Hosts(GROUPS, groups)

    def agent_id(self, path: str, value: object) -> str:
        if isinstance(value, str) and _AGENT_ID.match(value):
            return str(value)
        self.wrong(path, value, 'it must be the id of a Wazuh agent in quotes, such as "007": YAML reads a bare 012 as ten')
        return ""

    def wrong(self, path: str, value: object, rule: str) -> None:
        self.errors.append(f"{path}: {shown(value)}: {rule}")

    def mapping(self, path: str, value: object, known: Sequence[str]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self.wrong(path or "the policy", value, "it is missing" if value is None else "it must be a mapping")
            return {}
        for key in value:
            if key not in known:
                self.wrong(f"{path}.{key}".lstrip("."), value[key], f"there is no such key; the keys here are {', '.join(known)}")
        return value

    def items(self, path: str, value: object) -> Sequence[object]:
        if not isinstance(value, list) or not value:
            self.wrong(path, value, "it is missing" if value is None else "it must be a list with at least one entry")
            return []
        return value

    def texts(self, path: str, value: object) -> tuple[str, ...]:
        return tuple(self.text(f"{path}[{at}]", each, 200) for at, each in enumerate(self.items(path, value)))

    def text(self, path: str, value: object, limit: int) -> str:
        if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
            return str(value)
        self.wrong(path, value, f"it must be text of 1 to {limit} printable characters")
        return ""

    def choice(self, path: str, value: object, choices: Sequence[str]) -> str:
        if isinstance(value, str) and value in choices:
            return str(value)
        said = "it must be said: " if value is None else "it must be "
        self.wrong(path, value, f"{said}{' or '.join(choices)}")
        return ""

    def switch(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.wrong(path, value, "it must be true or false")
        return value is True


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
