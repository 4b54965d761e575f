# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks on each firewall, proved by packets."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.integration.ground import (
    CUT,
    FIREWALLS,
    IPSET_LEGACY,
    IPSET_NFT,
    NFTABLES,
    OTHERS,
    STATE,
    Firewall,
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
def fresh_wall(lab: Lab, attacker: Peer, visitor: Peer, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A host with a firewall, of a kind, that nobody has touched."""
    firewall, kind = request.param
    yield from raised(lab, attacker, visitor, firewall, kind)


@pytest.fixture(scope="module")
def shared_wall(lab: Lab, attacker: Peer, visitor: Peer, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """One host a firewall for many tests."""
    yield from raised(lab, attacker, visitor, request.param, "bookworm")


@pytest.fixture
def wall(shared_wall: Ground) -> Iterator[Ground]:
    """A host with the firewall that the test asks for, on which nothing stands."""
    yield shared_wall
    shared_wall.wipe()


def raised(lab: Lab, attacker: Peer, visitor: Peer, firewall: Firewall, kind: str) -> Iterator[Ground]:
    for source in SOURCES:
        attacker.add_address(source)
    try:
        with ground(lab, attacker, visitor, firewall, kind) as made:
            yield made
    except LookupError as missing:
        pytest.skip(str(missing))


def on(*firewalls: Firewall) -> pytest.MarkDecorator:
    """The test runs once on each firewall."""
    return pytest.mark.parametrize("shared_wall", firewalls, indirect=True, ids=str)


snapshot = task("ansible.builtin.command", argv=["sh", "-c", STATE])


@pytest.mark.parametrize(
    ("fresh_wall", "core"),
    [((firewall, kind), core) for kind, firewall, core in COLUMNS],
    indirect=["fresh_wall"],
    ids=["-".join(map(str, each)) for each in COLUMNS],
)
def test_block_and_release_in_every_direction(fresh_wall: Ground, core: str) -> None:
    """Check, do, again, release, again; addresses and networks of both families; the host has rules of others."""
    wall = fresh_wall
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
    check, unchanged, done, again, check_again = steps(wall.lab, wall.host, release.check(), snapshot, release, release, release.check(), core=core, diff=True)
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


@on(*FIREWALLS)
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
FLUSH_ALL = "; ".join([*(f"{tool} -t raw -F; {tool} -t raw -X" for tool in ("iptables", "ip6tables")), "ipset destroy riposte4", "ipset destroy riposte6"])
LOSSES: dict[Firewall, dict[str, str]] = {
    NFTABLES: {
        "ruleset flushed": "nft flush ruleset",
        "table deleted": "nft delete table inet riposte",
        "table dormant": "nft 'add table inet riposte { flags dormant; }'",
        "chain flushed": "nft flush chain inet riposte prerouting",
        "rule before ours": "nft insert rule inet riposte prerouting accept",
        "member deleted": "nft delete element inet riposte v4_32 { 203.0.113.9 }",
    },
    IPSET_NFT: {
        "everything flushed": FLUSH_ALL,
        "nft ruleset flushed": "nft flush ruleset",
        "accepted before ours": "iptables -t raw -I PREROUTING -j ACCEPT",
        "jump deleted": "iptables -t raw -D PREROUTING -j RIPOSTE",
        "chain flushed": "iptables -t raw -F RIPOSTE",
        "members flushed": "ipset flush riposte4",
    },
    IPSET_LEGACY: {
        "everything flushed": FLUSH_ALL,
        "accepted before ours": "iptables -t raw -N EARLY; iptables -t raw -A EARLY -j ACCEPT; iptables -t raw -I PREROUTING -g EARLY",
        "member deleted": "ipset del riposte4 203.0.113.9",
    },
}


@on(*FIREWALLS)
def test_what_vanished_comes_back_with_the_rest_of_its_time(wall: Ground) -> None:
    """The same call again, 20 minutes into an hour: 40 minutes are left, not 60."""
    since = str(int(time.time()) - 1200)
    wanted: dict[str, Any] = {"timeout": "1h", "backend": wall.firewall.backend}
    first = wall.engine.drop(*TARGETS, **wanted, since=since)
    ends = {each["target"]: each["until"] for each in first["responses"]}
    wall.prove_cut(*SOURCES)
    for name, loss in {**LOSSES[wall.firewall], "power cut": ""}.items():
        if loss:
            wall.host.inside(["sh", "-c", loss])
        else:
            wall.power_cycle()
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
        wall.prove_cut(*(SOURCES if "ruleset" in name or "everything" in name or "power" in name else ["203.0.113.9"]))


@on(*FIREWALLS)
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


@on(*FIREWALLS)
def test_the_kernel_has_the_end_that_is_told(wall: Ground) -> None:
    """A later end, and none at all, reach what is in force already; there is one member all the time."""
    backend = wall.firewall.backend

    def left(**wanted: Any) -> list[float | None]:
        done = wall.engine.drop(*TARGETS, backend=backend, **wanted)
        assert done["summary"]["done"] == len(TARGETS), done
        assert wall.members() == sorted(TARGETS)
        wall.prove_cut("203.0.113.9", ways=["incoming"])
        return [seconds and round(seconds / 600) for seconds in map(wall.seconds_left, TARGETS)]

    assert left(timeout="10m") == [1] * len(TARGETS)
    assert left(until=str(round(time.time()) + 7200)) == [12] * len(TARGETS)
    assert left(permanent=True) == [None] * len(TARGETS)


@pytest.mark.parametrize(
    "fresh_wall", [(NFTABLES, "bookworm"), (NFTABLES, "trixie"), (IPSET_NFT, "bookworm")], indirect=True, ids=["nftables", "nftables-trixie", "ipset"]
)
def test_networks_of_every_prefix_length(fresh_wall: Ground) -> None:
    """Side by side, each taken for what it is, each released alone."""
    wall = fresh_wall
    names = ["wide_network", "multicast", "link_local", "broadcast", "loopback", "unspecified", "own_address"]
    bases = (("200.0.0.0", 32), ("2001:db8::", 128))
    targets = [str(ipaddress.ip_network((base, bits), strict=False)) for base, most in bases for bits in range(1, most + 1)]
    near, far = "2001:db8:0:1::7", "2001:db8:0:2::7"
    for source in (near, far):
        wall.attacker.add_address(source)
    done = wall.engine.drop(*targets, timeout="10m", backend=wall.firewall.backend, override=names)
    assert [each["message"] for each in done["responses"] if each["outcome"] != "done"] == []
    assert len(wall.members()) == 160
    wall.prove_cut(near, far, "203.0.113.9")
    again = wall.engine.drop(*targets, timeout="10m", override=names)
    assert not again["changed"]
    others = [target for target in targets if not target.endswith("/63")]
    assert wall.engine.drop(*others, state="absent")["summary"]["done"] == len(others)
    wall.prove_cut(near)
    wall.prove_open(far, "203.0.113.9")


@on(*FIREWALLS)
def test_a_lost_ledger_orphans_nothing(wall: Ground) -> None:
    """What carries our mark is ours: it keeps its end, its firewall and can be released."""
    first = wall.engine.drop(*TARGETS, timeout="1h", since=str(int(time.time()) - 1200), backend=wall.firewall.backend)
    wall.host.inside(["rm", "-r", "/var/lib/riposte"])
    again = wall.engine.drop(*TARGETS, timeout="1h")
    assert not again["changed"], again
    assert {each["backend"] for each in again["responses"]} == {wall.firewall.backend}
    for old, new in zip(first["responses"], again["responses"]):
        ends = [datetime.fromisoformat(each["until"].replace("Z", "+00:00")).timestamp() for each in (old, new)]
        assert abs(ends[0] - ends[1]) <= 2
    wall.prove_cut(*SOURCES)
    wall.host.inside(["rm", "-r", "/var/lib/riposte"])
    assert wall.engine.release(*TARGETS)["summary"]["done"] == len(TARGETS)
    wall.prove_open(*SOURCES)


@on(*FIREWALLS)
def test_an_end_further_away_than_the_kernel_can_count(wall: Ground) -> None:
    """ipset counts to 24 days: without a tick that renews it, a longer end is refused with the cure, never cut short."""
    (entry,) = wall.engine.drop("203.0.113.9", timeout="366d", backend=wall.firewall.backend)["responses"]
    if wall.firewall is NFTABLES:
        assert entry["outcome"] == "done"
        assert abs((wall.seconds_left("203.0.113.9") or 0) - 366 * 86400) < 10
    else:
        assert entry["outcome"] == "failed"
        assert (
            "no tick is installed on this host, so the response would not end on time; install it with the role riposte.active_response.agent"
            in entry["message"]
        )
        assert "203.0.113.9" not in rules(wall.host)
        assert wall.engine.drop("203.0.113.9", timeout="24d", backend="ipset")["summary"]["done"] == 1
        assert abs((wall.seconds_left("203.0.113.9") or 0) - 24 * 86400) < 10
    wall.prove_cut("203.0.113.9")


@pytest.mark.parametrize(
    ("fresh_wall", "other"),
    [((IPSET_LEGACY, "bookworm"), IPSET_NFT), ((IPSET_NFT, "trixie"), IPSET_LEGACY)],
    indirect=["fresh_wall"],
    ids=["to-nft", "to-legacy"],
)
def test_a_host_that_changes_its_flavour_of_iptables(fresh_wall: Ground, other: Firewall) -> None:
    """The block holds, is seen to in the new flavour, and a release takes it out of both."""
    wall = fresh_wall
    wall.engine.drop(*TARGETS, timeout="10m", backend="ipset")
    wall.host.inside(["sh", "-c", other.prepare])
    wall.prove_cut("203.0.113.9")
    again = wall.engine.drop(*TARGETS, timeout="10m")
    assert again["summary"]["failed"] == 0
    assert not wall.engine.drop(*TARGETS, timeout="10m")["changed"]
    wall.prove_cut(*SOURCES)
    assert wall.engine.drop(*TARGETS, state="absent")["summary"]["done"] == len(TARGETS)
    assert "riposte" not in rules(wall.host).lower()
    wall.prove_open(*SOURCES)


# what iptables itself makes at any use of its table
EMPTY_RAW = r"table ip6? raw \{|\tchain \w+ \{|\t\ttype filter hook \w+ priority raw; policy accept;|[\t}]*|\*raw|COMMIT|:(PREROUTING|OUTPUT) ACCEPT "


@on(*FIREWALLS)
def test_release_leaves_no_rule_on_a_bare_host(wall: Ground) -> None:
    """Where nobody had a rule, there is none after the release; iptables' own empty table `raw` may stay, as after any of its uses."""
    before = rules(wall.host)
    wall.engine.drop(*TARGETS, timeout="10m", backend=wall.firewall.backend)
    assert wall.engine.drop(*TARGETS, state="absent")["summary"]["done"] == len(TARGETS)
    assert _ours(wall, before) == []


@on(*FIREWALLS)
def test_what_ran_out_leaves_no_rule_either(wall: Ground) -> None:
    """The kernel ends the members, the next tick takes out what held them."""
    before = rules(wall.host)
    wall.engine.drop(*TARGETS, timeout="1s", backend=wall.firewall.backend)
    wall.wait_open(*SOURCES)
    wall.engine.tick()
    assert _ours(wall, before) == []


def _ours(wall: Ground, before: str) -> list[str]:
    left = set(rules(wall.host).splitlines()) - set(before.splitlines())
    return [line for line in left if wall.firewall is NFTABLES or not re.fullmatch(EMPTY_RAW, line)]


# --- truth: a block that is not in force is never called done ---------------------------------------------------------------------------------

# A program in the place of the real one, which it may call as $real. `changing` holds for a call that is to change something.
STANDS_IN = """#!/bin/sh
real=/usr/sbin/{tool}
changing=no
case "$*" in -f*|*-f\\ -*|restore*|--noflush*) changing=yes;; esac
{body}
"""
MUTE = "cat > /dev/null; exit 0"
LIES: dict[Firewall, dict[str, tuple[str, str]]] = {
    NFTABLES: {
        "it does nothing": ("nft", MUTE),
        "it changes nothing": ("nft", '[ $changing = no ] || { cat > /dev/null; exit 0; }; exec $real "$@"'),
        "it fails": ("nft", '[ $changing = no ] || { cat > /dev/null; echo "Error: no luck today" >&2; exit 1; }; exec $real "$@"'),
        "it says it failed": ("nft", '$real "$@"; code=$?; [ $changing = no ] && exit $code; $real flush ruleset; echo "Error: no luck today" >&2; exit 1'),
        "somebody flushes": ("nft", '$real "$@"; code=$?; [ $changing = no ] || $real flush ruleset; exit $code'),
        "somebody makes it dormant": ("nft", '$real "$@"; code=$?; [ $changing = no ] || $real "add table inet riposte { flags dormant; }"; exit $code'),
        "somebody accepts first": ("nft", '$real "$@"; code=$?; [ $changing = no ] || $real insert rule inet riposte prerouting accept; exit $code'),
    },
    IPSET_NFT: {
        "ipset does nothing": ("ipset", MUTE),
        "iptables does nothing": ("iptables-restore", MUTE),
        "iptables fails": ("iptables-restore", 'cat > /dev/null; echo "Error: no luck today" >&2; exit 4'),
        "somebody flushes the set": ("ipset", '$real "$@"; code=$?; [ $changing = no ] || $real flush riposte4; exit $code'),
        "somebody accepts first": ("iptables-restore", '$real "$@"; code=$?; iptables -t raw -I PREROUTING -j ACCEPT; exit $code'),
    },
    IPSET_LEGACY: {
        "iptables does nothing": ("iptables-restore", MUTE),
        "somebody accepts first": ("iptables-restore", '$real "$@"; code=$?; iptables -t raw -I PREROUTING -j ACCEPT; exit $code'),
    },
}
EACH_LIE = [(firewall, *lie) for firewall, lies in LIES.items() for lie in lies.values()]


@pytest.mark.parametrize(
    ("shared_wall", "tool", "body"), EACH_LIE, indirect=["shared_wall"], ids=[f"{firewall}-{name}" for firewall, lies in LIES.items() for name in lies]
)
def test_a_block_that_is_not_in_force_fails(wall: Ground, tool: str, body: str) -> None:
    wanted: dict[str, Any] = {"timeout": "10m", "backend": wall.firewall.backend}
    wall.stand_in(tool, STANDS_IN.format(tool=tool, body=body))
    failed = wall.engine.drop("203.0.113.9", **wanted)
    (entry,) = failed["responses"]
    assert entry["outcome"] == "failed", entry
    assert not failed["changed"]
    said = "no luck today" if "luck" in body else "cannot list table inet riposte" if body == MUTE and tool == "nft" else "203.0.113.9 is not in force"
    assert said in entry["message"]
    wall.prove_open("203.0.113.9", ways=["forwarded in"])

    wall.stand_in(tool, None)
    assert wall.engine.drop("203.0.113.9", **wanted)["responses"][0]["outcome"] == "done"
    wall.prove_cut("203.0.113.9")


@pytest.mark.parametrize(
    ("shared_wall", "tool"),
    [(NFTABLES, "nft"), (IPSET_NFT, "iptables-nft-restore"), (IPSET_NFT, "iptables-restore"), (IPSET_NFT, "ipset"), (IPSET_LEGACY, "ipset")],
    indirect=["shared_wall"],
    ids=str,
)
def test_a_release_that_left_something_fails(wall: Ground, tool: str) -> None:
    wall.engine.drop("203.0.113.9", timeout="10m", backend=wall.firewall.backend)
    wall.stand_in(tool, STANDS_IN.format(tool=tool, body='case "$1" in list|save) exec $real "$@";; esac; exit 0'))
    released = wall.engine.drop("203.0.113.9", state="absent")
    left = "203.0.113.9" in rules(wall.host)
    assert released["responses"][0]["outcome"] == ("failed" if left else "done"), released["responses"]
    assert released["changed"] != left
    wall.stand_in(tool, None)
    assert wall.engine.drop("203.0.113.9", state="absent")["responses"][0]["outcome"] == ("done" if left else "unchanged")
    wall.prove_open("203.0.113.9")
    assert "203.0.113.9" not in rules(wall.host)


# --- which firewall ---------------------------------------------------------------------------------------------------------------------------


@on(NFTABLES)
def test_auto_takes_what_works_and_stays_with_what_holds(wall: Ground) -> None:
    """And says which and why."""

    def block(address: str, backend: str = "auto") -> tuple[str, str | None, str]:
        (entry,) = wall.engine.drop(address, timeout="10m", backend=backend)["responses"]
        return entry["outcome"], entry["backend"], entry["message"]

    def release() -> None:
        assert wall.engine.release("203.0.113.1", "203.0.113.2", "203.0.113.3")["summary"]["failed"] == 0

    first, second, third = "203.0.113.1", "203.0.113.2", "203.0.113.3"
    outcome, backend, why = block(first)
    assert (outcome, backend) == ("done", "nftables")
    assert "nftables (the first of nftables, ipset that works here)" in why
    outcome, _backend, why = block(second, "ipset")
    assert outcome == "failed"
    assert "backend ipset: this host's blocks are held by nftables; release them first" in why
    assert block(second, "nftables")[:2] == ("done", "nftables")
    release()

    with wall.without("nft"):
        outcome, backend, why = block(first)
        assert (outcome, backend) == ("done", "ipset")
        assert "passed over nftables: not installed" in why
    outcome, backend, why = block(second)
    assert (outcome, backend) == ("done", "ipset")
    assert "ipset holds this host's blocks" in why
    outcome, _backend, why = block(third, "nftables")
    assert outcome == "failed"
    assert "backend nftables: this host's blocks are held by ipset" in why
    release()

    wall.stand_in("nft", "#!/bin/sh\necho Operation not permitted >&2\nexit 1\n")
    outcome, backend, why = block(first)
    assert (outcome, backend) == ("done", "ipset")
    assert "passed over nftables: nft: cannot list table inet riposte: Operation not permitted" in why
    release()
    wall.stand_in("nft", None)
    assert block(first)[:2] == ("done", "nftables")
    with wall.without("nft"):
        # what holds is gone: nothing can be told, so nothing is claimed
        outcome, _backend, why = block(second)
        assert outcome == "failed"
        assert "nftables: its programs are not installed on this host" in why
    release()


@on(NFTABLES)
def test_no_firewall_at_all(wall: Ground) -> None:
    with wall.without("nft"), wall.without("ipset"):
        none, asked, info = steps(
            wall.lab,
            wall.host,
            task("firewall_drop", targets=["203.0.113.1"], timeout="10m"),
            task("firewall_drop", targets=["203.0.113.1"], timeout="10m", backend="ipset"),
            task("response_info"),
        )
    assert none["failed"]
    assert "no firewall works on this host, so nothing is blocked: nftables: not installed; ipset: not installed" in none["msg"]
    assert asked["failed"]
    assert "ipset: its programs are not installed on this host" in asked["msg"]
    assert not info["failed"]
    assert info["responses"] == []


@pytest.mark.parametrize(
    "fresh_wall", [(NFTABLES, "bookworm"), (NFTABLES, "trixie"), (IPSET_NFT, "bookworm")], indirect=True, ids=["nftables", "nftables-trixie", "ipset"]
)
def test_beside_firewalld(fresh_wall: Ground) -> None:
    """firewalld's rules stay as they are; a block in a table of our own outlives its reload, one in a set it destroys comes back with the next run."""
    wall = fresh_wall
    open_port = f"firewall-cmd --quiet --permanent --zone=public --set-target=ACCEPT; firewall-cmd --quiet --add-port={wall.port}/tcp --permanent"
    wall.host.ssh(f"systemctl start firewalld && {open_port} && firewall-cmd --quiet --reload")
    assert wall.host.ssh("firewall-cmd --state").stdout.strip() == "running"
    wall.prove_open("203.0.113.9")
    before = rules(wall.host)
    first = wall.engine.drop("203.0.113.9", timeout="1h", backend=wall.firewall.backend)
    wall.prove_cut("203.0.113.9")
    wall.engine.drop("203.0.113.9", state="absent")
    after = rules(wall.host).splitlines()
    assert [line for line in after if line not in before.splitlines() and not re.fullmatch(EMPTY_RAW, line)] == []
    assert [line for line in before.splitlines() if line not in after] == []

    first = wall.engine.drop("203.0.113.9", timeout="1h", backend=wall.firewall.backend)
    wall.host.ssh("firewall-cmd --quiet --reload")
    again = wall.engine.drop("203.0.113.9", timeout="1h", backend=wall.firewall.backend)
    assert again["changed"] == (wall.firewall is not NFTABLES)
    assert again["responses"][0]["until"] == first["responses"][0]["until"]
    wall.prove_cut("203.0.113.9")
    if wall.firewall is NFTABLES:
        for command in ("firewall-cmd --quiet --complete-reload", "systemctl restart firewalld", "systemctl stop firewalld"):
            wall.host.ssh(command)
            wall.prove_cut("203.0.113.9")
