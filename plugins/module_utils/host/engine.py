# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a response happens: lock, read, guard, plan, record the intent, apply, read back, record the outcome."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Callable, TypeVar

from .context import RunContext
from .errors import BadInput, LedgerCorrupt, LedgerError, LedgerFull, ToolError
from .kind import KINDS, kind_of
from .ledger import Ledger, Row, mark_standing, set_aside
from .lock import locked
from .paths import Paths
from .response import FAILED, UNCHANGED, Report, Request, Result, result
from .run import Look, Run
from .runner import Runner
from .surroundings import Surroundings

LOCK_SECONDS = 60
PRUNED_EVERY, TICK_SECONDS = 3600, 60  # a tick comes every 30 or 60 seconds, so once or twice an hour
T = TypeVar("T")
Group = Sequence[tuple[Request, list[Result]]]  # requests of one kind and backend, each with the list its results go to


@dataclass(frozen=True)
class Engine:
    """Everything a run needs from its caller. `origin` says who asks; `session`: somebody is logged in for this run."""

    runner: Runner
    paths: Paths = field(default_factory=Paths)
    environ: Mapping[str, str] | None = None
    origin: str = "ansible"
    session: bool = True
    clock: Callable[[], float] = time.time

    def respond(self, requests: Sequence[Request], check: bool = False) -> Report:
        """One result a target, in the order asked. Nothing is raised for what can be said in a result."""
        report = Report()
        answers: list[list[Result]] = [[] for _request in requests]
        groups: dict[tuple[str, str, bool | None], list[tuple[Request, list[Result]]]] = {}
        for request, answer in zip(requests, answers):
            try:
                checked = request.checked()
                kind_of(checked.response)
            except BadInput as error:
                answer += [result(request, target, FAILED, str(error)) for target in request.targets or [""]]
            else:
                groups.setdefault((checked.response, checked.backend, checked.end_sessions), []).append((checked, answer))
        self._guarded(report, groups.values(), check, Run.respond)
        for answer in answers:
            report.results += answer
        return report

    def release(self, names: Sequence[str], check: bool = False) -> Report:
        """Releases everything that stands under these names: ids, alert ids or targets."""
        report = Report()

        def find(context: RunContext) -> list[tuple[str, list[Request]]]:
            return [(name, _named(context.ledger, name) or _by_spelling(context, name)) for name in names]

        try:
            found = self._with_ledger(report, check, find)
        except LedgerError as error:
            report.results = [result(Request("", [name], state="absent"), name, FAILED, str(error)) for name in names]
            return report
        done = self.respond([request for _name, requests in found for request in requests], check)
        done.warnings = report.warnings + done.warnings
        results = {(each.response, each.target): each for each in done.results}
        for name, requests in found:
            mine = [results[request.response, target] for request in requests for target in request.targets]
            if all(each.outcome == UNCHANGED for each in mine):
                done.results = [each for each in done.results if each not in mine]
                done.results.append(result(Request("", [name], state="absent"), name, UNCHANGED, "nothing stands under this name"))
        return done

    def tick(self, check: bool = False) -> Report:
        """Settles what a crash left open, ends what is due, restores what vanished; results only for what it did."""
        report = Report()
        groups: list[Group] = [[(each, [])] for each in _everything()]
        well = self._guarded(report, groups, check, Run.keep)
        if well and not check and self.clock() % PRUNED_EVERY < TICK_SECONDS:  # it counts the whole history: not at each tick
            self._prune(report)
        report.results = report.ended + [each for [(_request, answer)] in groups for each in answer]
        return report

    def look(self, history: int = 0, name: str = "") -> tuple[list[Look], list[Row], Report]:
        """What is recorded beside what the host shows, and the `history` rows that ended last. Changes nothing.

        With a name (an id, alert id or target) only what is known under it.
        """
        report = Report()

        def read(context: RunContext) -> tuple[list[Look], list[Row]]:
            looks = [look for each in _everything() for look in Run(context, [(each, [])]).look()]
            names = {name, *(target for _response, target in _spellings(name))} - {""}
            known = [look for look in looks if not names or names & {look.row.id, look.row.alert_id, look.row.target}]
            return known, list(context.ledger.history(history, *names))

        try:
            return (*self._with_ledger(report, True, read), report)
        except LedgerError as error:
            report.warnings.append(str(error))
            return [], [], report

    def _guarded(self, report: Report, groups: Iterable[Group], check: bool, work: Callable[[Run], None]) -> bool:
        """Runs each group under one lock; what cannot go on becomes results, or a warning where nobody asked, and False."""
        remaining = list(groups)

        def run_all(context: RunContext) -> None:
            while remaining:
                for _request, answer in remaining[0]:
                    answer.clear()
                work(Run(context, remaining[0]))
                remaining.pop(0)

        try:
            self._with_ledger(report, check, run_all)
            return True
        except LedgerError as error:
            if not any(request.targets for group in remaining for request, _answer in group):
                report.warnings.append(str(error))
            for group in remaining:
                for request, answer in group:
                    answer[:] = [result(request, target, FAILED, str(error)) for target in request.targets]
            return False

    def _prune(self, report: Report) -> None:
        try:
            self._with_ledger(report, False, lambda context: context.ledger.prune(context.now))
        except LedgerError as error:
            report.warnings.append(f"{error}; old history is kept for another hour")

    def _with_ledger(self, report: Report, check: bool, work: Callable[[RunContext], T]) -> T:
        """Does the work under the lock; a damaged ledger is moved aside and rebuilt from what stands on this host, once."""
        try:
            with self._opened(check, report) as context:
                return work(context)
        except LedgerCorrupt as error:
            if check:
                raise
            report.warnings.append(f"the ledger was damaged ({error}); it is kept as {set_aside(self.paths)} and was rebuilt from what stands on this host")
        with self._opened(check, report) as context:
            return work(context)

    @contextmanager
    def _opened(self, check: bool, report: Report) -> Iterator[RunContext]:
        busy = LedgerError(f"{self.paths.lock}: another run on this host has held it for {LOCK_SECONDS} s; nothing was done")
        with locked(self.paths.lock, LOCK_SECONDS, busy):
            persisted = True
            try:
                ledger = Ledger.open(self.paths, write=not check)
            except LedgerFull as error:
                report.warnings.append(f"{error}; responses are not recorded, only those go in that the system ends by itself")
                persisted = False
                ledger = Ledger.in_memory()
            try:
                context = RunContext(
                    runner=self.runner,
                    paths=self.paths,
                    ledger=ledger,
                    around=Surroundings(self.paths, os.environ if self.environ is None else self.environ, self.session),
                    now=self.clock(),
                    origin=self.origin,
                    check=check,
                    persisted=persisted,
                    warnings=report.warnings,
                    ended=report.ended,
                )
                if ledger.fresh:
                    _adopt(context)
                yield context
                if not check and context.persisted and not ledger.anything_open():
                    mark_standing(self.paths, False)
            finally:
                ledger.close()


