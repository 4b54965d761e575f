# SPDX-License-Identifier: GPL-3.0-or-later
"""The event filter `alert`, loaded as ansible-rulebook loads it: what of an alert gets through, and that nothing of it can be taken for a template."""

from __future__ import annotations

import base64
import json
import runpy
import time
from pathlib import Path
from typing import Any, Callable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.hostile import texts

FILE = Path(__file__).parents[3] / ".venv/collections/ansible_collections/riposte/active_response/extensions/eda/plugins/event_filter/alert.py"
LOADED = runpy.run_path(str(FILE))
SAMPLE = json.loads((Path(__file__).parents[2] / "alerts/gen-sshd-5712-bruteforce.json").read_text())
alert_filter: Callable[..., list[dict[str, Any]]] = LOADED["main"]

EVIL = "{{ lookup('pipe','touch /tmp/canary') }}"
HOSTILE = [
    EVIL, "{% for x in y %}", "{# gone #}", "${7*7}", "$(id)", "`id`", "'; id; '", "../../etc/passwd", "%s%n", "%(x)s", "{0.__class__}", "\x00", "\x1b[2J",
    "\u202egnp", "\ud800", "😀" * 1000, "x" * 100_000, "", " ", "\n", "--help", "!unsafe x", "None", "0x10", "['a']", None, True, 0, -1, 1e308, [], {}, [EVIL],
    {EVIL: EVIL}, "{{", "}}", "{{{{", "{\u200b{", "\\{\\{",
]  # fmt: skip


def alert(**more: Any) -> dict[str, Any]:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
    return {**SAMPLE, "timestamp": stamp, **more}


def event(payload: object, **meta: object) -> dict[str, Any]:
    return {"payload": payload, "meta": {"endpoint": "x", "headers": {"X-Evil": EVIL}, **meta}}


def decoded(made: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(made["alert_b64"], validate=True))


def check_harmless(made: list[dict[str, Any]]) -> None:
    for each in made:
        assert each.keys() in ({"alert", "alert_b64"}, {"refused"})
        for text in texts(each):
            assert text.isascii() and text.isprintable()
            assert not set(text) & set("{}%#`'\"<>|;&*?!~")


def test_what_is_typed_and_what_travels_as_it_came() -> None:
    sent = alert()
    [made] = alert_filter(event(sent))
    assert decoded(made) == sent
    assert made["alert"] == {
        "id": sent["id"],
        "rule_id": "5712",
        "rule_ids": ["5712"],
        "level": 10,
        "groups": sent["rule"]["groups"],
        "agent_id": sent["agent"]["id"],
        "timestamp": sent["timestamp"],
        "observables": made["alert"]["observables"],
    }
    assert made["alert"]["observables"]["address"] == sent["data"]["srcip"]
    check_harmless([made])


def test_no_word_of_a_sender_about_hosts_gets_through() -> None:
    for hosts in ("all", [], ["web1"], EVIL):
        [made] = alert_filter(event({**alert(), "meta": {"hosts": hosts}, "hosts": hosts, "limit": hosts}, hosts=hosts))
        assert made.keys() == {"alert", "alert_b64"}
        [bare] = alert_filter({**alert(), "meta": {"hosts": hosts}})
        assert bare.keys() == {"alert", "alert_b64"}


