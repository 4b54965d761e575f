# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the Windows engine with Mono's C# compiler, limited to C# 5 as on Windows PowerShell 5.1, and runs it."""

from __future__ import annotations

import base64
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "plugins" / "module_utils"
HERE = Path(__file__).resolve().parent
ENTRY = SOURCES / "FirewallDropModule.cs"  # the one file that needs Ansible.Basic
# What Windows PowerShell 5.1 gives a module to compile with: these assemblies, C# 5, warnings are errors.
COMPILER = ("mcs", "-langversion:5", "-warnaserror", "-noconfig", "-codepage:utf8", "-r:System.dll", "-r:System.Core.dll")

Ask = Callable[[Sequence[Sequence[object]]], list[str]]


def need(program: str, package: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is missing: the Windows engine cannot be compiled or run here. Do: apt-get install --no-install-recommends {package}")


def compile_sources(out: Path, sources: Sequence[Path], *options: str) -> Path:
    need("mcs", "mono-mcs")
    need("mono", "mono-runtime")
    result = subprocess.run([*COMPILER, *options, f"-out:{out}", *map(str, sources)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"does not compile as C# 5 without warnings:\n{result.stdout}{result.stderr}"
    return out


def engine_sources() -> list[Path]:
    return sorted(path for path in SOURCES.glob("*.cs") if path != ENTRY)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine alone as a library: no reference to Ansible or PowerShell."""
    return compile_sources(tmp_path_factory.mktemp("engine") / "engine.dll", engine_sources(), "-target:library")


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine with its C# tests and the program that answers questions."""
    tests = [HERE / name for name in ("Harness.cs", "StandIn.cs", "EngineTests.cs")]
    return compile_sources(tmp_path_factory.mktemp("harness") / "harness.exe", [*engine_sources(), *tests])


@pytest.fixture(scope="session")
def ask(harness: Path) -> Ask:
    """Asks the engine many questions in one process: fields in, `ok ANSWER` or `error RULE` out."""

    def asked(questions: Sequence[Sequence[object]]) -> list[str]:
        lines = [" ".join(_field(field) for field in question) for question in questions]
        result = subprocess.run(["mono", str(harness), "ask"], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        answers = result.stdout.splitlines()
        assert len(answers) == len(questions)
        return answers

    return asked


def _field(value: object) -> str:
    """null and the empty string differ: base64 of the latter is nothing, which a field can be."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else "true" if value is True else "false" if value is False else str(value)
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def ansible_cores() -> list[tuple[Path, Path]]:
    """(Python, the folder of its package `ansible`) for each ansible-core at hand: this Python's, and the oldest one supported."""
    found: list[tuple[Path, Path]] = []
    spec = importlib.util.find_spec("ansible")
    if spec and spec.origin:
        found.append((Path(sys.executable), Path(spec.origin).parent))
    found += [(ROOT / ".venv-2.16" / "bin" / "python", path.parent) for path in ROOT.glob(".venv-2.16/lib/python3*/site-packages/ansible/release.py")]
    return found
