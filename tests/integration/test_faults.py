# SPDX-License-Identifier: GPL-3.0-or-later
"""What is promised holds whatever goes wrong: killed at each step, a full disk, a broken ledger, tools that fail in between, many runs at once."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.on_host import HostEngine
from tests.lab import Host, wait_for
from tests.lab.lab import REPOSITORY

ENGINE = REPOSITORY / "plugins/module_utils/host"
FAULTS = Path(__file__).with_name("faults")
PROTOCOL = 1
USER = "mallory"


def inject(host: Host, fault: str, backend: str, *some: int, timeout: float = 170) -> dict[str, Any]:
    """Copies the engine and the drivers to a host, as one archive, and lets them try a fault at every point, or at some (first, every)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in FAULTS.glob("*.py"):
            archive.write(path, path.name)
        for path in ENGINE.rglob("*.py"):
            archive.write(path, Path("engine", path.relative_to(ENGINE)))
    host.inside(["sh", "-c", "base64 -d > /root/faults.zip"], input=base64.b64encode(packed.getvalue()).decode())
    done = host.inside([host.python, "/root/faults.zip", fault, backend, *map(str, some)], timeout=timeout)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def install_tick(host: Host) -> None:
    """What the engine takes for a tick that runs: the tests tick by hand, at moments of their choice."""
    script = f"import zipfile; zipfile.ZipFile('/usr/local/sbin/riposte', 'w').writestr('PROTOCOL', '{PROTOCOL}')"
    host.inside(["/usr/bin/python3", "-c", script])
    host.put("/etc/cron.d/riposte", "# ticks by hand\n")


@pytest.fixture(scope="module")
def ready(host: Host) -> Host:
    host.inside(["useradd", "--create-home", "--shell", "/bin/bash", USER])
    host.inside(["chpasswd"], input=f"{USER}:geheim\n")
    install_tick(host)
    return host


@pytest.mark.parametrize(("backend", "scenarios"), [("nftables", 9), ("ipset", 4), ("shadow", 8)])
def test_killed_at_any_step_one_tick_later_all_is_as_before_or_as_asked(ready: Host, backend: str, scenarios: int) -> None:
    """In force with an end and recorded so, or gone without a trace; no session of a locked account goes on.

    There are some 620 points. A run takes a third of them, another one each time; RIPOSTE_FAULTS=all takes all.
    """
    first, every = (1, 1) if os.environ.get("RIPOSTE_FAULTS") == "all" else (random.SystemRandom().randint(1, 3), 3)
    answer = inject(ready, "kills", backend, first, every)
    assert answer["wrong"] == []
    assert len(answer["points"]) == scenarios
    assert all(number >= 10 for number in answer["points"].values()), answer["points"]


@pytest.mark.parametrize(
    ("fault", "backend"),
    [(fault, "nftables") for fault in ("fails", "broken", "dies", "idle", "flush")] + [(fault, "ipset") for fault in ("fails", "broken", "flush")],
)
def test_tools_that_go_wrong_at_any_call_never_make_a_false_word(ready: Host, fault: str, backend: str) -> None:
    """Never done when it is not so; and one tick later all is as before or as asked."""
    answer = inject(ready, fault, backend)
    assert answer["wrong"] == []
    assert all(number >= 2 for number in answer["points"].values()), answer["points"]
    assert len(answer["points"]) == (8 if backend == "nftables" else 4)


# --- the ledger's disk --------------------------------------------------------------------------------------------------------------------------


STATE = "/var/lib/riposte"


@pytest.fixture
def wiped(ready: Host) -> Iterator[Host]:
    """As if the collection had never been here."""
    yield ready
    ready.inside(["sh", "-c", f"umount {STATE}; rm -rf {STATE}; nft flush ruleset"], check=False)
    HostEngine(ready).respond({"response": "disable_account", "targets": [USER], "state": "absent"})
    ready.inside(["sh", "-c", f"umount {STATE}; rm -rf {STATE}; nft flush ruleset"], check=False)


