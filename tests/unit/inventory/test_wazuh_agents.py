# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents become hosts and groups: by their names where these are safe and their own, by their ids where not."""

from __future__ import annotations

import ipaddress
import string
from typing import Any

import pytest
from ansible.parsing.utils.addresses import parse_address
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.plugin_utils.wazuh_agents import (
    Agent,
    Before,
    Fleet,
    Wanted,
    bad_name,
    make_fleet,
    read_agents,
)

NOTHING = Before({}, {"all", "ungrouped"})


def fleet(*agents: Agent, before: Before = NOTHING, **wanted: Any) -> Fleet:
    return make_fleet(agents, Wanted(**wanted), before)


def names(made: Fleet) -> list[str]:
    return [host.name for host in made.hosts]


def item(**more: Any) -> dict[str, Any]:
    return {"id": "001", "name": "web1", "ip": "192.0.2.1", "status": "active", "group": ["default"], "os": {"platform": "debian"}, **more}


GOOD = ["web1", "WEB-1", "web1.example.com", "a", "0a", "db_1", "10.0.0.7", "192-0-2-1", "x" * 128, "allhosts", "locahost", "0xg", "wazuh_agent_1a"]
BAD = [
    "", " ", "all", "ALL", "ungrouped", "localhost", "LocalHost", "localhost.localdomain", "a.localhost", "ip6-localhost",
    "127.0.0.1", "127.1", "127.000.000.001", "0", "1", "0x", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1",
    "255.255.255.255", "::1", "web*", "web?", "~web", "!web", "&web", "a:b", "a,b", "web[1:2]", "web 1", "web\n", "\nweb", "web\x00", "../etc", "a/b", "a..b",
    ".web", "web.", "-web", "web-", "_web", "@file", "{{ x }}", "{%raw%}", "é", "web\u202e", "w\u0435b", "\uff11\uff12", "x" * 129, "wazuh_agent_",
    "wazuh_agent_001", "WAZUH_AGENT_7",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name(name: str) -> None:
    assert bad_name(name) == ""
    assert names(fleet(Agent("007", name))) == [name]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name(name: str) -> None:
    assert bad_name(name)
    made = fleet(Agent("007", name), host_from="name")
    assert names(made) == ["wazuh_agent_007"]
    assert made.hosts[0].ansible_host == ""
    assert len(made.warnings) == 1


HOSTILE = st.one_of(st.sampled_from(BAD + GOOD), st.text(), st.text(alphabet=string.ascii_lowercase + string.digits + "._-*:[]{}%!&,~/\\@ \n"))


@given(HOSTILE)
@example("web1\n")
@example("0.-0")
def test_a_name_that_is_taken_is_one_plain_host(name: str) -> None:
    if bad_name(name):
        return
    assert name.isascii() and name.isprintable()
    assert not set(name) & set("*?[]{}%!&~,:/\\@'\" $")
    assert name[0].isalnum() and name[-1].isalnum()
    assert name.casefold() not in ("all", "ungrouped", "localhost")
    assert parse_address(name, allow_ranges=True) == (name, None)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return
    assert not address.is_loopback


@given(st.lists(HOSTILE, max_size=8), st.lists(HOSTILE, max_size=4), st.sampled_from(["", "wazuh_group_"]), st.sampled_from(["none", "name", "ip"]))
@example([""], ["wazuh_agent_001"], "", "none")
def test_each_agent_is_one_host_of_its_own_and_no_host_is_a_group(said: list[str], groups: list[str], prefix: str, host_from: str) -> None:
    before = Before({"web1": "044", "db1": None}, {"all", "ungrouped", "prod"})
    agents = read_agents([item(id=f"{number:03}", name=name, group=groups, os={"platform": name}) for number, name in enumerate(said, start=1)])
    made = fleet(*agents, before=before, group_prefix=prefix, host_from=host_from)
    assert [host.agent for host in made.hosts] == agents
    assert len(set(names(made))) == len(agents)
    used = {group for host in made.hosts for group in host.groups}
    assert not used & set(names(made)) and not used & {"all", "ungrouped", "web1", "db1", ""}
    assert all(group.isidentifier() and group.isascii() for group in used)
    assert all(host.name in (host.agent.name, f"wazuh_agent_{host.agent.id}") for host in made.hosts)
    assert all(not bad_name(host.ansible_host) for host in made.hosts if host.ansible_host)
    assert all(line.isprintable() for line in made.warnings)
    assert "web1" not in names(made)


def test_a_name_that_two_agents_have_is_nobodys_whatever_their_status() -> None:
    agents = [Agent("001", "web1", status="active"), Agent("002", "WEB1", status="disconnected"), Agent("003", "web3", status="active")]
    made = fleet(*agents, statuses=("active",), host_from="name")
    assert [(host.name, host.ansible_host) for host in made.hosts] == [("wazuh_agent_001", ""), ("web3", "web3")]
    assert made.warnings == ["agents 001 'web1': known by their id only (another agent has this name as well)"]


def test_a_name_of_a_group_is_no_host() -> None:
    agents = [Agent("001", "prod"), Agent("002", "wazuh_group_web", groups=("web",)), Agent("003", "wazuh_platform_debian", os={"platform": "debian"})]
    assert names(fleet(*agents, before=Before({}, {"prod"}))) == ["wazuh_agent_001", "wazuh_agent_002", "wazuh_agent_003"]


def test_the_manager_is_left_out_unless_asked_for_and_then_says_no_id() -> None:
    assert names(fleet(Agent("000", "wazuh"), Agent("001", "web1"))) == ["web1"]
    [host] = fleet(Agent("000", "wazuh", "127.0.0.1", "active"), include_manager=True, host_from="ip").hosts
    assert (host.name, host.ansible_host) == ("wazuh", "")
    assert "wazuh_agent_id" not in host.agent.variables()


def test_hosts_named_by_id() -> None:
    made = fleet(Agent("001", "web1"), Agent("1200", "all"), name_from="id", host_from="name")
    assert [(host.name, host.ansible_host) for host in made.hosts] == [("wazuh_agent_001", "web1"), ("wazuh_agent_1200", "")]


def test_a_host_that_says_the_id_is_the_agent_unless_two_do() -> None:
    before = Before({"mine": "1", "a": "002", "b": "002", "web4": 4, "web5": "005"}, set())
    agents = [Agent("001", "web1"), Agent("002", "web2"), Agent("003", "mine"), Agent("004", "web4"), Agent("005", "web5")]
    assert names(fleet(*agents, before=before)) == ["mine", "web2", "wazuh_agent_003", "wazuh_agent_004", "web5"]


# name: (what the API says, status, the address)
ADDRESSES = [
    ("192.0.2.1", "active", "192.0.2.1"),
    ("192.0.2.1", "disconnected", "192.0.2.1"),
    ("2001:DB8:0:0:0:0:0:1", "active", "2001:db8::1"),
    ("192.0.2.1", "never_connected", ""),
    ("192.0.2.1", "pending", ""),
    ("192.0.2.1", "{{ x }}", ""),
    ("any", "active", ""),
    ("192.0.2.0/24", "active", ""),
    ("", "active", ""),
    (None, "active", ""),
    ("127.1", "active", ""),
    ("fe80::1%eth0", "active", ""),
    ("web1", "active", ""),
    (["192.0.2.1"], "active", ""),
]


@pytest.mark.parametrize(("said", "status", "ip"), ADDRESSES)
def test_only_an_address_that_a_connected_agent_reported_is_one(said: object, status: str, ip: str) -> None:
    agents = read_agents([item(ip=said, status=status)])
    assert agents[0].ip == ip
    assert ("wazuh_agent_ip" in agents[0].variables()) == bool(ip)
    [host] = fleet(*agents, host_from="ip").hosts
    assert host.ansible_host == ip


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "169.254.1.1", "fe80::1", "255.255.255.255", "::ffff:127.0.0.1"])
def test_an_address_that_is_no_hosts_is_not_connected_to(ip: str) -> None:
    [host] = fleet(*read_agents([item(ip=ip)]), host_from="ip").hosts
    assert host.ansible_host == ""


