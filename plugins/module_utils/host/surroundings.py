# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host must keep to stay reachable: its addresses, gateways, resolvers, the session, its Wazuh manager. Linux.

Read from /proc and files, never asked of a resolver: a guard must not wait for a network.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property

from .conf import read_foreign
from .errors import Problem, ToolError
from .paths import Paths

WAZUH_PORTS = {1514, 1515}
WAZUH_ACCOUNTS = {"root", "wazuh", "ossec"}
_ESTABLISHED, _LISTENING = "01", "0A"
_LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 (?:host LOCAL|link BROADCAST)")
_BROADCAST = re.compile(r"\|-- ([0-9.]+)\n\s+/32 link BROADCAST")
_NAMESERVER = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)
_HOME = re.compile(r"^home\s*=\s*(/\S+)", re.MULTILINE)
_ADDRESS = re.compile(r"<address>\s*([^<\s]+)\s*</address>")


class Surroundings:
    """Facts about one host, each read when first asked for. Addresses are canonical text."""

    def __init__(self, paths: Paths, environ: Mapping[str, str], session: bool = True):
        self.paths, self.environ = paths, environ
        self.session = session  # False in the tick, which nobody is logged in for

    @cached_property
    def broadcasts(self) -> frozenset[str]:
        return frozenset(_BROADCAST.findall(self._must("proc/net/fib_trie")))

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        four = set(_LOCAL.findall(self._must("proc/net/fib_trie"))) - self.broadcasts
        six = {_hex6(line.split()[0]) for line in self._text("proc/net/if_inet6").splitlines() if line}
        return frozenset(four | six)

    @cached_property
    def gateways(self) -> frozenset[str]:
        found = set()
        for line in self._text("proc/net/route").splitlines()[1:]:
            part = line.split()
            if int(part[3], 16) & 2:
                found.add(str(ipaddress.IPv4Address(struct.pack("=I", int(part[2], 16)))))
        for line in self._text("proc/net/ipv6_route").splitlines():
            part = line.split()
            if int(part[8], 16) & 2:
                found.add(_hex6(part[4]))
        return frozenset(found - {"0.0.0.0", "::"})

    @cached_property
    def resolvers(self) -> frozenset[str]:
        text = self._text("etc/resolv.conf") + "\n" + self._text("run/systemd/resolve/resolv.conf")
        return frozenset(address for name in _NAMESERVER.findall(text) for address in _literal(name))

    @cached_property
    def clients(self) -> frozenset[str]:
        """The SSH clients of this process and its ancestors: where this session comes from, also behind sudo."""
        if not self.session:
            return frozenset()
        said = [self.environ.get("SSH_CONNECTION", ""), self.environ.get("SSH_CLIENT", "")]
        for pid in self.ancestors:
            for pair in self._text(f"proc/{pid}/environ").split("\0"):
                if pair.startswith(("SSH_CONNECTION=", "SSH_CLIENT=")):
                    said.append(pair.partition("=")[2])
        return frozenset(address for line in said if line for address in _literal(line.split()[0]))

    @cached_property
    def uids(self) -> frozenset[int]:
        """The uids this session came in by: of its ancestors, their audit login uids, and sudo's caller."""
        if not self.session:
            return frozenset()
        found = {int(value) for name in ("SUDO_UID", "DOAS_UID") for value in [self.environ.get(name, "")] if value.isdigit()}
        for pid in self.ancestors:
            owner = re.search(r"^Uid:\t(\d+)\t(\d+)", self._text(f"proc/{pid}/status"), re.MULTILINE)
            login = self._text(f"proc/{pid}/loginuid").strip()
            found |= {int(part) for part in (owner.groups() if owner else ())} | ({int(login)} if login.isdigit() else set())
        return frozenset(found - {0, 0xFFFFFFFF})

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        found = []
        pid = os.getpid()
        while pid > 1:
            found.append(pid)
            parent = re.search(r"^PPid:\t(\d+)", self._text(f"proc/{pid}/status"), re.MULTILINE)
            pid = int(parent[1]) if parent else 0
        return tuple(found)

    @cached_property
    def wazuh_managers(self) -> frozenset[str]:
        """From the agent's configuration (names through /etc/hosts only) and from its open connection."""
        said = _HOME.search(self._text("etc/riposte/wazuh.conf"))
        home = said[1] if said else "var/ossec"
        servers = self._foreign(os.path.join(home.lstrip("/"), "etc/ossec.conf")).split("<server>")[1:]
        names = [name for server in servers for name in _ADDRESS.findall(server.partition("</server>")[0])]
        hosts = [line.split("#")[0].split() for line in self._text("etc/hosts").splitlines()]
        named = [line[0] for line in hosts if line and set(line[1:]) & set(names)]
        found = {address for name in [*names, *named] for address in _literal(name)}
        return frozenset(found | set(self._agent_peers()))

    def _agent_peers(self) -> Iterator[str]:
        """Whom the agent's account has called on a Wazuh port. Whoever comes from such a port, or is called by another account, stays one to be blocked."""
        lines = [line.split() for name in ("proc/net/tcp", "proc/net/tcp6") for line in self._connections(name).splitlines()[1:]]
        accounts = [line.split(":") for line in self._text("etc/passwd").splitlines()]
        agents = {"0"} | {account[2] for account in accounts if account[0] in WAZUH_ACCOUNTS and len(account) > 2}
        served = {part[1].partition(":")[2] for part in lines if part[3] == _LISTENING}
        for part in lines:
            address, _sep, port = part[2].partition(":")
            called = part[3] == _ESTABLISHED and part[1].partition(":")[2] not in served
            if called and int(port, 16) in WAZUH_PORTS and part[7] in agents:
                yield _proc_address(address)

    def _text(self, path: str) -> str:
        """A file's text, empty where it does not exist (no IPv6, no Wazuh, a process that has ended)."""
        try:
            with open(self.paths.at(path), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return ""

    def _connections(self, path: str) -> str:
        """As _text, for a list whose end is not asked for: the kernel would walk all its buckets once more to find nothing behind it.

        It fills a page (4096 bytes or more) as long as another line fits, so what is half of one at most is the last part.
        """
        text = b""
        with suppress(FileNotFoundError, PermissionError), open(self.paths.at(path), "rb", buffering=0) as stream:
            while part := stream.read(1 << 16):
                text += part
                if len(part) <= 2048:
                    break
        return text.decode("ascii", "replace")

    def _foreign(self, path: str) -> str:
        """As _text, for what Wazuh's own account may write: it could be made anything."""
        try:
            return read_foreign(self.paths.at(path))
        except Problem:  # says nothing of managers; the open connection still does
            return ""

    def _must(self, path: str) -> str:
        text = self._text(path)
        if not text:
            raise ToolError(f"/{path} is empty or missing: this host's own addresses cannot be told, so no address can be blocked safely")
        return text


def _literal(text: str) -> list[str]:
    """The canonical address in a text, without zone; nothing for a name. A mapped address is its IPv4 one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return []
    return [str(getattr(address, "ipv4_mapped", None) or address)]


def _hex6(text: str) -> str:
    return str(ipaddress.IPv6Address(int(text, 16)))


def _proc_address(text: str) -> str:
    """An address as /proc/net/tcp has it: 32-bit words in the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return _literal(str(ipaddress.ip_address(packed)))[0]
