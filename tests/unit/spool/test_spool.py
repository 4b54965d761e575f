# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool by itself: what is accepted, who gets it, and how it ends."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.plugin_utils.spool import spool as spool_module
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import (
    Answer,
    Arrived,
    Close,
    Delivery,
    Gone,
    Planned,
    Receipt,
    SpoolError,
    SpoolFull,
)
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import FILE, KEPT_SECONDS, MAX_AGE, MOST_ATTEMPTS, Spool

NOW = 1_800_000_000.0
PAUSE = 10.0
BLOCK = ("web1", "firewall_drop", "203.0.113.9")
BLOCK2 = ("web2", "firewall_drop", "203.0.113.9")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool.open(str(tmp_path / "spool"))
    yield spool
    spool.close()


def alert(name: str, mark: str = "manager/001/5712", happened: float = NOW) -> Arrived:
    return Arrived(name, mark, happened, f'{{"id": "{name}"}}')


def accept(spool: Spool, *names: str, now: float = NOW) -> Receipt:
    [receipt] = spool.accept([Delivery([alert(name, happened=now) for name in names])], now)
    return receipt


def begin(spool: Spool, now: float = NOW, most: int = 500) -> tuple[int, dict[str, int]]:
    """A batch that a run has begun, and its alerts' numbers by id."""
    batch = spool.take(now, most)
    assert batch is not None
    return batch, {each.id: each.number for each in spool.begin(batch, os.getpid(), now)}


def answered(spool: Spool, *keys: tuple[str, str, str], outcome: str = "done", now: float = NOW) -> Close:
    """One alert, planned for these, all of which answer so."""
    batch, numbers = begin(spool, now)
    spool.plan(batch, [Planned(number, keys) for number in numbers.values()], MAX_AGE, now)
    for host, response, target in keys:
        spool.record(batch, host, [Answer(name, response, target, outcome) for name in numbers], now)
    return spool.end(batch, now, PAUSE)


def states(spool: Spool) -> dict[str, int]:
    return {name: count for name, count in spool.figures(NOW)["alerts"].items() if count}


def column(spool: Spool, query: str) -> list[object]:
    return [row[0] for row in spool._database.execute(query)]


# -- what comes in


def test_what_is_accepted_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = Spool.open(str(tmp_path))
    assert accept(first, "a", "b") == Receipt(2, 0)
    second = Spool.open(str(tmp_path), make=False)
    assert [each.id for each in second.begin(second.take(NOW, 10) or 0, 1, NOW)] == ["a", "b"]


def test_an_id_counts_once_while_it_waits_and_after_it_was_answered(spool: Spool) -> None:
    assert accept(spool, "a", "a") == Receipt(1, 1)
    assert accept(spool, "a") == Receipt(0, 1)
    assert answered(spool, BLOCK) == Close(True, 1, 0, 0)
    assert accept(spool, "a", now=NOW + MAX_AGE) == Receipt(0, 1)


def test_the_same_id_from_another_manager_is_another_alert(spool: Spool) -> None:
    spool.accept([Delivery([alert("a", "one"), alert("a", "two"), alert("a", "two")])], NOW)
    first, second = column(spool, "SELECT id FROM alert ORDER BY number")
    assert first == "a"
    assert str(second).startswith("a+")


def test_too_many_that_wait_are_turned_away_whole_until_there_is_room(tmp_path: Path) -> None:
    spool = Spool.open(str(tmp_path), most_waiting=3)
    receipts = spool.accept([Delivery([alert("a"), alert("b")]), Delivery([alert("c"), alert("d")]), Delivery([alert("e")])], NOW)
    assert receipts == [Receipt(2, 0), Receipt(0, 0, full=True), Receipt(1, 0)]
    assert accept(spool, "c").full
    answered(spool)
    assert accept(spool, "c", "d") == Receipt(2, 0)


def test_what_is_no_alert_is_put_aside_bounded_and_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "KEPT_DEAD", 10)
    for number in (*range(15), 7, 7):
        spool.accept([Delivery([], f"junk {number} \x1b[2J" + "x" * 100_000, "no alert")], NOW + number)
    assert column(spool, "SELECT count(*) FROM dead") == [10]
    assert max(len(str(body)) for body in column(spool, "SELECT body FROM dead")) < 70_000
    assert not any("\x1b" in str(body) for body in column(spool, "SELECT body FROM dead"))


