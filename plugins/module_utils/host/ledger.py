# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own record of each response, in SQLite: what, why, since when, until when, what was there before.

A row is written before the change (an intent: phase adding, changing or removing) and settled after the host was read back (standing or
ended). Ended rows are the history, also of what was held, refused or failed. Every write is one transaction that is on disk when it returns.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count, islice
from sys import intern
from typing import Any, Callable, NamedTuple, TypeVar

from .conf import alone
from .database import means_full, transaction
from .errors import LedgerCorrupt, LedgerError, LedgerFull
from .lifetime import moment_text
from .paths import Paths

VERSION = 1
ADDING, CHANGING, STANDING, REMOVING, ENDED = "adding", "changing", "standing", "removing", "ended"
EXPIRED, RELEASED = "expired", "released"  # how a response that stood has ended
KEPT_SECONDS = 90 * 86400
KEPT_ROWS = 200_000
LONGEST_STATEMENT = 900  # values; SQLite before 3.32 takes 999
_SCHEMA = """
CREATE TABLE IF NOT EXISTS response (
  id TEXT PRIMARY KEY,
  response TEXT NOT NULL,          -- kind: firewall_drop, disable_account
  target TEXT NOT NULL,            -- canonical spelling
  backend TEXT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('adding', 'changing', 'standing', 'removing', 'ended')),
  since REAL NOT NULL,             -- epoch seconds
  until REAL,                      -- epoch seconds, NULL = permanent
  reason TEXT NOT NULL,
  alert_id TEXT NOT NULL,
  origin TEXT NOT NULL,            -- who asked: ansible, riposte, wazuh-execd/NAME, tick, rebuilt
  override TEXT NOT NULL,          -- guard entries passed over, separated by spaces
  before TEXT,                     -- what was there before, JSON, without secrets
  ended REAL,                      -- epoch seconds
  ended_by TEXT,                   -- expired, released, failed, held, refused
  message TEXT NOT NULL            -- why it was held, refused or failed
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON response (response, target) WHERE phase != 'ended';
CREATE INDEX IF NOT EXISTS recent ON response (since);
"""


class Row(NamedTuple):
    """One line of the ledger; moments in epoch seconds, until None = permanent."""

    id: str
    response: str
    target: str
    backend: str
    phase: str
    since: float
    until: float | None
    reason: str = ""
    alert_id: str = ""
    origin: str = ""
    override: str = ""
    before: str | None = None
    ended: float | None = None
    ended_by: str | None = None
    message: str = ""

    @property
    def end(self) -> float | None:
        """When it ended, or is to."""
        return self.until if self.ended is None else self.ended

    def as_dict(self) -> dict[str, Any]:
        """The row for people and programs: moments as text."""
        moments = {"since": moment_text(self.since), "until": moment_text(self.until)}
        shown = {name: getattr(self, name) for name in ("id", "response", "target", "backend", "reason", "alert_id", "origin")}
        ending = {"ended": moment_text(self.ended), "ended_by": self.ended_by, "message": self.message} if self.ended_by else {}
        return {**shown, **moments, **ending}


_COLUMNS = ", ".join(Row._fields)
_Item = TypeVar("_Item")


def new_id() -> str:
    """Twelve hexadecimal digits: unique across a fleet for all practical purposes, short enough to type."""
    return next(new_ids())


def new_ids() -> Iterator[str]:
    """For many rows: they count up from a random number, so that rows of one run lie side by side on disk; no slip of one digit makes one another."""
    first = int.from_bytes(os.urandom(6), "big")
    return (f"{number % (1 << 48):012x}" for number in count(first, 1_000_003))


