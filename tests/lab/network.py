# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's wires: one bridge with the controller on it, hosts and peers plugged into it, networks behind a host.

    10.66.0.0/24, fd00:66::/64    the bridge: hosts .1-.99, peers .101-.199, controller .250, resolver .253, gateway .254
    10.66.N.0/24, fd00:66:N::/64  the N-th network behind a host: host .1, peer .2

The controller's namespace also answers as resolver (nobody listens there) and as the gateway, which routes whatever address a peer takes on.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from .instance import empty_netns
from .system import NETNS, ip_batch, run, set_sysctls

BRIDGE = "br0"
# Both ends of a link need different numbers: with the same one the kernel takes the link for no pair and reports "carrier on" up to a second late,
# and until then there is no IPv6.
PORTS_FROM = 1000


@dataclass(frozen=True)
class Place:
    """A node's place on a network: its two addresses and its fixed MAC (a new one at each boot would leave stale neighbour entries behind)."""

    network: int
    number: int

    @property
    def address4(self) -> str:
        return f"10.66.{self.network}.{self.number}"

    @property
    def address6(self) -> str:
        return f"fd00:66{f':{self.network}' if self.network else ''}::{self.number}"

    @property
    def mac(self) -> str:
        return f"02:66:00:00:{self.network:02x}:{self.number:02x}"

    def addresses(self) -> list[str]:
        return [f"address add {self.address4}/24 dev eth0", f"address add {self.address6}/64 dev eth0 nodad"]


CONTROLLER, RESOLVER, GATEWAY = Place(0, 250), Place(0, 253), Place(0, 254)
# addresses are right from the first moment, and nobody is told a shorter way
QUIET = {
    **{f"ipv6/conf/{scope}/{knob}": "0" for scope in ("all", "default") for knob in ("accept_dad", "accept_ra", "accept_redirects")},
    **{f"ipv4/conf/{scope}/{knob}": "0" for scope in ("all", "default") for knob in ("accept_redirects", "send_redirects", "rp_filter")},
}
ROUTING = {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}


class Network:
    """The namespaces and links of one lab."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.controller = f"{prefix}-ctl"

    def raise_controller(self) -> None:
        """The namespace that Ansible and ssh run in, with the bridge."""
        run(["ip", "netns", "add", self.controller])
        set_sysctls(self.controller, QUIET | ROUTING)
        # without an address of its own a bridge takes on that of one of its ports, another one whenever a host restarts
        lines = ["link set lo up", f"link add {BRIDGE} address {CONTROLLER.mac} type bridge"]
        for place in (CONTROLLER, RESOLVER, GATEWAY):
            # the first is what the controller speaks from; the others only answer
            lines.append(f"address add {place.address4}/24 dev {BRIDGE}")
            lines.append(f"address add {place.address6}/64 dev {BRIDGE} nodad" + ("" if place is CONTROLLER else " preferred_lft 0"))
        ip_batch(self.controller, [*lines, f"link set {BRIDGE} up"])

    def plug(self, netns: str, place: Place) -> None:
        """A new network namespace on the bridge."""
        self._new(netns)
        port = f"p{place.number}"
        ip_batch(
            self.controller,
            [
                f"link add {port} index {PORTS_FROM + place.number} type veth peer name eth0 index 2 address {place.mac} netns {netns}",
                f"link set {port} master {BRIDGE} up",
                # known beforehand: no second is lost on asking for a host that is still booting
                f"neighbour replace {place.address4} lladdr {place.mac} dev {BRIDGE} nud permanent",
                f"neighbour replace {place.address6} lladdr {place.mac} dev {BRIDGE} nud permanent",
            ],
        )
        self._configure(netns, place, GATEWAY)

    def plug_behind(self, netns: str, place: Place, router_netns: str, router: Place) -> None:
        """A peer's namespace on a network of its own behind a host; the host's end is new after each of its boots."""
        if not (NETNS / netns).exists():
            self._new(netns)
        near = Place(place.network, 1)
        port = f"inner{place.network}"
        set_sysctls(router_netns, ROUTING)
        ip_batch(
            router_netns,
            [
                f"link add {port} index {PORTS_FROM + place.network} address {near.mac} type veth peer name eth0 index 2 address {place.mac} netns {netns}",
                f"address add {near.address4}/24 dev {port}",
                f"address add {near.address6}/64 dev {port} nodad",
                f"link set {port} up",
            ],
        )
        self._configure(netns, place, near)
        for address, host in ((place.address4, router.address4), (place.address6, router.address6)):
            prefix = ipaddress.ip_network(f"{address}/{24 if '.' in address else 64}", strict=False)
            run(["ip", "-n", self.controller, "route", "replace", str(prefix), "via", host])

    def cut_cable(self, place: Place) -> None:
        """No packet passes to or from a place on the bridge any more."""
        run(["ip", "-n", self.controller, "link", "set", f"p{place.number}", "down"])

    def unplug_behind(self, netns: str) -> None:
        """Take the cable out of a peer behind a host (its other end is in the host)."""
        run(["ip", "-n", netns, "link", "del", "eth0"])

    def unplug(self, netns: str, place: Place) -> None:
        """Remove a namespace and its link at once (the kernel would do the link later)."""
        if place.network == 0 and f"p{place.number}" in run(["ip", "-n", self.controller, "-brief", "link"]).stdout.replace("@", " ").split():
            run(["ip", "-n", self.controller, "link", "del", f"p{place.number}"])
        if (NETNS / netns).exists():
            empty_netns(netns)
            run(["ip", "netns", "del", netns])

    def route_to(self, address: str, peer: Place) -> None:
        """Let the gateway know which peer has taken on an address from elsewhere."""
        run(["ip", "-n", self.controller, "route", "replace", address, "via", peer.address4 if "." in address else peer.address6])

    def _new(self, netns: str) -> None:
        run(["ip", "netns", "add", netns])
        set_sysctls(netns, QUIET)

    def _configure(self, netns: str, place: Place, gateway: Place) -> None:
        ip_batch(
            netns,
            [
                "link set lo up",
                *place.addresses(),
                "link set eth0 up",
                f"route add 0.0.0.0/0 via {gateway.address4}",
                f"route add ::/0 via {gateway.address6}",
            ],
        )
