# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host's tick runs, judged by its program, systemd and cron."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host import tick as tick_module
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths
from ansible_collections.riposte.active_response.plugins.module_utils.host.runner import Completed
from ansible_collections.riposte.active_response.plugins.module_utils.host.tick import PROTOCOL, tick_problem


class Host:
    """A root with a program of some protocol, a timer that runs or not, a cron file, cron's process."""

    def __init__(self, root: Path) -> None:
        self.root, self.paths, self.timer = root, Paths(str(root)), False
        for name in ("usr/local/sbin", "etc/cron.d", "proc/1"):
            (root / name).mkdir(parents=True)
        (root / "proc/1/comm").write_text("systemd\n")
        (root / "proc/uptime").touch()

    def install(self, protocol: str | None = str(PROTOCOL)) -> None:
        with (self.root / "usr/local/sbin/riposte").open("wb") as stream:
            stream.write(b"#!/usr/bin/python3 -IS\n")
            with zipfile.ZipFile(stream, "w") as archive:
                archive.writestr("__main__.py", "")
                if protocol is not None:
                    archive.writestr("PROTOCOL", protocol)

    def cron(self, process: str) -> None:
        (self.root / "etc/cron.d/riposte").touch()
        (self.root / "proc/77").mkdir()
        (self.root / "proc/77/comm").write_text(f"{process}\n")

    def run(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
        assert argv[1:] == ["is-active", "--quiet", "riposte-tick.timer"]
        return Completed(0 if self.timer else 3, "", "")

    def problem(self) -> str | None:
        return tick_problem(self.run, self.paths)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(tick_module, "find_program", lambda name: f"/bin/{name}")
    return Host(tmp_path)


def test_host_without_the_program_is_told_the_cure(host: Host) -> None:
    host.timer = True
    assert "no tick is installed" in str(host.problem())
    assert "riposte.active_response.agent" in str(host.problem())


def test_timer_that_runs_will_do(host: Host) -> None:
    host.install()
    host.timer = True
    assert host.problem() is None


@pytest.mark.parametrize("daemon", ["cron", "crond"])
def test_cron_that_runs_will_do(host: Host, daemon: str) -> None:
    host.install()
    host.cron(daemon)
    assert host.problem() is None


def test_program_whose_timer_and_cron_are_stopped_will_not_do(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.install()
    host.cron("crontab")
    assert "installed but does not run" in str(host.problem())
    monkeypatch.setattr(tick_module, "find_program", lambda _name: None)
    assert "installed but does not run" in str(host.problem())


def test_cron_that_runs_without_our_file_will_not_do(host: Host) -> None:
    host.install()
    host.cron("cron")
    (host.root / "etc/cron.d/riposte").unlink()
    assert "installed but does not run" in str(host.problem())


@pytest.mark.parametrize("protocol", ["0", None, "x"])
def test_older_program_will_not_do(host: Host, protocol: str | None) -> None:
    host.install(protocol)
    host.timer = True
    assert "is older than this module" in str(host.problem())


def test_program_that_is_no_archive_will_not_do(host: Host) -> None:
    (host.root / "usr/local/sbin/riposte").write_text("#!/bin/sh\n")
    host.timer = True
    assert "is older than this module" in str(host.problem())


def test_newer_program_will_do(host: Host) -> None:
    host.install(str(PROTOCOL + 1))
    host.timer = True
    assert host.problem() is None
