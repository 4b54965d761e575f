# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on a host in memory: what each run answers, records and leaves on the host when things go wrong."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import LedgerFull, ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.ledger import Ledger
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import DONE, FAILED, HELD, REFUSED, UNCHANGED, Report, Request
from tests.unit.host.world import START, Killed, World

BLOCK, LOCK = "firewall_drop", "disable_account"


def present(*targets: str, kind: str = BLOCK, timeout: str | None = "10m", **more: object) -> Request:
    return Request(kind, list(targets), timeout=timeout, **more)  # type: ignore[arg-type]


def absent(*targets: str, kind: str = BLOCK, **more: object) -> Request:
    return Request(kind, list(targets), state="absent", **more)  # type: ignore[arg-type]


def outcomes(report: Report) -> list[str]:
    return [each.outcome for each in report.results]


def at(point: str, times: int, error: Callable[[], BaseException]) -> Callable[[str], None]:
    """A fault at the n-th coming by of one point."""
    seen = 0

    def fault(name: str) -> None:
        nonlocal seen
        seen += name == point
        if name == point and seen == times:
            raise error()

    return fault


def always(point: str, error: Callable[[], BaseException]) -> Callable[[str], None]:
    def fault(name: str) -> None:
        if name == point:
            raise error()

    return fault


# -- one trip


def test_results_come_in_the_order_asked_whatever_the_kinds(world: World) -> None:
    report = world.engine().respond([present("a"), present("b", kind=LOCK), present("no name!", "c"), absent("d")])
    assert [each.target for each in report.results] == ["a", "b", "no name!", "c", "d"]
    assert outcomes(report) == [DONE, DONE, FAILED, DONE, UNCHANGED]
    assert report.summary() == {"done": 3, "unchanged": 1, "refused": 0, "held": 0, "failed": 1}


def test_a_batch_with_bad_entries_does_the_rest_and_names_the_bad(world: World) -> None:
    targets = ["".join(letters) for letters in itertools.product("abcdefghij", repeat=3)]
    world.guarded = bad = {targets[3], targets[500], targets[999]}
    asked = [*targets]
    asked[7], asked[998] = "0x7f.1", "{{ 7*7 }}"
    report = world.engine().respond([present(*asked)])
    assert report.summary() == {"done": 995, "unchanged": 0, "refused": 3, "held": 0, "failed": 2}
    assert {each.target for each in report.results if each.outcome == REFUSED} == bad
    assert {each.target for each in report.results if each.outcome == FAILED} == {"0x7f.1", "{{ 7*7 }}"}
    assert len(world.systems[BLOCK].members) == 995


def test_the_tick_tells_also_of_what_the_system_ended_by_itself(world: World) -> None:
    world.engine().respond([present("a", timeout="10m"), present("b", timeout="1h")])
    world.now += 601
    [told] = world.engine().tick().results
    assert (told.target, told.outcome, told.changed, told.state) == ("a", DONE, False, "absent")
    assert world.engine().tick().results == []


def test_what_had_ended_is_told_by_whoever_notices_it_first(world: World) -> None:
    world.engine().respond([present("a", timeout="10m")])
    world.now += 601
    report = world.engine().respond([present("b")])
    assert [each.target for each in report.results] == ["b"]
    assert [(each.target, each.outcome) for each in report.ended] == [("a", DONE)]
    assert world.engine().tick().results == []


def test_who_comes_back_stays_longer_and_is_counted_once_an_attack(world: World) -> None:
    call = [present("a", timeout="10m", repeated_offenders=["1h", "1d"], alert_id="x")]

    def seconds() -> float:
        [each] = world.engine().respond(call).results
        assert each.standing is not None
        assert each.standing.end is not None
        return each.standing.end - each.standing.since

    assert [seconds() for _line_of_one_attack in range(3)] == [600] * 3
    for expected in (3600, 86400, 86400):
        world.now += 2 * 86400
        assert seconds() == expected
    world.engine().release(["a"])
    world.engine().respond([present("b", repeated_offenders=["1h"])])
    world.engine().release(["b"])
    assert outcomes(world.engine().respond([present("b", repeated_offenders=["1h"], alert_id="x")])) == [DONE]
    [row] = world.rows()
    assert row.until == world.now + 600, "what a person asked for is no offence"


