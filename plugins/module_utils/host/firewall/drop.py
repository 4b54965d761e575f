# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""firewall_drop: packets from and to an address or network are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..address import parse_network
from ..errors import BadInput, ToolError, shown
from ..guard import FIXED, AddressGuard, Guard, GuardFile
from ..kind import Backend, Chosen
from ..paths import Paths
from ..runner import Runner
from ..surroundings import Surroundings

if TYPE_CHECKING:
    from .ipset import Ipset
    from .nftables import Nftables

BACKENDS = ("nftables", "ipset")  # in order of preference


class FirewallDrop:
    """The kind; its backends are the files beside this one."""

    name = "firewall_drop"

    def target(self, value: str) -> str:
        return parse_network(value).text

    def guard(self, file: GuardFile, around: Surroundings, protect: Sequence[str], override: Sequence[str]) -> Guard:
        guard = AddressGuard(file, override)
        for name, network in FIXED:
            guard.protect(name, f"a {name.replace('_', '-')} address ({network})", [network])
        guard.protect("never", "on the never-list of this host's guard file", file.addresses)
        guard.protect("never", "on the never-list given with this call", protect)
        guard.protect("session", "where this very session comes from", around.clients)
        guard.protect("own_address", "an address of this host itself", around.own_addresses)
        guard.protect("broadcast", "a broadcast address of this host's networks", around.broadcasts)
        guard.protect("gateway", "a gateway of this host", around.gateways)
        guard.protect("resolver", "a name server of this host", around.resolvers)
        guard.protect("wazuh_manager", "this agent's Wazuh manager", around.wazuh_managers)
        return guard

    def backends(self, runner: Runner, paths: Paths) -> list[Backend]:
        return [each(runner) for each in map(_backend, BACKENDS) if each.installed()]

    def choose(self, runner: Runner, paths: Paths, wanted: str, holding: str | None) -> Chosen:
        if wanted not in ("auto", *BACKENDS):
            raise BadInput(f"backend {shown(wanted)}: it must be auto or one of {', '.join(BACKENDS)}")
        if holding is not None and wanted not in ("auto", holding):
            raise BadInput(f"backend {wanted}: this host's blocks are held by {holding}; release them first, or say backend: auto")
        if holding is None and wanted == "auto":
            return _first_that_works(runner)
        name = holding or wanted
        if name not in BACKENDS or not _backend(name).installed():
            raise ToolError(f"{name}: its programs are not installed on this host")
        backend = _backend(name)(runner)
        return Chosen(backend, f"{name} holds this host's blocks" if holding else "asked for", backend.read())


def _backend(name: str) -> type[Nftables | Ipset]:
    """Loaded when wanted: Python compiles what a module loads at each call."""
    if name == "nftables":
        from .nftables import Nftables

        return Nftables
    from .ipset import Ipset

    return Ipset


def _first_that_works(runner: Runner) -> Chosen:
    reasons = []
    for name in BACKENDS:
        if not _backend(name).installed():
            reasons.append(f"{name}: not installed")
            continue
        backend = _backend(name)(runner)
        try:
            seen = backend.read()
        except ToolError as error:
            reasons.append(f"{name}: {error}")
        else:
            passed = f"; passed over {'; '.join(reasons)}" if reasons else ""
            return Chosen(backend, f"the first of {', '.join(BACKENDS)} that works here{passed}", seen)
    why = "; ".join(reasons)
    raise ToolError(f"no firewall works on this host, so nothing is blocked: {why} (needed: nft, or ipset with iptables)")
