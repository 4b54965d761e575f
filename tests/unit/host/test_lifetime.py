# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations, moments and lifetimes: the table that the Windows engine runs too."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import (
    LONGEST,
    Lifetime,
    later,
    lifetime,
    moment_text,
    parse_duration,
    parse_moment,
)

CASES = json.loads((Path(__file__).parents[2] / "cases/lifetimes.json").read_text(encoding="utf-8"))
NOW = 1_767_225_600.0
WORDS = {
    "exactly_one": "give exactly one of timeout, until, permanent: true",
    "range": "it must be from 1 second to 366 days",
    "ended": "has passed, so nothing is put into force",
    "too_far": "it must end within 366 days",
    "since_in_future": "it lies in the future of this host's clock",
    "since_needs_timeout": "it says what a timeout counts from, so it needs timeout",
}
FORMS = ("it must be a whole number of seconds", "it must be a moment with a zone")


def refused(caught: pytest.ExceptionInfo[BadInput], rule: str) -> bool:
    words = FORMS if rule == "form" else (WORDS[rule],)
    return any(each in str(caught.value) for each in words) and len(str(caught.value)) < 300


@pytest.mark.parametrize("case", CASES["durations"], ids=lambda case: ascii(case["input"])[:40])
def test_duration(case: dict[str, Any]) -> None:
    if "seconds" in case:
        assert parse_duration(case["input"]) == case["seconds"]
        return
    with pytest.raises(BadInput) as caught:
        parse_duration(case["input"])
    assert refused(caught, case["error"])


@pytest.mark.parametrize("case", CASES["moments"], ids=lambda case: ascii(case["input"])[:40])
def test_moment(case: dict[str, Any]) -> None:
    if "epoch" in case:
        assert parse_moment("until", case["input"]) == case["epoch"]
        return
    with pytest.raises(BadInput) as caught:
        parse_moment("until", case["input"])
    assert refused(caught, case["error"])
    assert str(caught.value).startswith("until ")


@pytest.mark.parametrize("case", CASES["lifetimes"], ids=lambda case: json.dumps(case["options"]))
def test_lifetime(case: dict[str, Any]) -> None:
    if "error" not in case:
        found = lifetime(case["now"], **case["options"])
        assert (found.end, found.relative) == (case["end"], case["relative"])
        return
    with pytest.raises(BadInput) as caught:
        lifetime(case["now"], **case["options"])
    assert refused(caught, case["error"])


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z", "999999999"])
@pytest.mark.parametrize("option", ["until", "since"])
def test_moment_at_the_edge_of_the_calendar_is_refused_in_words(text: str, option: str) -> None:
    with pytest.raises(BadInput):
        lifetime(NOW, **({"until": text} if option == "until" else {"timeout": "10m", "since": text}))


@given(st.integers(946_684_800, 4_102_444_800), st.integers(-23 * 60, 23 * 60))
def test_moment_in_any_zone_is_the_same_moment(epoch: int, minutes: int) -> None:
    moment = datetime.fromtimestamp(epoch, timezone.utc)
    abroad = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_moment("until", abroad.isoformat()) == moment.timestamp()
    assert parse_moment("until", str(moment_text(moment.timestamp()))) == moment.timestamp()


@given(st.integers(1, LONGEST), st.integers(0, LONGEST))
def test_what_comes_late_is_shorter_not_longer(seconds: int, late: int) -> None:
    since = str(int(NOW) - late)
    if late >= seconds:
        with pytest.raises(BadInput):
            lifetime(NOW, timeout=str(seconds), since=since)
    else:
        assert lifetime(NOW, timeout=str(seconds), since=since).end == NOW - late + seconds


@given(st.text(max_size=60) | st.text(alphabet="0123456789smhdw-T:+Z. ", max_size=30), st.sampled_from(["timeout", "until"]))
def test_any_text_is_a_lifetime_or_refused(text: str, option: str) -> None:
    try:
        found = lifetime(NOW, **{option: text})  # type: ignore[arg-type]
    except BadInput:
        return
    assert found.end is not None
    assert NOW < found.end <= NOW + LONGEST
    assert found.relative == (option == "timeout")


def test_permanent_is_later_than_any_end() -> None:
    assert later(None, 5.0) is None
    assert later(5.0, None) is None
    assert later(5.0, 6.0) == 6.0
    assert lifetime(NOW, permanent=True) == Lifetime(None, False, "permanent")
    assert moment_text(None) is None
