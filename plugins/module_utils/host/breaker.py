# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds how many responses alerts may begin on this host: what is more is held and reported, never dropped silently."""

from __future__ import annotations

from .guard import GuardFile
from .ledger import Ledger

MINUTE, HOUR = 60, 3600


class Breaker:
    """Bounds how many responses alerts may begin: counted from the ledger, so a burst over many runs counts as one."""

    def __init__(self, limit: int, begun: int, seconds: int, what: str):
        self._limit, self._begun, self._seconds, self._what = limit, begun, seconds, what

    def trips(self) -> str | None:
        """The message when one more is too many; counts it otherwise."""
        if self._begun >= self._limit:
            seen = f"alerts have begun {self._begun} {self._what} on this host within {self._seconds} s"
            return f"held by the breaker: {seen}, the limit is {self._limit}; nothing was done"
        self._begun += 1
        return None


def breaker_for(response: str, file: GuardFile, ledger: Ledger, now: float) -> Breaker:
    """Accounts have a limit an hour of their own; all else shares the one a minute."""
    if response == "disable_account":
        return Breaker(file.accounts_per_hour, ledger.begun_since(now - HOUR, response), HOUR, "account locks")
    return Breaker(file.responses_per_minute, ledger.begun_since(now - MINUTE), MINUTE, "responses")
