# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the program's unit tests."""

from __future__ import annotations

from pathlib import Path

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
