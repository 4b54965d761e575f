# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine under random sequences of requests, ticks, passing time, losses and kills, beside a model of what was promised."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import moment_text
from ansible_collections.riposte.active_response.plugins.module_utils.host.plan import TOLERANCE
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import DONE, FAILED, REFUSED, UNCHANGED, Request, Result
from tests.unit.host.world import KINDS, Killed, World

TARGETS = ("ada", "bob", "cyd")
GUARDED = "gateway"
Key = tuple[str, str]
Promises = dict[Key, "float | None"]

lifetimes = st.one_of(
    st.sampled_from(["30", "10m", "2h"]).map(lambda text: ("timeout", text)),
    st.sampled_from([20, 600, 7200, 90_000]).map(lambda seconds: ("until", seconds)),
    st.just(("permanent", None)),
)
requests = st.tuples(
    st.sampled_from(KINDS),
    st.lists(st.sampled_from([*TARGETS, GUARDED, "not a name"]), min_size=1, max_size=3),
    st.none() | lifetimes,
    st.sampled_from(["", "alert1"]),
)
calls = st.lists(requests, min_size=1, max_size=3)


def asked(now: float, raw: tuple[str, list[str], tuple[str, object] | None, str]) -> Request:
    kind, targets, life, alert = raw
    if life is None:
        return Request(kind, targets, state="absent", alert_id=alert)
    name, value = life
    if name == "permanent":
        return Request(kind, targets, permanent=True, alert_id=alert)
    text = str(value) if name == "timeout" else str(moment_text(now + float(str(value))))
    return Request(kind, targets, alert_id=alert, **{name: text})  # type: ignore[arg-type]


def told(results: Sequence[Result]) -> list[tuple[object, ...]]:
    """What check mode and the run must agree on."""
    return [(each.response, each.target, each.state, each.outcome, each.changed, each.term) for each in results]


def same(one: float | None, other: float | None, slack: float = TOLERANCE) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= slack


