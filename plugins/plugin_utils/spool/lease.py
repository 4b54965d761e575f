# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may hand out, and who is still at work: locks that the kernel takes away from whoever dies, in whatever way.

`lead.lock` is held by the one event source that hands out the batches of a spool. `work.lock` is shared by all processes that act for a batch, each
for as long as it does: who can have it alone knows that nobody of an earlier run is left. A forked worker of ansible-playbook outlives a killed
parent, and goes on with its task; so it is the worker that holds it.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from .spool import Spool, translated, trusted

LEAD, WORK = "lead.lock", "work.lock"


class Lock:
    """One of a spool's lock files, open."""

    def __init__(self, directory: str, name: str) -> None:
        self._path = os.path.join(directory, name)
        with translated(self._path):
            trusted(directory, False, self._path)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_alone(self) -> bool:
        """Has the lock for itself, if nobody else has it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Has the lock together with others; waits while somebody has it alone."""
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def free(self) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._handle)

    def holders(self) -> list[int]:
        """The processes that have it, as far as this system tells (Linux)."""
        try:
            with open("/proc/locks", encoding="ascii") as stream:
                lines = [line.split() for line in stream]
        except OSError:
            return []
        inode = str(os.fstat(self._handle).st_ino)
        found = {int(words[4]) for words in lines if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode}
        return sorted(pid for pid in found - {os.getpid(), 0, -1} if _has_open(pid, self._handle))

    def kill_holders(self) -> list[int]:
        """Ends the processes that have it."""
        holders = self.holders()
        for pid in holders:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return holders


def _has_open(pid: int, handle: int) -> bool:
    """Whether the process has this very file open: a lock's line names the device in a way that not all file systems keep to."""
    ours = os.fstat(handle)
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            seen = os.stat(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if (seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino):
            return True
    return False


@contextmanager
def at_work(directory: str) -> Iterator[Spool]:
    """The spool, for a process that acts for a batch. Whether the batch is still its own it must ask in here, where that cannot change."""
    lock = Lock(directory, WORK)
    try:
        lock.share()
        spool = Spool.open(directory, make=False, patience=30)
        try:
            yield spool
        finally:
            spool.close()
    finally:
        lock.close()
