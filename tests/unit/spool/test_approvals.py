# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits in a spool for a person: who may say what of it, and what becomes of the alert then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.approvals import Pending
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Answer, Arrived, Close, Delivery, Planned, Taken
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import KEPT_SECONDS, MAX_AGE, Spool

NOW = 1_800_000_000.0
PAUSE = 10.0
TARGET = "203.0.113.9"
BLOCK = Pending("ssh", "firewall_drop", TARGET, ("web1", "web2"))
LOCK = Pending("accounts", "disable_account", "mallory", ("web1",))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool.open(str(tmp_path))
    yield spool
    spool.close()


def run(spool: Spool, now: float, *pending: Pending, expected: tuple[tuple[str, str, str], ...] = (), outcome: str = "done") -> tuple[list[Taken], Close]:
    """A batch with all that is due; each alert is planned so, and the hosts answer."""
    batch = spool.take(now, 500)
    assert batch is not None
    taken = spool.begin(batch, os.getpid(), now)
    spool.plan(batch, [Planned(each.number, expected, pending=pending) for each in taken], MAX_AGE, now)
    for host, response, target in expected:
        spool.record(batch, host, [Answer(each.id, response, target, outcome) for each in taken], now)
    return taken, spool.end(batch, now, PAUSE)


def asked(spool: Spool, *pending: Pending, **more: tuple[tuple[str, str, str], ...]) -> None:
    """An alert `a` of which that waits."""
    spool.accept([Delivery([Arrived("a", "", NOW, "{}")])], NOW)
    _taken, close = run(spool, NOW, *pending, **more)
    assert close.answered == 1


def test_what_waits_is_shown_until_somebody_has_spoken(spool: Spool) -> None:
    asked(spool, BLOCK, LOCK)
    assert [(each.alert_id, each.received, each.rule, each.target, each.hosts) for each in spool.waiting()] == [
        ("a", NOW, "accounts", "mallory", ("web1",)),
        ("a", NOW, "ssh", TARGET, ("web1", "web2")),
    ]
    assert spool.figures(NOW)["pending"] == 2
    assert spool.approve("a", "eva", NOW + 5, ["ssh"]) == ["ssh"]
    assert spool.reject("a", "eva", NOW + 5, ["accounts"]) == ["accounts"]
    assert spool.waiting() == []
    assert spool.take(NOW, 500) is None  # not before it was approved


def test_what_was_approved_is_due_at_once_however_old_it_is_by_then(spool: Spool) -> None:
    asked(spool, BLOCK, LOCK)
    later = NOW + 3 * 86400
    assert spool.approve("a", "eva", later, ["ssh"]) == ["ssh"]
    [taken], close = run(spool, later, LOCK, expected=(("web1", "firewall_drop", TARGET),))
    assert (taken.approved, taken.given) == (later, {("ssh", "firewall_drop", TARGET): ("web1", "web2")})
    assert (taken.happened, taken.received) == (NOW, NOW)
    assert close == Close(True, 1, 0, 0)
    assert [each.rule for each in spool.waiting()] == ["accounts"]  # still


def test_what_no_host_does_counts_its_age_from_the_approval(spool: Spool) -> None:
    asked(spool, BLOCK)
    later = NOW + 86400
    spool.approve("a", "eva", later)
    _taken, close = run(spool, later, expected=(("web1", "firewall_drop", TARGET),), outcome="unreachable")
    assert close.again == 1
    [taken], _close = run(spool, later + MAX_AGE - 1, expected=(("web1", "firewall_drop", TARGET),), outcome="unreachable")
    assert taken.left == {("web1", "firewall_drop", TARGET)}
    assert spool.take(later + MAX_AGE + 400, 500) is None
    assert spool.progress("a")[0] == "failed"


def test_to_say_it_twice_changes_nothing(spool: Spool) -> None:
    asked(spool, BLOCK)
    assert spool.approve("a", "eva", NOW + 1) == ["ssh"]
    assert spool.approve("a", "max", NOW + 2) == []
    run(spool, NOW + 2)
    assert spool.approve("a", "max", NOW + 3) == []
    assert spool.take(NOW + 3, 500) is None


def test_only_to_look_says_nothing(spool: Spool) -> None:
    asked(spool, BLOCK)
    assert spool.approve("a", "eva", NOW, check=True) == spool.reject("a", "eva", NOW, check=True) == ["ssh"]
    assert len(spool.waiting()) == 1
    assert spool.take(NOW + 1, 500) is None


