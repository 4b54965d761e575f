# SPDX-License-Identifier: GPL-3.0-or-later
"""The program is one file, the same bytes wherever it is built, and its protocol can be read by the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.riposte.active_response.plugins.module_utils.host import tick

ROOT = Path(__file__).resolve().parents[3]
UTILS = "plugins/module_utils"
ENGINE = f"{UTILS}/host"
ALERT = f"{UTILS}/alert"


def build(target: Path, *options: str, root: Path = ROOT, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(root / "roles/agent/files/build.py"), *options, str(target)]
    return subprocess.run(argv, capture_output=True, text=True, cwd=cwd, check=False)


def copied_sources(to: Path) -> Path:
    """The same sources elsewhere, written in another order at another time, with another umask, and with Python's leftovers beside them."""
    for name in ("roles/agent/files", ENGINE, ALERT):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted(to.rglob("*"), reverse=True):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    (to / ENGINE / "__pycache__").mkdir()
    (to / ENGINE / "__pycache__/engine.cpython-39.pyc").write_bytes(b"leftover")
    return to


def test_the_same_sources_make_the_same_bytes_from_anywhere_at_any_time(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert build(here).returncode == 0
    assert build(there, root=copied_sources(tmp_path / "copy"), cwd=tmp_path).returncode == 0
    assert here.read_bytes() == there.read_bytes()


def test_a_change_of_the_engine_changes_the_program(tmp_path: Path) -> None:
    copy = copied_sources(tmp_path / "copy")
    with (copy / ENGINE / "engine.py").open("a") as stream:
        stream.write("# another\n")
    build(tmp_path / "before")
    build(tmp_path / "after", root=copy)
    assert (tmp_path / "before").read_bytes() != (tmp_path / "after").read_bytes()


def test_the_program_holds_the_very_files_of_the_engine(tmp_path: Path) -> None:
    build(tmp_path / "riposte")
    with zipfile.ZipFile(tmp_path / "riposte") as archive:
        inside = {name.partition("/")[2]: archive.read(name) for name in archive.namelist() if name.startswith("engine/")}
    needed = [*(ROOT / ENGINE).rglob("*.py"), *(ROOT / ALERT / name for name in ("__init__.py", "alert.py", "observables.py"))]
    assert inside == {"__init__.py": b""} | {path.relative_to(ROOT / UTILS).as_posix(): path.read_bytes() for path in needed}


def test_the_engine_reads_the_programs_protocol(tmp_path: Path) -> None:
    build(tmp_path / "riposte")
    assert tick._protocol(str(tmp_path / "riposte")) == tick.PROTOCOL


def test_the_first_line_names_the_interpreter_that_was_asked_for(tmp_path: Path) -> None:
    build(tmp_path / "riposte", "--python", "/opt/python3.9/bin/python3.9")
    assert (tmp_path / "riposte").read_bytes().startswith(b"#!/opt/python3.9/bin/python3.9 -IS\n")
    assert os.access(tmp_path / "riposte", os.X_OK)


def test_an_interpreter_that_no_kernel_would_start_is_refused(tmp_path: Path) -> None:
    for unfit in ("python3", "/opt/my python/bin/python3", "/" + "x" * 200):
        done = build(tmp_path / "riposte", "--python", unfit)
        assert done.returncode == 1
        assert "must be an absolute path without spaces" in done.stderr
    assert not (tmp_path / "riposte").exists()
