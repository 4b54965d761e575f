# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground that block tests stand on: a host with one kind of firewall, a network behind it, and packets sent in every direction."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from tests.integration.on_host import HostEngine
from tests.lab import Host, Lab, Node, Peer, Stream, wait_for
from tests.lab.system import inside_netns

OPEN, CUT = "open", "timeout"
WAYS = ("incoming", "outgoing", "forwarded in", "forwarded out")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Firewall:
    """One way a host's firewall can be: the module's option and how the host gets there."""

    name: str
    backend: str
    prepare: str = "true"

    def __str__(self) -> str:
        return self.name


def _flavour(name: str) -> str:
    return "; ".join(f"update-alternatives --quiet --set {tool} /usr/sbin/{tool}-{name}" for tool in ("iptables", "ip6tables"))


NFTABLES = Firewall("nftables", "nftables")
IPSET_NFT = Firewall("ipset-nft", "ipset", _flavour("nft"))
IPSET_LEGACY = Firewall("ipset-legacy", "ipset", _flavour("legacy"))
FIREWALLS = (NFTABLES, IPSET_NFT, IPSET_LEGACY)


class Mailbox:
    """Takes datagrams on a port of a node, IPv4 and IPv6."""

    def __init__(self, node: Node, port: int) -> None:
        self._port = port
        self._arrived: set[bytes] = set()
        with inside_netns(node.netns):
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.bind(("::", port))
        self._socket.settimeout(0.1)
        self._open = True
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def arrives(self, sender: Node, to: str, source: str | None, timeout: float) -> str:
        """OPEN or CUT: whether one datagram sent there from a node is received within the time."""
        token = os.urandom(16)
        with inside_netns(sender.netns), contextlib.closing(socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)) as out:
            if source:
                out.bind((source, 0))
            with contextlib.suppress(PermissionError):  # what an output chain drops is an error to the sender
                out.sendto(token, (to, self._port))
        deadline = time.monotonic() + timeout
        while token not in self._arrived:
            if time.monotonic() > deadline:
                return CUT
            time.sleep(0.005)
        return OPEN

    def _collect(self) -> None:
        while self._open:
            with contextlib.suppress(TimeoutError):
                self._arrived.add(self._socket.recv(64))

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


