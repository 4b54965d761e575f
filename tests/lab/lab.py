# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: hosts, peers, a controller, and Ansible run among them. Everything is gone when the context ends."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from . import roots
from .host import Host
from .instance import claim, dismantle, sweep, take_slot
from .network import CONTROLLER, GATEWAY, RESOLVER, Network, Place
from .node import Node, Peer
from .system import Completed, LabError, run

REPOSITORY = Path(__file__).resolve().parents[2]
VENVS = {"newest": ".venv", "2.16": ".venv-2.16"}

SSH_CONFIG = """\
Host *
  User root
  IdentityFile {key}
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  GlobalKnownHostsFile /dev/null
  LogLevel ERROR
  ConnectTimeout 5
  ControlMaster auto
  ControlPersist 300
  ControlPath {directory}/ssh/lab-%r@%h
"""


class Lab:
    """Use as a context: `with Lab() as lab: web1 = lab.add_host("web1")`.

    Several labs may run at the same time, each sees only itself.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.peers: dict[str, Peer] = {}
        self.gateway4, self.gateway6 = GATEWAY.address4, GATEWAY.address6
        self.resolver4, self.resolver6 = RESOLVER.address4, RESOLVER.address6
        self._variables: dict[str, dict[str, object]] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._host_numbers = itertools.cycle(range(1, 100))
        self._peer_numbers = itertools.cycle(range(101, 200))
        self._inner_networks = itertools.cycle(range(1, 250))

    def __enter__(self) -> Lab:
        if os.geteuid() != 0:
            raise LabError(f"the practice lab makes namespaces and mounts and needs root; this is user {os.geteuid()}")
        try:
            sweep()
        except LabError as failure:  # no reason not to raise another one
            print(f"lab: {failure}", file=sys.stderr)
        self.key = roots.ssh_key()
        self.directory = claim()
        self.prefix = self.directory.name
        self.inventory = self.directory / "inventory.json"
        self._catch_sigterm()
        try:
            self._network = Network(self.prefix)
            self._network.raise_controller()
            self.controller = Node(self._network, "ctl", CONTROLLER)
            self._write_files()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down, the last made first; complete even if a step fails or somebody is impatient."""
        with _undisturbed(), contextlib.ExitStack() as last_to_first:
            # what is on this stack runs from its end, each step whether or not another failed
            last_to_first.callback(self._restore_sigterm)
            last_to_first.callback(dismantle, self.directory)
            for peer in self.peers.values():
                last_to_first.callback(peer.close)
            for host in self.hosts.values():
                last_to_first.callback(host.remove)

    # --- members ------------------------------------------------------------------------------------------------------------------------

    def add_host(
        self, name: str, *, suite: str = "bookworm", init: str = "systemd", python: str | None = None, groups: Sequence[str] = (), **variables: object
    ) -> Host:
        """Boot one host and wait until ssh answers. Other keywords become its inventory variables (`wazuh_agent_id="001"`).

        `init="sysv"` makes it a host without systemd. `python="3.9"` shows a Python of this machine to the host and makes Ansible use it; LookupError if
        there is none that runs there.
        """
        return self.add_hosts([name], suite=suite, init=init, python=python, groups=groups, variables={name: variables})[0]

    def add_hosts(
        self,
        names: Sequence[str],
        *,
        suite: str = "bookworm",
        init: str = "systemd",
        python: str | None = None,
        groups: Sequence[str] = (),
        variables: Mapping[str, Mapping[str, object]] | None = None,
    ) -> list[Host]:
        """Boot several hosts side by side."""
        interpreter = find_python(python) if python else None
        hosts: list[Host] = []
        try:
            for name in names:
                hosts.append(self._prepare(name, suite, init, interpreter))
                self._groups[name] = tuple(groups)
                self._variables[name] = dict((variables or {}).get(name, {}))
                hosts[-1].power_on(wait=False)
            for host in hosts:
                host.wait_up()
                if interpreter:
                    _check_python(host)
        except BaseException:
            for host in hosts:
                self.remove(host)
            raise
        self._write_inventory()
        return hosts

    def remove(self, host: Host) -> None:
        """Take one host out of the lab for good, and the peers behind it."""
        host.remove()
        for peer in host.behind:
            peer.close()
            self._network.unplug(peer.netns, peer.place)
            del self.peers[peer.name]
        shutil.rmtree(host.machine.directory)
        del self.hosts[host.name]
        self._write_files()

    def add_peer(self, name: str, *, via: str | None = None) -> Peer:
        """A bare network member on the bridge, or, with `via`, on a network of its own behind that host, which then forwards."""
        self._check_name(name)
        taken = [peer.place for peer in self.peers.values()]
        if via is None:
            place = Place(0, self._free(self._peer_numbers, [place.number for place in taken]))
        else:
            place = Place(self._free(self._inner_networks, [place.network for place in taken]), 2)
        self.peers[name] = peer = Peer(self._network, name, place)
        if via is None:
            self._network.plug(peer.netns, place)
        else:
            self.hosts[via].forward_to(peer)
        return peer

    def _prepare(self, name: str, suite: str, init: str, python: Path | None) -> Host:
        self._check_name(name)
        tree = roots.root(suite, init)
        place = Place(0, self._free(self._host_numbers, [host.place.number for host in self.hosts.values()]))
        host = Host(self._network, name, place, suite, init, self.directory, python, take_slot())
        self.hosts[name] = host
        host.machine.insert_disk(
            tree,
            {
                "etc/hostname": (0o644, f"{name}\n"),
                "etc/hosts": (0o644, f"127.0.0.1 localhost\n::1 localhost\n{host.address4} {name}\n{host.address6} {name}\n"),
                "etc/resolv.conf": (0o644, f"nameserver {self.resolver4}\nnameserver {self.resolver6}\n"),
                "root/.ssh/authorized_keys": (0o600, self.key.with_suffix(".pub").read_text()),
            },
        )
        self._write_files()
        return host

    def _check_name(self, name: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
            raise LabError(f"{name!r} is not a name for a lab member; expected a small letter, then letters, digits and hyphens, 31 at most")
        if name == "ctl" or name in self.hosts or name in self.peers:
            raise LabError(f"the lab has a member {name!r} already")

    @staticmethod
    def _free(numbers: Iterator[int], taken: Sequence[int]) -> int:
        """The next number that nobody has; one that was given back comes round late, when everybody has forgotten it."""
        for number in itertools.islice(numbers, 250):
            if number not in taken:
                return number
        raise LabError("every number of this part of the network is taken")

    # --- Ansible ------------------------------------------------------------------------------------------------------------------------

    def ansible(
        self,
        *argv: str,
        core: str | Path = "newest",
        env: Mapping[str, str] | None = None,
        check: bool = False,
        timeout: float = 300,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a program of ansible-core on the controller: `lab.ansible("ansible-playbook", "site.yml")`. The lab's inventory is the default.

        `core`: "newest", "2.16", or the path of a virtual environment. A failure is returned, unless `check` asks for an error.
        """
        venv = core if isinstance(core, Path) else REPOSITORY / VENVS[core]
        program = venv / "bin" / argv[0]
        if not program.exists():
            raise LabError(f"{program} does not exist; ./dev makes the virtual environments (or name another one with core=Path(...))")
        return self.controller.exec_ns([str(program), *argv[1:]], check=check, timeout=timeout, cwd=cwd, env=self.ansible_env(venv) | dict(env or {}))

    def ansible_env(self, venv: Path) -> dict[str, str]:
        """The surroundings of an Ansible run: nothing of the user's own settings, a home of its own."""
        home = self.directory / "ansible"
        return {
            "PATH": f"{venv / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(Path.home()),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
            "ANSIBLE_HOME": str(home),
            "ANSIBLE_LOCAL_TEMP": str(home / "tmp"),
            "ANSIBLE_INVENTORY": str(self.inventory),
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".venv" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
        }

    def _write_files(self) -> None:
        """All that programs on the controller read about the lab."""
        for name in ("ssh", "hosts", "ansible"):
            (self.directory / name).mkdir(exist_ok=True)
        (self.directory / "ansible.cfg").write_text("[defaults]\n")
        config = SSH_CONFIG.format(key=self.key, directory=self.directory)
        config += "".join(f"Host {host.name}\n  HostName {host.address4}\n" for host in self.hosts.values())
        (self.directory / "ssh_config").write_text(config)
        askpass = self.directory / "askpass"
        askpass.write_text('#!/bin/sh\nprintf "%s\\n" "$LAB_PASSWORD"\n')
        askpass.chmod(0o700)
        self._write_inventory()

    def _write_inventory(self) -> None:
        control_path = self.directory / "ssh" / "ansible-%r@%h"
        inventory: dict[str, object] = {
            "all": {
                "vars": {
                    "ansible_user": "root",
                    "ansible_ssh_args": f"-F {self.directory / 'ssh_config'} -o ControlPersist=300 -o ControlPath={control_path}",
                    "ansible_pipelining": True,
                },
                "hosts": {
                    name: {"ansible_host": host.address4, "ansible_python_interpreter": host.python, **self._variables.get(name, {})}
                    for name, host in self.hosts.items()
                },
                "children": {
                    group: {"hosts": {name: {} for name in self.hosts if group in self._groups.get(name, ())}}
                    for group in sorted({group for name in self.hosts for group in self._groups.get(name, ())})
                },
            }
        }
        self.inventory.write_text(json.dumps(inventory, indent=2))

    # --- for people ---------------------------------------------------------------------------------------------------------------------

    def how_to_log_in(self) -> str:
        """Command lines for somebody who wants to look around."""
        enter = f"ip netns exec {self.controller.netns}"
        lines = [
            f"{host.name:10} {enter} ssh -F {self.directory}/ssh_config {host.name}    # {host.suite} with {host.init}, {host.address4}"
            for host in self.hosts.values()
        ]
        lines += [f"{peer.name:10} ip netns exec {peer.netns} bash    # {peer.address4}, {peer.address6}" for peer in self.peers.values()]
        return "\n".join([*lines, f"{'Ansible':10} {enter} ansible-playbook -i {self.inventory} ..."])

    def hold(self) -> None:
        """Keep the lab up until somebody presses Enter or Ctrl-C (or ends the program)."""
        print(f"{self.how_to_log_in()}\nThe lab stays up until Enter or Ctrl-C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            try:
                input()
            except EOFError:  # nobody at the keyboard: until a signal comes
                signal.pause()

    # --- signals ------------------------------------------------------------------------------------------------------------------------

    def _catch_sigterm(self) -> None:
        """Let SIGTERM unwind like Ctrl-C does, so that the lab is taken down (signals can be caught in the main thread only)."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _interrupt)

    def _restore_sigterm(self) -> None:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _interrupt:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep signals out of the block, which must not take long."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@functools.cache
def find_python(version: str) -> Path:
    """A Python of this machine in a directory of its own (not the system's), as pyenv keeps them. LookupError if there is none."""
    name = f"python{version}"
    places = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/{name}"))
    if found := shutil.which(name):
        asked = run([found, "-c", "import sys; print(sys.base_prefix)"], check=False)
        if asked.rc == 0:
            places.insert(0, Path(asked.stdout.strip(), "bin", name))
    for place in places:
        if place.exists() and place.parents[1] not in (Path("/usr"), Path("/"), Path("/usr/local")):
            return place.resolve()
    raise LookupError(f"no {name} with a directory of its own on this machine (looked on PATH and in ~/.pyenv/versions)")


def _check_python(host: Host) -> None:
    seen = host.inside([host.python, "-c", "import ctypes, json, sqlite3, zlib"], check=False)
    if seen.rc != 0:
        raise LookupError(f"{host.python} does not run on {host.name} ({host.suite}): {seen.stderr.strip()[-300:]}")
