# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds what alerts may begin over all hosts. What is more is held and reported, by the breaker's name. Each host bounds itself besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .checks import Checks

MINUTE, HOUR = 60, 3600
HIGHEST = 1_000_000
RANGES: Mapping[str, tuple[int, int]] = {
    "blocks_per_run": (0, HIGHEST),
    "blocks_per_minute": (0, HIGHEST),
    "accounts_per_hour": (0, HIGHEST),
    "hosts_percent": (1, 100),
}


@dataclass(frozen=True)
class Limits:
    """None = no bound. A block is one address, on however many hosts."""

    blocks_per_run: int | None = None
    blocks_per_minute: int | None = None
    accounts_per_hour: int | None = None
    hosts_percent: int | None = None  # of the inventory's hosts, those that a run may do anything on; `hosts: all` says so by itself and does not count


class Earlier(NamedTuple):
    """What an earlier run has begun, this many seconds ago. observed: it only would have."""

    ago: float
    account: bool
    target: str
    observed: bool = False


class Trip(NamedTuple):
    """The breaker that holds a response."""

    name: str
    why: str


def read_limits(checks: Checks, path: str, data: object) -> Limits:
    given = checks.mapping(path, data, tuple(RANGES))
    return Limits(**{key: checks.number(f"{path}.{key}", given[key], *RANGES[key]) for key in RANGES if key in given})


class Breakers:
    """Those of one run. Each target counts once, for however many alerts, responses and hosts."""

    def __init__(self, limits: Limits, hosts: int, earlier: Iterable[Earlier] = ()) -> None:
        self._limits = limits
        self._hosts = hosts
        self._of_run: set[str] = set()
        self._of_minute: set[str] = set()
        self._of_hour: set[str] = set()
        self._touched: set[str] = set()
        for each in earlier:
            if each.account and 0 <= each.ago < HOUR:
                self._of_hour.add(each.target)
            elif not each.account and 0 <= each.ago < MINUTE:
                self._of_minute.add(each.target)

    def trip(self, account: bool, target: str, hosts: Iterable[str], everywhere: bool) -> Trip | None:
        """The first breaker that this is too much for; without one it counts as begun."""
        touched = self._touched if everywhere else self._touched | set(hosts)
        found = self._accounts(target) if account else self._blocks(target)
        found = found or self._share(touched)
        if found is None:
            self._touched = touched
            for seen in (self._of_hour,) if account else (self._of_run, self._of_minute):
                seen.add(target)
        return found

    def _blocks(self, target: str) -> Trip | None:
        for name, limit, seen, words in (
            ("blocks_per_run", self._limits.blocks_per_run, self._of_run, "addresses in this run"),
            ("blocks_per_minute", self._limits.blocks_per_minute, self._of_minute, f"addresses within {MINUTE} s"),
        ):
            if limit is not None and target not in seen and len(seen) >= limit:
                return Trip(name, f"{len(seen)} {words} are being blocked, the limit is {limit}")
        return None

    def _accounts(self, target: str) -> Trip | None:
        limit, seen = self._limits.accounts_per_hour, self._of_hour
        if limit is None or target in seen or len(seen) < limit:
            return None
        return Trip("accounts_per_hour", f"{len(seen)} accounts within {HOUR} s are being locked, the limit is {limit}")

    def _share(self, touched: set[str]) -> Trip | None:
        percent = self._limits.hosts_percent
        limit = None if percent is None else max(1, self._hosts * percent // 100)
        if limit is None or len(touched) <= max(limit, len(self._touched)):
            return None
        return Trip("hosts_percent", f"with this, the run would touch {len(touched)} of {self._hosts} hosts, the limit is {percent} % ({limit})")
