# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Windows engine on the case tables that the Unix engine runs too, on random addresses against it, and its own tests in C#."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.address import parse_network
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from tests.windows.conftest import HERE, Ask

pytestmark = pytest.mark.windows
CASES = Path(__file__).resolve().parents[1] / "cases"
CSHARP_TESTS = re.findall(r"public static void (Test\w+)\(\)", (HERE / "EngineTests.cs").read_text(encoding="utf-8"))


def table(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


def wrong(cases: list[dict[str, Any]], expected: list[str], answers: list[str]) -> list[str]:
    return [f"{case}: expected {want!r}, seen {seen!r}" for case, want, seen in zip(cases, expected, answers) if want != seen]


def outcome(case: Mapping[str, Any], key: str) -> str:
    return f"error {case['error']}" if "error" in case else f"ok {case[key]}"


def test_addresses_are_read_and_spelled_as_the_shared_table_says(ask: Ask) -> None:
    cases = table("addresses")
    assert wrong(cases, [outcome(case, "canonical") for case in cases], ask([("address", case["input"]) for case in cases])) == []


def test_durations_are_read_as_the_shared_table_says(ask: Ask) -> None:
    cases = table("lifetimes")["durations"]
    assert wrong(cases, [outcome(case, "seconds") for case in cases], ask([("duration", case["input"]) for case in cases])) == []


def test_moments_are_read_as_the_shared_table_says(ask: Ask) -> None:
    cases = table("lifetimes")["moments"]
    assert wrong(cases, [outcome(case, "epoch") for case in cases], ask([("moment", case["input"]) for case in cases])) == []


def test_lifetimes_are_read_as_the_shared_table_says(ask: Ask) -> None:
    cases = table("lifetimes")["lifetimes"]
    names = ("timeout", "until", "permanent", "since")
    questions = [("lifetime", case["now"], *(case["options"].get(name) for name in names)) for case in cases]
    expected = [f"error {case['error']}" if "error" in case else f"ok {_end(case['end'])} {'relative' if case['relative'] else 'absolute'}" for case in cases]
    assert wrong(cases, expected, ask(questions)) == []


def test_plans_are_made_as_the_shared_table_says(ask: Ask) -> None:
    cases = table("plan")["cases"]
    answers = ask([_plan_question(case) for case in cases])
    expected = []
    for case, answer in zip(cases, answers):
        want = case["expect"]
        until = _end(want["until"]) if "until" in want else answer.split()[-1]
        expected.append(f"ok {want['action']} {want['outcome']} {until}")
    assert wrong(cases, expected, answers) == []


def _plan_question(case: Mapping[str, Any]) -> tuple[object, ...]:
    request, recorded, in_force = case["request"], case["recorded"], case["in_force"]
    end: object = request.get("until", "permanent")
    if "timeout" in request:
        end = request.get("since", case["now"]) + request["timeout"]
    return (
        "plan",
        request["state"],
        "relative" if "timeout" in request else "absolute",
        end,
        case["now"],
        recorded and _end(recorded["until"]),
        in_force and _end(in_force["until"]),
        case["guard"],
    )


def _end(end: object) -> str:
    return "permanent" if end is None else str(end)


def test_both_engines_read_random_addresses_alike(ask: Ask) -> None:
    chance = random.Random(2026)
    texts = [_random_text(chance) for _unused in range(4000)]
    answers = ask([("address", text) for text in texts])
    seen = {text: answer[3:] if answer.startswith("ok ") else None for text, answer in zip(texts, answers)}
    assert {text: answer for text, answer in seen.items() if answer != _unix(text)} == {}
    read = sum(answer is not None for answer in seen.values())
    assert 1000 < read < len(seen) - 1000, f"{read} of {len(seen)} are addresses: too few of one sort"


def _unix(text: str) -> str | None:
    try:
        network = parse_network(text)
    except BadInput:
        return None
    return str(network.text)


def _random_text(chance: random.Random) -> str:
    """An address in some spelling, or one with a fault."""
    if chance.random() < 0.3:
        text = ".".join(str(chance.choice((0, 1, 10, 127, 255, 256, chance.randrange(256)))) for _unused in range(4))
    else:
        groups = [
            chance.choice(("0", "0", "0000", "ffff", "FFFF", "1", f"{chance.randrange(65536):x}", f"{chance.randrange(65536):04X}")) for _unused in range(8)
        ]
        start = chance.randrange(8)
        text = ":".join(groups)
        if chance.random() < 0.6:
            text = ":".join(groups[:start]) + "::" + ":".join(groups[start + chance.randrange(1, 9 - start) :])
        if chance.random() < 0.3:
            text = "::ffff:" + chance.choice(("10.0.0.1", "0.0.0.0", "a00:1", "010.0.0.1"))
    if chance.random() < 0.4:
        text += f"/{chance.choice((0, 1, 8, 24, 31, 32, 33, 64, 96, 104, 127, 128, 129))}"
    if chance.random() < 0.2:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(tuple("0f:./% g")) + text[at + chance.randrange(2) :]
    return text


@cache
def csharp_results(harness: Path) -> dict[str, str]:
    result = subprocess.run(["mono", str(harness), "tests"], capture_output=True, text=True, check=False)
    lines = [line for line in result.stdout.splitlines() if " Test" in line]
    assert lines, result.stderr
    return {line.partition(" #")[0].split()[-1]: line for line in lines}


@pytest.mark.parametrize("name", CSHARP_TESTS)
def test_in_csharp(harness: Path, name: str) -> None:
    line = csharp_results(harness).get(name, f"not ok {name} # was not run")
    assert line == f"ok {name}", line.replace(" | ", "\n")
