# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: exactly the hosts that the policy names, and a reason for every alert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert, read_alerts
from ansible_collections.riposte.active_response.plugins.module_utils.alert.breakers import Earlier
from ansible_collections.riposte.active_response.plugins.module_utils.alert.inventory import Inventory
from ansible_collections.riposte.active_response.plugins.module_utils.alert.plan import NOTHING, Approval, Decision, Past, Plan, make_plan
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import Policy, read_policy
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import parse_moment

SAMPLES = Path(__file__).parents[2] / "alerts"
AGENTS: dict[str, object] = {"web1": "001", "web2": "002", "db1": "003", "proxy": None}
GROUPS = {"all": list(AGENTS), "ungrouped": ["proxy"], "web": ["web1", "web2"], "db": ["db1"], "empty": []}


def alert(id: str = "1.1", rule: str = "5712", level: int = 10, agent: str | None = "001", name: str | None = "web1", **data: object) -> Alert:
    raw = {"data": {"srcip": "203.0.113.9", "dstuser": "mallory", **data}}
    return Alert(id, (rule,), level, ("syslog", "sshd"), "sshd: brute force", agent, name, None, raw)


def policy(*responses: dict[str, Any], mode: str = "enforce", **more: Any) -> Policy:
    rule = {"name": "ssh", "match": {"rule_ids": ["5712"]}, "responses": list(responses or [{"response": "firewall_drop", "timeout": "10m"}])}
    read, errors = read_policy({"mode": mode, "rules": [rule], **more})
    assert read, errors
    return read


def drop(hosts: object = "own", **options: object) -> dict[str, Any]:
    return {"response": "firewall_drop", "timeout": "10m", "hosts": hosts, **options}


def planned(
    alerts: list[Alert], by: Policy, agents: dict[str, object] | None = None, groups: dict[str, list[str]] | None = None, since: str | None = None
) -> Plan:
    return make_plan(alerts, by, Inventory(AGENTS if agents is None else agents, GROUPS if groups is None else groups), since)


def only(plan: Plan) -> Decision:
    [decision] = plan.decisions
    return decision


def test_a_plan() -> None:
    [real], _problems = read_alerts((SAMPLES / "gen-sshd-5712-bruteforce.json").read_bytes())
    plan = planned([real], policy(drop(), drop({"groups": ["db"]}, timeout="1h", reason="stop it", override=["gateway"])))
    reason = "(Wazuh rule 5712, level 10: sshd: brute force trying to get access to the system. Non existent user.)"
    common = {"response": "firewall_drop", "targets": ["203.0.113.9"], "alert_id": "1795492383.6793"}
    assert plan.hosts == {
        "web1": [{**common, "timeout": "10m", "reason": f"ssh {reason}"}],
        "db1": [{**common, "timeout": "1h", "override": ["gateway"], "reason": f"stop it {reason}"}],
    }
    assert [decision.as_dict() for decision in plan.decisions] == [
        {
            "alert_id": "1795492383.6793",
            "alert_rule": "5712",
            "outcome": "planned",
            "why": why,
            "rule": "ssh",
            "response": "firewall_drop",
            "target": "203.0.113.9",
            "mode": "enforce",
            "hosts": hosts,
            "held_by": "",
        }
        for why, hosts in [("data.srcip; agent 001", ["web1"]), ("data.srcip; hosts of db", ["db1"])]
    ]


