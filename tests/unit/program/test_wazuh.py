# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as an executable of Wazuh's: what it says to wazuh-execd, what it does, what it writes into Wazuh's log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from ansible_collections.riposte.active_response.plugins.module_utils.host.engine import Engine
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import Request
from tests.unit.program.little_host import SHADOW, no_program
from tests.unit.program.test_build import ROOT
from tests.unit.program.wazuh_host import ABORT, ALERT, CONTINUE, WazuhHost, message, message5, wait_for

KEYS = {"version": 1, "origin": {"name": "disable-account", "module": "active-response"}, "command": "check_keys", "parameters": {"keys": ["mallory"]}}


@pytest.fixture
def host(tmp_path: Path, program: Path) -> WazuhHost:
    return WazuhHost(tmp_path, program)


def test_an_alert_locks_its_account_and_wazuh_is_told_after_the_fact(host: WazuhHost) -> None:
    done = host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    assert (done.returncode, done.stdout, done.stderr) == (0, json.dumps(KEYS, separators=(",", ":")) + "\n", "")
    assert host.shadow != SHADOW
    [(echoer, echo), (teller, _result)] = host.lines()
    assert (echoer, teller) == ("disable-account", "disable-account")
    sent = json.loads(message("add", ALERT, "timeout=1h"))
    sent["parameters"]["program"] = "active-response/bin/disable-account"
    assert json.loads(echo) == sent
    result = host.result()
    assert (result["version"], result["outcome"], result["response"], result["target"]) == (1, "done", "disable_account", "mallory")
    assert result["alert_id"] == "1700.42"
    assert host.run("why", result["id"]).stdout.count("asked for by wazuh-execd/disable-account\n") == 1


