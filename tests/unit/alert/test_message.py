# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes by the webhook: one alert, many, and what senders wrap them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import to_alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.message import Stale, mark, read_message

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
HOUR = 3600.0
SAMPLES = Path(__file__).parents[2] / "alerts"


def alert(name: str = "a", stamp: object = "2027-01-15T08:59:00.123+0100", **more: Any) -> dict[str, Any]:
    return {"id": name, "timestamp": stamp, "rule": {"id": "5712", "level": 10}, "agent": {"id": "001"}, **more}


FIVE = {"wazuh": {"rule": {"id": "r1", "level": "high"}}, "@timestamp": "2027-01-15T07:59:00.000Z", "source": {"ip": "203.0.113.9"}}
SHUFFLE = {"severity": 3, "title": "x", "text": "y", "rule_id": "5712", "timestamp": "z", "id": "a", "all_fields": alert()}

# name: (body, the ids accepted, what is said of the rest)
BODIES: dict[str, tuple[str, list[str], list[str]]] = {
    "one": (json.dumps(alert()), ["a"], []),
    "a list": (json.dumps([alert("a"), alert("b")]), ["a", "b"], []),
    "JSON lines": (json.dumps(alert("a")) + "\r\n\n" + json.dumps(alert("b")) + "\n", ["a", "b"], []),
    "a bad one among good ones": (json.dumps([alert("a"), 7, alert("b")]), ["a", "b"], ["item 2: an alert is a JSON object, this is a number"]),
    "a bad line among good ones": (f"{json.dumps(alert('a'))}\nnonsense\n{json.dumps(alert('b'))}", ["a", "b"], ["line 2: it is not JSON"]),
    "Shuffle": (json.dumps(SHUFFLE), ["a"], []),
    "a search hit": (json.dumps({"_index": "w", "_id": "1", "_source": alert()}), ["a"], []),
    "a search answer": (json.dumps({"took": 1, "hits": {"total": 2, "hits": [{"_source": alert("a")}, {"_source": alert("b")}]}}), ["a", "b"], []),
    "hits": (json.dumps({"hits": [{"_source": alert("a")}, {"_source": 7}]}), ["a"], ["the file, hits[1]: neither rule (Wazuh 4)"]),
    "a monitor's alerts": (json.dumps({"alerts": [{"id": "x", "sample_documents": [{"_source": alert("a")}, {"_source": alert("b")}]}]}), ["a", "b"], []),
    "our sender": (
        json.dumps({"riposte": 1, "sent": NOW - 60, "alerts": [alert("a"), alert("b", "2020-01-01T00:00:00Z"), alert("c", None)]}),
        ["a", "b", "c"],
        [],
    ),
    "our sender, a bad one": (json.dumps({"riposte": 1, "sent": NOW, "alerts": [7, alert("b")]}), ["b"], ["the file, alerts[0]: an alert is a JSON object"]),
    "our sender, nothing in it": (json.dumps({"riposte": 1, "sent": NOW, "alerts": []}), [], ["alerts is [], expected a list of alerts"]),
    "our sender, no stamp": (json.dumps({"riposte": 1, "alerts": [alert()]}), [], ["sent is None, expected epoch seconds"]),
    "our sender, a stamp that is none": (json.dumps({"riposte": 1, "sent": True, "alerts": [alert()]}), [], ["sent is True, expected epoch seconds"]),
    "our sender, another version": (json.dumps({"riposte": 2, "sent": NOW, "alerts": [alert()]}), [], ["riposte is 2, this side reads messages of version 1"]),
    "too old": (json.dumps(alert(stamp="2027-01-15T06:59:00Z")), [], ["an alert may be 3600 s old"]),
    "from the future": (json.dumps(alert(stamp="2027-01-15T08:06:00Z")), [], ["are both clocks right?"]),
    "no timestamp": (json.dumps(alert(stamp=None)), [], ["an alert that does not tell its age is not accepted"]),
    "a timestamp without zone": (json.dumps(alert(stamp="2027-01-15T08:00:00")), [], ["timestamp is '2027-01-15T08:00:00'"]),
    "nothing": ("", [], ["the message: it is empty"]),
    "blank": (" \r\n", [], ["the message: it is empty"]),
    "an empty list": ("[]", [], ["the message: it is empty"]),
    "an empty object": ("{}", [], ["neither rule (Wazuh 4) nor wazuh.rule (Wazuh 5)"]),
    "no JSON": ("hello", [], ["it is not JSON"]),
    "a key twice": ('{"rule": {"id": "1", "level": 3}, "rule": {}}', [], ["key 'rule' is there twice"]),
    "no number": ('{"rule": {"id": "1", "level": NaN}}', [], ["NaN is no JSON number"]),
    "wrapped without end": ('{"hits":' * 50 + "{}" + "}" * 50, [], ["no Wazuh alert"]),
    "nested without end": ("[" * 100_000, [], ["the message: it is nested deeper than 1000 levels"]),
    "nested behind ends": ("]" * 5000 + '{"a":' * 5000, [], ["the message: it is nested deeper than 1000 levels"]),
    "nested too deep for an alert": ("[" * 999 + "]" * 999, [], ["item 1: it is nested deeper than 100 levels"]),
    "brackets in a text": (json.dumps(alert(full_log='[{"' * 5000)), ["a"], []),
    "a text without end": ('{"a": "' + '\\"[' * 300_000, [], ["it is not JSON"]),
    "a text that ends in an escape": ("[" * 1001 + '"\\', [], ["the message: it is nested deeper than 1000 levels"]),
    "many alerts": (json.dumps([alert("a")] * 400), ["a"] * 400, []),
}