# name: (alert, policy, hosts, what `why` holds)
WHERE: dict[str, tuple[Alert, Policy, list[str], str]] = {
    "its own agent": (alert(), policy(), ["web1"], "agent 001"),
    "an id without zeros": (alert(agent="3"), policy(), ["db1"], "agent 3"),
    "all": (alert(), policy(drop("all")), list(AGENTS), "all hosts"),
    "all, though the agent is unknown": (alert(agent="099"), policy(drop("all")), list(AGENTS), "all hosts"),
    "a group": (alert(), policy(drop({"groups": ["web"]})), ["web1", "web2"], "hosts of web"),
    "two groups": (alert(), policy(drop({"groups": ["db", "web"]})), ["web1", "web2", "db1"], "hosts of db, web"),
    "a group that is not there": (alert(), policy(drop({"groups": ["wbe"]})), [], "the inventory has no group wbe"),
    "a group beside one that is not there": (alert(), policy(drop({"groups": ["db", "wbe"]})), ["db1"], "hosts of db; the inventory has no group wbe"),
    "an empty group": (alert(), policy(drop({"groups": ["empty"]})), [], "no host is in empty"),
    "a named agent": (alert(agent="099"), policy(drop({"agents": ["002"]})), ["web2"], "agent 002"),
    "named agents": (alert(), policy(drop({"agents": ["3", "001", "003"]})), ["db1", "web1"], "agent 3; agent 001; agent 003"),
    "a named agent beside an unknown one": (
        alert(),
        policy(drop({"agents": ["099", "002"]})),
        ["web2"],
        "agent 099: no host says that wazuh_agent_id; agent 002",
    ),
    "a named agent that is unknown, though the alert's own is not": (alert(), policy(drop({"agents": ["099"]})), [], "agent 099: no host says that"),
    "a named agent is never found by the alert's name": (alert(), policy(drop({"agents": ["099"]}), find_hosts_by_name=True), [], "agent 099: no host says"),
    "the manager by its number": (alert(), policy(drop({"agents": ["000"]})), [], "agent 000 is the Wazuh manager"),
    "an unknown agent": (alert(agent="099"), policy(), [], "agent 099: no host says that wazuh_agent_id"),
    "an unknown agent with a host's name": (alert(agent="099", name="proxy"), policy(), [], "agent 099: no host says that wazuh_agent_id"),
    "by name, if the policy says so": (alert(agent="099", name="proxy"), policy(find_hosts_by_name=True), ["proxy"], "agent 099, found by its name"),
    "by name, without an id": (alert(agent=None, name="proxy"), policy(find_hosts_by_name=True), ["proxy"], "found by its name"),
    "by a name of no host": (alert(agent="099", name="prox"), policy(find_hosts_by_name=True), [], "none is named 'prox'"),
    "by a name that is a pattern": (alert(agent="099", name="all"), policy(find_hosts_by_name=True), [], "none is named 'all'"),
    "by the name of a host with another id": (alert(agent="099", name="web2"), policy(find_hosts_by_name=True), [], "says wazuh_agent_id: 002"),
    "the id before the name": (alert(agent="001", name="proxy"), policy(find_hosts_by_name=True), ["web1"], "agent 001"),
    "no agent": (alert(agent=None, name=None), policy(find_hosts_by_name=True), [], "the alert names no agent id"),
    "the manager": (alert(agent="000", name="proxy"), policy(find_hosts_by_name=True), [], "the Wazuh manager or a device behind it"),
    "the manager, zeros left out": (alert(agent="0", name="proxy"), policy(find_hosts_by_name=True), [], "the Wazuh manager or a device behind it"),
}


@pytest.mark.parametrize(("given_alert", "by", "hosts", "why"), WHERE.values(), ids=WHERE)
def test_where_an_alert_acts(given_alert: Alert, by: Policy, hosts: list[str], why: str) -> None:
    plan = planned([given_alert], by)
    assert list(plan.hosts) == hosts == list(only(plan).hosts)
    assert why in only(plan).why
    assert only(plan).outcome == ("planned" if hosts else "nothing")


def test_agent_000_is_a_host_that_says_so() -> None:
    assert list(planned([alert(agent="000")], policy(), {"manager": "000"}).hosts) == ["manager"]


def test_a_named_agent_that_is_ambiguous_means_nobody() -> None:
    plan = planned([alert()], policy(drop({"agents": ["002", "001"]})), {"web1": "001", "web1.example.com": "1", "web2": "002"})
    assert list(plan.hosts) == ["web2"]
    assert "agent 001 is ambiguous: 2 hosts say" in only(plan).why


def test_longer_and_longer_for_repeats_is_passed_on_as_it_stands() -> None:
    [request] = planned([alert()], policy(drop(repeated_offenders=["30m", "2h", "1d"]))).hosts["web1"]
    assert request["timeout"] == "10m"
    assert request["repeated_offenders"] == ["30m", "2h", "1d"]


