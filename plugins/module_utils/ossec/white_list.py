# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wazuh's <white_list> -> addresses and networks for the never-list of a guard file, and notes."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from ..host.address import parse_network
from ..host.errors import BadInput, shown
from .read import AGENT, Configuration, Note, Value

_BEGINNING = re.compile(r"\^?((?:[0-9]{1,3}\.){1,3})\Z")
_MASK = re.compile(r"/(1|2)[0-9]{2}\.")

EVERYWHERE = (
    "Wazuh asks its white list only about data.srcip, so never about alerts of Windows event channels; and an address on it starts no response at all, "
    "not even one that blocks nothing."
)


class Never(NamedTuple):
    address: str
    line: int
    wrote: str


def read_white_list(configuration: Configuration) -> tuple[list[Never], list[Note]]:
    """The entries without doubles, in the order of the file."""
    never: dict[str, Never] = {}
    notes: list[Note] = []
    for value in configuration.white_list:
        address, wazuh, here = _entry(value)
        if address:
            never.setdefault(address, Never(address, value.line, value.text))
        if wazuh:
            notes.append(Note(configuration.file, value.line, f"white list {shown(value.text)}: {wazuh}", here))
    if never:
        here = "the guard of each host is asked about every address before it is blocked, wherever the address came from, and about nothing else."
        notes.append(Note(configuration.file, next(iter(never.values())).line, EVERYWHERE, here))
    return list(never.values()), notes


def _entry(value: Value) -> tuple[str, str, str]:
    """The address or network, empty when there is none; and what to say of it: what Wazuh did, what is done here."""
    text = value.text
    if value.root == AGENT:
        return "", "Wazuh reads no white list in an agent.conf.", "it is not imported; on a host it would be an entry of its guard file."
    if not text:
        return "", "it is empty.", "it is left out."
    beginning = _BEGINNING.match(text)
    network = _network(_completed(beginning[1]) if beginning else text)
    if beginning and network:
        return network, "this is a text that Wazuh looks for in an address.", f"{network} is never blocked."
    if not network:
        return "", *_no_network(text)
    if ":" in text:
        return network, "Wazuh takes IPv6 for a text to look for: it also protects longer addresses that hold it, and no other spelling.", _kept(network)
    if value.raw != text:
        return network, "with the blanks round it Wazuh takes it for a host name, so it never protected anything.", _kept(network)
    if "/" in text and network != text:
        return network, "it is a network, written in another way.", _kept(network)
    return network, "", ""


def _kept(network: str) -> str:
    return f"{network} is never blocked, in whatever spelling an alert names it."


def _no_network(text: str) -> tuple[str, str]:
    if text.startswith("!"):
        return "the ! takes it out of what other entries protect.", "it is not imported: a guard file knows no exceptions. Narrow the entries round it."
    if re.match(r"[0-9.]+(/|\Z)", text) or ":" in text:
        return "this is no address or network that could be kept.", "it is not imported."
    return (
        "a name. Wazuh compares it with the text of data.srcip, resolves nothing, and blocks the host's addresses all the same.",
        "it is not imported: a guard file names addresses. If the host has a fixed one, write it there.",
    )


def _completed(beginning: str) -> str:
    """10.1. -> 10.1.0.0/16."""
    parts = beginning.count(".")
    return f"{beginning}{'.'.join(['0'] * (4 - parts))}/{8 * parts}"


def _network(text: str) -> str:
    if "." in text.partition("/")[2] and not _MASK.search(text):
        return ""  # not a netmask; Python would take it for one turned round
    try:
        return parse_network(str(ipaddress.ip_network(text, strict=False))).text
    except (ValueError, BadInput):
        return ""
