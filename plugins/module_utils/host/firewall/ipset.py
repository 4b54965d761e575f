# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipset with iptables: sets `riposte4` and `riposte6`, and a chain of our own, RIPOSTE, in the raw table.

A `hash:net` set holds addresses and networks of any prefix length, each with its own end. The raw table comes before connection
tracking, so open connections end and forwarded traffic is covered. Both flavours of iptables (legacy and nf_tables) are driven by their own
`iptables-save` and `iptables-restore`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from ..address import parse_network
from ..kind import Capabilities, Seen
from ..runner import Runner, find_program, program, run

CHAIN = "RIPOSTE"
LONGEST = 2147483  # seconds: the kernel's limit for a set member's timeout
_FAMILIES = {4: ("iptables", "inet", "riposte4"), 6: ("ip6tables", "inet6", "riposte6")}
_MEMBER = re.compile(r"^add riposte[46] (\S+) timeout (\d+)$", re.MULTILINE)
_ABSENT = {"blocked": False}  # 100,000 results share it
_HOOKS = ("PREROUTING", "OUTPUT")
_ENDS_EARLY = re.compile(r" -(?:j (?:ACCEPT|RETURN)|g )")


class Ipset:
    """See the module's text. The kernel ends each member by itself, up to LONGEST seconds ahead."""

    name = "ipset"
    capabilities = Capabilities(expires=True, longest=LONGEST, survives=False)

    def __init__(self, runner: Runner):
        self._runner = runner
        self._members: dict[str, Seen] = {}
        self._sets: set[str] = set()

    @staticmethod
    def installed() -> bool:
        return find_program("ipset") is not None and find_program("iptables-save") is not None

    def read(self) -> dict[str, Seen]:
        self._sets = set(run(self._runner, [program("ipset"), "list", "-n"]).split())
        self._members = {}
        for version, (_tool, _family, name) in _FAMILIES.items():
            if name in self._sets:
                self._members.update(self._read_set(version, name))
        return self._members

    def _read_set(self, version: int, name: str) -> Iterator[tuple[str, Seen]]:
        now = time.time()  # before: it asks the kernel first, then takes its time to print
        listed = run(self._runner, [program("ipset"), "save", name])
        live = _whole(self._rules(version), name)
        for found in _MEMBER.finditer(listed):
            seconds = int(found[2])
            target = parse_network(found[1]).text if version == 6 else found[1]
            yield intern(target), Seen(live, now + seconds if seconds else None)

    def _rules(self, version: int, flavour: str = "") -> list[str]:
        tool = _FAMILIES[version][0] + flavour
        return run(self._runner, [program(f"{tool}-save"), "-t", "raw"]).splitlines()

    def change(self, put: Mapping[str, float | None], take: Sequence[str]) -> None:
        left = (self._members.keys() | put.keys()) - set(take)
        for version, (_tool, family, name) in _FAMILIES.items():
            mine = {target: until for target, until in put.items() if _version(target) == version}
            gone = [target for target in take if _version(target) == version and target in self._members]
            if any(_version(target) == version for target in left):
                self._write_set(name, family, mine, gone)
                self._write_rules(version, name)
            elif name in self._sets:
                self._remove(version, name)

    def _write_set(self, name: str, family: str, put: Mapping[str, float | None], take: Iterable[str]) -> None:
        now = time.time()
        lines = [f"create {name} hash:net family {family} timeout 0 maxelem 1000000 -exist"]
        lines += [f"del {name} {target} -exist" for target in take]
        lines += [f"add {name} {target} timeout {_timeout(until, now)} -exist" for target, until in put.items()]
        run(self._runner, [program("ipset"), "restore"], "\n".join(lines) + "\n")

    def _write_rules(self, version: int, name: str) -> None:
        rules = self._rules(version)
        if _whole(rules, name):
            return
        lines = ["*raw", f":{CHAIN} - [0:0]", *_wanted(name)]
        for hook in _HOOKS:
            lines += [f"-D {hook} -j {CHAIN}"] * rules.count(f"-A {hook} -j {CHAIN}")
            lines += [f"-I {hook} 1 -j {CHAIN}"]
        self._restore(_FAMILIES[version][0], lines)

    def _remove(self, version: int, name: str) -> None:
        """Takes out the rules, in whichever flavour they stand, then the set, which they would keep from going."""
        for flavour in ("", "-legacy", "-nft"):
            tool = _FAMILIES[version][0] + flavour
            if find_program(f"{tool}-save") is None or (flavour == "-legacy" and not _legacy_table(version)):
                continue
            rules = self._rules(version, flavour)
            if any(line.startswith(f":{CHAIN} ") for line in rules):
                jumps = [f"-D{line[2:]}" for line in rules if line.startswith("-A ") and line.endswith(f" -j {CHAIN}")]
                self._restore(tool, ["*raw", *jumps, f"-F {CHAIN}", f"-X {CHAIN}"])
        run(self._runner, [program("ipset"), "destroy", name])

    def _restore(self, tool: str, lines: Sequence[str]) -> None:
        run(self._runner, [program(f"{tool}-restore"), "--noflush", "--wait", "10"], "\n".join([*lines, "COMMIT"]) + "\n")

    def detail(self, target: str, seen: Seen | None) -> dict[str, Any]:
        if seen is None:
            return _ABSENT
        return {"blocked": seen.in_force, "set": _FAMILIES[_version(target)][2]}

    def before(self, target: str) -> str | None:
        return None

    def missing(self, target: str) -> str | None:
        return None


def _legacy_table(version: int) -> bool:
    """Whether the kernel has the legacy flavour's raw table; to list one that is not there would make it."""
    try:
        with open("/proc/net/ip_tables_names" if version == 4 else "/proc/net/ip6_tables_names", encoding="ascii") as stream:
            return "raw" in stream.read().split()
    except FileNotFoundError:
        return False


def _version(target: str) -> int:
    return 6 if ":" in target else 4


def _timeout(until: float | None, now: float) -> int:
    return 0 if until is None else min(LONGEST, max(1, math.ceil(until - now)))


def _wanted(name: str) -> list[str]:
    return [f"-A {CHAIN} -m set --match-set {name} {way} -j DROP" for way in ("src", "dst")]


def _whole(rules: Sequence[str], name: str) -> bool:
    """Whether our chain is as we write it and is reached before any rule that would let a packet pass it by."""
    if [line for line in rules if line.startswith(f"-A {CHAIN} ")] != _wanted(name):
        return False
    for hook in _HOOKS:
        before = [line for line in rules if line.startswith(f"-A {hook} ")]
        jump = f"-A {hook} -j {CHAIN}"
        if jump not in before or any(_ENDS_EARLY.search(line) for line in before[: before.index(jump)]):
            return False
    return True
