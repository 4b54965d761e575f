# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads files with care: the owner's, below /etc/riposte, which nobody else may write, and others', which must not hold root up."""

from __future__ import annotations

import os
import stat

from .errors import Problem

LARGEST = 1 << 20  # bytes


def alone(seen: os.stat_result) -> bool:
    """Whether what was looked at belongs to this user, and nobody else may write it."""
    return seen.st_uid == os.geteuid() and not seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def read_owned(path: str) -> str | None:
    """A file's text, None when there is none; Problem when it cannot be trusted or read."""
    try:
        with open(path, encoding="utf-8") as stream:
            seen = os.fstat(stream.fileno())
            text = stream.read(LARGEST)
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise Problem(f"{path}: it is a link to what does not exist") from error
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read ({error})") from error
    if not alone(seen):
        raise Problem(f"{path}: it must belong to root and be writable by nobody else")
    return text


def read_foreign(path: str) -> str:
    """An ordinary file's text, "" when there is none. Who may write there must not have root wait, follow a link, or read without end: Problem."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Problem(f"{path}: cannot be read ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Problem(f"{path}: it is no ordinary file")
        with open(handle, encoding="utf-8", errors="replace", closefd=False) as stream:
            return stream.read(LARGEST)
    finally:
        os.close(handle)