def test_offences_that_were_seen_elsewhere_count_when_they_are_more(world: World) -> None:
    def seconds(offences: int) -> float:
        world.now += 2 * 86400
        request = present("a", timeout="10m", repeated_offenders=["1h", "2h"], offences=offences, alert_id="x")
        [each] = world.engine().respond([request]).results
        assert each.standing and each.standing.end
        return each.standing.end - each.standing.since

    assert [seconds(offences) for offences in (0, 2, 1, 0)] == [600, 7200, 7200, 7200]


@pytest.mark.parametrize("more", [{"timeout": None, "permanent": True, "repeated_offenders": ["1h"]}, {"repeated_offenders": ["1h", "10 parsecs"]}])
def test_timeouts_for_repeats_that_cannot_be_are_told_at_the_first_time(world: World, more: dict[str, object]) -> None:
    [each] = world.engine().respond([present("a", **more)]).results  # type: ignore[arg-type]
    assert each.outcome == FAILED
    assert "repeated_offenders" in each.message or "10 parsecs" in each.message
    assert not world.systems[BLOCK].members


def test_two_ways_in_for_one_alert_are_told(world: World) -> None:
    world.engine().respond([present("a", alert_id="7")])
    other = replace(world.engine(), origin="wazuh-execd")
    said = {alert: other.respond([present("a", alert_id=alert)]).results[0].message for alert in ("7", "8")}
    assert "ansible has answered alert 7 here before wazuh-execd" in said["7"]
    assert said["8"] == ""
    assert world.engine().respond([present("a", alert_id="7")]).results[0].message == ""


def test_a_response_of_an_unknown_kind_fails_alone(world: World) -> None:
    report = world.engine().respond([Request("quarantine_file", ["a"], timeout="5"), Request("quarantine_file", [], timeout="5"), present("b")])
    assert outcomes(report) == [FAILED, FAILED, DONE]
    assert "quarantine_file" in report.results[0].message


def test_a_bad_lifetime_fails_its_request_and_no_other(world: World) -> None:
    wrong = [
        present("a", timeout=None),
        present("b", timeout="-1"),
        present("c", timeout=None, until="0001-01-01T00:00:00+23:59"),
        present("d", permanent=True),
        present("e", since="9999-12-31T23:59:59-23:59"),
        present("f", since="0001-01-01T00:00:00+23:59"),
    ]
    report = world.engine().respond([*wrong, present("z")])
    assert outcomes(report) == [FAILED] * 6 + [DONE]
    assert set(world.systems[BLOCK].members) == {"z"}


def test_a_release_takes_no_lifetime(world: World) -> None:
    assert outcomes(world.engine().respond([absent("a", timeout="5")])) == [FAILED]


# -- truth


def test_never_done_when_the_tool_does_nothing(world: World) -> None:
    """As a wrapper that exits 0 and changes nothing."""
    world.fault = lambda point: world.systems[BLOCK].members.clear() if point == "after change" else None
    [result] = world.engine().respond([present("a")]).results
    assert (result.outcome, result.changed) == (FAILED, False)
    assert "not in force" in result.message
    assert world.rows() == []


def test_somebody_who_undoes_it_once_is_overruled(world: World) -> None:
    once = iter([True])
    world.fault = lambda point: world.systems[BLOCK].members.clear() if point == "after change" and next(once, False) else None
    assert outcomes(world.engine().respond([present("a")])) == [DONE]


def test_never_done_when_the_tool_fails(world: World) -> None:
    world.fault = always("before change", lambda: ToolError("nft: exit code 1: no"))
    [result] = world.engine().respond([present("a")]).results
    assert (result.outcome, result.changed) == (FAILED, False)
    assert "nft: exit code 1: no" in result.message
    assert world.rows() == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_never_done_when_the_host_cannot_be_read_back(world: World, state: str) -> None:
    """Neither a block nor a release: what became of it is unknown, and the next run settles it."""
    world.engine().respond([present("standing")])
    world.fault = at("read", 2, lambda: ToolError("nft: killed"))
    [result] = world.engine().respond([present("new") if state == "present" else absent("standing")]).results
    assert (result.outcome, result.changed, result.in_force) == (FAILED, False, None)
    assert "could not be read back" in result.message
    world.fault = lambda _point: None
    world.engine().tick()
    assert {row.target for row in world.rows()} == set(world.systems[BLOCK].members)
    assert all(row.phase == "standing" for row in world.rows())