@pytest.mark.parametrize(("body", "ids", "said"), BODIES.values(), ids=BODIES)
def test_bodies(body: str, ids: list[str], said: list[str]) -> None:
    found = read_message(body, NOW, HOUR)
    assert [each.alert.id for each in found.alerts] == ids
    assert [to_alert(json.loads(each.body)).id for each in found.alerts] == ids
    assert len(found.problems) == len(said)
    for problem, expected in zip(found.problems, said):
        assert expected in f"{problem.where}: {problem.why}"


def test_wazuh_5_has_no_id_and_gets_one() -> None:
    [found] = read_message(json.dumps({"_source": FIVE}), NOW, HOUR).alerts
    assert found.alert.id.startswith("sha256-")
    assert found.happened == NOW - 60


@pytest.mark.parametrize("sent", [NOW - 301, NOW + 301, 0, -1e300])
def test_a_message_that_was_sent_long_ago_is_stale(sent: float) -> None:
    with pytest.raises(Stale, match="a message must be sent within 300 s"):
        read_message(json.dumps({"riposte": 1, "sent": sent, "alerts": [alert()]}), NOW, HOUR)


def test_when_it_was_raised_is_never_later_than_when_it_came() -> None:
    stamps = ["2027-01-15T07:30:00Z", "2027-01-15T08:01:00Z", "yesterday"]
    found = read_message(json.dumps({"riposte": 1, "sent": NOW, "alerts": [alert(str(at), stamp) for at, stamp in enumerate(stamps)]}), NOW, HOUR)
    assert [each.happened for each in found.alerts] == [NOW - 1800, NOW, NOW]


def test_hostile_text_comes_out_as_json_that_can_be_stored() -> None:
    text = json.dumps([alert(full_log="\ud800\x00 {{ 7*7 }}")])
    [found] = read_message(text, NOW, HOUR).alerts
    assert json.loads(found.body.encode())["full_log"] == "\ud800\x00 {{ 7*7 }}"


def test_two_managers_with_one_id_are_told_apart_and_two_ways_of_one_alert_are_not() -> None:
    one, other = alert(manager={"name": "one"}), alert(manager={"name": "other"})
    assert mark(to_alert(one)) == mark(to_alert({**one, "GeoLocation": {"country": "x"}}))
    assert mark(to_alert(one)) != mark(to_alert(other))
    assert mark(to_alert(alert(manager={"name": ["odd"]})))


def test_every_sample_is_accepted_from_our_sender() -> None:
    alerts = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.json"))]
    found = read_message(json.dumps({"riposte": 1, "sent": NOW, "alerts": alerts}), NOW, HOUR)
    assert len(found.alerts) == len(alerts) > 10
