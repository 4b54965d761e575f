# SPDX-License-Identifier: GPL-3.0-or-later
"""What one lab owns on the machine, by name: everything a lab makes starts with its prefix, so anybody can take it down.

A lab's directory is /run/riposte-lab/PREFIX; `owner` in it says which process it belongs to. The same `dismantle` ends a lab in the ordinary way and clears
up after one whose owner was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .system import NETNS, LabError, cgroup_root, mounts_below, remove_cgroup, run, wait_for

STATE = Path("/run/riposte-lab")
# each systemd takes about ten of the 128 inotify instances that the kernel grants one user
HOSTS_AT_ONCE = 10


def claim() -> Path:
    """A new lab's directory with its owner on record from its first moment. Its name is the prefix."""
    STATE.mkdir(mode=0o755, exist_ok=True)
    prefix = f"rl{secrets.token_hex(3)}"
    unborn = STATE / f".{prefix}"
    unborn.mkdir(mode=0o700)
    (unborn / "owner").write_text(json.dumps({"pid": os.getpid(), "starttime": _starttime(os.getpid())}))
    return unborn.rename(STATE / prefix)


def sweep() -> list[str]:
    """Take down every lab whose owner is dead; returns their prefixes. LabError, at the end, if some could not be taken down completely."""
    swept, failures = [], []
    STATE.mkdir(mode=0o755, exist_ok=True)
    with (STATE / "sweep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for directory in sorted(STATE.glob("rl*")):
            try:
                if not _owner_lives(directory):
                    dismantle(directory)
                    swept.append(directory.name)
            except FileNotFoundError:  # its owner took it down meanwhile
                continue
            except LabError as failure:
                failures.append(str(failure))
    if failures:
        raise LabError("; ".join(failures))
    return swept


def _owner_lives(directory: Path) -> bool:
    owner = json.loads((directory / "owner").read_text())
    return _starttime(int(owner["pid"])) == int(owner["starttime"])


def _starttime(pid: int) -> int | None:
    """When a process began (clock ticks since boot), or None if there is none: tells a process from a later one with its number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def dismantle(directory: Path) -> None:
    """Remove what a lab left: processes, control groups, mounts, namespaces (its links go with them), files. A step that fails does not stop the others."""
    prefix = directory.name
    failures: list[str] = []

    def attempt(step: Callable[[], object]) -> None:
        try:
            step()
        except (LabError, OSError) as failure:
            failures.append(str(failure))

    for group in sorted(cgroup_root().glob(f"{prefix}-*")):
        attempt(lambda group=group: remove_cgroup(group))  # type: ignore[misc]
    namespaces = sorted(path.name for path in NETNS.glob(f"{prefix}-*"))
    for name in namespaces:
        attempt(lambda name=name: empty_netns(name))  # type: ignore[misc]
    for point in mounts_below(directory):
        attempt(lambda point=point: run(["umount", point]))  # type: ignore[misc]
    for name in namespaces:
        attempt(lambda name=name: run(["ip", "netns", "del", name]))  # type: ignore[misc]
    if not failures:
        attempt(lambda: shutil.rmtree(directory))
    if failures:
        raise LabError(f"lab {prefix} could not be taken down completely (python -m tests.lab sweep tries again): " + "; ".join(failures))


def empty_netns(name: str) -> None:
    """End the processes that live in a namespace of ours (ssh masters stay behind there by design)."""

    def left() -> list[int]:
        return [pid for pid in map(int, run(["ip", "netns", "pids", name]).stdout.split()) if pid != os.getpid()]

    for pid in left():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not left(), f"the processes in the network namespace {name} to end after SIGKILL")


def take_slot(timeout: float = 180) -> IO[str]:
    """One of the machine's few places for a systemd host, shared by all labs; it is free again when the file is closed, or its owner dies."""
    places = STATE / "slots"
    places.mkdir(exist_ok=True)

    def free_place() -> IO[str] | None:
        for number in range(HOSTS_AT_ONCE):
            file = (places / str(number)).open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                file.close()
        return None

    return wait_for(free_place, f"a place for one more host ({HOSTS_AT_ONCE} at once on this machine, over all labs)", timeout, interval=0.2)
