# SPDX-License-Identifier: GPL-3.0-or-later
"""Wazuh's daemon drives the engine on practice hosts: real packets, real logins, and a daemon that makes the real one's mistakes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.execd.cases import ADDRESS, USER, Subject, message4, message5
from tests.execd.put import BLOCKED, PLACE, put_suite
from tests.execd.suite import PREFIX, echoed
from tests.integration.modules import module
from tests.integration.test_agent_role import PASSWORD as SECRET
from tests.integration.test_agent_role import TICK, add_user, deploy, riposte, seconds_left, shadow_line
from tests.integration.wazuh_tree import HOME, lay_agent
from tests.lab import Host, Lab, Peer
from tests.lab.system import Completed

DRIVER = f"{PLACE}/tests/execd/driver.py"
LOG = f"{HOME}/logs/active-responses.log"
LEDGER = "/var/lib/riposte/ledger.sqlite3"
STRANGERS = ("198.51.100.7", "198.51.100.8")
ORIGIN = "wazuh-execd/firewall-drop"
LOCKED = "passwd -Sa | awk '$2 == \"L\" { print $1 }'"
ROOMY = {"riposte_agent_responses_per_minute": 1000000, "riposte_agent_accounts_per_hour": 1000000}

# 700 people with the password of the first: making one takes long
CROWD = """
set -e
hash=$(getent shadow u0 | cut -d: -f2)
for number in $(seq 1 700); do
    echo "u$number:x:$((3000 + number)):100::/nonexistent:/bin/sh" >> /etc/passwd
    echo "u$number:$hash:19000:0:99999:7:::" >> /etc/shadow
    echo "u$number" >> /root/people
done
"""

# 100 executables at once on the host; nothing is taken away again.
AT_ONCE = f"""
import json, os, subprocess
from tests.execd.suite import Crowd, Suite

def effects():
    return set(subprocess.run({BLOCKED!r}, shell=True, stdout=subprocess.PIPE, text=True, check=True).stdout.split())

suite = Suite(["active-response/bin/firewall-drop"], {HOME!r}, effects, {LOG!r}, "address")
verdict, seconds = Crowd(suite, [suite.subject() for _each in range(100)], "add").judge("100 at once", 2.0)
print(json.dumps({{**verdict.as_dict(), "in force after": seconds, "targets": sorted(effects())}}))
"""

LEDGER_LOOK = f"""
import json, sqlite3
ledger = sqlite3.connect({LEDGER!r})
print(json.dumps([ledger.execute("PRAGMA integrity_check").fetchall(), ledger.execute(
    "SELECT target, phase, origin, count(*) FROM response WHERE phase != 'ended' GROUP BY target ORDER BY target").fetchall()]))
