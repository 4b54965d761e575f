# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/bench/execd.py runs on the host: each thing once a round, so that all of them meet the same machine. Prints JSON.

Arguments: how many rounds, Wazuh's home, and a shell command that prints what is blocked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from tests.execd.called import Called
from tests.execd.cases import ADDRESS, CONTINUE, DELETE, Subject, v4
from tests.execd.suite import Suite

PATIENCE = 60
EXECUTABLE = ["active-response/bin/firewall-drop"]
FLOOR = "add table inet floor; add set inet floor s { type ipv4_addr; flags timeout; }"


def main() -> None:
    rounds, home, blocked = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    run(["nft", FLOOR])
    taken: dict[str, list[float]] = defaultdict(list)
    for number in range(1, rounds + 1):
        address = f"198.19.0.{number}"
        for name, work in things(home, address, number).items():
            begun = time.monotonic()
            work()
            taken[name].append(time.monotonic() - begun)
    run(["nft", "delete table inet floor"])

    def effects() -> set[str]:
        return set(subprocess.run(blocked, shell=True, stdout=subprocess.PIPE, text=True, check=True).stdout.split())  # noqa: S602 (the caller's own)

    suite = Suite(EXECUTABLE, home, effects, os.path.join(home, "logs/active-responses.log"), ADDRESS)
    for count in (8, 100):
        verdicts, figures = suite.judge_many(count, PATIENCE)
        for verdict in verdicts:
            if verdict.complaints:
                raise SystemExit(f"{verdict.name}: {verdict.complaints}")
        for name, seconds in figures.items():
            taken[f"{count}: {name}"].append(seconds)
    print(json.dumps(taken))


def things(home: str, address: str, number: int) -> dict[str, Callable[[], object]]:
    subject = Subject(ADDRESS, address, number, address)
    return {
        "python": lambda: run([sys.executable, "-IS", "-c", "pass"]),
        "nft": lambda: run(["nft", f"add element inet floor s {{ {address} timeout 10m }}"]),
        "add": lambda: call(home, subject, added=True),
        "delete": lambda: call(home, subject, added=False),
        "iptables": lambda: iptables("-I", address),
        "iptables, undone": lambda: iptables("-D", address),
    }


def call(home: str, subject: Subject, added: bool) -> None:
    """One call, as wazuh-execd makes it, from its start to its end."""
    called = Called(EXECUTABLE, home, PATIENCE)
    called.write((v4() if added else DELETE)(subject))
    if added:
        called.line()
        called.write(CONTINUE(subject))
    code = called.end()[0]
    if code:
        raise SystemExit(f"{EXECUTABLE[0]} for {subject.target} ended with {code}")


def iptables(what: str, address: str) -> None:
    for chain in ("INPUT", "FORWARD"):
        run(["iptables", what, chain, "-s", address, "-j", "DROP"])


def run(argv: list[str]) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    main()