@dataclass
class Ground:
    """A host, somebody behind it, and those outside. Everybody listens on `port`."""

    lab: Lab
    host: Host
    inside: Peer
    attacker: Peer
    visitor: Peer
    firewall: Firewall
    port: int

    def __post_init__(self) -> None:
        self.engine = HostEngine(self.host)
        self.mailboxes = {node.name: Mailbox(node, self.port) for node in (self.host, self.inside, self.attacker, self.visitor)}

    def ways(self, *sources: str, ways: Sequence[str] = WAYS, timeout: float = 3.0, by: Peer | None = None) -> dict[str, str]:
        """What becomes of a connection and of a datagram from and to each source address of the attacker (or `by`), in each direction.

        A connection needs packets both ways; a datagram shows that the very first packet in one direction is dropped.
        """
        outside = by or self.attacker
        calls: dict[str, Callable[[], str]] = {}
        for source in sources:
            here, behind = self._addresses(source)
            ends: dict[str, tuple[Node, Node, str, str | None]] = {
                "incoming": (outside, self.host, here, source),
                "outgoing": (self.host, outside, source, None),
                "forwarded in": (outside, self.inside, behind, source),
                "forwarded out": (self.inside, outside, source, None),
            }
            for way in ways:
                sender, receiver, to, own = ends[way]
                mailbox = self.mailboxes[receiver.name]
                calls[f"{way} {source}"] = partial(sender.connect, to, self.port, source=own, timeout=timeout)
                calls[f"datagram {way} {source}"] = partial(mailbox.arrives, sender, to, own, timeout)
        with ThreadPoolExecutor(max_workers=len(calls)) as pool:
            return dict(zip(calls, pool.map(lambda call: call(), calls.values())))

    def prove_open(self, *sources: str, ways: Sequence[str] = WAYS, by: Peer | None = None) -> None:
        """Each source gets through in each direction."""
        _expect(OPEN, self.ways(*sources, ways=ways, by=by))

    def prove_cut(self, *sources: str, ways: Sequence[str] = WAYS) -> None:
        """From and to each source packets are dropped in each direction, and the visitor gets through all the same."""
        _expect(CUT, self.ways(*sources, ways=ways, timeout=0.3))
        self.prove_open(self.visitor.address4, self.visitor.address6, by=self.visitor)

    def wait_open(self, *sources: str, timeout: float = 15) -> None:
        """Until the sources get through again: to the end of a block that ends by itself."""
        what = f"{', '.join(sources)} to get through to {self.host.name} again"
        wait_for(lambda: set(self.ways(*sources, ways=["incoming"], timeout=0.2).values()) == {OPEN}, what, timeout)
        self.prove_open(*sources)

    def streams(self, *sources: str) -> dict[str, Stream]:
        """Open connections from and to each source, that were seen to work."""
        found = {}
        for source in sources:
            here, behind = self._addresses(source)
            found[f"incoming {source}"] = self.attacker.open_stream(here, self.port, source=source)
            found[f"outgoing {source}"] = self.host.open_stream(source, self.port)
            found[f"forwarded in {source}"] = self.attacker.open_stream(behind, self.port, source=source)
            found[f"forwarded out {source}"] = self.inside.open_stream(source, self.port)
        _expect(True, {name: stream.alive(timeout=3) for name, stream in found.items()})
        return found

    def power_cycle(self) -> None:
        """Pull the plug and press the button: the kernel's tables are gone."""
        self.mailboxes[self.host.name].close()
        self.host.power_cut()
        self.host.power_on()
        self.mailboxes[self.host.name] = Mailbox(self.host, self.port)
        self.host.listen(self.port)

    def stand_in(self, tool: str, text: str | None) -> None:
        """Puts a program where it is found before the real one of that name, or takes it away again."""
        path = f"/usr/local/sbin/{tool}"
        if text is None:
            self.host.inside(["rm", path])
        else:
            self.host.put(path, text, mode=0o755)

    @contextlib.contextmanager
    def without(self, tool: str) -> Iterator[None]:
        """The host has no such program."""
        self.host.inside(["mv", f"/usr/sbin/{tool}", f"/usr/sbin/{tool}.away"])
        yield
        self.host.inside(["mv", f"/usr/sbin/{tool}.away", f"/usr/sbin/{tool}"])

    def wipe(self) -> None:
        """As if the collection had never been here, and nobody had a rule."""
        self.host.inside(["sh", "-c", WIPE])

    def seconds_left(self, target: str) -> float | None:
        """How long the kernel itself will keep a member of our sets, None = for ever. KeyError when it is no member."""
        return _members(self)[target]

    def members(self) -> list[str]:
        """What our sets hold, in order, so that a duplicate shows."""
        return sorted(_members(self))

    def members_or_none(self) -> list[str] | None:
        """As members, None when not even our sets are there."""
        return self.members() if "riposte" in rules(self.host) else None

    def _addresses(self, source: str) -> tuple[str, str]:
        six = ":" in source
        return (self.host.address6, self.inside.address6) if six else (self.host.address4, self.inside.address4)


def prove_dead(streams: dict[str, Stream]) -> None:
    """None of these connections lives any more."""
    with ThreadPoolExecutor(max_workers=len(streams)) as pool:
        _expect(False, dict(zip(streams, pool.map(lambda stream: stream.alive(timeout=0.5), streams.values()))))
    for stream in streams.values():
        stream.close()


def _expect(wanted: object, seen: dict[str, object] | dict[str, str] | dict[str, bool]) -> None:
    other = {name: value for name, value in seen.items() if value != wanted}
    if other:
        raise AssertionError(f"expected {wanted!r} in {len(seen)} cases, seen otherwise: {other}")


@contextlib.contextmanager
def ground(lab: Lab, attacker: Peer, visitor: Peer, firewall: Firewall = NFTABLES, kind: str = "bookworm") -> Iterator[Ground]:
    """A new host of a kind (`suite` or `suite/Python`) with this firewall, and a peer behind it; gone at the end."""
    suite, _unused, python = kind.partition("/")
    number = next(_numbers)
    port = 7000 + number  # the attacker and the visitor may be of several grounds
    host = lab.add_host(f"wall{number}", suite=suite, python=python or None)
    try:
        host.inside(["sh", "-c", firewall.prepare])
        inside = lab.add_peer(f"behind{number}", via=host.name)
        _introduce(attacker, host)
        with host.listen(port), inside.listen(port), attacker.listen(port), visitor.listen(port):
            made = Ground(lab, host, inside, attacker, visitor, firewall, port)
            try:
                yield made
            finally:
                for mailbox in made.mailboxes.values():
                    mailbox.close()
    finally:
        lab.remove(host)


def _introduce(peer: Peer, host: Host) -> None:
    """Tells a peer the host's hardware address.

    It asks for it from the address that it happens to send from; if that one is blocked, the others of this peer do not get through for a while either.
    """
    (link,) = json.loads(host.exec_ns(["ip", "-json", "link", "show", "eth0"]).stdout)
    for address in (host.address4, host.address6):
        peer.exec_ns(["ip", "neighbour", "replace", address, "lladdr", link["address"], "dev", "eth0", "nud", "permanent"])