def test_an_ambiguous_agent_means_nobody() -> None:
    plan = planned([alert()], policy(find_hosts_by_name=True), {"web1": "001", "web1.example.com": "1"})
    assert plan.hosts == {}
    assert "agent 001 is ambiguous: 2 hosts say that wazuh_agent_id (web1, web1.example.com)" in only(plan).why


# name: (what a host says, agent it answers for)
SAYINGS: dict[str, tuple[object, str | None]] = {
    "as Wazuh shows it": ("012", "012"),
    "without zeros": ("12", "012"),
    "a number below eight": (7, "007"),
    "a number that YAML may have made of 010": (8, None),
    "a number that YAML may have made of 012": (10, None),
    "a number that YAML may have made of 077": (63, None),
    "a number from 64 on": (64, "064"),
    "a number with three digits": (123, "123"),
    "a number with four digits": (1234, "1234"),
    "a UUID": ("5db5e8e9-85f4-5cac-b97a-9eb39f16aa33", "5db5e8e9-85f4-5cac-b97a-9eb39f16aa33"),
    "true": (True, None),
    "a template": ("{{ agent }}", None),
    "an empty text": ("", None),
    "a list": (["012"], None),
    "a real number": (12.0, None),
    "full-width digits": ("\uff10\uff11\uff12", None),
}


@pytest.mark.parametrize(("said", "agent"), SAYINGS.values(), ids=SAYINGS)
def test_what_a_host_may_say_its_agent_id_is(said: object, agent: str | None) -> None:
    inventory = Inventory({"web1": said}, {})
    for asked in ["001", "007", "008", "010", "012", "064", "077", "123", "1234", "5db5e8e9-85f4-5cac-b97a-9eb39f16aa33", "63", "8", "1"]:
        plan = make_plan([alert(agent=asked)], policy(find_hosts_by_name=True), inventory)
        assert list(plan.hosts) == (["web1"] if agent is not None and asked.zfill(3) == agent else [])
    assert [problem.startswith("host web1: wazuh_agent_id is ") for problem in inventory.problems] == ([] if agent else [True])


# name: (alert, policy, what `why` holds)
NOTHINGS: dict[str, tuple[Alert, Policy, str]] = {
    "no rule matches": (alert(rule="5503", level=5), policy(), "no rule of the policy matches Wazuh rule 5503, level 5"),
    "no address": (alert(srcip="-"), policy(), "data.srcip: address '-'"),
    "no user": (alert(dstuser="-x"), policy({"response": "disable_account", "timeout": "1h"}), "data.dstuser: user '-x'"),
    "Wazuh's own blocks": (alert(rule="651"), policy(), "it is about an active response"),
    "our own rules": (Alert("1", ("5712",), 10, ("riposte",), "", "001", "web1", None, {}), policy(), "it is about an active response"),
}


@pytest.mark.parametrize(("given_alert", "by", "why"), NOTHINGS.values(), ids=NOTHINGS)
def test_nothing_is_done_and_why(given_alert: Alert, by: Policy, why: str) -> None:
    plan = planned([given_alert], by)
    assert plan.hosts == {}
    assert only(plan).outcome == "nothing"
    assert why in only(plan).why


@pytest.mark.parametrize("name", ["gen-ar-651-host-blocked", "gen-ar-652-host-unblocked", "gen-ar-658-firewall-inactive"])
def test_alerts_about_responses_start_nothing(name: str) -> None:
    [sample], _problems = read_alerts((SAMPLES / f"{name}.json").read_bytes())
    everything, errors = read_policy({"mode": "enforce", "rules": [{"name": "all", "match": {"level": 1}, "responses": [drop("all")]}]})
    assert everything, errors
    plan = planned([sample], everything)
    assert plan.hosts == {}
    assert "it is about an active response" in only(plan).why


