# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into a spool and comes out of it, and how it can go wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ...module_utils.host.errors import Problem
from .approvals import Pending

NEW, TAKEN, ANSWERED, FAILED = "new", "taken", "answered", "failed"
HANDED, RUNNING, ENDED = "handed", "running", "ended"
UNREACHABLE, UNANSWERED = "unreachable", "unanswered"  # not the last word: the host is asked again until the alert is too old


class SpoolError(Problem):
    """The spool cannot be trusted, read or written."""


class SpoolFull(SpoolError):
    """The spool takes no more: its disk is full, or too many alerts wait."""


class Gone(Problem):
    """The batch is no longer this run's: nothing more may be done for it."""


class Arrived(NamedTuple):
    """An alert to be accepted. happened: epoch seconds."""

    id: str
    mark: str
    happened: float
    body: str


class Delivery(NamedTuple):
    """What one request brought: alerts, and why something in its `text` is none ("" = all of it is)."""

    alerts: Sequence[Arrived]
    text: str = ""
    why: str = ""


class Receipt(NamedTuple):
    """How many alerts of a delivery are new, and how many had come before; full: none was taken, since too many wait."""

    received: int
    known: int
    full: bool = False


class Taken(NamedTuple):
    """An alert of a batch.

    settled, left: (host, response, target) of earlier plans that have a last word, and that have none.
    approved: when a person last approved something of it. given: all that was: (rule, response, target) -> hosts.
    """

    number: int
    id: str
    happened: float
    received: float
    body: str
    settled: frozenset[tuple[str, str, str]]
    left: frozenset[tuple[str, str, str]]
    approved: float | None
    given: Mapping[tuple[str, str, str], Collection[str]]


class Planned(NamedTuple):
    """What the plan makes of an alert: who is to do what as (host, response, target), or why nobody. failed: it is given up. pending: for a person."""

    number: int
    expected: Sequence[tuple[str, str, str]]
    why: str = ""
    failed: bool = False
    pending: Sequence[Pending] = ()


class Answer(NamedTuple):
    """What a host said about one target of an alert. until: when it ends, epoch seconds, if the host said so; None = never."""

    alert_id: str
    response: str
    target: str
    outcome: str
    message: str = ""
    until: float | None = None


class Close(NamedTuple):
    """What became of a batch. planned: its run came as far as a plan."""

    planned: bool
    answered: int
    failed: int
    again: int


class End(NamedTuple):
    """An alert that came to its end. state: answered, failed."""

    id: str
    state: str
    why: str
    batch: int | None
