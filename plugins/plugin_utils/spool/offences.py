# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has attacked the fleet how often, for policies that count repeated offenders over all hosts. A part of the spool, kept longer than its alerts.

One attack is all that was put into force against a target, on whatever hosts, as long as something of it stands.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

KEPT_SECONDS = 90 * 86400
FOR_GOOD = 1e18  # the `until` of what is permanent
SCHEMA = """
CREATE TABLE offence (
  response TEXT NOT NULL,
  target TEXT NOT NULL,
  begun REAL NOT NULL,
  until REAL NOT NULL,               -- when the last of it ends; a release before that is not known here
  PRIMARY KEY (response, target, begun)
) WITHOUT ROWID
"""


class Offences:
    """Those in an open database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def record(self, begun: Iterable[tuple[str, str, float]], now: float) -> None:
        """What was put into force now: response, target, until."""
        longer = "UPDATE offence SET until = max(until, ?) WHERE response = ? AND target = ? AND until > ?"
        for response, target, until in begun:
            if not self._database.execute(longer, (until, response, target, now)).rowcount:
                self._database.execute("INSERT OR IGNORE INTO offence (response, target, begun, until) VALUES (?, ?, ?, ?)", (response, target, now, until))

    def count(self, response: str, target: str, now: float) -> int:
        """Attacks that are over."""
        query = "SELECT count(*) FROM offence WHERE response = ? AND target = ? AND until <= ?"
        (count,) = self._database.execute(query, (response, target, now)).fetchone()
        return int(count)

    def prune(self, now: float) -> None:
        self._database.execute("DELETE FROM offence WHERE until < ?", (now - KEPT_SECONDS,))