def test_observing_tells_what_would_be_done_and_does_nothing() -> None:
    plan = planned([alert()], policy(drop("all"), mode="observe"))
    assert plan.hosts == {}
    assert (only(plan).outcome, only(plan).mode, only(plan).hosts) == ("would", "observe", tuple(AGENTS))


def test_a_rule_has_a_mode_of_its_own() -> None:
    rules = [
        {"name": name, "mode": mode, "match": {"rule_ids": ["5712"]}, "responses": [drop({"groups": [name]})]}
        for name, mode in [("web", "observe"), ("db", "enforce")]
    ]
    for whole in ("observe", "enforce"):
        read, errors = read_policy({"mode": whole, "rules": rules})
        assert read, errors
        assert list(planned([alert()], read).hosts) == ["db1"]


def test_an_alert_that_comes_twice_is_answered_once() -> None:
    plan = planned([alert(), alert(), alert(srcip="203.0.113.10")], policy())
    assert [request["targets"] for request in plan.hosts["web1"]] == [["203.0.113.9"]]
    assert [decision.outcome for decision in plan.decisions] == ["planned", "nothing", "nothing"]
    assert [decision.why.split()[0] for decision in plan.decisions[1:]] == ["the", "another"]


def test_the_same_response_to_the_same_alert_is_asked_for_once() -> None:
    plan = planned([alert()], policy(drop(), drop("all"), drop("all", timeout="1h")))
    assert {host: [request["timeout"] for request in requests] for host, requests in plan.hosts.items()} == {
        "web1": ["10m", "1h"],
        "web2": ["10m", "1h"],
        "db1": ["10m", "1h"],
        "proxy": ["10m", "1h"],
    }


def test_two_alerts_about_one_address_keep_their_own_ids() -> None:
    plan = planned([alert("1.1"), alert("1.2")], policy())
    assert [(request["alert_id"], request["targets"]) for request in plan.hosts["web1"]] == [("1.1", ["203.0.113.9"]), ("1.2", ["203.0.113.9"])]


def test_a_timeout_counts_from_the_moment_given() -> None:
    plan = planned([alert()], policy(drop(), drop(timeout="1h"), {"response": "firewall_drop", "permanent": True}), since="2026-11-24T08:00:00Z")
    assert [request.get("since") for request in plan.hosts["web1"]] == ["2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z", None]
    assert parse_moment("since", plan.hosts["web1"][0]["since"])


def test_what_an_alert_says_is_made_printable_and_short_in_the_reason() -> None:
    loud = Alert("1", ("5712",), 10, (), "\x1b[2J\u202e\n" + "x" * 10_000, "001", "web1", None, {"data": {"srcip": "203.0.113.9"}})
    [request] = planned([loud], policy()).hosts["web1"]
    assert request["reason"].startswith("ssh (Wazuh rule 5712, level 10: \\x1b[2J\\u202e\\nxxx")
    assert len(request["reason"]) == 500


def test_an_inventory_without_hosts_answers_nothing() -> None:
    plan = planned([alert()], policy(drop(), drop("all"), drop({"groups": ["web"]})), {}, {"all": []})
    assert plan.hosts == {}
    assert [decision.outcome for decision in plan.decisions] == ["nothing"] * 3


IDS = st.none() | st.integers(0, 70) | st.sampled_from(["000", "001", "1", "007", "7", "010", "012", "{{ x }}", ""])
HOSTS = ["a", "b", "c", "d", "all", "localhost"]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    hosts = st.sampled_from(["own", "all", {"groups": ["g"]}, {"groups": ["g", "h"]}, {"groups": ["none"]}])
    responses = st.lists(st.builds(drop, hosts), min_size=1, max_size=2)
    mode = st.sampled_from(["observe", "enforce"])
    match = st.sampled_from([{"rule_ids": ["5712"]}, {"level": 10}, {"groups": ["sshd"]}, {"rule_ids": ["1"], "level": 3}])
    rules = [{"name": str(number), "mode": draw(mode), "match": draw(match), "responses": draw(responses)} for number in range(draw(st.integers(1, 3)))]
    read, errors = read_policy({"mode": draw(mode), "find_hosts_by_name": draw(st.booleans()), "rules": rules})
    assert read, errors
    return read


