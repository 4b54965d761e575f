# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the sender's unit tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sender.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    here = os.getcwd()  # a spool that is opened takes the process there
    place = Place(tmp_path)
    yield place
    place.close()
    os.chdir(here)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with NAME.pem, certificate and key in one, for localhost, elsewhere and a client; each is its own authority."""
    directory = tmp_path_factory.mktemp("certificates")
    for name, subject in (("localhost", "DNS:localhost"), ("elsewhere", "DNS:elsewhere.example"), ("client", "DNS:client")):
        words = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -addext subjectAltName={subject}"
        subprocess.run([*words.split(), "-keyout", directory / "key", "-out", directory / "cert"], check=True, capture_output=True)
        (directory / f"{name}.pem").write_text((directory / "cert").read_text() + (directory / "key").read_text())
    return directory