"""


class Execd:
    """The stand-in for wazuh-execd on a host, and what came of what it was told."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._number = 0

    def start(self, *commands: str, five: bool = False) -> None:
        """Starts it anew with these lines in ar.conf, and empty logs."""
        self.kill()
        self.host.put(f"{HOME}/etc/shared/ar.conf", "".join(f"{line}\n" for line in ("restart-wazuh0 - restart-wazuh - 0", *commands)))
        self.host.inside(["sh", "-c", f"mkdir -p {HOME}/queue/alerts; : > {LOG}; : > {HOME}/logs/ossec.log"])
        self.again(*["--five"] * five)

    def again(self, *words: str) -> None:
        """Starts it, as after a crash."""
        # as wazuh-agent.service has it: what an executable has left behind outlives the daemon
        begun = self.said().count("Started")
        kept = ["systemd-run", "--quiet", "--collect", "--unit=wazuh-execd", "--property=KillMode=process"]
        self.host.inside([*kept, self.host.python, DRIVER, HOME, *words])
        self.host.wait_for(lambda: self.said().count("Started") > begun, "the daemon to start")

    def stop(self) -> None:
        """SIGTERM, as `wazuh-control stop` sends it."""
        self.host.inside(["systemctl", "stop", "wazuh-execd"])

    def kill(self) -> None:
        """SIGKILL: whatever it remembered is forgotten."""
        self.host.inside(["sh", "-c", "pid=$(systemctl show -p MainPID --value wazuh-execd); [ $pid = 0 ] || kill -9 $pid"])
        gone = ["systemctl", "is-active", "wazuh-execd"]
        self.host.wait_for(lambda: self.host.inside(gone, check=False).rc, "the daemon to be gone")

    def alert(self, command: str, target: str, kind: str = ADDRESS, five: Mapping[str, Any] | None = None, args: Sequence[str] = ()) -> str:
        """Gives it an alert; the alert's id. `five`: what the response of Wazuh 5 says besides the executable."""
        self._number += 1
        subject = Subject(kind, target, self._number, target)
        message = message4(subject)
        if five is None:
            message["command"] = command
            message["parameters"]["extra_args"] = list(args)
        else:
            message = message5(subject)
            message["wazuh"]["active_response"] |= {"executable": command, **five}
        self.host.inside([self.host.python, DRIVER, HOME, "send"], input=json.dumps(message) + "\n")
        return "" if five else str(message["parameters"]["alert"]["id"])

    def said(self) -> str:
        """The daemon's own log."""
        return self.host.read(f"{HOME}/logs/ossec.log") if self.host.exists(f"{HOME}/logs/ossec.log") else ""

    def codes(self) -> list[int]:
        """How the executables ended, in order."""
        return [int(code) for code in re.findall(r"ended with (-?\d+)", self.said())]

    def wait_codes(self, *codes: int, timeout: float = 20) -> None:
        self.host.wait_for(lambda: len(self.codes()) >= len(codes), f"{len(codes)} executables to end", timeout)
        assert self.codes() == list(codes), self.log()

    def log(self) -> str:
        """Wazuh's log of active responses, after a look at each line."""
        log = self.host.read(LOG)
        for line in log.splitlines():
            assert PREFIX.match(line), line
        return log

    def echoes(self) -> list[str]:
        """The commands of the messages in the log, which Wazuh reports as blocked, unblocked."""
        return [each["command"] for each in echoed(self.log())]

    def results(self) -> list[dict[str, Any]]:
        """The result lines, in order."""
        bodies = (PREFIX.sub("", line, count=1) for line in self.log().splitlines())
        return [json.loads(body)["riposte"] for body in bodies if body.startswith('{"riposte"')]

    def outcomes(self) -> list[str]:
        return [each["outcome"] for each in self.results()]

    def wait_outcome(self, outcome: str, timeout: float = 15) -> dict[str, Any]:
        self.host.wait_for(lambda: outcome in self.outcomes(), f"the result {outcome}", timeout)
        return next(each for each in self.results() if each["outcome"] == outcome)


def install(lab: Lab, host: Host, **variables: Any) -> Execd:
    """Wazuh's tree, our role, the daemon and the suite."""
    lay_agent(host)
    deploy(lab, host, **variables)
    put_suite(host)
    return Execd(host)


@pytest.fixture(scope="module")
def agent(lab: Lab, host: Host) -> Execd:
    """The module's host, with a breaker that all of its tests together do not trip."""
    return install(lab, host, **ROOMY)


@pytest.fixture
def execd(agent: Execd) -> Iterator[Execd]:
    """The daemon, with nothing standing before and after."""
    yield agent
    agent.kill()
    for each in standing(agent.host):
        riposte(agent.host, "release", each["target"])
    riposte(agent.host, "tick")  # what ran out is told now, not in the next test
    assert standing(agent.host) == []


