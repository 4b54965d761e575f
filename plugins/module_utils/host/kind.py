# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol between the engine and a kind of response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .errors import BadInput, shown
from .guard import Guard, GuardFile
from .paths import Paths
from .runner import Runner
from .surroundings import Surroundings


class Capabilities(NamedTuple):
    """What a backend does by itself."""

    expires: bool  # the system ends a response on time without us
    longest: int | None  # the longest count-down in seconds it can hold, None = any
    survives: bool  # what it holds is still there after a reboot

    def keeps(self, end: float, now: float) -> bool:
        """Whether the system ends by then what begins now, whatever happens to us."""
        return self.expires and (self.longest is None or end - now <= self.longest)


class Seen(NamedTuple):
    """One target as the host has it. `until`: epoch seconds, None = no end."""

    in_force: bool
    until: float | None


class Chosen(NamedTuple):
    """The backend to use, why this one, and what it read."""

    backend: Backend
    why: str
    seen: dict[str, Seen]


class Backend(Protocol):
    """One way to put a kind of response into force."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def read(self) -> dict[str, Seen]:
        """Everything on this host that carries our mark, by target. ToolError when it cannot be told."""

    def change(self, put: Mapping[str, float | None], take: Sequence[str]) -> None:
        """Puts targets into force until their ends (None = permanent) and takes others away, in one transaction; where nothing is left, no trace is.

        Both hold for targets in any state: put moves the end of what stands, take of nothing is nothing.
        """

    def detail(self, target: str, seen: Seen | None) -> dict[str, Any]:
        """What a result shows as read back."""

    def before(self, target: str) -> str | None:
        """What was there before, as JSON text for the ledger, without secrets; None = nothing to tell."""

    def missing(self, target: str) -> str | None:
        """Why this target cannot be acted on here (no such account), or None."""


class Kind(Protocol):
    """A kind of response."""

    @property
    def name(self) -> str: ...

    def target(self, value: str) -> str:
        """The canonical spelling of a target, or BadInput."""

    def guard(self, file: GuardFile, around: Surroundings, protect: Sequence[str], override: Sequence[str]) -> Guard: ...

    def backends(self, runner: Runner, paths: Paths) -> list[Backend]:
        """Those that this host has the programs or files for."""

    def choose(self, runner: Runner, paths: Paths, wanted: str, holding: str | None) -> Chosen:
        """The one asked for, else the one that holds this host's responses, else the best that works here and now. ToolError when it does not work."""


def kind_of(response: str, end_sessions: bool | None = True) -> Kind:
    """The kind named, or BadInput. What is not asked for is not loaded: Python compiles it at each call of a module."""
    if response == "firewall_drop":
        from .firewall.drop import FirewallDrop

        return FirewallDrop()
    if response == "disable_account":
        from .account import DisableAccount

        return DisableAccount(end_sessions)
    raise BadInput(f"response {shown(response)}: this host's engine knows {', '.join(KINDS)}")


KINDS = ("firewall_drop", "disable_account")
