# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environments: made when missing, made again when their requirements or their Python changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.dev import machine
from tests.dev.say import ROOT, Stop, complaint_of

COLLECTIONS = ROOT / ".venv/collections"
REQUIREMENTS = ROOT / "tests/requirements"


@dataclass(frozen=True)
class Venv:
    folder: str
    requirements: str
    minors: tuple[int, ...]
    """The minor versions of Python 3 it may have, the newest found is taken."""
    holds: str

    @property
    def bin(self) -> Path:
        return ROOT / self.folder / "bin"

    def env(self) -> dict[str, str]:
        """What a program started in this environment finds; the collection under its real name."""
        return {
            "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "VIRTUAL_ENV": str(ROOT / self.folder),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{COLLECTIONS}",
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            # Ansible refuses to start where the locale is not UTF-8.
            "LC_ALL": "C.UTF-8",
        }


TOOLS = Venv(".venv", "tools.txt", (14, 13, 12, 11), "newest ansible-core, tools")
CORE_216 = Venv(".venv-2.16", "core-2.16.txt", (12, 11), "ansible-core 2.16")
ENGINE_39 = Venv(".venv-3.9", "engine-3.9.txt", (9,), "engine tests on Python 3.9")
RULEBOOK = Venv(".venv-rulebook", "rulebook.txt", (13, 12, 11), "ansible-rulebook")
IMPORTER = Venv(".venv-importer", "importer.txt", (14, 13, 12, 11), "galaxy-importer")


def ensure(venv: Venv) -> bool:
    """Have this environment ready. False when no Python here can have it."""
    chosen = machine.newest(machine.pythons(), venv.minors)
    if chosen is None:
        return False
    with _one_at_a_time():
        if not _fits(venv, chosen[0]):
            _make(venv, chosen[1])
        if venv is TOOLS:
            _link_collection()
    return True


def require(venv: Venv) -> None:
    """Have it ready or stop."""
    if not ensure(venv):
        seen = ", ".join(f"{version[0]}.{version[1]}" for version in sorted(machine.pythons())) or "none"
        wanted = " or ".join(f"3.{minor}" for minor in sorted(venv.minors))
        raise Stop(
            f"{venv.folder} ({venv.holds}) needs Python {wanted}; found on PATH and in ~/.pyenv: {seen}.\n"
            f"Do: apt-get install python3 python3-venv (Debian 12 or newer)"
        )


def said(venv: Venv) -> str:
    """One line: this environment's Python and, where it has one, its ansible-core."""
    [library] = (ROOT / venv.folder / "lib").glob("python3.*")
    core = [path.name.removeprefix("ansible_core-").removesuffix(".dist-info") for path in library.glob("*/ansible_core-*.dist-info")]
    holds = f"ansible-core {core[0]}" if core else venv.holds
    return f"{venv.folder}: {library.name.replace('python', 'Python ')}, {holds}"


def _fits(venv: Venv, newest: machine.Version) -> bool:
    """It is complete, its requirements and its Python are as they were, and no newer Python has come.

    Another PATH that finds an older Python is no reason to make it again.
    """
    stamp, interpreter = ROOT / venv.folder / "stamp", venv.bin / "python"
    if not (stamp.exists() and os.access(interpreter, os.X_OK) and stamp.read_text() == _stamp(venv)):
        return False
    [library] = (ROOT / venv.folder / "lib").glob("python3.*")
    return int(library.name.partition(".")[2]) >= newest[1]


def _stamp(venv: Venv) -> str:
    requirements = (REQUIREMENTS / venv.requirements).read_bytes()
    # Under pyenv the real path names the patch release; the program's date tells of Debian's upgrades.
    real = (venv.bin / "python").resolve()
    return f"{hashlib.sha256(requirements).hexdigest()} {real} {int(real.stat().st_mtime)}\n"


def _make(venv: Venv, interpreter: Path) -> None:
    print(f"Making {venv.folder} ({venv.holds}) with {interpreter} ...", flush=True)
    start = time.monotonic()
    machine.install(machine.venv_package(interpreter))
    shutil.rmtree(ROOT / venv.folder, ignore_errors=True)
    pip: list[str | Path] = [venv.bin / "python", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    commands: list[list[str | Path]] = [
        [interpreter, "-m", "venv", ROOT / venv.folder],
        [*pip, "-r", REQUIREMENTS / venv.requirements],
    ]
    for argv in commands:
        complaint = complaint_of(argv)
        if complaint:
            raise Stop(f"{complaint}\n{venv.folder} is not complete; the next ./dev makes it again.")
    (ROOT / venv.folder / "stamp").write_text(_stamp(venv))
    print(f"Made {venv.folder} in {time.monotonic() - start:.0f} s", flush=True)


def _link_collection() -> None:
    """Ansible finds a collection by its folder's name; the repository may be cloned under any."""
    link = COLLECTIONS / "ansible_collections/riposte/active_response"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        # Relative, so that a moved clone keeps it.
        link.symlink_to(os.path.relpath(ROOT, link.parent))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two `./dev` at once must not build the same environment; the repository's folder itself is the lock."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
