# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every SQLite file of ours needs: transactions, and whether an error means that the disk is full."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

_FULL = ("full", "readonly", "read-only", "unable to open", "disk i/o")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, on disk when it is left. The connection must not begin any by itself (isolation_level=None)."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def means_full(error: sqlite3.OperationalError) -> bool:
    """Whether nothing can be written there, be the disk full, read-only or broken."""
    return any(word in str(error).lower() for word in _FULL)
