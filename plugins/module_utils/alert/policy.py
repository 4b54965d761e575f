# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy: which responses an alert calls for, on which hosts, for how long, and in which mode.

It comes as the YAML file was loaded. What is wrong with it is told all at once, each error with the path of the key, the value seen, and the rule.
docs/policy.schema.json says the same for editors; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from ..host.errors import BadInput
from ..host.guard import ACCOUNT_ENTRIES, ADDRESS_ENTRIES, check_overrides
from ..host.lifetime import parse_moment
from .allow import Allow, Files, read_allow
from .breakers import Limits, read_limits
from .checks import Checks, Flaw, is_number
from .match import Match, read_agent_id, read_match
from .observables import ADDRESS, COMMON, DESTINATION, USER, Table, check_own

OBSERVE, APPROVE, ENFORCE = "observe", "approve", "enforce"
MODES = (OBSERVE, APPROVE, ENFORCE)
MAX_AGE = 3600
OWN, ALL, SERVER, GROUPS, AGENTS = "own", "all", "server", "groups", "agents"
OFFENCES = HOST, FLEET = "host", "fleet"

POLICY_KEYS = ("mode", "rules", "find_hosts_by_name", "max_age", "observables", "allow", "breakers")
RULE_KEYS = ("name", "mode", "match", "responses")
LIFETIMES = ("timeout", "until", "permanent")
RESPONSE_KEYS = ("response", "observable", *LIFETIMES, "repeated_offenders", "offences", "hosts", "reason", "override")


class Kind(NamedTuple):
    """What a policy may say of a kind of response. observables: the first unless the policy says another.

    sweeping: it may go to all hosts, and to alerts picked by something else than the ids of rules.
    """

    observables: Sequence[str]
    guard_entries: Sequence[str]
    sweeping: bool
    backends: Sequence[str] = ()
    switches: Sequence[str] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """What a response of this kind may say."""
        return (*RESPONSE_KEYS, *(("backend",) if self.backends else ()), *self.switches)


KINDS: Mapping[str, Kind] = {
    "firewall_drop": Kind((ADDRESS, DESTINATION), ADDRESS_ENTRIES, sweeping=True, backends=("auto", "nftables", "ipset")),
    "disable_account": Kind((USER,), ACCOUNT_ENTRIES, sweeping=False, switches=("end_sessions",)),
}


@dataclass(frozen=True)
class Hosts:
    """On which hosts: the alert's own agent, all of the inventory, the Wazuh manager, some of its groups, or those of some agents."""

    kind: str = OWN
    groups: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """One response a rule calls for. `options` are those of module respond, as it takes them. `observable`: what of the alert it acts on.

    fleet: repeated offenders are those who attacked any host, not just the one that is to act.
    """

    response: str
    options: Mapping[str, Any]
    hosts: Hosts = Hosts()
    reason: str = ""
    observable: str = ""
    fleet: bool = False


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
    max_age: int = MAX_AGE  # seconds
    table: Table = COMMON  # where observables are looked for
    allow: Allow = field(default_factory=Allow)
    limits: Limits = field(default_factory=Limits)


def read_policy(data: object) -> tuple[Policy | None, list[str]]:
    """A loaded YAML document -> the policy, or everything that is wrong with it."""
    policy, flaws = examine_policy(data)
    return policy, [flaw.message for flaw in flaws]


def examine_policy(data: object, files: Files | None = None, lines: Mapping[str, int] | None = None) -> tuple[Policy | None, list[Flaw]]:
    """files: what stands in the files that allow.files_of named. lines: path of a key -> its line in the file; then the flaws come in its order."""
    reader = _Reader(lines)
    policy = reader.policy(data, files or {})
    if reader.flaws:
        return None, sorted(reader.flaws, key=lambda flaw: flaw.line or 0)
    return policy, []


