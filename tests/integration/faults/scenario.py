# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drivers of fault tests share, on a practice host beside the engine: what is tried, in a network of its own, and how the host is judged."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional

from engine.engine import Engine
from engine.errors import ToolError
from engine.firewall.ipset import Ipset
from engine.firewall.nftables import Nftables
from engine.ledger import Ledger
from engine.paths import Paths
from engine.response import Report, Request
from engine.runner import Completed

PATHS = Paths()
SHADOW = Path("/etc/shadow")
USER = "mallory"
ORIGINAL = SHADOW.read_bytes()
ORIGINAL_LINE = next(line for line in ORIGINAL.decode().splitlines() if line.startswith(f"{USER}:"))
ONE, TWO, NETWORK, SIX = "203.0.113.9", "203.0.113.10", "198.51.100.0/24", "2001:db8:bad::1"
SOON, LATER, FAR = 600, 1200, 3600
SLACK = 4.0
BEGIN = time.time()
End = Optional[float]  # seconds from the beginning, None = permanent
World = dict  # what must stand, until when (End), by kind and target


def run(argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
    try:
        done = subprocess.run(list(argv), input=stdin, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{argv[0]}: {error}") from error
    return Completed(done.returncode, done.stdout, done.stderr)


def engine(runner: Callable[..., Completed] = run, ahead: float = 0) -> Engine:
    """`ahead`: how many seconds later than now it believes it to be."""
    return Engine(runner, PATHS, environ={}, clock=lambda: time.time() + ahead)


# --- what is tried ------------------------------------------------------------------------------------------------------------------------------


def present(kind: str, *targets: str, until: End = SOON, **more: Any) -> Request:
    """Absolute ends, so that a repeat moves them."""
    term = {"permanent": True} if until is None else {"until": str(int(BEGIN + until))}
    return Request(kind, list(targets), **term, **more)


def absent(kind: str, *targets: str) -> Request:
    return Request(kind, list(targets), state="absent")


def lock(**more: Any) -> Request:
    return present("disable_account", USER, **more)


class Scenario(NamedTuple):
    """What is there, what is asked, what stands before and after; `ahead` shifts the clock of the call and of the tick."""

    name: str
    prepare: Sequence[Callable[[], object]]
    call: Callable[[Engine], Report]
    before: World
    after: World
    ahead: float = 0


def responds(*requests: Request) -> Callable[[], object]:
    return lambda: sane(engine().respond(requests))


def sane(report: Report) -> Report:
    """Preparations must go well."""
    bad = [each.as_dict() for each in report.results if each.outcome not in ("done", "unchanged")]
    if bad or report.warnings:
        raise SystemExit(f"the preparation went wrong: {bad} {report.warnings}")
    return report


def blocks(**targets: End) -> World:
    names = {"one": ONE, "two": TWO, "network": NETWORK, "six": SIX}
    return {("firewall_drop", names[name]): end for name, end in targets.items()}


def locked(until: End = SOON) -> World:
    return {("disable_account", USER): until}


def lose_ledger() -> None:
    for path in Path(PATHS.state).iterdir():
        path.unlink()


def by_admin(pattern: str, text: str) -> Callable[[], object]:
    """An admin changes the account's line meanwhile."""
    return lambda: SHADOW.write_text(re.sub(rf"^({USER}:){pattern}", rf"\g<1>{text}", SHADOW.read_text(), flags=re.MULTILINE))


def firewall_scenarios(backend: str, flush: Callable[[], object]) -> Iterator[Scenario]:
    def drop(*targets: str, until: End = SOON) -> Request:
        return present("firewall_drop", *targets, until=until, backend=backend)

    first = drop(ONE, NETWORK), drop(SIX, until=None)
    three = blocks(one=SOON, network=SOON, six=None)
    yield Scenario("first block of a host", [], lambda host: host.respond(first), {}, three)
    yield Scenario("one more block", [responds(*first)], lambda host: host.respond([drop(TWO)]), three, {**three, **blocks(two=SOON)})
    yield Scenario("a later end", [responds(*first)], lambda host: host.respond([drop(ONE, until=LATER)]), three, {**three, **blocks(one=LATER)})
    yield Scenario("release of one", [responds(*first)], lambda host: host.respond([absent("firewall_drop", SIX)]), three, blocks(one=SOON, network=SOON))
    yield Scenario("release of all by name", [responds(*first)], lambda host: host.release([ONE, NETWORK, SIX]), three, {})
    yield Scenario("restore by a repeat", [responds(*first), flush], lambda host: host.respond(first), three, three)
    yield Scenario("restore by the tick", [responds(*first), flush], lambda host: host.tick(), three, three)
    mixed = absent("firewall_drop", NETWORK), drop(ONE, until=LATER), drop(TWO, until=None), absent("firewall_drop", SIX)
    yield Scenario("all at once", [responds(*first)], lambda host: host.respond(mixed), three, blocks(one=LATER, two=None))
    yield Scenario("ledger lost", [responds(*first), lose_ledger], lambda host: host.respond([drop(TWO)]), three, {**three, **blocks(two=SOON)})


def account_scenarios() -> Iterator[Scenario]:
    yield Scenario("first lock of a host", [], lambda host: host.respond([lock()]), {}, locked())
    yield Scenario("permanent lock", [], lambda host: host.respond([lock(until=None)]), {}, locked(None))
    yield Scenario("a later end", [responds(lock())], lambda host: host.respond([lock(until=LATER)]), locked(), locked(LATER))
    yield Scenario("release", [responds(lock())], lambda host: host.respond([absent("disable_account", USER)]), locked(), {})
    yield Scenario("end by the tick", [responds(lock())], lambda host: host.tick(), {}, {}, ahead=FAR)
    unlocked = by_admin(r"\*riposte-\d+\*", "")
    yield Scenario("restore by the tick", [responds(lock()), unlocked], lambda host: host.tick(), locked(), locked())
    yield Scenario("ledger lost", [responds(lock()), lose_ledger], lambda host: host.respond([lock()]), locked(), locked())
    both = present("firewall_drop", ONE, backend="nftables"), lock()
    yield Scenario("a block and a lock in one call", [], lambda host: host.respond(both), {}, {**locked(), **blocks(one=SOON)})


# --- one try ------------------------------------------------------------------------------------------------------------------------------------


@dataclass
class Host:
    """The host of one try."""

    backend: str
    wrong: list[str] = field(default_factory=list)

    def reset(self) -> None:
        shutil.rmtree(PATHS.state, ignore_errors=True)
        for path in (PATHS.lock, f"{SHADOW}.riposte"):
            Path(path).unlink(missing_ok=True)
        SHADOW.write_bytes(ORIGINAL)
        new_network()

    def flush(self) -> None:
        run(["nft", "flush", "ruleset"])
        if self.backend == "ipset":
            run(["ipset", "destroy"])

    def tick(self, ahead: float) -> Report | None:
        """As its unit: only with the flag, or without a ledger."""
        return engine(ahead=ahead).tick() if os.path.exists(PATHS.standing) or not os.path.exists(PATHS.ledger) else None

    def seen(self) -> World:
        """What is in force, as the systems themselves tell."""
        firewall = (Ipset if self.backend == "ipset" else Nftables)(run).read()
        found: World = {("firewall_drop", target): each for target, each in firewall.items()}
        line = next(line for line in SHADOW.read_text().splitlines() if line.startswith(f"{USER}:"))
        until = re.match(rf"{USER}:\*riposte-(\d+)\*", line)
        if line != ORIGINAL_LINE and not until:
            self.wrong.append(f"the account's line is neither as it was nor locked: {line}")
        if until:
            found["disable_account", USER] = (True, float(until[1]) or None)
        return found

    def judge(self, versions: Sequence[World]) -> None:
        """After the tick each response is in force with an end that was asked for, and recorded so; or gone, without a trace."""
        seen, rows = self.seen(), recorded()
        for key in {*seen, *rows, *(key for version in versions for key in version)}:
            allowed = [version[key] for version in versions if key in version]
            if key not in seen:
                if key in rows:
                    self.wrong.append(f"{key} is recorded as {rows[key]} and not on the host")
                elif len(allowed) == len(versions):
                    self.wrong.append(f"{key} is gone, it must stand until {allowed}")
                continue
            in_force, until = seen[key]
            ends = [None if each is None else BEGIN + each for each in allowed]
            if not in_force:
                self.wrong.append(f"{key} is on the host without effect")
            if rows.get(key, ("", 0.0))[0] != "standing":
                self.wrong.append(f"{key} is on the host and recorded as {rows.get(key)}")
            elif not same(rows[key][1], until):
                self.wrong.append(f"{key} ends at {until} on the host and at {rows[key][1]} in the ledger")
            if not any(same(until, each) for each in ends):
                self.wrong.append(f"{key} ends at {until}, allowed is {ends}")
        if Path(f"{SHADOW}.riposte").exists():
            self.wrong.append("a copy of the account file is left")
        if os.path.exists(PATHS.standing) != bool(rows):
            self.wrong.append(f"the tick's flag is {os.path.exists(PATHS.standing)} with {len(rows)} open rows")


def same(one: End, other: End) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= SLACK


def recorded() -> dict[tuple[str, str], tuple[str, End]]:
    if not os.path.exists(PATHS.ledger):
        return {}
    ledger = Ledger.open(PATHS, write=False)
    rows = [row for kind in ("firewall_drop", "disable_account") for row in ledger.standing(kind)]
    ledger.close()
    return {(row.response, row.target): (row.phase, row.until) for row in rows}


def new_network() -> None:
    """A kernel without rules, its loopback up."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as handle:
        request = struct.pack("16sh", b"lo", 1)  # IFF_UP
        fcntl.ioctl(handle, 0x8914, request.ljust(40, b"\0"))


@contextmanager
def session() -> Iterator[int]:
    """A process of the account's."""
    account = pwd.getpwnam(USER)
    child = subprocess.Popen(["sleep", "300"], user=account.pw_uid, group=account.pw_gid, extra_groups=[])
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


def runs(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        return stream.read().rpartition(")")[2].split()[0] not in "ZX"


def become_reaper() -> None:
    """Programs whose parent was killed become this process's children."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "prctl")


def await_orphans(but: int) -> None:
    """Until every child has ended, but one."""
    for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
        if pid != but:
            os.waitpid(pid, 0)


def in_child(work: Callable[[], int]) -> int:
    """Exit code of a forked process; negative: the signal that ended it."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = work()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def try_all(
    backend: str, scenarios: Sequence[Scenario], attempt: Callable[[Scenario, str, int], tuple[bool, list[str]]], first: int = 1, every: int = 1
) -> dict[str, Any]:
    """Every scenario with a fault at its first point, its second, and so on until it has no more; each try in a process of its own.

    first, every: only that point and each such step behind it.
    """
    points: dict[str, int] = {}
    wrong: list[str] = []
    for scenario in scenarios:
        for point in range(first, 200, every):
            read, write = os.pipe()

            def work(write: int = write, scenario: Scenario = scenario, point: int = point) -> int:
                more, found = attempt(scenario, backend, point)
                os.write(write, json.dumps([more, found[:5]]).encode()[:60000])
                return 0

            code = in_child(work)
            os.close(write)
            with os.fdopen(read) as stream:
                said = stream.read()
            more, found = json.loads(said) if code == 0 else (True, [f"the try itself ended with {code}"])
            if not more:
                break
            wrong += [f"{scenario.name}, at point {point}: {each}" for each in found]
            points[scenario.name] = point
    return {"points": points, "wrong": wrong}
