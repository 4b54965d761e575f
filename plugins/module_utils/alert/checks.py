# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads values out of a loaded YAML document. What is wrong is kept, and reading goes on: its owner is told all of it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..host.errors import BadInput, shown
from ..host.lifetime import parse_duration


class Flaw(NamedTuple):
    """key: its path in the document, such as `rules[0].match.level`. line: where it stands in the file, from 1; None = not known."""

    key: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


class Checks:
    """What its methods return is of use only when there are no flaws. lines: path of a key -> its line."""

    def __init__(self, lines: Mapping[str, int] | None = None) -> None:
        self.flaws: list[Flaw] = []
        self._lines = lines or {}

    def flaw(self, path: str, message: str) -> None:
        """`message` says the path itself."""
        self.flaws.append(Flaw(path, self._line(path), message))

    def wrong(self, path: str, value: object, rule: str) -> None:
        self.flaw(path, f"{path or 'the policy'}: {shown(value)}: {rule}")

    def _line(self, path: str) -> int | None:
        """Of what is missing: the line of what it is missing in."""
        while path and path not in self._lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._lines.get(path)

    def mapping(self, path: str, value: object, known: Sequence[str]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self.wrong(path, value, "it is missing" if value is None else "it must be a mapping")
            return {}
        for key in value:
            if key not in known:
                self.wrong(f"{path}.{printed(key)}".lstrip("."), value[key], f"there is no such key; the keys here are {', '.join(known)}")
        return value

    def items(self, path: str, value: object, most: int = 10_000) -> Sequence[object]:
        if not isinstance(value, list) or not value:
            self.wrong(path, value, "it is missing" if value is None else "it must be a list with at least one entry")
            return []
        if len(value) > most:
            self.wrong(path, f"{len(value)} entries", f"it may have {most}")
        return value[:most]

    def texts(self, path: str, value: object) -> tuple[str, ...]:
        return tuple(self.text(f"{path}[{at}]", each, 200) for at, each in enumerate(self.items(path, value)))

    def text(self, path: str, value: object, limit: int) -> str:
        if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
            return str(value)
        self.wrong(path, value, f"it must be text of 1 to {limit} printable characters")
        return ""

    def choice(self, path: str, value: object, choices: Sequence[str]) -> str:
        if isinstance(value, str) and value in choices:
            return str(value)
        said = "it must be said: " if value is None else "it must be "
        self.wrong(path, value, f"{said}{' or '.join(choices)}")
        return ""

    def switch(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.wrong(path, value, "it must be true or false")
        return value is True

    def number(self, path: str, value: Any, lowest: int, highest: int, what: str = "") -> int:
        if is_number(value) and lowest <= value <= highest:
            return int(value)
        self.wrong(path, value, f"it must be {what and what + ', '}a whole number from {lowest} to {highest}")
        return lowest

    def duration(self, path: str, value: object) -> str:
        text = str(value) if is_number(value) else value
        if not isinstance(text, str):
            self.wrong(path, value, "it must be a duration such as 10m")
            return ""
        try:
            parse_duration(text)
        except BadInput as error:
            self.flaw(path, f"{path}{str(error).removeprefix('timeout')}")
        return text

    def seconds(self, path: str, value: object) -> int:
        text = self.duration(path, value)
        try:
            return parse_duration(text)
        except BadInput:  # told already
            return 0


def printed(key: object) -> str:
    """A key of the document as part of a path."""
    text = str(key)
    return text if text.isprintable() and len(text) <= 200 else shown(text)


def is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
