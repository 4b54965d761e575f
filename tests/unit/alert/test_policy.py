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
from ansible_collections.riposte.active_response.plugins.module_utils.alert.breakers import Limits
from ansible_collections.riposte.active_response.plugins.module_utils.alert.match import Match, Wanted
from ansible_collections.riposte.active_response.plugins.module_utils.alert.observables import FIELDS, find
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import KINDS, Hosts, examine_policy, read_policy
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
    "mode not said": (changed("mode", ...), ["mode: None: it must be said: observe or approve or enforce"]),
    "mode unknown": (changed("mode", "ask"), ["mode: 'ask': it must be observe or approve or enforce"]),
    "mode true": (changed("mode", True), ["mode: True: it must be observe or approve or enforce"]),
    "mode of a rule null": (changed("rules.0.mode", None), ["rules[0].mode: None: it must be said"]),
    "unknown key": (
        changed("modus", 1),
        ["modus: 1: there is no such key; the keys here are mode, rules, find_hosts_by_name, max_age, observables, allow, breakers"],
    ),
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
    "hosts unknown": (response(**DROP, hosts="web"), ["@.hosts: 'web': it must be own, all, server, {groups: [GROUP, …]}, or {agents: [ID, …]}"]),
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
    "offences without repeats": (response(**DROP, offences="fleet"), ["@.offences: 'fleet': it says whose offences count for repeated_offenders"]),
    "offences of nobody": (response(**DROP, repeated_offenders=["1h"], offences="all"), ["@.offences: 'all': it must be host or fleet"]),
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
    "max_age as text": (changed("max_age", "soon"), ["max_age 'soon': it must be a whole number of seconds, or a number with s, m, h, d or w"]),
    "max_age of nothing": (changed("max_age", 0), ["max_age '0': it must be from 1 second to 366 days; for longer say permanent: true"]),
    "find_hosts_by_name as text": (changed("find_hosts_by_name", "yes"), ["find_hosts_by_name: 'yes': it must be true or false"]),
    "a reason of 300 characters": (response(**DROP, reason="x" * 300), ["@.reason: 'xxx"]),
    "agents and nothing else": (changed("rules.0.match", {"agents": ["001"]}), ["@match: {'agents': ['001']}: agents say where an alert is from"]),
    "agents of a match without quotes": (changed("rules.0.match.agents", [12]), ["@match.agents[0]: 12: it must be the id of a Wazuh agent in quotes"]),
    "a technique's name": (changed("rules.0.match.mitre", ["Brute Force"]), ["@match.mitre[0]: 'Brute Force': it must be the id of a MITRE technique"]),
    "a tactic": (changed("rules.0.match.mitre", ["TA0006"]), ["@match.mitre[0]: 'TA0006': it must be the id of a MITRE technique"]),
    "fields as a list": (changed("rules.0.match.fields", ["a"]), ["@match.fields: ['a']: it must be a mapping of 1 to 50 fields"]),
    "no fields": (changed("rules.0.match.fields", {}), ["@match.fields: {}: it must be a mapping of 1 to 50 fields"]),
    "too many fields": (changed("rules.0.match.fields", {f"a{at}": "x" for at in range(51)}), ["@match.fields: {'a0': 'x'"]),
    "a field without a name in it": (changed("rules.0.match.fields", {"a..b": "x"}), ["@match.fields.a..b: 'a..b': a field is named by 1 to 20 names"]),
    "a field of 21 names": (changed("rules.0.match.fields", {".".join("a" * 21): "x"}), ["@match.fields.a.a.a"]),
    "a field whose name is a number": (changed("rules.0.match.fields", {7: "x"}), ["@match.fields.7: 7: a field is named by"]),
    "a field that is null": (changed("rules.0.match.fields", {"a": None}), ["@match.fields.a: None: it must be text of 1 to 1000 characters"]),
    "a field that is a mapping": (changed("rules.0.match.fields", {"a": {"b": "c"}}), ["@match.fields.a: {'b': 'c'}: it must be text"]),
    "a field that is half a number": (changed("rules.0.match.fields", {"a": 0.5}), ["@match.fields.a: 0.5: it must be text"]),
    "a field that is empty": (changed("rules.0.match.fields", {"a": ""}), ["@match.fields.a: '': it must be text of 1 to 1000 characters"]),
    "a field that is one of nothing": (changed("rules.0.match.fields", {"a": []}), ["@match.fields.a: []: it must be a list with at least one entry"]),
    "a field that is one of some that are none": (changed("rules.0.match.fields", {"a": ["x", []]}), ["@match.fields.a[1]: []: it must be text"]),
    "an observable of another kind": (response(**DROP, observable="user"), ["@.observable: 'user': it must be address or destination"]),
    "an account's observable is the user": (response(**LOCK, observable="address"), ["@.observable: 'address': it must be user"]),
    "a block's observable null": (response(**DROP, observable=None), ["@.observable: None: it must be said: address or destination"]),
    "observables as a list": (changed("observables", ["data.a"]), ["observables: ['data.a']: it must be a mapping of address, destination"]),
    "observables of an unknown kind": (changed("observables", {"adress": ["data.a"]}), ["observables: 'adress': it must be one of address"]),
    "an observable that is no list": (changed("observables", {"address": "data.a"}), ["observables.address: it must be a list of 1 to 100 paths"]),
    "an observable with an empty name in it": (
        changed("observables", {"address": ["data.a", "data..a"]}),
        ["observables.address[1]: 'data..a': a path is 1 to"],
    ),
    "an observable that is the agent's own": (changed("observables", {"address": ["agent.ip"]}), ["observables.address[0]: 'agent.ip': that is an address of"]),
    "allow as a list": (changed("allow", ["10.0.0.1"]), ["allow: ['10.0.0.1']: it must be a mapping"]),
    "allow nothing": (changed("allow", {}), ["allow: {}: an empty list spares nobody"]),
    "allow what is not known": (changed("allow", {"adresses": ["10.0.0.1"]}), ["allow.adresses: ['10.0.0.1']: there is no such key"]),
    "allow a name among the addresses": (changed("allow", {"addresses": ["web1"]}), ["allow.addresses[0]: address 'web1': it is not an address or network"]),
    "allow everybody": (changed("allow", {"addresses": ["0.0.0.0/0"]}), ["allow.addresses[0]: address '0.0.0.0/0': a network of prefix length 0 is everybody"]),
    "allow a network with host bits": (changed("allow", {"addresses": ["10.0.0.1/8"]}), ["allow.addresses[0]: address '10.0.0.1/8': it has bits set"]),
    "allow a number": (changed("allow", {"addresses": [10]}), ["allow.addresses[0]: 10: it must be an address or network"]),
    "allow a host without a name": (changed("allow", {"hosts": [""]}), ["allow.hosts[0]: '': it must be text"]),
    "allow a file that nobody read": (changed("allow", {"cdb_lists": ["/x"]}), ["allow.cdb_lists[0]: '/x': this file was not read, so nothing is done"]),
    "allow a file that is none": (changed("allow", {"white_lists": [None]}), ["allow.white_lists[0]: None: it must be text"]),
    "breakers as a number": (changed("breakers", 5), ["breakers: 5: it must be a mapping"]),
    "a breaker that is not known": (changed("breakers", {"blocks": 5}), ["breakers.blocks: 5: there is no such key; the keys here are blocks_per_run"]),
    "a breaker of -1": (changed("breakers", {"blocks_per_run": -1}), ["breakers.blocks_per_run: -1: it must be a whole number from 0 to 1000000"]),
    "a breaker null": (changed("breakers", {"blocks_per_minute": None}), ["breakers.blocks_per_minute: None: it must be a whole number"]),
    "a breaker as text": (changed("breakers", {"accounts_per_hour": "5"}), ["breakers.accounts_per_hour: '5': it must be a whole number"]),
    "a breaker true": (changed("breakers", {"accounts_per_hour": True}), ["breakers.accounts_per_hour: True: it must be a whole number"]),
    "no share of hosts": (changed("breakers", {"hosts_percent": 0}), ["breakers.hosts_percent: 0: it must be a whole number from 1 to 100"]),
    "more than all hosts": (changed("breakers", {"hosts_percent": 101}), ["breakers.hosts_percent: 101: it must be a whole number from 1 to 100"]),
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


