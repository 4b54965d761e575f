# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool under random sequences of arrivals, runs, deaths and passing time, beside a model of what was promised."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.approvals import Pending
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Answer, Arrived, Delivery, Gone, Planned
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import MAX_AGE, Spool

HOSTS = ("web1", "web2")
FINAL = ("done", "unchanged", "refused", "held", "failed")
names = st.sampled_from([f"alert{number}" for number in range(12)])


class SpoolMachine(RuleBasedStateMachine):
    """`accepted`: every alert that was answered with 200. `word`: the last word of a host about it, which must stay the last.

    `owed`: when a person approved something of an alert that no plan has seen since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.accepted: set[str] = set()
        self.word: dict[tuple[str, str], str] = {}
        self.now = 1_800_000_000.0
        self.batch: int | None = None
        self.numbers: dict[str, int] = {}
        self.wanted: dict[str, set[str]] = {}
        self.owed: dict[str, float] = {}
        self.given: set[str] = set()
        self.past: list[int] = []

    @initialize()
    def open(self) -> None:
        self.directory = self.stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.spool = Spool.open(self.directory)

    def teardown(self) -> None:
        self.spool.close()
        self.stack.close()

    @rule(arriving=st.lists(names, min_size=1, max_size=5))
    def arrive(self, arriving: list[str]) -> None:
        [receipt] = self.spool.accept([Delivery([Arrived(name, "", self.now, "{}") for name in arriving])], self.now)
        assert receipt.received == len(set(arriving) - self.accepted)
        self.accepted |= set(arriving)

    @rule(seconds=st.sampled_from([1.0, 15.0, 400.0, 2000.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.batch is None)
    @rule(most=st.sampled_from([1, 4, 500]))
    def hand_out(self, most: int) -> None:
        self.batch = self.spool.take(self.now, most)

    @precondition(lambda self: self.batch is not None and not self.numbers)
    @rule()
    def begin(self) -> None:
        taken = self.spool.begin(self.batch or 0, 1, self.now)
        assert taken
        self.numbers = {each.id: each.number for each in taken}
        self.given = {each.id for each in taken if each.given}
        for each in taken:
            assert {host for host, _response, _target in each.settled} == {host for name, host in self.word if name == each.id}

    @precondition(lambda self: self.numbers and not self.wanted)
    @rule(data=st.data())
    def plan(self, data: st.DataObject) -> None:
        self.wanted = {name: data.draw(st.sets(st.sampled_from(HOSTS)), label=name) for name in self.numbers}
        ask = data.draw(st.sets(st.sampled_from(sorted(self.numbers))), label="to be asked for")
        pending = {name: [Pending("ask first", "disable_account", "u", HOSTS)] if name in ask else [] for name in self.numbers}
        planned = [Planned(self.numbers[name], [(host, "firewall_drop", "t") for host in hosts], pending=pending[name]) for name, hosts in self.wanted.items()]
        for name in self.given:
            self.owed.pop(name, None)
        self.spool.plan(self.batch or 0, planned, MAX_AGE, self.now)

    @precondition(lambda self: self.wanted)
    @rule(host=st.sampled_from(HOSTS), outcome=st.sampled_from([*FINAL, "unreachable", "unanswered"]))
    def report(self, host: str, outcome: str) -> None:
        asked = [name for name, hosts in self.wanted.items() if host in hosts]
        self.spool.record(self.batch or 0, host, [Answer(name, "firewall_drop", "t", outcome) for name in asked], self.now)
        if outcome in FINAL:
            for name in asked:
                self.word.setdefault((name, host), outcome)

    @precondition(lambda self: hasattr(self, "spool") and self.spool.waiting())
    @rule(data=st.data())
    def a_person_speaks(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([each.alert_id for each in self.spool.waiting()]))
        if data.draw(st.booleans(), label="approved"):
            assert self.spool.approve(name, "eva", self.now) == ["ask first"]
            self.owed[name] = self.now
        else:
            assert self.spool.reject(name, "eva", self.now) == ["ask first"]

    @precondition(lambda self: self.batch is not None)
    @rule(counted=st.booleans())
    def run_ends(self, counted: bool) -> None:
        """However it ends: done, killed, or never begun."""
        self.spool.end(self.batch or 0, self.now, 10, counted)
        self.past.append(self.batch or 0)
        self.batch, self.numbers, self.wanted = None, {}, {}

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def a_run_of_the_past_comes_back(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(self.past))
        with pytest.raises(Gone):
            self.spool.begin(batch, 2, self.now)
        with pytest.raises(Gone):
            self.spool.record(batch, "web1", [Answer(name, "firewall_drop", "t", "failed") for name in self.accepted], self.now)

    @rule()
    def the_machine_restarts(self) -> None:
        self.spool.close()
        self.spool = Spool.open(self.directory)

    @invariant()
    def nothing_is_lost_and_nothing_is_doubled(self) -> None:
        if not hasattr(self, "spool"):
            return
        rows = self.spool._database.execute("SELECT id, state, batch FROM alert").fetchall()
        assert sorted(name for name, _state, _batch in rows) == sorted(self.accepted)
        assert all(batch == self.batch for _name, state, batch in rows if state == "taken")
        assert self.spool.unfinished() == [self.batch] * (self.batch is not None)
        said = self.spool._database.execute("SELECT id, host, outcome FROM response JOIN alert ON number = alert").fetchall()
        assert {(name, host): outcome for name, host, outcome in said if outcome in FINAL} == self.word
        for name, state, _batch in rows:
            if self.now - self.owed.get(name, 0) <= MAX_AGE:
                assert state in ("new", "taken"), "what was approved is done"
            if state == "answered":
                assert all(outcome in FINAL for other, _host, outcome in said if other == name)

    @invariant()
    def everything_comes_to_an_end(self) -> None:
        """From any moment on: with runs that work, no alert waits for ever."""
        if hasattr(self, "spool") and self.batch is None:
            waiting = self.spool._database.execute("SELECT count(*) FROM alert WHERE ended IS NULL AND due > ?", (self.now + 300,)).fetchone()
            assert waiting == (0,)


SpoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestSpoolMachine = SpoolMachine.TestCase
