# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the suite and the driver onto a practice host: the executable is called where it is, without a network in between."""

from __future__ import annotations

from pathlib import Path

from tests.lab import Host

PLACE = "/opt/suite"
FILES = ("execd/__init__", "execd/__main__", "execd/called", "execd/cases", "execd/suite", "execd/driver")
TESTS = Path(__file__).resolve().parents[1]
BLOCKED = r"nft list table inet riposte 2>/dev/null | grep -oE '([0-9]+\.){3}[0-9]+|[0-9a-f:]*::[0-9a-f:]+' || true"
"""Prints what the kernel drops, an address a line."""


def put_suite(host: Host, *more: str) -> None:
    """So that `python -m tests.execd` runs there in PLACE. `more`: other files below tests/, without .py."""
    host.put(f"{PLACE}/tests/__init__.py", "")
    for name in (*FILES, *more):
        host.put(f"{PLACE}/tests/{name}.py", (TESTS / f"{name}.py").read_text(encoding="utf-8"))