ALERTS = st.builds(
    alert,
    id=st.sampled_from(["1", "2", "3"]),
    rule=st.sampled_from(["5712", "1", "651", "9"]),
    level=st.integers(0, 16),
    agent=st.none() | st.sampled_from(["000", "001", "1", "007", "010", "8"]),
    name=st.none() | st.sampled_from([*HOSTS, "x"]),
    srcip=st.sampled_from(["203.0.113.9", "203.0.113.10", "-", None]),
)


@given(
    st.lists(ALERTS, max_size=4), policies(), st.dictionaries(st.sampled_from(HOSTS), IDS), st.lists(st.sampled_from(HOSTS)), st.lists(st.sampled_from(HOSTS))
)
def test_no_host_does_what_no_rule_asks_of_it(alerts: list[Alert], by: Policy, agents: dict[str, object], g: list[str], h: list[str]) -> None:
    groups = {"all": list(agents), "g": [name for name in g if name in agents], "h": [name for name in h if name in agents]}
    plan = planned(alerts, by, agents, groups)
    for host, requests in plan.hosts.items():
        for request in requests:
            assert any(asks(each, by, host, agents, groups) for each in alerts if each.id == request["alert_id"])
    assert {each.id for each in alerts} == {decision.alert_id for decision in plan.decisions}
    assert all((decision.outcome == NOTHING) == (not decision.hosts) and decision.why for decision in plan.decisions)
    assert {host for decision in plan.decisions if decision.outcome == "planned" for host in decision.hosts} == set(plan.hosts)
    json.dumps([plan.hosts, [decision.as_dict() for decision in plan.decisions], plan.problems]).encode()


def asks(given_alert: Alert, by: Policy, host: str, agents: dict[str, object], groups: dict[str, list[str]]) -> bool:
    """Whether some enforcing rule, read in the plainest way, asks this host to answer this alert."""
    same = [name for name, said in agents.items() if given_alert.agent_id and str(said).zfill(3) == given_alert.agent_id.zfill(3)]
    own = same == [host] or (by.find_hosts_by_name and host == given_alert.agent_name and agents.get(host) is None)
    for rule in by.rules:
        for response in rule.responses if rule.mode == "enforce" and rule.match.matches(given_alert) else ():
            if response.hosts.kind == "all" or (response.hosts.kind == "own" and own):
                return True
            if any(host in groups.get(group, []) for group in response.hosts.groups):
                return True
    return False


# What the whole policy bounds, spares and asks for.

AGENT_IP = {"agent": {"id": "001", "ip": "10.0.0.5"}, "data": {"srcip": "10.0.0.5"}}


def about(raw: dict[str, Any], agent: str = "001") -> Alert:
    return Alert("1", ("5712",), 10, (), "", agent, None, None, raw)


def test_the_server_is_the_host_of_agent_000() -> None:
    agents: dict[str, object] = {"web1": "001", "wazuh": "000"}
    assert list(planned([alert()], policy(drop("server")), agents).hosts) == ["wazuh"]
    nobody = planned([alert()], policy(drop("server")))
    assert nobody.hosts == {}
    assert 'no host says wazuh_agent_id: "000"' in only(nobody).why


def test_a_response_acts_on_the_observable_that_it_names() -> None:
    both = alert(dstip="198.51.100.66")
    plan = planned([both], policy(drop(), drop(observable="destination")))
    assert [request["targets"] for request in plan.hosts["web1"]] == [["203.0.113.9", "198.51.100.66"]]
    assert [decision.why.split(";")[0] for decision in plan.decisions] == ["data.srcip", "data.dstip"]


def test_observables_are_looked_for_where_the_policy_says() -> None:
    plan = planned([alert(my={"client": "203.0.113.77"})], policy(observables={"address": ["data.my.client"]}))
    assert plan.hosts["web1"][0]["targets"] == ["203.0.113.77"]