RAW: dict[str, Any] = {
    "rule": {"mitre": {"id": ["T1110", "T1021.001"]}},
    "decoder": {"name": "sshd"},
    "source.ip": "203.0.113.9",
    "data": {
        "win": {"system": {"channel": "Security"}},
        "port": 22,
        "initiated": True,
        "nothing": None,
        "tags": ["a", "b", ["c"]],
        "evidence": [{"ip": "10.0.0.1"}, {"ip": "203.0.113.9"}],
        "a.b": {"c.d": "e"},
    },
}
ALERT = Alert("1", ("5712", "a-uuid"), 10, ("syslog", "sshd", "attack.t1078.004"), "", "001", "web1", None, RAW)
MATCHES: dict[str, tuple[Match, bool]] = {
    "one of the agents": (Match(level=1, agents=("7", "001")), True),
    "an agent without zeros": (Match(level=1, agents=("1",)), True),
    "another agent": (Match(level=1, agents=("011", "0")), False),
    "a technique": (Match(mitre=("T1021", "T1110")), True),
    "a sub-technique's technique": (Match(mitre=("T1021",)), True),
    "a sub-technique": (Match(mitre=("T1021.001",)), True),
    "another sub-technique": (Match(mitre=("T1021.002",)), False),
    "a technique whose number begins alike": (Match(mitre=("T102",)), False),
    "a sub-technique of what is only a technique": (Match(mitre=("T1110.001",)), False),
    "a technique among the tags": (Match(mitre=("T1078.004",)), True),
    "a field": (Match(fields=(Wanted("data.win.system.channel", ("Security",)),)), True),
    "one of a field's values": (Match(fields=(Wanted("data.win.system.channel", ("System", "Security")),)), True),
    "a field in another case": (Match(fields=(Wanted("data.win.system.channel", ("security",)),)), False),
    "a field's name in another case": (Match(fields=(Wanted("data.Win.system.channel", ("Security",)),)), False),
    "a field that begins like that": (Match(fields=(Wanted("data.win.system.channel", ("Secur",)),)), False),
    "a field by a pattern": (Match(fields=(Wanted("data.win.system.channel", (".*", "*")),)), False),
    "all fields": (Match(fields=(Wanted("data.win.system.channel", ("Security",)), Wanted("decoder.name", ("sshd",)))), True),
    "all fields but one": (Match(fields=(Wanted("data.win.system.channel", ("Security",)), Wanted("decoder.name", ("su",)))), False),
    "a field that is a number": (Match(fields=(Wanted("data.port", ("22",)),)), True),
    "a field that is true": (Match(fields=(Wanted("data.initiated", ("true",)),)), True),
    "a field that is true, as Python says it": (Match(fields=(Wanted("data.initiated", ("True", "1")),)), False),
    "a field that is null": (Match(fields=(Wanted("data.nothing", ("None", "null")),)), False),
    "a field that is an object": (Match(fields=(Wanted("data.win", ("system",)),)), False),
    "a field that is not there": (Match(fields=(Wanted("data.lin.system.channel", ("Security",)),)), False),
    "a field below a text": (Match(fields=(Wanted("decoder.name.x", ("sshd",)),)), False),
    "an item of a list": (Match(fields=(Wanted("data.tags", ("b",)),)), True),
    "a field of an object in a list": (Match(fields=(Wanted("data.evidence.ip", ("203.0.113.9",)),)), True),
    "a name with dots in it": (Match(fields=(Wanted("source.ip", ("203.0.113.9",)),)), True),
    "a name with dots in it, further down": (Match(fields=(Wanted("data.a.b.c.d", ("e",)),)), True),
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a", "b", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "a.b", "b.a", ""]), inner, max_size=3),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "rule", "a.b", "threat"]), JSON), st.lists(st.sampled_from(["a", "b", "mitre", "id"]), min_size=1, max_size=6)
)
def test_whatever_an_alert_holds_a_field_matches_only_a_text_that_is_in_it(raw: dict[str, Any], names: list[str]) -> None:
    seen = Alert("1", ("1",), 1, (), "", None, None, None, raw)
    for text in ("a", "x", "true", "0"):
        if Match(fields=(Wanted(".".join(names), (text,)),)).matches(seen):
            assert text in repr(raw).replace("True", "true")
    Match(mitre=("T1110",)).matches(seen)


