# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event filter `alert`: alerts of Wazuh that came by somebody else's event source, made safe to write a rule about and to hand on."""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import time
from pathlib import Path
from typing import Any

# ansible-rulebook runs this file without a package: the collection's other files are found from its own path, which may go through a link.
sys.path.append(str(Path(__file__).absolute().parents[7]))

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.message import Message, Received, Stale, read_message
from ansible_collections.riposte.active_response.plugins.module_utils.alert.observables import KINDS, find
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import printable

DOCUMENTATION = r"""
---
short_description: Validate and type alerts of Wazuh that come by any event source.
description:
  - For the sources that do not keep what they receive, such as an event stream of EDA controller, C(eda.builtin.webhook), C(eda.builtin.pg_listener)
    or Kafka. The event source C(riposte.active_response.wazuh) needs no filter.
  - Takes the message under C(payload) or C(body) of an event, or the event itself, in any form that the source C(wazuh) reads, and makes an event of each
    alert in it. Nothing else of the event is kept, so no C(meta.hosts) of a sender decides on which hosts an action runs.
  - C(alert_b64) is the alert as it came, in base64, for the extra var C(riposte_alert_b64) of the playbook C(riposte.active_response.respond). An
    attacker writes much of what is in an alert, and ansible-core evaluates an extra var that looks like a template, so text travels in no other way.
  - C(alert) holds what conditions are about, all of it checked. C(id), C(rule_id), C(rule_ids), C(level), C(groups), C(timestamp), C(agent_id) if there
    is one, and C(observables), of which each that the alert names is there by its kind (C(address), C(user), C(hash), ...). A group or an observable with
    another character than letters, digits, blank and C(_.:@+-/\$) is left out. It is still in C(alert_b64), and the policy sees it.
  - What is no alert, or too old, becomes an event C(refused), with C(count) and C(why_b64).
options:
  oldest:
    description:
      - How many seconds old an alert may be, by its own timestamp. It keeps others from sending again what they saw. A message of riposte's own
        sender must be at most 300 seconds old instead.
    type: int
    default: 3600
  refused:
    description: Whether what is refused becomes an event, or is dropped. It is logged in both cases.
    type: str
    choices: [event, drop]
    default: event
notes:
  - A filter has no way to answer the sender, and the built-in sources keep nothing. An alert that was answered with 200 is lost when ansible-rulebook ends
    before its action has begun.
seealso:
  - name: The event source riposte.active_response.wazuh
    description: Keeps alerts on disk before it answers, and hands them out in batches.
    link: https://github.com/ansible-collections/riposte.active_response
"""

EXAMPLES = r"""
- name: Alerts by an event stream
  hosts: all
  sources:
    - eda.builtin.webhook:
        port: 5000
        token: "{{ token }}"
      filters:
        - riposte.active_response.alert:
            oldest: 600
  rules:
    - name: Answer it
      condition: event.alert.level >= 10
      action:
        run_playbook:
          name: riposte.active_response.respond
          extra_vars:
            riposte_alert_b64: "{{ event.alert_b64 }}"
            riposte_policy: /etc/riposte/policy.yml
"""

LONGEST = 1 << 20  # characters of a message, as the built-in webhook has it
DEEPEST = 150  # levels of a message: an alert's 100, and what it may be wrapped in
TOLD = 10  # reasons in one event
CHOICES = ("event", "drop")
LOG = logging.getLogger("riposte.alert")

_PLAIN = re.compile(r"[A-Za-z0-9_.:@+/\\$ -]{1,256}\Z")  # nothing that could begin a template


def main(event: dict[str, Any], oldest: float = 3600, refused: str = "event") -> list[dict[str, Any]]:
    """The events that an event becomes. Raises only for options that cannot be."""
    if isinstance(oldest, bool) or not isinstance(oldest, (int, float)) or not 10 <= oldest <= 86_400:
        raise ValueError(f"riposte.active_response.alert: oldest: {oldest!r}: it must be a number from 10 to 86400")
    if refused not in CHOICES:
        raise ValueError(f"riposte.active_response.alert: refused: {refused!r}: it must be one of {', '.join(CHOICES)}")
    message, reasons = _read(event, oldest)
    events = [_event(received) for received in message.alerts]
    if reasons:
        told = "; ".join(reasons[:TOLD])
        LOG.warning("%s alerts taken, %s refused: %s", len(events), len(reasons), printable(told, 1000))
        if refused == "event":
            events.append({"refused": {"count": len(reasons), "why_b64": _base64(told)}})
    return events


def _read(event: object, oldest: float) -> tuple[Message, list[str]]:
    """The message in an event, and what in it is refused."""
    try:
        message = read_message(_text(_message(event)), time.time(), oldest)
    except (Stale, BadInput) as error:
        return Message([], []), [str(error)]
    return message, [f"{where}: {why}" for where, why in message.problems]


def _message(event: object) -> object:
    """What the sender said: `payload` of a webhook or an event stream, `body` of Kafka, or all of it."""
    if isinstance(event, dict):
        for name in ("payload", "body"):
            if name in event:
                return event[name]
        return {name: value for name, value in event.items() if name != "meta"}
    return event


def _text(message: object) -> str:
    """The message as text again, for only the one reader of messages knows what all may be wrong with one."""
    if isinstance(message, (bytes, str)):
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
    else:
        _check_depth(message)
        try:
            text = json.dumps(message)
        except (TypeError, ValueError) as error:
            raise BadInput(f"the message is no JSON: {error}") from error
    if len(text) > LONGEST:
        raise BadInput(f"the message is {len(text)} characters long, it may have {LONGEST}")
    return text


def _check_depth(message: object) -> None:
    """Where Python runs inside a Java machine, its JSON encoder ends the process before it comes to its own limit."""
    level = [message]
    for _depth in range(DEEPEST):
        below: list[object] = []
        for each in level:
            below += each.values() if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ()
        if not below:
            return
        level = below
    raise BadInput(f"the message is nested deeper than {DEEPEST} levels")


def _event(received: Received) -> dict[str, Any]:
    return {"alert": _typed(received.alert), "alert_b64": _base64(received.body)}


def _typed(alert: Alert) -> dict[str, Any]:
    """What a condition may be about. Ids have passed `to_alert`, which lets nothing through that could begin a template; the rest passes here."""
    found = {kind: find(alert, kind).value for kind in KINDS}
    typed = {
        "id": alert.id,
        "rule_id": alert.rule_id,
        "rule_ids": list(alert.rule_ids),
        "level": alert.level,
        "groups": [group for group in alert.groups if _PLAIN.match(group)],
        "agent_id": alert.agent_id,
        "timestamp": alert.timestamp if _PLAIN.match(alert.timestamp or "") else None,
        "observables": {kind: value for kind, value in found.items() if value is not None and _PLAIN.match(value)},
    }
    return {name: value for name, value in typed.items() if value is not None}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")
