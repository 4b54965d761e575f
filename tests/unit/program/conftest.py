# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the program's unit tests."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.program.little_host import LittleHost
from tests.unit.program.test_build import build


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built program."""
    target = tmp_path_factory.mktemp("program") / "riposte"
    assert build(target).returncode == 0
    return target


@pytest.fixture
def host(tmp_path: Path, program: Path) -> LittleHost:
    """A host in a directory, with that program."""
    return LittleHost(tmp_path, program)


@pytest.fixture(scope="module")
def riposte(program: Path) -> Iterator[SimpleNamespace]:
    """The modules of the built program, in this process."""
    known = set(sys.modules)
    sys.path.insert(0, str(program))
    names = {each: f"riposte.{each}" for each in ("message", "lifetimes", "log", "background", "runner")} | {"errors": "engine.host.errors"}
    yield SimpleNamespace(**{short: importlib.import_module(name) for short, name in names.items()})
    sys.path.remove(str(program))
    for name in set(sys.modules) - known:
        if name.split(".")[0] in ("riposte", "engine"):
            del sys.modules[name]
