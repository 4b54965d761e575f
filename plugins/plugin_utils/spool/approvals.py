# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What in a spool waits for a person, and what persons have said about it. A part of the spool: its methods are called inside of its transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ...module_utils.host.response import printable

APPROVED, REJECTED = "approved", "rejected"
LONGEST_NAME = 100
SCHEMA = """
CREATE TABLE approval (
  alert INTEGER NOT NULL REFERENCES alert (number) ON DELETE CASCADE,
  rule TEXT NOT NULL,                -- of the policy
  response TEXT NOT NULL,
  target TEXT NOT NULL,
  hosts TEXT NOT NULL,               -- JSON: those it is for
  said TEXT CHECK (said IN ('approved', 'rejected')),  -- NULL: nobody has said anything yet
  by TEXT NOT NULL DEFAULT '',
  moment REAL,                       -- when it was said
  PRIMARY KEY (alert, rule, response, target)
) WITHOUT ROWID;
CREATE INDEX approval_open ON approval (alert) WHERE said IS NULL
"""


class Pending(NamedTuple):
    """What a rule whose mode is approve calls for."""

    rule: str
    response: str
    target: str
    hosts: Sequence[str]


class Waiting(NamedTuple):
    """One of them, and the alert it is for. received: epoch seconds. body: the alert as it came."""

    alert_id: str
    received: float
    rule: str
    response: str
    target: str
    hosts: tuple[str, ...]
    body: str


class Approvals:
    """Those in an open database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def ask(self, number: int, pending: Iterable[Pending]) -> None:
        """Replaces what waits of an alert. What a person has spoken about stays as it is."""
        self._database.execute("DELETE FROM approval WHERE alert = ? AND said IS NULL", (number,))
        rows = [(number, each.rule, each.response, each.target, json.dumps(list(each.hosts))) for each in pending]
        self._database.executemany("INSERT OR IGNORE INTO approval (alert, rule, response, target, hosts) VALUES (?, ?, ?, ?, ?)", rows)

    def waiting(self) -> list[Waiting]:
        """What nobody has spoken about yet, the oldest first."""
        query = (
            "SELECT id, received, rule, response, target, hosts, body FROM approval JOIN alert ON number = alert"
            " WHERE said IS NULL ORDER BY number, rule, response, target"
        )
        return [Waiting(*row[:5], tuple(json.loads(row[5])), row[6]) for row in self._database.execute(query)]

    def count(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM approval WHERE said IS NULL").fetchone()
        return int(count)

    def said(self, number: int) -> dict[str, tuple[str | None, str]]:
        """By rule, what was said about it (None: nothing yet), and by whom."""
        query = "SELECT DISTINCT rule, said, by FROM approval WHERE alert = ? ORDER BY said IS NULL"
        return {rule: (said, by) for rule, said, by in self._database.execute(query, (number,))}

    def say(self, number: int, rules: Collection[str], said: str, by: str, now: float) -> None:
        update = "UPDATE approval SET said = ?, by = ?, moment = ? WHERE alert = ? AND rule = ?"
        self._database.executemany(update, [(said, printable(by, LONGEST_NAME), now, number, rule) for rule in rules])

    def given(self, number: int, after: float | None = None) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
        """What was approved, after that moment if there is one: (rule, response, target) -> hosts."""
        query = "SELECT rule, response, target, hosts FROM approval WHERE alert = ? AND said = 'approved' AND moment > ?"
        rows = self._database.execute(query, (number, -1.0 if after is None else after))
        return {(rule, response, target): tuple(json.loads(hosts)) for rule, response, target, hosts in rows}
