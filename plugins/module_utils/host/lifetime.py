# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a response stands: one place that reads durations and moments, and says when a response ends."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple

from .errors import BadInput, shown

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = 366 * 86400
_DURATION = re.compile(r"([0-9]{1,9})([smhdw]?)\Z")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.\d{1,9})?(?:([Zz])|([+-]\d\d):?(\d\d))\Z", re.ASCII)
_EPOCH = re.compile(r"([0-9]{9,10})(?:\.[0-9]+)?\Z")


class Lifetime(NamedTuple):
    """When a response ends: `end` in epoch seconds, None = permanent.

    relative: it came from a timeout, so a repeat leaves a standing end alone; an absolute end wins when it is the later.
    """

    end: float | None
    relative: bool
    text: str


PERMANENT = Lifetime(None, False, "permanent")


def parse_duration(value: str) -> int:
    """Seconds in ``600``, ``600s``, ``10m``, ``2h``, ``1d``, ``1w``: 1 second to 366 days."""
    found = _DURATION.match(value)
    if not found:
        raise BadInput(f"timeout {shown(value)}: it must be a whole number of seconds, or a number with s, m, h, d or w")
    seconds = int(found[1]) * UNITS[found[2]]
    if not 1 <= seconds <= LONGEST:
        raise BadInput(f"timeout {shown(value)}: it must be from 1 second to 366 days; for longer say permanent: true")
    return seconds


def parse_moment(name: str, value: str) -> float:
    """Whole epoch seconds of ``2026-11-24T08:00:00Z`` (a zone is a must) or of epoch seconds as text."""
    epoch, found = _EPOCH.match(value), _MOMENT.match(value)
    if epoch:
        return float(epoch[1])
    try:
        if not found:
            raise ValueError("no moment with a zone")
        day, clock, utc, hours, minutes = found.groups()
        return max(0.0, datetime.fromisoformat(f"{day}T{clock}{'+00:00' if utc else f'{hours}:{minutes}'}").timestamp())
    except ValueError:  # also a 13th month
        raise BadInput(f"{name} {shown(value)}: it must be a moment with a zone such as 2026-11-24T08:00:00Z, or epoch seconds") from None


def lifetime(now: float, timeout: str | None = None, until: str | None = None, permanent: bool = False, since: str | None = None) -> Lifetime:
    """The lifetime asked for; exactly one of timeout, until, permanent. `since`: what a timeout counts from, default now."""
    if (timeout is not None) + (until is not None) + permanent != 1:
        raise BadInput("lifetime: give exactly one of timeout, until, permanent: true; a response is never permanent by accident")
    if since is not None and timeout is None:
        raise BadInput("since: it says what a timeout counts from, so it needs timeout")
    if until is not None:
        return _ending(now, parse_moment("until", until), False, f"until {until}", f"until {shown(until)}")
    if timeout is None:
        return PERMANENT
    seconds = parse_duration(timeout)
    begin = now if since is None else parse_moment("since", since)
    if begin > now + 60:
        raise BadInput(f"since {shown(since)}: it lies in the future of this host's clock ({moment_text(now)})")
    return _ending(now, begin + seconds, True, f"for {seconds} s", f"timeout {shown(timeout)} since {shown(since)}")


def _ending(now: float, end: float, relative: bool, text: str, named: str) -> Lifetime:
    if end <= now:
        raise BadInput(f"{named}: its end {moment_text(end)} has passed, so nothing is put into force")
    if end - now > LONGEST:
        raise BadInput(f"{named}: it must end within 366 days; for longer say permanent: true")
    return Lifetime(end, relative, text)


@lru_cache(maxsize=64)  # what one call puts into force ends at one moment
def moment_text(moment: float | None) -> str | None:
    """ISO 8601 in UTC to the second; None (permanent) stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(round(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(one: float | None, other: float | None) -> float | None:
    """The later of two ends; None = permanent is later than any."""
    return None if one is None or other is None else max(one, other)
