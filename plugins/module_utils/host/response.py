# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a host, and what it answers: one result a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadInput, shown
from .lifetime import Lifetime, lifetime, moment_text, parse_duration
from .plan import NOTHING, Step

if TYPE_CHECKING:
    from .ledger import Row

DONE, UNCHANGED, REFUSED, HELD, FAILED = "done", "unchanged", "refused", "held", "failed"
OUTCOMES = (DONE, UNCHANGED, REFUSED, HELD, FAILED)
LONGEST_REASON, LONGEST_ALERT_ID = 500, 128


def printable(text: str, limit: int) -> str:
    """Text from outside made safe for a terminal and the ledger: control, direction and unseen characters escaped, length bounded."""
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class Request(NamedTuple):
    """One response for several targets, as the caller words it. Moments and durations are text (see lifetime.py)."""

    response: str
    targets: Sequence[str]
    state: str = "present"
    timeout: str | None = None
    until: str | None = None
    permanent: bool = False
    since: str | None = None
    reason: str = ""
    alert_id: str = ""
    backend: str = "auto"
    protect: Sequence[str] = ()
    override: Sequence[str] = ()
    end_sessions: bool | None = True  # None: as the lock says that stands already
    repeated_offenders: Sequence[str] = ()  # timeouts for the first repeat, the second, ...; the last for all that follow
    offences: int = 0  # earlier ones that the caller knows of; what this host knows counts if it is more

    def lifetime(self, now: float, offences: int = 0) -> Lifetime:
        """When it ends for a target that alerts have had put into force so many times before, as far as this host knows."""
        offences = max(offences, self.offences)
        if offences and self.repeated_offenders:
            repeat = self.repeated_offenders[min(offences, len(self.repeated_offenders)) - 1]
            return lifetime(now, repeat, since=self.since)
        return lifetime(now, self.timeout, self.until, self.permanent, self.since)

    def checked(self) -> Request:
        """This request with its free text made printable, or BadInput."""
        if self.state not in ("present", "absent"):
            raise BadInput(f"state {shown(self.state)}: it must be present or absent")
        if self.state == "absent" and (self.timeout or self.until or self.permanent or self.since):
            raise BadInput("state absent: a release takes no timeout, until, since or permanent")
        if self.repeated_offenders and not self.timeout:
            raise BadInput("repeated_offenders: these timeouts are for repeats, the first time needs a timeout of its own")
        for each in self.repeated_offenders:
            parse_duration(each)
        return self._replace(reason=printable(self.reason, LONGEST_REASON), alert_id=printable(self.alert_id, LONGEST_ALERT_ID))


class Standing(NamedTuple):
    """Identity and term of one response; moments in epoch seconds, end None = permanent, id None = not recorded yet."""

    id: str | None
    since: float
    end: float | None


@dataclass
class Result:
    """What became of one target. `in_force` is what was read back from the host, None when nothing was (check mode, bad input).

    For the diff: the `term` asked for in words. For the run: what asked for it, and the `step` planned.
    """

    __slots__ = ("request", "target", "outcome", "backend", "standing", "message", "in_force", "persisted", "term", "step")

    request: Request
    target: str
    outcome: str
    backend: str | None
    standing: Standing | Row | None
    message: str
    in_force: dict[str, Any] | None
    persisted: bool
    term: str
    step: Step

    @property
    def response(self) -> str:
        return self.request.response

    @property
    def state(self) -> str:
        return self.request.state

    @property
    def changed(self) -> bool:
        return self.outcome == DONE and self.step.changed

    def as_dict(self) -> dict[str, Any]:
        standing = self.standing
        return {
            "id": standing.id if standing else None,
            "response": self.response,
            "target": self.target,
            "state": self.state,
            "outcome": self.outcome,
            "changed": self.changed,
            "backend": self.backend,
            "since": moment_text(standing.since) if standing else None,
            "until": moment_text(standing.end) if standing else None,
            "message": self.message,
            "in_force": self.in_force,
            "persisted": self.persisted,
        }


def result(request: Request, target: str, outcome: str, message: str = "") -> Result:
    """A result for which nothing was done."""
    return Result(request, target, outcome, None, None, message, None, True, "", NOTHING)


@dataclass
class Report:
    """All results of one run, and what the host's owner should know beside them."""

    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ended: list[Result] = field(default_factory=list)  # what the system had ended by itself, be it asked for or not

    @property
    def changed(self) -> bool:
        return any(each.changed for each in self.results)

    def summary(self) -> dict[str, int]:
        counts = dict.fromkeys(OUTCOMES, 0)
        for each in self.results:
            counts[each.outcome] += 1
        return counts
