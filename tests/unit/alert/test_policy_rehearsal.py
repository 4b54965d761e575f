# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy would make of alerts of the past: by their own clock, with the guard's words, and counted in full however little is shown."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert, to_alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.inventory import Inventory
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import read_policy
from ansible_collections.riposte.active_response.plugins.module_utils.alert.rehearsal import Rehearsal, described
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.host.guard import GuardFile
from ansible_collections.riposte.active_response.plugins.plugin_utils import alert_files
from ansible_collections.riposte.active_response.plugins.plugin_utils.alert_files import alert_files as files_under
from ansible_collections.riposte.active_response.plugins.plugin_utils.alert_files import read_alert_file

INVENTORY = Inventory({"web1": "001", "web2": "002"}, {"all": ["web1", "web2"]}, {"web1": "10.0.0.5", "web2": "web2"})
DROP: dict[str, Any] = {"response": "firewall_drop", "timeout": "10m"}


def body(number: int, second: int = 0, srcip: str = "", rule: str = "5712", **data: str) -> dict[str, Any]:
    """An alert of the given second of a day."""
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return {
        "id": str(number),
        "timestamp": f"2026-11-24T{clock}.000+0000",
        "rule": {"id": rule, "level": 10},
        "agent": {"id": "001", "ip": "10.0.0.5"},
        "data": {"srcip": srcip or f"203.0.113.{number}", **data},
    }


def rehearsed(
    alerts: list[dict[str, Any]], *responses: dict[str, Any], mode: str = "enforce", most: int = 100, guard: GuardFile | None = None, **more: Any
) -> Any:
    rule = {"name": "ssh", "match": {"rule_ids": ["5712"]}, "responses": list(responses or [DROP])}
    policy, errors = read_policy({"mode": mode, "rules": [rule], **more})
    assert policy, errors
    rehearsal = Rehearsal(policy, INVENTORY, guard, most)
    for each in alerts:
        rehearsal.hear(to_alert(each))
    rehearsal.play()
    return json.loads(json.dumps(rehearsal.result.as_dict()))


@pytest.mark.parametrize(("mode", "outcome"), [("enforce", "planned"), ("observe", "would"), ("approve", "pending")])
def test_what_would_be_done(mode: str, outcome: str) -> None:
    result = rehearsed([body(1), body(2, 70), body(3, 75, rule="1"), body(2, 80)], mode=mode)
    assert (result["alerts"], result["runs"], result["first"], result["last"]) == (4, 2, "2026-11-24T00:00:00Z", "2026-11-24T00:01:15Z")
    assert {name: count for name, count in result["outcomes"].items() if count} == {outcome: 2, "nothing": 2}
    assert [(row["alert_id"], row["outcome"], row["hosts"]) for row in result["decisions"]] == [("1", outcome, ["web1"]), ("2", outcome, ["web1"])]
    assert [(row["alert_rule"], row["alerts"], row["example"]) for row in result["unanswered"]] == [("5712", 1, "2"), ("1", 1, "3")]
    assert result["rules"][0][outcome] == 2


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_the_breakers_go_by_the_alerts_own_clock(mode: str) -> None:
    burst = [body(number, 3600 + number) for number in range(1, 5)]
    later = [body(number, 3600 + 130 + number) for number in range(5, 7)]
    result = rehearsed([*burst, *later], mode=mode, breakers={"blocks_per_minute": 3})
    assert result["held_by"] == {"blocks_per_minute": 1}
    assert [row["alert_id"] for row in result["decisions"] if row["held_by"]] == ["4"]
    assert result["outcomes"]["held"] == 1


def test_accounts_count_for_an_hour_over_many_runs() -> None:
    lock = {"response": "disable_account", "timeout": "1h"}
    alerts = [body(number, number * 600, dstuser=f"u{number}") for number in range(1, 10)]
    result = rehearsed(alerts, lock, breakers={"accounts_per_hour": 2})
    assert [row["alert_id"] for row in result["decisions"] if row["outcome"] == "planned"] == ["1", "2", "7", "8"]


# name: (response, field, guard file, what the guard says)
GUARDED: dict[str, tuple[dict[str, Any], dict[str, str], GuardFile, str]] = {
    "loopback": (DROP, {"srcip": "127.0.0.9"}, GuardFile(), "127.0.0.9 is refused: it is a loopback address"),
    "multicast": (DROP, {"srcip": "224.0.0.9"}, GuardFile(), "it is a multicast address"),
    "the never-list": (DROP, {"srcip": "203.0.113.9"}, GuardFile(addresses=["203.0.113.0/24"]), "it is on the never-list of the guard file"),
    "root": ({"response": "disable_account", "timeout": "1h"}, {"dstuser": "root"}, GuardFile(), "account root is refused: it is root"),
    "an account of the never-list": (
        {"response": "disable_account", "timeout": "1h"},
        {"dstuser": "backup"},
        GuardFile(accounts=["backup"]),
        "account backup is refused: it is on the never-list",
    ),
    "an account of no Unix host": (
        {"response": "disable_account", "timeout": "1h"},
        {"dstuser": "CORP\\mallory"},
        GuardFile(),
        "an account name has 1 to 255 of",
    ),
}


