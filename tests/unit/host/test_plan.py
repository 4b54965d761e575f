# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about one target: the table that the Windows engine runs too, and what the table cannot word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import Lifetime
from ansible_collections.riposte.active_response.plugins.module_utils.host.plan import TOLERANCE, Known, Step, plan_absent, plan_keep, plan_present, same_end

CASES = json.loads((Path(__file__).parents[2] / "cases/plan.json").read_text(encoding="utf-8"))["cases"]
NO_ENDS_UNRECORDED = (
    "no system of this engine keeps no ends: nftables, ipset and the account lock all carry theirs, so an unrecorded one has one or is permanent"
)


def known(case: dict[str, Any]) -> Known:
    """A system that keeps no ends shows the recorded one here."""
    recorded, in_force = case["recorded"], case["in_force"]
    until = recorded["until"] if recorded else None
    if in_force is None:
        return Known(bool(recorded), until)
    seen = in_force["until"]
    return Known(bool(recorded), until, True, until if seen == "none" else seen, True)


def wanted(request: dict[str, Any], now: float) -> Lifetime:
    if request.get("permanent"):
        return Lifetime(None, False, "permanent")
    if "until" in request:
        return Lifetime(request["until"], False, "until")
    return Lifetime(request.get("since", now) + request["timeout"], True, "for")


def outcome(step: Step) -> str:
    return "done" if step.changed else "unchanged"


@pytest.mark.parametrize("case", [case for case in CASES if case["guard"] is None], ids=lambda case: case["name"])
def test_plan(case: dict[str, Any]) -> None:
    if case["recorded"] is None and (case["in_force"] or {}).get("until") == "none":
        pytest.skip(NO_ENDS_UNRECORDED)
    now, request = case["now"], case["request"]
    step = plan_absent(known(case), now) if request["state"] == "absent" else plan_present(wanted(request, now), known(case), now)
    assert (step.action, outcome(step)) == (case["expect"]["action"], case["expect"]["outcome"])
    if "until" in case["expect"]:
        assert step.until == case["expect"]["until"]


def test_the_table_leaves_few_out() -> None:
    """Guarded ones are the run's (test_engine.py); of the others two cannot be."""
    left_out = [case["name"] for case in CASES if case["recorded"] is None and (case["in_force"] or {}).get("until") == "none"]
    assert len(left_out) == 2
    assert len([case for case in CASES if case["guard"] is None]) >= 50


ends = st.none() | st.integers(0, 5000).map(float)
facts = st.builds(Known, st.booleans(), ends, st.booleans(), ends, st.booleans())
wishes = st.one_of(st.just(Lifetime(None, False, "")), st.builds(Lifetime, st.integers(1001, 5000).map(float), st.booleans(), st.just("")))
NOW = 1000.0


def carried_out(fact: Known, step: Step) -> Known:
    if step.action == "none":
        return fact
    return Known() if step.action == "remove" else Known(True, step.until, True, step.until, True)


@given(facts, wishes)
def test_what_was_carried_out_needs_no_more(fact: Known, wish: Lifetime) -> None:
    after = carried_out(fact, plan_present(wish, fact, NOW))
    assert plan_present(wish, after, NOW).action == "none"
    assert plan_absent(carried_out(fact, plan_absent(fact, NOW)), NOW).action == "none"


@given(facts, wishes)
def test_a_timeout_never_moves_what_stands(fact: Known, wish: Lifetime) -> None:
    end = fact.recorded_until if fact.recorded else fact.in_force_until
    stands = (fact.recorded or fact.in_force) and (end is None or end > NOW)
    step = plan_present(wish, fact, NOW)
    if stands and wish.relative:
        assert step.until == end
    elif stands:
        assert step.until is None or (end is not None and step.until >= end)
    else:
        assert (step.action, step.until) == ("extend" if fact.in_force else "add", wish.end)


@given(facts.filter(lambda fact: fact.recorded))
def test_tick_ends_what_is_due_and_keeps_the_rest_to_its_recorded_end(fact: Known) -> None:
    step = plan_keep(fact, NOW)
    if fact.recorded_until is not None and fact.recorded_until <= NOW:
        assert step.action == "remove"
    else:
        assert step.until == fact.recorded_until
        assert (step.action == "restore") == (not fact.in_force)
        assert plan_keep(carried_out(fact, step), NOW).action == "none"


def test_end_beyond_what_the_kernel_counts_is_renewed_when_half_is_gone() -> None:
    assert same_end(NOW + 5000, NOW + 1000, NOW, longest=1000)
    assert same_end(NOW + 5000, NOW + 501, NOW, longest=1000)
    assert not same_end(NOW + 5000, NOW + 499, NOW, longest=1000)
    assert not same_end(NOW + 900, NOW + 600, NOW, longest=1000)
    assert not same_end(None, NOW + 1000, NOW, longest=1000)
    assert not same_end(NOW + 5000, None, NOW, longest=1000)


def test_kernel_and_record_may_differ_by_the_tolerance() -> None:
    assert same_end(NOW, NOW + TOLERANCE, NOW)
    assert not same_end(NOW, NOW + TOLERANCE + 0.1, NOW)


def test_a_member_without_effect_is_released_and_restored() -> None:
    fact = Known(there=True, in_force_until=NOW + 50)
    assert plan_absent(fact, NOW).action == "remove"
    assert plan_keep(Known(True, NOW + 50, False, NOW + 50, True), NOW).action == "restore"