def test_a_full_disk_is_said_as_such_and_costs_nothing(spool: Spool) -> None:
    accept(spool, "a")
    [pages] = column(spool, "PRAGMA page_count")
    spool._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolFull, match="full"):
        spool.accept([Delivery([Arrived("b", "", NOW, "x" * 100_000)])], NOW)
    spool._database.execute("PRAGMA max_page_count = 1000000")
    assert accept(spool, "b") == Receipt(1, 0)


# -- who gets it


def test_one_batch_at_a_time_in_the_order_of_arrival(spool: Spool) -> None:
    accept(spool, "a", "b", "c")
    batch = spool.take(NOW, 2)
    assert spool.take(NOW, 2) is None
    assert [each.id for each in spool.begin(batch or 0, 1, NOW)] == ["a", "b"]
    spool.plan(batch or 0, [Planned(1, []), Planned(2, [])], MAX_AGE, NOW)
    spool.end(batch or 0, NOW, PAUSE)
    assert list(begin(spool)[1]) == ["c"]


def test_a_batch_begins_once(spool: Spool) -> None:
    accept(spool, "a")
    batch, _numbers = begin(spool)
    with pytest.raises(Gone, match="is running, only one that is handed out can begin"):
        spool.begin(batch, 2, NOW)
    with pytest.raises(Gone, match="is unknown"):
        spool.begin(4711, 2, NOW)


def test_a_run_that_was_given_up_can_write_nothing(spool: Spool) -> None:
    accept(spool, "a")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(numbers["a"], [BLOCK])], MAX_AGE, NOW)
    spool.end(batch, NOW, PAUSE)
    for write in (
        lambda: spool.record(batch, "web1", [Answer("a", "firewall_drop", "203.0.113.9", "done")], NOW),
        lambda: spool.plan(batch, [], MAX_AGE, NOW),
        lambda: spool.still_running(batch),
    ):
        with pytest.raises(Gone, match="was given up"):
            write()
    assert column(spool, "SELECT outcome FROM response") == [None]


def test_a_batch_ends_once(spool: Spool) -> None:
    accept(spool, "a")
    batch, _numbers = begin(spool)
    assert spool.end(batch, NOW, PAUSE) == Close(False, 0, 0, 1)
    assert spool.end(batch, NOW, PAUSE) == Close(False, 0, 0, 0)


# -- how it ends


def test_an_alert_is_answered_when_each_host_has_spoken(spool: Spool) -> None:
    accept(spool, "a")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(numbers["a"], [BLOCK, BLOCK2])], MAX_AGE, NOW)
    spool.record(batch, "web1", [Answer("a", "firewall_drop", "203.0.113.9", "refused", "gateway")], NOW)
    assert spool.end(batch, NOW, PAUSE) == Close(True, 0, 0, 1)
    batch, numbers = begin(spool, NOW + PAUSE)
    spool.plan(batch, [Planned(numbers["a"], [BLOCK2])], MAX_AGE, NOW)
    spool.record(batch, "web2", [Answer("a", "firewall_drop", "203.0.113.9", "done")], NOW)
    assert spool.end(batch, NOW, PAUSE) == Close(True, 1, 0, 0)


def test_what_is_settled_is_not_asked_for_again(spool: Spool) -> None:
    accept(spool, "a")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(numbers["a"], [BLOCK, BLOCK2])], MAX_AGE, NOW)
    spool.record(batch, "web1", [Answer("a", "firewall_drop", "203.0.113.9", "done")], NOW)
    spool.record(batch, "web2", [Answer("a", "firewall_drop", "203.0.113.9", "unreachable")], NOW)
    spool.end(batch, NOW, PAUSE)
    batch = spool.take(NOW + PAUSE, 10) or 0
    [taken] = spool.begin(batch, 1, NOW)
    assert taken.settled == {BLOCK}
    spool.plan(batch, [Planned(taken.number, [BLOCK, BLOCK2])], MAX_AGE, NOW)
    spool.record(batch, "web1", [Answer("a", "firewall_drop", "203.0.113.9", "failed")], NOW)
    assert column(spool, "SELECT outcome FROM response ORDER BY host") == ["done", None]


