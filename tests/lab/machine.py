# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware of a practice host: its disk, its power switch, and what starts it again after a reboot.

The disk is an overlay over a sealed tree, its upper layer in a tmpfs: it outlives reboots and power cuts of the host and goes with the host. The power switch
is the host's own control group. Each boot gets a new network namespace, since a kernel that restarts forgets its ruleset and its net.* settings.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from .system import LabError, cgroup_root, mounts_below, remove_cgroup, run, wait_for

BOOT = Path(__file__).with_name("boot.py")
# the kernel ends the init of a pid namespace with SIGHUP when it asked for a restart (SIGINT when it powered off)
RESTART = {-1, 129}


class Machine:
    """Powers one host. `plug` and `unplug` wire a new network namespace named `name` and take it away."""

    def __init__(self, name: str, hostname: str, directory: Path, binds: Sequence[str], plug: Callable[[], None], unplug: Callable[[], None]) -> None:
        self.name = name
        self.hostname = hostname
        self.boots = 0
        self.directory = directory
        self._root = directory / "disk" / "root"
        self._group = cgroup_root() / name
        self._binds = list(binds)
        self._plug, self._unplug = plug, unplug
        self._off = threading.Event()
        self._thread: threading.Thread | None = None
        self._unshare: subprocess.Popen[bytes] | None = None
        self._failure: BaseException | None = None

    def insert_disk(self, tree: Path, files: dict[str, tuple[int, str]], size: str = "2g") -> None:
        """Lay a fresh overlay over a sealed tree and put the host's own files into it (path -> mode, content)."""
        disk = self.directory / "disk"
        disk.mkdir(parents=True)
        run(["mount", "-t", "tmpfs", "-o", f"mode=755,size={size}", self.name, str(disk)])
        for part in ("upper", "work", "root"):
            (disk / part).mkdir(mode=0o755)
        for path, (mode, content) in files.items():
            file = disk / "upper" / path
            for parent in reversed(file.relative_to(disk / "upper").parents[:-1]):
                made = disk / "upper" / parent
                if not made.exists():
                    made.mkdir(mode=0o700 if parent.parts[0] == "root" else 0o755)
            file.write_text(content)
            file.chmod(mode)
        run(["mount", "-t", "overlay", "-o", f"lowerdir={tree},upperdir={disk}/upper,workdir={disk}/work", self.name, str(self._root)])

    def remove_disk(self) -> None:
        """Forget all that the host ever wrote."""
        for point in mounts_below(self.directory):
            run(["umount", point])

    def power_on(self) -> None:
        """Start booting; returns at once."""
        if self._thread and self._thread.is_alive():
            raise LabError(f"{self.hostname} is already on")
        self._off.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._mainboard, name=f"mainboard of {self.name}", daemon=True)
        self._thread.start()

    def power_cut(self, timeout: float = 30) -> None:
        """Everything that runs on the host is gone between two instructions."""
        self._off.set()
        # more than once: a host that has just been switched on may not be in its group yet
        wait_for(self._kill, f"{self.hostname} to end after its power was cut", timeout)

    def _kill(self) -> bool:
        with contextlib.suppress(OSError):  # no group, or it is being removed: it is off or about to be
            (self._group / "cgroup.kill").write_text("1")
        return not (self._thread and self._thread.is_alive())

    @property
    def init_pid(self) -> int:
        """The host's pid 1 as the machine sees it."""
        self._raise_failure()
        process = self._unshare
        if process is None or process.poll() is not None:
            raise LabError(f"{self.hostname} is off")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if not children:
            raise LabError(f"{self.hostname} has no pid 1 yet")
        return int(children[0])

    def is_on(self) -> bool:
        """Whether it has power (not: whether it has booted)."""
        self._raise_failure()
        return bool(self._thread and self._thread.is_alive())

    def console(self) -> str:
        """What the boot said, for error messages."""
        log = self.directory / "console"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""

    def _raise_failure(self) -> None:
        if self._failure:
            raise LabError(f"{self.hostname} could not be run: {self._failure}") from self._failure

    def _mainboard(self) -> None:
        try:
            while not self._off.is_set():
                self._plug()
                rc = self._run_once()
                remove_cgroup(self._group)
                self._unplug()
                if rc not in RESTART:
                    return
        except (LabError, OSError) as failure:
            self._failure = failure

    def _run_once(self) -> int:
        """One boot, from power to halt; returns how the host's init ended."""
        self._group.mkdir(exist_ok=True)
        about = {
            "cgroup": str(self._group),
            "root": str(self._root),
            "hostname": self.hostname,
            "uuid": hashlib.sha256(self.name.encode()).hexdigest()[:32],
            "binds": self._binds,
        }
        uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
        command = [
            # whoever owns the lab takes the host along when it dies
            *("setpriv", "--pdeathsig", "KILL"),
            *("nsenter", f"--net=/run/netns/{self.name}"),
            *("unshare", "--mount", "--uts", "--ipc", "--pid", "--time", "--boottime", str(-uptime), "--fork", "--kill-child"),
            *(sys.executable, "-I", "-S", str(BOOT), json.dumps(about)),
        ]
        with (self.directory / "console").open("ab") as console:
            # a session of its own: Ctrl-C at the terminal is for the lab's owner, who then cleans up
            self._unshare = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        self.boots += 1
        return self._unshare.wait()


def boot_finished(machine: Machine) -> bool:
    """Whether logins of ordinary users are let in (systemd removes the bar when it has set up their sessions; other inits have none)."""
    return not os.path.lexists(f"/proc/{machine.init_pid}/root/run/nologin")
