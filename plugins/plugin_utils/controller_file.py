# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that a user names."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem


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


@contextmanager
def writing(path: str, what: str = "") -> Iterator[None]:
    """What keeps a file from being written, as a Problem that names it."""
    try:
        yield
    except OSError as error:
        raise Problem(f"{what} {path}: cannot be written on the controller: {error.strerror}".lstrip()) from error


def replace_file(path: str, content: bytes, mode: int) -> None:
    """Writes a file in one step: nobody sees half of it."""
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".riposte-")
    try:
        with open(handle, "wb") as stream:
            stream.write(content)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
