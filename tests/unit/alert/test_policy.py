# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy: what is wrong with one is told all at once, by path, value and rule; what matches is narrow."""

from __future__ import annotations

import copy
from datetime import date, datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import KINDS, Hosts, Match, read_policy
from ansible_collections.riposte.active_response.plugins.module_utils.host.account import DisableAccount
from ansible_collections.riposte.active_response.plugins.module_utils.host.firewall.drop import BACKENDS, FirewallDrop
from ansible_collections.riposte.active_response.plugins.module_utils.host.kind import KINDS as ENGINE_KINDS

PLAIN: dict[str, Any] = {
    "mode": "enforce",
    "rules": [
        {"name": "ssh brute force", "match": {"rule_ids": ["5712", "5763"]}, "responses": [{"response": "firewall_drop", "timeout": "10m"}]},
    ],
}


DROP: dict[str, Any] = {"response": "firewall_drop", "timeout": "10m"}
LOCK: dict[str, Any] = {"response": "disable_account", "timeout": "10m"}


def changed(path: str, value: object) -> dict[str, Any]:
    """PLAIN with the value at a path such as rules.0.match changed, or taken away by `...`."""
    policy = copy.deepcopy(PLAIN)
    *way, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    holder: Any = policy
    for name in way:
        holder = holder[name]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return policy


def response(**options: object) -> dict[str, Any]:
    return changed("rules.0.responses", [options])


def errors(data: object) -> list[str]:
    policy, said = read_policy(data)
    assert (policy is None) == bool(said)
    return said


def test_what_a_policy_says() -> None:
    policy, said = read_policy(
        {
            "mode": "observe",
            "find_hosts_by_name": True,
            "rules": [
                {
                    "name": "all of it",
                    "mode": "enforce",
                    "match": {"rule_ids": ["5712", 5763], "level": 10, "groups": ["sshd"]},
                    "responses": [
                        {
                            "response": "firewall_drop",
                            "timeout": 600,
                            "hosts": "all",
                            "backend": "ipset",
                            "override": ["gateway", "never:10.0.0.1"],
                            "reason": "why",
                        },
                        {"response": "disable_account", "permanent": True, "end_sessions": False, "hosts": {"groups": ["web"]}},
                        {"response": "firewall_drop", "until": datetime(2027, 1, 1, tzinfo=timezone.utc)},
                    ],
                },
                {"name": "second", "match": {"level": 12}, "responses": [{"response": "firewall_drop", "timeout": "10m", "hosts": "own"}]},
                {
                    "name": "third",
                    "match": {"rule_ids": ["5503"]},
                    "responses": [{"response": "disable_account", "timeout": "10m", "repeated_offenders": ["30m", 7200], "hosts": {"agents": ["007", "12"]}}],
                },
            ],
        }
    )
    assert said == []
    assert policy
    first, second, third = policy.rules
    assert (policy.mode, policy.find_hosts_by_name, first.mode, second.mode) == ("observe", True, "enforce", "observe")
    assert first.match == Match(("5712", "5763"), 10, ("sshd",))
    assert [each.options for each in first.responses] == [
        {"timeout": "600", "backend": "ipset", "override": ["gateway", "never:10.0.0.1"]},
        {"permanent": True, "end_sessions": False},
        {"until": "2027-01-01T00:00:00+00:00"},
    ]
    assert [each.hosts for each in first.responses] == [Hosts("all"), Hosts("groups", ("web",)), Hosts("own")]
    assert [each.reason for each in first.responses] == ["why", "", ""]
    [lock] = third.responses
    assert lock.options == {"timeout": "10m", "repeated_offenders": ["30m", "7200"]}
    assert lock.hosts == Hosts("agents", agents=("007", "12"))