def test_an_address_that_two_agents_report_is_nobodys() -> None:
    made = fleet(*read_agents([item(), item(id="002", name="web2"), item(id="003", name="web3", ip="192.0.2.3")]), host_from="ip")
    assert [host.ansible_host for host in made.hosts] == ["", "", "192.0.2.3"]
    assert made.warnings == ["agents 001 'web1', 002 'web2': without ansible_host (another agent reports this address as well)"]


def test_groups() -> None:
    made = fleet(Agent("001", "web1", groups=("web", "domain-controllers", "4.eyes"), os={"platform": "openSUSE-Leap"}), Agent("002", "web2"))
    assert made.hosts[0].groups == ["wazuh_group_web", "wazuh_group_domain_controllers", "wazuh_group_4_eyes", "wazuh_platform_opensuse_leap"]
    assert made.hosts[1].groups == []


def test_two_groups_that_would_be_one_are_none() -> None:
    made = fleet(Agent("001", "web1", groups=("a-b", "c")), Agent("002", "web2", groups=("a_b",)))
    assert [host.groups for host in made.hosts] == [["wazuh_group_c"], []]
    assert made.warnings == ["no group is made of Wazuh's 'a-b', 'a_b': wazuh_group_a_b would be all of them"]


def test_without_a_prefix_no_group_is_all_or_a_host_or_begins_with_a_digit() -> None:
    made = fleet(Agent("001", "web1", groups=("all", "ungrouped", "db1", "4you", "web")), before=Before({"db1": None}, {"all", "web"}), group_prefix="")
    assert made.hosts[0].groups == ["_4you", "web"]


