# SPDX-License-Identifier: GPL-3.0-or-later

"""The nftables backend: listings as nft 1.0.6 and 1.1.3 print them are read right, and scripts say what they should. Real nft runs in tests/integration."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.firewall.nftables import Nftables, _chains, _field
from ansible_collections.riposte.active_response.plugins.module_utils.host.kind import Seen
from ansible_collections.riposte.active_response.plugins.module_utils.host.runner import Completed

CHAINS = """\
\tchain prerouting {
\t\ttype filter hook prerouting priority raw; policy accept;
\t\tip saddr & 255.255.255.0 == @v4_24 drop
\t\tip saddr & 255.255.255.128 == @v4_25 drop
\t\tip saddr @v4_32 drop
\t\tip6 saddr @v6_128 drop
\t\tip6 saddr & ffff:ffff:ffff:ffff:: == @v6_64 drop
\t\tip daddr & 255.255.255.0 == @v4_24 drop
\t\tip daddr & 255.255.255.128 == @v4_25 drop
\t\tip daddr @v4_32 drop
\t\tip6 daddr @v6_128 drop
\t\tip6 daddr & ffff:ffff:ffff:ffff:: == @v6_64 drop
\t}

\tchain output {
\t\ttype filter hook output priority raw; policy accept;
\t\tip daddr & 255.255.255.0 == @v4_24 drop
\t\tip daddr & 255.255.255.128 == @v4_25 drop
\t\tip daddr @v4_32 drop
\t\tip6 daddr @v6_128 drop
\t\tip6 daddr & ffff:ffff:ffff:ffff:: == @v6_64 drop
\t}
"""
SETS = """\
\tset v4_24 {
\t\ttype ipv4_addr
\t\tflags timeout
\t\telements = { 198.51.100.0 timeout 10m expires 9m59s992ms }
\t}

\tset v4_25 {
\t\ttype ipv4_addr
\t\tflags timeout
\t\telements = { 198.51.100.0 }
\t}

%s
\tset v6_128 {
\t\ttype ipv6_addr
\t\tflags timeout
\t\telements = { ::1.2.3.4 timeout 50s expires 49s988ms,
\t\t\t     2001:db8::1 timeout 10m expires 9m59s988ms }
\t}

\tset v6_64 {
\t\ttype ipv6_addr
\t\tflags timeout
\t\telements = { 2001:db8:0:1:: timeout 1w4d13h46m40s expires 11d13h46m39s988ms }
\t}

