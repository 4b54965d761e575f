# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the program, and keeps its compiled form.

Python keeps none for what it imports from an archive, and compiling is more than a third of a start. So it is kept beside the ledger, in a
directory that is root's alone, for this very archive and interpreter. Whatever is wrong with it, the archive itself is used.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

BEGUN = time.monotonic()  # wazuh-execd waits from now on
KEPT = "/var/lib/riposte/compiled"  # as engine.host.paths has it, which is not loaded yet
Identity = tuple[str, int, int, int]
Codes = dict[str, tuple[str, bytes]]  # of each module: its file, and its code, which is read when it is imported, for no command needs all


class Compiled:
    """Finds and loads this archive's modules by their compiled form."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._codes:
            return None
        file = self._codes[name][0]
        return ModuleSpec(name, self, origin=file, is_package=file.endswith("__init__.py"))  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        exec(marshal.loads(self._codes[module.__name__][1]), module.__dict__)


def identity(archive: str) -> Identity:
    """Changes with every change of the archive (ctime cannot be set back) and of the interpreter."""
    seen = os.stat(archive)
    return sys.version, seen.st_ino, seen.st_size, seen.st_ctime_ns


def kept(path: str, wanted: Identity) -> Codes | None:
    """The compiled modules, if they are trustworthy and of this archive."""
    if not (_own(os.path.dirname(path)) and _own(path)):
        return None
    try:
        with open(path, "rb") as stream:
            seen, codes = marshal.load(stream)
    except (OSError, EOFError, ValueError, TypeError):
        return None  # damaged: it is made again
    return codes if seen == wanted else None


def compile_and_keep(archive: str, path: str, wanted: Identity) -> Codes | None:
    """Compiles every module and keeps them, if there is a place that is ours alone."""
    if not _own(os.path.dirname(path)):
        return None
    import zipfile

    codes = {}
    with zipfile.ZipFile(archive) as opened:
        for file in opened.namelist():
            if file.endswith(".py") and "/" in file:
                name = file[: -len(".py")].replace("/", ".").removesuffix(".__init__")
                path_there = f"{archive}/{file}"
                codes[name] = path_there, marshal.dumps(compile(opened.read(file), path_there, "exec", dont_inherit=True))
    _write(path, marshal.dumps((wanted, codes)))
    return codes


def _own(path: str) -> bool:
    """Whether this user alone can have written it. A link says no: its mode lets everybody write."""
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    return seen.st_uid == os.geteuid() and not seen.st_mode & 0o022


def _write(path: str, data: bytes) -> None:
    temporary = f"{path}.{os.getpid()}"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(handle)  # a power cut must not leave half of it under its name
        os.replace(temporary, path)
    except OSError:  # a full disk: the next start is slow too, nothing worse
        if os.path.exists(temporary):
            os.unlink(temporary)


def open_streams() -> None:
    """A file that is opened later must not get the number of a closed stream, and with it what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def start(path: str = KEPT) -> int:
    open_streams()
    archive = os.path.abspath(sys.path[0])
    wanted = identity(archive)
    codes = kept(path, wanted) or compile_and_keep(archive, path, wanted)
    if codes:
        sys.meta_path.insert(0, Compiled(codes))
    from riposte.cli import main

    return main(sys.argv, begun=BEGUN)


if __name__ == "__main__":
    gc.disable()  # a short life: collecting, and taking everything down at the end, would be a tenth of it
    code = start()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
