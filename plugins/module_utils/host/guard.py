# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must never be hit: the owner's file, and the code that says no."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .address import Network, parse_network
from .conf import read_owned
from .errors import BadInput, Problem, shown

ADDRESS_ENTRIES = (
    "loopback",
    "unspecified",
    "multicast",
    "broadcast",
    "link_local",
    "wide_network",
    "own_address",
    "gateway",
    "resolver",
    "session",
    "wazuh_manager",
)
ACCOUNT_ENTRIES = ("root", "account_in_use", "admin_group", "system_account")
FIXED = (
    ("unspecified", "0.0.0.0/8"),
    ("loopback", "127.0.0.0/8"),
    ("link_local", "169.254.0.0/16"),
    ("multicast", "224.0.0.0/4"),
    ("broadcast", "255.255.255.255"),
    ("unspecified", "::"),
    ("loopback", "::1"),
    ("link_local", "fe80::/10"),
    ("multicast", "ff00::/8"),
)


class Refused(Problem):
    """The guard says no. `entry` is the name by which the owner can override it."""

    def __init__(self, entry: str, message: str):
        super().__init__(f"{message} (guard entry {entry}; to act all the same: override: [{entry}])")
        self.entry = entry


class Guard(Protocol):
    """Raises Refused for a canonical target that must not be hit."""

    def check(self, target: str) -> None: ...


class GuardFile(NamedTuple):
    """The owner's `/etc/riposte/guard.conf`; the defaults are those of a host without one."""

    addresses: Sequence[str] = ()
    accounts: Sequence[str] = ()
    groups: Sequence[str] = ()
    widest_ipv4: int = 16
    widest_ipv6: int = 48
    responses_per_minute: int = 100
    accounts_per_hour: int = 5


_LISTS = {"addresses", "accounts", "groups"}
_NAMES = re.compile(r"[^,;:/=]+\Z")
_NUMBERS = {
    "limits": {"widest_ipv4": (1, 32), "widest_ipv6": (1, 128)},
    "breaker": {"responses_per_minute": (0, 10**6), "accounts_per_hour": (0, 10**6)},
}


def read_guard_file(path: str) -> GuardFile:
    """The guard file; Problem when it cannot be trusted or understood, for then nothing may be hit at all."""
    try:
        text = read_owned(path)
    except Problem as problem:
        raise Problem(f"guard file {problem}; nothing is put into force until that is mended") from problem
    return GuardFile() if text is None else parse_guard_file(text, path)


def parse_guard_file(text: str, path: str = "guard.conf") -> GuardFile:
    """Sections [never] (addresses, accounts, groups: one a line), [limits], [breaker]; `#` begins a comment."""
    import configparser  # not at the top: most runs have no use for it, and the tick starts often

    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"), strict=True, default_section="")
    try:
        parser.read_string(text, path)
    except configparser.Error as error:
        raise Problem(f"guard file {' '.join(str(error).split())}; nothing is put into force until this is mended") from error
    values: dict[str, object] = {}
    for section in parser.sections():
        for key, value in parser.items(section):
            values[key] = _guard_value(path, section, key, value)
    return GuardFile(**values)  # type: ignore[arg-type]


def _guard_value(path: str, section: str, key: str, value: str) -> object:
    if section == "never" and key in _LISTS:
        entries = tuple(value.split())
        for entry in entries:
            if key == "addresses":
                _never_network(entry, f"guard file {path}, [never] addresses")
            elif not _NAMES.match(entry):
                raise Problem(f"guard file {path}: [never] {key} {shown(entry)} is no name; write one a line, without commas")
        return entries
    low, high = _NUMBERS.get(section, {}).get(key, (None, None))
    if low is None or high is None:
        raise Problem(f"guard file {path}: [{section}] {key} is not known; nothing is put into force until this is mended")
    if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
        raise Problem(f"guard file {path}: [{section}] {key} {shown(value)} must be a whole number from {low} to {high}")
    return int(value)


def _never_network(entry: str, where: str) -> Network:
    try:
        return parse_network(entry)
    except BadInput as error:
        raise Problem(f"{where}: {error}") from error


