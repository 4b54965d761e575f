# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.riposte.active_response.plugins.module_utils.host.response import printable
from ansible_collections.riposte.active_response.plugins.plugin_utils.untrusted import untrusted

LAST = 5  # the last column may be that many times as wide: it costs no alignment


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], width: int = 40) -> list[str]:
    """Lines of aligned columns."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(isinstance(row, Mapping) for row in rows):
        raise AnsibleFilterError(f"riposte.active_response.table: it needs a list of dictionaries, this is {type(rows).__name__}")
    if not rows:
        return []
    limits = [width] * (len(columns) - 1) + [width * LAST]
    cells = [[column.rpartition(".")[2] for column in columns]]
    cells += [[_cell(_value(row, column), limit) for column, limit in zip(columns, limits)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(line, widths)).rstrip() for line in cells]
    return list(untrusted(lines))


def _value(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _cell(value: Any, limit: int) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ", ".join(str(each) for each in value)
    text = printable(str(value), limit + 1) if value not in (None, "") else "-"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"table": table}
