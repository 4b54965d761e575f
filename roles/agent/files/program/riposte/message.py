# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What wazuh-execd says, a line of JSON each: Wazuh 4 (add, delete; the alert in parameters) and Wazuh 5 (enable, disable; the event itself).

The daemon is trusted, the alert within is not: whatever that holds, there is an order or a sentence that says why there is none.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.alert.alert import Alert
from engine.alert.observables import find
from engine.host.errors import BadInput, shown

from .log import one_line

LONGEST = 65536  # bytes of a line, as Wazuh has it
SECONDS = 30  # for the daemon to say its next line; it has it ready
RELEASES = {"add": False, "enable": False, "delete": True, "disable": True}
WAZUH4 = ("add", "delete")
# What Wazuh 4's own executables look at, and Suricata's src_ip with what says better who attacks. The decoder tells where they mean something else.
FIELDS = (
    ("data", "win", "eventdata", "ipAddress"),
    ("data", "srcip"),
    ("data", "src_ip"),
    ("data", "alert", "source", "ip"),
    ("data", "dstuser"),
    ("decoder", "name"),
)


class Order(NamedTuple):
    """What a message asks for. `words`: the extra arguments; `timeout`: of Wazuh 5, in seconds, 0 = it will not end it; `message`: as it came."""

    release: bool
    wazuh4: bool
    alert: Mapping[str, Any]
    words: tuple[str, ...]
    timeout: int
    message: Mapping[str, Any]

    @property
    def alert_id(self) -> str:
        """The alert's own id; where it has none (Wazuh 5, the API), one made of its content, for the breaker counts what an alert began."""
        found = self.alert.get("id")
        if isinstance(found, str) and found:
            return found
        import hashlib

        return "sha256-" + hashlib.sha256(json.dumps(self.alert, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def reason(self) -> str:
        """The rule that fired, in the alert's own words."""
        wazuh5 = self.alert.get("wazuh")
        holder = self.alert if self.wazuh4 else wazuh5 if isinstance(wazuh5, Mapping) else {}
        rule = holder.get("rule")
        told = [rule.get("id"), rule.get("description" if self.wazuh4 else "title")] if isinstance(rule, Mapping) else []
        text = ": ".join(str(each) for each in told if isinstance(each, (str, int)))
        return text and f"Wazuh rule {text}"

    def observable(self, kind: str) -> str:
        """The address or user that the alert names, or BadInput."""
        alert = _wazuhs(self.alert) if self.wazuh4 else self.alert
        found = find(Alert("", (), 0, (), "", None, None, None, alert), kind)
        if found.value is None:
            raise BadInput(found.why)
        return found.value


def _wazuhs(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Those of an alert's parts that are looked at: no executable acts on more because this program has taken its place."""
    made: dict[str, Any] = {}
    for *path, name in FIELDS:
        value: Any = alert
        for each in (*path, name):
            value = value.get(each) if isinstance(value, Mapping) else None
        if value is not None:
            holder = made
            for each in path:
                holder = holder.setdefault(each, {})
            holder[name] = value
    return made


class Lines:
    """The lines of a pipe. Never read to its end: the daemon leaves it open until this program exits."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._rest = b""
        self.waited = 0.0
        """Seconds that it took whoever writes there to do so."""

    def next(self) -> str:
        """The next line, or BadInput. As fgets does, it takes the last one without its end too."""
        deadline = time.monotonic() + SECONDS
        while b"\n" not in self._rest[: LONGEST + 1]:
            if len(self._rest) > LONGEST:
                raise BadInput(f"standard input: a line is longer than {LONGEST} bytes")
            begun = time.monotonic()
            there = select.select([self._handle], [], [], max(0.0, deadline - begun))[0]
            self.waited += time.monotonic() - begun
            if not there:
                raise BadInput(f"standard input: no whole line within {SECONDS} s, {len(self._rest)} bytes of one")
            piece = os.read(self._handle, LONGEST)
            if not piece:
                break
            self._rest += piece
        line, _newline, self._rest = self._rest.partition(b"\n")
        if not line:
            raise BadInput("standard input: it has ended, or an empty line came; a message of wazuh-execd was expected")
        return line.decode("utf-8", "replace")


def read_order(line: str) -> Order:
    """A first message, or BadInput."""
    message = _parsed(line)
    command = message.get("command")
    if not isinstance(command, str) or command not in RELEASES:
        raise BadInput(f"command {shown(command)}: it must be one of {', '.join(RELEASES)}")
    return _wazuh4(message, command) if command in WAZUH4 else _wazuh5(message, command)


def read_answer(line: str) -> bool:
    """The daemon's word on the keys: True = continue, False = abort; or BadInput."""
    command = _parsed(line).get("command")
    if command not in ("continue", "abort"):
        raise BadInput(f"command {shown(command)}: after the keys it must be continue or abort")
    return bool(command == "continue")


def check_keys(name: str, key: str) -> str:
    """What this program says between the two."""
    keys = {"version": 1, "origin": {"name": name, "module": "active-response"}, "command": "check_keys", "parameters": {"keys": [key]}}
    return one_line(keys) + "\n"


def _wazuh4(message: dict[str, Any], command: str) -> Order:
    version = message.get("version")
    if isinstance(version, bool) or version != 1:
        raise BadInput(f"version {shown(version)}: this program speaks version 1 of wazuh-execd's protocol; update the collection")
    _object(message, "origin")
    parameters = _object(message, "parameters")
    return Order(RELEASES[command], True, _object(parameters, "alert", "parameters."), _words(parameters.get("extra_args")), 0, message)


def _wazuh5(message: dict[str, Any], command: str) -> Order:
    order = _object(_object(message, "wazuh"), "active_response", "wazuh.")
    timeout = order.get("stateful_timeout")
    if order.get("type") != "stateful" or not isinstance(timeout, int) or isinstance(timeout, bool) or timeout < 0:
        timeout = 0
    return Order(RELEASES[command], False, message, _words(order.get("extra_arguments")), timeout, message)


def _words(value: object) -> tuple[str, ...]:
    """Extra arguments: a list, or one text with blanks between them."""
    parts = value.split() if isinstance(value, str) else value
    return tuple(str(each) for each in parts) if isinstance(parts, list) else ()


def _object(holder: Mapping[str, Any], name: str, prefix: str = "") -> dict[str, Any]:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise BadInput(f"{prefix}{name} is {shown(value)}, expected an object")
    return value


def _parsed(line: str) -> dict[str, Any]:
    """One JSON object that can be written as JSON again."""
    try:
        value = _DECODER.decode(line.strip(" \t\r"))
        if isinstance(value, dict):
            one_line(value)
            return value
    except ValueError as error:
        raise BadInput(f"message {shown(line)}: it is not JSON: {error}") from error
    except RecursionError as error:
        raise BadInput(f"message {shown(line)}: it is nested too deeply") from error
    raise BadInput(f"message {shown(line)}: it must be a JSON object")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values under one key counts differs from parser to parser, so neither does: an empty list is nothing that anyone looks for."""
    value: dict[str, Any] = {}
    for key, each in pairs:
        value[key] = [] if key in value else each
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_once)
