# SPDX-License-Identifier: GPL-3.0-or-later
"""A practice host: a real init, real sshd, a firewall of its own; and the ways to reach into it."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from .machine import Machine, boot_finished
from .network import Network, Place
from .node import Node, Peer, Stream
from .system import Completed, LabError, Seen, inside_netns, run, wait_for

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# a login that is to be judged must be a new one, and show by itself which means it used
FRESH = ("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "LogLevel=INFO")  # INFO: a quieter ssh does not say that an expired account was shown out
BY_PASSWORD = ("-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1")
# ssh's own exit code for "no session came about"
SSH_FAILED = 255


class Host(Node):
    """One practice host. Made by Lab.add_host."""

    def __init__(self, network: Network, name: str, place: Place, suite: str, init: str, directory: Path, python: Path | None, slot: IO[str]) -> None:
        super().__init__(network, name, place)
        self.suite = suite
        self.init = init
        self.python = str(python) if python else "/usr/bin/python3"
        self._lab_directory = directory
        self._slot = slot
        self.behind: list[Peer] = []
        binds = [str(python.parents[1])] if python else []
        self.machine = Machine(self.netns, name, directory / "hosts" / name, binds, self._plug, self._unplug)

    # --- power --------------------------------------------------------------------------------------------------------------------------

    def reboot(self, timeout: float = 60) -> None:
        """`reboot`, orderly, until it is up again."""
        before = self.machine.boots
        self.inside(["reboot"], check=False)  # the answer may be cut off by the reboot itself
        wait_for(lambda: self.machine.boots > before, f"{self.name} to start again after reboot", timeout)
        self.wait_up()

    def power_cut(self) -> None:
        """Pull the plug: every process dies at once, the kernel's tables are gone, the disk stays."""
        if not self.machine.is_on():
            raise LabError(f"{self.name} is off already; power_on() starts it")
        # the cable first: a host without power says no goodbye to those it was connected with
        self._network.cut_cable(self.place)
        self.machine.power_cut()

    def power_on(self, wait: bool = True) -> None:
        """Press the button; by default until ssh answers."""
        self.machine.power_on()
        if wait:
            self.wait_up()

    def wait_up(self, timeout: float = 60) -> None:
        """Until sshd sends its banner and ordinary users may log in."""
        try:
            wait_for(self._banner, f"the ssh banner of {self.name}", timeout, interval=0.01)
            wait_for(lambda: boot_finished(self.machine), f"{self.name} to let users log in", timeout, interval=0.01)
        except LabError as failure:
            raise LabError(f"{failure}; its console said: {self.machine.console() or 'nothing'}") from failure

    def wait_booted(self, timeout: float = 60) -> str:
        """Until systemd has started everything; returns its state (`running`, `degraded`). Not for other inits."""
        return self.inside(["systemctl", "is-system-running", "--wait"], check=False, timeout=timeout).stdout.strip()

    # --- ways in ------------------------------------------------------------------------------------------------------------------------

    def ssh(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        password: str | None = None,
        key: Path | None = None,
        check: bool = True,
        input: str | None = None,
        timeout: float = 120,
    ) -> Completed:
        """Run a command (a list of words, or one line for the shell) over ssh from the controller.

        root's calls share one connection (about 15 ms a call); each login of another user, by password or by `key`, is a new connection.
        """
        argv, env = self._ssh(command, user, password, key)
        with inside_netns(self._network.controller):
            return run(argv, check=check, input=input, timeout=timeout, env=env, where=f"{user}@{self.name}")

    def can_login(self, user: str, *, password: str | None = None, key: Path | None = None) -> bool:
        """Whether a new login as this user is let in. A host that does not answer at all is an error, not a refusal."""
        seen = self.ssh("true", user=user, password=password, key=key, check=False)
        if seen.rc == SSH_FAILED and not any(word in seen.stderr for word in ("denied", "expired", "Connection closed", "Connection reset")):
            raise LabError(f"{user}@{self.name}: ssh gave no answer about the login: {seen.stderr.strip()}")
        return seen.rc == 0

    def open_session(self, user: str, *, password: str | None = None, key: Path | None = None) -> Session:
        """A login that stays open, to be asked whether it is still alive."""
        argv, env = self._ssh("cat", user, password, key, fresh=True)
        with inside_netns(self._network.controller):
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True)
        session = Session(process)
        if not session.alive(timeout=10):
            session.close()
            raise LabError(f"{user}@{self.name}: no session within 10 s: {session.said}")
        return session

    def inside(self, argv: Sequence[str], *, check: bool = True, input: str | None = None, timeout: float = 120) -> Completed:
        """Run a command as root on the host without any network: entered from outside, so it works when ssh is blocked."""
        enter = ["nsenter", f"--target={self.machine.init_pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--time", "--", *argv]
        env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
        return run(enter, check=check, input=input, timeout=timeout, env=env, where=self.name)

    def read(self, path: str) -> str:
        """A file's content."""
        return self.inside(["cat", "--", path]).stdout

    def put(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file, and its directory if need be."""
        script = 'set -e; mkdir -p "$(dirname "$1")"; cat > "$1.part"; chmod "$2" "$1.part"; mv "$1.part" "$1"'
        self.inside(["sh", "-c", script, "put", path, f"{mode:o}"], input=content)

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path."""
        return self.inside(["test", "-e", path, "-o", "-L", path], check=False).rc == 0

    def wait_for(self, condition: Callable[[], Seen | None], what: str, timeout: float = 10) -> Seen:
        """Poll until a condition holds; see system.wait_for."""
        return wait_for(condition, f"{what} on {self.name}", timeout)

    def _ssh(self, command: str | Sequence[str], user: str, password: str | None, key: Path | None, fresh: bool = False) -> tuple[list[str], dict[str, str]]:
        argv = ["ssh", "-F", str(self._lab_directory / "ssh_config"), "-l", user]
        env = {"PATH": os.environ.get("PATH", PATH), "HOME": str(Path.home())}
        if fresh or user != "root" or password is not None or key is not None:
            argv += FRESH
        if password is not None:
            argv += BY_PASSWORD
            env |= {"SSH_ASKPASS": str(self._lab_directory / "askpass"), "SSH_ASKPASS_REQUIRE": "force", "LAB_PASSWORD": password}
        if key is not None:
            argv += ("-i", str(key))
        return [*argv, self.name, command if isinstance(command, str) else shlex.join(command)], env

    # --- what the lab and the machine call ------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Power off without ceremony and forget the host."""
        self.machine.power_cut()
        self.machine.remove_disk()
        self._slot.close()

    def forward_to(self, peer: Peer) -> None:
        """Become the way to a peer that lives behind this host."""
        self.behind.append(peer)
        self._network.plug_behind(peer.netns, peer.place, self.netns, self.place)

    def _banner(self) -> bool:
        if not self.machine.is_on():
            raise LabError(f"{self.name} is off, or went off while booting")
        try:
            with inside_netns(self._network.controller):
                sock = socket.create_connection((self.address4, 22), timeout=0.2)
            with sock:
                sock.settimeout(2)
                return sock.recv(4) == b"SSH-"
        except OSError:  # not yet
            return False

    def _plug(self) -> None:
        self._network.plug(self.netns, self.place)
        for peer in self.behind:
            self._network.plug_behind(peer.netns, peer.place, self.netns, self.place)

    def _unplug(self) -> None:
        self.close()
        # a master whose other end lost its power would hang on, and with it the next command
        for socket_file in (self._lab_directory / "ssh").glob(f"*@{self.address4}"):
            run(["ssh", "-F", "none", "-o", f"ControlPath={socket_file}", "-O", "exit", self.name], check=False)
        for peer in self.behind:
            self._network.unplug_behind(peer.netns)
        self._network.unplug(self.netns, self.place)


class Session(Stream):
    """An open ssh login that echoes what it is sent."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise LabError("a session needs pipes to its ssh")
        super().__init__(process.stdout.fileno(), process.stdin.fileno(), self._end)
        self._process = process
        self.said = ""

    def ended(self) -> bool:
        """Whether ssh has noticed that the session is over."""
        return self._process.poll() is not None

    def _end(self) -> None:
        self._process.kill()
        self.said = self._process.communicate()[1].decode(errors="replace").strip()
