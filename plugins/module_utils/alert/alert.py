# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of a file -> alerts: one JSON object, a JSON list, or JSON lines; Wazuh 4.x and 5.x.

Whatever the text holds, nothing raises: what is no alert comes back as a problem that says where it is and why, and the others go on.
An attacker writes much of what an alert carries, so only the fields that a decision rests on are demanded: junk in any other field
(bytes that are no UTF-8, a list where text is usual) must not make an alert disappear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..host.errors import BadInput, shown
from ..host.response import LONGEST_ALERT_ID

LONGEST_ALERT = 1 << 20  # characters; Wazuh's own messages end at 64 KiB
MOST_ALERTS = 100_000
DEEPEST = 100
LONGEST_NAME = 256
LONGEST_TEXT = 65_536
HIGHEST_LEVEL = 16

# Wazuh 5 has words for levels. Each counts for the lower bound that Wazuh 4 gave that class: a word must never say more than it means.
WORD_LEVELS = {"informational": 0, "low": 0, "medium": 7, "high": 12, "critical": 15}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}\Z")
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Alert:
    """What an alert says about itself. `raw` is the alert as it came, where observables are looked for: everything in it is hostile."""

    id: str
    rule_ids: tuple[str, ...]  # the names its rule goes by; the first is the rule's own id
    level: int
    groups: tuple[str, ...]
    description: str
    agent_id: str | None
    agent_name: str | None
    timestamp: str | None
    raw: Mapping[str, Any]

    @property
    def rule_id(self) -> str:
        return self.rule_ids[0]


class Problem(NamedTuple):
    """An entry that is no alert: where it is in the file, and why."""

    where: str
    why: str


class Entry(NamedTuple):
    """One parsed JSON value and where it is in the file."""

    where: str
    value: object


class _Flaw:
    """Stands in parsed JSON where it breaks a rule that the parser itself lets pass."""

    def __init__(self, why: str) -> None:
        self.why = why


def read_alerts(content: bytes | str) -> tuple[list[Alert], list[Problem]]:
    """The alerts of a file's content, and what in it is none."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    alerts: list[Alert] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries(text.lstrip("\ufeff"))):
        if number >= MOST_ALERTS:
            problems.append(Problem(entry[0], f"a file holds at most {MOST_ALERTS} alerts; this one and what follows was not read"))
            break
        if isinstance(entry, Problem):
            problems.append(entry)
            continue
        try:
            alerts.append(to_alert(entry.value))
        except BadInput as error:
            problems.append(Problem(entry.where, str(error)))
    return alerts, problems


def to_alert(value: object) -> Alert:
    """One parsed JSON value -> a validated alert, or BadInput."""
    _check_shape(value)
    if not isinstance(value, dict):
        raise BadInput(f"an alert is a JSON object, this is {_named(value)}")
    wazuh5 = value.get("wazuh")
    if isinstance(wazuh5, dict) and isinstance(wazuh5.get("rule"), dict):
        return _wazuh5(value, wazuh5)
    if isinstance(value.get("rule"), dict):
        return _wazuh4(value)
    raise BadInput("neither rule (Wazuh 4) nor wazuh.rule (Wazuh 5) is an object in it, so it is no Wazuh alert")


def entries(text: str) -> Iterator[Entry | Problem]:
    """The JSON values in a text, and what in it is none: one, the items of a list, or one a line."""
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        yield from _items(text, start + 1)
        return
    if start == len(text):
        return
    whole = _parsed("the file", text, start)
    if isinstance(whole, Entry):
        yield whole
        return
    pending: list[Entry | Problem] | None = []  # until a line has shown that lines are what this is
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(" \t\r"):
            continue
        entry = _parsed(f"line {number}", line, _skip(line, 0))
        if pending is not None and isinstance(entry, Entry) and isinstance(entry.value, dict):
            yield from pending
            pending = None
        if pending is None:
            yield entry
        elif len(pending) <= MOST_ALERTS:
            pending.append(entry)
    if pending is not None:
        yield whole  # a broken object spread over many lines is one problem, not one a line


def _items(text: str, at: int) -> Iterator[Entry | Problem]:
    """The items of a JSON list one by one: one that cannot be read costs nothing that stands before it."""
    number = 0
    at = _skip(text, at)
    while number or text[at : at + 1] != "]":
        number += 1
        entry, end = _decoded(f"item {number}", text, at)
        if end is None:
            yield Problem(entry[0], f"{entry[1]}; what follows it was not read")
            return
        yield entry
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            yield Problem(f"after item {number}", f"expected , or ] but saw {shown(text[at : at + 20])}; what follows was not read")
            return
        at = _skip(text, at + 1)
    rest = text[at + 1 :].strip(" \t\r\n")
    if rest:
        yield Problem("after the list", f"expected the end of the file but saw {shown(rest[:20])}; it was not read")


def _parsed(where: str, text: str, at: int) -> Entry | Problem:
    """The one JSON value that fills the text."""
    entry, end = _decoded(where, text, at)
    if end is not None and _skip(text, end) != len(text):
        return Problem(where, f"expected one JSON object but more follows it: {shown(text[end : end + 20])}")
    return entry


def _decoded(where: str, text: str, at: int) -> tuple[Entry | Problem, int | None]:
    """The JSON value that begins at a place, and where it ends (None: it cannot be told)."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except RecursionError:
        return Problem(where, f"it is nested deeper than {DEEPEST} levels"), None
    except ValueError as error:
        return Problem(where, f"it is not JSON: {error}"), None
    if end - at > LONGEST_ALERT:
        return Problem(where, f"it is {end - at} characters long, an alert has at most {LONGEST_ALERT}"), end
    return Entry(where, value), end


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _object(pairs: list[tuple[str, object]]) -> object:
    """Two values under one key: which one counts differs from parser to parser, so neither does."""
    value: dict[str, object] = {}
    for key, each in pairs:
        if key in value:
            return _Flaw(f"key {shown(key)} is there twice in one object")
        value[key] = each
    return value


