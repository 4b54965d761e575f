# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert names: an address, a user. One table says where each is found; what is found is checked before anyone acts on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Callable, NamedTuple

from ..host.address import parse_network
from ..host.errors import BadInput, shown
from .alert import Alert

ADDRESS, USER = "address", "user"

# Where each kind of observable is found, the first usable one counts. Wazuh's own order for addresses (get_srcip_from_json) begins
# with Windows; it also takes destinationIp, which is the victim: not here.
FIELDS: tuple[tuple[str, str], ...] = (
    (ADDRESS, "data.win.eventdata.ipAddress"),
    (ADDRESS, "data.srcip"),
    (ADDRESS, "data.src_ip"),
    (ADDRESS, "source.ip"),
    (USER, "data.dstuser"),
    (USER, "user.name"),
)

_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+\\-]*[$]?\Z")
LONGEST_USER = 256


class Found(NamedTuple):
    """An observable in its canonical spelling and the field it came from; or None, and why there is none."""

    value: str | None
    why: str


def find(alert: Alert, kind: str) -> Found:
    """The observable of this kind that the alert names."""
    rejected = []
    paths = [path for of, path in FIELDS if of == kind]
    for path in paths:
        value = _look_up(alert.raw, path)
        if value is None:
            continue
        try:
            return Found(_CHECKS[kind](value), path)
        except BadInput as error:
            rejected.append(f"{path}: {error}")
    return Found(None, f"no {kind} in the alert: " + ("; ".join(rejected) or f"none of {', '.join(paths)} is there"))


def _look_up(raw: Mapping[str, object], path: str) -> object:
    value: object = raw
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _address(value: object) -> str:
    """One address; never a network, never a name that a resolver would have to turn into one."""
    if not isinstance(value, str):
        raise BadInput(f"{shown(value)} is not text")
    if "/" in value:
        raise BadInput(f"address {shown(value)}: an alert names one address, not a network")
    return parse_network(value).text


def _user(value: object) -> str:
    """An account name as Unix and Windows directories have them; whether it exists is for the host to say."""
    if not isinstance(value, str):
        raise BadInput(f"{shown(value)} is not text")
    if len(value) > LONGEST_USER or not _USER.match(value) or set(value) == {"."}:
        raise BadInput(f"user {shown(value)}: letters, digits and . _ - @ + \\ are expected, at most {LONGEST_USER} of them, no - first")
    return value


_CHECKS: dict[str, Callable[[object], str]] = {ADDRESS: _address, USER: _user}