def test_an_end_that_is_recorded_anew_and_cannot_be_read_back_is_not_done(world: World) -> None:
    """The host had it as wanted before; whether it still has, nobody knows."""
    world.engine().respond([present("a")])
    world.systems[BLOCK].members["a"] = START + 7200
    world.fault = at("read", 2, lambda: ToolError("nft: killed"))
    [result] = world.engine().respond([present("a", timeout=None, until=str(int(START) + 7200))]).results
    assert (result.outcome, result.changed, result.in_force) == (FAILED, False, None)


def test_a_release_that_fails_and_cannot_be_read_back_is_not_done(world: World) -> None:
    world.engine().respond([present("standing")])
    world.fault = lambda point: world_fails(point, world)
    [result] = world.engine().respond([absent("standing")]).results
    assert (result.outcome, result.changed) == (FAILED, False)
    assert "standing" in world.systems[BLOCK].members


def world_fails(point: str, world: World) -> None:
    """From the first change on, the tool fails at everything."""
    if point == "before change":
        world.fault = always("read", lambda: ToolError("nft: it is broken"))
        raise ToolError("nft: it broke")


def test_a_release_that_leaves_our_mark_is_not_done(world: World) -> None:
    """Without effect, but still there: the next restore would put it back into force."""
    world.engine().respond([present("a", "b")])
    world.systems[BLOCK].whole = False
    world.fault = always("before change", lambda: ToolError("nft: no"))
    [result] = world.engine().respond([absent("a")]).results
    assert (result.outcome, result.changed) == (FAILED, False)


def test_a_mark_without_effect_is_released_too(world: World) -> None:
    world.engine().respond([present("b")])
    world.systems[BLOCK].members["a"] = None
    world.systems[BLOCK].whole = False
    assert outcomes(world.engine().respond([absent("a")])) == [DONE]
    assert set(world.systems[BLOCK].members) == {"b"}


# -- the ledger fails


def test_full_disk_lets_blocks_with_an_end_in_and_refuses_all_else(world: World) -> None:
    world.engine().respond([present("old"), present("kept", kind=LOCK)])
    world.fault = always("before ledger write", lambda: LedgerFull("ledger: database or disk is full"))
    report = world.engine().respond(
        [present("a"), present("b", timeout=None, permanent=True), present("c", kind=LOCK), absent("old"), absent("kept", kind=LOCK)]
    )
    assert outcomes(report) == [DONE, FAILED, FAILED, FAILED, FAILED]
    assert [each.persisted for each in report.results] == [False] * 5
    assert all("free disk space" in each.message for each in report.results if each.outcome == FAILED)
    assert set(world.systems[BLOCK].members) == {"old", "a"}
    assert set(world.systems[LOCK].members) == {"kept"}


def test_full_disk_refuses_a_later_end_for_what_stands(world: World) -> None:
    """The record could not follow, so the tick would cut it to the old end."""
    world.engine().respond([present("a")])
    world.fault = always("before ledger write", lambda: LedgerFull("ledger: database or disk is full"))
    [result] = world.engine().respond([present("a", timeout=None, until=str(int(START) + 7200))]).results
    assert result.outcome == FAILED
    assert world.systems[BLOCK].members["a"] == pytest.approx(START + 600)


def test_full_disk_does_not_keep_a_block_from_coming_back(world: World) -> None:
    """Its record is there and says the same."""
    world.engine().respond([present("a")])
    world.systems[BLOCK].members.clear()
    world.fault = always("before ledger write", lambda: LedgerFull("ledger: database or disk is full"))
    assert outcomes(world.engine().tick()) == [DONE]
    assert world.systems[BLOCK].members["a"] == pytest.approx(START + 600)


def test_full_disk_does_not_keep_what_is_due(world: World) -> None:
    """An account lock ends on time also then: the record says already that it is over."""
    world.engine().respond([present("mallory", kind=LOCK)])
    world.now += 601
    world.fault = always("before ledger write", lambda: LedgerFull("ledger: database or disk is full"))
    assert outcomes(world.engine().tick()) == [DONE]
    assert world.systems[LOCK].members == {}
    world.fault = lambda _point: None
    world.engine().tick()
    assert world.rows() == []


