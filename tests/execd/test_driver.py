# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for wazuh-execd does what was seen of the real one; what it drives here is the reference, in a directory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execd.cases import ADDRESS, Subject, message4, message5
from tests.lab.system import wait_for

HERE = Path(__file__).parent
DRIVER = HERE / "driver.py"
ONE, TWO = "198.18.0.1", "198.18.0.2"


class Daemon:
    """The driver in a directory with the reference as its executables."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        begun = self.count("Started")
        self._process = subprocess.Popen([sys.executable, str(DRIVER), str(home), *words], stderr=subprocess.PIPE)
        wait_for(lambda: self.count("Started") > begun, "the driver to start")

    def send(self, address: str, command: str = "firewall-drop1", five: bool = False, seconds: int = 1) -> None:
        subject = Subject(ADDRESS, address, 1, address)
        message = message5(subject) if five else {**message4(subject), "command": command}
        if five:
            message["wazuh"]["active_response"] |= {"executable": "firewall-drop", "stateful_timeout": seconds}
        subprocess.run([sys.executable, str(DRIVER), str(self.home), "send"], input=json.dumps(message) + "\n", text=True, check=True)

    def said(self) -> str:
        log = self.home / "logs/ossec.log"
        return log.read_text() if log.exists() else ""

    def count(self, words: str) -> int:
        return self.said().count(words)

    def in_force(self) -> set[str]:
        return set(os.listdir(self.home / "effects"))

    def wait(self, *addresses: str, timeout: float = 15) -> None:
        wait_for(lambda: self.in_force() == set(addresses), f"{addresses} to be what is in force", timeout)

    def kill(self, number: int) -> None:
        self._process.send_signal(number)
        _out, errors = self._process.communicate(timeout=20)
        assert errors == b""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("logs", "effects", "queue/alerts", "etc/shared", "active-response/bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/ossec.conf").write_text("<ossec_config></ossec_config>")
    lines = ("firewall-drop1 - firewall-drop - 1", "firewall-drop600 - firewall-drop - 600", "firewall-drop0 - firewall-drop - 0", "mute5 - mute - 5")
    (tmp_path / "etc/shared/ar.conf").write_text("".join(f"{line}\n" for line in (*lines, "gone5 - gone - 5", "slow600 - slow - 600")))
    for name, way in (("firewall-drop", "good"), ("mute", "no keys"), ("slow", "slow")):
        executable = tmp_path / "active-response/bin" / name
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{HERE}/reference.py" "{way}"\n')
        executable.chmod(0o755)
    return tmp_path


@contextlib.contextmanager
def running(home: Path, *words: str) -> Iterator[Daemon]:
    daemon = Daemon(home, *words)
    try:
        yield daemon
    finally:
        with contextlib.suppress(ProcessLookupError):
            daemon.kill(signal.SIGKILL)


def test_a_response_is_ended_when_its_time_is_over(home: Path) -> None:
    with running(home) as daemon:
        daemon.send(ONE)
        daemon.wait(ONE)
        daemon.wait()


def test_5x_takes_the_time_from_the_message(home: Path) -> None:
    with running(home, "--five") as daemon:
        daemon.send(ONE, five=True)
        daemon.send(TWO, five=True, seconds=600)
        daemon.wait(ONE, TWO)
        daemon.wait(TWO)
    assert [json.loads(line.partition(": ")[2])["command"] for line in (home / "logs/active-responses.log").read_text().splitlines()] == ["enable"] * 2 + [
        "disable"
    ]


def test_a_repeat_is_aborted_and_begins_the_time_anew(home: Path) -> None:
    with running(home) as daemon:
        for _each in range(3):
            daemon.send(ONE, "firewall-drop600")
        wait_for(lambda: daemon.count("ended with 0") == 3, "three runs")
        assert (home / "logs/active-responses.log").read_text().count("Aborted") == 2
        daemon.send(ONE, "firewall-drop1")  # another command for the same executable: the same entry
        wait_for(lambda: (home / "logs/active-responses.log").read_text().count("Aborted") == 3, "the fourth to be aborted")


def test_a_repeated_offence_stays_longer(home: Path) -> None:
    (home / "etc/ossec.conf").write_text("<ossec_config><active-response><repeated_offenders>1,5,10</repeated_offenders></active-response></ossec_config>")
    with running(home) as daemon:
        for _each in range(5):
            daemon.send(ONE, "firewall-drop600")
        wait_for(lambda: daemon.count("to the timeout list") == 5, "five entries")
        assert re.findall(r"timeout of '(\d+)s'", daemon.said()) == ["600", "60", "300", "600", "600"]


def test_no_time_means_for_ever_and_never_an_abort(home: Path) -> None:
    with running(home) as daemon:
        for _each in range(2):
            daemon.send(ONE, "firewall-drop0")
        wait_for(lambda: daemon.count("ended with 0") == 2, "two runs")
        assert "Aborted" not in (home / "logs/active-responses.log").read_text()
        daemon.kill(signal.SIGTERM)
        assert daemon.in_force() == {ONE}


def test_sigterm_ends_everything_and_sigkill_forgets_it(home: Path) -> None:
    with running(home) as daemon:
        daemon.send(ONE, "firewall-drop600")
        daemon.wait(ONE)
        daemon.kill(signal.SIGTERM)
        assert daemon.in_force() == set()
    with running(home) as daemon:
        daemon.send(ONE)
        daemon.wait(ONE)
        daemon.kill(signal.SIGKILL)
    with running(home) as daemon:
        daemon.send(TWO)
        daemon.wait(ONE, TWO)
        daemon.wait(ONE)  # TWO has ended, ONE never will


def test_a_slow_executable_holds_up_all_others(home: Path) -> None:
    with running(home) as daemon:
        daemon.send(ONE, "slow600")
        daemon.send(TWO, "firewall-drop600")
        begun = time.monotonic()
        wait_for(lambda: daemon.in_force() & {TWO}, "the second", timeout=20)
        assert time.monotonic() - begun > 1
        assert daemon.in_force() == {ONE, TWO}


def test_what_it_cannot_use_is_said_and_the_next_message_is_done(home: Path) -> None:
    with running(home) as daemon:
        daemon.send(ONE, "unknown5")
        daemon.send(ONE, "gone5")
        daemon.send(ONE, "firewall-drop600")
        daemon.wait(ONE)
        assert daemon.count("Active response command not present") == 2
