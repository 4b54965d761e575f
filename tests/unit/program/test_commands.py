# SPDX-License-Identifier: GPL-3.0-or-later
"""The program's commands on a host in a directory: what they print, what they do, and their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.ledger import Ledger, Row
from tests.unit.program.little_host import DRIVER, SHADOW, LittleHost

HOSTILE = "\x1b[2J\u202e{{ 7*7 }}\r\n`id`"


def test_an_empty_host_says_so_and_all_is_well(host: LittleHost) -> None:
    host.install_tick()
    assert host.run("list").stdout == "Nothing stands on this host.\n"
    done = host.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "WRONG" not in done.stdout
    assert not Path(host.paths.state).exists()


def test_list_shows_what_stands_until_when_and_why(host: LittleHost) -> None:
    identity = host.lock(reason="brute forced")
    done = host.run("list", after=60)
    head, row = done.stdout.splitlines()
    assert head.split() == ["ID", "RESPONSE", "TARGET", "SINCE", "UNTIL", "LEFT", "IN", "FORCE", "WHY"]
    assert row.startswith(f"{identity}  disable_account  mallory  ")
    assert row.endswith("9m 0s  yes       alert 1700.42: brute forced")
    assert done.returncode == 0


def test_what_programs_read_is_json(host: LittleHost) -> None:
    identity = host.lock()
    for words in (["list", "--json"], ["why", "--json", "mallory"]):
        [response] = json.loads(host.run(*words).stdout)["responses"]
        assert (response["id"], response["target"], response["in_force"]["standing"]) == (identity, "mallory", True)


@pytest.mark.parametrize("words", [["list"], ["why", "mallory"], ["list", "--json"], ["why", "1700.42", "--json"], ["check"]])
def test_hostile_text_of_an_alert_does_nothing_to_a_terminal(host: LittleHost, words: list[str]) -> None:
    host.lock(reason=HOSTILE)
    done = host.run(*words)
    assert not [character for character in done.stdout + done.stderr if character != "\n" and (ord(character) < 32 or character == "\u202e")]
    assert words == ["check"] or "[2J" in done.stdout


def test_why_tells_of_each_name_the_response_has_and_of_its_past(host: LittleHost) -> None:
    identity = host.lock(reason="first")
    host.run("release", "mallory", after=5)
    host.now += 10
    second = host.lock(reason="second", alert_id="1700.43")
    for name, ids in (("mallory", [second, identity]), (identity, [identity]), ("1700.42", [identity]), (second, [second])):
        done = host.run("why", name)
        assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  id ")] == ids
        assert done.returncode == 0
    past = host.run("why", identity).stdout
    assert "  released  " in past
    assert "asked for by ansible" in past
    assert "  in force  yes" in host.run("why", second).stdout


def test_why_of_an_unknown_name_is_an_error_that_shows_the_name_harmlessly(host: LittleHost) -> None:
    done = host.run("why", "nobody\x1b[2J")
    assert (done.returncode, done.stdout) == (1, "Nothing is known under the name nobody\\x1b[2J.\n")


def test_release_gives_back_exactly_what_was_there(host: LittleHost) -> None:
    host.lock()
    assert host.shadow != SHADOW
    done = host.run("release", "1700.42")
    assert (done.returncode, done.stdout) == (0, "done: disable_account mallory: taken away\n")
    assert host.shadow == SHADOW


def test_release_of_what_does_not_stand_says_so_and_is_no_failure(host: LittleHost) -> None:
    done = host.run("release", "mallory")
    assert (done.returncode, done.stdout) == (0, "unchanged: mallory: nothing stands under this name\n")


def test_a_release_that_fails_ends_with_1_and_the_reason(host: LittleHost) -> None:
    host.lock()
    (host.root / "etc/shadow").unlink()
    done = host.run("release", "mallory")
    assert done.returncode == 1
    assert done.stdout.startswith("failed: disable_account mallory: ")


def test_a_tick_with_nothing_due_is_silent_and_leaves_its_mark(host: LittleHost) -> None:
    host.lock()
    done = host.run("tick", after=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.time() - os.stat(host.paths.lock).st_mtime < 60


def test_a_tick_ends_what_is_due(host: LittleHost) -> None:
    host.lock()
    done = host.run("tick", after=601)
    assert (done.returncode, done.stdout) == (0, "done: disable_account mallory: taken away\n")
    assert host.shadow == SHADOW
    assert not Path(host.paths.standing).exists()


def test_a_tick_restores_what_an_admin_undid_by_mistake(host: LittleHost) -> None:
    host.lock()
    [line] = [line for line in host.shadow.splitlines() if line.startswith("mallory:")]
    (host.root / "etc/shadow").write_text(host.shadow.replace(line, ":".join([*line.split(":")[:7], "", line.split(":")[8]])))
    assert host.run("check").stdout.count("WRONG") == 1
    done = host.run("tick", after=30)
    assert done.returncode == 0
    assert done.stdout.startswith("done: disable_account mallory: in force until 20")
    assert host.run("check").returncode == 0


def test_a_tick_that_cannot_do_its_work_fails(host: LittleHost) -> None:
    host.lock()
    (host.root / "etc/shadow").unlink()
    done = host.run("tick", after=601)
    assert done.returncode == 1
    assert "/etc/shadow" in done.stdout


def wrong_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.removeprefix("WRONG  ") for line in done.stdout.splitlines() if line.startswith("WRONG")]


def test_check_tells_each_thing_that_is_wrong(host: LittleHost) -> None:
    host.lock()
    (host.root / "etc/riposte/guard.conf").write_text("[never]\naddresses = 300.0.0.1\n")
    (host.root / "etc/riposte/disabled").touch()
    (host.root / "etc/cron.d/riposte").unlink()
    (host.root / "etc/shadow").write_text(SHADOW)
    done = host.run("check")
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in wrong_lines(done)] == ["guard", "disabled", "responses", "tick"]
    for said in ("300.0.0.1", "is removed", "is recorded but not in force", "the tick is installed but does not run"):
        assert said in done.stdout


def test_check_sees_a_tick_that_is_installed_but_never_comes(host: LittleHost) -> None:
    host.lock()
    assert host.run("check").returncode == 0
    assert "has not run since" in " ".join(wrong_lines(host.run("check", after=200)))


def test_check_sees_a_response_that_has_outlived_its_end(host: LittleHost) -> None:
    host.lock()
    assert "should have ended at" in " ".join(wrong_lines(host.run("check", after=900)))


def test_a_guard_file_is_judged_before_it_is_used(host: LittleHost) -> None:
    guard = host.root / "new.conf"
    guard.write_text("[never]\naddresses =\n  192.0.2.0/24  # scanners\n  2001:db8::/32\naccounts = deploy\n[limits]\nwidest_ipv4 = 24\n")
    assert host.run("check", "--guard", str(guard)).returncode == 0
    for text, said in (
        ("[never]\naddresses = 300.1.1.1\n", "300.1.1.1"),
        ("[never]\nadresses = 192.0.2.1\n", "adresses"),
        ("[breaker]\naccounts_per_hour = many\n", "many"),
        ("no section\n", "section"),
    ):
        guard.write_text(text)
        done = host.run("check", "--guard", str(guard))
        assert done.returncode == 1
        assert said in done.stderr
    assert host.run("check", "--guard", str(host.root / "none")).returncode == 1


def test_a_ledger_that_others_could_write_is_not_believed(host: LittleHost) -> None:
    host.lock()
    Path(host.paths.state).chmod(0o777)
    for words in (["list"], ["check"], ["release", "mallory"], ["tick"]):
        done = host.run(*words)
        assert done.returncode == 1
        assert "is not trusted" in done.stdout + done.stderr
    assert host.shadow != SHADOW


@pytest.mark.parametrize("words", [[], ["no such command"], ["why"], ["release"], ["list", "--yes"], ["lis"]])
def test_a_command_line_that_is_not_understood_ends_with_2(host: LittleHost, words: list[str]) -> None:
    done = host.run(*words)
    assert (done.returncode, done.stderr.startswith("usage: riposte")) == (2, True)


def test_a_reader_that_goes_away_is_no_error_to_shout_about(host: LittleHost) -> None:
    ledger = Ledger.open(host.paths, write=True)
    rows = [Row(f"{number:012x}", "disable_account", f"user{number}", "shadow", "standing", host.now, host.now + 600) for number in range(3000)]
    ledger.adopt(rows)
    ledger.close()
    line = f"'{sys.executable}' -IS '{DRIVER}' '{host.program}' '{host.root}' {host.now} list | head -1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.stdout.split()[:2], done.stderr) == (["ID", "RESPONSE"], "")
