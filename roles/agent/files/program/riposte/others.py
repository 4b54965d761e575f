# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which executables that are not this program Wazuh has started for the very alerts that this program answered: seen in Wazuh's log."""

from __future__ import annotations

import json
import re
from collections import defaultdict

TAIL = 1 << 20  # bytes of the log that are looked through
_LINE = re.compile(rb"^\S+ \S+ active-response/bin/([A-Za-z0-9._-]+): (\{.*)$", re.MULTILINE)


def also_started(log: bytes) -> dict[str, list[str]]:
    """Executable -> ids of the alerts, in the order of the log. This program writes results; Wazuh's own write down the message that they were given."""
    answered: set[str] = set()
    started: dict[str, dict[str, None]] = defaultdict(dict)
    for found in _LINE.finditer(log):
        try:
            value = json.loads(found[2])
        except (ValueError, RecursionError):  # a line that is cut, or words of somebody's script
            continue
        if "riposte" in value:
            answered.add(_text(value["riposte"], "alert_id"))
        elif value.get("command") == "add":
            started[found[1].decode()][_text(_object(value.get("parameters")).get("alert"), "id")] = None
    both = {name: [alert for alert in alerts if alert and alert in answered] for name, alerts in sorted(started.items())}
    return {name: alerts for name, alerts in both.items() if alerts}


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object, name: str) -> str:
    found = _object(value).get(name)
    return found if isinstance(found, str) else ""
