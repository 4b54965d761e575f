# SPDX-License-Identifier: GPL-3.0-or-later
"""What bounds and what stops responses on a host: the breaker, the limits of its owner's guard file, and /etc/riposte/disabled."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.integration.modules import module, steps, task
from tests.integration.on_host import HostEngine
from tests.lab import Host, Lab, Peer

LEDGER = "/var/lib/riposte/ledger.sqlite3"
FLOOD = [f"198.51.{100 + number // 250}.{number % 250 + 1}" for number in range(300)]


def later(host: Host, seconds: int) -> None:
    """Lets time pass for the ledger: everything in it began that much earlier."""
    script = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('UPDATE response SET since = since - ?', (sys.argv[2],)); d.commit()"
    host.inside(["python3", "-c", script, LEDGER, str(seconds)])


def blocked(host: Host) -> set[str]:
    """The addresses that the kernel drops."""
    listed = host.inside(["nft", "list", "set", "inet", "riposte", "v4_32"], check=False).stdout
    return {address for address in FLOOD if f" {address} " in listed.replace(",", " ")}


def block(targets: Sequence[str], **options: Any) -> dict[str, Any]:
    return {"response": "firewall_drop", "targets": list(targets), "timeout": "1h", **options}


def lock(targets: Sequence[str], **options: Any) -> dict[str, Any]:
    return {"response": "disable_account", "targets": list(targets), "permanent": True, **options}


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in answer["responses"]}


def messages(answer: dict[str, Any]) -> set[str]:
    return {each["message"] for each in answer["responses"]}


# --- the breaker --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.on("bookworm", "trixie/3.9")
def test_300_blocks_in_one_call_are_100_blocks_and_200_held(fresh_host: Host, lab: Lab) -> None:
    host = fresh_host
    wanted = {"responses": [block(FLOOD, alert_id="a.1", reason="flood")]}
    would, done, direct, told = steps(
        lab,
        host,
        task("respond", **wanted).check(),
        task("respond", **wanted),
        task("firewall_drop", targets=[FLOOD[0], FLOOD[299]], timeout="1h", alert_id="a.2"),
        task("response_info", history=1000),
    )
    for answer in (would, done):
        assert not answer["failed"] and answer["changed"]
        assert answer["summary"] == {"done": 100, "unchanged": 0, "refused": 0, "held": 200, "failed": 0}
        assert [each["outcome"] for each in answer["responses"]] == ["done"] * 100 + ["held"] * 200
    message = "held by the breaker: alerts have begun 100 responses on this host within 60 s, the limit is 100; nothing was done"
    assert {each["message"] for each in done["responses"][100:]} == {message}
    assert blocked(host) == set(FLOOD[:100])
    # asked for directly, by an alert all the same: the task fails, what stands already is left as it is
    assert direct["failed"] and not direct["changed"] and message in direct["msg"]
    assert outcomes(direct) == {FLOOD[0]: "unchanged", FLOOD[299]: "held"}
    assert [each["target"] for each in told["responses"]] == sorted(FLOOD[:100])
    held = [each for each in told["history"] if each["ended_by"] == "held"]
    assert Counter(each["target"] for each in held) == Counter([*FLOOD[100:], FLOOD[299]])
    assert {(each["message"], each["alert_id"], each["reason"]) for each in held} == {(message, "a.1", "flood"), (message, "a.2", "")}

    later(host, 61)
    again = module(lab, host, "respond", **wanted)
    assert [each["outcome"] for each in again["responses"]] == ["unchanged"] * 100 + ["done"] * 100 + ["held"] * 100
    assert blocked(host) == set(FLOOD[:200])


def test_300_blocks_over_many_calls_in_10_seconds_are_100_blocks_and_200_held(fresh_host: Host) -> None:
    host = fresh_host
    engine = HostEngine(host)
    assert engine.respond(block([f"203.0.113.{number}" for number in range(1, 151)]))["summary"]["done"] == 150  # by hand: not counted
    began = time.monotonic()
    answers = [engine.respond(block(FLOOD[at : at + 12], alert_id=f"a.{at}")) for at in range(0, 300, 12)]
    assert time.monotonic() - began < 30  # all within the breaker's minute, on a busy machine too
    total = Counter[str]()
    for answer in answers:
        total.update(answer["summary"])
    assert (total["done"], total["held"]) == (100, 200)
    assert blocked(host) == set(FLOOD[:100])

    # what no alert asked for is not held; a release is never held, and gives no room in the same minute
    by_hand = engine.respond(block(FLOOD[100:250]))
    assert by_hand["summary"]["done"] == 150
    released = engine.release(*FLOOD[:50])
    assert released["summary"]["done"] == 50
    assert engine.respond(block(FLOOD[:1], alert_id="a.x"))["summary"]["held"] == 1

    # what stands and has vanished comes back: it began before
    host.inside(["nft", "delete", "table", "inet", "riposte"])
    back = engine.respond(block(FLOOD[:100], alert_id="a.y"))
    assert [each["outcome"] for each in back["responses"]] == ["held"] * 50 + ["done"] * 50
    assert set(FLOOD[50:100]) <= blocked(host)

    later(host, 61)
    after = engine.respond(block(FLOOD, alert_id="a.z"))
    assert after["summary"] == {"done": 250, "unchanged": 50, "refused": 0, "held": 0, "failed": 0}  # 100 new ones, 150 come back
    assert blocked(host) == set(FLOOD)


def test_alerts_lock_five_accounts_an_hour(fresh_host: Host, lab: Lab) -> None:
    host = fresh_host
    people = [f"user{number}" for number in range(7)]
    host.inside(["sh", "-c", 'for name; do useradd -m "$name"; echo "$name:geheim" | chpasswd; done', "add", *people])
    done, direct, told = steps(
        lab,
        host,
        task("respond", responses=[lock(people, alert_id="a.1"), block(FLOOD[:10], alert_id="a.1")]),
        task("disable_account", targets=people[:6], permanent=True, alert_id="a.2"),
        task("response_info"),
    )
    assert not done["failed"]
    assert [each["outcome"] for each in done["responses"]] == ["done"] * 5 + ["held"] * 2 + ["done"] * 10
    message = "held by the breaker: alerts have begun 5 account locks on this host within 3600 s, the limit is 5; nothing was done"
    assert done["responses"][6]["message"] == message
    assert direct["failed"] and message in direct["msg"]
    assert [each["outcome"] for each in direct["responses"]] == ["unchanged"] * 5 + ["held"]
    assert [(each["target"], each["ended_by"]) for each in told["history"]].count(("user6", "held")) == 1
    assert not host.can_login("user4", password="geheim") and host.can_login("user5", password="geheim")

    engine = HostEngine(host)
    later(host, 3500)
    assert engine.respond(lock(people, alert_id="a.3"))["summary"]["held"] == 2
    assert engine.respond(lock(people[6:]))["summary"]["done"] == 1
    later(host, 101)
    assert engine.respond(lock(people, alert_id="a.4"))["summary"] == {"done": 1, "unchanged": 6, "refused": 0, "held": 0, "failed": 0}


# --- the owner's file ---------------------------------------------------------------------------------------------------------------------


def test_the_guard_file_sets_the_limits(fresh_host: Host) -> None:
    host = fresh_host
    host.inside(["sh", "-c", "useradd ann; useradd ben"])
    engine = HostEngine(host)

    def limits(text: str) -> None:
        host.put("/etc/riposte/guard.conf", text)

    limits("[breaker]\nresponses_per_minute = 3   # ours\naccounts_per_hour = 1\n")
    first = engine.respond(block(FLOOD[:4], alert_id="a.1"), lock(["ann", "ben"], alert_id="a.1"))
    assert [each["outcome"] for each in first["responses"]] == ["done"] * 3 + ["held"] + ["done", "held"]
    assert "the limit is 3" in first["responses"][3]["message"] and "the limit is 1" in first["responses"][5]["message"]
    limits("[breaker]\nresponses_per_minute = 0\naccounts_per_hour = 0\n")
    later(host, 7200)
    none = engine.respond(block(FLOOD[10:12], alert_id="a.2"), lock(["ben"], alert_id="a.2"), block(FLOOD[12:13]))
    assert [each["outcome"] for each in none["responses"]] == ["held"] * 3 + ["done"]
    limits("[limits]\nwidest_ipv4 = 24\n")
    wide = engine.respond(block(["198.51.100.0/24", "203.0.112.0/23"]))
    assert [each["outcome"] for each in wide["responses"]] == ["done", "refused"]


def test_a_guard_file_that_cannot_be_trusted_or_understood_stops_everything_new(fresh_host: Host) -> None:
    host = fresh_host
    host.inside(["useradd", "mallory"])
    engine = HostEngine(host)
    assert engine.respond(block(FLOOD[:2]), lock(["mallory"]))["summary"]["done"] == 3
    shadow = host.read("/etc/shadow")
    wrong = {
        "[never]\naddreses = 192.0.2.1\n": "[never] addreses is not known",
        "[never]\naddresses = 192.0.2.300\n": "192.0.2.300",
        "[breaker]\naccounts_per_hour = lots\n": "must be a whole number",
        "no section\n": "guard.conf",
    }
    for text, said in wrong.items():
        host.put("/etc/riposte/guard.conf", text)
        answer = engine.respond(block(FLOOD[2:4]), lock(["mallory"]))
        assert [each["outcome"] for each in answer["responses"]] == ["failed"] * 3, answer
        assert all(said in message for message in messages(answer)), answer
    for owner, mode in (("mallory", "644"), ("root", "664"), ("root", "646")):
        host.put("/etc/riposte/guard.conf", "")
        host.inside(["sh", "-c", 'chown "$1" "$0"; chmod "$2" "$0"', "/etc/riposte/guard.conf", owner, mode])
        answer = engine.respond(block(FLOOD[2:4]), lock(["mallory"]))
        assert [each["outcome"] for each in answer["responses"]] == ["failed"] * 3
        assert all("must belong to root and be writable by nobody else" in message for message in messages(answer))
    assert blocked(host) == set(FLOOD[:2]) and host.read("/etc/shadow") == shadow
    assert engine.release(*FLOOD[:2], "mallory")["summary"]["done"] == 3


# --- one file stops everything ------------------------------------------------------------------------------------------------------------


def test_one_file_stops_everything_new_and_no_release(fresh_host: Host, lab: Lab, attacker: Peer) -> None:
    host = fresh_host
    attacker.add_address("203.0.113.9")
    attacker.add_address("203.0.113.10")
    host.inside(["sh", "-c", "for name in mallory carol; do useradd -m $name; echo $name:geheim | chpasswd; done"])
    engine = HostEngine(host)
    assert engine.respond(block(["203.0.113.9"]), lock(["mallory"]))["summary"]["done"] == 2
    standing = host.read("/etc/shadow")

    host.put("/etc/riposte/disabled", "")
    wanted = [block(["203.0.113.9", "203.0.113.10"]), lock(["mallory", "carol"])]
    would, done, drop, account, told = steps(
        lab,
        host,
        task("respond", responses=wanted).check(),
        task("respond", responses=wanted),
        task("firewall_drop", targets=["203.0.113.10"], timeout="10m", override=["never:203.0.113.10"]),
        task("disable_account", targets=["carol"], permanent=True),
        task("response_info"),
    )
    message = "/etc/riposte/disabled exists: nothing new is put into force on this host until its owner removes that file"
    for answer in (would, done):
        assert not answer["failed"] and not answer["changed"]
        assert {each["outcome"] for each in answer["responses"]} == {"refused"} and messages(answer) == {message}
    for answer in (drop, account):
        assert answer["failed"] and not answer["changed"] and message in answer["msg"]
    assert told["disabled"] is True
    assert {each["target"]: each["in_force"]["standing"] for each in told["responses"]} == {"203.0.113.9": True, "mallory": True}
    assert host.read("/etc/shadow") == standing
    assert attacker.connect(host.address4, 22, source="203.0.113.10") == "open"
    assert attacker.connect(host.address4, 22, source="203.0.113.9", timeout=0.3) == "timeout"
    assert host.can_login("carol", password="geheim")

    # what vanished stays away while the file is there, and is told
    host.inside(["sh", "-c", "nft delete table inet riposte; echo mallory:neu | chpasswd; chage -E -1 mallory"])
    kept = engine.tick()
    assert outcomes(kept) == {"203.0.113.9": "refused", "mallory": "refused"} and messages(kept) == {message}
    assert attacker.connect(host.address4, 22, source="203.0.113.9") == "open"
    assert host.can_login("mallory", password="neu")
    host.inside(["rm", "/etc/riposte/disabled"])
    assert outcomes(engine.tick()) == {"203.0.113.9": "done", "mallory": "done"}
    assert attacker.connect(host.address4, 22, source="203.0.113.9", timeout=0.3) == "timeout"
    assert not host.can_login("mallory", password="neu")

    # a release needs nobody's leave
    assert engine.respond(*wanted)["summary"]["failed"] == 0
    host.inside(["ln", "-s", "/nowhere", "/etc/riposte/disabled"])
    assert engine.respond(lock(["carol"]))["summary"]["refused"] == 1
    released = module(lab, host, "respond", release=["203.0.113.9", "203.0.113.10", "mallory", "carol"])
    assert released["summary"]["done"] == 4
    assert attacker.connect(host.address4, 22, source="203.0.113.9") == "open"
    assert host.can_login("mallory", password="neu") and host.can_login("carol", password="geheim")