def _members(wall: Ground) -> dict[str, float | None]:
    if wall.firewall.backend == "ipset":
        lines = [line.split() for line in wall.host.inside(["ipset", "save"]).stdout.splitlines()]
        return {word[2]: float(word[4]) or None for word in lines if word[0] == "add" and word[1] in ("riposte4", "riposte6")}
    listed = json.loads(wall.host.inside(["nft", "-j", "list", "table", "inet", "riposte"]).stdout)["nftables"]
    found: dict[str, float | None] = {}
    for each in [entry["set"] for entry in listed if "set" in entry]:
        prefix = each["name"].partition("_")[2]
        for member in each.get("elem", []):
            inner = member.get("elem", {}) if isinstance(member, dict) else {"val": member}
            suffix = "" if prefix == ("128" if ":" in inner["val"] else "32") else f"/{prefix}"
            found[inner["val"] + suffix] = inner.get("expires")
    return found


# --- what is on a host ------------------------------------------------------------------------------------------------------------------------

# every tool by its own name, so that neither flavour of iptables is overlooked; nft may be hidden by a test
LISTING = """
nft=/usr/sbin/nft; [ -x $nft ] || nft=/usr/sbin/nft.away
$nft list ruleset
for family in ip ip6; do for flavour in nft legacy; do echo "== ${family}tables-$flavour"; ${family}tables-$flavour-save; done; done
echo "== ipset"; ipset save
"""
WIPE = """
rm -rf /var/lib/riposte /usr/local/sbin/*
for tool in nft ipset; do [ -x /usr/sbin/$tool ] || mv /usr/sbin/$tool.away /usr/sbin/$tool; done
nft flush ruleset
for tool in iptables-legacy ip6tables-legacy; do for table in raw filter; do $tool -t $table -F; $tool -t $table -X; done; done
ipset destroy
"""
LEDGER = "find /var/lib/riposte /etc/riposte -type f 2>/dev/null | sort | xargs -r sha256sum"
STATE = f"({LISTING}) 2>/dev/null; echo '== ledger'; {LEDGER}"
_COUNTS = re.compile(r"\[\d+:\d+\]|(?<=packets )\d+|(?<=bytes )\d+|(?<=expires )\w+|^# (?:Generated|Completed).*$", re.MULTILINE)
_SET_TIMEOUT = re.compile(r"(?<=^add riposte[46] )(\S+) timeout [1-9]\d*", re.MULTILINE)


def without_counts(text: str) -> str:
    """A listing without what changes by itself: counters, seconds that are left, dates."""
    return _SET_TIMEOUT.sub(r"\1 timeout N", _COUNTS.sub("", text))


def state(host: Host) -> str:
    """Every rule and set on the host, and checksums of what the collection keeps there."""
    return without_counts(host.inside(["sh", "-c", STATE]).stdout)


def rules(host: Host) -> str:
    """Every rule and set on the host."""
    return state(host).partition("== ledger")[0]


# What a busy host has of others': a packet filter of its own, what a container engine sets up, sets, a fail2ban-like chain; and names like ours.
OTHERS = """
set -e
nft -f - <<'END'
table inet filter {
  set friends { type ipv4_addr; flags interval; elements = { 192.0.2.0/25 }; }
  set banned { type ipv4_addr; flags timeout; elements = { 192.0.2.200 timeout 1h }; }
  chain input { type filter hook input priority filter; policy accept; ct state established accept; ip saddr @banned drop; tcp dport 9 counter drop; }
}
table ip riposte {
  set v4_32 { type ipv4_addr; elements = { 192.0.2.9 }; }
  chain prerouting { ip saddr @v4_32 drop; }
}
END
iptables-nft -t nat -N DOCKER
iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables-nft -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables-nft -N DOCKER-USER
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -A DOCKER-USER -j RETURN
ipset create f2b hash:net timeout 0
ipset add f2b 192.0.2.77
ipset create riposte hash:ip
ipset add riposte 192.0.2.78
for tool in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
  $tool -N RIPOSTE
  $tool -A RIPOSTE -p tcp -m tcp --dport 9 -j DROP
  $tool -A INPUT -j RIPOSTE
  $tool -t raw -N RIPOSTE-OLD
  $tool -t raw -A RIPOSTE-OLD -p udp -m udp --dport 9 -j DROP
  $tool -t raw -A PREROUTING -j RIPOSTE-OLD
  $tool -t raw -A OUTPUT -p udp -m udp --dport 9 -j DROP
done
iptables -A INPUT -m set --match-set f2b src -j DROP
"""
