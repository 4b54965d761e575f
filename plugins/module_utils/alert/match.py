# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alerts a rule of the policy is for. Texts are compared as they are, never as patterns: an alert's text is hostile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .alert import HIGHEST_LEVEL, Alert
from .checks import Checks, is_number, printed

MATCH_KEYS = ("rule_ids", "level", "groups", "mitre", "agents", "fields")
WHERE_ONLY = ("agents",)  # they say where an alert is from and nothing of what it is about: not enough by themselves
MOST_FIELDS, LONGEST_PATH, DEEPEST_PATH, LONGEST_VALUE = 50, 256, 20, 1000
MOST_ITEMS = 1000  # of a list in an alert; what follows is not looked at

RULE_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
AGENT_ID = r"[A-Za-z0-9][A-Za-z0-9-]{0,127}"
TECHNIQUE = r"T[0-9]{4}(\.[0-9]{3})?"
_RULE_ID, _AGENT_ID, _TECHNIQUE = (re.compile(rf"{each}\Z", re.ASCII) for each in (RULE_ID, AGENT_ID, TECHNIQUE))
_TAG = re.compile(r"attack\.(t[0-9]{4}(?:\.[0-9]{3})?)\Z", re.ASCII | re.IGNORECASE)  # as Sigma's rules and Wazuh 5 have it
_TECHNIQUES = ("rule.mitre.id", "wazuh.rule.mitre.id", "threat.technique.id", "threat.technique.subtechnique.id")


