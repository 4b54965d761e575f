# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a crash left open, and what has run out: judged by what the host shows. A pure function."""

from __future__ import annotations

from collections.abc import Mapping

from .kind import Seen
from .ledger import ADDING, CHANGING, ENDED, EXPIRED, RELEASED, REMOVING, STANDING, Row


def settle(rows: Mapping[str, Row], seen: Mapping[str, Seen], now: float) -> dict[str, Row]:
    """The rows that become others, by target.

    An intent whose change is there stands; a release that is not through becomes due at once, so that it goes on; what is neither there
    nor due still stands, for the run to restore.
    """
    return {target: after for target, row in rows.items() if (after := _settled(row, target in seen, now)) is not row}


def _settled(row: Row, there: bool, now: float) -> Row:
    due = row.until is not None and row.until <= now
    if row.phase == STANDING and (there or not due):
        return row
    if row.phase == REMOVING and there:
        return row._replace(phase=STANDING, until=now)
    if (row.phase == CHANGING and not (due and not there)) or (row.phase == ADDING and there):
        return row._replace(phase=STANDING)
    ended_by = {ADDING: "failed", REMOVING: RELEASED}.get(row.phase, EXPIRED)
    return row._replace(phase=ENDED, ended=now, ended_by=ended_by)
