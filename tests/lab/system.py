# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's seam to the kernel: commands, network namespaces, control groups, mounts, waiting."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
NETNS = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)
Seen = TypeVar("Seen")


class LabError(Exception):
    """Something in the lab is not as it must be; the text says what was seen."""


@dataclass(frozen=True)
class Completed:
    """One command that has ended."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    input: str | None = None,
    timeout: float = 120,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    where: str = "the machine",
) -> Completed:
    """Run one command to its end (or its time limit) and return what it said. Without `input` it reads an empty one, never this program's own.

    `where` only names the place in the error message. Raises LabError on a non-zero exit when `check` is set, and always when the time is up.
    """
    try:
        done = subprocess.run(
            list(argv), input=input or "", capture_output=True, text=True, errors="surrogateescape", timeout=timeout, env=env, cwd=cwd, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise LabError(f"{where}: {' '.join(argv)} was still running after {timeout:g} s; said so far: {late.stdout!r} {late.stderr!r}") from late
    except OSError as unfit:
        raise LabError(f"{where}: {' '.join(argv)} could not be started: {unfit}") from unfit
    completed = Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
    if check and completed.rc != 0:
        said = (completed.stderr.strip() or completed.stdout.strip() or "nothing")[-2000:]
        raise LabError(f"{where}: {' '.join(argv)} ended with {completed.rc}, expected 0; it said: {said}")
    return completed


def wait_for(condition: Callable[[], Seen | None], what: str, timeout: float = 10, interval: float = 0.02) -> Seen:
    """Poll until `condition` returns something true and return that; LabError names `what`, the deadline and the last thing seen."""
    deadline = time.monotonic() + timeout
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout:g} s for {what}, in vain; last seen: {seen!r}")
        time.sleep(interval)


# --- network namespaces -------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def inside_netns(name: str) -> Iterator[None]:
    """Put this thread into a named network namespace for the block.

    A socket made inside belongs to that namespace for ever and may be used from anywhere; a process started inside lives there.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there, name)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home, "home")
    finally:
        os.close(home)


def _setns(fd: int, name: str) -> None:
    # os.setns came with Python 3.12
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise LabError(f"cannot enter the network namespace {name}: {os.strerror(number)} (the lab needs root)")


def ip_batch(netns: str, lines: Sequence[str]) -> None:
    """Several `ip` commands in one process; the first that fails ends it."""
    run(["ip", "-n", netns, "-batch", "-"], input="\n".join(lines) + "\n", where=f"netns {netns}")


def set_sysctls(netns: str, values: Mapping[str, str]) -> None:
    """Write net.* knobs of one network namespace (path below /proc/sys/net -> value)."""
    with inside_netns(netns):
        for path, value in values.items():
            Path("/proc/sys/net", path).write_text(value)


# --- control groups -----------------------------------------------------------------------------------------------------------------------


def cgroup_root() -> Path:
    """Where cgroup v2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside v1."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, mountpoint, kind, *_rest = line.split(" ")
        if kind == "cgroup2":
            return Path(mountpoint)
    raise LabError("no cgroup2 file system in /proc/mounts; the lab needs one for its hosts (mount -t cgroup2 cgroup2 DIR)")


def remove_cgroup(group: Path, timeout: float = 20) -> None:
    """End every process in a control group, await that they are gone, remove the directories."""
    if not group.exists():
        return
    (group / "cgroup.kill").write_text("1")
    wait_for(lambda: "populated 0" in (group / "cgroup.events").read_text(), f"the processes in {group} to end after cgroup.kill", timeout)
    for directory, _unused, _unused in os.walk(group, topdown=False):
        os.rmdir(directory)


# --- mounts -------------------------------------------------------------------------------------------------------------------------------


def mounts_below(directory: Path) -> list[str]:
    """Mount points at or below a directory, the innermost first."""
    points = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in reversed(points) if point == str(directory) or point.startswith(f"{directory}/")]