def _everything() -> list[Request]:
    """Stands for all that is recorded, of each kind."""
    return [Request(response, (), state="absent", end_sessions=None) for response in KINDS]


def _named(ledger: Ledger, name: str) -> list[Request]:
    found = list(ledger.find(name)) or [row for _response, target in _spellings(name) for row in ledger.find(target)]
    return [Request(row.response, [row.target], state="absent") for row in found]


def _spellings(name: str) -> Iterator[tuple[str, str]]:
    """A name as the target of each kind that could have it."""
    for response in KINDS:
        with suppress(BadInput):
            yield response, kind_of(response).target(name)


def _by_spelling(context: RunContext, name: str) -> list[Request]:
    """A name that the ledger does not know: as a target of any kind it may still stand on the host."""
    kinds = [(response, target) for response, target in _spellings(name) if kind_of(response).backends(context.runner, context.paths)]
    return [Request(response, [target], state="absent") for response, target in kinds]


def _adopt(context: RunContext) -> None:
    """Records what carries our mark on this host: the ledger is new, or was lost."""
    rows: dict[tuple[str, str], Row] = {}
    for response in KINDS:
        for backend in kind_of(response, end_sessions=None).backends(context.runner, context.paths):
            try:
                seen = backend.read()
            except ToolError:  # a backend that does not work holds nothing that could be told; the run's own read says so where it matters
                continue
            for target, each in seen.items():
                rows.setdefault((response, target), context.adopted(response, backend.name, target, each.until))
    context.adopt(rows.values())
