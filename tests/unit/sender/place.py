# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as Wazuh's home with custom-riposte in it, and riposte-sender beside it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

SENDER = Path(__file__).parents[3] / "roles/manager/files/sender"
SECRET, TOKEN = "a secret; with = and # and % in it", "a-token-of-some-length"
# The tests' own user, root perhaps, sends here; on a practice host root becomes Wazuh's user.
AS_IT_IS = "import sys; sys.path.insert(0, sys.argv.pop(1)); import riposte_sender as it; it.become_owner = lambda _directory: None; sys.exit(it.main())"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SENDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


class Place:
    def __init__(self, root: Path) -> None:
        self.home = root / "ossec"
        for name in ("integrations", "logs", "queue", "queue/riposte"):
            (self.home / name).mkdir(mode=0o700, parents=True)
        self.spool = self.home / "queue/riposte"
        self.refused = self.spool / "refused"
        self.conf = root / "sender.conf"
        self.script = self.home / "integrations/custom-riposte"
        self.script.write_text(f"#!{sys.executable} -IS\n" + (SENDER / "custom_riposte.py").read_text())
        self.script.chmod(0o750)
        self.log = root / "sender.log"
        self._senders: list[subprocess.Popen[bytes]] = []

    # -- integratord

    def argv(self, alert: Path | str, options: str = "", debug: bool = False) -> list[str]:
        """As wazuh-integratord has it."""
        rest = ["debug", options, "10", "3"] if debug else ["", options, "10", "3", "> /dev/null 2>&1"]
        return ["integrations/custom-riposte", str(alert), "", "", *rest]

    def alert_file(self, content: bytes | str, name: str = "custom-riposte-1795492383-42.alert") -> Path:
        path = self.home.parent / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def call(self, alert: Path | str, options: str = "", debug: bool = False, **how: Any) -> subprocess.CompletedProcess[str]:
        """Runs custom-riposte as integratord does."""
        return subprocess.run(self.argv(alert, options, debug), check=False, executable=self.script, cwd=self.home, capture_output=True, text=True, **how)

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.spool.glob("*.alert"))]

    def said(self) -> str:
        """In the log of Wazuh's integrations."""
        path = self.home / "logs/integrations.log"
        return path.read_text() if path.exists() else ""

    # -- the spool, without custom-riposte

    def keep(self, content: bytes | str | dict[str, Any]) -> str:
        """The file's name."""
        text = json.dumps(content) if isinstance(content, dict) else content
        raw = text.encode() if isinstance(text, str) else text
        name = f"{time.time_ns():020}-{os.getpid()}-{len(raw)}.alert"
        (self.spool / name).write_bytes(raw)
        return name

    def waiting(self) -> list[str]:
        return sorted(path.name for path in self.spool.glob("*.alert"))

    def put_aside(self) -> dict[str, str]:
        """Name of a refused alert -> why."""
        return {path.name: path.with_name(f"{path.name}.why").read_text() for path in sorted(self.refused.glob("*.alert"))}

    # -- the sender

    def write_conf(self, url: str, **settings: object) -> Path:
        batch = settings.pop("batch", 500)
        lines = ["[webhook]", f"url = {url}", *(f"{key} = {value}" for key, value in settings.items())]
        lines += ["[spool]", f"directory = {self.spool}", f"batch = {batch}"]
        self.conf.write_text("\n".join(lines) + "\n")
        self.conf.chmod(0o600)
        return self.conf

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-c", AS_IT_IS, str(SENDER), "--conf", str(self.conf), *words]
        with self.log.open("ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._senders.append(process)
        return process

    def close(self) -> None:
        for process in self._senders:
            process.kill()
            process.wait()


def alert(identity: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "rule": {"id": "5712", "level": 10}, "agent": {"id": "001"}, **more}


def until(condition: Callable[[], Any], what: Callable[[], str] = str, timeout: float = 20) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.01)


def ids(contents: Sequence[bytes]) -> list[str]:
    return [json.loads(content)["id"] for content in contents]
