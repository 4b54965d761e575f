# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit: what a line says, that no text of an alert can do harm in it, and that it is never in the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import to_alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.plan import Decision
from ansible_collections.riposte.active_response.plugins.plugin_utils import audit
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Answer

HOSTILE = "\x1b[2J\u202egnp.exe\x00\r\nroot\u2028{{ lookup('pipe','id') }}\ud800\x9b31m"
ALERT = to_alert({"id": "1.2", "timestamp": "2026-11-24T12:00:00Z", "rule": {"id": "5712", "level": 10, "groups": ["sshd"], "description": HOSTILE}})


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_alert_its_decision_and_its_outcome_are_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    made = Decision("1.2", "5712", "planned", "as the rule says", "ssh", "firewall_drop", "203.0.113.9", hosts=("web1", "web2"))
    entries = [
        audit.alert(ALERT, "taken", batch=7, received=1795521600.25),
        audit.decision(made.as_dict(), "enforce", 7),
        audit.outcome("web1", Answer("1.2", "firewall_drop", "203.0.113.9", "done", "in force"), 7),
        audit.ended("1.2", "failed", "too old", 7),
    ]
    assert audit.write(str(path), entries) == ""
    alert, decision, outcome, ended = read(path)
    assert [each["event"] for each in (alert, decision, outcome, ended)] == ["alert", "decision", "outcome", "alert"]
    assert {(each["riposte_audit"], each["alert_id"], each["batch"]) for each in (alert, decision, outcome, ended)} == {(1, "1.2", 7)}
    assert (alert["state"], alert["rule_id"], alert["level"], alert["groups"]) == ("taken", "5712", 10, ["sshd"])
    assert alert["received"] == "2026-11-24T12:00:00.250Z"
    assert (decision["outcome"], decision["mode"], decision["hosts"]) == ("planned", "enforce", ["web1", "web2"])
    assert (outcome["host"], outcome["target"], outcome["outcome"], outcome["message"]) == ("web1", "203.0.113.9", "done", "in force")
    assert (ended["state"], ended["why"]) == ("failed", "too old")
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


def test_no_control_or_direction_character_is_left_neither_in_the_line_nor_in_what_is_decoded() -> None:
    line = audit.line(audit.alert(ALERT, "taken"))
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert line.endswith(b"}\n")
    description = json.loads(line)["description"]
    assert description.isprintable()
    assert "\\x1b[2J" in description
    assert "{{ lookup('pipe','id') }}" in description  # text it is, and text it stays


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda below: st.lists(below) | st.dictionaries(st.text(), below))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=20), VALUES, max_size=8), st.sampled_from(["", "\u202e" * 5000, "😀" * 20_000, "\x00" * 9000]))
def test_whatever_it_says_a_line_is_bounded_ascii_and_json(entry: dict[str, Any], more: str) -> None:
    line = audit.line({"event": "alert", "alert_id": "1", "more": more, **entry})
    assert len(line) <= audit.LONGEST_LINE
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert json.loads(line, parse_constant=pytest.fail)["riposte_audit"] in (1, entry.get("riposte_audit", 1))


def test_what_is_cut_says_so() -> None:
    hosts = [f"host{number}" for number in range(10_000)]
    said = json.loads(audit.line({"event": "decision", "alert_id": "1", "hosts": hosts, "why": "x" * 5000}))
    assert said["cut"] is True
    assert (said["hosts"][0], len(said["why"])) == ("host0", 1000)
    assert "cut" not in json.loads(audit.line({"event": "decision", "alert_id": "1", "hosts": hosts[:10]}))
    crowd = {f"field{number}": "\U0001f600" * 9 for number in range(500)}
    assert json.loads(audit.line({"event": "alert", "alert_id": "1", **crowd})).keys() == {"riposte_audit", "time", "event", "alert_id", "cut"}


def test_the_file_may_be_renamed_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit.write(str(path), [audit.ended("one", "answered")])
    path.rename(tmp_path / "audit.jsonl.1")
    audit.write(str(path), [audit.ended("two", "answered")])
    assert [each["alert_id"] for each in read(path)] == ["two"]
    assert [each["alert_id"] for each in read(tmp_path / "audit.jsonl.1")] == ["one"]


def _many(path: str, name: str) -> None:
    for number in range(200):
        assert audit.write(path, [audit.ended(f"{name}-{number}", "failed", "why " * 200)] * 2) == ""


def test_many_processes_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    workers = [multiprocessing.get_context("fork").Process(target=_many, args=(str(path), f"w{number}")) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(read(path)) == 1600


def test_what_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    wrong = {
        str(tmp_path / "missing/audit.jsonl"): "No such file or directory",
        str(tmp_path): "Is a directory",
        str(tmp_path / "pipe"): "not a regular file",
        str(tmp_path / "link"): "symbolic links",
        "bad\0name": "null",  # byte or character, by the version of Python
    }
    for path, why in wrong.items():
        said = audit.write(path, [audit.ended("1", "failed")])
        assert why in said
        assert "not in the audit" in said
    assert not (tmp_path / "elsewhere").exists()
    assert audit.write("", [audit.ended("1", "failed")]) == ""


def _full_disk(path: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    said = audit.write(path, [audit.ended("1", "failed", "x" * 900), audit.ended("2", "failed", "x" * 900)])
    os._exit(0 if "cut short" in said else 1)


def test_after_a_full_disk_the_next_line_is_whole_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    process = multiprocessing.get_context("fork").Process(target=_full_disk, args=(str(path),))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.stat().st_size == 1500
    assert audit.write(str(path), [audit.ended("3", "failed")]) == ""
    first, _torn, last = path.read_bytes().splitlines()
    assert (json.loads(first)["alert_id"], json.loads(last)["alert_id"]) == ("1", "3")
