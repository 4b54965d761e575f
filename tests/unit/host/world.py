# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in memory: two kinds of response whose systems are dictionaries, below a root directory of its own.

`firewall_drop` is a system that ends its members by itself and forgets all at a power cut; `disable_account` is one that ends nothing and forgets nothing.
Ledger, lock, guard file and the engine are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.riposte.active_response.plugins.module_utils.host import context as context_module
from ansible_collections.riposte.active_response.plugins.module_utils.host import engine as engine_module
from ansible_collections.riposte.active_response.plugins.module_utils.host import run as run_module
from ansible_collections.riposte.active_response.plugins.module_utils.host.engine import Engine
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.guard import Refused
from ansible_collections.riposte.active_response.plugins.module_utils.host.kind import Capabilities, Chosen, Seen
from ansible_collections.riposte.active_response.plugins.module_utils.host.ledger import Ledger, Row
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths

KINDS = ("firewall_drop", "disable_account")
START = 1_800_000_000.0


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class System:
    """What one kind's system holds. `whole` False: members are there but without effect (a chain was flushed). `trace`: our table is there, be it empty."""

    expires: bool
    longest: int | None = None
    members: dict[str, float | None] = field(default_factory=dict)
    whole: bool = True
    trace: bool = False

    def seen(self, now: float) -> dict[str, Seen]:
        if self.expires:
            self.members = {target: until for target, until in self.members.items() if until is None or until > now}
        return {target: Seen(self.whole, until) for target, until in self.members.items()}

    def state(self, now: float) -> tuple[bool, dict[str, float | None]]:
        self.seen(now)
        return (self.whole or not self.members), dict(self.members)


class World:
    """The host. `fault` is called at every point where a process can die, with the point's name; it may raise."""

    def __init__(self, root: Path) -> None:
        self.now = START
        self.paths = Paths(str(root))
        self.systems = {"firewall_drop": System(expires=True), "disable_account": System(expires=False)}
        self.guarded: set[str] = set()
        self.gone: set[str] = set()
        self.tick_installed = True
        self.fault: Callable[[str], None] = lambda _point: None
        for name in ("etc/riposte", "run", "proc"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "var/lib").mkdir(parents=True, exist_ok=True)

    def engine(self) -> Engine:
        return Engine(runner=_no_runner, paths=self.paths, environ={}, clock=lambda: self.now)

    @contextmanager
    def known_to_engine(self) -> Iterator[World]:
        """The engine finds this world's kinds where it would find the real ones."""

        def kind_of(response: str, _end_sessions: bool = True, **_more: Any) -> MemoryKind:
            if response not in KINDS:
                raise BadInput(f"response {response}: no such kind")
            return MemoryKind(self, response)

        def mortal(write: Callable[..., None]) -> Callable[..., None]:
            def writes(*args: Any, **named: Any) -> None:
                self.fault("before ledger write")
                write(*args, **named)
                self.fault("after ledger write")

            return writes

        def tick_problem(*_seams: object) -> str | None:
            return None if self.tick_installed else "no tick is installed"

        with ExitStack() as patches:
            for place, name, stand_in in (
                (engine_module, "kind_of", kind_of),
                (run_module, "kind_of", kind_of),
                (context_module, "tick_problem", tick_problem),
                (Ledger, "write", mortal(Ledger.write)),
                (Ledger, "adopt", mortal(Ledger.adopt)),
            ):
                patches.enter_context(mock.patch.object(place, name, stand_in))
            yield self

    def rows(self) -> list[Row]:
        """The open rows of the ledger; none when there is no ledger."""
        if not Path(self.paths.ledger).exists():
            return []
        ledger = Ledger.open(self.paths, write=False)
        try:
            return [row for kind in KINDS for row in ledger.standing(kind)]
        finally:
            ledger.close()

    def history(self) -> list[Row]:
        if not Path(self.paths.ledger).exists():
            return []
        ledger = Ledger.open(self.paths, write=False)
        try:
            return list(ledger.history(10_000))
        finally:
            ledger.close()

    def snapshot(self) -> Any:
        """All that may change on the host, to be compared."""
        systems = {name: system.state(self.now) for name, system in self.systems.items()}
        return systems, self.rows(), self.history(), Path(self.paths.standing).exists(), Path(self.paths.ledger).exists()


def _no_runner(argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Any:
    raise AssertionError(f"this world runs no program, asked for {list(argv)}")


class MemoryBackend:
    """One dictionary as a backend."""

    def __init__(self, world: World, kind: str) -> None:
        self._world, self._system = world, world.systems[kind]
        self.name = f"memory of {kind}"
        self.capabilities = Capabilities(expires=self._system.expires, longest=self._system.longest, survives=not self._system.expires)

    def read(self) -> dict[str, Seen]:
        self._world.fault("read")
        return self._system.seen(self._world.now)

    def change(self, put: Mapping[str, float | None], take: Sequence[str]) -> None:
        self._world.fault("before change")
        for target in take:
            self._system.members.pop(target, None)
        longest = self._system.longest
        for target, until in put.items():
            self._system.members[target] = until if until is None or longest is None else min(until, self._world.now + longest)
        self._system.whole = True
        self._system.trace = bool(self._system.seen(self._world.now))
        self._world.fault("after change")

    def detail(self, target: str, seen: Seen | None) -> dict[str, Any]:
        return {"there": seen is not None and seen.in_force}

    def before(self, target: str) -> str | None:
        return None

    def missing(self, target: str) -> str | None:
        return f"{target} does not exist" if target in self._world.gone else None


class MemoryGuard:
    def __init__(self, world: World, override: Sequence[str]) -> None:
        self._world, self._override = world, override

    def check(self, target: str) -> None:
        if target in self._world.guarded and "never" not in self._override:
            raise Refused("never", f"{target} is refused")


class MemoryKind:
    """A kind of response whose targets are words of small letters."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self.name = world, name

    def target(self, value: str) -> str:
        if not value.isalpha():
            raise BadInput(f"target {value}: it must be letters")
        return value.lower()

    def guard(self, file: Any, around: Any, protect: Sequence[str], override: Sequence[str]) -> MemoryGuard:
        return MemoryGuard(self._world, override)

    def backends(self, runner: Any, paths: Any) -> list[MemoryBackend]:
        return [MemoryBackend(self._world, self.name)]

    def choose(self, runner: Any, paths: Any, wanted: str, holding: str | None) -> Chosen:
        if wanted == "broken":
            raise ToolError("broken: it does not work")
        backend = MemoryBackend(self._world, self.name)
        return Chosen(backend, "the one there is", backend.read())
