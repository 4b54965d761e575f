# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter `table`: lines that are aligned and safe on a terminal, whatever the values hold."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.filter.table import table


def test_columns_are_aligned_under_their_headings() -> None:
    rows = [{"a": "x", "b": ["web1", "web2"]}, {"a": "longer", "b": None, "in_force": {"standing": True}}, {}]
    assert table(rows, ["a", "b", "in_force.standing"]) == [
        "a       b           standing",
        "x       web1, web2  -",
        "longer  -           True",
        "-       -           -",
    ]


def test_no_rows_no_lines() -> None:
    assert table([], ["a"]) == []


def test_long_values_are_cut_and_the_last_column_has_more_room() -> None:
    _heading, line = table([{"a": "x" * 100, "b": "y" * 100}], ["a", "b"], width=10)
    assert line == "xxxxxxxxx…  " + "y" * 49 + "…"


def test_false_and_zero_are_values() -> None:
    assert table([{"a": False, "b": 0}], ["a", "b"])[1].split() == ["False", "0"]


@pytest.mark.parametrize("rows", ["text", None, 7, {"a": 1}, ["text"], [None]])
def test_what_is_no_list_of_dictionaries_is_an_error(rows: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="it needs a list of dictionaries"):
        table(rows, ["a"])


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b"]), st.text() | st.lists(st.text()) | st.none() | st.booleans())))
def test_no_control_or_direction_character_comes_through(rows: list[dict[str, Any]]) -> None:
    lines = table(rows, ["a", "b"])
    assert len(lines) == (len(rows) + 1 if rows else 0)
    for line in lines:
        line.encode()
        assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069" for char in line)