def by_target(answer: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {each["target"]: (each["outcome"], each["persisted"]) for each in answer["responses"]}


def fill(host: Host) -> None:
    host.inside(["sh", "-c", f"head -c 10M /dev/zero > {STATE}/filler; ! touch {STATE}/more 2>/dev/null || head -c 1M /dev/zero > {STATE}/more"], check=False)
    assert host.inside(["sh", "-c", f"head -c 8192 /dev/zero > {STATE}/probe"], check=False).rc != 0


@pytest.mark.parametrize("used_before", [True, False], ids=["used before", "first use"])
def test_full_disk(wiped: Host, used_before: bool) -> None:
    """A block that the kernel ends goes in and says that it is not recorded; all else is refused with the cure; nothing is lost when there is room again."""
    host, engine = wiped, HostEngine(wiped)
    host.inside(["sh", "-c", f"mkdir -m 700 -p {STATE}; mount -t tmpfs -o size=128k,mode=700 none {STATE}"])
    shadow = host.read("/etc/shadow")
    if used_before:
        assert engine.drop("203.0.113.1", "203.0.113.2", timeout="10m")["summary"]["done"] == 2
    fill(host)
    answer = engine.respond(
        {"response": "firewall_drop", "targets": ["203.0.113.9"], "timeout": "10m", "reason": "x" * 500},
        {"response": "firewall_drop", "targets": ["203.0.113.10"], "permanent": True, "reason": "x" * 500},
        {"response": "firewall_drop", "targets": ["203.0.113.1"], "state": "absent"},
        {"response": "disable_account", "targets": [USER], "timeout": "10m"},
    )
    seen = by_target(answer)
    assert seen["203.0.113.9"] == ("done", False)
    assert seen["203.0.113.10"] == seen[USER] == ("failed", False)
    assert seen["203.0.113.1"] == (("failed", False) if used_before else ("unchanged", False))
    assert all("free disk space" in each["message"] for each in answer["responses"] if each["outcome"] == "failed")
    assert host.read("/etc/shadow") == shadow
    listed = host.inside(["nft", "list", "table", "inet", "riposte"]).stdout
    assert "203.0.113.9 timeout 10m" in listed
    assert "203.0.113.10" not in listed
    assert ("203.0.113.1 " in listed) == used_before
    # the tick does no harm meanwhile; with room again everything is recorded
    engine.tick()
    host.inside(["sh", "-c", f"rm {STATE}/filler {STATE}/more {STATE}/probe"], check=False)
    again = engine.drop("203.0.113.9", timeout="1h")
    assert by_target(again)["203.0.113.9"] == ("unchanged", True)
    assert engine.release("203.0.113.9", *(["203.0.113.1", "203.0.113.2"] if used_before else []))["summary"]["done"] == (3 if used_before else 1)
    assert "riposte" not in host.inside(["nft", "list", "ruleset"]).stdout


def test_lock_ends_on_time_also_when_the_disk_is_full(wiped: Host) -> None:
    host, engine = wiped, HostEngine(wiped)
    host.inside(["sh", "-c", f"mkdir -m 700 -p {STATE}; mount -t tmpfs -o size=128k,mode=700 none {STATE}"])
    shadow = host.read("/etc/shadow")
    assert engine.respond({"response": "disable_account", "targets": [USER], "timeout": "1s"})["summary"]["done"] == 1
    assert host.read("/etc/shadow") != shadow
    fill(host)
    wait_for(lambda: engine.tick() and host.read("/etc/shadow") == shadow, "the lock to end", 10)


@pytest.mark.parametrize("damage", ["head -c 30000 /dev/urandom > L", "truncate -s 6000 L", "dd if=/dev/zero of=L bs=4096 seek=1 count=1 conv=notrunc", "rm L"])
def test_broken_ledger_is_moved_aside_and_nothing_is_orphaned(wiped: Host, damage: str) -> None:
    host, engine = wiped, HostEngine(wiped)
    shadow = host.read("/etc/shadow")
    targets = [f"203.0.113.{number}" for number in range(100)]
    engine.respond(
        {"response": "firewall_drop", "targets": targets, "timeout": "1h", "reason": "x" * 400},
        {"response": "disable_account", "targets": [USER], "timeout": "1h"},
    )
    host.inside(["sh", "-c", damage.replace("L", f"{STATE}/ledger.sqlite3")])
    tick = engine.tick()
    assert tick["responses"] == []
    if damage != "rm L":
        assert any("damaged" in warning and ".corrupt-" in warning for warning in tick["warnings"])
        assert host.inside(["sh", "-c", f"ls {STATE}/ledger.sqlite3.corrupt-*"]).rc == 0
    repeat = engine.drop(*targets, timeout="2h")
    assert (repeat["changed"], repeat["warnings"]) == (False, [])
    assert engine.release(USER, *targets)["summary"]["done"] == 101
    assert host.read("/etc/shadow") == shadow
    assert "riposte" not in host.inside(["nft", "list", "ruleset"]).stdout


# --- many at once -------------------------------------------------------------------------------------------------------------------------------


def test_runs_at_the_same_time_lose_nothing(wiped: Host) -> None:
    """Four runs of 50 targets each, that overlap, and ticks in between."""
    host = wiped
    engine = HostEngine(host)
    shares = [[f"198.51.100.{number}" for number in range(start, start + 50)] for start in (0, 30, 60, 90)]

    def work(number: int) -> dict[str, Any]:
        answer = engine.drop(*shares[number], timeout="1h")
        engine.tick()
        return answer

    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(work, range(4)))
    assert [each["summary"]["failed"] for each in answers] == [0] * 4
    assert all(each["warnings"] == [] for each in answers)
    everyone = {target for share in shares for target in share}
    assert sum(each["summary"]["done"] for each in answers) == len(everyone) == 140
    listed = host.inside(["nft", "list", "table", "inet", "riposte"]).stdout
    assert len(re.findall(r"198\.51\.100\.\d+", listed)) == 140
    count = f"import sqlite3; print(*sqlite3.connect('{STATE}/ledger.sqlite3').execute('SELECT phase, count(*) FROM response GROUP BY phase'))"
    assert host.inside([host.python, "-c", count]).stdout == "('standing', 140)\n"
    assert engine.tick()["responses"] == []
