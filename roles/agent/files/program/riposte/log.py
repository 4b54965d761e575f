# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wazuh's log of active responses: lines that its own decoders read. The texts in it are an attacker's, so no control character gets there."""

from __future__ import annotations

import json
import os
import stat
import sys
import syslog
import time
from collections.abc import Mapping
from typing import Any, Callable

from engine.host.errors import BadInput, Problem
from engine.host.lifetime import moment_text
from engine.host.response import printable

FOLDER = "active-response/bin"
LONGEST_TEXT = 1000


def complain(text: str) -> None:
    """Says what has no better place; under wazuh-execd standard error leads nowhere."""
    print(f"riposte: {text}", file=sys.stderr)
    syslog.syslog(syslog.LOG_WARNING, text)


class Log:
    """One program's lines in the log below Wazuh's home. That a line cannot be written stops nothing: it is said elsewhere."""

    def __init__(self, home: str, name: str, elsewhere: Callable[[str], None] = complain) -> None:
        self.path = os.path.join(home, "logs/active-responses.log")
        self.program = f"{FOLDER}/{name}"
        self._elsewhere = elsewhere

    def text(self, text: str) -> None:
        """One line for people."""
        self._write(printable(text, LONGEST_TEXT))

    def json(self, value: Mapping[str, Any]) -> None:
        """One line for Wazuh's decoder of JSON."""
        self._write(one_line(value))

    def result(self, outcome: str, response: str, target: str, message: str, identity: str | None = None, alert_id: str = "", until: str | None = None) -> None:
        """What became of one target, for the rules of the role manager. `until`: a moment, "permanent", or None when nothing stands."""
        told = {"version": 1, "outcome": outcome, "response": response, "target": printable(target, LONGEST_TEXT), "id": identity, "alert_id": alert_id}
        self.json({"riposte": {**told, "until": until, "message": printable(message, LONGEST_TEXT)}})

    def problem(self) -> str | None:
        """Why nothing can be written there."""
        try:
            os.close(self._opened())
        except (OSError, BadInput) as error:
            return f"{self.path}: {getattr(error, 'strerror', None) or error}"
        return None

    def tail(self, size: int) -> bytes:
        """Its last lines, of so many bytes at most. Problem when it cannot be read."""
        try:
            with os.fdopen(self._opened(os.O_RDONLY), "rb") as stream:
                begin = stream.seek(0, os.SEEK_END) - size
                stream.seek(max(0, begin))
                if begin > 0:
                    stream.readline()
                return stream.read(size)
        except OSError as error:
            raise Problem(f"{self.path}: cannot be read: {error.strerror}") from error

    def _opened(self, how: int = os.O_WRONLY | os.O_APPEND) -> int:
        """The log, if it is an ordinary file: Wazuh's own account may write in its folder, and must not lead root to another file."""
        handle = os.open(self.path, how | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        seen = os.fstat(handle)
        wrong = "it is no ordinary file" if not stat.S_ISREG(seen.st_mode) else "it has a second name" if seen.st_nlink != 1 else ""
        if wrong:
            os.close(handle)
            raise BadInput(wrong)
        return handle

    def _write(self, text: str) -> None:
        line = f"{time.strftime('%Y/%m/%d %H:%M:%S')} {self.program}: {text}\n".encode("ascii", "backslashreplace")
        try:
            handle = self._opened()
            try:
                if os.write(handle, line) < len(line):
                    raise BadInput("only a part of a line could be written (disk full?)")
            finally:
                os.close(handle)
        except (OSError, BadInput) as error:
            self._elsewhere(f"{self.path}: {getattr(error, 'strerror', None) or error}; what it should have said: {text[:LONGEST_TEXT]}")


def until_text(end: float | None) -> str:
    """An end as the log has it."""
    return moment_text(end) or "permanent"


def one_line(value: Mapping[str, Any]) -> str:
    """JSON in printable ASCII. ValueError when JSON has no such number, RecursionError when it is nested too deeply."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
