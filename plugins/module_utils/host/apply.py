# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a plan out: record the intent, change the host, read it back, record the outcome, answer each target."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property

from .context import State
from .errors import LedgerFull, ToolError
from .ledger import ADDING, CHANGING, ENDED, EXPIRED, RELEASED, REMOVING, STANDING, Row
from .plan import GONE, Known, same_end
from .response import DONE, FAILED, Request, Result, Standing


class Apply:
    """Brings the host from what is seen to what is wanted, for one kind of response."""

    def __init__(self, state: State):
        self.state = state
        self.unread = False  # the change was made or tried, and the host could not be read back
        self.off: set[str] = set()  # what the host does not show as wanted after the change

    def carry_out(self) -> None:
        put = {target: known.recorded_until for target, known in self.state.touched.items() if known.in_force and self._must_put(target, known)}
        take = [target for target, known in self.state.touched.items() if not known.in_force and (target in self.state.rows or target in self.state.seen)]
        intents = self._intents(put, take)
        if self.state.context.check:
            self.state.context.foreseen[self.state.kind.name] = (self.state.touched, self.state.backend.name)
            self._answer_unread()
            return
        if self.state.settled and not (self.state.seen or put):
            self._tidy()  # first: what is recorded as ended would not be looked at again
        blocked = self._record(intents)
        names = [target for target in put if target not in blocked]
        take = [target for target in take if target not in blocked]
        del put  # 100,000 ends are not kept beside what is read back
        error = self._apply(names, take)
        self._answer(intents, blocked, error)

    def _tidy(self) -> None:
        """What the last response left when the system ended it by itself goes too."""
        try:
            self.state.backend.change({}, ())
        except ToolError as error:
            self.state.context.warnings.append(f"{self.state.kind.name}: what is left of {self.state.backend.name} could not be removed: {error}")

    def _differs(self, target: str, known: Known) -> bool:
        seen = self.state.seen.get(target)
        longest = self.state.backend.capabilities.longest
        return not (seen and seen.in_force and same_end(known.recorded_until, seen.until, self.state.context.now, longest))

    def _must_put(self, target: str, known: Known) -> bool:
        """Whether the host or the record has another end than the one that now counts."""
        row = self.state.rows.get(target)
        return self._differs(target, known) or (row is not None and not same_end(known.recorded_until, row.until, self.state.context.now))

    def _intents(self, put: Mapping[str, float | None], take: Sequence[str]) -> dict[str, Row]:
        """The rows as they are while the change is under way, by target."""
        rows: dict[str, Row] = {}
        for item in self.state.steps:
            target, row = item.target, self.state.rows.get(item.target)
            if target in put and target not in rows:
                changing = row and row._replace(phase=CHANGING, until=put[target], backend=self.state.backend.name)
                rows[target] = changing or self.state.new_row(item.request, target, put[target], ADDING)
            elif row is None and target in self.state.seen and target not in rows and self.state.touched.get(target, GONE).in_force:
                rows[target] = self.state.new_row(item.request, target, self.state.seen[target].until, STANDING)
        for target in take:
            if target in self.state.rows:
                rows[target] = self.state.rows[target] = self.state.rows[target]._replace(phase=REMOVING)  # one for both: nothing else differs
        return rows

    def _record(self, intents: Mapping[str, Row]) -> dict[str, str]:
        """Writes intents, settlements and notes. When the ledger cannot grow: which targets must not be touched, and why."""
        new = [row for target, row in intents.items() if target not in self.state.rows]
        changed = [row for target, row in self.state.settled.items() if target not in intents or intents[target].id != row.id]
        changed += [row for target, row in intents.items() if target in self.state.rows]
        if not (new or changed or self.state.notes or self.state.found):
            return {}
        try:
            if not self.state.context.persisted:
                raise LedgerFull("the ledger cannot be written")
            self.state.context.write([*new, *self.state.notes, *self.state.found.values()], changed)
        except LedgerFull as error:
            self.state.context.persisted = False
            message = f"{error}; nothing was done (free disk space, then run again)"
            return {target: f"{target}: {message}" for target, row in intents.items() if not self._needs_no_record(row)}
        return {}

    def _needs_no_record(self, row: Row) -> bool:
        """May be done while the ledger cannot be written: what it says already, and what the system ends in time whatever happens to us."""
        before, now = self.state.rows.get(row.target), self.state.context.now
        if row.phase == REMOVING:
            return row.until is not None and row.until <= now
        if before is not None or row.phase == STANDING:
            return before is None or same_end(before.until, row.until, now)
        return row.until is not None and self.state.backend.capabilities.keeps(row.until, now)

    def _apply(self, put: Sequence[str], take: Sequence[str]) -> str | None:
        """Changes the host and reads it back; once more when somebody undid it in between. The tool's words when it failed."""
        if not (put or take):
            return None
        error = None
        for _attempt in (1, 2):
            try:
                self.state.backend.change({target: self.state.touched[target].recorded_until for target in put}, take)
            except ToolError as problem:
                error = str(problem)
            try:
                self.state.seen = self.state.backend.read()
            except ToolError as problem:
                self.unread, self.off = True, set(self.state.touched)
                return f"{error or 'after the change the host could not be read back'}: {problem}"
            self.off = {target for target, known in self.state.touched.items() if not self._as_wanted(target, known)}
            if error or self.off.isdisjoint((*put, *take)):
                return error
        return None

    def _as_wanted(self, target: str, known: Known) -> bool:
        return not self._differs(target, known) if known.in_force else target not in self.state.seen

    def _answer(self, intents: dict[str, Row], blocked: Mapping[str, str], error: str | None) -> None:
        outcomes = []
        for target, intent in intents.items():
            outcome = intent if target in blocked else self._outcome(target, intent)
            if outcome is not intent:
                outcomes.append(outcome)
                intents[target] = outcome  # in its place, as 100,000 of both would be much
                if target in self.state.rows:
                    self.state.rows[target] = outcome
        try:
            self.state.context.write(changed=outcomes)
        except LedgerFull as full:  # the intents are on disk, so the next run settles them
            self.state.context.warnings.append(f"{full}; what was done stands, its record is settled by the next run")
        for item in self.state.steps:
            row = intents.get(item.target) if item.target not in blocked else None
            self._answer_item(item, row or self.state.rows.get(item.target), blocked, error)

    def _outcome(self, target: str, intent: Row) -> Row:
        """The row as the host was read back."""
        before, now = self.state.rows.get(target), self.state.context.now
        if intent.phase == STANDING or self.unread:  # an intent left open is settled by the next run
            return intent
        if target not in self.off:
            if intent.phase != REMOVING:
                return intent._replace(phase=STANDING)
            due = before is not None and before.until is not None and before.until <= now
            return intent._replace(phase=ENDED, ended=now, ended_by=EXPIRED if due else RELEASED)
        if before is not None:
            return before._replace(phase=STANDING)
        if target in self.state.seen:
            return intent._replace(phase=STANDING)
        return intent._replace(phase=ENDED, ended=now, ended_by=FAILED)

    def _answer_item(self, item: Result, row: Row | None, blocked: Mapping[str, str], error: str | None) -> None:
        target = item.target
        seen = self.state.seen.get(target)
        if row and (row.phase != ENDED or item.step.action == "remove"):
            item.standing = row
        item.in_force = None if self.unread else self.state.backend.detail(target, seen)
        item.persisted = self.state.context.persisted
        if self._superseded(item):
            return
        if target in blocked:
            item.outcome, item.message = FAILED, blocked[target]
        elif target in self.off:
            item.outcome, item.message = FAILED, self._not_in_force(item, error)
        elif item.step.changed:
            item.outcome, item.message = DONE, "" if item.state == "absent" else self._remark
        elif row:
            item.message = self._answered_before(item.request, row)

    def _answered_before(self, request: Request, row: Row) -> str:
        """Two ways in for one alert, such as wazuh-execd and a playbook, are one too many: its owner should know."""
        if not request.alert_id or request.alert_id != row.alert_id or row.origin == self.state.context.origin:
            return ""
        return f"{row.origin} has answered alert {row.alert_id} here before {self.state.context.origin}: one of the two should be switched off"

    def _superseded(self, item: Result) -> bool:
        """Whether a later entry of this call wants the opposite of the same target."""
        known = self.state.touched.get(item.target)
        if known is None or known.in_force == (item.state == "present"):
            return False
        item.message = "superseded: a later entry of this call wants the opposite"
        return True

    def _not_in_force(self, item: Result, error: str | None) -> str:
        wanted = "in force" if item.state == "present" else "taken away"
        shown = self.state.backend.detail(item.target, self.state.seen.get(item.target))
        why = error or f"after the change {self.state.backend.name} shows {shown}: did another program undo it?"
        return f"{item.response} {item.target} is not {wanted}: {why}"

    @cached_property
    def _remark(self) -> str:
        """What holds a response, and why that."""
        if not self.state.backend.capabilities.survives and not os.path.exists(self.state.context.paths.program):
            return f"{self.state.backend.name} ({self.state.why}); without the role agent it would not come back after a reboot"
        return f"{self.state.backend.name} ({self.state.why})"

    def _answer_unread(self) -> None:
        """Check mode: what would be done, nothing read back."""
        for item in self.state.steps:
            row = self.state.rows.get(item.target)
            if self._superseded(item):
                continue
            if item.step.changed:
                item.outcome = DONE
            if row or item.state == "present":
                item.standing = Standing(row.id if row else None, row.since if row else self.state.context.now, item.step.until)