def _integer(digits: str) -> object:
    return int(digits) if len(digits) <= 40 else _Flaw(f"the number {shown(digits)} is out of range")


def _real(digits: str) -> object:
    value = float(digits)
    return value if abs(value) != float("inf") else _Flaw(f"the number {shown(digits)} is out of range")


def _constant(name: str) -> object:
    return _Flaw(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant)


def _check_shape(value: object) -> None:
    level: list[Any] = [value]
    for _depth in range(DEEPEST + 1):
        below: list[Any] = []
        for each in level:
            kind = type(each)  # the parser makes nothing but these, and most are text
            if kind is dict:
                below += each.values()
            elif kind is list:
                below += each
            elif isinstance(each, _Flaw):
                raise BadInput(each.why)
        if not below:
            return
        level = below
    raise BadInput(f"it is nested deeper than {DEEPEST} levels")


def _wazuh4(value: dict[str, Any]) -> Alert:
    rule = value["rule"]
    level = rule.get("level")
    if not isinstance(level, int) or isinstance(level, bool) or not 0 <= level <= HIGHEST_LEVEL:
        raise BadInput(f"rule.level is {shown(level)}, expected a whole number from 0 to {HIGHEST_LEVEL}")
    return _alert(value, value, rule, "", (_rule_id(rule, "rule.id"),), level, "groups", "description")


def _wazuh5(value: dict[str, Any], wazuh: dict[str, Any]) -> Alert:
    rule = wazuh["rule"]
    level = rule.get("level", "informational")
    if not isinstance(level, str) or level not in WORD_LEVELS:
        raise BadInput(f"wazuh.rule.level is {shown(level)}, expected one of {', '.join(WORD_LEVELS)}")
    ids = [_rule_id(rule, "wazuh.rule.id")]
    if rule.get("sigma_id") is not None:  # survives a copy of the rule between spaces, which gives it another id
        ids.append(_rule_id(rule, "wazuh.rule.sigma_id"))
    return _alert(value, wazuh, rule, "wazuh.", tuple(ids), WORD_LEVELS[level], "tags", "title")


def _alert(
    value: dict[str, Any], holder: dict[str, Any], rule: dict[str, Any], prefix: str, rule_ids: tuple[str, ...], level: int, groups: str, description: str
) -> Alert:
    agent = holder.get("agent")
    if agent is not None and not isinstance(agent, dict):
        raise BadInput(f"{prefix}agent is {_named(agent)}, expected an object")
    agent = agent or {}
    agent_id = _text(agent.get("id"), f"{prefix}agent.id", 64)
    if agent_id is not None and not _ID.match(agent_id):
        raise BadInput(f"{prefix}agent.id is {shown(agent_id)}, expected digits such as '001'")
    return Alert(
        id=_alert_id(value),
        rule_ids=rule_ids,
        level=level,
        groups=_groups(rule.get(groups), f"{prefix}rule.{groups}"),
        description=_text(rule.get(description), f"{prefix}rule.{description}", LONGEST_TEXT) or "",
        agent_id=agent_id,
        agent_name=_text(agent.get("name"), f"{prefix}agent.name", LONGEST_NAME),
        timestamp=_text(value.get("@timestamp", value.get("timestamp")), "timestamp", 64),
        raw=value,
    )


def _alert_id(value: dict[str, Any]) -> str:
    """Wazuh 5 findings and a few of Wazuh 4's alerts bring no id: a digest of the content tells them apart as well."""
    found = _text(value.get("id"), "id", LONGEST_ALERT_ID)
    if found is None:
        import hashlib  # not at the top: most alerts bring an id, and the program on a host starts often

        return "sha256-" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
    if not _ID.match(found):
        raise BadInput(f"id is {shown(found)}, expected letters, digits and . _ : @ + - as in '1795492383.6793'")
    return found


def _rule_id(rule: dict[str, Any], path: str) -> str:
    value = rule.get(path.rpartition(".")[2])
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _ID.match(text):
        raise BadInput(f"{path} is {shown(value)}, expected text such as '5712'")
    return text


def _groups(value: object, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadInput(f"{path} is {shown(value)}, expected a list of texts")
    return tuple(value)


def _text(value: object, path: str, limit: int) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= limit):
        return value
    seen = f"{len(value)} characters long" if isinstance(value, str) else _named(value)
    raise BadInput(f"{path} is {seen}, expected text of at most {limit} characters")


def _named(value: object) -> str:
    names = ((bool, "true or false"), (str, "text"), (int, "a number"), (float, "a number"), (list, "a list"), (dict, "an object"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
