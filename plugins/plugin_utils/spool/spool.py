# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's record of alerts that were accepted: what came, which run has it, what each host answered. SQLite, on disk when a call returns.

An alert is *received* (`new`), *taken* into a batch, and then *answered* (each host that the plan named has an outcome) or *failed* (given up, with
why). What is no alert is *dead*: put aside, for a person to read. A batch is *handed* to a run, *running* once its plan began it, and *ended*. All
that a run writes is fenced: only into a batch that is running. A batch begins once, so a run that was given up can write no more.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...module_utils.host.conf import alone
from ...module_utils.host.database import means_full, transaction
from ...module_utils.host.errors import BadInput, shown
from ...module_utils.host.response import DONE, OUTCOMES, printable
from . import approvals, offences
from .approvals import APPROVED, REJECTED, Approvals, Waiting
from .offences import Offences
from .records import (
    ANSWERED,
    FAILED,
    NEW,
    RUNNING,
    TAKEN,
    UNANSWERED,
    UNREACHABLE,
    Answer,
    Arrived,
    Close,
    Delivery,
    End,
    Gone,
    Planned,
    Receipt,
    SpoolError,
    SpoolFull,
    Taken,
)
from .schema import SCHEMA

VERSION = 1
FILE = "intake.sqlite3"
MAX_AGE = 3600  # seconds, until a policy has said otherwise
MOST_ATTEMPTS = 8
LONGEST_PAUSE = 300
KEPT_SECONDS = 7 * 86400
KEPT_DEAD = 1000
ROWS_A_STATEMENT = 100  # SQLite takes 999 values, or more
LONGEST_DEAD = 65_536
LONGEST_WHY = 1000
_FINAL = ", ".join(f"'{outcome}'" for outcome in OUTCOMES)