def test_disk_that_fills_between_intent_and_outcome_loses_nothing(world: World) -> None:
    world.fault = at("before ledger write", 3, lambda: LedgerFull("ledger: database or disk is full"))  # 1 adopts, 2 intends
    report = world.engine().respond([present("a")])
    assert outcomes(report) == [DONE]
    assert any("settled by the next run" in warning for warning in report.warnings)
    world.fault = lambda _point: None
    assert world.engine().tick().results == []
    assert [(row.target, row.phase) for row in world.rows()] == [("a", "standing")]


def test_read_only_state_directory_still_ends_what_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be opened: what stands is known from its marks alone."""
    world.engine().respond([present("mallory", kind=LOCK), present("a")])
    world.now += 601

    def cannot_open(*_args: object, **_named: object) -> Ledger:
        raise LedgerFull("ledger: unable to open database file")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "open", cannot_open)
        report = world.engine().tick()
    assert [(each.target, each.outcome) for each in report.results] == [("mallory", DONE)]
    assert world.systems[LOCK].members == {}


@pytest.mark.parametrize("damage", ["garbage", "truncated", "zeroed page"])
def test_damaged_ledger_is_moved_aside_and_rebuilt_from_the_marks(world: World, damage: str) -> None:
    world.engine().respond([present(*(f"name{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"), reason="x" * 500), present("mallory", kind=LOCK)])
    ledger = Path(world.paths.ledger)
    content = ledger.read_bytes()
    damaged = {"garbage": b"not a database\n" * 1000, "truncated": content[: len(content) // 2], "zeroed page": content[:4096] + bytes(4096) + content[8192:]}
    ledger.write_bytes(damaged[damage])
    report = world.engine().respond([present("new")])
    assert outcomes(report) == [DONE]
    [aside] = ledger.parent.glob("ledger.sqlite3.corrupt-*")
    assert aside.read_bytes() == damaged[damage]
    assert any(str(aside) in warning for warning in report.warnings)
    assert len(world.rows()) == 28
    assert {row.until for row in world.rows()} == {START + 600}


def test_damaged_ledger_does_not_keep_a_release_by_name(world: World) -> None:
    world.engine().respond([present("a")])
    Path(world.paths.ledger).write_bytes(b"not a database\n" * 1000)
    report = world.engine().release(["a"])
    assert outcomes(report) == [DONE]
    assert world.systems[BLOCK].members == {}


def test_check_mode_leaves_a_damaged_ledger_alone(world: World) -> None:
    world.engine().respond([present("a")])
    Path(world.paths.ledger).write_bytes(b"not a database\n" * 1000)
    assert outcomes(world.engine().respond([present("b")], check=True)) == [FAILED]
    assert Path(world.paths.ledger).read_bytes().startswith(b"not a database")


def test_check_mode_makes_nothing_on_an_untouched_host(world: World) -> None:
    world.engine().respond([present("a")], check=True)
    assert not Path(world.paths.state).exists()


def test_check_mode_leaves_an_empty_ledger_file_empty(world: World) -> None:
    Path(world.paths.state).mkdir(mode=0o700)
    Path(world.paths.ledger).touch(mode=0o600)
    assert outcomes(world.engine().respond([present("a")], check=True)) == [DONE]
    assert Path(world.paths.ledger).stat().st_size == 0


def test_lost_ledger_orphans_nothing_even_when_its_rebuilding_is_killed(world: World) -> None:
    world.engine().respond([present("a"), present("mallory", kind=LOCK)])
    for path in Path(world.paths.state).iterdir():
        path.unlink()
    world.fault = always("before ledger write", Killed)
    with pytest.raises(Killed):
        world.engine().respond([present("b")])
    world.fault = lambda _point: None
    world.engine().tick()
    assert {(row.target, row.origin) for row in world.rows()} == {("a", "rebuilt"), ("mallory", "rebuilt")}
    assert Path(world.paths.standing).exists()


def test_ledger_of_a_newer_program_stops_the_run_and_the_tick_says_so(world: World) -> None:
    world.engine().respond([present("a")])
    with sqlite3.connect(world.paths.ledger) as database:
        database.execute("PRAGMA user_version = 99")
    [result] = world.engine().respond([present("b")]).results
    assert result.outcome == FAILED
    assert "newer" in result.message
    tick = world.engine().tick()
    assert any("newer" in warning for warning in tick.warnings), "a tick that can do nothing must not be silent"


@pytest.mark.parametrize("what", ["mode", "link", "directory"])
def test_ledger_that_others_could_write_is_not_trusted(world: World, what: str, tmp_path: Path) -> None:
    world.engine().respond([present("a")])
    if what == "mode":
        os.chmod(world.paths.ledger, 0o660)
    elif what == "link":
        os.rename(world.paths.ledger, tmp_path / "elsewhere")
        os.symlink(tmp_path / "elsewhere", world.paths.ledger)
    else:
        os.chmod(world.paths.state, 0o770)
    report = world.engine().respond([present("b"), absent("a")])
    assert outcomes(report) == [FAILED, FAILED]
    assert all("not trusted" in each.message for each in report.results)
    assert set(world.systems[BLOCK].members) == {"a"}
    assert any("not trusted" in warning for warning in world.engine().tick().warnings)


def test_history_that_cannot_be_pruned_does_not_stop_the_tick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.engine().respond([present("a")])
    world.systems[BLOCK].members.clear()

    def full(*_args: object) -> None:
        raise LedgerFull("ledger: database or disk is full")

    monkeypatch.setattr(Ledger, "prune", full)
    report = world.engine().tick()
    assert outcomes(report) == [DONE]
    assert any("disk is full" in warning for warning in report.warnings)


# -- the tick


def test_tick_reports_what_it_did_for_each_kind(world: World) -> None:
    world.engine().respond([present("a"), present("b"), present("mallory", kind=LOCK)])
    world.systems[BLOCK].members.clear()
    world.systems[LOCK].members.clear()
    report = world.engine().tick()
    assert [(each.response, each.target, each.outcome) for each in report.results] == [(BLOCK, "a", DONE), (BLOCK, "b", DONE), (LOCK, "mallory", DONE)]


def test_tick_puts_back_the_rest_of_the_time_and_no_more(world: World) -> None:
    world.engine().respond([present("a")])
    world.now += 400
    world.systems[BLOCK].members.clear()
    world.engine().tick()
    assert world.systems[BLOCK].members == {"a": START + 600}


def test_what_ran_out_by_itself_leaves_no_trace_after_a_tick_nor_after_another_run(world: World) -> None:
    for run in (lambda: world.engine().tick(), lambda: world.engine().respond([absent("a")]), lambda: world.engine().respond([present("b", timeout="-1")])):
        world.engine().respond([present("a")])
        world.now += 700
        assert world.systems[BLOCK].trace
        run()
        assert not world.systems[BLOCK].trace


def test_tick_does_not_restore_what_the_guard_now_refuses_and_leaves_no_mark(world: World) -> None:
    """The address has become the gateway's. Its member without effect must go, or the next restore of others brings it back."""
    world.engine().respond([present("a"), present("b")])
    world.systems[BLOCK].whole = False
    world.guarded = {"a"}
    report = world.engine().tick()
    assert {(each.target, each.outcome) for each in report.results} == {("a", REFUSED), ("b", DONE)}
    assert set(world.systems[BLOCK].members) == {"b"}
    assert {row.target for row in world.rows()} == {"b"}
    assert [(row.target, row.ended_by) for row in world.history()] == [("a", "refused")]
    assert world.engine().tick().results == []