def test_nothing_to_do_is_an_answer(spool: Spool) -> None:
    accept(spool, "a")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(numbers["a"], [], "no rule matches")], MAX_AGE, NOW)
    assert spool.end(batch, NOW, PAUSE) == Close(True, 1, 0, 0)
    assert column(spool, "SELECT why FROM alert") == ["no rule matches"]


def test_a_host_that_is_down_is_tried_again_more_and_more_slowly_until_the_alert_is_too_old(spool: Spool) -> None:
    accept(spool, "a")
    now, tried = NOW, []
    while spool.next_due() is not None:
        now = max(now, spool.next_due() or 0)
        if spool.take(now, 0) is None:
            break
        spool.begin(spool.unfinished()[0], 1, now)
        [batch] = spool.unfinished()
        spool.plan(batch, [Planned(1, [BLOCK, BLOCK2])], MAX_AGE, now)
        spool.record(batch, "web1", [Answer("a", "firewall_drop", "203.0.113.9", "unreachable", "no route")], now)
        spool.record(batch, "web2", [Answer("a", "firewall_drop", "203.0.113.9", "done")], now)
        spool.end(batch, now, PAUSE)
        tried.append(now - NOW)
    assert tried[:6] == [0, 10, 30, 70, 150, 310]
    assert MAX_AGE - 300 <= tried[-1] <= MAX_AGE
    assert states(spool) == {"failed": 1}
    assert column(spool, "SELECT why FROM alert") == ["too old: the policy's max_age is 3600 s; web1: unreachable: no route"]
    assert column(spool, "SELECT outcome FROM response ORDER BY host") == ["unreachable", "done"]


def test_what_came_too_late_is_given_up_and_never_handed_out(spool: Spool) -> None:
    spool.accept([Delivery([alert("old", happened=NOW - MAX_AGE - 1), alert("future", happened=NOW + 9e9)])], NOW)
    assert list(begin(spool)[1]) == ["future"]
    assert column(spool, "SELECT happened FROM alert WHERE id = 'future'") == [NOW]
    assert states(spool) == {"taken": 1, "failed": 1}


def test_the_policy_says_what_too_old_is(spool: Spool) -> None:
    accept(spool, "a", "b")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(number, [BLOCK]) for number in numbers.values()], 5.0, NOW)
    spool.end(batch, NOW, PAUSE)
    assert spool.take(NOW + PAUSE, 10) is None
    assert states(spool) == {"failed": 2}


def test_a_plan_may_give_an_alert_up(spool: Spool) -> None:
    accept(spool, "a")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(numbers["a"], [], "it cannot be read", failed=True)], MAX_AGE, NOW)
    assert spool.end(batch, NOW, PAUSE) == Close(True, 0, 1, 0)


def test_one_bad_alert_ends_alone_after_some_tries(spool: Spool) -> None:
    """Each run that has the bad one dies without a word; the others must get through."""
    accept(spool, *(f"good{number}" for number in range(60)), "bad", *(f"fine{number}" for number in range(60)))
    now, runs = NOW, 0
    while spool.next_due() is not None:
        now = max(now, spool.next_due() or 0)
        batch, numbers = begin(spool, now)
        if "bad" not in numbers:
            spool.plan(batch, [Planned(number, []) for number in numbers.values()], MAX_AGE, now)
        spool.end(batch, now, 1)
        runs += 1
    assert states(spool) == {"answered": 120, "failed": 1}
    assert column(spool, "SELECT id FROM alert WHERE state = 'failed'") == ["bad"]
    assert column(spool, "SELECT why FROM alert WHERE state = 'failed'") == [f"{MOST_ATTEMPTS} runs ended without a word about it"]
    assert runs < 40


def test_a_killed_service_does_not_count_against_its_alerts(spool: Spool) -> None:
    accept(spool, "a")
    for _time in range(3 * MOST_ATTEMPTS):
        batch, _numbers = begin(spool)
        assert spool.end(batch, NOW, PAUSE, counted=False) == Close(False, 0, 0, 1)


