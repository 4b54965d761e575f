# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's audit: a JSON line for each alert, decision, approval and outcome, in a file that other programs follow. Its schema: docs/rulebooks.md.

The spool is the record of what is owed; this tells people what happened. So a line that cannot be written stops nothing, and is said.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..module_utils.alert.alert import Alert
from ..module_utils.host.response import printable
from .spool.records import Answer

VERSION = 1
ALERT, DECISION, OUTCOME, APPROVAL = "alert", "decision", "outcome", "approval"
LONGEST_LINE = 8192  # bytes; what is longer is cut, and says so
LIMITS = (1000, 200, 40, 8)  # characters of a text, and a tenth as many items of a list: the first that makes the line fit
DEEPEST = 4


def alert(alert: Alert, state: str, why: str = "", batch: int | None = None, received: float | None = None) -> dict[str, Any]:
    """An alert that came to a state: taken, answered, failed (`why`). received: epoch seconds."""
    return {
        "event": ALERT,
        "alert_id": alert.id,
        "state": state,
        "why": why,
        "rule_id": alert.rule_id,
        "level": alert.level,
        "groups": list(alert.groups),
        "description": alert.description,
        "agent_id": alert.agent_id,
        "agent_name": alert.agent_name,
        "timestamp": alert.timestamp,
        "received": moment(received),
        "batch": batch,
    }


def ended(alert_id: str, state: str, why: str = "", batch: int | None = None) -> dict[str, Any]:
    """An alert of which only the id is at hand, that came to its end: answered, failed."""
    return {"event": ALERT, "alert_id": alert_id, "state": state, "why": why, "batch": batch}


def decision(decision: Mapping[str, Any], mode: str, batch: int | None = None) -> dict[str, Any]:
    """What the policy made of an alert, as `Decision.as_dict` words it. mode: the whole policy's, for a decision that has none of its own."""
    return {"event": DECISION, **decision, "mode": decision.get("mode") or mode, "batch": batch}


def outcome(host: str, answer: Answer, batch: int | None = None) -> dict[str, Any]:
    """What a host answered about one target."""
    return {"event": OUTCOME, "host": host, **answer._asdict(), "until": moment(answer.until), "batch": batch}


def approval(alert_id: str, rule: str, said: str, by: str) -> dict[str, Any]:
    """What a person said about what waited: approved, rejected."""
    return {"event": APPROVAL, "alert_id": alert_id, "rule": rule, "said": said, "by": by}


def write(path: str, entries: Iterable[Mapping[str, Any]]) -> str:
    """Appends the entries; returns "", or what is wrong: nothing raises. An empty path: no audit is kept.

    The file is opened anew each time, so that it may be renamed at any moment, and each line is one write, so that many processes may append at once.
    """
    if not path:
        return ""
    try:
        return _append(path, [line(entry) for entry in entries])
    except (OSError, ValueError) as error:
        return f"audit {printable(path, 200)}: {getattr(error, 'strerror', None) or error}: what was done is not in the audit"


def _append(path: str, lines: list[bytes]) -> str:
    # Without O_NONBLOCK a named pipe that nobody reads would hold up the run.
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return f"audit {path}: this is not a regular file; what was done is not in the audit"
        fcntl.flock(handle, fcntl.LOCK_EX)  # or the last line could be one that another process is just writing
        seen = os.fstat(handle)
        broken = seen.st_size > 0 and os.pread(handle, 1, seen.st_size - 1) != b"\n"  # a full disk cut the last line short
        for number, each in enumerate(lines):
            content = b"\n" + each if broken and number == 0 else each
            if os.write(handle, content) != len(content):
                return f"audit {path}: line {number + 1} of {len(lines)} was cut short, the disk may be full; what follows it is not in the audit"
    finally:
        os.close(handle)
    return ""


def line(entry: Mapping[str, Any], now: float | None = None) -> bytes:
    """The entry as a line of JSON in ASCII: no control or direction character gets to a reader's terminal, and it has an end."""
    head = {"riposte_audit": VERSION, "time": moment(time.time() if now is None else now)}
    for limit in LIMITS:
        cut: list[bool] = []
        body = {**head, **{str(name): _bounded(value, limit, cut) for name, value in entry.items()}}
        content = json.dumps({**body, "cut": True} if cut else body, separators=(",", ":")).encode() + b"\n"
        if len(content) <= LONGEST_LINE:
            return content
    known = {name: _bounded(entry.get(name), LIMITS[-1], []) for name in ("event", "alert_id")}
    return json.dumps({**head, **known, "cut": True}, separators=(",", ":")).encode() + b"\n"


def _bounded(value: Any, limit: int, cut: list[bool], depth: int = 0) -> Any:
    """The value with its texts printable, its lists and texts no longer than they may be. `cut` is not empty when something was left out."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and abs(value) < 1 << 53:
        return value
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {printable(str(name), limit): _bounded(each, limit, cut, depth + 1) for name, each in _first(list(value.items()), limit, cut)}
    if isinstance(value, (list, tuple)) and depth < DEEPEST:
        return [_bounded(each, limit, cut, depth + 1) for each in _first(value, limit, cut)]
    text = value if isinstance(value, str) else repr(value)
    if len(text) > limit:
        cut.append(True)
    return printable(text, limit)


def _first(values: list[Any] | tuple[Any, ...], limit: int, cut: list[bool]) -> list[Any]:
    most = max(1, limit // 10)
    if len(values) > most:
        cut.append(True)
    return list(values[:most])


def moment(epoch: float | None) -> str | None:
    """ISO 8601 in UTC to the millisecond."""
    if epoch is None:
        return None
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch))
    return f"{whole}.{int(epoch % 1 * 1000):03d}Z"