def test_an_agent_does_not_get_into_a_group_by_its_platform() -> None:
    liar = Agent("002", "web2", os={"platform": "web"})
    made = fleet(Agent("001", "web1", groups=("web",)), liar, group_prefix="x_", platform_prefix="x_")
    assert [host.groups for host in made.hosts] == [["x_web"], []]
    with pytest.raises(BadInput, match="platform_prefix: it is empty"):
        fleet(liar, platform_prefix="")


BAD_ITEMS = [{}, item(id=None), item(id=1), item(id="1"), item(id="0001"), item(id="00\uff11"), item(id="001\n"), item(id="all"), item(id="")]


@pytest.mark.parametrize("bad", BAD_ITEMS)
def test_an_agent_without_a_readable_id_is_an_error(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="an agent has id"):
        read_agents([item(id="002"), bad])


def test_an_id_that_two_agents_have_is_an_error() -> None:
    with pytest.raises(BadInput, match="agent 001 is 2 times in the list"):
        read_agents([item(), item()])


@given(
    st.fixed_dictionaries(
        {
            key: st.none() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
            for key in ("name", "ip", "status", "version", "group", "os")
        }
    )
)
def test_wrong_types_are_read_as_nothing(said: dict[str, Any]) -> None:
    [read] = read_agents([{"id": "001", **said}])
    variables = read.variables()
    text = [variables.pop("wazuh_agent_os"), variables.pop("wazuh_agent_groups"), variables]
    assert [type(each) for each in text] == [dict, list, dict]
    every = [*text[0].values(), *text[1], *text[2].values()]
    assert all(isinstance(each, str) for each in every)
    assert not any(character in each for each in every for character in "\x00\x1b\n\u202e\ud800")


def test_many_warnings_are_one_line() -> None:
    made = fleet(*(Agent(f"{number:03}", f"a b{number}") for number in range(1, 1001)))
    assert len(made.warnings) == 1
    assert "005 'a b5' and 995 more: known by their id only" in made.warnings[0]