# name: (alert, response, hosts, what `why` holds)
FORGED: dict[str, tuple[Alert, dict[str, Any], list[str], str]] = {
    "the agent's own address": (about(AGENT_IP), drop("all"), ["web1"], "10.0.0.5 is the address of the alert's own agent (agent.ip), so it goes to no other"),
    "the agent's own address, elsewhere": (about(AGENT_IP), drop({"groups": ["db"]}), [], "10.0.0.5 is the address of the alert's own agent"),
    "the agent's own address, on itself": (about(AGENT_IP), drop(), ["web1"], "data.srcip; agent 001"),
    "the agent's own address, from who knows which agent": (about(AGENT_IP, "099"), drop("all"), [], "10.0.0.5 is the address of the alert's own agent"),
    "spelled in another way": (
        about({"agent": {"ip": "2001:DB8:0::1"}, "data": {"srcip": "2001:db8::1"}}),
        drop("all"),
        ["web1"],
        "2001:db8::1 is the address of the alert's own agent",
    ),
    "one of several, in Wazuh 5": (
        about({"wazuh": {"agent": {"host": {"ip": ["fe80::1", "10.0.0.5"]}}}, "source": {"ip": "10.0.0.5"}}),
        drop("all"),
        ["web1"],
        "10.0.0.5 is the address of the alert's own agent (wazuh.agent.host.ip)",
    ),
    "the address that was attacked": (
        about({"data": {"srcip": "203.0.113.9", "dstip": "203.0.113.9"}}),
        drop("all"),
        ["web1"],
        "203.0.113.9 is also the destination in this alert (data.dstip), so it goes to no other host",
    ),
    "a destination that is the agent": (
        about({"agent": {"ip": "10.0.0.5"}, "data": {"dstip": "10.0.0.5"}}),
        drop("all", observable="destination"),
        ["web1"],
        "10.0.0.5 is the address of the alert's own agent",
    ),
    "a destination that is none of them": (
        about({"agent": {"ip": "10.0.0.5"}, "data": {"dstip": "198.51.100.66"}}),
        drop("all", observable="destination"),
        list(AGENTS),
        "data.dstip; all hosts",
    ),
    "an agent without an address": (about({"agent": {"ip": "any"}, "data": {"srcip": "203.0.113.9"}}), drop("all"), list(AGENTS), "all hosts"),
    "an agent whose address is junk": (about({"agent": {"ip": [{}, 7, None]}, "data": {"srcip": "203.0.113.9"}}), drop("all"), list(AGENTS), "all hosts"),
}


@pytest.mark.parametrize(("given_alert", "response", "hosts", "why"), FORGED.values(), ids=FORGED)
def test_an_agents_own_address_goes_to_no_other_host(given_alert: Alert, response: dict[str, Any], hosts: list[str], why: str) -> None:
    plan = planned([given_alert], policy(response))
    assert list(plan.hosts) == hosts == list(only(plan).hosts)
    assert why in only(plan).why


def test_what_is_on_the_allow_list_is_answered_nowhere_and_told() -> None:
    plan = planned([alert(), alert("2", srcip="203.0.113.10")], policy(drop("all"), allow={"addresses": ["203.0.113.8/31"]}))
    assert [decision.outcome for decision in plan.decisions] == ["nothing", "planned"]
    assert plan.decisions[0].why == "data.srcip; it is on the policy's allow list: allow.addresses[0], 203.0.113.8/31"
    assert plan.hosts["web1"][0]["targets"] == ["203.0.113.10"]


def test_a_destination_can_be_spared_too_and_an_account_is_no_address() -> None:
    lock = {"response": "disable_account", "timeout": "1h"}
    plan = planned([alert(dstip="198.51.100.66", dstuser="10.0.0.1")], policy(drop(observable="destination"), lock, allow={"addresses": ["198.51.100.66"]}))
    assert [decision.outcome for decision in plan.decisions] == ["nothing", "planned"]


def test_a_host_to_be_spared_that_is_unknown_stops_everything() -> None:
    with pytest.raises(BadInput, match="'proxy': its ansible_host is 'proxy', which is no address"):
        make_plan([alert()], policy(allow={"hosts": ["proxy"]}), Inventory(AGENTS, GROUPS, {name: name for name in AGENTS}))
    spared = make_plan([alert()], policy(allow={"hosts": ["proxy"]}), Inventory(AGENTS, GROUPS, {"proxy": "203.0.113.9"}))
    assert only(spared).why.endswith("allow.hosts[0], host proxy")