class Wanted(NamedTuple):
    """A field of the alert, and the texts of which it must have one."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """All that is given must hold (Wazuh's own matching takes what meets any of it)."""

    rule_ids: tuple[str, ...] = ()
    level: int | None = None
    groups: tuple[str, ...] = ()
    mitre: tuple[str, ...] = ()  # a technique has its sub-techniques in it
    agents: tuple[str, ...] = ()
    fields: tuple[Wanted, ...] = ()

    def matches(self, alert: Alert) -> bool:
        """Cheap questions first: most alerts are for no rule."""
        return (
            (not self.rule_ids or not set(self.rule_ids).isdisjoint(alert.rule_ids))
            and (not self.level or alert.level >= self.level)
            and (not self.groups or not set(self.groups).isdisjoint(alert.groups))
            and (not self.agents or (alert.agent_id is not None and padded(alert.agent_id) in map(padded, self.agents)))
            and (not self.mitre or any(_is_part(technique, self.mitre) for technique in techniques(alert)))
            and all(_has(alert, each) for each in self.fields)
            and any((self.rule_ids, self.level, self.groups, self.mitre, self.agents, self.fields))
        )


def padded(agent_id: str) -> str:
    """Wazuh pads agent ids to three digits; people do not."""
    return agent_id.lstrip("0").zfill(3) if agent_id.isdigit() else agent_id


def techniques(alert: Alert) -> set[str]:
    """The ids of MITRE's techniques that the alert names."""
    named = {value.upper() for path in _TECHNIQUES for value in values_at(alert.raw, path) if isinstance(value, str)}
    return named | {found[1].upper() for tag in alert.groups if (found := _TAG.match(tag))}


def _is_part(technique: str, of: Sequence[str]) -> bool:
    return technique in of or technique.partition(".")[0] in of


def _has(alert: Alert, wanted: Wanted) -> bool:
    return any(_as_text(value) in wanted.values for value in values_at(alert.raw, wanted.path))


def _as_text(value: object) -> str | None:
    """Wazuh writes most numbers and truths as text: 4625 is "4625", true is "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else None


def values_at(raw: Mapping[str, object], path: str) -> Iterator[object]:
    """What stands in an alert under a dotted path. A list counts as each of its items; a name may have the dots in it: {"source.ip": …}."""
    yield from _below(raw, path.split("."))


def _below(value: object, names: Sequence[str]) -> Iterator[object]:
    if isinstance(value, list):
        for item in value[:MOST_ITEMS]:
            if not isinstance(item, list):
                yield from _below(item, names)
    elif not names:
        yield value
    elif isinstance(value, Mapping):
        for end in range(1, len(names) + 1):
            name = ".".join(names[:end])
            if name in value:
                yield from _below(value[name], names[end:])


def read_match(checks: Checks, path: str, data: object) -> Match:
    given = checks.mapping(path, data, MATCH_KEYS)
    if isinstance(data, Mapping) and not data:
        checks.wrong(path, data, f"an empty match matches nothing; give one of {', '.join(MATCH_KEYS)}")
    elif given and set(given) <= set(WHERE_ONLY):
        checks.wrong(path, data, "agents say where an alert is from, not what it is about; give something else of it too")
    level = None
    if "level" in given:
        level = checks.number(f"{path}.level", given["level"], 1, HIGHEST_LEVEL, "the lowest level to match")

    def each(key: str) -> Iterator[tuple[str, object]]:
        if key in given:
            yield from ((f"{path}.{key}[{at}]", value) for at, value in enumerate(checks.items(f"{path}.{key}", given[key])))

    return Match(
        tuple(_rule_id(checks, where, value) for where, value in each("rule_ids")),
        level,
        checks.texts(f"{path}.groups", given["groups"]) if "groups" in given else (),
        tuple(_technique(checks, where, value) for where, value in each("mitre")),
        tuple(read_agent_id(checks, where, value) for where, value in each("agents")),
        _fields(checks, f"{path}.fields", given["fields"]) if "fields" in given else (),
    )


def _rule_id(checks: Checks, path: str, value: object) -> str:
    text = str(value) if is_number(value) else value
    if isinstance(text, str) and _RULE_ID.match(text):
        return text
    checks.wrong(path, value, 'it must be the id of a Wazuh rule, such as "5712"')
    return ""


def _technique(checks: Checks, path: str, value: object) -> str:
    if isinstance(value, str) and _TECHNIQUE.match(value):
        return str(value)
    checks.wrong(path, value, "it must be the id of a MITRE technique, such as T1110 or T1110.001")
    return ""


def read_agent_id(checks: Checks, path: str, value: object) -> str:
    if isinstance(value, str) and _AGENT_ID.match(value):
        return str(value)
    checks.wrong(path, value, 'it must be the id of a Wazuh agent in quotes, such as "007": YAML reads a bare 012 as ten')
    return ""


def _fields(checks: Checks, path: str, data: object) -> tuple[Wanted, ...]:
    if not isinstance(data, Mapping) or not 0 < len(data) <= MOST_FIELDS:
        checks.wrong(path, data, f"it must be a mapping of 1 to {MOST_FIELDS} fields to what they must be: {{data.win.system.channel: Security}}")
        return ()
    return tuple(_wanted(checks, f"{path}.{printed(name)}", name, value) for name, value in data.items())


def _wanted(checks: Checks, path: str, name: object, value: object) -> Wanted:
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or len(name) > LONGEST_PATH
        or not 0 < len(name.split(".")) <= DEEPEST_PATH
        or not all(name.split("."))
    ):
        checks.wrong(path, name, f"a field is named by 1 to {DEEPEST_PATH} names with dots between them, such as data.win.system.channel")
        return Wanted("", ())
    values = checks.items(path, value) if isinstance(value, list) else [value]
    return Wanted(str(name), tuple(_value(checks, f"{path}[{at}]" if isinstance(value, list) else path, each) for at, each in enumerate(values)))


def _value(checks: Checks, path: str, value: object) -> str:
    text = _as_text(value)
    if text is None or not 0 < len(text) <= LONGEST_VALUE:
        checks.wrong(
            path, value, f"it must be text of 1 to {LONGEST_VALUE} characters, a whole number, true or false; it is compared as it is, not as a pattern"
        )
        return ""
    return text
