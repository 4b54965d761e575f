# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the engine's unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.host.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A host in memory."""
    with World(tmp_path).known_to_engine() as world:
        yield world