def _parts(items: Iterable[_Item], values: int) -> Iterator[list[_Item]]:
    """As many at a time as one statement may have values of."""
    left = iter(items)
    while part := list(islice(left, LONGEST_STATEMENT // values)):
        yield part


class Ledger:
    """An open ledger. `fresh`: what stands on the host without a record is still to be adopted; its version is 0 until then, whoever dies meanwhile."""

    def __init__(self, database: sqlite3.Connection, fresh: bool):
        self._database = database
        self.fresh = fresh

    @classmethod
    def open(cls, paths: Paths, write: bool) -> Ledger:
        """The host's ledger, made when missing; without `write` a missing one is an empty one in memory and nothing is made."""
        exists = os.path.exists(paths.ledger)
        with _translated(paths):
            if not exists and not write:
                return cls.in_memory()
            _trusted(paths, make=write)
            if not exists:
                mark_standing(paths, True)  # first: the tick would be skipped where a run dies before it has adopted what stands
                os.close(os.open(paths.ledger, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(paths.ledger, timeout=10, isolation_level=None)
            try:
                return cls._prepared(database, make=write)
            except sqlite3.Error:
                database.close()
                raise

    @classmethod
    def in_memory(cls) -> Ledger:
        """An empty one that leaves nothing on the host."""
        return cls._prepared(sqlite3.connect(":memory:", isolation_level=None), make=True)

    @classmethod
    def _prepared(cls, database: sqlite3.Connection, make: bool) -> Ledger:
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA cache_size = -1000")  # KiB
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise LedgerError(f"ledger: its schema {version} is newer than this program's {VERSION}; update this side of riposte.active_response")
        if version == 0 and not make:
            database.close()
            return cls.in_memory()
        if version == 0:
            database.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        return cls(database, fresh=version == 0)

    def close(self) -> None:
        self._database.close()

    def open_rows(self, response: str) -> dict[str, Row]:
        """The rows of one kind that have not ended, by target, without reason and message: cheap also for 100,000."""
        query = "SELECT id, target, backend, phase, since, until, '', alert_id, origin, override FROM response WHERE phase != 'ended' AND response = ?"
        shared: Callable[[Any, Any], Any] = dict[Any, Any]().setdefault  # what rows have in common is one object
        with _translated():
            found = self._database.execute(query, (response,))
            return {(target := intern(text)): Row(identity, response, target, *map(shared, rest, rest)) for identity, text, *rest in found}

    def anything_open(self, response: str | None = None) -> bool:
        """Whether a row, or one of this kind, has not ended."""
        query = "SELECT EXISTS (SELECT 1 FROM response WHERE phase != 'ended' AND (? IS NULL OR response = ?))"
        with _translated():
            return bool(self._database.execute(query, (response, response)).fetchone()[0])

    def standing(self, response: str) -> Iterator[Row]:
        """Every row of a kind that has not ended, whole, oldest first."""
        yield from self._rows("phase != 'ended' AND response = ? ORDER BY since, target", response)

    def history(self, limit: int, *names: str) -> Iterator[Row]:
        """The rows that ended last, newest first; with names only those whose id, alert id or target is one of them."""
        named = " OR ".join(["? IN (id, alert_id, target)"] * len(names)) or "TRUE"
        yield from self._rows(f"phase = 'ended' AND ({named}) ORDER BY ended DESC LIMIT ?", *names, limit)

    def find(self, name: str) -> Iterator[Row]:
        """Open rows whose id, alert id or target is `name`."""
        yield from self._rows("phase != 'ended' AND ? IN (id, alert_id, target)", name)

    def _rows(self, where: str, *values: object) -> Iterator[Row]:
        with _translated():
            for row in self._database.execute(f"SELECT {_COLUMNS} FROM response WHERE {where}", values):
                yield Row._make(row)

    def begun_since(self, moment: float, response: str | None = None) -> int:
        """How many responses that an alert called for were begun since then (not those held, refused or failed)."""
        query = "SELECT count(*) FROM response WHERE since >= ? AND alert_id != '' AND (ended_by IS NULL OR ended_by IN ('expired', 'released'))"
        with _translated():
            if response is None:
                return int(self._database.execute(query, (moment,)).fetchone()[0])
            return int(self._database.execute(query + " AND response = ?", (moment, response)).fetchone()[0])

    def offences(self, response: str) -> dict[str, int]:
        """How many times alerts have had a response of this kind put into force that is over, by target, as far back as history is kept."""
        query = "SELECT target, count(*) FROM response WHERE response = ? AND alert_id != '' AND ended_by IN ('expired', 'released') GROUP BY target"
        with _translated():
            return dict(self._database.execute(query, (response,)))

    def write(self, new: Iterable[Row] = (), changed: Iterable[Row] = ()) -> None:
        """Adds new rows and brings known ones (by id) to their phase, backend, end and outcome, in one transaction."""
        alike: dict[tuple[object, ...], list[str]] = {}  # of 10,000 most become the same: one statement for many takes half the time
        for row in changed:
            alike.setdefault((row.phase, row.backend, row.until, row.ended, row.ended_by), []).append(row.id)
        with self._transaction():
            for outcome, ids in alike.items():
                for part in _parts(ids, 1):
                    marks = ", ".join("?" * len(part))
                    update = f"UPDATE response SET phase = ?, backend = ?, until = ?, ended = ?, ended_by = ? WHERE id IN ({marks})"
                    self._database.execute(update, (*outcome, *part))
            self._insert(new)

    def _insert(self, rows: Iterable[Row]) -> None:
        marks = f"({', '.join('?' * len(Row._fields))})"
        for part in _parts(rows, len(Row._fields)):
            self._database.execute(f"INSERT INTO response ({_COLUMNS}) VALUES {', '.join([marks] * len(part))}", tuple(chain.from_iterable(part)))

    def adopt(self, rows: Iterable[Row]) -> None:
        """Records what stood on the host before this ledger, and that this is done."""
        with self._transaction():
            self._insert(rows)
            self._database.execute(f"PRAGMA user_version = {VERSION}")

    def prune(self, now: float) -> None:
        """Forgets history that is old or too long."""
        with self._transaction():
            self._database.execute("DELETE FROM response WHERE phase = 'ended' AND ended < ?", (now - KEPT_SECONDS,))
            (rows,) = self._database.execute("SELECT count(*) FROM response WHERE phase = 'ended'").fetchone()
            if rows > KEPT_ROWS:
                oldest = "SELECT id FROM response WHERE phase = 'ended' ORDER BY ended LIMIT ?"
                self._database.execute(f"DELETE FROM response WHERE id IN ({oldest})", (rows - KEPT_ROWS,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(), transaction(self._database):
            yield


def _trusted(paths: Paths, make: bool) -> None:
    """The ledger's directory must be the owner's alone: whoever can write there decides what this host blocks."""
    if make:
        os.makedirs(paths.state, mode=0o700, exist_ok=True)
    for path in (paths.state, paths.ledger):
        if not os.path.lexists(path):
            continue
        seen = os.lstat(path)
        expected = stat.S_ISDIR(seen.st_mode) if path == paths.state else stat.S_ISREG(seen.st_mode)
        if not (expected and alone(seen)):
            raise LedgerError(f"{path}: it must belong to root, be writable by nobody else and be no link; it is not trusted, nothing was done")


def set_aside(paths: Paths) -> str:
    """Moves a damaged ledger out of the way and tells where to."""
    aside = f"{paths.ledger}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for suffix in ("", "-journal"):
        if os.path.lexists(paths.ledger + suffix):
            os.replace(paths.ledger + suffix, aside + suffix)
    return aside


@contextmanager
def _translated(paths: Paths | None = None) -> Iterator[None]:
    where = paths.ledger if paths else "ledger"
    try:
        yield
    except sqlite3.OperationalError as error:
        kind = LedgerFull if means_full(error) else LedgerError
        raise kind(f"{where}: {error}") from error
    except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InternalError, sqlite3.NotSupportedError, sqlite3.ProgrammingError) as error:
        raise LedgerError(f"{where}: {error}") from error  # a rule broken by us is no reason to throw the ledger away
    except sqlite3.DatabaseError as error:
        raise LedgerCorrupt(f"{where}: {error}") from error
    except OSError as error:
        raise LedgerFull(f"{where}: {error}") from error


def mark_standing(paths: Paths, stands: bool) -> None:
    """Keeps the flag file that lets the tick be skipped when nothing stands."""
    with _translated(paths):
        if stands and not os.path.exists(paths.standing):
            os.close(os.open(paths.standing, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        elif not stands and os.path.exists(paths.standing):
            os.unlink(paths.standing)