@pytest.mark.parametrize(("response", "data", "guard", "words"), GUARDED.values(), ids=GUARDED)
def test_the_guards_words(response: dict[str, Any], data: dict[str, str], guard: GuardFile, words: str) -> None:
    result = rehearsed([body(1, **data)], response, guard=guard)
    [row] = result["decisions"]
    assert row["outcome"] == "refused"
    assert words in row["why"]
    assert result["outcomes"]["refused"] == 1


def test_an_override_is_looked_at() -> None:
    result = rehearsed([body(1, srcip="127.0.0.9")], {**DROP, "override": ["loopback"]})
    assert result["outcomes"]["planned"] == 1


def test_what_would_be_done_is_shown_first_and_all_is_counted() -> None:
    alerts = [body(number, srcip="-") for number in range(1, 6)] + [body(number) for number in range(6, 10)]
    result = rehearsed(alerts, most=5)
    assert [row["alert_id"] for row in result["decisions"]] == ["6", "7", "8", "9", "1"]
    assert result["left_out"] == 4
    assert (result["outcomes"]["planned"], result["outcomes"]["nothing"]) == (4, 5)


def test_alerts_without_a_clock_and_out_of_order_are_taken_as_they_come() -> None:
    timeless = {**body(3), "timestamp": "soon"}
    result = rehearsed([body(1, 7200), body(2, 60), timeless], breakers={"blocks_per_minute": 1})
    assert [(row["alert_id"], row["outcome"]) for row in result["decisions"]] == [("1", "planned"), ("2", "planned"), ("3", "held")]


def test_the_allow_lists_hosts_are_looked_up_without_alerts() -> None:
    with pytest.raises(BadInput, match="web2"):
        rehearsed([], allow={"hosts": ["web2"]})


def test_a_policy_in_words() -> None:
    match = {"rule_ids": ["1", "2"], "level": 3, "groups": ["g"], "mitre": ["T1110"], "agents": ["7"], "fields": {"a.b": ["x", 1]}}
    responses = [
        {**DROP, "repeated_offenders": ["1h"], "hosts": {"groups": ["web", "db"]}, "observable": "destination"},
        {"response": "disable_account", "permanent": True},
    ]
    policy, _errors = read_policy({"mode": "observe", "rules": [{"name": "r", "match": match, "responses": responses}]})
    assert policy
    words = "rule_ids 1 or 2 and groups g and mitre T1110 and agents 7 and level 3 or more and a.b is x or 1"
    common = {"rule": "r", "mode": "observe", "match": words}
    assert described(policy) == [
        {**common, "response": "firewall_drop", "of": "destination", "hosts": "groups web, db", "stands": "10m, then 1h"},
        {**common, "response": "disable_account", "of": "user", "hosts": "own", "stands": "permanently"},
    ]


def read(path: Path) -> tuple[list[Alert], list[str]]:
    pieces = [piece for file in files_under(str(path)) for piece in read_alert_file(file)]
    return [alert for piece in pieces for alert in piece.alerts], [problem for piece in pieces for problem in piece.problems]


def lines(first: int, last: int) -> bytes:
    return b"".join(json.dumps(body(number)).encode() + b"\n" for number in range(first, last + 1))


def test_a_tree_of_files_is_read_in_order_and_a_file_with_two_names_once(tmp_path: Path) -> None:
    month = tmp_path / "2026/Nov"
    month.mkdir(parents=True)
    (month / "ossec-alerts-01.json.gz").write_bytes(gzip.compress(lines(1, 2)))
    (month / "ossec-alerts-02.json").write_bytes(lines(3, 4))
    (month / "ossec-alerts-02.log").write_bytes(b"text")
    os.link(month / "ossec-alerts-02.json", tmp_path / "alerts.json")
    (tmp_path / "loop.json").symlink_to(tmp_path / "alerts.json")
    alerts, problems = read(tmp_path)
    assert [alert.id for alert in alerts] == ["1", "2", "3", "4"]
    assert problems == []


def test_a_file_larger_than_a_piece_loses_nothing_and_names_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_files, "PIECE", 1000)
    content = lines(1, 30) + b"nonsense\n" + lines(31, 60) + json.dumps(body(61)).encode()
    (tmp_path / "a.json").write_bytes(content)
    alerts, problems = read(tmp_path / "a.json")
    assert [alert.id for alert in alerts] == [str(number) for number in range(1, 62)]
    assert [problem.partition(": ")[0] for problem in problems] == [f"{tmp_path}/a.json, line 31"]


def test_a_large_list_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_files, "PIECE", 1000)
    (tmp_path / "a.json").write_text(json.dumps([body(number) for number in range(1, 60)], indent=1))
    assert len(read(tmp_path / "a.json")[0]) == 59
    monkeypatch.setattr(alert_files, "LARGEST_LIST", 2000)
    with pytest.raises(BadInput, match="a JSON list larger than"):
        read(tmp_path / "a.json")


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.json.gz").write_bytes(gzip.compress(lines(1, 50))[:-30])
    (tmp_path / "none.json.gz").write_bytes(b"no gzip")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("broken.json.gz", "cannot be read"),
        ("none.json.gz", "cannot be read"),
        ("no.json", "No such file"),
        ("empty", "no file in this directory"),
    ):
        with pytest.raises(BadInput, match=said):
            read(tmp_path / name)
    monkeypatch.setattr(alert_files, "PIECE", 100)
    (tmp_path / "long.json").write_bytes(b"x" * 1000)
    with pytest.raises(BadInput, match="line 1 is longer than"):
        read(tmp_path / "long.json")