def attackers(count: int) -> list[Alert]:
    return [alert(str(number), srcip=f"203.0.113.{number}") for number in range(1, count + 1)]


def test_what_is_too_much_is_held_by_name_and_the_rest_is_done() -> None:
    plan = planned([*attackers(4), alert("9", srcip="203.0.113.1")], policy(drop(), drop("all"), breakers={"blocks_per_run": 2}))
    assert {decision.alert_id: decision.outcome for decision in plan.decisions} == {"1": "planned", "2": "planned", "3": "held", "4": "held", "9": "planned"}
    held = [decision for decision in plan.decisions if decision.outcome == "held"]
    assert {decision.held_by for decision in held} == {"blocks_per_run"}
    assert [decision.hosts for decision in held[:2]] == [("web1",), tuple(AGENTS)]
    assert held[0].why.endswith("held by breaker blocks_per_run: 2 addresses in this run are being blocked, the limit is 2; nothing was done")
    assert {target for request in plan.hosts["web2"] for target in request["targets"]} == {"203.0.113.1", "203.0.113.2"}


def test_what_earlier_runs_have_begun_counts() -> None:
    by = policy(breakers={"blocks_per_minute": 2})
    earlier = [Earlier(5, False, "203.0.113.1"), Earlier(50, False, "198.51.100.1"), Earlier(70, False, "198.51.100.2")]
    plan = make_plan(attackers(2), by, Inventory(AGENTS, GROUPS), past=Past(earlier))
    assert [decision.outcome for decision in plan.decisions] == ["planned", "held"]


def test_what_is_only_observed_uses_up_nothing_and_shows_what_would_be_held() -> None:
    rules = [{"name": mode, "mode": mode, "match": {"rule_ids": ["5712"]}, "responses": [drop()]} for mode in ("observe", "enforce")]
    by, errors = read_policy({"mode": "observe", "rules": rules, "breakers": {"blocks_per_run": 1}})
    assert by, errors
    plan = planned(attackers(2), by)
    assert [(decision.mode, decision.outcome, decision.held_by) for decision in plan.decisions] == [
        ("observe", "would", ""),
        ("enforce", "planned", ""),
        ("observe", "would", "blocks_per_run"),
        ("enforce", "held", "blocks_per_run"),
    ]
    assert "it would be held by breaker blocks_per_run" in plan.decisions[2].why
    assert plan.decisions[2].why.endswith("nothing would be done")


def test_what_needs_approval_waits_for_it_and_uses_up_nothing() -> None:
    by = policy(drop("all"), mode="approve", breakers={"blocks_per_run": 1})
    waiting = planned(attackers(2), by)
    assert waiting.hosts == {}
    assert [decision.outcome for decision in waiting.decisions] == ["pending", "pending"]
    assert list(waiting.pending) == list(AGENTS)
    assert [request["targets"] for request in waiting.pending["db1"]] == [["203.0.113.1"], ["203.0.113.2"]]
    approved = make_plan(attackers(3), by, Inventory(AGENTS, GROUPS), past=Past(approved={"2": Approval(), "3": Approval()}))
    assert [decision.outcome for decision in approved.decisions] == ["pending", "planned", "held"]
    assert [request["targets"] for request in approved.hosts["db1"]] == [["203.0.113.2"]]


def returned(by: Policy, given: dict[tuple[str, str, str], tuple[str, ...]], *left: tuple[str, str, str]) -> Plan:
    """The plan for an alert that is there again, since a person has approved that of it."""
    return make_plan([alert()], by, Inventory(AGENTS, GROUPS), {"1.1": "1795492383"}, Past(approved={"1.1": Approval(given, "1795500000", left)}))


SSH_BLOCK = ("ssh", "firewall_drop", "203.0.113.9")


