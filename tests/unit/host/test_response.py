# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and what text from outside becomes in them; messages that show a value."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, shown
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import OUTCOMES, Report, Request, printable, result


@given(st.text(alphabet=st.characters(), max_size=60) | st.text(alphabet="\x00\x1b\x9b\u202e\u2066\ufeff\ud800ab", max_size=20))
def test_printable_text_moves_no_terminal_and_can_be_written(text: str) -> None:
    clean = printable(text, 40)
    assert not {unicodedata.category(each) for each in clean} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(clean) & set("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    clean.encode()
    assert printable(clean, 1000) == clean


def test_printable_keeps_what_people_write_and_bounds_its_length() -> None:
    assert printable("Brute force: Ünal, 田中, {{ 7*7 }}", 100) == "Brute force: Ünal, 田中, {{ 7*7 }}"
    assert printable("x" * 100, 10) == "x" * 10


@given(st.text(max_size=200) | st.binary(max_size=200) | st.none() | st.integers())
def test_shown_value_is_one_short_printable_line(value: object) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) < 90


def test_request_with_a_wrong_state_or_a_lifetime_for_a_release_is_refused() -> None:
    with pytest.raises(BadInput, match="present or absent"):
        Request("firewall_drop", [], state="drop").checked()
    for term in ({"timeout": "5"}, {"until": "5"}, {"permanent": True}, {"since": "5"}):
        with pytest.raises(BadInput, match="a release takes no"):
            Request("firewall_drop", [], state="absent", **term).checked()  # type: ignore[arg-type]


def test_summary_counts_every_outcome() -> None:
    request = Request("firewall_drop", [])
    report = Report([result(request, "a", outcome) for outcome in (*OUTCOMES, "done")])
    assert report.summary() == {"done": 2, "unchanged": 1, "refused": 1, "held": 1, "failed": 1}
    assert not report.changed