def test_what_was_rejected_stays_so_unless_its_rule_is_named(spool: Spool) -> None:
    asked(spool, BLOCK, LOCK)
    assert sorted(spool.reject("a", "eva", NOW)) == ["accounts", "ssh"]
    assert spool.reject("a", "eva", NOW) == []
    assert spool.approve("a", "max", NOW) == []
    assert spool.approve("a", "max", NOW + 1, ["ssh"]) == ["ssh"]
    assert [each.given for each in run(spool, NOW + 1)[0]] == [{("ssh", "firewall_drop", TARGET): ("web1", "web2")}]


@pytest.mark.parametrize("rules", [[], ["ssh"]])
def test_what_was_approved_can_only_be_released(spool: Spool, rules: list[str]) -> None:
    asked(spool, BLOCK)
    spool.approve("a", "eva", NOW)
    with pytest.raises(BadInput, match="alert a, rule ssh: eva has approved it; release what it did"):
        spool.reject("a", "max", NOW, rules)


@pytest.mark.parametrize(
    ("alert_id", "rules", "said"),
    [
        ("b\x1b", [], r"alert 'b\\x1b': there is no such alert in the spool"),
        ("plain", [], "alert 'plain': nothing of it ever waited for approval"),
        ("a", ["shh"], "rule 'shh': nothing of it waits for that rule; for it waits ssh"),
    ],
)
def test_what_cannot_be_approved_is_named(spool: Spool, alert_id: str, rules: list[str], said: str) -> None:
    asked(spool, BLOCK)
    spool.accept([Delivery([Arrived("plain", "", NOW, "{}")])], NOW)
    for say in (spool.approve, spool.reject):
        with pytest.raises(BadInput, match=said):
            say(alert_id, "eva", NOW, rules)
    assert len(spool.waiting()) == 1


def test_what_is_approved_while_a_run_has_the_alert_is_done_by_the_next_one(spool: Spool) -> None:
    asked(spool, BLOCK, LOCK)
    spool.approve("a", "eva", NOW + 1, ["ssh"])
    batch = spool.take(NOW + 1, 500)
    assert batch is not None
    [taken] = spool.begin(batch, os.getpid(), NOW + 1)
    spool.plan(batch, [Planned(taken.number, [("web1", "firewall_drop", TARGET)], pending=[LOCK])], MAX_AGE, NOW + 1)
    assert spool.approve("a", "max", NOW + 2, ["accounts"]) == ["accounts"]
    spool.record(batch, "web1", [Answer("a", "firewall_drop", TARGET, "done")], NOW + 3)
    spool.end(batch, NOW + 4, PAUSE)
    [again], _close = run(spool, NOW + 4, expected=(("web1", "disable_account", "mallory"),))
    assert set(again.given) == {("ssh", "firewall_drop", TARGET), ("accounts", "disable_account", "mallory")}
    assert again.settled == {("web1", "firewall_drop", TARGET)}  # what was done is not undone by it
    assert spool.take(NOW + 5, 500) is None


def test_what_is_approved_while_a_host_is_waited_for_waits_for_nobody(spool: Spool) -> None:
    spool.accept([Delivery([Arrived("a", "", NOW, "{}")])], NOW)
    run(spool, NOW, LOCK, expected=(("web2", "firewall_drop", TARGET),), outcome="unreachable")
    assert spool.take(NOW + 1, 500) is None
    spool.approve("a", "eva", NOW + 2)
    [taken], _close = run(spool, NOW + 2, expected=(("web1", "disable_account", "mallory"),))
    assert taken.left == {("web2", "firewall_drop", TARGET)}


def test_the_same_for_another_rule_that_was_done_before_is_done_anew(spool: Spool) -> None:
    key = ("web1", "firewall_drop", TARGET)
    asked(spool, BLOCK, expected=(key,))
    spool.approve("a", "eva", NOW + 900)
    [taken], _close = run(spool, NOW + 900, expected=(key,))
    assert taken.settled == set()
    assert spool.progress("a") == ("answered", [(*key, "done", "")])


def test_what_nobody_speaks_about_is_forgotten_with_its_alert(spool: Spool) -> None:
    asked(spool, BLOCK)
    spool.prune(NOW + KEPT_SECONDS + 1)
    assert spool.waiting() == []
    with pytest.raises(BadInput, match="there is no such alert"):
        spool.approve("a", "eva", NOW)
