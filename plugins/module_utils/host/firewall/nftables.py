# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables: one table of our own, `inet riposte`, with one hash set a prefix length.

A hash set holds single addresses at no cost in packet rate whatever their number. A rule that masks the packet's address before
it looks it up (`ip saddr & 255.255.255.0 @v4_24`) makes the same of networks: nested networks stand side by side with an end each, which an interval set
refuses, and each can be taken out without touching another. The chains hook in at raw priority, before connection tracking, so open
connections end and forwarded traffic is covered; nothing of the host's own rules is touched.
"""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from ..errors import ToolError
from ..kind import Capabilities, Seen
from ..runner import Runner, find_program, run

TABLE = "inet riposte"
LISTINGS = 5
_SET = re.compile(r"^\tset (v([46])_(\d+)) \{\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_CHAIN = re.compile(r"^\tchain (\w+) \{\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_ELEMENT = re.compile(r"([0-9a-f:.]+)(?: timeout \w+ expires (\w+))?(?:,|\s\}|\n)")
_UNIT = re.compile(r"(\d+)(ms|[wdhms])")
_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_ABSENT = {"blocked": False}  # 100,000 results share it
_HOOKS = {
    "prerouting": "type filter hook prerouting priority raw; policy accept;",
    "output": "type filter hook output priority raw; policy accept;",
}


class Nftables:
    """See the module's text. The kernel ends each member by itself."""

    name = "nftables"
    capabilities = Capabilities(expires=True, longest=None, survives=False)

    def __init__(self, runner: Runner):
        self._runner = runner
        self._members: dict[str, Seen] = {}
        self._sets: set[str] = set()
        self._whole = False
        self._there = False

    @staticmethod
    def installed() -> bool:
        return find_program("nft") is not None

    def read(self) -> dict[str, Seen]:
        """While the kernel makes a set larger or smaller, a listing of it has some members twice and misses as many."""
        for _attempt in range(LISTINGS):
            if self._read():
                return self._members
        raise ToolError(f"nft: the kernel was rearranging table {TABLE} each of {LISTINGS} times it was listed: what is in force cannot be told")

    def _read(self) -> bool:
        """Whether the listing has each member once."""
        self._members = {}
        now = time.time()  # before: nft asks the kernel first, then takes its time to print
        text = self._listing()
        self._there = bool(text)
        sets = list(_SET.finditer(text))
        self._sets = {found[1] for found in sets}
        chains = {found[1]: [line.strip().replace("== @", "@") for line in found[2].splitlines()] for found in _CHAIN.finditer(text)}
        self._whole = chains.items() >= _chains(self._sets).items() and "flags dormant" not in text
        listed = 0
        for found in sets:
            for target, seen in _elements(text, found.span(4), int(found[2]), int(found[3]), now, self._whole):
                self._members[target] = seen
                listed += 1
        return listed == len(self._members)

    def _listing(self) -> str:
        done = self._runner([find_program("nft") or "nft", "list", "table", *TABLE.split()])
        if done.rc == 0 and f"table {TABLE} {{" in done.out:
            return done.out
        if "No such file or directory" in done.err:
            return ""
        said = " ".join(done.err.split())[:300] or f"exit code {done.rc}, and no table in what it printed"
        raise ToolError(f"nft: cannot list table {TABLE}: {said}")

    def change(self, put: Mapping[str, float | None], take: Sequence[str]) -> None:
        left = bool(put) or sum(target in self._members for target in take) < len(self._members)
        if left or self._there:
            lines = self._script(put, take) if left else (f"add table {TABLE}", f"delete table {TABLE}", "")
            run(self._runner, [find_program("nft") or "nft", "-f", "-"], "\n".join(lines))

    def _script(self, put: Mapping[str, float | None], take: Sequence[str]) -> Iterator[str]:
        yield f"add table {TABLE}"
        yield from self._structure(put)
        yield from self._taken([*take, *(target for target in put if target in self._members)])
        yield from _added(put)
        yield ""

    def _structure(self, put: Iterable[str]) -> Iterator[str]:
        sets = self._sets | {_set_name(target) for target in put}
        for name in sorted(sets):
            yield f"add set {TABLE} {name} {{ type ipv{name[1]}_addr; flags timeout; }}"
        if self._whole and sets == self._sets:
            return  # to say a chain again costs five times what an element does: the kernel waits until no packet is in it
        for chain, rules in _chains(sets).items():
            yield f"add chain {TABLE} {chain} {{ {rules[0]} }}"
            yield f"flush chain {TABLE} {chain}"
            yield from (f"add rule {TABLE} {chain} {rule}" for rule in rules[1:])

    def _taken(self, targets: Iterable[str]) -> Iterator[str]:
        """Adding first makes the delete hold for a member that the kernel ended a moment ago."""
        for name, members in _by_set(target for target in targets if _set_name(target) in self._sets):
            elements = ",\n".join(target.partition("/")[0] for target in members)
            yield f"add element {TABLE} {name} {{ {elements} }}"
            yield f"delete element {TABLE} {name} {{ {elements} }}"

    def detail(self, target: str, seen: Seen | None) -> dict[str, Any]:
        return _detail(_set_name(target), seen.in_force) if seen else _ABSENT

    def before(self, target: str) -> str | None:
        return None

    def missing(self, target: str) -> str | None:
        return None


