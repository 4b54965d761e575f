# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger by itself; what the engine makes of a broken one is in test_engine.py."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host import ledger as ledger_module
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import LedgerCorrupt, LedgerError, LedgerFull
from ansible_collections.riposte.active_response.plugins.module_utils.host.ledger import (
    ADDING,
    ENDED,
    REMOVING,
    STANDING,
    Ledger,
    Row,
    mark_standing,
    new_id,
    new_ids,
    set_aside,
)
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths

NOW = 1_800_000_000.0


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "var/lib").mkdir(parents=True)
    return Paths(str(tmp_path))


def row(target: str, phase: str = STANDING, **more: object) -> Row:
    return Row(new_id(), "firewall_drop", target, "nftables", phase, NOW, NOW + 600, **more)  # type: ignore[arg-type]


def test_ids_count_up_and_no_slip_of_one_digit_makes_one_another() -> None:
    ids = [each for each, _number in zip(new_ids(), range(3000))]
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in ids)
    assert ids == sorted(ids) or ids[0] > ids[-1]  # past the greatest they go on from zero
    known = {each[:place] + "?" + each[place + 1 :] for each in ids for place in range(12)}
    assert len(known) == 12 * len(ids)
    assert not set(ids) & {each for each, _number in zip(new_ids(), range(3000))}


def test_ledger_is_roots_alone(paths: Paths) -> None:
    os.umask(0o000)
    try:
        Ledger.open(paths, write=True).close()
    finally:
        os.umask(0o022)
    assert stat.S_IMODE(os.stat(paths.state).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(paths.ledger).st_mode) == 0o600


def test_fresh_until_what_stood_before_was_adopted(paths: Paths) -> None:
    for _again in range(2):
        ledger = Ledger.open(paths, write=True)
        assert ledger.fresh
        ledger.close()
    ledger = Ledger.open(paths, write=True)
    ledger.adopt([row("a")])
    ledger.close()
    ledger = Ledger.open(paths, write=True)
    assert not ledger.fresh
    assert [each.target for each in ledger.standing("firewall_drop")] == ["a"]
    ledger.close()


def test_row_comes_back_as_it_was_written(paths: Paths) -> None:
    written = row("a", reason="why", alert_id="1.2", origin="ansible", override="session never:a", before='{"x": 1}', message="é\u2603")
    ledger = Ledger.in_memory()
    ledger.write(new=[written])
    assert list(ledger.find("1.2")) == [written]
    assert ledger.open_rows("firewall_drop") == {"a": written._replace(reason="", before=None, message="")}


def test_change_moves_phase_end_and_outcome_only(paths: Paths) -> None:
    ledger = Ledger.in_memory()
    written = row("a", ADDING, reason="why")
    ledger.write(new=[written])
    ledger.write(changed=[written._replace(phase=ENDED, ended=NOW + 5, ended_by="released", reason="another", until=None)])
    assert list(ledger.history(5)) == [written._replace(phase=ENDED, ended=NOW + 5, ended_by="released", until=None)]
    assert not ledger.anything_open()


def test_one_target_has_one_open_row_and_any_history(paths: Paths) -> None:
    ledger = Ledger.in_memory()
    first = row("a")
    ledger.write(new=[first])
    with pytest.raises(LedgerError) as caught:
        ledger.write(new=[row("a", REMOVING)])
    assert caught.type is LedgerError, "no reason to throw the ledger away"
    ledger.write(changed=[first._replace(phase=ENDED, ended=NOW, ended_by="expired")], new=[row("a")])
    assert len(list(ledger.find("a"))) == 1


def test_write_is_all_or_nothing(paths: Paths) -> None:
    ledger = Ledger.in_memory()
    first = row("a")
    ledger.write(new=[first])
    with pytest.raises(LedgerError):
        ledger.write(changed=[first._replace(phase=ENDED, ended=NOW, ended_by="released")], new=[row("b"), row("b")])
    assert [each.phase for each in ledger.find("a")] == [STANDING]
    assert list(ledger.find("b")) == []


def test_names_are_data_never_a_statement(paths: Paths) -> None:
    ledger = Ledger.in_memory()
    ledger.write(new=[row("a"), row("b", alert_id="x' OR '1'='1")])
    assert list(ledger.find("' OR 1=1 --")) == []
    assert [each.target for each in ledger.find("x' OR '1'='1")] == ["b"]
    assert list(ledger.history(5, "'; DROP TABLE response; --")) == []