def test_a_delete_gives_back_exactly_what_was_there_and_again_is_no_failure(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    done = host.call(message("delete", ALERT, "timeout=1h"))
    assert (done.returncode, done.stdout, host.shadow) == (0, "", SHADOW)
    assert host.result()["outcome"] == "released"
    assert host.call(message("delete")).returncode == 0
    assert (host.result()["outcome"], host.result()["message"]) == ("unchanged", "nothing stands for this target")
    assert [each["command"] for each in host.echoes()] == ["add", "delete"]  # the last one has unblocked nobody


def test_wazuh_5_is_answered_the_same_way(host: WazuhHost) -> None:
    done = host.call(message5("enable"), CONTINUE)
    assert (done.returncode, json.loads(done.stdout)) == (0, KEYS)
    assert host.result()["outcome"] == "done"
    assert host.result()["alert_id"].startswith("sha256-")
    assert host.run("list").stdout.splitlines()[1].endswith("Wazuh rule a1b2: Brute force")
    assert host.call(message5("disable")).returncode == 0
    assert host.shadow == SHADOW
    assert [each["command"] for each in host.echoes()] == ["enable", "disable"]


def test_a_repeat_changes_nothing_and_says_since_when_it_stands(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    before = host.shadow
    assert host.call(message("add", {**ALERT, "id": "1700.43"}, "timeout=2h"), CONTINUE).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (before, "unchanged")
    assert host.result()["message"] == "in force already since " + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(round(host.now)))


def test_two_that_answer_one_alert_are_seen(host: WazuhHost) -> None:
    host.lock(end_sessions=True, alert_id="1700.42")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    assert host.result()["message"].startswith("ansible has answered alert 1700.42 here before wazuh-execd/disable-account:")
    assert host.shadow.count("*riposte-") == 1
    assert "-keep*" not in host.shadow  # as Ansible has it


def test_what_the_daemon_calls_off_is_not_done(host: WazuhHost) -> None:
    done = host.call(message("add"), ABORT)
    assert (done.returncode, json.loads(done.stdout), host.shadow) == (0, KEYS, SHADOW)
    assert host.echoes() == []
    assert (host.result()["outcome"], host.result()["target"]) == ("unchanged", "mallory")
    assert host.result()["message"].startswith("aborted: ")
    assert "nothing is known of it here" in host.result()["message"]


def test_what_is_called_off_while_it_stands_stays_as_it_is(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    locked = host.shadow
    assert host.call(message("add", {**ALERT, "id": "1700.43"}, "timeout=2h"), ABORT, after=60).returncode == 0
    assert (host.shadow, host.result()["outcome"], host.result()["until"]) == (locked, "unchanged", host.results()[0]["until"])
    assert "it is in force" in host.result()["message"]
    assert [each["command"] for each in host.echoes()] == ["add"]


@pytest.mark.parametrize("ticks", [False, True])
def test_what_is_called_off_though_its_time_is_over_begins_anew(host: WazuhHost, ticks: bool) -> None:
    """The daemon begins its own time anew with each repeat; what stands keeps its end."""
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    if ticks:
        host.run("tick", after=3601)
    assert host.call(message("add", {**ALERT, "id": "1700.43"}, "timeout=1h"), ABORT, after=3610).returncode == 0
    assert host.result()["outcome"] == "done"
    assert host.result()["alert_id"] == "1700.43"
    assert left(host) == pytest.approx(3610 + 3600, abs=1)
    assert [each["command"] for each in host.echoes()] == ["add", "add"]
    assert "nothing is in force here" in host.notes()[-1]


def test_what_is_called_off_though_it_vanished_is_restored(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    (host.root / "etc/shadow").write_text(SHADOW)
    assert host.call(message("add", ALERT, "timeout=1h"), ABORT, after=60).returncode == 0
    assert host.shadow != SHADOW
    assert left(host) == pytest.approx(3600, abs=1)


def test_what_was_released_stays_so_when_the_daemon_calls_a_repeat_off(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    host.run("release", "mallory")
    assert host.call(message("add"), ABORT).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (SHADOW, "unchanged")
    assert "it was released here" in host.result()["message"]


@pytest.mark.parametrize("reason", ["refused", "held", "failed", "disabled", "no account"])
def test_what_was_never_done_is_tried_again_when_the_daemon_calls_a_repeat_off(host: WazuhHost, reason: str) -> None:
    guard, disabled, shadow = (host.root / name for name in ("etc/riposte/guard.conf", "etc/riposte/disabled", "etc/shadow"))
    if reason in ("refused", "held"):
        guard.write_text("[never]\naccounts = mallory\n" if reason == "refused" else "[breaker]\naccounts_per_hour = 0\n")
    elif reason == "failed":
        guard.write_text("[never\n")
    elif reason == "disabled":
        disabled.touch()
    else:
        shadow.write_text(SHADOW.replace("mallory", "eve"))
    expected = {"disabled": "refused", "no account": "failed"}.get(reason, reason)
    for said in (CONTINUE, ABORT, ABORT):
        assert host.call(message("add", ALERT, "timeout=1h"), said).returncode == 1
        assert host.result()["outcome"] == expected
    assert host.echoes() == []
    for path in (guard, disabled):
        path.unlink(missing_ok=True)
    shadow.write_text(SHADOW)
    assert host.call(message("add", ALERT, "timeout=1h"), ABORT).returncode == 0
    assert (host.result()["outcome"], host.shadow != SHADOW) == ("done", True)


def test_when_it_cannot_be_told_what_stands_a_call_off_is_no_success(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    ledger = host.root / "var/lib/riposte/ledger.sqlite3"
    ledger.chmod(0o666)
    for said in ([message("add"), ABORT], [message("delete")]):
        assert host.call(*said).returncode == 1
        assert host.result()["outcome"] == "failed"
        assert "ledger.sqlite3" in host.result()["message"]


# -- whose it is


def test_an_account_keeps_what_it_runs_unless_the_hosts_owner_says_otherwise(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    assert "-keep*" in host.shadow
    host.call(message("delete", ALERT, "timeout=1h"))
    host.conf("[disable-account]\nend_sessions = true\n")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    assert "*riposte-" in host.shadow
    assert "-keep*" not in host.shadow


def test_a_delete_ends_only_what_this_very_name_began(host: WazuhHost) -> None:
    host.lock(alert_id="1700.42")
    locked = host.shadow
    assert host.call(message("add", ALERT, "timeout=1h"), CONTINUE).returncode == 0
    assert host.call(message("delete", ALERT, "timeout=1h")).returncode == 0
    assert (host.shadow, host.result()["outcome"], host.result()["until"]) == (locked, "kept", host.results()[0]["until"])
    assert "begun by ansible, not by wazuh-execd/disable-account" in host.result()["message"]
    assert [each["command"] for each in host.echoes()] == ["add"]


def test_a_delete_of_what_the_ledger_has_lost_ends_nothing(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    locked = host.shadow
    (host.root / "var/lib/riposte/ledger.sqlite3").unlink()
    assert host.call(message("delete", ALERT, "timeout=1h")).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (locked, "kept")


@pytest.mark.parametrize(
    ("name", "alert", "key"),
    [
        ("firewall-drop", {"data": {"srcip": "2001:DB8:0:0::1"}}, "2001:db8::1"),
        ("default-firewall-drop", {"data": {"srcip": "::ffff:203.0.113.9"}}, "203.0.113.9"),
        ("block-ip", {"data": {"src_ip": "203.0.113.9"}}, "203.0.113.9"),
        ("firewall-drop", {"data": {"win": {"eventdata": {"ipAddress": "-"}}, "srcip": "203.0.113.9"}}, "203.0.113.9"),
        ("disable-account", ALERT, "mallory"),
    ],
)
def test_keys_are_spelled_in_one_way(host: WazuhHost, name: str, alert: object, key: str) -> None:
    done = host.call(message("add", alert), ABORT, name=name)
    assert (done.returncode, json.loads(done.stdout)["parameters"]["keys"]) == (0, [key])
    assert json.loads(done.stdout)["origin"]["name"] == name


@pytest.mark.parametrize("answer", [[], [""], ["{}"], ["garbage"], ['{"command":"Continue"}'], ['{"command":["continue"]}'], [message("add")], ["x" * 70_000]])
def test_without_the_daemons_word_nothing_is_done(host: WazuhHost, answer: list[str]) -> None:
    done = host.call(message("add"), *answer)
    assert (done.returncode, json.loads(done.stdout), host.shadow) == (1, KEYS, SHADOW)
    assert (host.result()["outcome"], host.echoes()) == ("failed", [])


WRONG_MESSAGES = {
    "empty": ("", "standard input"),
    "no JSON": ("disable-account add", "it is not JSON"),
    "cut off": (message("add")[:-1], "it is not JSON"),
    "a list": (f"[{message('add')}]", "it must be a JSON object"),
    "a number that is none": (message("add", {**ALERT, "x": float("nan")}), "it is not JSON"),
    "nested": ("[" * 60_000, "it is nested too deeply"),
    "another version": (message("add", version=2), "version 2"),
    "a version that is true": (message("add", version=True), "version True"),
    "no version": (message("add", version=None), "version None"),
    "no origin": (message("add", origin=None), "origin is None"),
    "no parameters": (message("add", parameters="x"), "parameters is 'x'"),
    "no alert": (message("add", None), "parameters.alert is None"),
    "another command": (message("check_keys"), "command 'check_keys'"),
    "two commands": (message("delete")[:-1] + ', "command": "add"}', "command []"),
    "Wazuh 5 without its order": ('{"command": "enable", "wazuh": {}}', "wazuh.active_response is None"),
    "no user": (message("add", {"data": {"srcip": "203.0.113.9"}}), "no user in the alert"),
    "two users": (message("add").replace('"dstuser"', '"dstuser": "root", "dstuser"'), "no user in the alert"),
    "one byte too long": (message("add", {**ALERT, "full_log": "x" * (65_537 - len(message("add", {**ALERT, "full_log": ""})))}), "longer than 65536 bytes"),
}


@pytest.mark.parametrize("case", WRONG_MESSAGES)
def test_what_is_no_order_is_said_and_nothing_is_done(host: WazuhHost, case: str) -> None:
    line, said = WRONG_MESSAGES[case]
    done = host.call(line, CONTINUE)
    assert (done.returncode, done.stdout, host.shadow) == (1, "", SHADOW)
    assert host.result()["outcome"] == "failed"
    assert said in host.result()["message"]
    assert host.echoes() == []


@pytest.mark.parametrize(
    "user", ["mallory;id", "{{ 7*7 }}", "$(id)", "-rf", "../../etc/passwd", "a\nb", "\x1b[2J\u202e", "\ud800", "mal lory", "x" * 300, "", 7, ["mallory"]]
)
def test_a_hostile_name_is_nobody(host: WazuhHost, user: object) -> None:
    done = host.call(message("add", {**ALERT, "data": {"dstuser": user}}), CONTINUE)
    assert (done.returncode, done.stdout, host.shadow) == (1, "", SHADOW)
    assert "no user in the alert" in host.result()["message"]


def test_the_longest_line_is_taken_and_its_echo_is_one_that_wazuh_can_read(host: WazuhHost) -> None:
    room = 65_536 - len(message("add", {**ALERT, "full_log": ""}, "timeout=1h"))
    line = message("add", {**ALERT, "full_log": "*" * room}, "timeout=1h").replace("*", "\x7f")  # six bytes each as JSON in ASCII
    assert host.call(line, CONTINUE).returncode == 0
    [echo] = host.echoes()
    assert echo["parameters"]["alert"] == {"id": "1700.42"}
    assert max(len(text) for _name, text in host.lines()) < 65_000


def test_a_refusal_is_a_clear_result(host: WazuhHost) -> None:
    done = host.call(message("add", {**ALERT, "data": {"dstuser": "root"}}, "timeout=1h"), CONTINUE)
    assert (done.returncode, host.shadow) == (1, SHADOW)
    assert (host.result()["outcome"], host.echoes()) == ("refused", [])
    assert "root" in host.result()["message"]
    (host.root / "etc/riposte/disabled").touch()
    assert host.call(message("add", ALERT, "timeout=1h"), CONTINUE).returncode == 1
    assert "nothing new is put into force" in host.result()["message"]


def test_a_failure_is_never_called_blocked(host: WazuhHost) -> None:
    (host.root / "etc/shadow").unlink()
    assert host.call(message("add", ALERT, "timeout=1h"), CONTINUE).returncode == 1
    assert (host.result()["outcome"], host.echoes()) == ("failed", [])


# -- the daemon waits, or does not


def test_the_line_is_enough_while_the_daemon_leaves_the_pipe_open(host: WazuhHost) -> None:
    for lines, code in (([message("add", ALERT, "timeout=1h"), CONTINUE], 0), ([message("delete")], 0), (["garbage"], 1)):
        process = host.start()
        assert process.stdin is not None
        for line in lines:
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
        assert process.wait(timeout=10) == code
        process.communicate()


def test_a_line_that_comes_in_pieces_is_one_line(host: WazuhHost) -> None:
    process = host.start()
    assert process.stdin is not None
    assert process.stdout is not None
    line = message("add", ALERT, "timeout=1h").encode()
    for piece in (line[:1], line[1:100], line[100:], b"\n"):
        process.stdin.write(piece)
        process.stdin.flush()
        time.sleep(0.02)  # so that they are read one by one; that they are does not matter for the outcome
    assert json.loads(process.stdout.readline()) == KEYS
    process.communicate(f"{CONTINUE}\n".encode())
    assert (process.returncode, host.result()["outcome"]) == (0, "done")


def test_what_takes_longer_goes_on_in_the_background(host: WazuhHost) -> None:
    with host.busy():
        process = host.start()
        begun = time.monotonic()
        process.communicate(f"{message('add', ALERT, 'timeout=1h')}\n{CONTINUE}\n".encode())
        assert time.monotonic() - begun < 3
        assert (process.returncode, host.shadow, host.results()) == (1, SHADOW, [])
        assert "goes on in the background" in host.notes()[0]
    wait_for(host.results, "the result")
    assert host.result()["outcome"] == "done"
    assert host.shadow != SHADOW


def test_a_program_that_was_slow_to_start_keeps_the_daemon_waiting_no_longer(host: WazuhHost) -> None:
    taken = []
    with host.busy():
        for _attempt in range(3):  # the machine has other things to do
            process = host.start(age=10)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{message('add', ALERT, 'timeout=1h')}\n".encode())
            process.stdin.flush()
            process.stdout.readline()
            begun = time.monotonic()
            process.communicate(f"{CONTINUE}\n".encode())
            taken.append(time.monotonic() - begun)
            assert process.returncode == 1
    assert min(taken) < 0.6
    wait_for(lambda: len(host.results()) == 3, "the results")


def test_a_daemon_that_dies_takes_nothing_along(host: WazuhHost) -> None:
    with host.busy():
        process = host.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{message('add', ALERT, 'timeout=1h')}\n{CONTINUE}\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        wait_for(lambda: children(process.pid) and os.getsid(int(children(process.pid))) != process.pid, "a process of its own that does the work")
        os.killpg(process.pid, signal.SIGKILL)  # as systemd and terminals do: all that belongs to it
        process.communicate()
        assert host.shadow == SHADOW
    wait_for(host.results, "the result")
    assert host.result()["outcome"] == "done"


def children(pid: int) -> str:
    """The ids of a process's children, of which this program has one at most."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_work_that_is_killed_is_not_called_done(host: WazuhHost) -> None:
    with host.busy():
        process = host.start()
        assert process.stdin is not None
        process.stdin.write(f"{message('add', ALERT, 'timeout=1h')}\n{CONTINUE}\n".encode())
        process.stdin.flush()
        wait_for(lambda: children(process.pid), "the process that does the work")
        os.kill(int(children(process.pid)), signal.SIGKILL)
        assert process.wait(timeout=10) == 1
        process.communicate()
    assert "ended by signal 9" in host.result()["message"]
    assert (host.shadow, host.echoes()) == (SHADOW, [])


def test_a_daemon_that_is_gone_when_the_keys_are_said_is_no_order(host: WazuhHost) -> None:
    process = host.start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(f"{message('add')}\n{CONTINUE}\n".encode())
    process.stdin.close()
    assert process.wait(timeout=10) == 1
    assert "went away" in host.result()["message"]
    assert host.shadow == SHADOW


# -- lifetimes


def left(host: WazuhHost) -> float | None:
    """Seconds that the lock still stands, by the ledger."""
    [response] = json.loads(host.run("list", "--json").stdout)["responses"]
    if response["until"] is None:
        return None
    return time.mktime(time.strptime(response["until"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - round(host.now)


def test_the_lifetime_is_the_ledgers(host: WazuhHost) -> None:
    (host.home / "etc/shared/ar.conf").write_text("disable-account600 - disable-account - 600\nother - other - 9000\n")
    host.call(message("add"), CONTINUE)
    assert left(host) == pytest.approx(600, abs=1)
    assert host.run("tick", after=700).returncode == 0
    assert host.shadow == SHADOW


def test_permanent_is_never_an_accident(host: WazuhHost) -> None:
    (host.home / "etc/shared/ar.conf").write_text("disable-account0 - disable-account - 0\n")
    host.call(message("add"), CONTINUE)
    assert left(host) == pytest.approx(600, abs=1)
    assert "never permanent here, so 10m is taken" in host.notes()[0]
    host.call(message("delete"))
    host.call(message("add", ALERT, "permanent"), CONTINUE)
    assert (left(host), host.result()["until"]) == (None, "permanent")


def test_a_repeated_offender_stands_longer(host: WazuhHost) -> None:
    (host.home / "etc/ossec.conf").write_text("<active-response><repeated_offenders>30,60</repeated_offenders></active-response>")
    for seconds in (60, 1800, 3600, 3600):
        host.call(message("add", ALERT, "timeout=60s"), CONTINUE)
        assert left(host) == pytest.approx(seconds, abs=1)
        host.run("release", "mallory")
        host.now += 1


def test_a_file_of_lifetimes_that_cannot_be_read_costs_the_exit_code_and_no_block(host: WazuhHost) -> None:
    (host.home / "etc/shared/ar.conf").write_text("d - disable-account - 6000\n")
    for text, mode in (("[wazuh]\ntimeout = soon\n", 0o600), ("[wazuh]\ntimeout = 1h\n", 0o666)):
        host.conf(text, mode)
        assert host.call(message("add"), CONTINUE).returncode == 1
        assert host.result()["outcome"] == "done"
        assert left(host) == pytest.approx(600, abs=1)
        assert "wazuh.conf" in host.notes()[-1]
        assert host.call(message("delete")).returncode == 1
        assert host.shadow == SHADOW


def test_an_early_delete_ends_nothing_where_its_owner_says_so(host: WazuhHost) -> None:
    host.conf("[wazuh]\nearly_delete = keep\n")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    locked = host.shadow
    assert host.call(message("delete"), after=3500).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (locked, "kept")
    assert host.result()["until"] == host.results()[0]["until"]
    assert [each["command"] for each in host.echoes()] == ["add"]
    assert host.call(message("delete"), after=3597).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (SHADOW, "released")
    assert host.call(message("delete")).returncode == 0
    assert host.result()["outcome"] == "unchanged"


def test_a_delete_does_not_cut_a_repeated_offenders_time_short(host: WazuhHost) -> None:
    """The daemon knows the first time's length only when it was killed in between."""
    host.conf("[disable-account]\ntimeout = 10m\nrepeated_offenders = 1h\n")
    host.call(message("add"), CONTINUE)
    assert host.call(message("delete"), after=300).returncode == 0
    assert host.result()["outcome"] == "released"
    host.call(message("add"), CONTINUE, after=400)
    locked = host.shadow
    assert host.call(message("delete"), after=1001).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (locked, "kept")
    assert "longer than the 10m" in host.result()["message"]
    assert host.call(message("delete"), after=3998).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (SHADOW, "released")
    assert [each["command"] for each in host.echoes()] == ["add", "delete", "add", "delete"]


def test_what_others_made_longer_is_not_cut_short(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=10m"), CONTINUE)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(host.now + 7200))
    longer = Request("disable_account", ["mallory"], until=until, end_sessions=False)
    Engine(no_program, host.paths, {}, session=False, clock=lambda: host.now).respond([longer])
    assert host.call(message("delete", ALERT, "timeout=10m"), after=601).returncode == 0
    assert (host.shadow != SHADOW, host.result()["outcome"]) == (True, "kept")
    host.run("release", "mallory")
    host.call(message("add", ALERT, "permanent"), CONTINUE)
    assert host.call(message("delete", ALERT, "permanent"), after=601).returncode == 0
    assert (host.shadow, host.result()["outcome"]) == (SHADOW, "released")


# -- the log


def test_a_log_that_is_missing_or_a_trap_stops_nothing(host: WazuhHost, tmp_path: Path) -> None:
    host.log.unlink()
    done = host.call("garbage")
    assert (done.returncode, host.log.exists()) == (1, False)
    assert "No such file" in done.stderr
    victim = tmp_path / "victim"
    victim.write_text("")
    host.log.symlink_to(victim)
    assert host.call(message("add", ALERT, "timeout=1h"), CONTINUE).returncode == 0
    assert (victim.read_text(), host.shadow != SHADOW) == ("", True)
    host.log.unlink()
    os.link(victim, host.log)
    assert host.call(message("add", ALERT, "timeout=1h"), CONTINUE).returncode == 0
    assert victim.read_text() == ""
    host.log.unlink()
    os.mkfifo(host.log)
    assert host.call(message("delete", ALERT, "timeout=1h")).returncode == 0
    assert host.shadow == SHADOW


def test_many_at_once_leave_the_log_whole(host: WazuhHost) -> None:
    calls = [host.start() for _number in range(20)]
    for number, process in enumerate(calls):
        process.communicate(f"{message('add', {**ALERT, 'id': f'1700.{number}', 'full_log': 'x' * 30_000}, 'timeout=1h')}\n{CONTINUE}\n".encode())
    wait_for(lambda: len(host.results()) == len(calls), "each result", 60)
    assert sorted(each["outcome"] for each in host.results()) == ["done", *["unchanged"] * 19]
    assert len(host.echoes()) == 20


# -- names


def test_called_from_elsewhere_it_does_nothing(host: WazuhHost, tmp_path: Path) -> None:
    host.home = tmp_path / "elsewhere/active-response/bin/../x"
    host.home.mkdir(parents=True)
    (tmp_path / "odd").mkdir()
    argv = [*host.start().args[:-2], str(tmp_path / "odd/disable-account"), "0"]  # type: ignore[index]
    done = subprocess.run(argv, input=message("add"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, host.shadow) == (1, "", SHADOW)
    assert "called by wazuh-execd" in done.stderr


def archive(host: WazuhHost, name: str, said: str, streams: str = "") -> subprocess.CompletedProcess[str]:
    """The archive itself by a link to it, from its first line on; only its compiled form is kept elsewhere than on a real host."""
    (host.home / "active-response/bin" / name).symlink_to(host.program)
    start = "import runpy, sys; kept, *sys.argv = sys.argv[1:]; sys.path.insert(0, sys.argv[0]); sys.exit(runpy.run_path(sys.argv[0])['start'](kept))"
    argv = ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-IS", "-c", start, str(host.root / "kept"), f"active-response/bin/{name}"]
    return subprocess.run(argv, cwd=host.home, input=said, capture_output=True, text=True, check=False)


def test_the_archive_answers_by_the_name_of_a_link_to_it(host: WazuhHost) -> None:
    done = archive(host, "firewall-drop", f"{message('add')}\ngarbage\n")  # no more: this is no host of its own
    assert (done.returncode, json.loads(done.stdout)["parameters"]["keys"], done.stderr) == (1, ["203.0.113.9"], "")
    assert host.result()["response"] == "firewall_drop"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_crash(host: WazuhHost, closed: str) -> None:
    done = archive(host, "disable-account", "garbage\n", closed)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert host.result()["outcome"] == "failed"


def test_the_role_links_the_names_that_the_program_answers_to(program: Path) -> None:
    table = "import sys; sys.path.insert(0, sys.argv[1]); from riposte.executables import EXECUTABLES; print(*EXECUTABLES)"
    done = subprocess.run([sys.executable, "-IS", "-c", table, str(program)], capture_output=True, text=True, check=True)
    defaults = yaml.safe_load((ROOT / "roles/agent/defaults/main.yml").read_text())
    assert sorted(done.stdout.split()) == sorted(defaults["riposte_agent_wazuh_executables"])


# -- what the owner and the tick say


def test_the_tick_tells_wazuh_what_it_ended_and_restored(host: WazuhHost) -> None:
    host.conf("[wazuh]\n")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    locked = host.shadow
    (host.root / "etc/shadow").write_text(locked.replace("*riposte-", "!*riposte-"))
    host.run("tick", after=30)
    (host.root / "etc/shadow").write_text(locked.replace(":2:", "::"))
    host.run("tick", after=60)
    host.run("tick", after=3601)
    told = [(name, json.loads(text)["riposte"]["outcome"]) for name, text in host.lines()[2:]]
    assert told == [("riposte", "restored"), ("riposte", "expired")]
    first, *others = host.results()
    assert {(each["id"], each["alert_id"], each["target"]) for each in others} == {(first["id"], "1700.42", "mallory")}


def test_what_goes_on_failing_is_told_once(host: WazuhHost) -> None:
    host.conf("[wazuh]\n")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    shadow = host.shadow
    (host.root / "etc/shadow").unlink()
    for after in (30, 60, 90):
        assert host.run("tick", after=after).returncode == 1
    [_done, failed] = host.results()
    assert failed["outcome"] == "failed"
    assert "/etc/shadow" in failed["message"]
    (host.root / "etc/shadow").write_text(shadow)
    host.run("tick", after=120)
    (host.root / "etc/shadow").unlink()
    host.run("tick", after=150)
    assert [each["outcome"] for each in host.results()] == ["done", "failed", "failed"]


def test_what_may_not_be_restored_is_told_once(host: WazuhHost) -> None:
    host.conf("[wazuh]\n")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    (host.root / "etc/riposte/disabled").touch()
    (host.root / "etc/shadow").write_text(host.shadow.replace(":2:", "::"))
    for after in (30, 60):
        host.run("tick", after=after)
    (host.root / "etc/riposte/disabled").unlink()
    for after in (90, 120):
        host.run("tick", after=after)
    assert [each["outcome"] for each in host.results()] == ["done", "refused", "restored"]
    assert {each["id"] for each in host.results()} - {None} == {host.results()[0]["id"]}


def test_a_tick_works_where_wazuh_cannot_be_told(host: WazuhHost) -> None:
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    host.log.unlink()
    host.conf("[wazuh]\n")
    done = host.run("tick", after=3601)
    assert (done.returncode, host.shadow) == (0, SHADOW)
    assert "active-responses.log: No such file" in done.stdout
    host.conf("[wazuh\n")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    assert "so Wazuh is not told" in host.run("tick", after=3601).stdout
    assert host.shadow == SHADOW


def test_check_tells_whose_wazuhs_executables_are(host: WazuhHost) -> None:
    assert "  wazuh: " not in host.run("check").stdout
    names = host.home / "active-response/bin"
    (names / "firewall-drop").symlink_to(host.root / "usr/local/sbin/riposte")
    (names / "disable-account").write_text("Wazuh's")
    host.conf("[wazuh]\n[disable-account]\ntimeout = 1h\n")
    done = host.run("check")
    assert (done.returncode, "this program answers to firewall-drop\n" in done.stdout, "early_delete = keep" in done.stdout) == (0, True, True)
    (names.parent / "riposte-kept/disable-account").write_text("Wazuh's older")
    host.log.unlink()
    host.conf("[wazuh]\nearly_delete = keep\n")
    wrong = [line for line in host.run("check").stdout.splitlines() if line.startswith("WRONG")]
    assert ["disable-account is no link to this program" in wrong[0], "Wazuh is not told" in wrong[1], len(wrong)] == [True, True, 2]
    host.conf("[wazuh]\nearly_delete = maybe\n")
    assert "early_delete = 'maybe'" in host.run("check").stdout


def test_a_file_of_lifetimes_is_judged_before_it_is_used(host: WazuhHost) -> None:
    path = host.root / "new.conf"
    path.write_text("[wazuh]\nhome = /opt/wazuh\n[firewall-drop]\ntimeout = 1h  # long\nrepeated_offenders = 2h 1d\n[block-ip]\npermanent = true\n")
    assert host.run("check", "--wazuh", str(path)).returncode == 0
    path.write_text("[firewall-drop]\ntimeout = 0\n")
    done = host.run("check", "--wazuh", str(path))
    assert done.returncode == 1
    assert "[firewall-drop] timeout" in done.stderr
