# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interpreters `./dev` takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.dev import machine


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine: two folders on PATH, a home."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def program(path: Path, text: str = "\x7fELF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_shims_are_passed_over_for_real_interpreters(place: Path) -> None:
    program(place / "first/python3.12", "#!/usr/bin/env bash\nexec pyenv\n")
    real = program(place / "home/.pyenv/versions/3.12.1/bin/python3.12")
    assert machine.pythons() == {(3, 12): real}


def test_path_comes_before_pyenv(place: Path) -> None:
    on_path = program(place / "second/python3.11")
    program(place / "home/.pyenv/versions/3.11.7/bin/python3.11")
    assert machine.pythons() == {(3, 11): on_path}


def test_interpreter_of_a_virtual_environment_is_not_taken(place: Path) -> None:
    program(place / "first/python3.11")
    (place / "pyvenv.cfg").touch()
    assert machine.pythons() == {}


def test_too_old_and_too_new_are_not_taken(place: Path) -> None:
    program(place / "first/python3.8")
    program(place / "first/python3.15")
    assert machine.pythons() == {}


def test_newest_allowed_is_chosen() -> None:
    found = {(3, 9): Path("a"), (3, 12): Path("b"), (3, 13): Path("c")}
    assert machine.newest(found, (11, 12)) == ((3, 12), Path("b"))
    assert machine.newest(found, (12, 13, 14)) == ((3, 13), Path("c"))
    assert machine.newest(found, (10,)) is None


@pytest.mark.parametrize(
    ("interpreter", "package"),
    [("/usr/bin/python3.11", ["python3.11-venv"]), ("/bin/python3.13", ["python3.13-venv"]), ("/opt/python3.13", []), ("/usr/local/bin/python3.13", [])],
)
def test_debians_python_needs_debians_venv(interpreter: str, package: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert machine.venv_package(Path(interpreter)) == package
