# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks on each firewall, proved by packets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.integration.ground import (
    CUT,
    FIREWALLS,
    IPSET_LEGACY,
    IPSET_NFT,
    NFTABLES,
    OTHERS,
    STATE,
    Ground,
    ground,
    prove_dead,
    rules,
    state,
    without_counts,
)
from tests.integration.modules import steps, task
from tests.lab import Lab, Peer

# targets, and for each an address of the attacker that it covers
TARGETS = {"203.0.113.9": "203.0.113.9", "2001:db8:bad::9": "2001:db8:bad::9", "198.51.100.0/24": "198.51.100.7", "2001:db8:bad:2::/64": "2001:db8:bad:2::7"}
SOURCES = tuple(TARGETS.values())

# each firewall on each suite, each Python and each core at least once
COLUMNS = (
    ("bookworm", NFTABLES, "newest"),
    ("bookworm/3.9", IPSET_NFT, "2.16"),
    ("bookworm/3.13", IPSET_LEGACY, "newest"),
    ("trixie", NFTABLES, "2.16"),
    ("trixie/3.9", IPSET_NFT, "newest"),
    ("trixie", IPSET_LEGACY, "2.16"),
)


@pytest.fixture
def wall(lab: Lab, attacker: Peer, visitor: Peer, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A host with the firewall, and of the kind, that the test asks for."""
    firewall, kind = request.param if isinstance(request.param, tuple) else (request.param, "bookworm")
    for source in SOURCES:
        attacker.add_address(source)
    try:
        with ground(lab, attacker, visitor, firewall, kind) as made:
            yield made
    except LookupError as missing:
        pytest.skip(str(missing))


every_firewall = pytest.mark.parametrize("wall", FIREWALLS, indirect=True, ids=str)
snapshot = task("ansible.builtin.command", argv=["sh", "-c", STATE])


@pytest.mark.parametrize(
    ("wall", "core"), [((firewall, kind), core) for kind, firewall, core in COLUMNS], indirect=["wall"], ids=["-".join(map(str, each)) for each in COLUMNS]
)
def test_block_and_release_in_every_direction(wall: Ground, core: str) -> None:
    """Check, do, again, release, again; addresses and networks of both families; the host has rules of others."""
    wall.host.inside(["sh", "-c", OTHERS])
    before = state(wall.host)
    wall.prove_open(*SOURCES)
    streams = wall.streams(*SOURCES)
    block = task("firewall_drop", targets=list(TARGETS), timeout="10m", backend=wall.firewall.backend)
    release = task("firewall_drop", targets=list(TARGETS), state="absent")

    check, unchanged, done, put, again, check_again, put_again = steps(
        wall.lab, wall.host, block.check(), snapshot, block, snapshot, block, block.check(), snapshot, core=core, diff=True
    )
    assert not check["failed"]
    assert check["changed"]
    assert without_counts(unchanged["stdout"] + "\n") == before
    assert not done["failed"]
    assert done["summary"]["done"] == len(TARGETS)
    assert done["diff"] == check["diff"]
    assert {each["target"]: each["in_force"]["blocked"] for each in done["responses"]} == dict.fromkeys(TARGETS, True)
    for repeat in (again, check_again):
        assert not repeat["changed"]
        assert repeat["summary"]["unchanged"] == len(TARGETS)
    assert without_counts(put_again["stdout"]) == without_counts(put["stdout"])
    wall.prove_cut(*SOURCES)
    prove_dead(streams)

    held = state(wall.host)
    check, unchanged, done, again, check_again = steps(
        wall.lab, wall.host, release.check(), snapshot, release, release, release.check(), core=core, diff=True
    )
    assert not check["failed"]
    assert check["changed"]
    assert without_counts(unchanged["stdout"] + "\n") == held
    assert done["summary"]["done"] == len(TARGETS)
    assert done["diff"] == check["diff"]
    for repeat in (again, check_again):
        assert not repeat["changed"]
        assert not repeat["failed"]
    wall.prove_open(*SOURCES)
    assert rules(wall.host) == before.partition("== ledger")[0]


@every_firewall
def test_block_ends_by_itself(wall: Ground) -> None:
    """The kernel ends it, not earlier than promised; then the host knows that nothing stands."""
    begun = time.time()
    done = wall.engine.drop(*TARGETS, timeout="4s", backend=wall.firewall.backend)
    assert done["summary"]["done"] == len(TARGETS)
    wall.prove_cut(*SOURCES)
    wall.wait_open(*SOURCES)
    assert time.time() - begun >= 4
    assert wall.members() == []
    gone = wall.engine.release(*TARGETS)
    assert not gone["changed"]
    # a repeat after the end is a new block
    again = wall.engine.drop("203.0.113.9", timeout="10m", backend=wall.firewall.backend)
    assert again["responses"][0]["outcome"] == "done"
    assert again["responses"][0]["id"] != done["responses"][0]["id"]
    wall.prove_cut("203.0.113.9")


# what may befall the rules of a block that stands; a host that lost its power has nothing left of them
LOSSES = {
    NFTABLES: {
        "ruleset flushed": "nft flush ruleset",
        "table deleted": "nft delete table inet riposte",
        "table dormant": "nft 'add table inet riposte { flags dormant; }'",
        "chain flushed": "nft flush chain inet riposte prerouting",
        "rule before ours": "nft insert rule inet riposte prerouting accept",
        "member deleted": "nft delete element inet riposte v4_32 { 203.0.113.9 }",
    },
    IPSET_NFT: {
        "everything flushed": "iptables -t raw -F; iptables -t raw -X; ip6tables -t raw -F; ip6tables -t raw -X; ipset destroy riposte4; ipset destroy riposte6",
        "nft ruleset flushed": "nft flush ruleset",
        "accepted before ours": "iptables -t raw -I PREROUTING -j ACCEPT",
        "jump deleted": "iptables -t raw -D PREROUTING -j RIPOSTE",
        "chain flushed": "iptables -t raw -F RIPOSTE",
        "members flushed": "ipset flush riposte4",
    },
    IPSET_LEGACY: {
        "everything flushed": "iptables -t raw -F; iptables -t raw -X; ip6tables -t raw -F; ip6tables -t raw -X; ipset destroy riposte4; ipset destroy riposte6",
        "accepted before ours": "iptables -t raw -N EARLY; iptables -t raw -A EARLY -j ACCEPT; iptables -t raw -I PREROUTING -g EARLY",
        "member deleted": "ipset del riposte4 203.0.113.9",
    },
}


@every_firewall
def test_what_vanished_comes_back_with_the_rest_of_its_time(wall: Ground) -> None:
    """The same call again, 20 minutes into an hour: 40 minutes are left, not 60."""
    since = str(int(time.time()) - 1200)
    wanted = {"timeout": "1h", "backend": wall.firewall.backend}
    first = wall.engine.drop(*TARGETS, **wanted, since=since)
    ends = {each["target"]: each["until"] for each in first["responses"]}
    wall.prove_cut(*SOURCES)
    losses = {**{name: lambda command=command: wall.host.inside(["sh", "-c", command]) for name, command in LOSSES[wall.firewall].items()}, "power cut": wall.power_cycle}
    for name, lose in losses.items():
        lose()
        wall.prove_open("203.0.113.9", ways=["forwarded in"])  # passes no rule of OUTPUT, which may be left
        before = state(wall.host)
        check = wall.engine.drop(*TARGETS, **wanted, check=True)
        assert check["changed"], name
        assert state(wall.host) == before, name
        back = wall.engine.drop(*TARGETS, **wanted)
        assert back["changed"], name
        assert back["summary"]["failed"] == 0, (name, back)
        assert {each["target"]: each["until"] for each in back["responses"]} == ends, name
        assert wall.members() == sorted(TARGETS), name
        assert {target: seconds for target in TARGETS if not 2300 < (seconds := wall.seconds_left(target) or 0) < 2402} == {}, name
        wall.prove_cut(*SOURCES)


@every_firewall
def test_release_of_one_leaves_its_neighbours(wall: Ground) -> None:
    """10.0.0.1 does not take along 10.0.0.10, nor the networks it lies in; a network does not take along what lies in it."""
    four = {"one": "10.0.0.1", "ten": "10.0.0.10", "near": "10.0.0.77", "far": "10.0.200.1"}
    six = {"one": "2001:db8:1::1", "ten": "2001:db8:1::10", "near": "2001:db8:1::77", "far": "2001:db8:1:200::1"}
    sources = [*four.values(), *six.values()]
    for source in sources:
        wall.attacker.add_address(source)
    narrow, wide = ["10.0.0.0/24", "2001:db8:1::/64"], ["10.0.0.0/16", "2001:db8:1::/48"]

    def cut() -> set[str]:
        seen = {name: wall.ways(four[name], six[name], timeout=0.3) for name in four}
        assert all(len(set(outcomes.values())) == 1 for outcomes in seen.values()), seen
        return {name for name, outcomes in seen.items() if set(outcomes.values()) == {CUT}}

    def release(*targets: str) -> None:
        done = wall.engine.drop(*targets, state="absent")
        assert done["summary"]["done"] == len(targets), done

    blocked = wall.engine.respond(
        {"response": "firewall_drop", "targets": [four["one"], six["one"], four["ten"], six["ten"]], "timeout": "10m", "backend": wall.firewall.backend},
        {"response": "firewall_drop", "targets": narrow, "timeout": "20m", "backend": wall.firewall.backend},
        {"response": "firewall_drop", "targets": wide, "permanent": True, "backend": wall.firewall.backend},
    )
    assert blocked["summary"]["done"] == 8
    assert cut() == {"one", "ten", "near", "far"}
    assert [round((wall.seconds_left(each) or 0) / 600) for each in (four["one"], *narrow, *wide)] == [1, 2, 2, 0, 0]
    release(*wide)
    assert cut() == {"one", "ten", "near"}
    release(four["one"], six["one"])
    assert cut() == {"one", "ten", "near"}  # still inside the narrow network
    release(*narrow)
    assert cut() == {"ten"}
    assert wall.members() == sorted([four["ten"], six["ten"]])
    release(four["ten"], six["ten"])
    assert cut() == set()