# name: (policy, what each error begins with; @ is rules[0].responses[0], @match is rules[0].match)
WRONG: dict[str, tuple[object, list[str]]] = {
    "nothing": (None, ["the policy: None: it is missing", "mode: None: it must be said", "rules: None: it is missing"]),
    "a list": ([], ["the policy: []: it must be a mapping", "mode", "rules"]),
    "mode not said": (changed("mode", ...), ["mode: None: it must be said: observe or enforce"]),
    "mode unknown": (changed("mode", "approve"), ["mode: 'approve': it must be observe or enforce"]),
    "mode true": (changed("mode", True), ["mode: True: it must be observe or enforce"]),
    "mode of a rule null": (changed("rules.0.mode", None), ["rules[0].mode: None: it must be said"]),
    "unknown key": (changed("modus", 1), ["modus: 1: there is no such key; the keys here are mode, rules, find_hosts_by_name"]),
    "unknown key that is no text": ({**PLAIN, 7: 1}, ["7: 1: there is no such key"]),
    "unknown key of a rule": (changed("rules.0.when", 1), ["rules[0].when: 1: there is no such key"]),
    "unknown key of a match": (changed("rules.0.match.rule_id", "5712"), ["@match.rule_id: '5712': there is no such key"]),
    "unknown key of a response": (response(**DROP, target="x"), ["@.target: 'x': there is no such key"]),
    "end_sessions of a block": (response(**DROP, end_sessions=True), ["@.end_sessions: True: there is no such key"]),
    "backend of a lock": (response(**LOCK, backend="auto"), ["@.backend: 'auto': there is no such key"]),
    "no rules": (changed("rules", []), ["rules: []: it must be a list with at least one entry"]),
    "a rule that is text": (changed("rules.0", "x"), ["rules[0]: 'x': it must be a mapping"] + ["rules[0]"] * 3),
    "a rule without name": (changed("rules.0.name", ...), ["rules[0].name: None: it must be text of 1 to 100 printable characters"]),
    "a rule with an empty name": (changed("rules.0.name", ""), ["rules[0].name: '': it must be text"]),
    "a rule name that colours terminals": (changed("rules.0.name", "\x1b[31m"), ["rules[0].name: '\\x1b[31m': it must be text"]),
    "two rules of a name": (changed("rules", PLAIN["rules"] * 2), ["rules[1].name: 'ssh brute force': another rule has this name"]),
    "no match": (changed("rules.0.match", ...), ["@match: None: it is missing"]),
    "an empty match": (changed("rules.0.match", {}), ["@match: {}: an empty match matches nothing"]),
    "no rule ids": (changed("rules.0.match.rule_ids", []), ["@match.rule_ids: []: it must be a list"]),
    "rule ids as text": (changed("rules.0.match.rule_ids", "5712"), ["@match.rule_ids: '5712': it must be a list"]),
    "a rule id null": (changed("rules.0.match.rule_ids", [None]), ["@match.rule_ids[0]: None: it must be the id"]),
    "a rule id with a pattern": (changed("rules.0.match.rule_ids", ["57*"]), ["@match.rule_ids[0]: '57*': it must be the id"]),
    "a level as text": (changed("rules.0.match.level", "10"), ["@match.level: '10': it must be the lowest level to match"]),
    "a level that all have": (changed("rules.0.match.level", 0), ["@match.level: 0: it must be the lowest level to match"]),
    "a level that none has": (changed("rules.0.match.level", 17), ["@match.level: 17: it must be the lowest level to match"]),
    "a level null": (changed("rules.0.match.level", None), ["@match.level: None: it must be the lowest level to match"]),
    "a level true": (changed("rules.0.match.level", True), ["@match.level: True: it must be the lowest level to match"]),
    "groups as text": (changed("rules.0.match.groups", "sshd"), ["@match.groups: 'sshd': it must be a list"]),
    "no responses": (changed("rules.0.responses", []), ["rules[0].responses: []: it must be a list"]),
    "responses as a mapping": (changed("rules.0.responses", DROP), ["rules[0].responses: {'response': 'firewall_drop', 'timeout': '10m'}: it must be a list"]),
    "an unknown response": (
        response(response="firewall_dorp"),
        ["@.response: 'firewall_dorp': it must be one of firewall_drop, disable_account"],
    ),
    "a response that is text": (changed("rules.0.responses", ["firewall_drop"]), ["@.response: 'firewall_drop': it must be one of"]),
    "no lifetime": (response(response="firewall_drop"), ["@: {}: give exactly one of timeout, until, permanent: true"]),
    "two lifetimes": (response(**DROP, permanent=True), ["@: {'timeout': '10m', 'permanent': True}: give exactly one"]),
    "permanent false": (response(response="firewall_drop", permanent=False), ["@.permanent: False: it can only be true"]),
    "permanent 1": (response(response="firewall_drop", permanent=1), ["@.permanent: 1: it can only be true"]),
    "a timeout in parsecs": (
        response(response="firewall_drop", timeout="10 parsecs"),
        ["@.timeout '10 parsecs': it must be a whole number"],
    ),
    "a timeout of -1": (response(response="firewall_drop", timeout=-1), ["@.timeout '-1': it must be a whole number"]),
    "a timeout of 0": (response(response="firewall_drop", timeout=0), ["@.timeout '0': it must be from 1 second to 366 days"]),
    "a timeout of 1e9": (response(response="firewall_drop", timeout=1e9), ["@.timeout: 1000000000.0: it must be a duration"]),
    "a timeout null": (response(response="firewall_drop", timeout=None), ["@.timeout: None: it must be a duration"]),
    "a timeout of true": (response(response="firewall_drop", timeout=True), ["@.timeout: True: it must be a duration"]),
    "an end without a zone": (response(response="firewall_drop", until="2027-01-01"), ["@.until '2027-01-01': it must be a moment"]),
    "an end that YAML took for a date": (
        response(response="firewall_drop", until=date(2027, 1, 1)),
        ["@.until '2027-01-01': it must be a moment"],
    ),
    "an unknown backend": (response(**DROP, backend="pf"), ["@.backend: 'pf': it must be auto or nftables or ipset"]),
    "an unknown override": (response(**DROP, override=["gatway"]), ["@.override: override 'gatway': no guard entry has this name"]),
    "an override of the other kind": (response(**DROP, override=["root"]), ["@.override: override 'root': no guard entry"]),
    "override all": (response(**DROP, override="all"), ["@.override: 'all': it must be a list"]),
    "hosts unknown": (response(**DROP, hosts="web"), ["@.hosts: 'web': it must be own, all, {groups: [GROUP, …]}, or {agents: [ID, …]}"]),
    "hosts null": (response(**DROP, hosts=None), ["@.hosts: None: it must be own, all"]),
    "hosts as a list": (response(**DROP, hosts=["web1"]), ["@.hosts: ['web1']: it must be own, all"]),
    "no groups": (response(**DROP, hosts={"groups": []}), ["@.hosts.groups: []: it must be a list with at least one entry"]),
    "group all": (response(**DROP, hosts={"groups": ["all"]}), ["@.hosts.groups: ['all']: group all is every host"]),
    "groups and agents": (response(**DROP, hosts={"groups": ["web"], "agents": ["001"]}), ["@.hosts: {'groups': ['web'], 'agents': ['001']}: it must be own"]),
    "hosts empty": (response(**DROP, hosts={}), ["@.hosts: {}: it must be own"]),
    "hosts of what is not known": (response(**DROP, hosts={"names": ["web1"]}), ["@.hosts.names: ['web1']: there is no such key", "@.hosts.groups: None"]),
    "no agents": (response(**DROP, hosts={"agents": []}), ["@.hosts.agents: []: it must be a list with at least one entry"]),
    "an agent without quotes": (response(**DROP, hosts={"agents": [10]}), ["@.hosts.agents[0]: 10: it must be the id of a Wazuh agent in quotes"]),
    "an agent that is a pattern": (response(**DROP, hosts={"agents": ["00*"]}), ["@.hosts.agents[0]: '00*': it must be the id of a Wazuh agent"]),
    "repeats without a timeout": (
        response(response="firewall_drop", permanent=True, repeated_offenders=["1h"]),
        ["@.repeated_offenders: ['1h']: it says how long a repeat stands, so it needs timeout beside it"],
    ),
    "repeats as text": (response(**DROP, repeated_offenders="30m"), ["@.repeated_offenders: '30m': it must be a list"]),
    "no repeats": (response(**DROP, repeated_offenders=[]), ["@.repeated_offenders: []: it must be a list with at least one entry"]),
    "a repeat in parsecs": (response(**DROP, repeated_offenders=["1h", "2 parsecs"]), ["@.repeated_offenders[1] '2 parsecs': it must be a whole number"]),
    "a repeat null": (response(**DROP, repeated_offenders=[None]), ["@.repeated_offenders[0]: None: it must be a duration"]),
    "an account on all hosts": (response(**LOCK, hosts="all"), ["@.hosts: 'all': disable_account must name its hosts"]),
    "an account on group all": (
        response(**LOCK, hosts={"groups": ["web", "all"]}),
        ["@.hosts.groups: ['web', 'all']: group all is every host"],
    ),
    "an account for a level": (
        {**PLAIN, "rules": [{"name": "x", "match": {"level": 12, "groups": ["sshd"]}, "responses": [LOCK]}]},
        ["@.response: 'disable_account': its rule must name each Wazuh rule in match.rule_ids"],
    ),
    "end_sessions as text": (response(**LOCK, end_sessions="no"), ["@.end_sessions: 'no': it must be true or false"]),
    "find_hosts_by_name as text": (changed("find_hosts_by_name", "yes"), ["find_hosts_by_name: 'yes': it must be true or false"]),
    "a reason of 300 characters": (response(**DROP, reason="x" * 300), ["@.reason: 'xxx"]),
}