class _Reader(Checks):
    def policy(self, data: object, files: Files) -> Policy:
        given = self.mapping("", data, POLICY_KEYS)
        mode = self.choice("mode", given.get("mode"), MODES)
        rules = tuple(self.rule(f"rules[{at}]", each, mode) for at, each in enumerate(self.items("rules", given.get("rules"))))
        names = [rule.name for rule in rules]
        for at, name in enumerate(names):
            if name and name in names[:at]:
                self.wrong(f"rules[{at}].name", name, "another rule has this name; results name their rule, so each needs its own")
        return Policy(
            mode,
            rules,
            self.switch("find_hosts_by_name", given.get("find_hosts_by_name", False)),
            self.seconds("max_age", given["max_age"]) if "max_age" in given else MAX_AGE,
            self.table(given["observables"]) if "observables" in given else COMMON,
            read_allow(self, "allow", given["allow"], files) if "allow" in given else Allow(),
            read_limits(self, "breakers", given["breakers"]) if "breakers" in given else Limits(),
        )

    def table(self, data: Any) -> Table:
        wrong = check_own(data)
        for text in wrong:
            key = text.partition(":")[0]
            known = isinstance(data, Mapping) and key.partition("[")[0] in data
            self.flaw(f"observables.{key}" if known else "observables", f"observables.{text}" if known else f"observables: {text}")
        return COMMON if wrong else Table(data)

    def rule(self, path: str, data: object, mode: str) -> Rule:
        given = self.mapping(path, data, RULE_KEYS)
        if "mode" in given:
            mode = self.choice(f"{path}.mode", given["mode"], MODES)
        match = read_match(self, f"{path}.match", given.get("match"))
        items = self.items(f"{path}.responses", given.get("responses"))
        named = isinstance(given.get("match"), Mapping) and "rule_ids" in given["match"]
        responses = tuple(self.response(f"{path}.responses[{at}]", each, named) for at, each in enumerate(items))
        return Rule(self.text(f"{path}.name", given.get("name"), 100), mode, match, responses)

    def response(self, path: str, data: object, rules_named: bool) -> Response:
        name = data.get("response") if isinstance(data, Mapping) else None
        kind = KINDS.get(name) if isinstance(name, str) else None
        if not isinstance(data, Mapping) or kind is None:
            self.wrong(f"{path}.response", name if isinstance(data, Mapping) else data, f"it must be one of {', '.join(KINDS)}")
            return Response("", {})
        given = self.mapping(path, data, kind.keys)
        options = self.lifetime(path, given)
        if "repeated_offenders" in given:
            options["repeated_offenders"] = self.repeated_offenders(f"{path}.repeated_offenders", given)
        fleet = "offences" in given and self.offences(f"{path}.offences", given) == FLEET
        if kind.backends and "backend" in given:
            options["backend"] = self.choice(f"{path}.backend", given["backend"], kind.backends)
        if "override" in given:
            options["override"] = self.override(f"{path}.override", given["override"], kind)
        options.update({key: self.switch(f"{path}.{key}", given[key]) for key in kind.switches if key in given})
        reason = self.text(f"{path}.reason", given["reason"], 200) if "reason" in given else ""
        hosts = self.hosts(f"{path}.hosts", given.get("hosts", OWN))
        observable = self.choice(f"{path}.observable", given.get("observable", kind.observables[0]), kind.observables)
        if not kind.sweeping:
            self.aim(path, str(name), rules_named, hosts)
        return Response(str(name), options, hosts, reason, observable, fleet)

    def aim(self, path: str, name: str, rules_named: bool, hosts: Hosts) -> None:
        if hosts.kind == ALL:
            self.wrong(f"{path}.hosts", ALL, f"{name} must name its hosts: only addresses may be answered on all hosts")
        if not rules_named:
            self.wrong(f"{path}.response", name, "its rule must name each Wazuh rule in match.rule_ids; a level or group alone is too wide for it")

    def lifetime(self, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
        chosen = [key for key in LIFETIMES if key in given]
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
        text = value.isoformat() if isinstance(value, date) else str(value) if is_number(value) else value
        if not isinstance(text, str):
            self.wrong(f"{path}.{key}", value, "it must be a moment such as 2027-01-01T00:00:00Z")
            return {}
        try:
            parse_moment(key, text)
        except BadInput as error:
            self.flaw(f"{path}.{key}", f"{path}.{error}")
        return {key: text}

    def repeated_offenders(self, path: str, given: Mapping[str, Any]) -> list[str]:
        if "timeout" not in given:
            self.wrong(path, given["repeated_offenders"], "it says how long a repeat stands, so it needs timeout beside it")
        items = self.items(path, given["repeated_offenders"])
        return [self.duration(f"{path}[{at}]", each) for at, each in enumerate(items)]

    def offences(self, path: str, given: Mapping[str, Any]) -> str:
        if "repeated_offenders" not in given:
            self.wrong(path, given["offences"], "it says whose offences count for repeated_offenders, which is not there")
        return self.choice(path, given["offences"], OFFENCES)

    def override(self, path: str, value: object, kind: Kind) -> list[str]:
        names = self.texts(path, value)
        try:
            check_overrides(names, kind.guard_entries)
        except BadInput as error:
            self.flaw(path, f"{path}: {error}")
        return list(names)

    def hosts(self, path: str, value: object) -> Hosts:
        if isinstance(value, str) and value in (OWN, ALL, SERVER):
            return Hosts(str(value))
        if not isinstance(value, Mapping) or len(value) != 1:
            self.wrong(path, value, "it must be own, all, server, {groups: [GROUP, …]}, or {agents: [ID, …]}")
            return Hosts()
        given = self.mapping(path, value, (GROUPS, AGENTS))
        if AGENTS in given:
            ids = self.items(f"{path}.agents", given[AGENTS])
            return Hosts(AGENTS, agents=tuple(read_agent_id(self, f"{path}.agents[{at}]", each) for at, each in enumerate(ids)))
        groups = self.texts(f"{path}.groups", given.get(GROUPS))
        if ALL in groups:
            self.wrong(f"{path}.groups", value.get("groups"), "group all is every host; say hosts: all")
        return Hosts(GROUPS, groups)