def standing(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(riposte(host, "list", "--json").stdout)["responses"]
    return found


def reaches(peer: Peer, host: Host) -> str:
    return peer.connect(host.address4, 22, timeout=0.3)


def wait_blocked(execd: Execd, peer: Peer) -> None:
    execd.host.wait_for(lambda: reaches(peer, execd.host) == "timeout", f"{peer.name} to be blocked", timeout=20)


def wait_open(execd: Execd, peer: Peer, timeout: float) -> None:
    execd.host.wait_for(lambda: reaches(peer, execd.host) == "open", f"{peer.name} to get through again", timeout)


def suite(host: Host, executable: str, *words: str) -> Completed:
    """The conformance suite, run on the host."""
    # a second is promised; this machine has much else to do
    argv = [host.python, "-m", "tests.execd", "--home", HOME, "--json", "--limit", "2.5", "--many-limit", "2.5", *words, f"active-response/bin/{executable}"]
    return host.inside(["env", "-C", PLACE, *argv], check=False, timeout=600)


def failures(done: Completed) -> dict[str, list[str]]:
    """The cases that do not hold, with the reasons."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    found = {line["name"]: line["complaints"] for line in lines if line.get("complaints")}
    assert done.rc == int(bool(found)), done.stderr
    return found


# --- the daemon begins and ends it --------------------------------------------------------------------------------------------------------


def test_an_alert_blocks_and_the_daemons_delete_ends_it(execd: Execd, attacker: Peer, visitor: Peer) -> None:
    execd.start("firewall-drop6 - firewall-drop - 6", "firewall-drop600 - firewall-drop - 600")
    alert = execd.alert("firewall-drop6", attacker.address4)
    wait_blocked(execd, attacker)
    assert reaches(visitor, execd.host) == "open"
    [row] = standing(execd.host)
    assert (row["origin"], row["alert_id"], row["target"], row["in_force"]["blocked"]) == (ORIGIN, alert, attacker.address4, True)
    left = seconds_left(execd.host, attacker.address4)
    assert left is not None
    assert 580 < left <= 600  # the message does not say which of the two it is
    wait_open(execd, attacker, 20)
    execd.wait_codes(0, 0)
    assert execd.echoes() == ["add", "delete"]
    assert execd.outcomes() == ["done", "released"]
    assert standing(execd.host) == []


def test_wazuh_5_the_same(execd: Execd, attacker: Peer, visitor: Peer) -> None:
    execd.start(five=True)
    execd.host.inside(["ln", "-sfn", "/usr/local/sbin/riposte", f"{HOME}/active-response/bin/block-ip"])
    execd.alert("block-ip", attacker.address4, five={"type": "stateful", "stateful_timeout": 6})
    wait_blocked(execd, attacker)
    left = seconds_left(execd.host, attacker.address4)
    assert left is not None
    assert left <= 6
    assert reaches(visitor, execd.host) == "open"
    wait_open(execd, attacker, 20)
    execd.wait_codes(0, 0)
    freed = execd.outcomes().count("released")  # by the daemon, where the kernel has not ended it already
    assert execd.echoes() == ["enable", *["disable"] * freed]
    assert standing(execd.host) == []
    execd.alert("block-ip", STRANGERS[0], five={"type": "stateful", "stateful_timeout": 0})
    execd.wait_codes(0, 0, 0)
    [row] = standing(execd.host)
    assert row["until"]  # 0 is not for ever here


def test_a_repeat_is_aborted_and_moves_no_end(execd: Execd) -> None:
    execd.start("firewall-drop600 - firewall-drop - 600")
    first = execd.alert("firewall-drop600", STRANGERS[0])
    execd.wait_codes(0)
    [before] = standing(execd.host)
    execd.alert("firewall-drop600", STRANGERS[0])
    execd.wait_codes(0, 0)
    [after] = standing(execd.host)
    assert (after["until"], after["alert_id"]) == (before["until"], first)
    assert execd.outcomes() == ["done", "unchanged"]
    assert "abort" in execd.results()[1]["message"]
    assert execd.echoes() == ["add"]


def test_a_repeat_after_the_end_is_answered_though_the_daemon_aborts(execd: Execd, attacker: Peer) -> None:
    """The daemon remembers it for longer than it stands."""
    execd.start("firewall-drop600 - firewall-drop - 600")
    execd.alert("firewall-drop600", attacker.address4, args=["timeout=2s"])
    execd.wait_codes(0)
    wait_open(execd, attacker, 10)
    execd.alert("firewall-drop600", attacker.address4, args=["timeout=30m"])
    execd.wait_codes(0, 0)
    assert reaches(attacker, execd.host) == "timeout"
    assert [each for each in execd.outcomes() if each != "expired"] == ["done", "done"]
    assert execd.outcomes().count("expired") == 1  # by whichever run met it first
    assert execd.echoes() == ["add", "add"]


def test_a_command_without_a_timeout_is_not_for_ever_unless_that_is_asked_for(execd: Execd) -> None:
    execd.start("firewall-drop0 - firewall-drop - 0")
    for _each in range(2):  # the daemon remembers nothing of it, and says continue each time
        execd.alert("firewall-drop0", STRANGERS[0])
    execd.alert("firewall-drop0", STRANGERS[1], args=["permanent"])
    execd.wait_codes(0, 0, 0)
    found = {row["target"]: row["until"] for row in standing(execd.host)}
    assert found[STRANGERS[0]]
    assert found[STRANGERS[1]] is None
    left = seconds_left(execd.host, STRANGERS[0])
    assert left is not None
    assert left <= 600
    assert execd.echoes() == ["add"] * 3
    assert execd.outcomes() == ["done", "unchanged", "done"]


def test_the_ledger_remembers_offences_that_the_daemon_forgets(execd: Execd) -> None:
    conf = execd.host.read(f"{HOME}/etc/ossec.conf")
    repeats = "<active-response><repeated_offenders>30,60</repeated_offenders></active-response>\n</ossec_config>"
    execd.host.put(f"{HOME}/etc/ossec.conf", conf.replace("</ossec_config>", repeats))
    execd.start("firewall-drop2 - firewall-drop - 2")
    try:
        seen = []
        for number in range(3):
            execd.alert("firewall-drop2", "198.51.100.77")
            execd.host.wait_for(lambda number=number: execd.outcomes().count("done") == number + 1, "the block")  # type: ignore[misc]
            seen.append(seconds_left(execd.host, "198.51.100.77") or 0)
            if number == 1:  # the daemon takes it for the first offence, and wants it ended so soon
                assert "longer than the 2s" in execd.wait_outcome("kept")["message"]
                assert seconds_left(execd.host, "198.51.100.77")
            riposte(execd.host, "release", "198.51.100.77")
            execd.kill()
            execd.again()
    finally:
        execd.host.put(f"{HOME}/etc/ossec.conf", conf)
    assert seen[0] <= 2
    assert 1750 < seen[1] <= 1800
    assert 3550 < seen[2] <= 3600


def test_an_account_is_locked_and_its_owner_gets_in_again(execd: Execd) -> None:
    before = add_user(execd.host, "mallory")
    add_user(execd.host, "locked")
    execd.host.inside(["passwd", "-l", "locked"])
    locked = shadow_line(execd.host, "locked")
    execd.start("disable-account8 - disable-account - 8")
    assert execd.host.can_login("mallory", password=SECRET)
    execd.alert("disable-account8", "mallory", USER)
    execd.alert("disable-account8", "locked", USER)
    execd.host.wait_for(lambda: len(execd.codes()) >= 2, "both to be locked")
    assert not execd.host.can_login("mallory", password=SECRET)
    execd.wait_codes(0, 0, 0, 0)
    assert execd.host.can_login("mallory", password=SECRET)
    assert shadow_line(execd.host, "mallory") == before
    assert shadow_line(execd.host, "locked") == locked  # by an administrator, before
    assert sorted(execd.echoes()) == ["add", "add", "delete", "delete"]


# --- the daemon dies ----------------------------------------------------------------------------------------------------------------------


def test_a_killed_daemon_keeps_no_block_and_no_lock_from_ending(execd: Execd, attacker: Peer) -> None:
    before = add_user(execd.host, "carol")
    execd.start("firewall-drop8 - firewall-drop - 8", "disable-account8 - disable-account - 8")
    execd.alert("firewall-drop8", attacker.address4)
    execd.alert("disable-account8", "carol", USER)
    execd.wait_codes(0, 0)
    begun = time.monotonic()
    execd.kill()
    assert reaches(attacker, execd.host) == "timeout"
    assert not execd.host.can_login("carol", password=SECRET)
    execd.again()  # knows nothing of them
    wait_open(execd, attacker, 15)
    assert time.monotonic() - begun < 8 + 5
    execd.host.wait_for(lambda: shadow_line(execd.host, "carol") == before, "carol's lock to end by the tick", timeout=TICK)
    execd.host.wait_for(lambda: len(execd.results()) >= 4, "both ends to be told", timeout=TICK)
    assert standing(execd.host) == []
    assert execd.codes() == [0, 0]
    # the tick says where Wazuh reads it what it has ended, and what the kernel ended by itself
    assert {(each["outcome"], each["target"]) for each in execd.results()[2:]} == {("expired", "carol"), ("expired", attacker.address4)}
    assert "active-response/bin/riposte: " in execd.log()
    assert execd.echoes() == ["add", "add"]


def test_a_power_cut_ends_nothing_early_and_nothing_late(execd: Execd, attacker: Peer, visitor: Peer) -> None:
    execd.start("firewall-drop20 - firewall-drop - 20")
    execd.alert("firewall-drop20", attacker.address4)
    execd.wait_codes(0)
    begun = time.monotonic()
    execd.host.power_cut()
    execd.host.power_on()
    assert reaches(attacker, execd.host) == "timeout"
    assert reaches(visitor, execd.host) == "open"
    execd.again()
    wait_open(execd, attacker, 40)
    assert 15 < time.monotonic() - begun < 26
    assert execd.codes() == [0]  # the daemon had forgotten it


def test_stopping_the_agent_ends_what_stands(execd: Execd, attacker: Peer) -> None:
    execd.start("firewall-drop600 - firewall-drop - 600")
    execd.alert("firewall-drop600", attacker.address4)
    execd.wait_codes(0)
    execd.stop()
    assert reaches(attacker, execd.host) == "open"
    assert execd.codes() == [0, 0]
    assert execd.outcomes() == ["done", "released"]


def test_stopping_the_agent_ends_nothing_early_where_the_owner_says_so(execd: Execd, attacker: Peer) -> None:
    conf = execd.host.read("/etc/riposte/wazuh.conf")
    execd.host.put("/etc/riposte/wazuh.conf", "[wazuh]\nearly_delete = keep\n", mode=0o600)
    try:
        execd.start("firewall-drop12 - firewall-drop - 12")
        execd.alert("firewall-drop12", attacker.address4)
        execd.wait_codes(0)
        execd.stop()
        assert reaches(attacker, execd.host) == "timeout"
        assert execd.codes() == [0, 0]
        assert execd.outcomes() == ["done", "kept"]
        assert execd.echoes() == ["add"]
        wait_open(execd, attacker, 25)

        execd.start("firewall-drop4 - firewall-drop - 4")  # the daemon's delete at the end is not early
        execd.alert("firewall-drop4", STRANGERS[0])
        execd.wait_codes(0, 0)
        assert "kept" not in execd.outcomes()
    finally:
        execd.host.put("/etc/riposte/wazuh.conf", conf, mode=0o600)


@pytest.mark.parametrize("early_delete", ["keep", "release"])
def test_an_orderly_reboot_ends_nothing_early_where_the_owner_says_so(execd: Execd, attacker: Peer, visitor: Peer, early_delete: str) -> None:
    """The daemon is stopped before the network is, and asks for the end of all that it remembers."""
    user = f"oscar-{early_delete}"
    before = add_user(execd.host, user)
    conf = execd.host.read("/etc/riposte/wazuh.conf")
    execd.host.put("/etc/riposte/wazuh.conf", f"[wazuh]\nearly_delete = {early_delete}\n", mode=0o600)
    try:
        execd.start("firewall-drop600 - firewall-drop - 600", "disable-account600 - disable-account - 600")
        execd.alert("firewall-drop600", attacker.address4)
        execd.alert("disable-account600", user, USER)
        execd.wait_codes(0, 0)
        begun = {row["target"]: row["until"] for row in standing(execd.host)}
        assert set(begun) == {attacker.address4, user}
        execd.host.reboot()
        kept = early_delete == "keep"
        assert execd.outcomes()[:4] == ["done", "done", *["kept" if kept else "released"] * 2]  # then the tick's, which restored what the kernel forgot
        assert {row["target"]: row["until"] for row in standing(execd.host)} == (begun if kept else {})
        assert reaches(attacker, execd.host) == ("timeout" if kept else "open")
        assert (shadow_line(execd.host, user) == before) is not kept
        assert reaches(visitor, execd.host) == "open"
    finally:
        execd.host.put("/etc/riposte/wazuh.conf", conf, mode=0o600)


# --- both worlds --------------------------------------------------------------------------------------------------------------------------


def test_ansible_sees_and_releases_what_wazuh_began(lab: Lab, execd: Execd, attacker: Peer) -> None:
    execd.start("firewall-drop30 - firewall-drop - 30")
    alert = execd.alert("firewall-drop30", attacker.address4)
    execd.wait_codes(0)
    [seen] = module(lab, execd.host, "response_info")["responses"]
    assert (seen["target"], seen["origin"], seen["alert_id"], seen["in_force"]["blocked"]) == (attacker.address4, ORIGIN, alert, True)
    again = module(lab, execd.host, "firewall_drop", targets=[attacker.address4], timeout="10m")
    assert (again["changed"], again["responses"][0]["outcome"]) == (False, "unchanged")
    gone = module(lab, execd.host, "firewall_drop", targets=[attacker.address4], state="absent")
    assert gone["responses"][0]["outcome"] == "done"
    assert reaches(attacker, execd.host) == "open"
    execd.stop()  # sends the delete
    execd.wait_codes(0, 0)
    assert execd.outcomes() == ["done", "unchanged"]


def test_wazuh_meets_what_ansible_began(lab: Lab, execd: Execd, attacker: Peer) -> None:
    done = module(lab, execd.host, "firewall_drop", targets=[attacker.address4], timeout="20m", alert_id="1795492383.1")
    execd.start("firewall-drop600 - firewall-drop - 600")
    execd.alert("firewall-drop600", attacker.address4)
    execd.wait_codes(0)
    [row] = standing(execd.host)
    assert (row["id"], row["until"], row["origin"]) == (done["responses"][0]["id"], done["responses"][0]["until"], "ansible")
    assert execd.outcomes() == ["unchanged"]
    assert "in force already" in execd.results()[0]["message"]
    assert execd.echoes() == ["add"]
    execd.stop()  # sends the delete
    execd.wait_codes(0, 0)
    assert execd.outcomes() == ["unchanged", "kept"]
    assert f"begun by ansible, not by {ORIGIN}" in execd.results()[1]["message"]
    assert execd.echoes() == ["add"]
    assert reaches(attacker, execd.host) == "timeout"
    gone = module(lab, execd.host, "firewall_drop", targets=[attacker.address4], state="absent")
    assert (gone["changed"], reaches(attacker, execd.host)) == (True, "open")


# --- what is not done is said -------------------------------------------------------------------------------------------------------------


def test_a_refusal_of_the_guard_is_logged_and_is_no_success(execd: Execd, visitor: Peer) -> None:
    execd.start("firewall-drop600 - firewall-drop - 600", "disable-account600 - disable-account - 600")
    for target in (execd.host.address4, "127.0.0.1", execd.host.address6):
        execd.alert("firewall-drop600", target)
    execd.alert("disable-account600", "root", USER)
    execd.alert("disable-account600", "daemon", USER)
    execd.alert("firewall-drop600", STRANGERS[0])
    execd.host.wait_for(lambda: len(execd.codes()) == 6, "all to end")
    assert execd.codes() == [1, 1, 1, 1, 1, 0]
    assert execd.outcomes() == ["refused"] * 5 + ["done"]
    assert execd.echoes() == ["add"]
    assert [row["target"] for row in standing(execd.host)] == [STRANGERS[0]]
    assert reaches(visitor, execd.host) == "open"


def test_without_a_firewall_nothing_is_called_blocked(execd: Execd, attacker: Peer) -> None:
    execd.start("firewall-drop600 - firewall-drop - 600")
    tools = "nft ipset iptables ip6tables"
    away = "for tool in {}; do mv /usr/sbin/$tool{} /usr/sbin/$tool{}; done"
    execd.host.inside(["sh", "-c", away.format(tools, "", ".away")])
    try:
        execd.alert("firewall-drop600", attacker.address4)
        execd.wait_codes(1)
    finally:
        execd.host.inside(["sh", "-c", away.format(tools, ".away", "")])
    assert execd.outcomes() == ["failed"]
    assert execd.echoes() == []
    assert reaches(attacker, execd.host) == "open"
    execd.alert("firewall-drop600", attacker.address4)  # on the daemon's list, so it aborts
    execd.wait_codes(1, 0)
    assert (execd.outcomes(), execd.echoes()) == (["failed", "done"], ["add"])
    assert reaches(attacker, execd.host) == "timeout"


def test_no_log_stops_no_response(execd: Execd, attacker: Peer) -> None:
    execd.start("firewall-drop600 - firewall-drop - 600")
    execd.host.inside(["mv", LOG, f"{LOG}.away"])
    try:
        execd.alert("firewall-drop600", attacker.address4)
        execd.wait_codes(0)
        wait_blocked(execd, attacker)
    finally:
        execd.host.inside(["mv", f"{LOG}.away", LOG])


def test_a_slow_firewall_holds_up_neither_the_daemon_nor_the_block(execd: Execd, attacker: Peer) -> None:
    execd.start("firewall-drop600 - firewall-drop - 600")
    execd.host.put("/usr/local/sbin/nft", '#!/bin/sh\nsleep 1\nexec /usr/sbin/nft "$@"\n', mode=0o755)
    try:
        begun = time.monotonic()
        execd.alert("firewall-drop600", STRANGERS[0])
        execd.alert("firewall-drop600", attacker.address4)
        execd.host.wait_for(lambda: len(execd.codes()) == 2, "both to end", timeout=10)
        taken = time.monotonic() - begun
        execd.kill()  # the work goes on without it
        assert execd.codes() == [1, 1]  # not in force yet
        assert execd.echoes() == []
        assert "in the background" in execd.log()
        assert taken < 5
        wait_blocked(execd, attacker)
        execd.host.wait_for(lambda: execd.outcomes() == ["done", "done"], "both results to be logged", timeout=20)
        assert execd.echoes() == ["add", "add"]
    finally:
        execd.host.inside(["rm", "/usr/local/sbin/nft"])


# --- all cases, and many at once ----------------------------------------------------------------------------------------------------------


def test_firewall_drop_keeps_to_the_protocol(execd: Execd) -> None:
    execd.start()
    assert failures(suite(execd.host, "firewall-drop", "--effects", BLOCKED, "--many", "0")) == {}


def test_disable_account_keeps_to_the_protocol(execd: Execd) -> None:
    execd.start()
    add_user(execd.host, "u0")
    execd.host.inside(["sh", "-c", CROWD])
    words = (
        "--effects",
        LOCKED,
        "--kind",
        USER,
        "--targets",
        "/root/people",
        "--many",
        "0",
        "--only",
        r"^[45]\.x: |named: ",
    )  # the rest does not depend on the name
    assert failures(suite(execd.host, "disable-account", *words)) == {}


@pytest.mark.on("trixie/3.9")
def test_on_another_host_too(lab: Lab, fresh_host: Host) -> None:
    install(lab, fresh_host, **ROOMY)
    assert failures(suite(fresh_host, "firewall-drop", "--effects", BLOCKED, "--many", "0", "--only", "^4.x: ")) == {}


def test_100_alerts_at_once_are_all_in_force_and_the_ledger_is_consistent(lab: Lab, fresh_host: Host) -> None:
    """With the breaker as it comes: it lets 100 a minute through."""
    install(lab, fresh_host)
    done = json.loads(fresh_host.inside(["env", "-C", PLACE, fresh_host.python, "-c", AT_ONCE], timeout=120).stdout)
    assert done["complaints"] == []
    assert len(done["targets"]) == 100
    assert done["in force after"] < 15
    integrity, rows = json.loads(fresh_host.inside([fresh_host.python, "-c", LEDGER_LOOK]).stdout)
    assert integrity == [["ok"]]
    assert rows == [[target, "standing", ORIGIN, 1] for target in done["targets"]]
    riposte(fresh_host, "tick")
    assert [row["in_force"]["blocked"] for row in standing(fresh_host)] == [True] * 100
    assert riposte(fresh_host, "check").rc == 0
