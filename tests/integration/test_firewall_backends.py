# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks on each firewall, proved by packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.ground import FIREWALLS, IPSET_LEGACY, IPSET_NFT, NFTABLES, OTHERS, STATE, Firewall, Ground, ground, prove_dead, state, without_counts
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
    assert state(wall.host).partition("== ledger")[0] == before.partition("== ledger")[0]