class EngineMachine(RuleBasedStateMachine):
    """`promised`: what must stand, until when (None = permanent), by kind and target, as README and plan cases word it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.promised: Promises = {}
        self.ticked = False

    @initialize(longest=st.sampled_from([None, 3000]))
    def raise_host(self, longest: int | None) -> None:
        root = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.world = World(Path(root))
        Path(root, "etc/riposte/guard.conf").write_text("[breaker]\nresponses_per_minute = 1000000\naccounts_per_hour = 1000000\n")
        Path(root, "etc/riposte/guard.conf").chmod(0o600)
        self.world.systems["firewall_drop"].longest = longest
        self.world.guarded = {GUARDED}
        self.stack.enter_context(self.world.known_to_engine())

    def teardown(self) -> None:
        self.stack.close()

    # -- the model

    def stands(self, promises: Promises, key: Key) -> bool:
        return key in promises and (promises[key] is None or promises[key] > self.world.now)  # type: ignore[operator]

    def after(self, call: Sequence[Request]) -> Promises:
        """What must stand after a call that went well."""
        promises = {key: until for key, until in self.promised.items() if self.stands(self.promised, key)}
        for request, target in ((each, target) for each in call for target in each.targets):
            key = (request.response, target)
            if target not in TARGETS:
                continue
            if request.state == "absent":
                promises.pop(key, None)
                continue
            wanted = request.lifetime(self.world.now)
            if not self.stands(promises, key):
                promises[key] = wanted.end
            elif not wanted.relative and promises[key] is not None:
                until = None if wanted.end is None else max(wanted.end, promises[key])  # type: ignore[type-var]
                promises[key] = until if not same(until, promises[key]) else promises[key]
        return promises

    def contradicts(self, call: Sequence[Request]) -> bool:
        asked_for: dict[Key, set[str]] = {}
        for request, target in ((each, target) for each in call for target in each.targets):
            asked_for.setdefault((request.response, target), set()).add(request.state)
        return any(len(states) > 1 for states in asked_for.values())

    def held_by_host(self, key: Key, slack: float = TOLERANCE) -> bool:
        """Whether the host has what was promised in force until its end (or as long as it can count)."""
        system = self.world.systems[key[0]]
        seen = system.seen(self.world.now).get(key[1])
        if seen is None or not seen.in_force:
            return False
        until = self.promised[key]
        if until is not None and system.longest is not None and until - self.world.now > system.longest:
            return seen.until is not None and seen.until > self.world.now
        return same(seen.until, until, slack)

    # -- what happens to the host

    @rule(raw=calls)
    def respond(self, raw: list[tuple[str, list[str], tuple[str, object] | None, str]]) -> None:
        call = [asked(self.world.now, each) for each in raw]
        before = self.world.snapshot()
        checked = self.world.engine().respond(call, check=True)
        assert self.world.snapshot() == before, "check mode changed the host"
        report = self.world.engine().respond(call)
        assert told(checked.results) == told(report.results), "check mode foretold something else"
        self.promised = self.after(call)
        for result in report.results:
            key = (result.response, result.target)
            if result.target == GUARDED and result.state == "present":
                assert (result.outcome, result.changed) == (REFUSED, False)
            elif result.target not in (*TARGETS, GUARDED):
                assert (result.outcome, result.changed) == (FAILED, False)
            elif not result.message.startswith("superseded"):
                assert result.outcome in (DONE, UNCHANGED), result
                assert result.changed == (result.outcome == DONE)
                assert (key in self.promised) == (result.state == "present")
                assert key not in self.promised or same(result.standing.end, self.promised[key]), (result, self.promised)  # type: ignore[union-attr]
                assert key in self.promised or result.target not in self.world.systems[key[0]].members, "a release left something"
        touched = {(result.response, result.target) for result in report.results if result.outcome in (DONE, UNCHANGED) and result.target in TARGETS}
        assert all(self.held_by_host(key) for key in touched if key in self.promised), "done, but not in force"
        self.ticked = False
        if not self.contradicts(call):
            again = self.world.engine().respond(call)
            assert not again.changed, f"the second run changed something: {told(again.results)}"

    @rule(raw=calls, point=st.integers(1, 12))
    def respond_and_die(self, raw: list[tuple[str, list[str], tuple[str, object] | None, str]], point: int) -> None:
        call = [asked(self.world.now, each) for each in raw]
        before, after = dict(self.promised), self.after(call)
        died = self.die_at(point, lambda: self.world.engine().respond(call))
        self.promised = self.settle_by_tick([before, after] if died else [after])

    @rule(point=st.integers(1, 10))
    def tick_and_die(self, point: int) -> None:
        self.die_at(point, lambda: self.world.engine().tick())
        self.promised = self.settle_by_tick([self.promised])

    def die_at(self, point: int, work: object) -> bool:
        """Runs work, which dies at its n-th point; False when it had fewer."""
        counter = itertools.count(1)

        def fault(name: str) -> None:
            if next(counter) == point:
                raise Killed(name)

        self.world.fault = fault
        try:
            work()  # type: ignore[operator]
        except Killed:
            return True
        finally:
            self.world.fault = lambda _point: None
        return False

    def settle_by_tick(self, versions: Sequence[Promises]) -> Promises:
        """After one tick each response is as one of the versions has it: in force with its end, or gone."""
        self.tick()
        kept: Promises = {}
        for key in [(kind, target) for kind in KINDS for target in TARGETS]:
            possible = [version[key] for version in versions if self.stands(version, key)]
            may_be_gone = len(possible) < len(versions)
            seen = self.world.systems[key[0]].seen(self.world.now).get(key[1])
            if seen is None:
                assert may_be_gone, f"{key} is gone, promised until {possible}"
                continue
            rows = [row for row in self.world.rows() if (row.response, row.target) == key]
            assert len(rows) == 1, (key, rows)
            assert any(same(rows[0].until, until) for until in possible), (key, rows[0].until, possible)
            kept[key] = rows[0].until
        return kept

    @rule()
    def tick(self) -> None:
        """As the unit does it: skipped without the flag that something stands, but not where the ledger was lost."""
        if Path(self.world.paths.standing).exists() or not Path(self.world.paths.ledger).exists():
            report = self.world.engine().tick()
            assert all(each.outcome == DONE for each in report.results), report.results
            state = self.world.snapshot()
            assert not self.world.engine().tick().results, "the second tick did something"
            assert self.world.snapshot() == state
        self.ticked = True

    @rule(seconds=st.sampled_from([0.4, 7, 31, 1000, 4000, 100_000]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.ticked = False

    @rule()
    def power_is_cut(self) -> None:
        self.world.systems["firewall_drop"].members.clear()
        self.world.systems["firewall_drop"].trace = False
        self.ticked = False

    @rule()
    def chain_is_flushed(self) -> None:
        self.world.systems["firewall_drop"].whole = False
        self.ticked = False

    @rule(name=st.sampled_from(TARGETS), seconds=st.sampled_from([None, 100, 50_000]))
    def somebody_moves_an_end(self, name: str, seconds: float | None) -> None:
        """Only of what stands: what others add is not ours to foretell."""
        for kind, system in self.world.systems.items():
            if name in system.seen(self.world.now) and self.stands(self.promised, (kind, name)):
                system.members[name] = None if seconds is None else self.world.now + seconds
        self.ticked = False

    @rule(point=st.integers(0, 4))
    def ledger_is_lost(self, point: int) -> None:
        """All that stands carries its mark, so the next run records it again."""
        self.tick()
        self.promised = {key: until for key, until in self.promised.items() if self.stands(self.promised, key)}
        for path in (self.world.paths.ledger, self.world.paths.standing):
            Path(path).unlink(missing_ok=True)
        for (kind, target), until in list(self.promised.items()):
            longest = self.world.systems[kind].longest
            if longest is not None and until is not None:  # the host cannot know of an end further than it counts
                self.promised[kind, target] = self.world.systems[kind].seen(self.world.now)[target].until
        if point:
            self.die_at(point, lambda: self.world.engine().tick())
        self.tick()

    # -- what must hold

    @invariant()
    def after_a_tick_all_is_as_promised(self) -> None:
        if not self.ticked:
            return
        rows = {(row.response, row.target): row for row in self.world.rows()}
        marks = {(kind, target) for kind, system in self.world.systems.items() for target in system.seen(self.world.now)}
        promised = {key for key in self.promised if self.stands(self.promised, key)}
        assert set(rows) == marks == promised
        assert all(row.phase == "standing" for row in rows.values())
        assert all(system.members or not system.trace for system in self.world.systems.values()), "an empty table is left"
        assert all(self.held_by_host(key) for key in promised)
        assert Path(self.world.paths.standing).exists() == bool(rows), "the tick's flag and the ledger disagree"

    @invariant()
    def nothing_stands_longer_than_promised(self) -> None:
        for key, row in {(row.response, row.target): row for row in self.world.rows()}.items():
            assert key not in self.promised or self.promised[key] is None or (row.until is not None and row.until <= self.promised[key] + TOLERANCE)


EngineMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
TestEngineMachine = EngineMachine.TestCase