def test_tick_sets_a_moved_end_right_also_where_the_guard_now_refuses(world: World) -> None:
    """It stands already; that somebody made it permanent must not make it so."""
    world.engine().respond([present("a")])
    world.systems[BLOCK].members["a"] = None
    world.guarded = {"a"}
    world.engine().tick()
    assert world.systems[BLOCK].members == {"a": START + 600}
    assert len(world.rows()) == 1


def test_tick_forgets_nothing_because_of_an_unreadable_guard_file(world: World) -> None:
    """A typing error in guard.conf keeps a block from coming back until it is mended, no longer."""
    world.engine().respond([present("a")])
    world.systems[BLOCK].members.clear()
    guard = Path(world.paths.guard)
    guard.write_text("[never]\naddress = 1.2.3.4\n")
    report = world.engine().tick()
    assert outcomes(report) == [FAILED]
    assert "guard file" in report.results[0].message
    assert [row.target for row in world.rows()] == ["a"]
    guard.unlink()
    assert outcomes(world.engine().tick()) == [DONE]
    assert world.systems[BLOCK].members == {"a": START + 600}


def test_disabled_host_takes_nothing_new_and_restores_nothing_but_releases_and_ends(world: World) -> None:
    world.engine().respond([present("a"), present("b"), present("mallory", kind=LOCK, timeout="5m")])
    Path(world.paths.disabled).touch()
    assert outcomes(world.engine().respond([present("c")])) == [REFUSED]
    assert outcomes(world.engine().respond([absent("b")])) == [DONE]
    world.systems[BLOCK].members.clear()
    report = world.engine().tick()
    assert (outcomes(report), world.systems[BLOCK].members) == ([REFUSED], {})
    world.now += 400
    assert (LOCK, "mallory", DONE) in {(each.response, each.target, each.outcome) for each in world.engine().tick().results}
    assert world.systems[LOCK].members == {}


