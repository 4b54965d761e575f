# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has: Python interpreters and Debian packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.dev.say import Stop, complaint_of

BASE = ("git",)
LAB = ("iproute2", "mount", "openssh-client", "procps", "util-linux", "wget")
RULEBOOK = ("openjdk-17-jre-headless",)
WINDOWS = ("libmono-system-web-extensions4.0-cil", "mono-mcs", "mono-runtime", "mono-utils")
LINT = ("shellcheck",)

Version = tuple[int, int]


def pythons() -> dict[Version, Path]:
    """The Python 3.9 to 3.14 found on PATH and in ~/.pyenv, by version; the first one found counts.

    A pyenv shim is a shell script that answers for whatever is configured: only real programs count.
    """
    found: dict[Version, Path] = {}
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders += sorted(Path.home().glob(".pyenv/versions/3.*/bin"), reverse=True)
    for folder in folders:
        for minor in range(9, 15):
            program = folder / f"python3.{minor}"
            if (3, minor) not in found and _is_real(program):
                found[3, minor] = program
    return found


def _is_real(program: Path) -> bool:
    """An executable that is no script. A virtual environment's own link does not count: it may be gone tomorrow."""
    if not os.access(program, os.X_OK) or (program.parent.parent / "pyvenv.cfg").exists():
        return False
    with program.open("rb") as file:
        return file.read(2) != b"#!"


def newest(found: Mapping[Version, Path], allowed: Iterable[int]) -> tuple[Version, Path] | None:
    """The newest interpreter among the allowed minor versions, if there is one."""
    usable = [(version, path) for version, path in found.items() if version[1] in allowed]
    return max(usable, default=None)


def install(packages: Iterable[str]) -> None:
    """Install the Debian packages that are missing. Elsewhere, and without root, say what is missing."""
    wanted = sorted(set(packages))
    if not shutil.which("dpkg-query"):
        print(f"Not a Debian system: see to it that what these packages hold is here: {' '.join(wanted)}")
        return
    missing = [package for package in wanted if not _installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise Stop(f"missing packages: {' '.join(missing)}\nDo, as root: apt-get install {' '.join(missing)}")
    print(f"Installing Debian packages: {' '.join(missing)} ...", flush=True)
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *missing]):
        complaint = complaint_of(argv, env)
        if complaint:
            raise Stop(f"{complaint}\nPut apt's sources right, then run ./dev again.")


def _installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def venv_package(interpreter: Path) -> list[str]:
    """Debian keeps ensurepip, which `venv` needs, in a package of its own."""
    match = re.fullmatch(r"/(?:usr/)?bin/(python3\.\d+)", str(interpreter))
    return [f"{match[1]}-venv"] if match and shutil.which("dpkg-query") else []
