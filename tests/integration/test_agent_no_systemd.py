# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles on hosts without systemd: cron starts the tick, Wazuh is stopped and started by its own script, and what was promised is kept all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.ground import without_counts
from tests.integration.modules import module
from tests.integration.test_agent_role import PASSWORD, TRACE, add_user, deploy, riposte, seconds_left, shadow_line
from tests.integration.test_agent_wazuh import LIFETIMES, RESTARTED, TAKE_OVER, TAKEN, links
from tests.integration.test_execd import Execd
from tests.integration.test_manager_role import BY_CONTROL, CONFIGURE, apply
from tests.integration.wazuh_tree import HOME, NOTES, lay_agent, lay_manager, put_daemon, snapshot, starts
from tests.lab import Host, Lab, Peer, wait_for

TICK = 75  # seconds within which cron has come round
ONCE = ["Copy the program", "Make the directory of the guard file", "Write the guard file", "Write the cron file"]


@pytest.fixture
def bare(lab: Lab) -> Iterator[Host]:
    """A fresh host with System V's init."""
    host = lab.add_host("bare", init="sysv")
    yield host
    lab.remove(host)


def trace(host: Host) -> str:
    """As the trace of hosts with systemd, without what systemd alone knows."""
    return without_counts(host.inside(["sh", "-c", TRACE.partition("systemctl")[0]]).stdout)


def is_back_after(interrupt: Callable[[], None], host: Host, address: str, begun: float) -> None:
    """The block is restored by what cron does at boot, not by its minute, with the rest of its ten minutes since `begun`."""
    wait_for(lambda: 2 < time.time() % 60 < 35, "a moment well before cron's next minute", timeout=60)
    minute = time.time() // 60
    interrupt()
    left = host.wait_for(lambda: seconds_left(host, address), f"{address} to be blocked again", timeout=20)
    assert abs(begun + 600 - time.time() - left) < 5
    assert time.time() // 60 == minute


def test_the_agent_keeps_its_promises_by_cron_through_a_power_cut_and_goes_without_a_trace(lab: Lab, bare: Host, attacker: Peer, visitor: Peer) -> None:
    core = "2.16"
    shadows = {user: add_user(bare, user) for user in ("mallory", "carol")}
    module(lab, bare, "ansible.builtin.command", argv=["true"])  # what Ansible itself leaves is there before and after
    before = trace(bare)

    assert deploy(lab, bare, "--check", "--diff", core=core) == ONCE
    assert trace(bare) == before
    assert deploy(lab, bare, core=core) == ONCE
    assert deploy(lab, bare, core=core) == []
    assert riposte(bare, "check").rc == 0, riposte(bare, "check").stdout

    with bare.open_session("mallory", password=PASSWORD) as session:
        done = module(lab, bare, "disable_account", core=core, targets=["mallory"], timeout="10s", end_sessions=True)
        assert done["responses"][0]["outcome"] == "done", done
        bare.wait_for(session.ended, "mallory's session to end without logind")
    assert not bare.can_login("mallory", password=PASSWORD)
    bare.wait_for(lambda: shadow_line(bare, "mallory") == shadows["mallory"], "mallory's lock to end by cron", timeout=TICK)
    assert bare.can_login("mallory", password=PASSWORD)
    bare.wait_for(lambda: "riposte: done: disable_account mallory: taken away" in bare.read("/var/log/syslog"), "the end to be logged")

    begun = time.time() - 300
    module(lab, bare, "firewall_drop", core=core, targets=[attacker.address4], timeout="10m", since=str(int(begun)))
    module(lab, bare, "disable_account", core=core, targets=["carol"], timeout="30s")

    def cut_and_start() -> None:
        bare.power_cut()
        bare.power_on()

    is_back_after(cut_and_start, bare, attacker.address4, begun)
    assert attacker.connect(bare.address4, 22, timeout=0.3) == "timeout"
    assert visitor.can_connect(bare.address4, 22)
    is_back_after(bare.reboot, bare, attacker.address4, begun)
    bare.wait_for(lambda: shadow_line(bare, "carol") == shadows["carol"], "carol's lock to end by cron", timeout=TICK)
    assert riposte(bare, "check").rc == 0, riposte(bare, "check").stdout

    assert "Release it" in deploy(lab, bare, core=core, riposte_agent_state="absent")
    assert trace(bare) == before
    assert deploy(lab, bare, core=core, riposte_agent_state="absent") == []


def test_wazuhs_tree_is_taken_over_answered_and_given_back_without_a_unit(lab: Lab, bare: Host, attacker: Peer) -> None:
    lay_agent(bare)
    bare.put(f"{HOME}/etc/shared/ar.conf", "firewall-drop6 - firewall-drop - 6\nfirewall-drop600 - firewall-drop - 600\n")
    put_daemon(bare)
    module(lab, bare, "ansible.builtin.command", argv=["true"])
    before, around = snapshot(bare), trace(bare)

    assert deploy(lab, bare) == [*ONCE, LIFETIMES, "Make the directory in which Wazuh's own are kept", *TAKE_OVER]
    assert links(bare) == sorted(TAKEN)
    assert starts(bare, "agent") == RESTARTED
    assert deploy(lab, bare) == []
    assert starts(bare, "agent") == RESTARTED

    execd = Execd(bare)
    execd.alert("firewall-drop6", attacker.address4)
    execd.wait_codes(0)
    assert attacker.connect(bare.address4, 22, timeout=0.3) == "timeout"
    execd.wait_codes(0, 0)
    assert attacker.can_connect(bare.address4, 22)
    assert execd.outcomes() == ["done", "released"]

    execd.alert("firewall-drop600", attacker.address4)
    execd.wait_codes(0, 0, 0)
    assert "Give Wazuh's own back" in deploy(lab, bare, riposte_agent_wazuh="absent")
    assert starts(bare, "agent") == 2 * RESTARTED
    assert execd.outcomes() == ["done", "released"] * 2  # by the daemon, which remembers it and was stopped
    assert attacker.can_connect(bare.address4, 22)
    deploy(lab, bare, riposte_agent_state="absent")
    bare.inside(["rm", "-r", NOTES])
    assert (snapshot(bare), trace(bare)) == (before, around)


def test_the_manager_is_restarted_and_the_sender_started_without_a_unit(lab: Lab, bare: Host) -> None:
    lay_manager(bare)
    before = snapshot(bare)
    webhook: dict[str, Any] = {"webhook_url": f"https://{lab.gateway4}:5000/endpoint", "webhook_level": 10}
    done = apply(lab, bare, **webhook)
    assert {CONFIGURE, BY_CONTROL, "Write the sender's cron file"} < set(done)
    assert starts(bare) == ["restart"]
    assert apply(lab, bare, **webhook) == []

    def sends() -> bool:
        return bare.inside(["pgrep", "-f", "/usr/local/sbin/riposte-sender"], check=False).rc == 0

    assert sends()
    bare.reboot()
    bare.wait_for(sends, "the sender to run after the boot", timeout=20)
    assert BY_CONTROL in apply(lab, bare, state="absent")
    assert starts(bare) == ["start", "restart"]  # since the boot
    assert not sends()
    assert snapshot(bare) == before
