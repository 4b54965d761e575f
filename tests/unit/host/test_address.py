# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: the table that the Windows engine runs too, and the whole space beside Python's own reading."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.address import Network, parse_network
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput

CASES = json.loads((Path(__file__).parents[2] / "cases/addresses.json").read_text(encoding="utf-8"))
RULES = {
    "empty": "it is empty",
    "too_long": "it is longer than 64 characters",
    "not_an_address": "it is not an address or network",
    "zone_id": "an address with a zone id is no target",
    "prefix_length": "the prefix length must be a number",
    "host_bits": "it has bits set behind its prefix length",
    "everything": "a network of prefix length 0 is everybody",
}
OTHER_WORDS = {"not_an_address": ("four decimal numbers",)}


@pytest.mark.parametrize("case", [case for case in CASES if "canonical" in case], ids=lambda case: ascii(case["input"])[:40])
def test_address_has_one_spelling(case: dict[str, str]) -> None:
    assert parse_network(case["input"]).text == case["canonical"]
    assert parse_network(case["canonical"]).text == case["canonical"]


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=lambda case: ascii(case["input"])[:40])
def test_bad_address_is_refused_by_the_rule_it_breaks(case: dict[str, str]) -> None:
    with pytest.raises(BadInput) as caught:
        parse_network(case["input"])
    message = str(caught.value)
    assert any(words in message for words in (RULES[case["error"]], *OTHER_WORDS.get(case["error"], ())))
    assert message.isascii() or "…" in message
    assert message.isprintable()
    assert len(message) < 300


@given(st.ip_addresses())
def test_every_address_is_read_as_python_reads_it(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    found = parse_network(str(address))
    mapped = getattr(address, "ipv4_mapped", None)
    expected = mapped or address
    assert (found.version, found.low, found.high, found.single) == (expected.version, int(expected), int(expected), True)
    if not mapped:
        assert parse_network(address.exploded.upper()) == found


@given(st.ip_addresses(), st.integers(1, 128))
def test_every_network_is_read_as_python_reads_it(address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int) -> None:
    prefix = 1 + prefix % address.max_prefixlen
    network = ipaddress.ip_network((int(address), prefix) if address.version == 4 else (address.packed, prefix), strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None) is not None and prefix >= 96
    if mapped and prefix == 96:
        with pytest.raises(BadInput, match="everybody"):
            parse_network(str(network))
        return
    found = parse_network(str(network))
    if mapped:
        network = ipaddress.ip_network((int(network.network_address) & 0xFFFFFFFF, prefix - 96))
    assert found == Network(found.text, network.version, int(network.network_address), network.prefixlen)
    assert found.high == int(network.broadcast_address)
    assert ipaddress.ip_network(found.text) == network
    assert found.address == found.text.partition("/")[0]


@given(st.text(max_size=80) | st.text(alphabet="0123456789abcdef.:/%x ", max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = parse_network(text)
    except BadInput:
        return
    assert parse_network(found.text) == found
    assert ipaddress.ip_network(found.text).version == found.version
    assert set(found.text) <= set("0123456789abcdef.:/")
