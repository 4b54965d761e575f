# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of a request to the webhook -> alerts. A pure function.

It is what a file of alerts may be (one, a list, JSON lines), each alert bare or in what its sender wraps it in:

- our own sender: `{"riposte": 1, "sent": EPOCH, "alerts": [ALERT, ...]}`, stamped anew each time it is sent;
- Shuffle's integration: the alert under `all_fields`;
- a search hit, as a custom webhook's message in OpenSearch has it: the alert under `_source`, hits in `hits`, or under `sample_documents` of `alerts`.

Against replay a body must be young: `sent` where there is one, else each alert's own timestamp.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..host.errors import BadInput, shown
from ..host.lifetime import moment_text, parse_moment
from .alert import Alert, Entry, Problem, entries, to_alert

VERSION = 1
# Where Python runs inside a Java machine, as ansible-rulebook has it, its JSON parser ends the process (SIGSEGV, seen with 20,000 levels) before it
# comes to its own limit.
DEEPEST = 1000
DEEPEST_WRAPPING = 6
AHEAD = 300  # seconds that a sender's clock may be ahead of ours
SENT = 300  # seconds that a message of our own sender may take
WRAPPINGS = ("all_fields", "_source", "hits", "sample_documents", "alerts")


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class Stale(BadInput):
    """The message was sent too long ago: it may be somebody else who sends it again."""


class Received(NamedTuple):
    """An alert, its JSON, and when it was raised (epoch seconds; when it came, if it does not say)."""

    alert: Alert
    body: str
    happened: float


class Message(NamedTuple):
    alerts: list[Received]
    problems: list[Problem]


def read_message(text: str, now: float, oldest: float) -> Message:
    """oldest: seconds that an alert may be old whose sender does not say when it sent it. Raises Stale, and nothing else."""
    text = text.lstrip("\ufeff")
    if _deeper_than(text, DEEPEST):
        return Message([], [Problem("the message", f"it is nested deeper than {DEEPEST} levels")])
    found = list(entries(text))
    whole = text if len(found) == 1 and text.lstrip().startswith("{") else None
    message = Message([], [])
    for entry in found:
        if isinstance(entry, Problem):
            message.problems.append(entry)
            continue
        try:
            _read(message, entry, whole, now, oldest)
        except Stale:
            raise
        except BadInput as error:
            message.problems.append(Problem(entry.where, str(error)))
    if not found:
        message.problems.append(Problem("the message", "it is empty"))
    return message


def _deeper_than(text: str, limit: int) -> bool:
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        if depth > limit:
            return True
    return False


def _read(message: Message, entry: Entry, whole: str | None, now: float, oldest: float) -> None:
    value = entry.value
    if isinstance(value, dict) and "riposte" in value:
        inner = _opened(value, now)
        items, stamped = [(f"{entry.where}, alerts[{at}]", each) for at, each in enumerate(inner)], True
    else:
        items, stamped = list(_unwrapped(entry.where, value, 0)), False
    for where, each in items:
        try:
            alert = to_alert(each)
            happened = _happened(alert, now, None if stamped else oldest)
        except BadInput as error:
            message.problems.append(Problem(where, str(error)))
            continue
        body = whole if whole is not None and each is value else json.dumps(each, separators=(",", ":"))
        message.alerts.append(Received(alert, body, happened))


def _opened(envelope: dict[str, object], now: float) -> list[object]:
    """The alerts in our own sender's envelope."""
    version, sent, alerts = envelope.get("riposte"), envelope.get("sent"), envelope.get("alerts")
    if version != VERSION or isinstance(version, bool):
        raise BadInput(f"riposte is {shown(version)}, this side reads messages of version {VERSION}")
    if not isinstance(alerts, list) or not alerts:
        raise BadInput(f"alerts is {shown(alerts)}, expected a list of alerts")
    if not isinstance(sent, (int, float)) or isinstance(sent, bool):
        raise BadInput(f"sent is {shown(sent)}, expected epoch seconds")
    if not now - SENT <= sent <= now + AHEAD:
        raise Stale(f"sent is {shown(sent)}, it is {now:.0f} here: a message must be sent within {SENT} s; are both clocks right?")
    return alerts


def _unwrapped(where: str, value: object, depth: int) -> Iterator[tuple[str, object]]:
    """The alerts in what their sender wraps them in. What cannot be opened is for to_alert to complain about."""
    wrapping = None
    if isinstance(value, dict) and "rule" not in value and "wazuh" not in value and depth < DEEPEST_WRAPPING:
        wrapping = next((name for name in WRAPPINGS if isinstance(value.get(name), (dict, list))), None)
    if wrapping is None or not isinstance(value, dict):
        yield where, value
        return
    inner = value[wrapping]
    for at, each in enumerate(inner if isinstance(inner, list) else [inner]):
        yield from _unwrapped(f"{where}, {wrapping}{f'[{at}]' * isinstance(inner, list)}", each, depth + 1)


def _happened(alert: Alert, now: float, oldest: float | None) -> float:
    try:
        moment = parse_moment("timestamp", alert.timestamp or "")
    except BadInput:
        if oldest is None:
            return now
        seen = shown(alert.timestamp)
        raise BadInput(f"timestamp is {seen}, expected the moment it was raised, with a zone: an alert that does not tell its age is not accepted") from None
    if oldest is not None and not now - oldest <= moment <= now + AHEAD:
        raise BadInput(f"timestamp is {moment_text(moment)}, it is {moment_text(now)} here: an alert may be {oldest:.0f} s old; are both clocks right?")
    return min(moment, now)


def mark(alert: Alert) -> str:
    """Who raised it: tells whether two alerts with one id are one alert that came by two ways."""
    manager = alert.raw.get("manager")
    name = manager.get("name") if isinstance(manager, dict) else None
    return json.dumps([name if isinstance(name, str) else None, alert.agent_id, alert.rule_id])
