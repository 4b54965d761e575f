# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One kind of response on one backend, from the first read to the recorded outcome. The engine holds the lock."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from .breaker import Breaker, breaker_for
from .errors import BadInput, LedgerFull, Problem, ToolError
from .guard import Guard, GuardFile, Refused, read_guard_file
from .kind import Kind, kind_of
from .ledger import ADDING, CHANGING, ENDED, REMOVING, STANDING, Ledger, Row, mark_standing, new_id
from .lifetime import Lifetime
from .paths import Paths
from .plan import GONE, Known, Step, plan_absent, plan_keep, plan_present, same_end, standing
from .response import DONE, FAILED, HELD, REFUSED, UNCHANGED, Request, Result, Standing, result
from .runner import Runner
from .settle import settle
from .surroundings import Surroundings
from .tick import tick_problem


@dataclass
class RunContext:
    """What the runs under one lock share."""

    runner: Runner
    paths: Paths
    ledger: Ledger
    around: Surroundings
    now: float
    origin: str
    check: bool
    persisted: bool
    warnings: list[str]
    foreseen: dict[str, tuple[dict[str, Known], str]] = field(default_factory=dict)  # in check mode, by kind: as earlier groups would leave it, the backend

    @cached_property
    def guard_file(self) -> GuardFile:
        return read_guard_file(self.paths.guard)

    @cached_property
    def disabled(self) -> str | None:
        """Why nothing new may be put into force on this host."""
        if os.path.lexists(self.paths.disabled):
            return f"{self.paths.disabled} exists: nothing new is put into force on this host until its owner removes that file"
        return None

    @cached_property
    def tick_problem(self) -> str | None:
        try:
            return tick_problem(self.runner, self.paths)
        except ToolError as error:
            return f"whether this host's tick runs cannot be told, so the end might not be kept: {error}"

    def write(self, new: Iterable[Row] = (), changed: Iterable[Row] = ()) -> None:
        """Writes to the ledger; in check mode it is one in memory or nothing is written."""
        if self.persisted and not self.check:
            mark_standing(self.paths, True)  # first: a tick that is skipped would settle nothing after a crash
            self.ledger.write(new, changed)

    def adopt(self, rows: Collection[Row]) -> None:
        """As write, for what stood on the host before the ledger."""
        try:
            if rows and self.persisted and not self.check:
                mark_standing(self.paths, True)
            self.ledger.adopt(rows)
        except LedgerFull:
            self.persisted = False
            self.ledger = Ledger.in_memory()
            self.ledger.adopt(rows)

    def adopted(self, response: str, backend: str, target: str, until: float | None) -> Row:
        reason = "found in force without a record"
        return Row(new_id(), response, target, backend, STANDING, self.now, until, reason, origin="rebuilt")


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
    steps: list[tuple[Request, Result, Step]] = field(default_factory=list)
    touched: dict[str, Known] = field(default_factory=dict)
    notes: list[Row] = field(default_factory=list)
    settled: dict[str, Row] = field(default_factory=dict)
    found: dict[str, Row] = field(default_factory=dict)
    guards: dict[tuple[tuple[str, ...], tuple[str, ...]], Guard] = field(default_factory=dict)
    unread: bool = False  # the change was made or tried, and the host could not be read back

    def respond(self) -> None:
        """Answers every target of every request."""
        if not self._begin():
            return
        for request, answer in self.requests:
            self._plan_request(request, answer)
        self._carry_out()

    def keep(self) -> None:
        """The tick's part: what is recorded ends when due and is in force until then. Results only for what was done."""
        if not self.context.ledger.anything_open(self.requests[0][0].response) or not self._begin():
            return
        request, answer = self.requests[0]
        for target in {**self.rows, **self.seen}:
            self._plan_keep(request, answer, target)
        self._carry_out()

    def look(self) -> list[Look]:
        """What is recorded, each beside what the host shows; nothing is changed. A host without a tool for what it does not have is no problem."""
        if not self.context.ledger.anything_open(self.requests[0][0].response) or not self._begin():
            return []
        looks = []
        for row in self.context.ledger.standing(self.kind.name):
            if row.target in self.rows:
                seen = self.seen.get(row.target)
                looks.append(Look(row, bool(seen and seen.in_force), self.backend.detail(row.target, seen)))
        return looks

    # -- lock is held; read

    def _begin(self) -> bool:
        """Chooses the backend, reads the host and the ledger, settles what a crash left open."""
        first = self.requests[0][0]
        self.kind: Kind = kind_of(first.response, first.end_sessions)
        self.rows = self.context.ledger.open_rows(self.kind.name)
        self.touched = dict(self.context.foreseen.get(self.kind.name, ({}, ""))[0])
        try:
            self.backend, self.why = self.kind.backend(self.context.runner, self.context.paths, first.backend, self._holding(first.backend))
            self.seen = self.backend.read()
        except Problem as error:
            for request, answer in self.requests:
                answer += [result(request, target, FAILED, str(error)) for target in request.targets]
            if not any(request.targets for request, _answer in self.requests):
                self.context.warnings.append(f"{self.kind.name}: what stands cannot be told: {error}")
            return False
        self.settled = settle(self.rows, self.seen, self.context.now)
        self.rows.update(self.settled)
        self.rows = {target: row for target, row in self.rows.items() if row.phase != ENDED}
        return True

    def _holding(self, wanted: str) -> str | None:
        """The backend that holds this host's responses: of what is recorded and not over, also as a check foresees it."""
        for target, row in self.rows.items():
            over = row.phase == STANDING and row.until is not None and row.until <= self.context.now
            if not over and self.touched.get(target) != GONE:
                return row.backend
        touched, backend = self.context.foreseen.get(self.kind.name, ({}, ""))
        if any(known.in_force for known in touched.values()):
            return backend
        if wanted != "auto" or not self.rows:
            return None
        return next(iter(self.rows.values())).backend  # what is over is to be tidied up there

    def _known(self, target: str) -> Known:
        if target in self.touched:
            return self.touched[target]
        row, seen = self.rows.get(target), self.seen.get(target)
        return Known(row is not None, row.until if row else None, bool(seen and seen.in_force), seen.until if seen else None, seen is not None)

    # -- guard and plan

    def _plan_request(self, request: Request, answer: list[Result]) -> None:
        lifetime, guard, problem = self._terms(request)
        for value in request.targets:
            try:
                target = self.kind.target(value)
            except BadInput as error:
                answer.append(result(request, value, FAILED, str(error)))
                continue
            item = result(request, target, UNCHANGED)
            item.backend = self.backend.name
            item.term = lifetime.text if lifetime else ""
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
            self.guards[protect, override] = self.kind.guard(self.context.guard_file, self.context.around, protect, override)
        return self.guards[protect, override]

    def _plan_target(self, request: Request, item: Result, lifetime: Lifetime | None, guard: Guard | None) -> None:
        known = self._known(item.target)
        if lifetime is None or guard is None:
            self._take_step(request, item, plan_absent(known, self.context.now))
            return
        try:
            guard.check(item.target)
        except Refused as refusal:
            self._note(request, item, REFUSED, str(refusal))
            return
        absent = self.backend.missing(item.target)
        if absent:
            item.outcome, item.message = FAILED, absent
            return
        step = plan_present(lifetime, known, self.context.now, self.backend.capabilities.longest)
        problem = self._lifetime_problem(step)
        if problem:
            item.outcome, item.message = FAILED, f"{item.target}: {problem}"
            return
        held = self.breaker.trips() if step.action == "add" and request.alert_id else None
        if held:
            self._note(request, item, HELD, held)
            return
        self._take_step(request, item, step)

    def _take_step(self, request: Request, item: Result, step: Step) -> None:
        self.steps.append((request, item, step))
        item.stood = step.action == "remove" or self._known(item.target).in_force
        if step.action == "remove":
            self.touched[item.target] = GONE
        elif step.changed or (item.state == "present" and item.target not in self.rows):
            self.touched[item.target] = standing(step.until)

    @cached_property
    def breaker(self) -> Breaker:
        return breaker_for(self.kind.name, self.context.guard_file, self.context.ledger, self.context.now)

    def _lifetime_problem(self, step: Step) -> str | None:
        if step.until is None or not step.changed or self.backend.capabilities.keeps(step.until, self.context.now):
            return None
        return self.context.tick_problem

    def _note(self, request: Request, item: Result, outcome: str, message: str) -> None:
        """Refused or held: said in the result and kept in the history."""
        item.outcome, item.message = outcome, message
        row = self._new_row(request, item.target, self.context.now, ENDED)
        self.notes.append(row._replace(before=None, ended=self.context.now, ended_by=outcome, message=message))

    def _plan_keep(self, request: Request, answer: list[Result], target: str) -> None:
        """One target of the tick. What stands without a record is recorded; what may not stand any more is not put back."""
        context, known, row = self.context, self._known(target), self.rows.get(target)
        if row is None:
            self.found[target] = context.adopted(self.kind.name, self.backend.name, target, self.seen[target].until)
            return
        step = plan_keep(known, context.now, self.backend.capabilities.longest)
        if not step.changed:
            return
        item = result(request, target, UNCHANGED)
        item.backend, item.state, item.term = self.backend.name, "absent" if step.action == "remove" else "present", "the rest of its time"
        answer.append(item)
        obstacle = self._obstacle(target, row) if step.action == "restore" else None
        if obstacle is None:
            self._take_step(request, item, step)
            return
        item.outcome, item.message, for_good = obstacle
        if for_good:
            self.settled[target] = self.rows.pop(target)._replace(phase=ENDED, ended=context.now, ended_by=REFUSED)
            self.touched[target] = GONE  # a member without effect would come back with the next restore of others

    def _obstacle(self, target: str, row: Row) -> tuple[str, str, bool] | None:
        """Why what vanished may not come back: outcome, message, and whether that is for good."""
        if self.context.disabled:
            return REFUSED, self.context.disabled, False
        gone = self.backend.missing(target)
        if gone:
            return REFUSED, gone, True
        try:
            self._guard((), tuple(row.override.split())).check(target)
        except Refused as refusal:
            return REFUSED, str(refusal), True
        except Problem as problem:  # its file, or what it looks at, cannot be read
            return FAILED, str(problem), False
        return None

    # -- intent, apply, read back, outcome

    def _carry_out(self) -> None:
        wanted = {target: known for target, known in self.touched.items() if known.in_force}
        put = {target: known.recorded_until for target, known in wanted.items() if self._differs(target, known) or self._moves(target, known)}
        take = [target for target, known in self.touched.items() if not known.in_force and (target in self.rows or target in self.seen)]
        intents = self._intents(put, take)
        if self.context.check:
            self.context.foreseen[self.kind.name] = (self.touched, self.backend.name)
            self._answer_unread()
            return
        if self.settled and not (self.seen or put):
            self._tidy()  # first: what is recorded as ended would not be looked at again
        blocked = self._record(intents)
        for target in blocked:
            put.pop(target, None)
        take = [target for target in take if target not in blocked]
        error = self._apply(put, take)
        self._answer(intents, put, blocked, error)

    def _tidy(self) -> None:
        """What the last response left when the system ended it by itself goes too."""
        try:
            self.backend.change({}, ())
        except ToolError as error:
            self.context.warnings.append(f"{self.kind.name}: what is left of {self.backend.name} could not be removed: {error}")

    def _differs(self, target: str, known: Known) -> bool:
        seen = self.seen.get(target)
        longest = self.backend.capabilities.longest
        return not (seen and seen.in_force and same_end(known.recorded_until, seen.until, self.context.now, longest))

    def _moves(self, target: str, known: Known) -> bool:
        """Whether the record has another end than the one that now counts, be the host as it should be or not."""
        row = self.rows.get(target)
        return row is not None and not same_end(known.recorded_until, row.until, self.context.now)

    def _intents(self, put: Mapping[str, float | None], take: Sequence[str]) -> dict[str, Row]:
        """The rows as they are while the change is under way, by target."""
        rows: dict[str, Row] = {}
        for request, item, _step in self.steps:
            target, row = item.target, self.rows.get(item.target)
            if target in put and target not in rows:
                until = put[target]
                rows[target] = row._replace(phase=CHANGING, until=until, backend=self.backend.name) if row else self._new_row(request, target, until, ADDING)
            elif row is None and target in self.seen and target not in rows and self.touched.get(target, GONE).in_force:
                rows[target] = self._new_row(request, target, self.seen[target].until, STANDING)
        for target in take:
            if target in self.rows:
                rows[target] = self.rows[target]._replace(phase=REMOVING)
        return rows

    def _new_row(self, request: Request, target: str, until: float | None, phase: str) -> Row:
        return Row(
            new_id(), self.kind.name, target, self.backend.name, phase, self.context.now, until, request.reason, request.alert_id,
            self.context.origin, " ".join(request.override), self.backend.before(target),
        )  # fmt: skip

    def _record(self, intents: Mapping[str, Row]) -> dict[str, str]:
        """Writes intents, settlements and notes. When the ledger cannot grow: which targets must not be touched, and why."""
        new = [row for target, row in intents.items() if target not in self.rows]
        changed = [row for target, row in self.settled.items() if target not in intents or intents[target].id != row.id]
        changed += [row for target, row in intents.items() if target in self.rows]
        if not (new or changed or self.notes or self.found):
            return {}
        try:
            if not self.context.persisted:
                raise LedgerFull("the ledger cannot be written")
            self.context.write([*new, *self.notes, *self.found.values()], changed)
        except LedgerFull as error:
            self.context.persisted = False
            message = f"{error}; nothing was done (free disk space, then run again)"
            return {target: f"{target}: {message}" for target, row in intents.items() if not self._needs_no_record(row)}
        return {}

    def _needs_no_record(self, row: Row) -> bool:
        """May be done while the ledger cannot be written: what it says already, and what the system ends in time whatever happens to us."""
        before, now = self.rows.get(row.target), self.context.now
        if row.phase == REMOVING:
            return row.until is not None and row.until <= now
        if before is not None or row.phase == STANDING:
            return before is None or same_end(before.until, row.until, now)
        return row.until is not None and self.backend.capabilities.keeps(row.until, now)

    def _apply(self, put: Mapping[str, float | None], take: Sequence[str]) -> str | None:
        """Changes the host and reads it back; once more when somebody undid it in between. The tool's words when it failed."""
        if not (put or take):
            return None
        error = None
        for _attempt in (1, 2):
            try:
                self.backend.change(put, take)
            except ToolError as problem:
                error = str(problem)
            try:
                self.seen = self.backend.read()
            except ToolError as problem:
                self.unread = True
                return f"{error or 'after the change the host could not be read back'}: {problem}"
            if error or all(map(self._as_wanted, [*put, *take])):
                return error
        return None

    def _as_wanted(self, target: str) -> bool:
        known, seen = self.touched.get(target), self.seen.get(target)
        if known is None:
            return True
        if self.unread:
            return False
        return not self._differs(target, known) if known.in_force else seen is None

    def _answer(self, intents: Mapping[str, Row], put: Mapping[str, float | None], blocked: Mapping[str, str], error: str | None) -> None:
        outcomes: dict[str, Row] = {}
        for target, row in intents.items():
            if target not in blocked:
                outcomes[target] = self._outcome(target, row)
        try:
            self.context.write(changed=(row for target, row in outcomes.items() if row is not intents[target]))
        except LedgerFull as full:  # the intents are on disk, so the next run settles them
            self.context.warnings.append(f"{full}; what was done stands, its record is settled by the next run")
        for _request, item, step in self.steps:
            self._answer_item(item, step, outcomes, blocked, error)

    def _outcome(self, target: str, intent: Row) -> Row:
        """The row as the host was read back."""
        before, now = self.rows.get(target), self.context.now
        if intent.phase == STANDING or self.unread:  # an intent left open is settled by the next run
            return intent
        if self._as_wanted(target):
            if intent.phase != REMOVING:
                return intent._replace(phase=STANDING)
            due = before is not None and before.until is not None and before.until <= now
            return intent._replace(phase=ENDED, ended=now, ended_by="expired" if due else "released")
        if before is not None:
            return before._replace(phase=STANDING)
        if target in self.seen:
            return intent._replace(phase=STANDING)
        return intent._replace(phase=ENDED, ended=now, ended_by=FAILED)

    def _answer_item(self, item: Result, step: Step, outcomes: Mapping[str, Row], blocked: Mapping[str, str], error: str | None) -> None:
        target = item.target
        row = outcomes.get(target) or self.rows.get(target)
        seen = self.seen.get(target)
        if row and (row.phase != ENDED or step.action == "remove"):
            item.standing = Standing(row.id, row.since, row.until if row.phase != ENDED else self.context.now)
        item.in_force = None if self.unread else self.backend.detail(target, seen)
        item.persisted = self.context.persisted
        if self._superseded(item):
            return
        if target in blocked:
            item.outcome, item.message = FAILED, blocked[target]
        elif not self._as_wanted(target):
            item.outcome, item.message = FAILED, self._not_in_force(item, error)
        elif step.changed:
            item.outcome, item.changed, item.message = DONE, True, self._remark(item)

    def _superseded(self, item: Result) -> bool:
        """Whether a later entry of this call wants the opposite of the same target."""
        known = self.touched.get(item.target)
        if known is None or known.in_force == (item.state == "present"):
            return False
        item.message = "superseded: a later entry of this call wants the opposite"
        return True

    def _not_in_force(self, item: Result, error: str | None) -> str:
        wanted = "in force" if item.state == "present" else "taken away"
        why = (
            error or f"after the change {self.backend.name} shows {self.backend.detail(item.target, self.seen.get(item.target))}: did another program undo it?"
        )
        return f"{item.response} {item.target} is not {wanted}: {why}"

    def _remark(self, item: Result) -> str:
        if item.state == "absent":
            return ""
        if not self.backend.capabilities.survives and not os.path.exists(self.context.paths.program):
            return f"{self.backend.name} ({self.why}); without the role agent it would not come back after a reboot"
        return f"{self.backend.name} ({self.why})"

    def _answer_unread(self) -> None:
        """Check mode: what would be done, nothing read back."""
        for _request, item, step in self.steps:
            row = self.rows.get(item.target)
            if self._superseded(item):
                continue
            if step.changed:
                item.outcome, item.changed = DONE, True
            if row or item.state == "present":
                item.standing = Standing(row.id if row else None, row.since if row else self.context.now, step.until)