def test_runs_that_never_begin_do_not_count_against_the_alerts_either(spool: Spool) -> None:
    """A playbook or a policy that is broken: the alerts wait for it until they are too old."""
    accept(spool, "a")
    for _time in range(3 * MOST_ATTEMPTS):
        batch = spool.take(NOW, 10)
        assert spool.end(batch or 0, NOW, PAUSE) == Close(False, 0, 0, 1)
    assert spool.take(NOW + MAX_AGE + 1, 10) is None
    assert states(spool) == {"failed": 1}


def test_a_new_plan_forgets_what_an_old_one_wanted_and_nobody_did(spool: Spool) -> None:
    accept(spool, "a")
    batch, numbers = begin(spool)
    spool.plan(batch, [Planned(numbers["a"], [BLOCK, BLOCK2])], MAX_AGE, NOW)
    spool.record(batch, "web1", [Answer("a", "firewall_drop", "203.0.113.9", "done")], NOW)
    spool.end(batch, NOW, PAUSE)
    batch, numbers = begin(spool, NOW + PAUSE)
    spool.plan(batch, [Planned(numbers["a"], [], "the policy has no such rule now")], MAX_AGE, NOW)
    assert spool.end(batch, NOW, PAUSE) == Close(True, 1, 0, 0)
    assert column(spool, "SELECT host FROM response") == ["web1"]


def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(spool: Spool) -> None:
    accept(spool, "old")
    answered(spool, BLOCK)
    spool.accept([Delivery([alert("waits")], "junk", "no alert")], NOW)
    spool.prune(NOW + KEPT_SECONDS - 1)
    assert states(spool) == {"answered": 1, "new": 1}
    spool.prune(NOW + KEPT_SECONDS + 1)
    assert states(spool) == {"new": 1}
    assert column(spool, "SELECT count(*) FROM response") == [0]
    assert column(spool, "SELECT count(*) FROM dead") == [0]


def test_figures(spool: Spool) -> None:
    accept(spool, "a")
    answered(spool, BLOCK)
    accept(spool, "b", now=NOW + 5)
    seen = spool.figures(NOW + 10)
    assert seen["oldest_unfinished_seconds"] == 5.0
    assert seen["alerts"] == {"new": 1, "taken": 0, "answered": 1, "failed": 0}
    assert seen["responses"]["done"] == 1
    assert (seen["dead"], seen["batches"]) == (0, 1)


# -- whom it trusts


def test_the_spool_is_its_users_alone(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        spool = Spool.open(str(tmp_path / "spool"))
        accept(spool, "a")
        assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()} == {
            FILE: 0o600,
            f"{FILE}-wal": 0o600,
            f"{FILE}-shm": 0o600,
        }
        assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
        spool.close()
    finally:
        os.umask(before)


@pytest.mark.parametrize("what", ["directory open to others", "file open to others", "a link", "somebody else's"])
def test_what_others_can_write_is_not_trusted(tmp_path: Path, what: str) -> None:
    place = tmp_path / "spool"
    Spool.open(str(place)).close()
    if what == "directory open to others":
        place.chmod(0o770)
    elif what == "file open to others":
        (place / FILE).chmod(0o666)
    elif what == "a link":
        (place / FILE).rename(tmp_path / "elsewhere")
        (place / FILE).symlink_to(tmp_path / "elsewhere")
    elif os.geteuid() == 0:
        os.chown(place, 12345, -1)
    else:
        pytest.skip("only root can give a directory away")
    with pytest.raises(SpoolError, match="is not trusted"):
        Spool.open(str(place))


def test_a_missing_spool_is_not_made_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="there is no spool here"):
        Spool.open(str(tmp_path), make=False)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    Spool.open(str(tmp_path)).close()
    database = sqlite3.connect(tmp_path / FILE)
    database.execute(f"PRAGMA user_version = {spool_module.VERSION + 1}")
    database.close()
    with pytest.raises(SpoolError, match="is newer than this program's"):
        Spool.open(str(tmp_path))
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(SpoolError, match="not a database"):
        Spool.open(str(tmp_path))