def test_host_enabled_again_gets_back_what_had_vanished(world: World) -> None:
    world.engine().respond([present("a")])
    world.systems[BLOCK].members.clear()
    Path(world.paths.disabled).touch()
    world.engine().tick()
    Path(world.paths.disabled).unlink()
    assert outcomes(world.engine().tick()) == [DONE]
    assert world.systems[BLOCK].members == {"a": START + 600}


def test_tick_says_when_a_backend_cannot_be_read_and_does_the_other_kind(world: World) -> None:
    world.engine().respond([present("a"), present("mallory", kind=LOCK)])
    world.now += 601
    world.fault = at("read", 1, lambda: ToolError("nft: broken"))
    report = world.engine().tick()
    assert [(each.target, each.outcome) for each in report.results] == [("mallory", DONE)]
    assert any("nft: broken" in warning for warning in report.warnings)


def test_what_stands_without_a_record_gets_one(world: World) -> None:
    world.engine().respond([present("a")])
    world.systems[BLOCK].members["stray"] = START + 50
    assert world.engine().tick().results == []
    assert {(row.target, row.until, row.origin) for row in world.rows()} == {("a", START + 600, "ansible"), ("stray", START + 50, "rebuilt")}


def test_lifetime_that_needs_the_tick_is_refused_without_it_permanent_is_not(world: World) -> None:
    world.tick_installed = False
    report = world.engine().respond([present("a", kind=LOCK), present("b", kind=LOCK, timeout=None, permanent=True), present("c")])
    assert outcomes(report) == [FAILED, DONE, DONE]
    assert "no tick" in report.results[0].message


def test_end_further_than_the_kernel_counts_needs_the_tick(world: World) -> None:
    world.systems[BLOCK].longest = 1000
    world.tick_installed = False
    assert outcomes(world.engine().respond([present("a", timeout="2000"), present("b", timeout="900")])) == [FAILED, DONE]


# -- release


def test_release_by_id_alert_and_target(world: World) -> None:
    world.engine().respond([present("a", "b", alert_id="alert7"), present("mallory", kind=LOCK, alert_id="alert7"), present("c")])
    identity = next(row.id for row in world.rows() if row.target == "c")
    report = world.engine().release(["alert7", identity, "nobody!"])
    assert {(each.target, each.outcome) for each in report.results} == {("a", DONE), ("b", DONE), ("mallory", DONE), ("c", DONE), ("nobody!", UNCHANGED)}
    assert world.rows() == []
    assert not world.systems[BLOCK].members
    assert not world.systems[LOCK].members
    assert not Path(world.paths.standing).exists()


def test_release_in_check_mode_changes_nothing(world: World) -> None:
    world.engine().respond([present("a", alert_id="alert7")])
    before = world.snapshot()
    report = world.engine().release(["alert7"], check=True)
    assert [(each.outcome, each.changed) for each in report.results] == [(DONE, True)]
    assert world.snapshot() == before


def test_release_is_exact(world: World) -> None:
    world.engine().respond([present("ten", "tenzero")])
    world.engine().respond([absent("ten")])
    assert set(world.systems[BLOCK].members) == {"tenzero"}


# -- several entries for one target


def test_repeated_target_is_done_once(world: World) -> None:
    report = world.engine().respond([present("a", "a", "A")])
    assert outcomes(report) == [DONE, UNCHANGED, UNCHANGED]
    assert len(world.rows()) == 1


def test_later_entry_wins(world: World) -> None:
    report = world.engine().respond([present("a"), absent("a")])
    assert world.systems[BLOCK].members == {}
    assert not report.results[0].changed
    assert "superseded" in report.results[0].message


