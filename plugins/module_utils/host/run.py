# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One kind of response on one backend: read, guard, plan; apply.py carries it out. The engine holds the lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from sys import intern
from typing import Any, NamedTuple

from .apply import Apply
from .breaker import Breaker, breaker_for
from .context import RunContext, State
from .errors import BadInput, Problem
from .guard import Guard, Refused
from .kind import Kind, kind_of
from .ledger import ENDED, EXPIRED, STANDING, Row
from .lifetime import Lifetime
from .plan import GONE, Known, Step, plan_absent, plan_keep, plan_present, standing
from .response import DONE, FAILED, HELD, REFUSED, UNCHANGED, Request, Result, Standing, result
from .settle import settle


class Look(NamedTuple):
    """A recorded response, whether the host has it in force, and what was read back."""

    row: Row
    in_force: bool
    detail: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {**self.row.as_dict(), "in_force": {"standing": self.in_force, **self.detail}}


@dataclass
class Run:
    """Requests of one kind and backend, each with the list its results go to."""

    context: RunContext
    requests: Sequence[tuple[Request, list[Result]]]
    guards: dict[tuple[tuple[str, ...], tuple[str, ...]], Guard] = field(default_factory=dict)

    def respond(self) -> None:
        """Answers every target of every request."""
        if not self._begin():
            return
        for request, answer in self.requests:
            self._plan_request(request, answer)
        Apply(self.state).carry_out()

    def keep(self) -> None:
        """The tick's part: what is recorded ends when due and is in force until then. Results only for what was done or ended."""
        if not self.context.ledger.anything_open(self.requests[0][0].response) or not self._begin():
            return
        request, answer = self.requests[0]
        asked = {state: request._replace(state=state) for state in ("present", "absent")}
        for target in {**self.state.rows, **self.state.seen}:
            self._plan_keep(asked, answer, target)
        Apply(self.state).carry_out()

    def look(self) -> list[Look]:
        """What is recorded, each beside what the host shows; nothing is changed. A host without a tool for what it does not have is no problem."""
        if not self.context.ledger.anything_open(self.requests[0][0].response) or not self._begin():
            return []
        looks = []
        for row in self.context.ledger.standing(self.state.kind.name):
            if row.target in self.state.rows:
                seen = self.state.seen.get(row.target)
                looks.append(Look(row, bool(seen and seen.in_force), self.state.backend.detail(row.target, seen)))
        return looks

    # -- lock is held; read

    def _begin(self) -> bool:
        """Chooses the backend, reads the host and the ledger, settles what a crash left open."""
        first = self.requests[0][0]
        kind: Kind = kind_of(first.response, first.end_sessions)
        for request, _answer in self.requests:
            for target in request.targets:
                intern(target)  # what is recorded and what is seen then share it: 100,000 of them are 6 MB each time
        rows = self.context.ledger.open_rows(kind.name)
        try:
            chosen = kind.choose(self.context.runner, self.context.paths, first.backend, self._holding(kind.name, rows, first.backend))
        except Problem as error:
            for request, answer in self.requests:
                answer += [result(request, target, FAILED, str(error)) for target in request.targets]
            if not any(request.targets for request, _answer in self.requests):
                self.context.warnings.append(f"{kind.name}: what stands cannot be told: {error}")
            return False
        settled = settle(rows, chosen.seen, self.context.now)
        rows.update(settled)
        self.state = State(
            self.context,
            kind,
            chosen.backend,
            chosen.why,
            rows={target: row for target, row in rows.items() if row.phase != ENDED} if settled else rows,
            seen=chosen.seen,
            settled=settled,
            touched=dict(self.context.foreseen.get(kind.name, ({}, ""))[0]),
        )
        self.context.ended += [self._ended(row) for row in settled.values() if row.ended_by == EXPIRED]
        return True

    @staticmethod
    def _ended(row: Row) -> Result:
        """What the system ended by itself: nothing was left to do, but its end is news."""
        item = result(Request(row.response, (), state="absent"), row.target, DONE, "its time was over")
        item.backend, item.standing = row.backend, Standing(row.id, row.since, row.until)
        return item

    def _holding(self, kind: str, rows: dict[str, Row], wanted: str) -> str | None:
        """The backend that holds this host's responses: of what is recorded and not over, also as a check foresees it."""
        touched, backend = self.context.foreseen.get(kind, ({}, ""))
        for target, row in rows.items():
            over = row.phase == STANDING and row.until is not None and row.until <= self.context.now
            if not over and touched.get(target) != GONE:
                return row.backend
        if any(known.in_force for known in touched.values()):
            return backend
        if wanted != "auto" or not rows:
            return None
        return next(iter(rows.values())).backend  # what is over is to be tidied up there

    # -- guard and plan

    def _plan_request(self, request: Request, answer: list[Result]) -> None:
        lifetime, guard, problem = self._terms(request)
        for value in request.targets:
            try:
                target = self.state.kind.target(value)
            except BadInput as error:
                answer.append(result(request, value, FAILED, str(error)))
                continue
            item = result(request, target, UNCHANGED)
            item.backend = self.state.backend.name
            answer.append(item)
            if problem:
                item.outcome, item.message = problem
            else:
                self._plan_target(request, item, lifetime, guard)

    def _terms(self, request: Request) -> tuple[Lifetime | None, Guard | None, tuple[str, str] | None]:
        """The lifetime and guard of a request, or (outcome, message) for all its targets."""
        if request.state == "absent":
            return None, None, None
        if self.context.disabled:
            return None, None, (REFUSED, self.context.disabled)
        try:
            return request.lifetime(self.context.now), self._guard(tuple(request.protect), tuple(request.override)), None
        except Problem as error:
            return None, None, (FAILED, str(error))

    def _guard(self, protect: tuple[str, ...], override: tuple[str, ...]) -> Guard:
        if (protect, override) not in self.guards:
            self.guards[protect, override] = self.state.kind.guard(self.context.guard_file, self.context.around, protect, override)
        return self.guards[protect, override]

    def _plan_target(self, request: Request, item: Result, lifetime: Lifetime | None, guard: Guard | None) -> None:
        known = self.state.known(item.target)
        if lifetime is None or guard is None:
            self._take_step(item, plan_absent(known, self.context.now), known)
            return
        try:
            guard.check(item.target)
        except Refused as refusal:
            self._note(request, item, REFUSED, str(refusal))
            return
        absent = self.state.backend.missing(item.target)
        if absent:
            item.outcome, item.message = FAILED, absent
            return
        if request.repeated_offenders:
            lifetime = request.lifetime(self.context.now, self._offences(item.target))
        item.term = lifetime.text
        step = plan_present(lifetime, known, self.context.now, self.state.backend.capabilities.longest)
        problem = self._lifetime_problem(step)
        if problem:
            item.outcome, item.message = FAILED, f"{item.target}: {problem}"
            return
        held = self.breaker.trips() if step.action == "add" and request.alert_id else None
        if held:
            self._note(request, item, HELD, held)
            return
        self._take_step(item, step, known)

    def _take_step(self, item: Result, step: Step, known: Known) -> None:
        item.step = step
        self.state.steps.append(item)
        if step.action == "remove":
            self.state.touched[item.target] = GONE
        elif step.changed or (item.state == "present" and item.target not in self.state.rows):
            self.state.touched[item.target] = standing(step.until)

    @cached_property
    def breaker(self) -> Breaker:
        return breaker_for(self.state.kind.name, self.context.guard_file, self.context.ledger, self.context.now)

    @cached_property
    def _past_offences(self) -> dict[str, int]:
        return self.context.ledger.offences(self.state.kind.name)

    def _offences(self, target: str) -> int:
        """How many responses that alerts called for are over; also one of which the ledger does not know that yet."""
        last = self.state.settled.get(target) or self.state.rows.get(target)
        over = last is not None and last.alert_id and (last.phase == ENDED or (last.until is not None and last.until <= self.context.now))
        return self._past_offences.get(target, 0) + bool(over)

    def _lifetime_problem(self, step: Step) -> str | None:
        if step.until is None or not step.changed or self.state.backend.capabilities.keeps(step.until, self.context.now):
            return None
        return self.context.tick_problem

    def _note(self, request: Request, item: Result, outcome: str, message: str) -> None:
        """Refused or held: said in the result and kept in the history."""
        item.outcome, item.message = outcome, message
        row = self.state.new_row(request, item.target, self.context.now, ENDED)
        self.state.notes.append(row._replace(before=None, ended=self.context.now, ended_by=outcome, message=message))

    def _plan_keep(self, asked: dict[str, Request], answer: list[Result], target: str) -> None:
        """One target of the tick. What stands without a record is recorded; what may not stand any more is not put back."""
        context, state, row = self.context, self.state, self.state.rows.get(target)
        if row is None:
            state.found[target] = context.adopted(state.kind.name, state.backend.name, target, state.seen[target].until)
            return
        known = state.known(target)
        step = plan_keep(known, context.now, state.backend.capabilities.longest)
        if not step.changed:
            return
        item = result(asked["absent" if step.action == "remove" else "present"], target, UNCHANGED)
        item.backend, item.term = state.backend.name, "the rest of its time"
        answer.append(item)
        obstacle = self._obstacle(target, row) if step.action == "restore" else None
        if obstacle is None:
            self._take_step(item, step, known)
            return
        item.outcome, item.message, for_good = obstacle
        if for_good:
            state.settled[target] = state.rows.pop(target)._replace(phase=ENDED, ended=context.now, ended_by=REFUSED)
            state.touched[target] = GONE  # a member without effect would come back with the next restore of others

    def _obstacle(self, target: str, row: Row) -> tuple[str, str, bool] | None:
        """Why what vanished may not come back: outcome, message, and whether that is for good."""
        if self.context.disabled:
            return REFUSED, self.context.disabled, False
        gone = self.state.backend.missing(target)
        if gone:
            return REFUSED, gone, True
        try:
            self._guard((), tuple(row.override.split())).check(target)
        except Refused as refusal:
            return REFUSED, str(refusal), True
        except Problem as problem:  # its file, or what it looks at, cannot be read
            return FAILED, str(problem), False
        return None
