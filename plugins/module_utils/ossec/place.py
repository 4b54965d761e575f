# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and replaces files as root in directories that others may write, as Wazuh's own user may write `etc`, without being led elsewhere.

The directory is held open, everything in it is done by the bare name, and nothing about a file is changed by a name: whoever renames, links or swaps what
stands there gets an error from us, or a file of his own replaced, never a hand on another file.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from typing import NamedTuple

from ..host.errors import BadInput, Problem, shown

LARGEST = 1 << 25
"""Bytes of a file that are read at most."""
SHOWN = 200
"""Characters of a link's target that a message tells at most."""
LINKS = 40
"""Links on the way to a directory, as the kernel allows."""
KEPT = ("security.selinux", "system.posix_acl_access")
"""Attributes that a file hands on to the one in its place."""

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Seen(NamedTuple):
    """A file that stood there."""

    content: bytes
    owner: tuple[int, int]
    mode: int
    attributes: Mapping[str, bytes]


class Place:
    """A file's name in its directory, which is held open as long as the process lives."""

    def __init__(self, path: str):
        directory, self.name = os.path.split(path)
        if self.name in ("", ".", ".."):
            raise BadInput(f"{shown(path)} names no file")
        try:
            self._directory = open_directory(directory)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BadInput("its directory is not there") from error
        self._temporary = f".{self.name}.riposte-"

    def read(self) -> Seen | None:
        """What stands there, None when nothing does; BadInput unless it is one ordinary file of this name only."""
        try:
            handle = os.open(self.name, os.O_RDONLY | _FILE, dir_fd=self._directory)
        except FileNotFoundError:
            return None
        except OSError as error:
            target = _link(self.name, self._directory)
            if target is None:
                raise
            raise BadInput(f"it is a link to {shown(target, SHOWN)}, and none is followed: not only root may have set it; put the file itself there") from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            raise BadInput("it is no ordinary file")
        with open(handle, "rb") as stream:
            if status.st_nlink != 1:
                raise BadInput(f"the file has {status.st_nlink} names (hard links), so it may be another's as well; put a copy there that has this name only")
            content = stream.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise BadInput(f"it has more than {LARGEST} bytes, so it is no file of Wazuh's configuration")
            # without set-user-ID bits: what we write must not run as whoever owned the file
            return Seen(content, (status.st_uid, status.st_gid), status.st_mode & 0o777, _attributes(handle))

    def write(self, content: bytes, like: Seen | None) -> None:
        """Puts a whole file there, with owner, mode and security label of `like`, else the directory's owner and 0660. Problem when it did not stay."""
        self._sweep()
        temporary = self._temporary + secrets.token_hex(8)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=self._directory)
        try:
            with open(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                self._dress(handle, like)
                os.fsync(handle)
                os.rename(temporary, self.name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
                self._insist_on(handle)
        except BaseException:
            self._unlink(temporary)
            raise
        os.fsync(self._directory)

    def remove(self) -> None:
        """Takes the name out, whatever it is by now; a link's target stays."""
        self._unlink(self.name)
        os.fsync(self._directory)

    def _dress(self, handle: int, like: Seen | None) -> None:
        above = os.fstat(self._directory)
        os.fchown(handle, *(like.owner if like else (above.st_uid, above.st_gid)))
        os.fchmod(handle, like.mode if like else 0o660)
        for name, value in (like.attributes if like else {}).items():
            os.setxattr(handle, name, value)

    def _insist_on(self, handle: int) -> None:
        """Somebody may have put a file of his own under the temporary name, and that is what came here then."""
        try:
            stands = os.path.samestat(os.fstat(handle), os.stat(self.name, dir_fd=self._directory, follow_symlinks=False))
        except FileNotFoundError:
            stands = False
        if not stands:
            raise Problem("somebody else put another file there while it was written; look who writes in this directory, then run again")

    def _sweep(self) -> None:
        """Takes out what a run that was killed left behind."""
        for name in os.listdir(self._directory):
            if re.fullmatch(re.escape(self._temporary) + "[0-9a-f]{16}", name):
                self._unlink(name)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)


def open_directory(path: str) -> int:
    """A handle on a directory. A link on the way is followed where nobody but root (or who runs this) can have set it, else BadInput."""
    here, links = os.open("/", _DIRECTORY), 0
    steps = os.path.join(os.getcwd(), path).split("/")[::-1]
    try:
        while steps:
            step = steps.pop() or "."
            target = _link(step, here)
            if target is None:
                here = _step(here, os.open(step, _DIRECTORY, dir_fd=here))
                continue
            links += 1
            if links > LINKS or not _ours_alone(os.fstat(here)):
                raise BadInput(f"{shown(step)} on the way to it is a link to {shown(target, SHOWN)} that not only root may have set; name the path without it")
            if target.startswith("/"):
                here = _step(here, os.open("/", _DIRECTORY))
            steps += target.split("/")[::-1]
    except BaseException:
        os.close(here)
        raise
    return here


def _step(left: int, entered: int) -> int:
    os.close(left)
    return entered


def _link(name: str, directory: int) -> str | None:
    """What a link points to, None for all else that is there."""
    if not stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        return None
    return os.readlink(name, dir_fd=directory)


def _ours_alone(directory: os.stat_result) -> bool:
    return directory.st_uid in (0, os.geteuid()) and not directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _attributes(handle: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(handle, name) for name in os.listxattr(handle) if name in KEPT}
    except OSError:  # this file system knows none
        return {}