@pytest.mark.parametrize("check", [True, False])
def test_check_mode_foretells_a_call_that_words_one_target_in_two_ways(world: World, check: bool) -> None:
    """Entries that differ in end_sessions or backend run one after the other; the second must know what the first will have done."""
    world.engine().respond([present("mallory", kind=LOCK)])
    call = [
        absent("mallory", kind=LOCK, end_sessions=False),
        present("mallory", kind=LOCK, timeout="1h"),
        present("oscar", kind=LOCK, end_sessions=False),
        present("oscar", kind=LOCK, timeout="1h"),
    ]
    results = world.engine().respond(call, check=check).results
    assert [(each.outcome, each.changed) for each in results] == [(DONE, True), (DONE, True), (DONE, True), (UNCHANGED, False)]


# -- breaker


def test_breaker_holds_what_is_too_much_and_keeps_it_in_the_history(world: World) -> None:
    for burst in range(30):
        world.engine().respond([present(*(letter * (burst + 1) for letter in "abcdefghij"), alert_id="a")])
        world.now += 0.3
    assert len(world.rows()) == 100
    held = [row for row in world.history() if row.ended_by == "held"]
    assert len(held) == 200
    assert all("breaker" in row.message for row in held)
    world.now += 61
    assert outcomes(world.engine().respond([present("fresh", alert_id="a")])) == [DONE]


def test_breaker_does_not_count_what_people_ask_for_or_what_stands(world: World) -> None:
    Path(world.paths.guard).write_text("[breaker]\nresponses_per_minute = 2\n")
    assert outcomes(world.engine().respond([present("a", "b", "c", "d")])) == [DONE] * 4
    assert outcomes(world.engine().respond([present("a", "b", "c", "e", "f", "g", alert_id="x")])) == [UNCHANGED] * 3 + [DONE] * 2 + [HELD]


def test_breaker_for_accounts_counts_an_hour(world: World) -> None:
    first = world.engine().respond([present(*"abcdefg", kind=LOCK, alert_id="x")])
    assert outcomes(first) == [DONE] * 5 + [HELD] * 2
    world.now += 3000
    assert outcomes(world.engine().respond([present("h", kind=LOCK, alert_id="x")])) == [HELD]
    assert outcomes(world.engine().respond([present("h", alert_id="x")])) == [DONE]
    world.now += 700
    assert outcomes(world.engine().respond([present("h", kind=LOCK, alert_id="x")])) == [DONE]


def test_held_by_the_breaker_in_check_mode_as_in_the_run(world: World) -> None:
    call = [present(*"abcdefg", kind=LOCK, alert_id="x")]
    assert outcomes(world.engine().respond(call, check=True)) == outcomes(world.engine().respond(call))


# -- hostile text


def test_text_from_outside_is_printable_in_the_ledger(world: World) -> None:
    reason = "\x1b[31mred\x00\u202e{{ lookup('pipe','id') }}\ud800" + "x" * 1000
    world.engine().respond([present("a", reason=reason, alert_id="\r\n\x9b5"), absent("b", reason=reason)])
    [row] = world.rows()
    assert row.reason.startswith("\\x1b[31mred\\x00\\u202e{{ lookup('pipe','id') }}\\ud800xxx")
    assert len(row.reason) < 600
    assert row.alert_id == "\\r\\n\\x9b5"


def test_two_runs_do_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    from ansible_collections.riposte.active_response.plugins.module_utils.host import engine

    monkeypatch.setattr(engine, "LOCK_SECONDS", 0.1)
    with open(world.paths.lock, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        [result] = world.engine().respond([present("a")]).results
        assert result.outcome == FAILED
        assert "another run" in result.message
        assert any("another run" in warning for warning in world.engine().tick().warnings)


# -- kills


@pytest.mark.parametrize("kind", [BLOCK, LOCK])
@pytest.mark.parametrize("point", ["before ledger write", "after ledger write", "before change", "after change", "read"])
def test_killed_before_its_first_response_is_recorded_the_flag_of_the_tick_is_there(world: World, kind: str, point: str) -> None:
    """Without the flag the tick is skipped, and what stands would never end."""
    for times in range(1, 5):
        world.fault = at(point, times, Killed)
        try:
            world.engine().respond([present("mallory", kind=kind)])
        except Killed:
            if world.systems[kind].members:
                assert Path(world.paths.standing).exists()
        world.fault = lambda _point: None
