# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in a directory, on which the built program runs with the real engine, ledger and account file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.riposte.active_response.plugins.module_utils.host.engine import Engine
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import Request
from ansible_collections.riposte.active_response.plugins.module_utils.host.runner import Completed

SHADOW = "root:*:20000:0:99999:7:::\nmallory:$y$hash:20000:0:99999:7::20800:\n"
DRIVER = Path(__file__).with_name("driver.py")


def no_program(argv: Sequence[str], _stdin: str | None = None, _seconds: int = 60) -> Completed:
    return Completed(1, "", f"{argv[0]}: not on this host")


class LittleHost:
    """A host without a firewall, with two accounts, below a directory."""

    def __init__(self, root: Path, program: Path) -> None:
        self.root, self.program, self.now = root, program, time.time()
        self.paths = Paths(str(root))
        for name in ("etc/riposte", "run", "proc", "var/lib", "usr/local/sbin"):
            (root / name).mkdir(parents=True)
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nmallory:x:1001:1001::/home/mallory:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nmallory:x:1001:\n")
        (root / "etc/shadow").write_text(SHADOW)

    @property
    def shadow(self) -> str:
        return (self.root / "etc/shadow").read_text()

    def lock(self, end_sessions: bool = False, **more: str) -> str:
        """Locks mallory for ten minutes, or as told; the id of the response."""
        terms = {"timeout": "10m", "alert_id": "1700.42", **more}
        request = Request("disable_account", ["mallory"], end_sessions=end_sessions, **terms)
        if "timeout" in terms and "permanent" not in more:
            self.install_tick()
        [done] = Engine(no_program, self.paths, {}, session=False, clock=lambda: self.now).respond([request]).results
        assert done.outcome == "done", done.message
        assert done.standing is not None
        return str(done.standing.id)

    def install_tick(self) -> None:
        """What tells the engine that the host has a tick: the program, a cron file, a cron daemon."""
        (self.root / "usr/local/sbin/riposte").write_bytes(self.program.read_bytes())
        (self.root / "etc/cron.d").mkdir(exist_ok=True)
        (self.root / "etc/cron.d/riposte").touch()
        (self.root / "proc/4711").mkdir(exist_ok=True)
        (self.root / "proc/4711/comm").write_text("cron\n")

    def run(self, *words: str, after: float = 0) -> subprocess.CompletedProcess[str]:
        """The program's command line, `after` seconds from now."""
        argv = [sys.executable, "-IS", str(DRIVER), str(self.program), str(self.root), str(self.now + after), *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done
