# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that a user names."""

from __future__ import annotations

import os
import stat

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput


def full_path(path: str) -> str:
    """A relative path counts from where ansible-playbook was started, for that is where its user typed it."""
    return os.path.abspath(os.path.expanduser(path))


def content_of(path: str, what: str, limit: int) -> bytes:
    """The file's bytes; BadInput when it cannot be read, is no regular file, or is larger than `limit` (whole MiB)."""
    path = full_path(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadInput(f"{what} {path}: this is not a regular file")
        with open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{what} {path}: cannot be read on the controller: {error.strerror}") from error
    if len(content) > limit:
        raise BadInput(f"{what} {path}: the file is larger than {limit >> 20} MiB; split it")
    return content