class Spool:
    """An open spool. Not shared between threads."""

    def __init__(self, database: sqlite3.Connection, where: str, most_waiting: int) -> None:
        self._database = database
        self._where = where
        self._most_waiting = most_waiting
        self._counted = -1e9
        self._waiting = 0
        self._ends: list[End] = []
        self._approvals = Approvals(database)
        self._offences = Offences(database)

    @classmethod
    def open(cls, directory: str, make: bool = True, most_waiting: int = 50_000, patience: float = 5.0) -> Spool:
        """The spool in this directory. patience: seconds to wait while another process writes."""
        file = os.path.join(directory, FILE)
        with translated(file):
            if not make and not os.path.exists(file):
                raise SpoolError(f"{file}: there is no spool here; the event source wazuh makes it, on this machine and as the user that runs the playbook")
            trusted(directory, make, file, f"{file}-wal", f"{file}-shm")
            if not os.path.exists(file):
                _new_file(directory, file)
            database = sqlite3.connect(file, timeout=patience, isolation_level=None, check_same_thread=False)
            try:
                return cls._prepared(database, file, most_waiting)
            except BaseException:
                database.close()
                raise

    @classmethod
    def _prepared(cls, database: sqlite3.Connection, file: str, most_waiting: int) -> Spool:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"journal_size_limit = {64 << 20}"):
            database.execute(f"PRAGMA {pragma}")
        spool = cls(database, file, most_waiting)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise SpoolError(f"{file}: its schema {version} is newer than this program's {VERSION}; update this side of riposte.active_response")
        if version == 0:
            spool._lay_out()
        return spool

    def _lay_out(self) -> None:
        with self._transaction():
            if self._one("PRAGMA user_version") == VERSION:  # another process was faster
                return
            for statement in (part for schema in (SCHEMA, approvals.SCHEMA, offences.SCHEMA) for part in schema.split(";\n")):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        self._database.close()

    # -- what comes in

    def accept(self, deliveries: Sequence[Delivery], now: float) -> list[Receipt]:
        """Stores what several requests brought in one transaction."""
        with self._transaction():
            self._count_waiting()
            full = [not self._room(len(delivery.alerts)) for delivery in deliveries]
            fitting = [alert for delivery, over in zip(deliveries, full) if not over for alert in delivery.alerts]
            new = self._insert(fitting, now)
            return [Receipt(0, 0, full=True) if over else self._receipt(delivery, new, now) for delivery, over in zip(deliveries, full)]

    def _room(self, alerts: int) -> bool:
        if alerts and self._waiting + alerts > self._most_waiting:
            return False
        self._waiting += alerts
        return True

    def _insert(self, alerts: Sequence[Arrived], now: float) -> set[str]:
        """Inserts those whose id is new, and returns these ids. Few statements: each of them hands Python's lock to the thread that serves requests."""
        last = self._one("SELECT coalesce(max(number), 0) FROM alert")
        for at in range(0, len(alerts), ROWS_A_STATEMENT):
            rows = [(each.id, each.mark, min(each.happened, now), now, now, each.body) for each in alerts[at : at + ROWS_A_STATEMENT]]
            marks = ", ".join(["(?, ?, ?, ?, 'new', ?, ?)"] * len(rows))
            insert = f"INSERT OR IGNORE INTO alert (id, mark, happened, received, state, due, body) VALUES {marks}"
            self._database.execute(insert, [value for row in rows for value in row])
        return set((self._one("SELECT group_concat(id, ' ') FROM alert WHERE number > ?", last) or "").split())

    def _receipt(self, delivery: Delivery, new: set[str], now: float) -> Receipt:
        received = 0
        for alert in delivery.alerts:
            if alert.id in new:
                new.discard(alert.id)  # it is not new a second time
                received += 1
            else:
                received += self._another(alert, now)
        self._waiting -= len(delivery.alerts) - received
        if delivery.why:
            self._put_aside(delivery, now)
        return Receipt(received, len(delivery.alerts) - received)

    def _another(self, alert: Arrived, now: float) -> bool:
        """Two managers can give one id to two alerts: the second goes by a name of its own. Whether this is such a one, and was not here before."""
        (mark,) = self._database.execute("SELECT mark FROM alert WHERE id = ?", (alert.id,)).fetchone()
        return mark != alert.mark and bool(self._insert([alert._replace(id=f"{alert.id[:100]}+{_digest(alert.mark)}")], now))

    def _put_aside(self, delivery: Delivery, now: float) -> None:
        insert = "INSERT OR REPLACE INTO dead (digest, received, why, body) VALUES (?, ?, ?, ?)"
        text = printable(delivery.text, LONGEST_DEAD)
        self._database.execute(insert, (_digest(text), now, printable(delivery.why, LONGEST_WHY), text))
        surplus = "SELECT digest FROM dead ORDER BY received DESC LIMIT -1 OFFSET ?"
        self._database.execute(f"DELETE FROM dead WHERE digest IN ({surplus})", (KEPT_DEAD,))

    def _count_waiting(self) -> None:
        """Counted once a second; what this process adds meanwhile is known."""
        if time.monotonic() - self._counted > 1:
            (self._waiting,) = self._database.execute("SELECT count(*) FROM alert WHERE ended IS NULL").fetchone()
            self._counted = time.monotonic()

    # -- who gets it

    def unfinished(self) -> list[int]:
        """The batches that have not ended."""
        with translated(self._where):
            return [number for (number,) in self._database.execute("SELECT id FROM batch WHERE state != 'ended'")]

    def take(self, now: float, most: int) -> int | None:
        """Puts what is due into a new batch and returns its number; None: nothing is due, or a batch has not ended.

        What has been in runs that ended without a word about it travels in smaller and smaller company, so that one bad alert ends alone. Not after the
        first of them: a run that somebody killed is far more frequent than a bad alert.
        """
        with self._transaction():
            if self._database.execute("SELECT 1 FROM batch WHERE state != 'ended'").fetchone():
                return None
            self._give_up_the_old(now)
            due = "FROM alert WHERE ended IS NULL AND state = 'new' AND due <= ?"
            first = self._database.execute(f"SELECT attempts {due} ORDER BY due, number LIMIT 1", (now,)).fetchone()
            if first is None:
                return None
            limit = max(1, most >> 3 * max(0, first[0] - 1))
            numbers = self._database.execute(f"SELECT number {due} AND attempts = ? ORDER BY due, number LIMIT ?", (now, first[0], limit)).fetchall()
            batch = self._database.execute("INSERT INTO batch (state, alerts, handed) VALUES ('handed', ?, ?)", (len(numbers), now)).lastrowid
            self._database.executemany(f"UPDATE alert SET state = 'taken', batch = {batch} WHERE number = ?", numbers)
        return batch

    def next_due(self) -> float | None:
        """When the next alert may be taken; None: none waits."""
        with translated(self._where):
            due: float | None = self._one("SELECT min(due) FROM alert WHERE ended IS NULL AND state = 'new'")
            return due

    def _give_up_the_old(self, now: float) -> None:
        age = self.max_age()
        old = "SELECT number FROM alert WHERE ended IS NULL AND state = 'new' AND coalesce(approved, happened) < ?"
        for (number,) in self._database.execute(old, (now - age,)).fetchall():
            self._fail(number, now, f"too old: the policy's max_age is {age:g} s")

    def _fail(self, number: int, now: float, why: str) -> None:
        """Gives an alert up; the hosts that have not answered are named."""
        self._database.execute(f"UPDATE response SET outcome = '{UNANSWERED}', moment = ? WHERE alert = ? AND outcome IS NULL", (now, number))
        silent = f"SELECT host, outcome, message FROM response WHERE alert = ? AND outcome NOT IN ({_FINAL}) ORDER BY host LIMIT 5"
        said = [f"{host}: {outcome}{': ' * bool(message)}{message}" for host, outcome, message in self._database.execute(silent, (number,))]
        text = printable("; ".join([why, *said]), LONGEST_WHY)
        self._finish(number, FAILED, now, text)

    def run_of(self, batch: int) -> tuple[str, int | None]:
        """A batch's state, and the process that runs it."""
        with translated(self._where):
            return self._state(batch), self._one("SELECT pid FROM batch WHERE id = ?", batch)

    def owes(self, batch: int) -> bool:
        """Whether its plan has been made and not every word on it been given."""
        owed = "SELECT EXISTS (SELECT 1 FROM alert JOIN response ON alert = number WHERE batch = ? AND state = 'taken' AND planned = batch AND outcome IS NULL)"
        with translated(self._where):
            return bool(self._one(owed, batch))

    def _finish(self, number: int, state: str, now: float, why: str | None) -> None:
        self._database.execute("UPDATE alert SET state = ?, ended = ?, why = coalesce(?, why) WHERE number = ?", (state, now, why, number))
        self._ends += [End(*row) for row in self._database.execute("SELECT id, state, why, batch FROM alert WHERE number = ?", (number,))]

    # -- what a run does

    def begin(self, batch: int, pid: int, now: float) -> list[Taken]:
        """Makes the batch this run's; Gone when it was not handed out, or began already."""
        with self._transaction():
            began = self._database.execute("UPDATE batch SET state = 'running', pid = ?, begun = ? WHERE id = ? AND state = 'handed'", (pid, now, batch))
            if not began.rowcount:
                raise Gone(f"batch {batch} of {self._where} is {self._state(batch)}, only one that is handed out can begin; nothing was done")
            query = "SELECT number, id, happened, received, body, approved FROM alert WHERE batch = ? AND state = 'taken' ORDER BY number"
            return [self._taken(*row) for row in self._database.execute(query, (batch,)).fetchall()]

    def _taken(self, number: int, identity: str, happened: float, received: float, body: str, approved: float | None) -> Taken:
        rows = self._database.execute("SELECT host, response, target, outcome FROM response WHERE alert = ?", (number,)).fetchall()
        settled = frozenset(row[:3] for row in rows if row[3] in OUTCOMES)
        left = frozenset(row[:3] for row in rows) - settled
        given = {} if approved is None else self._approvals.given(number)
        return Taken(number, identity, happened, received, body, settled, left, approved, given)

    def _state(self, batch: int) -> str:
        return str(self._one("SELECT state FROM batch WHERE id = ?", batch) or "unknown")

    def plan(self, batch: int, planned: Iterable[Planned], max_age: float, now: float) -> None:
        """Records who is expected to do what, before anybody does it. What an earlier plan wanted and nobody did is forgotten."""
        with self._fenced(batch):
            self._database.execute("INSERT OR REPLACE INTO setting (name, value) VALUES ('max_age', ?)", (str(max_age),))
            for each in planned:
                self._database.execute("UPDATE alert SET planned = ?, why = ? WHERE number = ?", (batch, printable(each.why, LONGEST_WHY), each.number))
                if each.failed:
                    self._fail(each.number, now, each.why)
                    continue
                self._approvals.ask(each.number, each.pending)
                keep = [(each.number, *key) for key in each.expected]
                self._database.execute(f"DELETE FROM response WHERE alert = ? AND (outcome IS NULL OR outcome NOT IN ({_FINAL}))", (each.number,))
                self._database.executemany("INSERT OR IGNORE INTO response (alert, host, response, target) VALUES (?, ?, ?, ?)", keep)

    def record(self, batch: int, host: str, answers: Iterable[Answer], now: float) -> None:
        """What a host answered; a last word stays the last."""
        update = (
            "UPDATE response SET outcome = ?, message = ?, moment = ? WHERE alert = (SELECT number FROM alert WHERE id = ? AND batch = ?)"
            f" AND host = ? AND response = ? AND target = ? AND (outcome IS NULL OR outcome NOT IN ({_FINAL}))"
        )
        answers = list(answers)
        rows = [(each.outcome, printable(each.message, LONGEST_WHY), now, each.alert_id, batch, host, each.response, each.target) for each in answers]
        begun = [(each.response, each.target, offences.FOR_GOOD if each.until is None else each.until) for each in answers if each.outcome == DONE]
        with self._fenced(batch):
            self._database.executemany(update, rows)
            self._offences.record(begun, now)

    def still_running(self, batch: int) -> None:
        """Gone when the batch is no longer the caller's."""
        with translated(self._where):
            self._check_running(batch)

    def _check_running(self, batch: int) -> None:
        state = self._state(batch)
        if state != RUNNING:
            raise Gone(f"batch {batch} of {self._where} is {state}: its run was given up and its alerts went to another; nothing was done")

    # -- how it ends

    def end(self, batch: int, now: float, pause: float, counted: bool = True, how: str = "") -> Close:
        """Closes the books of a batch: what was expected and not reported is tried again later, until it is too old or has been tried too often.

        pause: seconds until the first new try, doubled each time. counted: whether a run that began and said nothing about an alert counts
        against it. One that never began has not seen its alerts.
        """
        with self._transaction():
            counted = counted and self._state(batch) == RUNNING
            ended = self._database.execute("UPDATE batch SET state = 'ended', ended = ?, how = ? WHERE id = ? AND state != 'ended'", (now, how, batch))
            if not ended.rowcount:
                return Close(False, 0, 0, 0)
            query = "SELECT number, planned, attempts, waits FROM alert WHERE batch = ? AND state = 'taken' ORDER BY number"
            rows = self._database.execute(query, (batch,)).fetchall()
            became = [self._settle(batch, row, now, pause, counted) for row in rows]
            for number, approved in self._database.execute("SELECT number, approved FROM alert WHERE batch = ?", (batch,)).fetchall():
                if self._approvals.given(number, approved):  # while the run had it
                    self._renew(number, now)
            planned = bool(self._one("SELECT EXISTS (SELECT 1 FROM alert WHERE batch = ? AND planned = ?)", batch, batch))
            failed = int(self._one("SELECT count(*) FROM alert WHERE batch = ? AND state = 'failed'", batch) or 0)
        self._counted = -1e9
        return Close(planned, became.count(ANSWERED), failed, became.count(NEW))

    def _settle(self, batch: int, row: tuple[int, int | None, int, int], now: float, pause: float, counted: bool) -> str:
        number, planned, attempts, waits = row
        outcomes = [outcome for (outcome,) in self._database.execute("SELECT outcome FROM response WHERE alert = ?", (number,))]
        silent = planned != batch or None in outcomes
        if not silent and all(outcome in OUTCOMES for outcome in outcomes):
            self._finish(number, ANSWERED, now, None)
            return ANSWERED
        attempts += silent and counted
        waits += not silent
        if attempts >= MOST_ATTEMPTS:
            self._fail(number, now, f"{attempts} runs ended without a word about it")
            return FAILED
        due = now if silent and not counted else now + min(LONGEST_PAUSE, pause * 2 ** (attempts + waits - 1))
        again = "UPDATE alert SET state = 'new', attempts = ?, waits = ?, due = ? WHERE number = ?"
        self._database.execute(again, (attempts, waits, due, number))
        return NEW

    # -- what persons say

    def waiting(self) -> list[Waiting]:
        """What nobody has approved or rejected yet."""
        with translated(self._where):
            return self._approvals.waiting()

    def approve(self, alert_id: str, by: str, now: float, rules: Collection[str] = (), check: bool = False) -> list[str]:
        """Has what waits of this alert done, now. Returns the rules of which that is new.

        rules: only these, also those that were rejected; none means all that wait. check: only looks.
        """
        with self._transaction():
            number, said = self._asked(alert_id, rules)
            open_to = (None, REJECTED) if rules else (None,)
            chosen = [rule for rule in rules or said if said[rule][0] in open_to]
            if chosen and not check:
                self._approvals.say(number, chosen, APPROVED, by, now)
                if self._one("SELECT state FROM alert WHERE number = ?", number) != TAKEN:  # a run that has it is waited for
                    self._renew(number, now)
            return chosen

    def reject(self, alert_id: str, by: str, now: float, rules: Collection[str] = (), check: bool = False) -> list[str]:
        """Has what waits of this alert never done, as `approve`. BadInput when what is to be rejected was approved."""
        with self._transaction():
            number, said = self._asked(alert_id, rules)
            approved = [rule for rule in rules or said if said[rule][0] == APPROVED]
            chosen = [rule for rule in rules or said if said[rule][0] is None]
            if approved and (rules or not chosen):
                raise BadInput(f"alert {alert_id}, rule {approved[0]}: {said[approved[0]][1]} has approved it; release what it did")
            if not check:
                self._approvals.say(number, chosen, REJECTED, by, now)
            return chosen

    def _asked(self, alert_id: str, rules: Collection[str]) -> tuple[int, dict[str, tuple[str | None, str]]]:
        """The alert's number, and what was said about its rules."""
        number = self._one("SELECT number FROM alert WHERE id = ?", alert_id)
        said = {} if number is None else self._approvals.said(number)
        if number is None or not said:
            raise BadInput(f"alert {shown(alert_id)}: {'there is no such alert in the spool' if number is None else 'nothing of it ever waited for approval'}")
        unknown = [rule for rule in rules if rule not in said]
        if unknown:
            raise BadInput(f"alert {alert_id}: rule {shown(unknown[0])}: nothing of it waits for that rule; for it waits {', '.join(said)}")
        return number, said

    def _renew(self, number: int, now: float) -> None:
        """Makes an alert new again, for what was approved since the last time. Where the same was done for another rule before, it is to be done anew."""
        fresh = self._approvals.given(number, self._one("SELECT approved FROM alert WHERE number = ?", number))
        over = [(number, response, target) for _rule, response, target in fresh]
        self._database.executemany(f"DELETE FROM response WHERE alert = ? AND response = ? AND target = ? AND outcome IN ({_FINAL})", over)
        again = "UPDATE alert SET state = 'new', ended = NULL, approved = ?, due = ?, attempts = 0, waits = 0 WHERE number = ?"
        self._database.execute(again, (now, now, number))

    def progress(self, alert_id: str) -> tuple[str, list[tuple[str, str, str, str | None, str]]]:
        """An alert's state, and for each host, response and target the outcome so far and what was said."""
        with translated(self._where):
            query = "SELECT host, response, target, outcome, message FROM response JOIN alert ON number = alert WHERE id = ? ORDER BY 2, 3, 1"
            return str(self._one("SELECT state FROM alert WHERE id = ?", alert_id)), list(self._database.execute(query, (alert_id,)))

    def prune(self, now: float) -> None:
        """Forgets what ended long ago. An id is known for as long as its alert is kept."""
        with self._transaction():
            self._offences.prune(now)
            self._database.execute("DELETE FROM alert WHERE ended < ?", (now - KEPT_SECONDS,))
            self._database.execute("DELETE FROM batch WHERE ended < ?", (now - KEPT_SECONDS,))
            self._database.execute("DELETE FROM dead WHERE received < ?", (now - KEPT_SECONDS,))

    # -- what can be seen

    def begun_since(self, moment: float) -> list[tuple[str, str, float]]:
        """What was put into force since then: response, target, when; each once, at its latest."""
        query = "SELECT response, target, max(moment) FROM response WHERE outcome = 'done' AND moment >= ? GROUP BY 1, 2"
        with translated(self._where):
            return list(self._database.execute(query, (moment,)))

    def offences(self, response: str, target: str, now: float) -> int:
        """How many attacks of this target the fleet has answered that are over."""
        with translated(self._where):
            return self._offences.count(response, target, now)

    def bodies(self) -> Iterator[tuple[str, str]]:
        """The alerts that are kept, in the order they came: id, and the alert as it came."""
        with translated(self._where):
            yield from self._database.execute("SELECT id, body FROM alert ORDER BY number")

    def ends(self) -> list[End]:
        """The alerts that came to their end by this object since it was asked last."""
        ends, self._ends = self._ends, []
        return ends

    def max_age(self) -> float:
        """Seconds after which an alert is given up, as the policy of the last plan says."""
        return float(self._one("SELECT value FROM setting WHERE name = 'max_age'") or MAX_AGE)

    def figures(self, now: float) -> dict[str, Any]:
        """How it stands: counts by state and by outcome, and how long the oldest unfinished alert has been here."""
        with translated(self._where):
            oldest = self._one("SELECT min(received) FROM alert WHERE ended IS NULL")
            return {
                "alerts": {**dict.fromkeys((NEW, TAKEN, ANSWERED, FAILED), 0), **self._counts("state", "alert")},
                "responses": {**dict.fromkeys((*OUTCOMES, UNREACHABLE, UNANSWERED), 0), **self._counts("coalesce(outcome, 'expected')", "response")},
                "pending": self._approvals.count(),
                "dead": self._one("SELECT count(*) FROM dead"),
                "batches": self._one("SELECT seq FROM sqlite_sequence WHERE name = 'batch'") or 0,
                "oldest_unfinished_seconds": max(0.0, now - oldest) if oldest is not None else 0.0,
            }

    def _counts(self, what: str, table: str) -> dict[str, int]:
        return dict(self._database.execute(f"SELECT {what}, count(*) FROM {table} GROUP BY 1"))

    def _one(self, query: str, *values: object) -> Any:
        row = self._database.execute(query, values).fetchone()
        return row[0] if row else None

    @contextmanager
    def _fenced(self, batch: int) -> Iterator[None]:
        with self._transaction():
            self._check_running(batch)
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with translated(self._where), transaction(self._database):
                yield
        except BaseException:
            self._counted = -1e9
            raise


def trusted(directory: str, make: bool, *files: str) -> None:
    """The spool's directory must be its user's alone: who can write there decides what the fleet blocks."""
    if make:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    for path in (directory, *files):
        if not os.path.lexists(path):
            continue
        seen = os.lstat(path)
        expected = stat.S_ISDIR(seen.st_mode) if path == directory else stat.S_ISREG(seen.st_mode)
        if not (expected and alone(seen)):
            raise SpoolError(f"{path}: it must belong to uid {os.geteuid()}, be writable by nobody else and be no link; the spool is not trusted")


def _new_file(directory: str, file: str) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:  # another process was faster
        return
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        kind = SpoolFull if means_full(error) else SpoolError
        raise kind(f"{where}: {error}") from error
    except sqlite3.Error as error:
        raise SpoolError(f"{where}: {error}") from error
    except OSError as error:
        raise SpoolFull(f"{where}: {error}") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
