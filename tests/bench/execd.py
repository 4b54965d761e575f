# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Wazuh's daemon is kept waiting, beside the floor of a Python start, the bare tools, and what was measured of Wazuh's own firewall-drop.

Everything is timed on the host itself, each thing once a round. Wazuh's figures are of another machine: its ratio to two bare `iptables -I` is
what can be compared.
"""

from __future__ import annotations

import argparse
import json
import statistics

from tests.execd.put import BLOCKED, PLACE, put_suite
from tests.integration.wazuh_tree import HOME, lay_agent
from tests.lab import Lab

ROUNDS = 50
NAMES = {
    "python": "python3 -IS -c pass (the floor)",
    "nft": "nft add element",
    "iptables": "iptables -I, twice (what Wazuh's does)",
    "iptables, undone": "iptables -D, twice",
    "add": "firewall-drop, add of one address",
    "delete": "firewall-drop, delete of one address",
}
# Wazuh 4.14.7's own firewall-drop: median, 95th percentile in ms on a quiet and on a noisy machine; two bare `iptables -I` there; seconds of 8 at once
WAZUH_QUIET, WAZUH_NOISY, WAZUH_BARE, WAZUH_8 = (4.7, 5.7), (10.2, 14.9), 2.3, 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default {ROUNDS})")
    rounds = parser.parse_args().rounds
    with Lab() as lab:
        host = lab.add_host("web1")
        lay_agent(host)
        variables = {"riposte_agent_responses_per_minute": 1000000}
        lab.ansible("ansible-playbook", "riposte.active_response.deploy", "-e", json.dumps(variables), check=True)
        put_suite(host, "bench/__init__", "bench/_execd_on_host")
        argv = ["env", "-C", PLACE, host.python, "-m", "tests.bench._execd_on_host", str(rounds), HOME, BLOCKED]
        report(json.loads(host.inside(argv, timeout=900).stdout))


def report(taken: dict[str, list[float]]) -> None:
    bare = statistics.median(taken["iptables"])
    print(f"{'what':<44}{'median ms':>10}{'p95 ms':>9}{'/ 2 iptables':>14}")
    for name, title in NAMES.items():
        median = statistics.median(taken[name])
        print(f"{title:<44}{median * 1000:>10.1f}{p95(taken[name]) * 1000:>9.1f}{median / bare:>14.1f}")
    for title, (median_ms, p95_ms) in (("Wazuh's own, add, quiet", WAZUH_QUIET), ("Wazuh's own, add, noisy", WAZUH_NOISY)):
        print(f"{title + ' (measured elsewhere)':<44}{median_ms:>10.1f}{p95_ms:>9.1f}{median_ms / WAZUH_BARE:>14.1f}")
    added, start = statistics.median(taken["add"]), statistics.median(taken["python"])
    print(f"\nadd / start of Python: {added / start:.1f}; of the add, {(added - start) * 1000:.0f} ms are not the start of Python")
    for count in (8, 100):
        [seconds], [slowest] = taken[f"{count}: in force after"], taken[f"{count}: slowest exit"]
        print(f"{count} at once: all in force after {seconds:.2f} s, the slowest exit after {slowest:.2f} s; {seconds / count * 1000:.0f} ms an alert")
    print(f"Wazuh's own, 8 at once: the last after {WAZUH_8:.0f} s, {WAZUH_8 / 8 * 1000:.0f} ms an alert (measured elsewhere; it waits in steps of a second)")


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]


if __name__ == "__main__":
    main()
