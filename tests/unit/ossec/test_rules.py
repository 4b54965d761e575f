# SPDX-License-Identifier: GPL-3.0-or-later
"""The manager's rules meet the lines that the agents' program really writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from tests.integration.wazuh_daemon import Element, Reader, warnings_of

ROLES = Path(__file__).parents[3] / "roles"
OUTCOMES = "done unchanged refused held failed released expired restored kept".split()
PREFIX = re.compile(r"\d\d\d\d/\d\d/\d\d \d\d:\d\d:\d\d active-response/bin/\S+: ")  # Wazuh's decoder ar_log_json
WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
from riposte.log import Log
for outcome in sys.argv[3:]:
    Log(sys.argv[2], "firewall-drop").result(outcome, "firewall_drop", "203.0.113.9", "a message", "5f0c", "1795492383.6793", "permanent")
"""


@pytest.fixture(scope="module")
def rules() -> list[Element]:
    """The rules as the role writes them by default."""
    given = yaml.safe_load((ROLES / "manager/vars/main.yml").read_text())
    given.update(yaml.safe_load((ROLES / "manager/defaults/main.yml").read_text()))
    template = (ROLES / "manager/templates/riposte_rules.xml.j2").read_text()
    [group] = Reader(jinja2.Environment(trim_blocks=True).from_string(template).render(given)).elements()
    return group.children


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the program writes, by outcome."""
    home = tmp_path_factory.mktemp("home")
    (home / "logs").mkdir()
    (home / "logs/active-responses.log").touch()
    subprocess.run([sys.executable, ROLES / "agent/files/build.py", home / "riposte"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", WRITE, home / "riposte", home, *OUTCOMES], check=True)
    written = (home / "logs/active-responses.log").read_text().splitlines()
    assert all(PREFIX.match(line) for line in written)
    return {outcome: json.loads(PREFIX.sub("", line)) for outcome, line in zip(OUTCOMES, written)}


def fields(line: dict[str, Any]) -> dict[str, str]:
    return {f"riposte.{key}": str(value) for key, value in line["riposte"].items()}


def matches(rule: Element, told: dict[str, str]) -> bool:
    wanted = [(child.attributes["name"], child.text) for child in rule.children if child.name == "field"]
    return all(re.search(pattern, told[name]) for name, pattern in wanted)


def test_each_outcome_has_one_rule_and_what_comes_later_falls_to_the_first(rules: list[Element], lines: dict[str, dict[str, Any]]) -> None:
    first, *others = rules
    for number, outcome in enumerate(OUTCOMES):
        told = fields(lines[outcome])
        assert matches(first, told)
        assert [index for index, rule in enumerate(others) if matches(rule, told)] == [number]
    future = {**fields(lines["done"]), "riposte.version": "2", "riposte.outcome": "undone"}
    assert [rule.attributes["id"] for rule in rules if matches(rule, future)] == ["100900"]


def test_the_texts_name_fields_that_are_there(rules: list[Element], lines: dict[str, dict[str, Any]]) -> None:
    for rule in rules:
        [text] = rule.values("description")
        assert set(re.findall(r"\$\((.*?)\)", text)) <= fields(lines["done"]).keys()


def test_the_rules_load_on_top_of_650_and_start_nothing(rules: list[Element]) -> None:
    loaded = {650}
    assert [warning for rule in rules for warning in warnings_of(rule, loaded)] == []
    assert loaded == {650, *range(100900, 100910)}
    assert [rule.values("options") for rule in rules] == [["no_ar"]] * 10
