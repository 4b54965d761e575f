# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewall_drop and respond say and do for each way of asking, by real Ansible runs on an nftables host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.integration.ground import IPSET_NFT, NFTABLES, Ground, ground, rules, state
from tests.integration.modules import Outcome, Task, module, on_hosts, steps, task
from tests.lab import Lab, Peer
from tests.lab.lab import find_python

ATTACKER = "203.0.113.9"


@pytest.fixture(scope="module")
def shared(lab: Lab, attacker: Peer, visitor: Peer) -> Iterator[Ground]:
    """One host for this file."""
    attacker.add_address(ATTACKER)
    with ground(lab, attacker, visitor, NFTABLES) as made:
        yield made


@pytest.fixture
def wall(shared: Ground) -> Iterator[Ground]:
    """The host, on which nothing stands."""
    yield shared
    shared.wipe()


def moment(seconds: float) -> str:
    """A moment as results have it."""
    return datetime.fromtimestamp(round(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_to(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time()


def entry(answer: Outcome) -> dict[str, Any]:
    (only,) = answer["responses"]
    return dict(only)


# --- lifetimes --------------------------------------------------------------------------------------------------------------------------------


def test_which_end_stands(wall: Ground) -> None:
    """A timeout leaves a standing end alone, the later `until` wins, permanent is later than any."""
    now = time.time()
    later, latest = moment(now + 7200), moment(now + 10800)

    def block(**options: Any) -> Task:
        return task("firewall_drop", targets=[ATTACKER], **options)

    first, repeat, moved, earlier, epoch, short, forever, after, again = map(
        entry,
        steps(
            wall.lab,
            wall.host,
            block(timeout="10m"),
            block(timeout="30m"),
            block(until=later),
            block(until=moment(now + 1800)),
            block(until=str(round(now) + 10800)),
            block(timeout=60),
            block(permanent=True),
            block(until=later),
            block(timeout="10m"),
        ),
    )
    assert first["outcome"] == "done"
    assert -30 < seconds_to(first["since"]) <= 1
    assert 560 < seconds_to(first["until"]) <= 600
    assert (repeat["outcome"], repeat["until"]) == ("unchanged", first["until"])
    assert (moved["outcome"], moved["until"]) == ("done", later)
    assert (earlier["outcome"], earlier["until"]) == ("unchanged", later)
    assert (epoch["outcome"], epoch["until"]) == ("done", latest)
    assert (short["outcome"], short["until"]) == ("unchanged", latest)
    assert (forever["outcome"], forever["until"]) == ("done", None)
    assert (after["outcome"], after["until"]) == ("unchanged", None)
    assert (again["outcome"], again["until"]) == ("unchanged", None)
    assert {each["id"] for each in (first, repeat, moved, earlier, epoch, short, forever, after, again)} == {first["id"]}
    assert wall.members() == [ATTACKER]
    assert wall.seconds_left(ATTACKER) is None


# terms that are refused, and what the message must say of them
BAD_TERMS: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "exactly one of timeout, until, permanent"),
    ({"permanent": False}, "exactly one of timeout, until, permanent"),
    ({"timeout": "10m", "permanent": True}, "exactly one of timeout, until, permanent"),
    ({"timeout": "10m", "until": "2099-01-01T00:00:00Z"}, "exactly one of timeout, until, permanent"),
    ({"timeout": "-1"}, "timeout '-1': it must be a whole number of seconds"),
    ({"timeout": "0"}, "timeout '0': it must be from 1 second to 366 days"),
    ({"timeout": "1e9"}, "timeout '1e9': it must be a whole number of seconds"),
    ({"timeout": "1000000000"}, "timeout '1000000000'"),
    ({"timeout": "10 parsecs"}, "timeout '10 parsecs': it must be a whole number of seconds"),
    ({"timeout": ""}, "timeout '': it must be a whole number of seconds"),
    ({"timeout": "10m\n"}, "timeout '10m\\n'"),
    ({"timeout": "367d"}, "timeout '367d': it must be from 1 second to 366 days"),
    ({"timeout": "{{ 7*7 }}"}, "timeout '{{ 7*7 }}'"),
    ({"until": "2020-01-01T00:00:00Z"}, "until '2020-01-01T00:00:00Z': its end 2020-01-01T00:00:00Z has passed"),
    ({"until": "2099-01-01T00:00:00"}, "until '2099-01-01T00:00:00': it must be a moment with a zone"),
    ({"until": "tomorrow"}, "until 'tomorrow': it must be a moment with a zone"),
    ({"until": "2099-01-01T00:00:00Z"}, "it must end within 366 days"),
    ({"permanent": True, "since": "2026-01-01T00:00:00Z"}, "since: it says what a timeout counts from"),
    ({"timeout": "10m", "since": "yesterday"}, "since 'yesterday': it must be a moment with a zone"),
    ({"timeout": "10m", "since": "2099-01-01T00:00:00Z"}, "it lies in the future"),
    ({"timeout": "10m", "since": "2026-01-01T00:00:00Z"}, "has passed, so nothing is put into force"),
    ({"state": "absent", "timeout": "10m"}, "a release takes no timeout"),
)


def test_bad_terms_are_refused_and_named(wall: Ground) -> None:
    """In one call with a good response, which is done; by the module of the kind as well, numbers as numbers."""
    before = rules(wall.host)
    responses = [{"response": "firewall_drop", "targets": [f"192.0.2.{number}"], **terms} for number, (terms, _unused) in enumerate(BAD_TERMS)]
    numbers = (-1, 0, 1e9, 10**9)
    every, alone, *direct = steps(
        wall.lab,
        wall.host,
        task("respond", responses=[*responses, {"response": "firewall_drop", "targets": [ATTACKER], "timeout": "10m"}]),
        task("firewall_drop", targets=["192.0.2.1"]),
        *(task("firewall_drop", targets=["192.0.2.1"], timeout=number) for number in numbers),
    )
    assert every["failed"]
    for (terms, rule), seen in zip(BAD_TERMS, every["responses"]):
        assert seen["outcome"] == "failed", (terms, seen)
        assert rule in seen["message"], terms
    assert every["responses"][-1]["outcome"] == "done"
    assert alone["failed"]
    assert "exactly one of timeout, until, permanent" in alone["msg"]
    for number, answer in zip(numbers, direct):
        assert answer["failed"]
        assert "timeout" in answer["msg"], number
        assert str(number) in answer["msg"], number
    assert wall.members() == [ATTACKER]
    wall.engine.release(ATTACKER)
    assert rules(wall.host) == before


def test_what_was_accepted_earlier_ends_earlier(wall: Ground) -> None:
    """`since` shortens; what is too old is not put into force (see BAD_TERMS)."""
    since = int(time.time()) - 300 + 0.25
    as_text, as_number = steps(
        wall.lab,
        wall.host,
        task("firewall_drop", targets=[ATTACKER], timeout="10m", since=moment(since)),
        task("firewall_drop", targets=["192.0.2.1"], timeout="10m", since=f"{since:.3f}"),
        core="2.16",
    )
    assert entry(as_text)["until"] == moment(round(since) + 600)
    assert entry(as_number)["until"] == moment(since + 600)
    assert 200 < (wall.seconds_left(ATTACKER) or 0) <= 301


def test_a_block_by_ansible_ends_by_itself(wall: Ground) -> None:
    """Nobody comes back to release it."""
    begun = time.time()
    done = module(wall.lab, wall.host, "firewall_drop", targets=[ATTACKER, "192.0.2.0/24"], timeout=6, reason="seen by hand")
    assert done["summary"]["done"] == 2
    wall.prove_cut(ATTACKER)
    wall.wait_open(ATTACKER)
    assert time.time() - begun >= 6
    info, again, history = steps(
        wall.lab, wall.host, task("response_info"), task("firewall_drop", targets=[ATTACKER], timeout="10m"), task("response_info", history=5)
    )
    assert [each for each in info["responses"] if each["in_force"]["standing"]] == []
    assert entry(again)["outcome"] == "done"
    assert [each["target"] for each in history["responses"]] == [ATTACKER]
    ended = {each["target"]: each for each in history["history"]}[ATTACKER]
    assert (ended["ended_by"], ended["reason"]) == ("expired", "seen by hand")


# --- targets ----------------------------------------------------------------------------------------------------------------------------------

LONG = "A" * 10_240
BAD_TARGETS = {
    "999.1.1.1": "it is not an address or network",
    "1": "it is not an address or network",
    "0x7f.1": "it is not an address or network",
    "010.0.0.1": "it is not an address or network",
    "10.0.0.1/33": "the prefix length must be a number from 1 to 32",
    "10.0.0.1/24": "it has bits set behind its prefix length; for the network say 10.0.0.0/24",
    "10.0.0.0/255.0.0.0": "the prefix length must be a number from 1 to 32",
    "2001:db8::/129": "the prefix length must be a number from 1 to 128",
    "fe80::1%eth0": "an address with a zone id is no target",
    "": "it is empty",
    " 203.0.113.1": "it is not an address or network",
    "203.0.113.1\n": "it is not an address or network",
    "203.0.113.1, 203.0.113.2": "it is not an address or network",
    LONG: "it is longer than 64 characters",
    "1." * 5000: "it is longer than 64 characters",
    "{{ 7*7 }}": "it is not an address or network",
    "{{ lookup('pipe', 'touch /tmp/pwned') }}": "it is not an address or network",
    "0.0.0.0/0": "a network of prefix length 0 is everybody",
    "::/0": "a network of prefix length 0 is everybody",
    "203.0.113.1 }; flush ruleset; #": "it is not an address or network",
    "$(touch /tmp/pwned)": "it is not an address or network",
    "-4": "it is not an address or network",
    "\u0661\u0662.1.1.1": "it is not an address or network",
    "web1": "it is not an address or network",
}


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_bad_targets_are_named_and_the_good_ones_done(wall: Ground, core: str) -> None:
    """None of them is guessed at, none evaluated, and none keeps another from being done."""
    targets = ["192.0.2.1", *BAD_TARGETS, ATTACKER]
    done, again, as_respond, released = steps(
        wall.lab,
        wall.host,
        task("firewall_drop", targets=targets, timeout="10m"),
        task("firewall_drop", targets=targets, timeout="10m"),
        task("respond", responses=[{"response": "firewall_drop", "targets": targets, "timeout": "10m"}]),
        task("firewall_drop", targets=[*BAD_TARGETS, "192.0.2.1"], state="absent"),
        core=core,
    )
    for answer, good in ((done, "done"), (again, "unchanged"), (as_respond, "unchanged")):
        assert answer["failed"]
        assert [each["target"] for each in answer["responses"]] == targets
        assert [each["outcome"] for each in answer["responses"]] == [good, *["failed"] * len(BAD_TARGETS), good]
        assert answer["changed"] == (good == "done")
        for each in answer["responses"][1:-1]:
            rule = BAD_TARGETS[each["target"]]
            assert rule in each["message"]
            assert ascii(each["target"])[:60] in each["message"]
            assert len(each["message"]) < 400
    assert f"{len(BAD_TARGETS)} of {len(targets)} targets were not acted on" in done["msg"]
    assert done["responses"][targets.index("{{ 7*7 }}")]["message"] == "address '{{ 7*7 }}': it is not an address or network"
    assert released["failed"]
    assert released["responses"][-1]["outcome"] == "done"
    assert wall.members() == [ATTACKER]
    wall.prove_cut(ATTACKER)
    assert not wall.host.exists("/tmp/pwned")


# the attacker's addresses, and other ways to write them
SPELLINGS = {
    "203.0.113.9": ["::ffff:203.0.113.9", "::FFFF:cb00:7109", "0:0:0:0:0:ffff:203.0.113.9", "203.0.113.9/32", "::ffff:203.0.113.9/128"],
    "2001:db8:bad::9": [
        "2001:0DB8:0BAD:0000:0000:0000:0000:0009",
        "2001:db8:bad:0:0:0:0:9",
        "2001:DB8:BAD::0:9",
        "2001:db8:bad::9/128",
        "2001:db8:bad::0.0.0.9",
    ],
    "198.51.100.0/24": ["::ffff:198.51.100.0/120"],
    "2001:db8:bad:2::/64": ["2001:DB8:BAD:2:0::/64", "2001:0db8:0bad:0002::/64"],
}


def test_every_spelling_means_the_same_address(wall: Ground) -> None:
    """The odd ones block by packet, the plain one is then unchanged, and odd ones release."""
    sources = ["203.0.113.9", "2001:db8:bad::9", "198.51.100.7", "2001:db8:bad:2::7"]
    for source in sources:
        wall.attacker.add_address(source)
    odd = [spelling for spellings in SPELLINGS.values() for spelling in spellings]
    done, plain = steps(
        wall.lab,
        wall.host,
        task("firewall_drop", targets=odd, timeout="10m"),
        task("firewall_drop", targets=list(SPELLINGS), timeout="10m"),
    )
    assert [each["target"] for each in done["responses"]] == [plain for plain, spellings in SPELLINGS.items() for _unused in spellings]
    assert not plain["changed"]
    assert wall.members() == sorted(SPELLINGS)
    wall.prove_cut(*sources)
    released, again = steps(
        wall.lab,
        wall.host,
        task("respond", release=[spellings[-1] for spellings in SPELLINGS.values()]),
        task("firewall_drop", targets=odd, state="absent"),
    )
    assert released["summary"]["done"] == len(SPELLINGS)
    assert not again["changed"]
    wall.prove_open(*sources)


def test_a_batch_of_a_thousand_names_the_five(wall: Ground) -> None:
    """Three refused and two malformed: the other 995 are done; respond does not fail for what the guard refuses."""
    refused, malformed = ["127.0.0.1", wall.lab.controller.address4, "224.0.0.1"], ["10.0.0.256", "{{ evil }}"]
    targets = [ATTACKER, *(f"192.0.{number // 250}.{number % 250 + 1}" for number in range(994))]
    good = list(targets)
    for place, bad in zip((3, 200, 400, 600, 998), [refused[0], malformed[0], refused[1], malformed[1], refused[2]]):
        targets.insert(place, bad)
    well_formed = [target for target in targets if target not in malformed]
    direct, respond, respond_malformed, released = steps(
        wall.lab,
        wall.host,
        task("firewall_drop", targets=targets, timeout="10m"),
        task("respond", responses=[{"response": "firewall_drop", "targets": well_formed, "timeout": "10m"}]),
        task("respond", responses=[{"response": "firewall_drop", "targets": targets, "timeout": "10m"}]),
        task("respond", release=targets[5:]),
    )
    assert direct["failed"]
    assert direct["changed"]
    assert direct["summary"] == {"done": 995, "unchanged": 0, "refused": 3, "held": 0, "failed": 2}
    assert [each["target"] for each in direct["responses"]] == targets
    assert {each["target"] for each in direct["responses"] if each["outcome"] == "refused"} == set(refused)
    assert {each["target"] for each in direct["responses"] if each["outcome"] == "failed"} == set(malformed)
    assert "5 of 1000 targets were not acted on" in direct["msg"]
    assert all(bad in direct["msg"] for bad in refused + malformed)

    assert not respond["failed"]
    assert not respond["changed"]
    assert respond["summary"] == {"done": 0, "unchanged": 995, "refused": 3, "held": 0, "failed": 0}
    assert respond_malformed["failed"]
    assert respond_malformed["summary"] == {"done": 0, "unchanged": 995, "refused": 3, "held": 0, "failed": 2}
    assert released["summary"]["done"] == 991
    assert wall.members() == sorted(good[:4])
    wall.prove_cut(ATTACKER)


COUNTING = '#!/bin/sh\necho "{tool} $*" >> /run/started\nexec /usr/sbin/{tool} "$@"\n'
TOOLS = ("nft", "ipset", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore")


def test_ten_thousand_addresses_cost_a_handful_of_processes(wall: Ground) -> None:
    """Not 10,000: block, block again, release, by Ansible on nftables."""
    many = [ATTACKER, *(f"45.{number >> 8 & 255}.{number & 255}.7" for number in range(9_999))]
    wall.stand_in("nft", COUNTING.format(tool="nft"))
    started = task("ansible.builtin.command", argv=["sh", "-c", "cat /run/started; rm /run/started"])
    block = task("firewall_drop", targets=many, timeout="10m")
    done, first, again, second, released, third = steps(
        wall.lab, wall.host, block, started, block, started, task("firewall_drop", targets=many, state="absent"), started
    )
    assert done["summary"]["done"] == 10_000
    assert again["summary"]["unchanged"] == 10_000
    assert released["summary"]["done"] == 10_000
    assert len(first["stdout_lines"]) <= 6, first["stdout"]
    assert len(second["stdout_lines"]) <= 3, second["stdout"]
    assert len(third["stdout_lines"]) <= 4, third["stdout"]
    wall.prove_open(ATTACKER)


def test_ten_thousand_addresses_in_ipset_cost_a_handful_of_processes(lab: Lab, attacker: Peer, visitor: Peer) -> None:
    attacker.add_address(ATTACKER)
    many = [ATTACKER, *(f"45.{number >> 8 & 255}.{number & 255}.7" for number in range(9_999))]
    with ground(lab, attacker, visitor, IPSET_NFT) as wall:
        for tool in TOOLS:
            wall.stand_in(tool, COUNTING.format(tool=tool))
        block: dict[str, Any] = {"timeout": "10m", "backend": "ipset"}
        for asked, changed, left, most in ((block, True, 10_000, 16), (block, False, 10_000, 8), ({"state": "absent"}, True, 0, 20)):
            done = wall.engine.drop(*many, **asked)
            assert done["summary"]["failed"] == 0
            assert done["changed"] == changed
            assert len(wall.members()) == left
            started = wall.host.inside(["sh", "-c", "cat /run/started; rm /run/started"]).stdout.splitlines()
            assert len([line for line in started if line != "ipset save"]) <= most, started
        wall.prove_open(ATTACKER)


# --- what is said -----------------------------------------------------------------------------------------------------------------------------


def test_check_mode_and_the_run_say_the_same(wall: Ground) -> None:
    """From one state the same changed, outcomes and diff; nothing that counts down is in a diff."""
    now = time.time()
    until = moment(now + 7200)
    calls: dict[str, dict[str, Any]] = {
        "new": {"targets": [ATTACKER, "192.0.2.0/24", "bad", "127.0.0.1"], "timeout": "10m"},
        "again": {"targets": [ATTACKER], "timeout": "10m"},
        "longer": {"targets": [ATTACKER, "192.0.2.1"], "until": until},
        "permanent": {"targets": [ATTACKER], "permanent": True},
        "release": {"targets": [ATTACKER, "192.0.2.0/24", "192.0.2.77"], "state": "absent"},
        "gone": {"targets": [ATTACKER], "state": "absent"},
    }
    each = [task("firewall_drop", **call) for call in calls.values()]
    answers = steps(wall.lab, wall.host, *(turn for one in each for turn in (one.check(), one)), diff=True)
    seen = dict(zip(calls, zip(answers[::2], answers[1::2])))
    for name, (check, run) in seen.items():
        assert check["diff"] == run["diff"], name
        assert check["changed"] == run["changed"], name
        assert check["summary"] == run["summary"], name
        assert check["failed"] == run["failed"], name
        same = ("target", "outcome", "changed", "backend")
        for planned, done in zip(check["responses"], run["responses"]):
            assert [planned[key] for key in same] == [done[key] for key in same], name
    diffs = {name: run["diff"] for name, (_check, run) in seen.items()}
    assert diffs["new"] == {
        "before": "firewall_drop 203.0.113.9: absent\nfirewall_drop 192.0.2.0/24: absent\n",
        "after": "firewall_drop 203.0.113.9: present for 600 s\nfirewall_drop 192.0.2.0/24: present for 600 s\n",
    }
    assert diffs["again"] == diffs["gone"] == {"before": "", "after": ""}
    assert diffs["longer"]["before"].startswith("firewall_drop 203.0.113.9: present\n")  # it stood, with an earlier end
    assert diffs["longer"]["after"].endswith(f"firewall_drop 192.0.2.1: present until {until}\n")
    assert diffs["release"]["after"] == "firewall_drop 203.0.113.9: absent\nfirewall_drop 192.0.2.0/24: absent\n"


def test_names_to_release_by_and_what_the_report_says(wall: Ground) -> None:
    """By id, by alert id, by address; what nobody knows is said and no failure; the report tells why and until when."""
    hostile = "{{ 7*7 }} \x1b[31mred\u202e"
    done, info, by_id, by_alert, by_target, unknown, after = steps(
        wall.lab,
        wall.host,
        task(
            "respond",
            responses=[
                {"response": "firewall_drop", "targets": [ATTACKER, "192.0.2.1"], "timeout": "10m", "alert_id": "1795492383.6793", "reason": hostile},
                {"response": "firewall_drop", "targets": ["192.0.2.2", "192.0.2.3", "127.0.0.1"], "permanent": True, "alert_id": "another"},
            ],
        ),
        task("response_info"),
        task("respond", release=["1795492383.6793"]),
        task("respond", release=["another"]).check(),
        task("respond", release=["192.0.2.2"]),
        task("respond", release=["no-such-alert", "192.0.2.99", "{{ 7*7 }}"]),
        task("response_info"),
    )
    assert not done["failed"]
    assert done["summary"] == {"done": 4, "unchanged": 0, "refused": 1, "held": 0, "failed": 0}
    reported = {each["target"]: each for each in info["responses"]}
    assert sorted(reported) == sorted([ATTACKER, "192.0.2.1", "192.0.2.2", "192.0.2.3"])
    assert reported[ATTACKER]["reason"] == "{{ 7*7 }} \\x1b[31mred\\u202e"
    assert reported[ATTACKER]["alert_id"] == "1795492383.6793"
    assert reported["192.0.2.2"]["until"] is None
    for each in done["responses"][:4]:
        told = reported[each["target"]]
        assert (told["id"], told["since"], told["until"], told["backend"]) == (each["id"], each["since"], each["until"], "nftables")
        assert told["in_force"] == {"standing": True, **each["in_force"]}
    assert {each["target"] for each in by_id["responses"]} == {ATTACKER, "192.0.2.1"}
    assert by_id["summary"]["done"] == 2
    assert by_alert["summary"]["done"] == 2
    assert by_target["summary"]["done"] == 1
    assert not unknown["failed"]
    assert not unknown["changed"]
    assert {each["target"]: each["message"] for each in unknown["responses"]} == {
        "192.0.2.99": "nothing stands under this name",
        "no-such-alert": "nothing stands under this name",
        "{{ 7*7 }}": "nothing stands under this name",
    }
    (left,) = after["responses"]
    assert left["target"] == "192.0.2.3"
    ended = {each["target"]: each["ended_by"] for each in after["history"]}
    assert ended == {ATTACKER: "released", "192.0.2.1": "released", "192.0.2.2": "released", "127.0.0.1": "refused"}
    by_its_id = module(wall.lab, wall.host, "respond", release=[left["id"]])
    assert entry(by_its_id)["outcome"] == "done"
    assert wall.members_or_none() is None


def test_the_report_tells_what_is_no_longer_in_force(wall: Ground) -> None:
    """Recorded and in force are two things; a flushed ruleset shows, and reading changes nothing."""
    flush = task("ansible.builtin.command", argv=["nft", "flush", "ruleset"])
    block = task("firewall_drop", targets=[ATTACKER], timeout="10m")
    done, stands, _unused, gone, again = steps(wall.lab, wall.host, block, task("response_info"), flush, task("response_info"), task("response_info"))
    assert stands["responses"][0]["in_force"] == {"standing": True, **entry(done)["in_force"]}
    for report in (gone, again):
        (told,) = report["responses"]
        assert told["in_force"] == {"standing": False, "blocked": False}
        assert (told["id"], told["until"]) == (entry(done)["id"], entry(done)["until"])
    assert wall.members_or_none() is None


def test_the_task_fails_when_the_block_is_not_in_force(wall: Ground) -> None:
    """nft says that the change went well, and made none."""
    lie = '#!/bin/sh\n[ "$1" = list ] && exec /usr/sbin/nft "$@"\ncat > /dev/null\n'
    block = task("firewall_drop", targets=[ATTACKER], timeout="10m")
    _unused, failed, info, respond, _unused, done = steps(
        wall.lab,
        wall.host,
        task("ansible.builtin.copy", dest="/usr/local/sbin/nft", content=lie, mode="0755"),
        block,
        task("response_info"),
        task("respond", responses=[{"response": "firewall_drop", "targets": [ATTACKER], "timeout": "10m"}]),
        task("ansible.builtin.command", argv=["rm", "/usr/local/sbin/nft"]),
        block,
        core="2.16",
    )
    for answer in (failed, respond):
        assert answer["failed"]
        assert not answer["changed"]
        assert f"firewall_drop {ATTACKER} is not in force" in answer["msg"]
        assert entry(answer)["in_force"] == {"blocked": False}
    assert info["responses"] == []
    assert entry(done)["outcome"] == "done"
    wall.prove_cut(ATTACKER)


def test_contradictory_and_repeated_entries_of_one_call(wall: Ground) -> None:
    """The last wish for a target counts, and each entry is answered."""
    answer, report = steps(
        wall.lab,
        wall.host,
        task(
            "respond",
            responses=[
                {"response": "firewall_drop", "targets": [ATTACKER, ATTACKER, "192.0.2.1"], "timeout": "10m"},
                {"response": "firewall_drop", "targets": ["192.0.2.1"], "state": "absent"},
                {"response": "firewall_drop", "targets": [ATTACKER], "timeout": "1h"},
            ],
        ),
        task("response_info"),
    )
    assert not answer["failed"]
    assert [each["target"] for each in answer["responses"]] == [ATTACKER, ATTACKER, "192.0.2.1", "192.0.2.1", ATTACKER]
    assert answer["responses"][0]["outcome"] == "done"
    assert [each["outcome"] for each in answer["responses"][1:2]] == ["unchanged"]
    assert "superseded" in answer["responses"][2]["message"]
    assert wall.members() == [ATTACKER]
    assert [each["target"] for each in report["responses"]] == [ATTACKER]


def test_the_disabled_file_stops_what_is_new_and_nothing_else(wall: Ground) -> None:
    disable, enable = (
        task("ansible.builtin.command", argv=["sh", "-c", line]) for line in ("mkdir -p /etc/riposte; touch /etc/riposte/disabled", "rm /etc/riposte/disabled")
    )
    before, _unused, refused, respond, info, released, _unused = steps(
        wall.lab,
        wall.host,
        task("firewall_drop", targets=["192.0.2.1"], timeout="10m"),
        disable,
        task("firewall_drop", targets=[ATTACKER], timeout="10m"),
        task("respond", responses=[{"response": "firewall_drop", "targets": [ATTACKER], "timeout": "10m"}]),
        task("response_info"),
        task("firewall_drop", targets=["192.0.2.1"], state="absent"),
        enable,
    )
    assert not before["failed"]
    assert refused["failed"]
    assert "/etc/riposte/disabled exists" in refused["msg"]
    assert not respond["failed"]
    assert respond["summary"]["refused"] == 1
    assert info["disabled"]
    assert released["summary"]["done"] == 1
    wall.prove_open(ATTACKER)


def test_a_burst_of_alerts_is_held_and_reported(wall: Ground) -> None:
    """300 blocks that alerts call for within 10 s: 100 go in, the rest is held; a person's own call is not counted."""
    targets = [f"192.0.{number // 250}.{number % 250 + 1}" for number in range(300)]
    burst, next_one, by_hand = steps(
        wall.lab,
        wall.host,
        task("respond", responses=[{"response": "firewall_drop", "targets": [target], "timeout": "10m", "alert_id": f"alert-{target}"} for target in targets]),
        task("firewall_drop", targets=[ATTACKER], timeout="10m", alert_id="one more"),
        task("firewall_drop", targets=[ATTACKER], timeout="10m"),
    )
    assert not burst["failed"]
    assert burst["summary"] == {"done": 100, "unchanged": 0, "refused": 0, "held": 200, "failed": 0}
    assert next_one["failed"]
    assert "held by the breaker: alerts have begun 100 responses on this host within 60 s, the limit is 100" in next_one["msg"]
    assert entry(by_hand)["outcome"] == "done"
    assert len(wall.members()) == 101


def test_several_hosts_at_once(lab: Lab, attacker: Peer, visitor: Peer) -> None:
    """Two Debian releases in one run, each with its own answer."""
    attacker.add_address(ATTACKER)
    try:
        find_python("3.9")
        oldest = "bookworm/3.9"
    except LookupError:
        oldest = "bookworm"
    with ground(lab, attacker, visitor, NFTABLES, oldest) as old:
        before = state(old.host)
        young = lab.add_host("young", suite="trixie")
        try:
            for answer in on_hosts(lab, [old.host, young], "firewall_drop", targets=[ATTACKER], timeout="10m", check=True).values():
                assert answer["changed"]
            assert state(old.host) == before
            answers = on_hosts(lab, [old.host, young], "firewall_drop", targets=[ATTACKER, old.host.address4], timeout="10m", core="2.16")
            assert answers[old.host.name]["summary"]["refused"] == 1  # its own address
            assert answers[young.name]["summary"]["refused"] == 0
            assert entry({"responses": answers[old.host.name]["responses"][:1]})["id"] != answers[young.name]["responses"][0]["id"]
            old.prove_cut(ATTACKER)
            assert attacker.connect(young.address4, 22, source=ATTACKER, timeout=0.3) == "timeout"
        finally:
            lab.remove(young)
