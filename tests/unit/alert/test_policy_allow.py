# SPDX-License-Identifier: GPL-3.0-or-later
"""The allow list: an address on it is found however long the list is, and a name stands for nothing that somebody else can change."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.allow import (
    Allow,
    AllowList,
    Entry,
    Listed,
    allow_list,
    files_of,
    read_cdb_list,
)
from ansible_collections.riposte.active_response.plugins.module_utils.host.address import parse_network
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput

ADDRESSES = {"scanner1": "198.51.100.7", "web1": "web1.example.com", "10.0.0.9": "10.0.0.9", "templated": "{{ lookup('dig', 'x') }}"}


def entries(*networks: str) -> tuple[Entry, ...]:
    return tuple(Entry(parse_network(network), network) for network in networks)


# name: (address, the entry that holds it)
LOOKUPS: dict[str, tuple[str, str | None]] = {
    "the address itself": ("192.0.2.1", "192.0.2.1"),
    "its neighbour": ("192.0.2.10", None),
    "in a network": ("10.255.0.1", "10.0.0.0/8"),
    "beside a network": ("11.0.0.0", None),
    "the same in IPv6": ("2001:db8::1", "2001:db8::/32"),
    "beside it in IPv6": ("2001:db9::1", None),
    "a network's number of the other version": ("::a00:1", None),
    "mapped": ("::ffff:10.0.0.1", "10.0.0.0/8"),
}


@pytest.mark.parametrize(("address", "entry"), LOOKUPS.values(), ids=LOOKUPS)
def test_what_is_spared(address: str, entry: str | None) -> None:
    found = AllowList(entries("192.0.2.1", "10.0.0.0/8", "2001:db8::/32")).entry_for(address)
    assert (found and found.where) == entry


NETWORKS = st.builds(lambda low, prefix: str(ipaddress.ip_network((low, prefix), strict=False)), st.integers(0, 2**32 - 1), st.integers(1, 32))


@given(st.lists(NETWORKS, max_size=8), st.integers(0, 2**32 - 1))
def test_it_spares_what_is_in_one_of_its_networks_and_nothing_else(networks: list[str], number: int) -> None:
    address = ipaddress.IPv4Address(number)
    found = AllowList(entries(*networks)).entry_for(str(address))
    assert (found is not None) == any(address in ipaddress.ip_network(network) for network in networks)


def test_a_host_stands_for_its_address_in_the_inventory() -> None:
    spared = allow_list(Allow(entries("192.0.2.1"), ("scanner1", "10.0.0.9")), ADDRESSES)
    assert [bool(spared.entry_for(address)) for address in ("192.0.2.1", "198.51.100.7", "10.0.0.9", "203.0.113.9")] == [True, True, True, False]
    found = spared.entry_for("198.51.100.7")
    assert found
    assert found.where == "allow.hosts[0], host scanner1"


# name: (host, what is said)
UNKNOWN = {
    "a host that is not there": ("web9", "allow.hosts[1]: 'web9': the inventory has no such host; nothing is done"),
    "a host with a name for an address": ("web1", "its ansible_host is 'web1.example.com', which is no address as it stands, and names are not resolved"),
    "a host whose address is a template": ("templated", "its ansible_host is \"{{ lookup('dig', 'x') }}\", which is no address"),
}


@pytest.mark.parametrize(("host", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_host_that_could_not_be_spared_stops_everything(host: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        allow_list(Allow((), ("scanner1", host)), ADDRESSES)
    assert said in str(error.value)


def test_a_cdb_list() -> None:
    text = '10.1.:\n192.168.7.:office\n203.0.113.9:a:b\n"2001:db8::1":quoted\n2001:db8::2:\n\n# old\nmallory:\n10.0.0.300:\n"2001:db8::9\n203.0.113.10'
    found, notes = read_cdb_list(text, "list")
    assert found == [
        Listed("10.1.0.0/16", "list, line 1"),
        Listed("192.168.7.0/24", "list, line 2"),
        Listed("203.0.113.9", "list, line 3"),
        Listed("2001:db8::1", "list, line 4"),
        Listed("2001:db8::2", "list, line 5"),
        Listed("2001:db8::9", "list, line 10"),
        Listed("203.0.113.10", "list, line 11"),
    ]
    assert [note.split(":")[0] for note in notes] == ["list, line 8", "list, line 9"]
    assert notes[0].endswith("it is not an address or network; it spares nobody")


@given(st.text())
def test_no_cdb_list_raises(text: str) -> None:
    found, _notes = read_cdb_list(text, "list")
    for each in found:
        assert parse_network(each.address).text == each.address


def test_the_files_a_policy_names() -> None:
    assert files_of({"allow": {"cdb_lists": ["a", 7], "white_lists": ["b"], "addresses": ["c"]}}) == [("white_lists", "b"), ("cdb_lists", "a")]
    for nothing in (None, [], {"allow": None}, {"allow": {"cdb_lists": "a"}}):
        assert files_of(nothing) == []
