# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading alerts: what is one is taken, what is none is named, nothing raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import DEEPEST, LONGEST_ALERT, MOST_ALERTS, read_alerts

SAMPLES = Path(__file__).parents[2] / "alerts"
PLAIN: dict[str, Any] = {
    "id": "1795492383.6793",
    "timestamp": "2026-11-24T03:53:03.106+0000",
    "rule": {"id": "5712", "level": 10, "groups": ["sshd"], "description": "sshd: brute force"},
    "agent": {"id": "001", "name": "web1"},
    "data": {"srcip": "203.0.113.9"},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """PLAIN with one field changed, or taken away by `...`."""
    alert = json.loads(json.dumps(PLAIN))
    *way, last = path.split(".")
    holder = alert
    for name in way:
        holder = holder[name]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return alert


def ids(text: bytes | str) -> list[str]:
    return [alert.id for alert in read_alerts(text)[0]]


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_is_an_alert(sample: Path) -> None:
    alerts, problems = read_alerts(sample.read_bytes())
    assert problems == []
    assert len(alerts) == 1
    assert alerts[0].raw == json.loads(sample.read_bytes())


def test_a_wazuh_4_alert() -> None:
    [alert], problems = read_alerts((SAMPLES / "gen-sshd-5712-bruteforce.json").read_bytes())
    assert problems == []
    assert (alert.id, alert.rule_id, alert.rule_ids, alert.level) == ("1795492383.6793", "5712", ("5712",), 10)
    assert alert.groups == ("syslog", "sshd", "authentication_failures")
    assert alert.description == "sshd: brute force trying to get access to the system. Non existent user."
    assert (alert.agent_id, alert.agent_name, alert.timestamp) == ("001", "web1", "2026-11-24T03:53:03.106+0000")


def test_a_wazuh_5_alert() -> None:
    [alert], problems = read_alerts((SAMPLES / "wazuh5-ssh-brute-force.json").read_bytes())
    assert problems == []
    assert alert.rule_ids == ("5db5e8e9-85f4-5cac-b97a-9eb39f16aa33", "1da8ce0b-855d-4004-8860-7d64d42063b1")
    assert (alert.level, alert.groups) == (12, ("high", "sshd", "attack.t1110"))
    assert alert.description == "SSH brute force against a single account"
    assert (alert.agent_id, alert.agent_name, alert.timestamp) == ("001", "web1", "2026-11-24T03:53:03.106Z")
    assert alert.id.startswith("sha256-")


@pytest.mark.parametrize(("word", "level"), [("informational", 0), ("low", 0), ("medium", 7), ("high", 12), ("critical", 15), (..., 0)])
def test_a_level_of_wazuh_5_counts_for_the_lowest_number_it_may_mean(word: str, level: int) -> None:
    rule = {"id": "x"} if word is ... else {"id": "x", "level": word}
    [alert], problems = read_alerts(json.dumps({"wazuh": {"rule": rule}}))
    assert problems == []
    assert alert.level == level


def test_alerts_without_an_id_are_told_apart_by_their_content() -> None:
    one, same, other = changed("id", ...), changed("id", ...), changed("id", ...)
    other["data"]["srcip"] = "203.0.113.10"
    first, second, third = ids(json.dumps([one, dict(reversed(same.items())), other]))
    assert first == second != third


FORMS = {
    "one object": json.dumps(PLAIN),
    "one object over many lines": json.dumps(PLAIN, indent=2),
    "with a byte order mark and blanks": "\ufeff\r\n  " + json.dumps(PLAIN) + "\r\n\n",
    "a list of one": json.dumps([PLAIN]),
    "lines": json.dumps(PLAIN) + "\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_forms_of_one_alert(text: str) -> None:
    assert read_alerts(text)[1] == []
    assert ids(text) == ids(text.encode()) == ["1795492383.6793"]


@pytest.mark.parametrize("text", ["", " \n", "[]", " [ ] \n"])
def test_an_empty_file_has_neither_alerts_nor_problems(text: str) -> None:
    assert read_alerts(text) == ([], [])


def a(number: int) -> str:
    return json.dumps(dict(PLAIN, id=str(number)))


# name: (text, ids taken, where the problems are)
BATCHES: dict[str, tuple[str, list[str], list[str]]] = {
    "a line that is not JSON": (f"{a(1)}\n{{broken\n{a(2)}\n", ["1", "2"], ["line 2"]),
    "a bad line first": (f"\nnonsense\n{a(1)}\n", ["1"], ["line 2"]),
    "lines with Windows ends": (f"{a(1)}\r\n\r\n{a(2)}\r\n", ["1", "2"], []),
    "a cut last line": (f"{a(1)}\n{a(2)[:40]}", ["1"], ["line 2"]),
    "two alerts on a line": (f"{a(1)}\n{a(2)} {a(3)}\n", ["1"], ["line 2"]),
    "a line that is a number": (f"{a(1)}\n7\n", ["1"], ["line 2"]),
    "an item that is no alert": (f"[{a(1)}, 7, {a(2)}]", ["1", "2"], ["item 2"]),
    "an item with NaN": (f'[{a(1)}, {{"x": NaN}}, {a(2)}]', ["1", "2"], ["item 2"]),
    "an item with a key twice": (f'[{a(1)}, {{"x": 1, "x": 2}}, {a(2)}]', ["1", "2"], ["item 2"]),
    "an item too deep": (f"[{a(1)}, {'[' * 200}{']' * 200}, {a(2)}]", ["1", "2"], ["item 2"]),
    "a list that breaks off": (f"[{a(1)}, {a(2)[:40]}", ["1"], ["item 2"]),
    "a list without a comma": (f"[{a(1)} {a(2)}]", ["1"], ["after item 1"]),
    "a list that ends with a comma": (f"[{a(1)},]", ["1"], ["item 2"]),
    "text after a list": (f"[{a(1)}] {a(2)}", ["1"], ["after the list"]),
    "a list of lists": (f"[[{a(1)}], {a(2)}]", ["2"], ["item 1"]),
}


@pytest.mark.parametrize(("text", "taken", "bad"), BATCHES.values(), ids=BATCHES)
def test_a_batch_with_one_bad_entry_does_the_rest_and_names_the_bad_one(text: str, taken: list[str], bad: list[str]) -> None:
    alerts, problems = read_alerts(text)
    assert [alert.id for alert in alerts] == taken
    assert [problem.where for problem in problems] == bad
    assert all(problem.why for problem in problems)


def test_a_broken_object_over_many_lines_is_one_problem() -> None:
    alerts, problems = read_alerts(json.dumps(PLAIN, indent=2)[:-2])
    assert alerts == []
    assert [problem.where for problem in problems] == ["the file"]


# name: (text of one entry, what the reason names)
NO_ALERTS: dict[str, tuple[str, str]] = {
    "text": ('"alert"', "this is text"),
    "a number": ("7", "this is a number"),
    "true": ("true", "this is true or false"),
    "null": ("null", "this is null"),
    "an empty object": ("{}", "neither rule"),
    "rule as a list": (json.dumps(dict(PLAIN, rule=[])), "neither rule"),
    "wazuh without a rule": ('{"wazuh": {"agent": {"id": "001"}}}', "neither rule"),
    "no rule id": (json.dumps(changed("rule.id", ...)), "rule.id is None"),
    "rule id true": (json.dumps(changed("rule.id", True)), "rule.id is True"),
    "rule id with a template": (json.dumps(changed("rule.id", "{{ 7*7 }}")), "rule.id is '{{ 7*7 }}'"),
    "no level": (json.dumps(changed("rule.level", ...)), "rule.level is None"),
    "level as text": (json.dumps(changed("rule.level", "10")), "rule.level is '10'"),
    "level true": (json.dumps(changed("rule.level", True)), "rule.level is True"),
    "level 17": (json.dumps(changed("rule.level", 17)), "from 0 to 16"),
    "level -1": (json.dumps(changed("rule.level", -1)), "from 0 to 16"),
    "groups as text": (json.dumps(changed("rule.groups", "sshd")), "rule.groups is 'sshd'"),
    "groups with a number": (json.dumps(changed("rule.groups", ["sshd", 7])), "rule.groups is ['sshd', 7]"),
    "description as a list": (json.dumps(changed("rule.description", [])), "rule.description is a list"),
    "agent as text": (json.dumps(changed("agent", "web1")), "agent is text"),
    "agent id as a number": (json.dumps(changed("agent.id", 1)), "agent.id is a number"),
    "agent id with a template": (json.dumps(changed("agent.id", "{{ 7*7 }}")), "agent.id is '{{ 7*7 }}'"),
    "agent id in full-width digits": (json.dumps(changed("agent.id", "\uff10\uff10\uff11")), "agent.id is"),
    "agent name as an object": (json.dumps(changed("agent.name", {})), "agent.name is an object"),
    "agent name of 300 characters": (json.dumps(changed("agent.name", "x" * 300)), "agent.name is 300 characters long"),
    "timestamp as a number": (json.dumps(changed("timestamp", 1795492383)), "timestamp is a number"),
    "id as a number": (json.dumps(changed("id", 1795492383.6793)), "id is a number"),
    "id with a path": (json.dumps(changed("id", "../x")), "id is '../x'"),
    "id with a newline": (json.dumps(changed("id", "1\n")), "id is '1\\n'"),
    "empty id": (json.dumps(changed("id", "")), "id is ''"),
    "level word of Wazuh 5 that is none": ('{"wazuh": {"rule": {"id": "x", "level": "huge"}}}', "wazuh.rule.level is 'huge'"),
    "level of Wazuh 5 as a number": ('{"wazuh": {"rule": {"id": "x", "level": 12}}}', "wazuh.rule.level is 12"),
    "Wazuh 5 without a rule id": ('{"wazuh": {"rule": {"level": "high"}}}', "wazuh.rule.id is None"),
    "NaN": ('{"rule": {"id": "1", "level": NaN}}', "NaN is no JSON number"),
    "Infinity": ('{"rule": {"id": "1", "level": 1}, "x": [-Infinity]}', "-Infinity is no JSON number"),
    "a real number without end": ('{"rule": {"id": "1", "level": 1}, "x": 1e999}', "'1e999' is out of range"),
    "a whole number without end": ('{"rule": {"id": "1", "level": ' + "1" * 5000 + "}}", "is out of range"),
    "a key twice": ('{"rule": {"id": "1", "level": 1}, "data": {"srcip": "a", "srcip": "b"}}', "'srcip' is there twice"),
    "too deep": ('{"rule": {"id": "1", "level": 1}, "x": ' + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1) + "}", "nested deeper"),
    "far too deep": ('{"x": ' * 100_000, "nested deeper"),
    "too long": (json.dumps(changed("data.srcip", "x" * LONGEST_ALERT)), "characters long"),
    "not JSON": ("{'rule': 1}", "it is not JSON"),
}


@pytest.mark.parametrize(("text", "why"), NO_ALERTS.values(), ids=NO_ALERTS)
def test_what_is_no_alert_says_why(text: str, why: str) -> None:
    alerts, [problem] = read_alerts(f"{a(1)}\n{text}\n{a(2)}")
    assert [alert.id for alert in alerts] == ["1", "2"]
    assert problem.where == "line 2"
    assert why in problem.why


# What an attacker can write into a log must not make its alert disappear.
JUNK: dict[str, bytes] = {
    "bytes that are no UTF-8": a(1).encode().replace(b"203.0.113.9", b"203.0.113.9\xff\xfe"),
    "half a surrogate pair": json.dumps(changed("data.srcip", "\ud800")).encode(),
    "a NUL": json.dumps(changed("data.srcip", "\0")).encode(),
    "a list for text": json.dumps(changed("data.srcip", ["a"])).encode(),
    "data as text": json.dumps(changed("data", "x")).encode(),
    "no data": json.dumps(changed("data", ...)).encode(),
    "no agent": json.dumps(changed("agent", ...)).encode(),
    "no description": json.dumps(changed("rule.description", ...)).encode(),
    "no groups": json.dumps(changed("rule.groups", ...)).encode(),
    "a template": json.dumps(changed("data.srcip", "{{ 7*7 }}")).encode(),
}


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
def test_junk_in_a_field_that_nothing_rests_on_does_not_hide_an_alert(content: bytes) -> None:
    alerts, problems = read_alerts(content)
    assert problems == []
    assert [alert.rule_id for alert in alerts] == ["5712"]


def test_a_rule_id_may_be_a_number() -> None:
    [alert], _problems = read_alerts(json.dumps(changed("rule.id", 5712)))
    assert alert.rule_id == "5712"


@pytest.mark.parametrize("text", ["[{}]", "{}"], ids=["a list", "lines"])
def test_what_is_too_much_for_one_file_is_named(text: str) -> None:
    between = "," if text == "[{}]" else "\n"
    alerts, problems = read_alerts(text.format(between.join([a(1)] + ["7"] * (MOST_ALERTS - 1) + [a(2), a(3)])))
    assert [alert.id for alert in alerts] == ["1"]
    assert len(problems) == MOST_ALERTS
    assert "at most" in problems[-1].why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["rule", "id", "level", "agent", "wazuh"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_json_raises(value: object) -> None:
    alerts, problems = read_alerts(json.dumps(value))
    assert len(alerts) + len(problems) == (len(value) if isinstance(value, list) else 1)


@given(st.binary(max_size=200))
def test_no_bytes_raise(content: bytes) -> None:
    alerts, _problems = read_alerts(content)
    assert alerts == []


@given(st.text(alphabet='[]{},:"\\ \n017aelnrtufs.-'))
def test_nothing_like_json_raises(text: str) -> None:
    read_alerts(text)
    read_alerts(f"[{a(1)},{text}")


@given(st.sampled_from(["id", "timestamp", "rule.id", "rule.level", "rule.groups", "rule.description", "agent", "agent.id", "agent.name", "data"]), JSON)
def test_no_value_of_any_field_raises(path: str, value: object) -> None:
    alerts, problems = read_alerts(f"{a(1)}\n{json.dumps(changed(path, value))}")
    assert len(alerts) + len(problems) == 2
    assert alerts[0].id == "1"
