# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that rooms hand each other. Their text is for the person who reads the result."""

from __future__ import annotations


class Problem(Exception):
    """Base of all errors raised on purpose; str() is a complete sentence."""


class BadInput(Problem):
    """A value breaks a rule; the text names both."""


class ToolError(Problem):
    """A program of the system is missing, failed, or answered what cannot be understood."""


class LedgerError(Problem):
    """The ledger cannot be trusted, read or written."""


class LedgerFull(LedgerError):
    """The ledger cannot grow: disk full, quota, read-only file system."""


class LedgerCorrupt(LedgerError):
    """The ledger's file is damaged."""


def shown(value: object, limit: int = 60) -> str:
    """A value for a message: quoted, escaped, cut to a readable length."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
