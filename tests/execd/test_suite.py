# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite lets an executable pass that keeps to the protocol, and says of each that does not what it does wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.execd.cases import ADDRESS, CASES, Case
from tests.execd.suite import Suite

REFERENCE = Path(__file__).with_name("reference.py")
ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {case.name: case for case in CASES}

# way of being wrong -> a case that must fail, and what must be said of it
WRONG = (
    ("reads to the end", "4.x: add, continue", "was killed"),
    ("no keys", "4.x: add, continue", "no line with the keys came"),
    ("no keys", "4.x: add, abort", "no line with the keys came"),
    ("keys of another", "4.x: add, continue", "the keys are ['192.0.2.1']"),
    ("ignores abort", "4.x: add, abort", "what is in force: gained, same was expected"),
    ("always 0", "message: no JSON", "exit code 0, another than 0 was expected"),
    ("echoes first", "4.x: add, abort", "reports it as done"),
    ("echoes first", "named: loopback", "reports it as done"),
    ("slow", "4.x: add, continue", "are allowed"),
    ("does nothing", "4.x: add, continue", "what is in force: same, gained was expected"),
    ("does nothing", "4.x: delete", "cannot be put into force before the case"),
    ("hits a neighbour", "4.x: add, continue", "others were hit: now in force ['192.0.2.7'"),
    ("raw log", "elsewhere: bidirectional text", "control characters in the log"),
    ("log lines of its own", "4.x: add, continue", "does not begin as Wazuh's do"),
    ("forgets ends", "4.x: abort of what is over", "what is in force: same, gained was expected"),
    ("echoes everything", "4.x: delete of what does not stand", "reports it as done"),
    ("shell", "elsewhere: shell: substitution", "the command in the message was run"),
    ("talks", "4.x: delete of what does not stand", "an unexpected line on standard output: b'Ended"),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("logs", "effects"):
        (tmp_path / name).mkdir()
    return tmp_path


def suite(home: Path, way: str, limit: float = 5.0) -> Suite:
    """The reference in one way; a limit that a busy machine keeps."""

    def effects() -> set[str]:
        return {each.name.replace("_", ":") for each in os.scandir(home / "effects") if each.stat().st_mtime > time.time()}

    return Suite([sys.executable, "-IS", str(REFERENCE), way], str(home), effects, str(home / "logs/active-responses.log"), ADDRESS, limit=limit)


@pytest.mark.parametrize("case", suite(Path(), "good").cases(), ids=lambda case: case.name)
def test_an_executable_that_keeps_to_the_protocol_passes(home: Path, case: Case) -> None:
    verdict = suite(home, "good").judge(case)
    assert verdict.complaints == []


@pytest.mark.parametrize(("way", "name", "complaint"), WRONG, ids=lambda value: value if len(value) < 40 else "")
def test_an_executable_that_does_not_is_found_out(home: Path, monkeypatch: pytest.MonkeyPatch, way: str, name: str, complaint: str) -> None:
    monkeypatch.setattr("tests.execd.suite.PATIENCE", 1.0 if complaint == "was killed" or way == "no keys" else 20.0)
    complaints = suite(home, way, limit=1.0 if way == "slow" else 10.0).judge(BY_NAME[name]).complaints
    assert any(complaint in each for each in complaints), complaints


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(CASES)


def test_many_at_once_are_counted_and_timed(home: Path) -> None:
    verdicts, figures = suite(home, "good").judge_many(20, limit=20.0)
    assert [verdict.complaints for verdict in verdicts] == [[], []]
    assert all(0 < figure < 20 for figure in figures.values())


def test_many_at_once_that_are_not_all_done_are_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.execd.suite.PATIENCE", 2.0)
    verdicts, _figures = suite(home, "does nothing").judge_many(3, limit=20.0)
    assert any("3 are missing" in complaint for complaint in verdicts[0].complaints), verdicts


@pytest.mark.parametrize(("way", "code"), [("good", 0), ("ignores abort", 1)])
def test_from_the_command_line(home: Path, way: str, code: int) -> None:
    words = ["--home", str(home), "--effects", f"ls '{home}/effects' | tr _ :", "--limit", "10", "--many", "0", "--only", "^4.x: add, "]
    argv = [sys.executable, "-m", "tests.execd", *words, sys.executable, "-IS", str(REFERENCE), way]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.endswith(f"2 cases, {code} do not hold\n")
    assert ("FAIL" in done.stdout) == bool(code)
    done = subprocess.run([*argv[:3], "--json", *argv[3:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["4.x: add, continue", "4.x: add, abort"]