def check_overrides(override: Sequence[str], known: Sequence[str]) -> None:
    """BadInput for a name that is no guard entry: a typing error must not look like consent."""
    for name in override:
        if name not in known and not re.match(r"never:\S+\Z", name):
            raise BadInput(f"override {shown(name)}: no guard entry has this name; known are {', '.join(known)}, never:ENTRY")


class _Entry(NamedTuple):
    version: int
    low: int
    high: int
    name: str
    what: str


class AddressGuard:
    """Says no to addresses and to networks that contain one.

    A target is looked up by bisection among the merged ranges, so that 100,000 targets cost little; which entry it was is only asked for a hit.
    """

    def __init__(self, file: GuardFile, override: Sequence[str]):
        check_overrides(override, ADDRESS_ENTRIES)
        self._file, self._override = file, override
        self._entries: list[_Entry] = []
        self._merged: dict[int, tuple[list[int], list[int]]] = {}

    def protect(self, name: str, what: str, values: Iterable[str]) -> None:
        """Adds never-list entries; `what` tells the reader what the address is."""
        if name in self._override:
            return
        for value in values:
            network = _never_network(value, what)
            if f"never:{value}" not in self._override:
                self._entries.append(_Entry(network.version, network.low, network.high, name if name != "never" else f"never:{value}", what))
        self._merged.clear()

    def check(self, target: str) -> None:
        network = parse_network(target)
        widest = self._file.widest_ipv4 if network.version == 4 else self._file.widest_ipv6
        if network.prefix < widest and "wide_network" not in self._override:
            raise Refused("wide_network", f"{target} is refused: a network wider than /{widest} hits too many")
        if not self._hit(network):
            return
        for entry in self._entries:
            if entry.version == network.version and entry.low <= network.high and network.low <= entry.high:
                raise Refused(entry.name, f"{target} is refused: it {'is' if network.single else 'contains'} {entry.what}")

    def _hit(self, network: Network) -> bool:
        if not self._merged:
            self._merged = {version: _merge(entry for entry in self._entries if entry.version == version) for version in (4, 6)}
        lows, highs = self._merged[network.version]
        index = bisect_right(lows, network.high) - 1
        return index >= 0 and highs[index] >= network.low


def _merge(entries: Iterable[_Entry]) -> tuple[list[int], list[int]]:
    lows: list[int] = []
    highs: list[int] = []
    for entry in sorted(entries, key=lambda each: each.low):
        if highs and entry.low <= highs[-1]:
            highs[-1] = max(highs[-1], entry.high)
        else:
            lows.append(entry.low)
            highs.append(entry.high)
    return lows, highs


class Account(NamedTuple):
    """One local account: its name, numbers, and the groups it is in (names)."""

    name: str
    uid: int
    gid: int
    groups: frozenset[str]


@dataclass
class AccountGuard:
    """Says no to accounts. `accounts`: the local ones by name; `in_use`: uids of this very session; `lowest`: first uid of people."""

    file: GuardFile
    accounts: dict[str, Account]
    in_use: frozenset[int]
    admin_groups: frozenset[str]
    lowest: int
    protect: Sequence[str]
    override: Sequence[str]

    def __post_init__(self) -> None:
        check_overrides(self.override, ACCOUNT_ENTRIES)

    def check(self, target: str) -> None:
        for entry, message in self._reasons(target):
            if entry not in self.override:
                raise Refused(entry, f"account {target} is refused: {message}")

    def _reasons(self, target: str) -> Iterable[tuple[str, str]]:
        if target in self.file.accounts or target in self.protect:
            yield f"never:{target}", "it is on the never-list"
        account = self.accounts.get(target)
        if account is None:
            return
        if account.uid == 0:
            yield "root", "it is root" if target == "root" else "it has uid 0 as root has"
        if account.uid in self.in_use:
            yield "account_in_use", "this very session came in by it"
        for group in sorted(account.groups & self.admin_groups):
            yield "admin_group", f"it is in the admin group {group}"
        for group in sorted(account.groups & set(self.file.groups)):
            yield f"never:{group}", f"its group {group} is on the never-list"
        if 0 < account.uid < self.lowest or account.uid == 65534:
            yield "system_account", f"its uid {account.uid} is a service's (people's begin at {self.lowest})"