def test_keys_that_were_added_change_nothing_where_they_are_not_said() -> None:
    policy, _said = read_policy(PLAIN)
    assert policy
    assert (policy.max_age, policy.limits, policy.allow.entries, policy.allow.hosts) == (3600, Limits(), (), ())
    assert [each.observable for each in policy.rules[0].responses] == ["address"]


def test_what_the_added_keys_say() -> None:
    policy, said = read_policy(
        {
            "mode": "approve",
            "max_age": "2h",
            "observables": {"address": ["data.my.client"]},
            "allow": {"addresses": ["198.51.100.7", "10.0.0.0/8", "2001:DB8:0::/48"], "hosts": ["scanner1"]},
            "breakers": {"blocks_per_run": 5, "blocks_per_minute": 6, "accounts_per_hour": 0, "hosts_percent": 30},
            "rules": [
                {
                    "name": "all of it",
                    "match": {"rule_ids": ["5712"], "mitre": ["T1110", "T1021.001"], "agents": ["7"], "fields": {"a.b": 1, "c": [True, "x"]}},
                    "responses": [{**DROP, "observable": "destination", "hosts": "server"}, {**LOCK, "observable": "user", "hosts": "server"}],
                },
            ],
        }
    )
    assert policy, said
    [rule] = policy.rules
    assert (policy.mode, rule.mode, policy.max_age, policy.limits) == ("approve", "approve", 7200, Limits(5, 6, 0, 30))
    assert [entry.network.text for entry in policy.allow.entries] == ["198.51.100.7", "10.0.0.0/8", "2001:db8::/48"]
    assert policy.allow.hosts == ("scanner1",)
    assert rule.match == Match(("5712",), mitre=("T1110", "T1021.001"), agents=("7",), fields=(Wanted("a.b", ("1",)), Wanted("c", ("true", "x"))))
    assert [(each.observable, each.hosts) for each in rule.responses] == [("destination", Hosts("server")), ("user", Hosts("server"))]
    mine = Alert("1", ("1",), 1, (), "", None, None, None, {"data": {"my": {"client": "203.0.113.9"}, "srcip": "203.0.113.10"}})
    assert (find(mine, "address", policy.table).value, find(mine, "address").value) == ("203.0.113.9", "203.0.113.10")


