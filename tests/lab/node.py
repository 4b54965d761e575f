# SPDX-License-Identifier: GPL-3.0-or-later
"""A member of the lab's network, and what it can find out by sending real packets.

Each probe makes a socket inside the node's network namespace, so its packets take the node's own way out and in; no helper process is needed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from .network import Network, Place
from .system import Completed, LabError, inside_netns, run, wait_for


class Stream:
    """A long-lived connection to something that echoes."""

    def __init__(self, read_fd: int, write_fd: int, close: Callable[[], object]) -> None:
        self._read_fd, self._write_fd, self._close = read_fd, write_fd, close
        self._sent = 0
        self._closed = False

    def alive(self, timeout: float = 1.0) -> bool:
        """Send a word that was never sent before and see whether it comes back in time.

        After a stretch of dropped packets TCP repeats ever more slowly: give a stream that is expected to recover a long time limit, or open a new one.
        """
        if self._closed:  # the file descriptors may be somebody else's by now
            return False
        self._sent += 1
        word = f"<{self._sent}>".encode()
        deadline = time.monotonic() + timeout
        heard = b""
        try:
            os.write(self._write_fd, word)
            while word not in heard:
                if not select.select([self._read_fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    return False
                data = os.read(self._read_fd, 65536)
                if not data:
                    return False
                heard += data
        except OSError:  # reset, closed, unreachable: it is not alive
            return False
        return True

    def close(self) -> None:
        """End it from this side."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Listener:
    """A TCP server in a node's network namespace that echoes; `seen` has the source addresses of the connections it accepted."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._open: list[socket.socket] = []
        self.seen: list[str] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def accepted(self, count: int = 1, timeout: float = 2) -> list[str]:
        """The source addresses seen, once there are `count` of them (the other end knows of a connection a moment earlier)."""
        wait_for(lambda: len(self.seen) >= count, f"{count} connections to be accepted", timeout, interval=0.002)
        return self.seen

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._server.accept()
            except OSError:  # closed
                return
            self.seen.append(address[0].removeprefix("::ffff:"))
            self._open.append(connection)
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection: socket.socket) -> None:
        # the other end may vanish at any moment: that is what tests do
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def close(self) -> None:
        """Stop listening and cut what is open, so that the namespace can go."""
        for sock in (self._server, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Node:
    """Anything with an address in the lab: a host, a peer, the controller."""

    def __init__(self, network: Network, name: str, place: Place) -> None:
        self.name = name
        self.address4 = place.address4
        self.address6 = place.address6
        self.netns = f"{network.prefix}-{name}"
        self._network = network
        self.place = place
        self._listeners: list[Listener] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.address4} {self.address6} netns {self.netns}>"

    # --- probes: each says what was seen -----------------------------------------------------------------------------------------------

    def connect(self, address: str, port: int, *, source: str | None = None, timeout: float = 1.0) -> str:
        """One TCP connection: `open`, `refused`, `timeout` (packets dropped), `unreachable` or `prohibited`."""
        try:
            self._dial(address, port, source, timeout).close()
        except TimeoutError:
            return "timeout"
        except OSError as failure:
            return _name_failure(failure, f"{self.name} -> {address} port {port} from {source or 'its own address'}")
        return "open"

    def can_connect(self, address: str, port: int, *, source: str | None = None, timeout: float = 1.0) -> bool:
        """Whether one TCP connection comes about."""
        return self.connect(address, port, source=source, timeout=timeout) == "open"

    def open_stream(self, address: str, port: int, *, source: str | None = None, timeout: float = 2.0) -> Stream:
        """A connection to a Listener that stays open, to be asked whether it is still alive."""
        sock = self._dial(address, port, source, timeout)
        sock.setblocking(False)
        return Stream(sock.fileno(), sock.fileno(), sock.close)

    def ping(self, address: str, *, source: str | None = None, timeout: float = 1.0) -> bool:
        """One ICMP echo request; whether the reply to it came in time."""
        is6 = ":" in address
        family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if is6 else (socket.AF_INET, socket.IPPROTO_ICMP)
        mark = os.urandom(16)
        deadline = time.monotonic() + timeout
        with self._socket(family, socket.SOCK_RAW, protocol) as sock:
            if source:
                sock.bind((source, 0))
            try:
                sock.sendto(_echo_request(is6, mark), (address, 0))
                while (left := deadline - time.monotonic()) > 0:
                    sock.settimeout(left)
                    packet, sender = sock.recvfrom(2048)
                    message = packet if is6 else packet[(packet[0] & 15) * 4 :]
                    if message[0] == (129 if is6 else 0) and message.endswith(mark) and sender[0] == address:
                        return True
            except TimeoutError:
                return False
            except OSError as failure:
                _name_failure(failure, f"ping {self.name} -> {address}")
        return False

    def listen(self, port: int, address: str = "::") -> Listener:
        """Echo TCP on a port of this node (IPv4 and IPv6), until the context ends or the node goes down."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = self._socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((address, port))
        server.listen(128)
        listener = Listener(server)
        self._listeners.append(listener)
        return listener

    def _dial(self, address: str, port: int, source: str | None, timeout: float) -> socket.socket:
        sock = self._socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        with inside_netns(self.netns):
            return socket.socket(family, kind, protocol)

    # --- commands in the namespace ------------------------------------------------------------------------------------------------------

    def exec_ns(self, argv: Sequence[str], **options: Any) -> Completed:
        """Run a program of this machine inside the node's network namespace only (options as `system.run`)."""
        with inside_netns(self.netns):
            return run(argv, where=f"netns of {self.name}", **options)

    def popen_ns(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Like exec_ns, but started and left running; the caller ends it."""
        with inside_netns(self.netns):
            return subprocess.Popen(list(argv), text=True, **options)

    def close(self) -> None:
        """Give up all sockets that listen here."""
        while self._listeners:
            self._listeners.pop().close()


class Peer(Node):
    """A bare network namespace with addresses: an attacker, a visitor, a machine behind a host."""

    def __init__(self, network: Network, name: str, place: Place) -> None:
        super().__init__(network, name, place)
        self.addresses = [self.address4, self.address6]

    def add_address(self, address: str) -> str:
        """Take on one more address, from anywhere; hosts reach it through the gateway. Returns it, to be used as `source`."""
        if address in self.addresses:
            return address
        if self.place.network != 0:
            raise LabError(f"{self.name} lives behind a host; only peers on the bridge can take on {address}")
        bits = 128 if ":" in address else 32
        ip = ["ip", "-n", self.netns, "address", "add", f"{address}/{bits}", "dev", "eth0"]
        run([*ip, "nodad"] if bits == 128 else ip)
        self._network.route_to(f"{address}/{bits}", self.place)
        self.addresses.append(address)
        return address


_FAILURES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
}


def _name_failure(failure: OSError, what: str) -> str:
    """A word for what the network did; anything else is a mistake of the test."""
    if failure.errno in _FAILURES:
        return _FAILURES[failure.errno]
    raise LabError(f"{what}: {failure}") from failure


def _echo_request(is6: bool, mark: bytes) -> bytes:
    # the kernel fills in the checksum for ICMPv6 only
    kind, number, sequence = (128 if is6 else 8), int.from_bytes(mark[:2], "big"), 1
    message = struct.pack("!BBHHH", kind, 0, 0, number, sequence) + mark
    if is6:
        return message
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", kind, 0, ~total & 0xFFFF, number, sequence) + mark