@pytest.mark.parametrize(("policy", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_by_path_value_and_rule(policy: object, said: list[str]) -> None:
    found = errors(policy)
    assert len(found) == len(said), found
    for error, begin in zip(found, said):
        assert error.startswith(begin.replace("@match", "rules[0].match").replace("@", "rules[0].responses[0]"))


def test_all_errors_are_told_at_once() -> None:
    policy = changed("mode", "maybe")
    policy["rules"].append({"name": "b", "match": {"level": 99}, "responses": [{"response": "x"}, {"response": "firewall_drop"}]})
    assert [error.split(":")[0] for error in errors(policy)] == ["mode", "rules[1].match.level", "rules[1].responses[0].response", "rules[1].responses[1]"]


ALERT = Alert("1", ("5712", "a-uuid"), 10, ("syslog", "sshd"), "", "001", "web1", None, {})
MATCHES: dict[str, tuple[Match, bool]] = {
    "nothing asked": (Match(), False),
    "one of the rule ids": (Match(("1", "5712")), True),
    "the rule's other name": (Match(("a-uuid",)), True),
    "no rule id": (Match(("571", "57120")), False),
    "the level": (Match(level=10), True),
    "a lower level": (Match(level=9), True),
    "a higher level": (Match(level=11), False),
    "one of the groups": (Match(groups=("web", "sshd")), True),
    "part of a group's name": (Match(groups=("ssh",)), False),
    "all of it": (Match(("5712",), 10, ("sshd",)), True),
    "all but the rule id": (Match(("1",), 10, ("sshd",)), False),
    "all but the level": (Match(("5712",), 11, ("sshd",)), False),
    "all but the groups": (Match(("5712",), 10, ("web",)), False),
}


@pytest.mark.parametrize(("match", "expected"), MATCHES.values(), ids=MATCHES)
def test_all_that_a_match_asks_for_must_hold(match: Match, expected: bool) -> None:
    assert match.matches(ALERT) is expected


def test_policy_and_engine_know_the_same_kinds_and_backends() -> None:
    assert tuple(KINDS) == ENGINE_KINDS == (FirewallDrop.name, DisableAccount.name)
    assert tuple(KINDS[FirewallDrop.name].backends) == ("auto", *BACKENDS)


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers() | st.booleans() | st.none(), inner, max_size=3),
    max_leaves=8,
)
PLACES = ["mode", "rules", "rules.0", "rules.0.name", "rules.0.match", "rules.0.responses"]
PLACES += [f"rules.0.match.{key}" for key in ("rule_ids", "level", "groups")]
OPTIONS = ["response", "timeout", "repeated_offenders", "until", "permanent", "hosts", "reason", "backend", "override", "end_sessions"]


@given(YAML)
def test_no_document_raises(value: object) -> None:
    policy, said = read_policy(value)
    assert policy is None
    assert said


@given(st.sampled_from(PLACES), YAML)
def test_no_value_of_any_key_raises(path: str, value: object) -> None:
    errors(changed(path, value))


@given(st.sampled_from(OPTIONS), YAML, st.sampled_from([DROP, LOCK]))
def test_no_value_of_a_response_raises(key: str, value: object, plain: dict[str, Any]) -> None:
    errors(changed("rules.0.responses", [{**plain, key: value}]))
