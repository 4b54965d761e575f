# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy's allow list: addresses that are never answered, wherever they were seen.

A name is the name of a host of the inventory, and stands for the address that the inventory gives it. No resolver is asked: what it says changes, and may
be another's to say. And a name that an alert brings along is never looked at: its writer would take himself off the hook with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Union

from ..host.address import Network, parse_network
from ..host.errors import BadInput, shown
from .checks import Checks

ALLOW_KEYS = ("addresses", "hosts", "white_lists", "cdb_lists")
FILES = ("white_lists", "cdb_lists")
LONGEST_PATH = 1000
_BEGINNING = re.compile(r"(?:[0-9]{1,3}\.){1,3}\Z", re.ASCII)


class Entry(NamedTuple):
    """One address or network, and where it is written."""

    network: Network
    where: str


class Listed(NamedTuple):
    """An address or network as a file lists it, and where: file and line."""

    address: str
    where: str


Files = Mapping[tuple[str, str], Union[Sequence[Listed], str]]
"""What stands in the files that files_of named; text: why one could not be read."""


@dataclass(frozen=True)
class Allow:
    """What the policy says. `hosts`: names of inventory hosts."""

    entries: tuple[Entry, ...] = ()
    hosts: tuple[str, ...] = ()

    @cached_property
    def listed(self) -> AllowList:
        return AllowList(self.entries)


class AllowList:
    """Looked up by prefix length, of which there are few: a list of 100,000 costs no more than one of ten."""

    def __init__(self, entries: Iterable[Entry], more: AllowList | None = None) -> None:
        self._more = more
        self._by_prefix: dict[tuple[int, int], dict[int, Entry]] = {}
        for entry in entries:
            network = entry.network
            self._by_prefix.setdefault((network.version, network.prefix), {}).setdefault(network.low, entry)

    def entry_for(self, target: str) -> Entry | None:
        """The entry that holds this address, in canonical spelling."""
        network = parse_network(target)
        for (version, prefix), entries in self._by_prefix.items():
            if version == network.version:
                entry = entries.get(network.low >> (network.bits - prefix) << (network.bits - prefix))
                if entry is not None:
                    return entry
        return self._more.entry_for(target) if self._more else None


def allow_list(allow: Allow, addresses: Mapping[str, str]) -> AllowList:
    """addresses: of the inventory's hosts. BadInput for a name that stands for none: what shall be spared must not depend on luck."""
    entries = []
    for at, name in enumerate(allow.hosts):
        try:
            entries.append(Entry(parse_network(addresses[name]), f"allow.hosts[{at}], host {name}"))
        except KeyError:
            raise BadInput(f"allow.hosts[{at}]: {shown(name)}: the inventory has no such host; nothing is done, for it could not be spared") from None
        except BadInput:
            raise BadInput(
                f"allow.hosts[{at}]: {shown(name)}: its ansible_host is {shown(addresses[name])}, which is no address as it stands, and names are not "
                "resolved; nothing is done, for it could not be spared. Write the address under allow.addresses"
            ) from None
    return AllowList(entries, allow.listed)


def files_of(data: object) -> list[tuple[str, str]]:
    """The files that a loaded policy names: (one of FILES, path). What is no path is left for read_allow to complain about."""
    allow = data.get("allow") if isinstance(data, Mapping) else None
    if not isinstance(allow, Mapping):
        return []
    lists = ((kind, allow.get(kind)) for kind in FILES)
    return [(kind, path) for kind, paths in lists if isinstance(paths, list) for path in paths if isinstance(path, str)]


def read_allow(checks: Checks, path: str, data: object, files: Files) -> Allow:
    given = checks.mapping(path, data, ALLOW_KEYS)
    if isinstance(data, Mapping) and not data:
        checks.wrong(path, data, f"an empty list spares nobody; give one of {', '.join(ALLOW_KEYS)}, or leave it out")
    entries = []
    if "addresses" in given:
        for at, value in enumerate(checks.items(f"{path}.addresses", given["addresses"])):
            entries += _entry(checks, f"{path}.addresses[{at}]", value)
    for kind in FILES:
        if kind in given:
            for at, value in enumerate(checks.items(f"{path}.{kind}", given[kind], 100)):
                entries += _entries(checks, f"{path}.{kind}[{at}]", kind, value, files)
    return Allow(tuple(entries), checks.texts(f"{path}.hosts", given["hosts"]) if "hosts" in given else ())


def _entry(checks: Checks, path: str, value: object) -> list[Entry]:
    if not isinstance(value, str):
        checks.wrong(path, value, "it must be an address or network such as 198.51.100.7, 10.0.0.0/8 or 2001:db8::/32")
        return []
    try:
        return [Entry(parse_network(value), f"{path}, {value}")]
    except BadInput as error:
        checks.flaw(path, f"{path}: {error}; a host of the inventory is named under allow.hosts")
        return []


def _entries(checks: Checks, path: str, kind: str, value: object, files: Files) -> list[Entry]:
    file = checks.text(path, value, LONGEST_PATH)
    listed = files.get((kind, file), "this file was not read, so nothing is done")
    if not isinstance(listed, str):
        return [Entry(parse_network(each.address), f"{path}, {each.where}") for each in listed]
    if file:
        checks.wrong(path, value, listed)
    return []


def read_cdb_list(text: str, file: str) -> tuple[list[Listed], list[str]]:
    """The addresses among the keys of a CDB list of Wazuh (`key:value` lines, a key with : in it in quotes, `10.1.` for 10.1.0.0/16), and what are none."""
    listed: list[Listed] = []
    notes: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        key = _cdb_key(line.strip())
        if not key or key.startswith("#"):
            continue
        where = f"{file}, line {number}"
        try:
            listed.append(Listed(parse_network(_completed(key)).text, where))
        except BadInput as error:
            notes.append(f"{where}: {error}; it spares nobody")
    return listed, notes


def _cdb_key(line: str) -> str:
    if line.startswith('"'):
        return line[1:].partition('"')[0]
    # Wazuh ends the key at the first colon, so IPv6 needs quotes there; people write it without.
    return line.rstrip(":") if line.count(":") > 2 and "." not in line.partition(":")[0] else line.partition(":")[0].strip()


def _completed(key: str) -> str:
    """10.1. -> 10.1.0.0/16."""
    parts = key.count(".")
    return f"{key}{'.'.join(['0'] * (4 - parts))}/{8 * parts}" if _BEGINNING.match(key) else key