@pytest.mark.parametrize("wrap", ["list", "lines", "kafka", "shuffle", "hits", "sender", "bytes", "bare"])
def test_the_forms_it_may_come_in(wrap: str) -> None:
    one, two = alert(id="1.1"), alert(id="1.2")
    forms: dict[str, Any] = {
        "list": event([one, two]),
        "lines": {"body": f"{json.dumps(one)}\n{json.dumps(two)}\n"},
        "kafka": {"body": [one, two], "meta": {}},
        "shuffle": event([{"severity": 3, "all_fields": each} for each in (one, two)]),
        "hits": event({"hits": {"hits": [{"_source": one}, {"_source": two}]}}),
        "sender": event({"riposte": 1, "sent": time.time(), "alerts": [one, two]}),
        "bytes": {"body": json.dumps([one, two]).encode()},
        "bare": {"all_fields": [one, two]},
    }
    made = alert_filter(forms[wrap])
    assert [each["alert"]["id"] for each in made] == ["1.1", "1.2"]
    assert [decoded(each) for each in made] == [one, two]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("hello", "not JSON"),
        ("", "empty"),
        ({}, "no Wazuh alert"),
        ([], "empty"),
        (None, "a JSON object"),
        (7, "a JSON object"),
        ({"rule": {"id": EVIL, "level": 5}}, "rule.id"),
        (alert(rule={"id": "1", "level": EVIL}), "rule.level"),
        (alert(rule={"id": "1", "level": float("nan")}), "NaN"),
        (alert(id="x\n{{"), "id is"),
        (alert(agent={"id": EVIL}), "agent.id"),
        (alert(timestamp="2020-01-01T00:00:00Z"), "are both clocks right"),
        (alert(timestamp=None), "does not tell its age"),
        ({"riposte": 1, "sent": 5, "alerts": [alert()]}, "a message must be sent within"),
        ({"rule": object()}, "is no JSON"),
        ("[" * 100_000, "nested deeper"),
        (alert(full_log="x" * (1 << 20)), "it may have 1048576"),
    ],
)
def test_what_is_no_alert_becomes_a_reason_and_nothing_else(payload: object, why: str) -> None:
    [made] = alert_filter(event(payload))
    assert made["refused"]["count"] == 1
    assert why in base64.b64decode(made["refused"]["why_b64"]).decode()
    check_harmless([made])
    assert alert_filter(event(payload), refused="drop") == []


def test_what_is_nested_without_end_is_refused() -> None:
    deep: list[Any] = []
    for _level in range(200_000):
        deep = [deep]
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    for payload in (deep, {"rule": deep}, ring):
        [made] = alert_filter(event(payload))
        assert b"nested deeper than 150 levels" in base64.b64decode(made["refused"]["why_b64"])
    while deep:  # freed level by level: all at once is deeper than the interpreter's own stack
        [deep] = deep


def test_a_bad_one_does_not_keep_the_good_ones_out() -> None:
    made = alert_filter(event([alert(id="1.1"), {"rule": EVIL}, alert(id="1.2")]))
    assert [each["alert"]["id"] for each in made[:2]] == ["1.1", "1.2"]
    assert made[2]["refused"]["count"] == 1


@pytest.mark.parametrize("options", [{"oldest": "1h"}, {"oldest": True}, {"oldest": 1}, {"refused": "quarantine"}])
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"it must be"):
        alert_filter(event(alert()), **options)


def test_every_field_with_every_hostile_value() -> None:
    paths = [(), ("rule",), ("agent",), ("data",), ("decoder",), ("manager",), ("predecoder",)]
    count = 0
    for path in paths:
        for name in [*_at(alert(), path)]:
            for value in HOSTILE:
                sent = json.loads(json.dumps(alert()))
                _at(sent, path)[name] = value
                made = alert_filter(event(sent))
                assert made
                check_harmless(made)
                count += 1
    assert count > 900


def test_hostile_observables_are_left_out_and_still_travel() -> None:
    sent = alert(data={"srcip": "203.0.113.9", "dstuser": EVIL}, rule={"id": "5712", "level": 10, "groups": ["sshd", EVIL, "a{#b"]})
    [made] = alert_filter(event(sent))
    assert made["alert"]["groups"] == ["sshd"]
    assert made["alert"]["observables"] == {"address": "203.0.113.9"}
    assert decoded(made) == sent


def _at(value: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path:
        value = value[name]
    return value


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda below: st.lists(below) | st.dictionaries(st.text(), below))


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_nothing_raises_and_nothing_gets_through(payload: Any) -> None:
    for made in (alert_filter(event(payload)), alert_filter(event({"rule": payload, **alert(data=payload, full_log=payload)})), alert_filter(payload)):
        check_harmless(made)


def test_its_documentation_is_what_it_takes() -> None:
    documented = yaml.safe_load(LOADED["DOCUMENTATION"])["options"]
    defaults = dict(zip(("oldest", "refused"), alert_filter.__defaults__ or ()))
    assert {name: each["default"] for name, each in documented.items()} == defaults
    assert tuple(documented["refused"]["choices"]) == LOADED["CHOICES"]
    assert yaml.safe_load(LOADED["EXAMPLES"])