def test_what_was_approved_is_done_where_it_was_approved_for_and_counts_from_then() -> None:
    plan = returned(policy(drop("all"), mode="approve"), {SSH_BLOCK: ("web1", "db1", "gone")})
    assert list(plan.hosts) == ["web1", "db1"]
    assert [request["since"] for request in plan.hosts["web1"]] == ["1795500000"]
    assert only(plan).hosts == ("web1", "db1")
    assert only(plan).why.endswith("all hosts; approved for db1, gone, web1")


def test_what_needed_no_approval_is_not_done_twice_and_what_is_owed_still_counts_from_acceptance() -> None:
    both = [{"name": mode, "mode": mode, "match": {"rule_ids": ["5712"]}, "responses": [drop({"groups": ["web"]})]} for mode in ("enforce", "approve")]
    by, errors = read_policy({"mode": "enforce", "rules": both})
    assert by, errors
    given = {("approve", "firewall_drop", "203.0.113.9"): ("web1",)}
    plan = returned(by, given)
    assert [(decision.outcome, decision.why) for decision in plan.decisions if not decision.hosts] == [("nothing", "it was answered before")]
    assert {host: [request["since"] for request in requests] for host, requests in plan.hosts.items()} == {"web1": ["1795500000"]}
    owed = returned(by, given, ("web2", "firewall_drop", "203.0.113.9"))
    assert {host: [request["since"] for request in requests] for host, requests in owed.hosts.items()} == {"web2": ["1795492383"], "web1": ["1795500000"]}


@pytest.mark.parametrize(("mode", "outcome"), [("observe", "would"), ("enforce", "planned"), ("approve", "planned")])
def test_the_policy_as_it_is_by_then_has_the_last_word(mode: str, outcome: str) -> None:
    assert only(returned(policy(drop(), mode=mode), {SSH_BLOCK: ("web1",)})).outcome == outcome


def test_another_rule_or_target_than_the_approved_one_waits_on() -> None:
    for other in (("other", *SSH_BLOCK[1:]), (*SSH_BLOCK[:2], "203.0.113.90")):
        plan = returned(policy(drop(), mode="approve"), {other: ("web1",)})
        assert (only(plan).outcome, plan.hosts) == ("pending", {})


def test_offences_of_the_whole_fleet_go_to_the_host_where_the_policy_says_so() -> None:
    by = policy(drop(repeated_offenders=["1h"], offences="fleet"), drop("all", repeated_offenders=["1h"]))
    past = Past(offences=lambda response, target: {"203.0.113.2": 3}.get(target, 0) if response == "firewall_drop" else 9)
    plan = make_plan(attackers(2), by, Inventory(AGENTS, GROUPS), past=past)
    assert [(request["targets"], request.get("offences")) for request in plan.hosts["web1"]] == [
        (["203.0.113.1"], None),
        (["203.0.113.2"], 3),
        (["203.0.113.2"], None),
    ]


def test_the_fleet_is_asked_once_for_an_attack_on_however_many_hosts() -> None:
    asked: list[tuple[str, str]] = []

    def offences(response: str, target: str) -> int:
        asked.append((response, target))
        return 1

    plan = make_plan([alert()], policy(drop("all", repeated_offenders=["1h"], offences="fleet")), Inventory(AGENTS, GROUPS), past=Past(offences=offences))
    assert list(plan.hosts) == list(AGENTS)
    assert asked == [("firewall_drop", "203.0.113.9")]


def test_each_alert_may_have_a_moment_of_its_own() -> None:
    plan = make_plan(attackers(2), policy(), Inventory(AGENTS, GROUPS), since={"1": "1795492383"})
    assert [request.get("since") for request in plan.hosts["web1"]] == ["1795492383", None]


@pytest.mark.parametrize("rule", ["650", "658", "100900", "100910", "100919"])
def test_rules_about_responses_start_nothing_by_their_number_alone(rule: str) -> None:
    everything, errors = read_policy({"mode": "enforce", "rules": [{"name": "all", "match": {"level": 1}, "responses": [drop("all")]}]})
    assert everything, errors
    assert planned([alert(rule=rule)], everything).hosts == {}
    assert planned([alert(rule="100920")], everything).hosts
