# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a configuration nobody may read in a result: keys, hook addresses, passwords in addresses. Known by the element, so old values are hidden too."""

from __future__ import annotations

import re
from collections.abc import Iterator

HIDDEN = "********"

_NAME = r"api_key|hook_url|options|[\w.-]*(?:password|secret|token)[\w.-]*"
_ELEMENT = re.compile(rf"(<({_NAME})(?:\s[^<>]*)?>)(.*?)(</\2\s*>)", re.DOTALL)
_CREDENTIALS = re.compile(r"(\w://)([^\s<>]+)(@)")


def is_secret(name: str) -> bool:
    """Whether an element of this name has a value that is hidden."""
    return bool(re.fullmatch(_NAME, name))


def values(text: str) -> Iterator[str]:
    """What is hidden in a text."""
    for found in _ELEMENT.finditer(text):
        yield found[3]
    for found in _CREDENTIALS.finditer(_ELEMENT.sub("", text)):
        yield found[2]


def sides(before: str, after: str) -> dict[str, str]:
    """Both sides of a diff without their secrets; one that the side before does not have is told to be new."""
    old = set(values(before))
    return {"before": _hide(before, old), "after": _hide(after, old)}


def _hide(text: str, old: set[str]) -> str:
    def mask(value: str) -> str:
        return HIDDEN if value in old else f"{HIDDEN} (new)"

    text = _ELEMENT.sub(lambda found: f"{found[1]}{mask(found[3])}{found[4]}", text)
    return _CREDENTIALS.sub(lambda found: f"{found[1]}{mask(found[2])}{found[3]}", text)
