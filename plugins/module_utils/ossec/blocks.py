# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manager's ossec.conf is to hold of ours: commands, active responses, integrations, log files. Nothing in it may be started by a response itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..host.errors import BadInput, shown
from ..host.lifetime import parse_duration

# Wazuh's rules about responses that ran, 4.x: the older 600 to 607, then 650 to 658. Level 5 is the highest of them; these are all their groups.
WAZUHS_RULES = (*range(600, 608), *range(650, 659))
WAZUHS_LEVEL = 5
WAZUHS_GROUPS = (
    "ossec,active_response,pci_dss_11.4,gpg13_4.13,gdpr_iv_35.7.d,nist_800_53_si.4,tsc_cc6.1,tsc_cc6.8,tsc_cc7.2,tsc_cc7.3,tsc_cc7.4,"  # as Wazuh compares
)
OUR_GROUPS = "riposte,active_response,"
OUR_RULES = 20
"""How many numbers from the first on are kept for our rules."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_AGENT = re.compile(r"[0-9]{3,10}\Z")
_GROUP = re.compile(r"[A-Za-z0-9_.:-]+,?\Z")
_WORD = re.compile(r"[^\s<]+\Z")
_INTEGRATION = re.compile(r"(slack|pagerduty|virustotal|shuffle|maltiverse|custom-[A-Za-z0-9_.-]+)\Z")

KEYS = frozenset("executable name timeout permanent extra_args location agent_id level rules_group rules_id".split())
TRIGGERS = ("level", "rules_group", "rules_id")
LOCATIONS = ("local", "server", "defined-agent", "all")
INTEGRATION_KEYS = frozenset("name api_key hook_url level rule_id group event_location max_log alert_format options timeout retries".split())

Entry = Mapping[str, Any]
Block = dict[str, Any]


def blocks(responses: Sequence[Entry], integrations: Sequence[Entry], localfiles: Sequence[Entry], first_rule: int) -> list[Block]:
    """The block's entries in order, for `edit.render`. BadInput names the entry and what is wrong with it.

    first_rule: the first of OUR_RULES numbers that our own rules take.
    """
    commands: list[Block] = []
    active: list[Block] = []
    for entry in responses:
        name = command_name(entry)
        if name in (command["command"]["name"] for command in commands):
            raise BadInput(f"response {name}: there are two of this name; give one of them another with name: …")
        try:
            commands.append({"command": _command(name, entry)})
            if any(entry.get(trigger) is not None for trigger in TRIGGERS):
                active.append({"active-response": _active_response(name, entry, first_rule)})
            elif entry.get("location") or entry.get("agent_id"):
                raise BadInput(f"location and agent_id mean nothing without one of {', '.join(TRIGGERS)}: nothing would start it")
        except BadInput as bad:
            raise BadInput(f"response {name}: {bad}") from None
    return [*commands, *active, *map(_integration, integrations), *map(_localfile, localfiles)]


def command_name(entry: Entry) -> str:
    for key in entry:
        if key not in KEYS:
            raise BadInput(f"response {shown(entry.get('executable', entry))}: {shown(key)} is not known; known are {', '.join(sorted(KEYS))}")
    executable = _matching(entry, "executable", _NAME, "a file name such as firewall-drop")
    return _matching({"name": f"riposte-{executable}", **{key: value for key, value in entry.items() if value is not None}}, "name", _NAME, "a plain name")


def _command(name: str, entry: Entry) -> Block:
    timeout, permanent = entry.get("timeout"), bool(entry.get("permanent"))
    if timeout is not None and permanent:
        raise BadInput("timeout and permanent exclude each other; say one of them")
    if timeout is not None:
        parse_duration(str(timeout))
    words = [f"timeout={timeout}"] * (timeout is not None) + ["permanent"] * permanent + [str(word) for word in entry.get("extra_args") or []]
    for word in words:
        if not _WORD.match(word):
            raise BadInput(f"extra_args: {shown(word)} must be one word, without blanks and <; Wazuh splits at blanks")
    return {"name": name, "executable": entry["executable"], "timeout_allowed": timeout is not None, "extra_args": " ".join(words) or None}


def _active_response(name: str, entry: Entry, first_rule: int) -> Block:
    location, agent = str(entry.get("location") or "local"), entry.get("agent_id")
    if location not in LOCATIONS:
        raise BadInput(f"location {shown(location)}: expected one of {', '.join(LOCATIONS)}")
    if (location == "defined-agent") != (agent is not None):
        raise BadInput(f"location {location}, agent_id {shown(agent)}: the location defined-agent needs an agent_id, and the others take none")
    if agent is not None and (not _AGENT.match(str(agent)) or not int(str(agent))):
        raise BadInput(f"agent_id {shown(agent)}: expected an agent's number as text such as '007'; 000, the manager, is location: server")
    timeout = entry.get("timeout")
    return {
        "command": name,
        "location": location,
        "agent_id": agent,
        "level": _level(entry.get("level")),
        "rules_group": _groups(entry.get("rules_group")),
        "rules_id": _rules(entry.get("rules_id"), first_rule),
        # Wazuh's own clock as well: an agent that has Wazuh's executable still lets go at the end.
        "timeout": None if timeout is None else parse_duration(str(timeout)),
    }


def _level(level: Any) -> int | None:
    if level is None:
        return None
    if not re.match(r"[0-9]{1,2}\Z", str(level)) or not WAZUHS_LEVEL < int(level) <= 16:
        raise BadInput(
            f"level {shown(level)}: expected {WAZUHS_LEVEL + 1} to 16. Wazuh's rules about responses that ran have levels up to {WAZUHS_LEVEL}, "
            "so a lower one would start a response on each response; name the rules in rules_id instead"
        )
    return int(level)


def _groups(groups: Any) -> str | None:
    if groups is None:
        return None
    for group in str(groups).split("|"):
        if not _GROUP.match(group):
            raise BadInput(f"rules_group {shown(group)}: expected plain names with | between them, such as authentication_failures,|attack,")
        # Wazuh looks for it anywhere in all groups of a rule, written one behind the other, and makes no difference of capitals.
        if group.lower() in WAZUHS_GROUPS or group.lower() in OUR_GROUPS:
            raise BadInput(f"rules_group {shown(group)}: Wazuh finds it in the groups of the rules about responses that ran ({WAZUHS_GROUPS})")
    return str(groups)


def _rules(rules: Any, first_rule: int) -> str | None:
    if rules is None:
        return None
    numbers = [str(rule).strip() for rule in (rules if isinstance(rules, (list, tuple)) else str(rules).split(","))]
    for number in numbers:
        if not re.match(r"[1-9][0-9]{0,5}\Z", number):
            raise BadInput(f"rules_id {shown(number)}: expected numbers of rules, such as 5712")
        if int(number) in WAZUHS_RULES or first_rule <= int(number) < first_rule + OUR_RULES:
            raise BadInput(f"rules_id {number}: that rule tells of a response that ran, and must not start one")
    return ",".join(numbers)


def _integration(entry: Entry) -> Block:
    name = _matching(entry, "name", _INTEGRATION, "slack, pagerduty, virustotal, shuffle, maltiverse or custom-NAME")
    for key in entry:
        if key not in INTEGRATION_KEYS:
            raise BadInput(f"integration {name}: {shown(key)} is not known; known are {', '.join(sorted(INTEGRATION_KEYS))}")
    options = entry.get("options")
    return {"integration": {**entry, **({"options": json.dumps(options)} if isinstance(options, Mapping) else {})}}


def _localfile(entry: Entry) -> Block:
    if not entry.get("log_format"):
        raise BadInput(f"localfile {shown(dict(entry))}: it has no log_format, such as syslog or json")
    return {"localfile": dict(entry)}


def _matching(entry: Entry, key: str, pattern: re.Pattern[str], expected: str) -> str:
    value = str(entry.get(key) or "")
    if not pattern.match(value) or ".." in value:
        raise BadInput(f"{key} {shown(value)}: expected {expected}")
    return value
