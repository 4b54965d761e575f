# SPDX-License-Identifier: GPL-3.0-or-later
"""What is promised holds whatever goes wrong: the engine killed at each of its steps, a full disk, a broken ledger, tools that fail in between, many at once."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host
from tests.lab.lab import REPOSITORY

ENGINE = REPOSITORY / "plugins/module_utils/host"
FAULTS = Path(__file__).with_name("faults")
PROTOCOL = 1
USER = "mallory"


def put_program(host: Host, name: str) -> str:
    """Copies the engine and a driver of tests/integration/faults to a host, as one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(FAULTS / f"{name}.py", "__main__.py")
        for path in ENGINE.rglob("*.py"):
            archive.write(path, Path("engine", path.relative_to(ENGINE)))
    place = f"/root/{name}.zip"
    host.inside(["sh", "-c", f"base64 -d > {place}"], input=base64.b64encode(packed.getvalue()).decode())
    return place


def install_tick(host: Host) -> None:
    """What the engine takes for a tick that runs: the tests tick by hand, at moments of their choice."""
    script = f"import zipfile; zipfile.ZipFile('/usr/local/sbin/riposte', 'w').writestr('PROTOCOL', '{PROTOCOL}')"
    host.inside(["/usr/bin/python3", "-c", script])
    host.put("/etc/cron.d/riposte", "# ticks by hand\n")


@pytest.fixture(scope="module")
def ready(host: Host) -> Host:
    host.inside(["useradd", "--create-home", "--shell", "/bin/bash", USER])
    host.inside(["chpasswd"], input=f"{USER}:geheim\n")
    install_tick(host)
    return host


@pytest.mark.parametrize(("backend", "least"), [("nftables", 9), ("ipset", 9), ("shadow", 8)])
def test_killed_at_any_step_one_tick_later_all_is_as_before_or_as_asked(ready: Host, backend: str, least: int) -> None:
    done = ready.inside([ready.python, put_program(ready, "kills"), backend], timeout=170, check=False)
    assert done.rc == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer["wrong"] == []
    assert len(answer["points"]) == least
    assert all(number >= 8 for number in answer["points"].values()), answer["points"]
    assert sum(answer["points"].values()) > 120