def test_each_observable_that_a_kind_may_act_on_is_looked_for_somewhere() -> None:
    assert {observable for kind in KINDS.values() for observable in kind.observables} <= {field.kind for field in FIELDS}


def test_errors_have_their_lines_and_come_in_their_order() -> None:
    lines = {"": 1, "rules": 1, "rules[0]": 2, "rules[0].match": 3, "rules[0].match.level": 4, "mode": 9}
    policy = changed("rules.0.match", {"level": 99, "mitre": ["x"]})
    policy["mode"] = "maybe"
    del policy["rules"][0]["name"]
    none, flaws = examine_policy(policy, lines=lines)
    assert none is None
    assert [(flaw.line, flaw.key) for flaw in flaws] == [(2, "rules[0].name"), (3, "rules[0].match.mitre[0]"), (4, "rules[0].match.level"), (9, "mode")]
    assert str(flaws[0]) == "line 2: rules[0].name: None: it must be text of 1 to 100 printable characters"


def test_policy_and_engine_know_the_same_kinds_and_backends() -> None:
    assert tuple(KINDS) == ENGINE_KINDS == (FirewallDrop.name, DisableAccount.name)
    assert tuple(KINDS[FirewallDrop.name].backends) == ("auto", *BACKENDS)


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers() | st.booleans() | st.none(), inner, max_size=3),
    max_leaves=8,
)
PLACES = ["mode", "rules", "max_age", "observables", "allow", "breakers", "rules.0", "rules.0.name", "rules.0.match", "rules.0.responses"]
PLACES += [f"rules.0.match.{key}" for key in ("rule_ids", "level", "groups", "mitre", "agents", "fields")]
OPTIONS = [
    "response",
    "observable",
    "timeout",
    "repeated_offenders",
    "offences",
    "until",
    "permanent",
    "hosts",
    "reason",
    "backend",
    "override",
    "end_sessions",
]


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
