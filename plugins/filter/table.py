# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Lay out a list of dictionaries as lines of text, safe for a terminal
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Makes one line of text out of each dictionary, under a line of headings, with the columns aligned.
  - Whatever the values hold, they stay text. Control and direction characters are escaped, long values are cut, and Ansible evaluates none of it.
positional: columns
options:
  _input:
    description: The rows. A key that is missing, V(null) and V('') are shown as V(-). The items of a list are joined by commas.
    type: list
    elements: dict
    required: true
  columns:
    description: Which keys to show, in this order.
    type: list
    elements: str
    required: true
  width:
    description: How many characters of a value are shown. The last column has five times this room.
    type: int
    default: 40
"""

EXAMPLES = r"""
- name: What stands here?
  riposte.active_response.response_info:
  register: info

- name: Show it
  ansible.builtin.debug:
    msg: "{{ info.responses | riposte.active_response.table(['target', 'response', 'until', 'reason']) }}"
"""

RETURN = r"""
_value:
  description: The lines, the headings first; an empty list when there are no rows.
  type: list
  elements: str
"""

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
    cells = [list(columns)] + [[_cell(row.get(column), limit) for column, limit in zip(columns, limits)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(line, widths)).rstrip() for line in cells]
    return list(untrusted(lines))


def _cell(value: Any, limit: int) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ", ".join(str(each) for each in value)
    text = printable(str(value), limit + 1) if value not in (None, "") else "-"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"table": table}
