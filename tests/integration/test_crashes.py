# SPDX-License-Identifier: GPL-3.0-or-later
"""A run killed by SIGKILL at any of its steps leaves each response in force with its end, or gone, after one tick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.on_host import HostEngine
from tests.lab import Host

MAIN = Path(__file__).with_name("crash_main.py")
KINDS = {
    "nftables": ("firewall_drop", "nftables", "nft flush ruleset"),
    "nftables, rules gone": ("firewall_drop", "nftables", "nft flush table inet riposte"),
    "ipset": ("firewall_drop", "ipset", "iptables -t raw -F; ip6tables -t raw -F; ipset destroy riposte4; ipset destroy riposte6; true"),
    "shadow": ("disable_account", "auto", "usermod -p x -e '' mallory"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_step_leaves_nothing_half_done(fresh_host: Host, kind: str) -> None:
    fresh_host.ssh("useradd -m mallory && echo mallory:geheim | chpasswd")
    HostEngine(fresh_host)  # brings the engine
    fresh_host.put("/root/crash_main.py", MAIN.read_text(encoding="utf-8"))
    done = fresh_host.ssh(["env", "PYTHONPATH=/root/engine.zip", fresh_host.python, "/root/crash_main.py", *KINDS[kind]], timeout=300)
    kills: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [kill for kill in kills if kill["wrong"]] == []
    killed = {name: sum(1 for kill in kills if kill["scenario"] == name and kill["killed"]) for name in {kill["scenario"] for kill in kills}}
    assert len(killed) == 7
    assert sum(killed.values()) >= 20, killed
    assert min(killed[name] for name in ("add", "extend", "release", "restore")) >= 6, killed
