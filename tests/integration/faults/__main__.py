# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a practice host beside the engine: python3 faults.zip kills|fails|broken|dies|idle|flush nftables|ipset|shadow [FIRST EVERY]

Answers {"points": {scenario: the last point}, "wrong": ["what was not as promised"]}. Each try is made in a network namespace of its own, so nothing of one
reaches the next; the account file and the ledger are the host's.
"""

from __future__ import annotations

import json
import sys
from functools import partial

import kills
import tools
from scenario import ORIGINAL, SHADOW, Host, account_scenarios, firewall_scenarios, try_all

LOST = "ledger lost"
TELLING = {"first block of a host", "release of all by name", "restore by the tick", "all at once"}


def main() -> None:
    fault, backend, *some = sys.argv[1:]
    attempt = kills.attempt if fault == "kills" else partial(tools.attempt, fault)
    try:
        scenarios = list(account_scenarios() if backend == "shadow" else firewall_scenarios(backend, Host(backend).flush))
        if fault != "kills":  # a ledger that is lost while the tools fail is two faults at once: then a mark may wait for the next run
            scenarios = [each for each in scenarios if each.name != LOST]
        if backend == "ipset":  # it starts many programs; what is left out differs little
            scenarios = [each for each in scenarios if each.name in TELLING]
        answer = try_all("nftables" if backend == "shadow" else backend, scenarios, attempt, *map(int, some))
    finally:
        SHADOW.write_bytes(ORIGINAL)
    print(json.dumps(answer))


main()