def test_old_history_is_forgotten_open_rows_never(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "KEPT_ROWS", 3)
    ledger = Ledger.in_memory()
    old = NOW - ledger_module.KEPT_SECONDS - 1
    ledger.write(new=[row(f"n{number}", ENDED, ended=NOW - number, ended_by="expired") for number in range(5)])
    ledger.write(new=[row("ancient", ENDED, ended=old, ended_by="expired"), row("standing")._replace(since=old)])
    ledger.prune(NOW)
    assert [each.target for each in ledger.history(10)] == ["n0", "n1", "n2"]
    assert [each.target for each in ledger.standing("firewall_drop")] == ["standing"]


def test_burst_is_counted_from_what_alerts_began(paths: Paths) -> None:
    ledger = Ledger.in_memory()
    ledger.write(
        new=[
            row("a", alert_id="1"),
            row("b"),
            row("c", ENDED, alert_id="1", ended_by="released", ended=NOW),
            row("d", ENDED, alert_id="1", ended_by="held", ended=NOW),
            row("e", ENDED, alert_id="1", ended_by="refused", ended=NOW),
            row("f", ENDED, alert_id="1", ended_by="failed", ended=NOW),
            row("g", alert_id="1")._replace(since=NOW - 100),
            row("h", alert_id="1")._replace(response="disable_account"),
        ]
    )
    assert ledger.begun_since(NOW - 60) == 3
    assert ledger.begun_since(NOW - 60, "firewall_drop") == 2
    assert ledger.begun_since(NOW - 200) == 4


def test_full_disk_is_told_from_all_else(paths: Paths) -> None:
    ledger = Ledger.open(paths, write=True)
    ledger.adopt([])
    ledger._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerFull):
        ledger.write(new=[row(f"n{number}", reason="x" * 500) for number in range(100)])
    assert ledger.open_rows("firewall_drop") == {}
    ledger.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the fault tests use a real read-only file system")
def test_directory_that_cannot_be_made_counts_as_full(paths: Paths) -> None:
    os.chmod(paths.at("var/lib"), 0o500)
    with pytest.raises(LedgerFull):
        Ledger.open(paths, write=True)


def test_garbage_is_told_from_all_else_and_moved_aside(paths: Paths) -> None:
    os.makedirs(paths.state, 0o700)
    Path(paths.ledger).write_text("garbage " * 1000)
    Path(paths.ledger).chmod(0o600)
    Path(f"{paths.ledger}-journal").touch()
    with pytest.raises(LedgerCorrupt, match=r"ledger\.sqlite3"):
        Ledger.open(paths, write=True)
    aside = set_aside(paths)
    assert sorted(os.listdir(paths.state)) == sorted([os.path.basename(aside), os.path.basename(aside) + "-journal"])


def test_half_made_ledger_is_made_whole(paths: Paths) -> None:
    """A kill between making the file and its table."""
    os.makedirs(paths.state, 0o700)
    Path(paths.ledger).touch(0o600)
    ledger = Ledger.open(paths, write=True)
    assert ledger.fresh
    ledger.close()


def test_newer_schema_is_refused(paths: Paths) -> None:
    Ledger.open(paths, write=True).close()
    with sqlite3.connect(paths.ledger) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(LedgerError, match="newer"):
        Ledger.open(paths, write=True)


def test_without_writing_nothing_is_made(paths: Paths) -> None:
    ledger = Ledger.open(paths, write=False)
    assert ledger.fresh
    assert not os.path.exists(paths.state)


def test_flag_of_the_tick(paths: Paths) -> None:
    os.makedirs(paths.state, 0o700)
    mark_standing(paths, True)
    mark_standing(paths, True)
    assert stat.S_IMODE(os.stat(paths.standing).st_mode) == 0o600
    mark_standing(paths, False)
    mark_standing(paths, False)
    assert not os.path.exists(paths.standing)


def test_row_for_people_has_moments_as_text(paths: Paths) -> None:
    assert row("a").as_dict()["until"] == "2027-01-15T08:10:00Z"
    assert row("a")._replace(until=None).as_dict()["until"] is None
    assert "ended_by" not in row("a").as_dict()
    assert row("a", ENDED, ended=NOW, ended_by="held", message="why").as_dict()["message"] == "why"
