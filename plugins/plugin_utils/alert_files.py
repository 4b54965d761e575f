# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts in files of any size: one, or a tree of them as Wazuh keeps one file a day, packed or not. Or those that a spool keeps. Read piece by piece."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, NamedTuple

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert, Problem, read_alerts
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import full_path
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import FILE, Spool

ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
PIECE = 16 << 20
LARGEST_LIST = 64 << 20  # a JSON list is read whole
MOST_FILES = 10_000


class Piece(NamedTuple):
    """problems: what in it is no alert, and where."""

    alerts: list[Alert]
    problems: list[str]


def is_spool(path: str) -> bool:
    """Whether it is the directory of an event source's spool."""
    return os.path.exists(os.path.join(full_path(path), FILE))


def spool_pieces(path: str) -> Iterator[Piece]:
    """All that came and is kept, what was answered long ago too."""
    spool = Spool.open(full_path(path), make=False)
    try:
        for identity, body in spool.bodies():
            alerts, problems = read_alerts(body)
            yield Piece([replace(alert, id=identity) for alert in alerts], [f"{path}, alert {identity}: {problem.why}" for problem in problems])
    finally:
        spool.close()


def alert_files(path: str) -> list[str]:
    """The file, or those under a directory in the order of their names. A file with two names (as alerts.json is today's) counts once."""
    path = full_path(path)
    if not os.path.isdir(path):
        return [path]
    names = sorted(os.path.join(folder, name) for folder, _folders, files in os.walk(path) for name in files if name.endswith(ENDINGS))
    if not names:
        raise BadInput(f"alerts {path}: no file in this directory ends in {', '.join(ENDINGS)}")
    if len(names) > MOST_FILES:
        raise BadInput(f"alerts {path}: there are {len(names)} files under this directory, at most {MOST_FILES} are read; name one further down")
    return list({(seen.st_dev, seen.st_ino): name for name in reversed(names) if stat.S_ISREG((seen := os.lstat(name)).st_mode)}.values())[::-1]


def read_alert_file(path: str) -> Iterator[Piece]:
    """BadInput when it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadInput(f"alerts {path}: this is not a regular file")
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as stream:
            yield from _pieces(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"alerts {path}: cannot be read on the controller: {getattr(error, 'strerror', None) or error}") from error


def _pieces(path: str, stream: IO[bytes]) -> Iterator[Piece]:
    content = stream.read(PIECE)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        content += stream.read(LARGEST_LIST - len(content) + 1)
        if len(content) > LARGEST_LIST:
            raise BadInput(f"alerts {path}: a JSON list larger than {LARGEST_LIST >> 20} MiB; write one alert a line")
    more = stream.read(PIECE)
    if not more:
        yield _piece(path, content, 0)
        return
    line = 0
    while content:
        cut = content.rfind(b"\n") + 1 if more else len(content)
        if not cut and len(content) > 2 * PIECE:
            raise BadInput(f"alerts {path}: line {line + 1} is longer than {2 * PIECE >> 20} MiB; write one alert a line")
        yield _piece(path, content[:cut], line)
        line += content.count(b"\n", 0, cut)
        content, more = content[cut:] + more, stream.read(PIECE) if more else b""


def _piece(path: str, content: bytes, line: int) -> Piece:
    alerts, problems = read_alerts(content)
    return Piece(alerts, [f"{path}, {_where(problem, line)}: {problem.why}" for problem in problems])


def _where(problem: Problem, line: int) -> str:
    word, _blank, number = problem.where.partition(" ")
    return f"line {int(number) + line}" if word == "line" and number.isdigit() else problem.where
