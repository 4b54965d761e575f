# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that tell: list and why. Texts from alerts were made printable before they went into the ledger."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

from engine.host.engine import Engine
from engine.host.ledger import Row
from engine.host.lifetime import moment_text
from engine.host.response import printable
from engine.host.run import Look

COLUMNS = ("ID", "RESPONSE", "TARGET", "SINCE", "UNTIL", "LEFT", "IN FORCE", "WHY")
PAST = 100


def show_list(engine: Engine, as_json: bool) -> int:
    """What stands, oldest first. Exit code 1 when it cannot be told completely."""
    looks, _ended, report = engine.look()
    if as_json:
        _print_json(looks, [], report.warnings)
    elif looks:
        _print_table([COLUMNS, *(_cells(look, engine.clock()) for look in looks)])
    elif not report.warnings:
        print("Nothing stands on this host.")
    return _warned(report.warnings)


def show_why(engine: Engine, name: str, as_json: bool) -> int:
    """Everything about what is known under a name. Exit code 1 when nothing is."""
    looks, ended, report = engine.look(PAST, name)
    if as_json:
        _print_json(looks, ended, report.warnings)
    else:
        blocks = [_standing(look, engine.clock()) for look in looks] + [_past(row) for row in ended]
        print("\n\n".join("\n".join(lines) for lines in map(list, blocks)) or f"Nothing is known under the name {printable(name, 300)}.")
    return _warned(report.warnings) or int(not (looks or ended))


def _print_json(looks: Sequence[Look], ended: Sequence[Row], warnings: Sequence[str]) -> None:
    answer = {"responses": [look.as_dict() for look in looks], "history": [row.as_dict() for row in ended], "warnings": list(warnings)}
    print(json.dumps(answer, indent=2))


def _warned(warnings: Sequence[str]) -> int:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return int(bool(warnings))


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _cells(look: Look, now: float) -> tuple[str, ...]:
    row = look.row
    why = ": ".join(filter(None, (f"alert {row.alert_id}" if row.alert_id else "", row.reason)))
    until = moment_text(row.until) or "permanent"
    return row.id, row.response, row.target, str(moment_text(row.since)), until, left(row.until, now), "yes" if look.in_force else "NO", why


def left(until: float | None, now: float) -> str:
    """The time to an end, in its two largest units."""
    if until is None:
        return "-"
    seconds = round(until - now)
    if seconds <= 0:
        return "due"
    for large, small, names in ((86400, 3600, "dh"), (3600, 60, "hm"), (60, 1, "ms")):
        if seconds >= large:
            return f"{seconds // large}{names[0]} {seconds % large // small}{names[1]}"
    return f"{seconds}s"


def _standing(look: Look, now: float) -> Iterator[str]:
    row = look.row
    yield f"{row.response} {row.target}"
    shown = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in look.detail.items())
    yield _fact("in force", f"{'yes' if look.in_force else 'NO'} (read back from {row.backend}: {shown})")
    yield _fact("until", f"{moment_text(row.until)} ({left(row.until, now)})" if row.until else "permanent")
    yield from _facts(row)


def _past(row: Row) -> Iterator[str]:
    yield f"{row.response} {row.target}"
    yield _fact(str(row.ended_by), str(moment_text(row.ended)))
    if row.message:
        yield _fact("message", row.message)
    yield _fact("until", f"{moment_text(row.until) or 'permanent'} was its end")
    yield from _facts(row)


def _facts(row: Row) -> Iterator[str]:
    yield _fact("since", f"{moment_text(row.since)}, asked for by {row.origin}")
    named = {"reason": row.reason, "alert": row.alert_id, "id": row.id, "backend": row.backend, "override": row.override, "before": row.before or ""}
    yield from (_fact(name, value) for name, value in named.items() if value)


def _fact(name: str, value: str) -> str:
    return f"  {name:<9} {value}"