"""
# two to a line until 1.0, one to a line since
BOOKWORM = """\
\tset v4_32 {
\t\ttype ipv4_addr
\t\tflags timeout
\t\telements = { 10.0.0.1, 10.0.0.2 timeout 1s expires 992ms,
\t\t\t     10.0.0.3 timeout 1m1s expires 1m992ms, 10.0.0.4 timeout 9d5h7m3s expires 9d5h7m2s992ms,
\t\t\t     203.0.113.0 timeout 1m40s expires 1m39s992ms, 203.0.113.10, 203.0.113.1,
\t\t\t     203.0.113.2 timeout 1m42s expires 1m41s992ms }
\t}
"""
TRIXIE = """\
\tset v4_32 {
\t\ttype ipv4_addr
\t\tflags timeout
\t\telements = { 10.0.0.1,
\t\t\t     10.0.0.2 timeout 1s expires 992ms,
\t\t\t     10.0.0.3 timeout 1m1s expires 1m992ms,
\t\t\t     10.0.0.4 timeout 9d5h7m3s expires 9d5h7m2s992ms,
\t\t\t     203.0.113.0 timeout 1m40s expires 1m39s992ms,
\t\t\t     203.0.113.10,
\t\t\t     203.0.113.1,
\t\t\t     203.0.113.2 timeout 1m42s expires 1m41s992ms }
\t}
"""
EMPTY_SET = "\tset v4_32 {\n\t\ttype ipv4_addr\n\t\tflags timeout\n\t}\n"
DAY = 86400.0
LEFT: dict[str, float | None] = {
    "198.51.100.0/24": 599.992,
    "198.51.100.0/25": None,
    "10.0.0.1": None,
    "10.0.0.2": 0.992,
    "10.0.0.3": 60.992,
    "10.0.0.4": 9 * DAY + 5 * 3600 + 7 * 60 + 2.992,
    "203.0.113.0": 99.992,
    "203.0.113.10": None,
    "203.0.113.1": None,
    "203.0.113.2": 101.992,
    "::102:304": 49.988,
    "2001:db8::1": 599.988,
    "2001:db8:0:1::/64": 11 * DAY + 13 * 3600 + 46 * 60 + 39.988,
}


def listing(sets: str = SETS % BOOKWORM, chains: str = CHAINS, flags: str = "") -> str:
    return f"table inet riposte {{\n{flags}{sets}{chains}}}\n"


class Nft:
    """Answers a listing (the first ones once each) and keeps the scripts that it is given."""

    def __init__(self, listed: str | None, first: Sequence[str] = ()) -> None:
        self.first = list(first)
        self.listed = listed
        self.scripts: list[str] = []

    def __call__(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
        if argv[1:] == ["list", "table", "inet", "riposte"]:
            if self.listed is None:
                said = "Error: No such file or directory\nlist table inet riposte\n                ^^^^^^^\n"
                return Completed(1, "", said)
            return Completed(0, self.first.pop(0) if self.first else self.listed, "")
        assert argv[1:] == ["-f", "-"]
        self.scripts.append(stdin or "")
        return Completed(0, "", "")


def script_of(listed: str | None, put: dict[str, float | None], take: Sequence[str]) -> list[str]:
    nft = Nft(listed)
    backend = Nftables(nft)
    backend.read()
    backend.change(put, take)
    [script] = nft.scripts
    return script.splitlines()


@pytest.mark.parametrize("version", [BOOKWORM, TRIXIE], ids=["1.0.6", "1.1.3"])
def test_listing_is_read_member_by_member(version: str) -> None:
    begin = time.time()
    seen = Nftables(Nft(listing(SETS % version))).read()
    assert set(seen) == set(LEFT)
    for target, left in LEFT.items():
        assert seen[target].in_force
        assert seen[target].until == (None if left is None else pytest.approx(begin + left, abs=0.5))


def test_ends_count_from_before_the_listing_which_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """nft prints 100,000 members long after it asked the kernel: on a busy host ends seemed later than they were, and were set anew."""
    begin = 1_800_000_000.0
    now = [begin]
    monkeypatch.setattr(time, "time", lambda: now[0])

    class Slow(Nft):
        def __call__(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
            now[0] += 30
            return super().__call__(argv, stdin, seconds)

    seen = Nftables(Slow(listing(SETS % BOOKWORM))).read()
    assert {target: each.until for target, each in seen.items()} == {
        target: None if left is None else pytest.approx(begin + left, abs=0.5) for target, left in LEFT.items()
    }


def test_host_without_our_table_has_nothing_of_ours() -> None:
    assert Nftables(Nft(None)).read() == {}
    assert Nftables(Nft(listing(EMPTY_SET, ""))).read() == {}


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("dormant table", listing(flags="\tflags dormant\n\n")),
        ("flushed chain", listing(chains=re.sub(r"\t\tip.*\n", "", CHAINS))),
        ("chains gone", listing(chains="")),
        ("output gone", listing(chains=CHAINS.partition("\tchain output")[0])),
        ("one rule gone", listing(chains=CHAINS.replace("\t\tip saddr @v4_32 drop\n", "", 1))),
        ("somebody's rule before ours", listing(chains=CHAINS.replace("\t\tip saddr &", "\t\tip saddr 10.0.0.1 accept\n\t\tip saddr &", 1))),
        ("verdict changed", listing(chains=CHAINS.replace("@v4_32 drop", "@v4_32 accept", 1))),
        ("policy and hook changed", listing(chains=CHAINS.replace("hook output priority raw", "hook output priority filter"))),
        ("no hook", listing(chains=CHAINS.replace("\t\ttype filter hook prerouting priority raw; policy accept;\n", ""))),
    ],
)
def test_members_without_effect_are_not_in_force(name: str, listed: str) -> None:
    seen = Nftables(Nft(listed)).read()
    assert set(seen) == set(LEFT), name
    assert not any(each.in_force for each in seen.values())


def test_somebodys_own_chain_in_our_table_takes_nothing_out_of_force() -> None:
    """A drop is final whatever another chain accepts; and our scripts would not take it away, so it must not count as damage."""
    other = CHAINS + "\n\tchain mine {\n\t\ttype filter hook input priority filter; policy accept;\n\t\taccept\n\t}\n"
    assert all(each.in_force for each in Nftables(Nft(listing(chains=other))).read().values())


@pytest.mark.parametrize("said", ["Error: Operation not permitted", "Error: cache initialization failed: Operation not supported", ""])
def test_listing_that_fails_is_an_error_not_an_empty_host(said: str) -> None:
    with pytest.raises(ToolError, match="cannot list table inet riposte"):
        Nftables(lambda *_words: Completed(1, "", said)).read()


REARRANGED = listing().replace("203.0.113.10,", "10.0.0.1,")  # as seen with 100,000 members: one twice, another not at all


def test_listing_made_while_the_kernel_rearranges_a_set_is_not_believed() -> None:
    assert listing() != REARRANGED
    assert Nftables(Nft(listing(), first=[REARRANGED, REARRANGED])).read().keys() == LEFT.keys()
    with pytest.raises(ToolError, match="rearranging table inet riposte"):
        Nftables(Nft(REARRANGED)).read()


def test_first_block_makes_table_set_and_chains_in_one_script() -> None:
    lines = script_of(None, {"203.0.113.9": time.time() + 600}, [])
    assert lines == [
        "add table inet riposte",
        "add set inet riposte v4_32 { type ipv4_addr; flags timeout; }",
        "add chain inet riposte prerouting { type filter hook prerouting priority raw; policy accept; }",
        "flush chain inet riposte prerouting",
        "add rule inet riposte prerouting ip saddr @v4_32 drop",
        "add rule inet riposte prerouting ip daddr @v4_32 drop",
        "add chain inet riposte output { type filter hook output priority raw; policy accept; }",
        "flush chain inet riposte output",
        "add rule inet riposte output ip daddr @v4_32 drop",
        "add element inet riposte v4_32 { 203.0.113.9 timeout 600s }",
    ]


def test_further_block_leaves_whole_chains_alone() -> None:
    lines = script_of(listing(), {"203.0.113.9": None}, [])
    assert not [line for line in lines if line.startswith(("add chain", "flush", "add rule"))]
    assert lines[-1] == "add element inet riposte v4_32 { 203.0.113.9 }"


def test_network_of_a_new_length_lays_the_chains_anew() -> None:
    lines = script_of(listing(), {"10.0.0.0/8": None}, [])
    assert "flush chain inet riposte prerouting" in lines
    assert "add rule inet riposte prerouting ip saddr & 255.0.0.0 @v4_8 drop" in lines
    assert "add element inet riposte v4_8 { 10.0.0.0 }" in lines


def test_damaged_chains_are_laid_anew_with_every_set() -> None:
    lines = script_of(listing(chains=""), {"203.0.113.9": None}, [])
    assert len([line for line in lines if line.startswith("add rule inet riposte prerouting")]) == 10


def test_standing_member_is_taken_out_before_it_gets_another_end() -> None:
    """An `add` alone leaves its end as it is."""
    lines = script_of(listing(), {"10.0.0.3": None}, [])
    assert lines[-3:] == [
        "add element inet riposte v4_32 { 10.0.0.3 }",
        "delete element inet riposte v4_32 { 10.0.0.3 }",
        "add element inet riposte v4_32 { 10.0.0.3 }",
    ]


def test_release_takes_out_the_named_member_alone() -> None:
    lines = script_of(listing(), {}, ["10.0.0.1", "198.51.100.0/25", "203.0.113.250", "192.0.2.0/26"])
    assert [line for line in lines if "delete" in line] == [
        "delete element inet riposte v4_32 { 10.0.0.1,",
        "delete element inet riposte v4_25 { 198.51.100.0 }",
    ]


def test_release_of_the_last_member_takes_the_table_along() -> None:
    assert script_of(listing(), {}, list(LEFT)) == ["add table inet riposte", "delete table inet riposte"]


@given(st.integers(1, 32) | st.none(), st.integers(1, 128) | st.none())
def test_rules_are_compared_in_the_spelling_of_a_listing(four: int | None, six: int | None) -> None:
    sets = [f"v4_{four}"] * (four is not None) + [f"v6_{six}"] * (six is not None)
    member = {"4": "10.0.0.0", "6": "fd00::"}
    body = "".join(EMPTY_SET.replace("v4_32", name).replace("timeout\n\t}", f"timeout\n\t\telements = {{ {member[name[1]]} }}\n\t}}") for name in sets)
    chains = "".join(
        f"\tchain {chain} {{\n" + "".join(f"\t\t{rule.replace(' @', ' == @') if '&' in rule else rule}\n" for rule in rules) + "\t}\n"
        for chain, rules in _chains(sets).items()
    )
    seen = Nftables(Nft(listing(body, chains))).read()
    assert len(seen) == len(sets)
    assert all(each == Seen(True, None) for each in seen.values())


def test_mask_of_a_network() -> None:
    assert _field("v4_32", "saddr") == "ip saddr"
    assert _field("v4_9", "daddr") == "ip daddr & 255.128.0.0"
    assert _field("v6_128", "daddr") == "ip6 daddr"
    assert _field("v6_49", "saddr") == "ip6 saddr & ffff:ffff:ffff:8000::"
