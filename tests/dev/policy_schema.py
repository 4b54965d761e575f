# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/policy.schema.json, for editors: made of the tables by which a policy is read. `python -m tests.dev.policy_schema` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import HIGHEST_LEVEL
from ansible_collections.riposte.active_response.plugins.module_utils.alert.allow import ALLOW_KEYS
from ansible_collections.riposte.active_response.plugins.module_utils.alert.breakers import RANGES
from ansible_collections.riposte.active_response.plugins.module_utils.alert.match import (
    AGENT_ID,
    LONGEST_PATH,
    LONGEST_VALUE,
    MATCH_KEYS,
    MOST_FIELDS,
    RULE_ID,
    TECHNIQUE,
    WHERE_ONLY,
)
from ansible_collections.riposte.active_response.plugins.module_utils.alert.observables import KINDS as OBSERVABLES
from ansible_collections.riposte.active_response.plugins.module_utils.alert.observables import MOST_PATHS
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import (
    AGENTS,
    ALL,
    GROUPS,
    KINDS,
    LIFETIMES,
    MODES,
    OFFENCES,
    OWN,
    POLICY_KEYS,
    RULE_KEYS,
    SERVER,
    Kind,
)
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import LONGEST, UNITS

FILE = Path(__file__).parents[2] / "docs/policy.schema.json"
Schema = dict[str, Any]

DURATION: Schema = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": LONGEST}, {"type": "string", "pattern": f"^[0-9]{{1,9}}[{''.join(UNITS)}]?$"}]}
MOMENT: Schema = {"anyOf": [{"type": "string", "pattern": r"^[0-9]{9,10}$|^\d{4}-\d\d-\d\d[Tt ].*([Zz]|[+-]\d\d:?\d\d)$"}, {"type": "integer"}]}
SWITCH: Schema = {"type": "boolean"}


def text(longest: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}


def pattern(of: str) -> Schema:
    return {"type": "string", "pattern": f"^{of}$"}


def many(each: Schema, most: int | None = None) -> Schema:
    return {"type": "array", "items": each, "minItems": 1, **({} if most is None else {"maxItems": most})}


def mapping(keys: tuple[str, ...], values: Schema, required: list[str] | None = None) -> Schema:
    """Exactly these keys: a KeyError here is a key that the reader knows and the schema does not."""
    assert set(values) == set(keys), f"of {sorted(set(values) ^ set(keys))} only the reader or only the schema knows"
    return {"type": "object", "properties": {key: values[key] for key in keys}, "required": required or [], "additionalProperties": False}


def schema() -> Schema:
    whole = {
        "mode": {"enum": list(MODES)},
        "rules": many(rule()),
        "find_hosts_by_name": SWITCH,
        "max_age": DURATION,
        "observables": {"type": "object", "propertyNames": {"enum": list(OBSERVABLES)}, "additionalProperties": many(text(LONGEST_PATH), MOST_PATHS)},
        "allow": {**mapping(ALLOW_KEYS, allow()), "minProperties": 1},
        "breakers": mapping(tuple(RANGES), {key: {"type": "integer", "minimum": low, "maximum": high} for key, (low, high) in RANGES.items()}),
    }
    return {
        "$comment": "SPDX-License-Identifier: GPL-3.0-or-later. Made by tests/dev/policy_schema.py.",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A policy of riposte.active_response",
        **mapping(POLICY_KEYS, whole, ["mode", "rules"]),
    }


def allow() -> Schema:
    address = {"type": "string", "pattern": "^[0-9A-Fa-f:./]{2,64}$"}
    return {"addresses": many(address), "hosts": many(text(200)), "white_lists": many(text(1000), 100), "cdb_lists": many(text(1000), 100)}


def rule() -> Schema:
    values = {"name": text(100), "mode": {"enum": list(MODES)}, "match": match(), "responses": many({"oneOf": [response(name) for name in KINDS]})}
    narrow = [name for name, kind in KINDS.items() if not kind.sweeping]
    has_narrow = {"properties": {"responses": {"contains": {"type": "object", "properties": {"response": {"enum": narrow}}, "required": ["response"]}}}}
    return {**mapping(RULE_KEYS, values, ["name", "match", "responses"]), "if": has_narrow, "then": {"properties": {"match": {"required": ["rule_ids"]}}}}


def match() -> Schema:
    value: Schema = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}, {"type": ["integer", "boolean"]}]}
    name = {"pattern": r"^[^.]+(\.[^.]+){0,19}$", "maxLength": LONGEST_PATH}
    values: Schema = {
        "rule_ids": many({"anyOf": [pattern(RULE_ID), {"type": "integer"}]}),
        "level": {"type": "integer", "minimum": 1, "maximum": HIGHEST_LEVEL},
        "groups": many(text(200)),
        "mitre": many(pattern(TECHNIQUE)),
        "agents": many(pattern(AGENT_ID)),
        "fields": {
            "type": "object",
            "propertyNames": name,
            "additionalProperties": {"anyOf": [value, many(value)]},
            "minProperties": 1,
            "maxProperties": MOST_FIELDS,
        },
    }
    return {**mapping(MATCH_KEYS, values), "anyOf": [{"required": [key]} for key in MATCH_KEYS if key not in WHERE_ONLY]}


def response(name: str) -> Schema:
    kind = KINDS[name]
    values: Schema = {
        "response": {"const": name},
        "observable": {"enum": list(kind.observables)},
        "timeout": DURATION,
        "until": MOMENT,
        "permanent": {"const": True},
        "repeated_offenders": many(DURATION),
        "offences": {"enum": list(OFFENCES)},
        "hosts": hosts(kind),
        "reason": text(200),
        "override": many({"anyOf": [{"enum": list(kind.guard_entries)}, {"type": "string", "pattern": r"^never:\S+$"}]}),
        **({"backend": {"enum": list(kind.backends)}} if kind.backends else {}),
        **dict.fromkeys(kind.switches, SWITCH),
    }
    beside = {"repeated_offenders": ["timeout"], "offences": ["repeated_offenders"]}
    once: Schema = {"oneOf": [{"required": [key]} for key in LIFETIMES], "dependencies": beside}
    return {**mapping(kind.keys, values, ["response"]), **once}


def hosts(kind: Kind) -> Schema:
    group = {**text(200), "not": {"const": ALL}}
    some = {"type": "object", "properties": {GROUPS: many(group), AGENTS: many(pattern(AGENT_ID))}, "additionalProperties": False}
    words = [OWN, *([ALL] if kind.sweeping else []), SERVER]
    return {"anyOf": [{"enum": words}, {**some, "minProperties": 1, "maxProperties": 1}]}


def written() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