@lru_cache(maxsize=256)  # 100,000 results share a handful
def _detail(name: str, in_force: bool) -> dict[str, Any]:
    return {"blocked": in_force, "set": f"{TABLE} {name}"}


def _set_name(target: str) -> str:
    version, bits = ("6", 128) if ":" in target else ("4", 32)
    return f"v{version}_{target.partition('/')[2] or bits}"


def _by_set(targets: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The targets of each set, a thousand at most: one command of 100,000 would be held several times while it is put together."""
    found: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        found[_set_name(target)].append(target)
    for name, members in found.items():
        yield from ((name, members[at : at + 1000]) for at in range(0, len(members), 1000))


def _added(put: Mapping[str, float | None]) -> Iterator[str]:
    now = time.time()
    for name, members in _by_set(put):
        elements = ",\n".join(target.partition("/")[0] + _timeout(put[target], now) for target in members)
        yield f"add element {TABLE} {name} {{ {elements} }}"


def _timeout(until: float | None, now: float) -> str:
    return "" if until is None else f" timeout {max(1, math.ceil(until - now))}s"


def _chains(sets: Iterable[str]) -> dict[str, list[str]]:
    """The chains' lines as `nft list` prints them: source and destination of what comes in or is forwarded, destination of what goes out."""
    if not sets:
        return {}
    names = sorted(sets)
    source = [f"{_field(name, 'saddr')} @{name} drop" for name in names]
    destination = [f"{_field(name, 'daddr')} @{name} drop" for name in names]
    return {"prerouting": [_HOOKS["prerouting"], *source, *destination], "output": [_HOOKS["output"], *destination]}


def _field(name: str, direction: str) -> str:
    version, prefix = int(name[1]), int(name[3:])
    family, bits = ("ip", 32) if version == 4 else ("ip6", 128)
    if prefix == bits:
        return f"{family} {direction}"
    network = ipaddress.ip_network((0, prefix)) if version == 4 else ipaddress.IPv6Network((0, prefix))
    return f"{family} {direction} & {network.netmask}"


def _elements(text: str, body: tuple[int, int], version: int, prefix: int, now: float, in_force: bool) -> Iterator[tuple[str, Seen]]:
    """The members listed in a part of the text, which is long: it is not copied."""
    begin = text.find("elements = {", *body)
    ends: dict[str, Seen] = {"": Seen(in_force, None)}
    suffix = "" if prefix == (32 if version == 4 else 128) else f"/{prefix}"
    for found in _ELEMENT.finditer(text, begin + len("elements = {"), body[1]) if begin >= 0 else ():
        address = found[1] if version == 4 else str(ipaddress.IPv6Address(found[1]))
        left = found[2] or ""
        if left not in ends:
            ends[left] = Seen(in_force, now + sum(int(number) * _SECONDS[unit] for number, unit in _UNIT.findall(left)))
        yield intern(address + suffix), ends[left]
