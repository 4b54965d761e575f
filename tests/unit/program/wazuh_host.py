# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in a directory that also has Wazuh's home, and what wazuh-execd says to an executable there."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.program.little_host import DRIVER, LittleHost

CONTINUE, ABORT = '{"version":1,"command":"continue"}', '{"version":1,"command":"abort"}'
ALERT = {"id": "1700.42", "rule": {"id": "5712", "description": "sshd: brute force"}, "data": {"dstuser": "mallory", "srcip": "203.0.113.9"}}
LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d active-response/bin/(\S+): (.*)\Z")


def message(command: str, alert: Any = ..., *words: str, **more: Any) -> str:
    """A line of Wazuh 4."""
    parameters = {"extra_args": list(words), "alert": ALERT if alert is ... else alert, "program": "active-response/bin/whatever"}
    return json.dumps({"version": 1, "origin": {"name": "node01", "module": "wazuh-execd"}, "command": command, "parameters": parameters, **more})


def message5(command: str, timeout: Any = 180, kind: str = "stateful", words: Any = "", **event: Any) -> str:
    """A line of Wazuh 5."""
    order = {"name": "lock", "executable": "disable-account", "extra_arguments": words, "type": kind, "stateful_timeout": timeout, "location": "local"}
    event = {"user": {"name": "mallory"}, "source": {"ip": "203.0.113.9"}, **event}
    return json.dumps({"wazuh": {"active_response": order, "rule": {"id": "a1b2", "title": "Brute force"}}, **event, "command": command})


class WazuhHost(LittleHost):
    """The host. `mallory` is the account that may be locked."""

    def __init__(self, root: Path, program: Path) -> None:
        super().__init__(root, program)
        self.install_tick()
        self.home = root / "var/ossec"
        for name in ("active-response/bin", "active-response/riposte-kept", "logs", "etc/shared"):
            (self.home / name).mkdir(parents=True)
        self.log = self.home / "logs/active-responses.log"
        self.log.touch()

    def conf(self, text: str, mode: int = 0o600) -> None:
        path = self.root / "etc/riposte/wazuh.conf"
        path.write_text(text)
        path.chmod(mode)

    def start(self, name: str = "disable-account", after: float = 0, age: float = 0) -> subprocess.Popen[bytes]:
        """The executable as the daemon starts it: pipes, and its home as the working directory. `age`: for how many seconds it has run already."""
        path = self.home / "active-response/bin" / name
        argv = [sys.executable, "-IS", *map(str, (DRIVER, self.program, self.root, self.now + after, path, age))]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=self.home, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def call(self, *lines: str, name: str = "disable-account", after: float = 0) -> subprocess.CompletedProcess[str]:
        """A whole conversation: these lines, then the end."""
        process = self.start(name, after)
        said = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
        out, err = process.communicate(said, timeout=60)
        done = subprocess.CompletedProcess(process.args, process.returncode, out.decode(), err.decode())
        assert "Traceback" not in done.stderr
        return done

    def lines(self) -> list[tuple[str, str]]:
        """Program and text of each line of the log. No control character is in it, whoever wrote the alert."""
        raw = self.log.read_bytes()
        assert not [byte for byte in raw if byte != 10 and not 32 <= byte < 127]
        found = [LINE.match(line) for line in raw.decode("ascii").split("\n")[:-1]]
        assert all(found), raw
        return [(each[1], each[2]) for each in found if each]

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(text)["riposte"] for _name, text in self.lines() if text.startswith('{"riposte"')]

    def result(self) -> dict[str, Any]:
        """The last one; there must be one."""
        return self.results()[-1]

    def echoes(self) -> list[dict[str, Any]]:
        """The lines that Wazuh's own rules read as "Host Blocked" and the like."""
        return [json.loads(text) for _name, text in self.lines() if text.startswith("{") and not text.startswith('{"riposte"')]

    def notes(self) -> list[str]:
        return [text for _name, text in self.lines() if not text.startswith("{")]

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Another run holds the engine's lock."""
        handle = os.open(self.paths.lock, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.02)
