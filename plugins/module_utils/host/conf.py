# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the files of the host's owner, below /etc/riposte: they decide what this program does as root, so nobody else may write them."""

from __future__ import annotations

import os
import stat

from .errors import Problem

LARGEST = 1 << 20  # bytes


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
    if seen.st_uid != os.geteuid() or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Problem(f"{path}: it must belong to root and be writable by nobody else")
    return text
