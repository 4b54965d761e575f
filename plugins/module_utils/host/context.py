# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runs under one lock share, and what one run knows of its kind of response."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .errors import LedgerFull, ToolError
from .guard import GuardFile, read_guard_file
from .kind import Backend, Kind, Seen
from .ledger import STANDING, Ledger, Row, mark_standing, new_ids
from .paths import Paths
from .plan import Known
from .response import Request, Result
from .runner import Runner
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
    ended: list[Result]
    ids: Iterator[str] = field(default_factory=new_ids)  # of new rows
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
        return Row(next(self.ids), response, target, backend, STANDING, self.now, until, reason, origin="rebuilt")


@dataclass
class State:
    """One kind of response on one backend: what is recorded and what the host shows, then what is to be done about it."""

    context: RunContext
    kind: Kind
    backend: Backend
    why: str  # this backend
    rows: dict[str, Row]  # recorded and not ended, by target
    seen: dict[str, Seen]  # on the host, by target
    settled: dict[str, Row]  # what a crash left open or what ran out, as it now is
    touched: dict[str, Known]  # targets as they shall be after this run
    steps: list[Result] = field(default_factory=list)  # those with a step planned
    notes: list[Row] = field(default_factory=list)  # refused or held
    found: dict[str, Row] = field(default_factory=dict)  # in force without a record

    def known(self, target: str) -> Known:
        """A target as this run would find it: earlier steps count."""
        if target in self.touched:
            return self.touched[target]
        row, seen = self.rows.get(target), self.seen.get(target)
        return Known(row is not None, row.until if row else None, bool(seen and seen.in_force), seen.until if seen else None, seen is not None)

    def new_row(self, request: Request, target: str, until: float | None, phase: str) -> Row:
        return Row(
            next(self.context.ids), self.kind.name, target, self.backend.name, phase, self.context.now, until, request.reason, request.alert_id,
            self.context.origin, " ".join(request.override), self.backend.before(target),
        )  # fmt: skip
