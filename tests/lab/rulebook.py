# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ansible-rulebook on the lab's controller, its webhook, and what can be seen of its spool.

with Rulebook(lab, tmp_path, policy=POLICY) as rulebook:
    assert rulebook.post(alert).status == 200
    rulebook.settled()
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from tests.lab import Lab, wait_for
from tests.lab.lab import REPOSITORY
from tests.lab.system import inside_netns

VENV = Path(os.environ.get("RIPOSTE_RULEBOOK_VENV", REPOSITORY / ".venv-rulebook"))
SAMPLE = Path(__file__).parents[1] / "alerts/gen-sshd-5712-bruteforce.json"
FINAL = ("done", "unchanged", "refused", "held", "failed")


class Reply(NamedTuple):
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def alert(identity: str, agent: str = "001", address: str = "203.0.113.9", age: float = 0, **more: Any) -> dict[str, Any]:
    """A real alert (sshd, brute force) that was raised just now."""
    sample: dict[str, Any] = json.loads(SAMPLE.read_text())
    sample["agent"] = {**sample["agent"], "id": agent}
    sample["data"] = {**sample["data"], "srcip": address}
    return {**sample, "id": identity, "timestamp": stamp(age), **more}


def stamp(age: float = 0) -> str:
    """A moment as Wazuh writes it."""
    moment = time.time() - age
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{int(moment % 1 * 1000):03d}+0000", time.gmtime(moment))


class Rulebook:
    """Started with `start`, ended with `close`; in between it may be killed and started again. Several may share a directory's spool."""

    def __init__(self, lab: Lab, directory: Path, policy: str = "", name: str = "one", **variables: object) -> None:
        """variables: what the rulebook's variables file says more."""
        self.lab = lab
        self.spool = directory / "spool"
        self.log = directory / f"{name}.log"
        self._directory = directory
        self._name = name
        # Ansible's processes talk by a socket in there, whose path may have 107 bytes: a test's own directory is too deep
        self.temporary = Path(tempfile.mkdtemp(prefix="rb", dir=lab.directory))
        self.policy = directory / "policy.yml"
        if policy:
            self.policy.write_text(policy)
        self.port, self.status_port = self._free_port(), self._free_port()
        self.variables: dict[str, object] = {
            "riposte_spool": str(self.spool),
            "riposte_policy": str(self.policy),
            "riposte_webhook_port": self.port,
            "riposte_status_port": self.status_port,
            "riposte_retry_delay": 1,
            **variables,
        }
        self.env: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rulebook:
        return self.start() if self.ended() else self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self, rulebook: str = "riposte.active_response.wazuh", wait: bool = True, more: Sequence[str] = ()) -> Rulebook:
        """Starts it, and returns when it listens. rulebook: a name, or a file. more: options of ansible-rulebook."""
        variables = self._directory / f"{self._name}.yml"
        variables.write_text(json.dumps(self.variables))
        argv = [str(VENV / "bin/ansible-rulebook"), "-r", rulebook, "-i", str(self.lab.inventory), "--vars", str(variables), *(more or ["-v"])]
        env = {**self.lab.ansible_env(VENV), "TMPDIR": str(self.temporary), **self.env}
        with inside_netns(self.lab.controller.netns), self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self._directory)
        if wait:
            wait_for(lambda: self.ended() or self._open(self.status_port), "the rulebook to listen", timeout=60)
            assert not self.ended(), self.said()
        return self

    def fails_to_start(self) -> int:
        """Starts it in the expectation that it ends by itself; returns its exit code."""
        self.start(wait=False)
        assert self.process
        try:
            return self.process.wait(timeout=60)
        finally:
            self.close()

    def close(self) -> None:
        """Ends it and whatever its runs left behind."""
        self.kill(signal.SIGKILL)
        for pid in self.run_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill(self, number: int) -> int:
        """Sends the process a signal and waits for its end."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    # -- its webhook

    def connect(self, port: int | None = None, timeout: float = 30) -> socket.socket:
        """A connection from the controller itself."""
        with inside_netns(self.lab.controller.netns):
            return socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout)

    def post(
        self,
        body: object,
        *,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        path: str = "/",
        tls: ssl.SSLContext | None = None,
        timeout: float = 30,
    ) -> Reply:
        """One request. body: bytes as they are, else what is made JSON. secret: signs it."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()} if secret else {}
        return self._ask("POST", path, self.port, content, {**signature, **(headers or {})}, tls, timeout)

    def get(self, path: str) -> Reply:
        """From the status port."""
        return self._ask("GET", path, self.status_port, None, {}, None, 30)

    def _ask(self, method: str, path: str, port: int, content: bytes | None, headers: Mapping[str, str], tls: ssl.SSLContext | None, timeout: float) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        sock = self.connect(port, timeout)
        try:
            connection.sock = tls.wrap_socket(sock, server_hostname="localhost") if tls else sock
            connection.request(method, path, body=content, headers=dict(headers))
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(), dict(answer.getheaders()))
        finally:
            connection.close()
            sock.close()

    def _open(self, port: int) -> bool:
        try:
            self.connect(port, 1).close()
        except OSError:
            return False
        return True

    def _free_port(self) -> int:
        """None that the kernel gives to connections: asking again and again whether it is open, one of them would be connected with itself."""
        while True:
            port = random.randrange(10_000, 30_000)
            with inside_netns(self.lab.controller.netns), socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port

    # -- its spool

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.spool / "intake.sqlite3", timeout=10)) as database:
            yield database

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._database() as database:
            return database.execute(query, values).fetchall()

    def states(self) -> dict[str, int]:
        """How many alerts are in which state."""
        return dict(self.rows("SELECT state, count(*) FROM alert GROUP BY 1"))

    def outcomes(self) -> dict[str, int]:
        """How many responses have which outcome."""
        return dict(self.rows("SELECT coalesce(outcome, 'expected'), count(*) FROM response GROUP BY 1"))

    def why(self, identity: str) -> str:
        [(why,)] = self.rows("SELECT why FROM alert WHERE id = ?", identity)
        return str(why)

    def settled(self, count: int = 1, timeout: float = 60) -> dict[str, int]:
        """The states, once this many alerts have come to an end and none is open."""

        def look() -> dict[str, int] | None:
            seen = self.states()
            return seen if sum(seen.values()) >= count and not {"new", "taken"} & set(seen) else None

        return wait_for(look, f"{count} alerts to be settled; the log says: {self.said()[-3000:]}", timeout)

    # -- its runs

    def run_processes(self) -> list[int]:
        """ansible-playbook and its workers, of this rulebook, living or orphaned."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(os.getpid()):
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes()
                    if str(self.temporary).encode() in words and b"ansible-playbook" in words:
                        found.append(int(entry.name))
        return found

    def run_main(self) -> int | None:
        """The ansible-playbook that has the batch in flight."""
        found = self.rows("SELECT pid FROM batch WHERE state = 'running'")
        return int(found[0][0]) if found and found[0][0] else None
