# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about one target: a pure function of what is asked, recorded and in force."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .lifetime import Lifetime, later

TOLERANCE = 5.0  # seconds by which a kernel's count-down may differ from the recorded end


class Known(NamedTuple):
    """What is known of a target before the change. Ends are epoch seconds, None = permanent."""

    recorded: bool = False
    recorded_until: float | None = None
    in_force: bool = False
    in_force_until: float | None = None
    there: bool = False  # something on the host carries our mark, be it in force or not


class Step(NamedTuple):
    """What to do: `until` is the end that then stands."""

    action: str  # add | extend | restore | remove | none
    until: float | None = None

    @property
    def changed(self) -> bool:
        return self.action != "none"

    @property
    def stood(self) -> bool:
        """Whether something was in force before."""
        return self.action in ("extend", "remove")


@lru_cache(maxsize=64)  # 100,000 targets of one call share a handful of steps
def _step(action: str, until: float | None = None) -> Step:
    return Step(action, until)


@lru_cache(maxsize=64)
def standing(until: float | None) -> Known:
    """A target that is recorded and in force until then."""
    return Known(True, until, True, until)


GONE = Known()
NOTHING = Step("none")


def plan_absent(known: Known, now: float) -> Step:
    """A release takes away what is recorded as standing, in force, or carries our mark."""
    over = known.recorded_until is not None and known.recorded_until <= now
    return _step("remove") if known.in_force or known.there or (known.recorded and not over) else _step("none")


def plan_present(wanted: Lifetime, known: Known, now: float, longest: float | None = None) -> Step:
    """A response is wanted. `longest`: the longest count-down the backend can hold, in seconds, None = any.

    A standing end is left alone by a timeout and moved by a later `until`; what vanished comes back with the rest of its time.
    """
    end = known.recorded_until if known.recorded else known.in_force_until  # without a record the system's own end counts
    stands = (known.recorded or known.in_force) and (end is None or end > now)  # what was due already does not count
    if not stands:
        return _step("extend" if known.in_force else "add", wanted.end)
    until = end if wanted.relative else later(end, wanted.end)
    if not known.in_force:
        return _step("restore", until)
    as_recorded = not known.recorded or same_end(until, known.recorded_until, now)
    if as_recorded and same_end(until, known.in_force_until, now, longest):
        return _step("none", until)
    return _step("extend", until)


def plan_keep(known: Known, now: float, longest: float | None = None) -> Step:
    """What the tick does about a recorded response: end it when due, else see that it is in force until its end."""
    if known.recorded_until is not None and known.recorded_until <= now:
        return _step("remove")
    if not known.in_force:
        return _step("restore", known.recorded_until)
    if same_end(known.recorded_until, known.in_force_until, now, longest):
        return _step("none", known.recorded_until)
    return _step("extend", known.recorded_until)


def same_end(wanted: float | None, seen: float | None, now: float, longest: float | None = None) -> bool:
    """Whether the end in force is the one wanted, within TOLERANCE.

    An end further away than the backend can count is held by a shorter count-down, renewed when half of it is gone.
    """
    if wanted is None or seen is None:
        return wanted is seen
    if longest is not None and wanted - now > longest:
        return seen - now > longest / 2
    return abs(wanted - seen) <= TOLERANCE
