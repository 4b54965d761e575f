# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a block takes, beside a ping of the same host, what people do today, and the bare tool. Ratios are of one run.

Every figure is the wall time of one `ansible-playbook` process over a warm SSH connection (median of RUNS), or of one ssh command
where the table says so. Memory is the peak of the module's process on the host, read from the kernel by a wrapper round its interpreter.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from tests.lab import Host, Lab

RUNS = 5
MODULE = "riposte.active_response.firewall_drop"
PRESENT = MODULE + ": {targets: '{{ t }}', timeout: 1h}"
ABSENT = MODULE + ": {targets: '{{ t }}', state: absent}"
WRAPPER = """#!/usr/bin/python3
import os, resource, subprocess, sys
rc = subprocess.call(["/usr/bin/python3", *sys.argv[1:]])
with open("/tmp/peak", "w") as stream:
    stream.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(rc)
"""
TICK = "import os, subprocess; subprocess.call(['riposte', 'tick']); t = os.times(); print(t.children_user + t.children_system)"


class Bench:
    """One practice host and what was measured on it."""

    def __init__(self, lab: Lab, host: Host):
        self._lab = lab
        self._host = host
        self._rows: list[tuple[str, float, str]] = []

    def seconds(self, name: str, work: Callable[[], object], runs: int = RUNS, before: Callable[[], object] | None = None) -> float:
        """Measures and keeps the median; `before` is done ahead of each run, unmeasured."""
        taken = []
        for _run in range(runs):
            if before:
                before()
            begun = time.monotonic()
            work()
            taken.append(time.monotonic() - begun)
        median = statistics.median(taken)
        self._rows.append((name, median, f"{min(taken):.2f} - {max(taken):.2f}"))
        print(f"  {name}: {median:.2f} s", flush=True)
        return median

    def play(self, task: str, **variables: object) -> Callable[[], object]:
        """A playbook with one task, ready to run; variables travel in a file."""
        directory = self._lab.directory
        number = len(list(directory.glob("bench-*.yml")))
        path, values = directory / f"bench-{number}.yml", directory / f"bench-{number}.json"
        path.write_text(f"- hosts: {self._host.name}\n  gather_facts: false\n  tasks:\n    - {task}\n", encoding="utf-8")
        values.write_text(json.dumps(variables), encoding="utf-8")
        return lambda: self._lab.ansible("ansible-playbook", str(path), "-e", f"@{values}", check=True, timeout=900)

    def table(self, base: float) -> None:
        print(f"\n{'what':<64}{'median s':>10}{'/ ping':>9}   range")
        for name, median, spread in self._rows:
            print(f"{name:<64}{median:>10.2f}{median / base:>9.2f}   {spread}")


def addresses(count: int) -> list[str]:
    return [f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}" for number in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000, help="the longest list of addresses (default 100000)")
    most = parser.parse_args().most
    with Lab() as lab:
        host = lab.add_host("web1")
        lab.ansible("ansible-playbook", "riposte.active_response.deploy", check=True)
        host.inside(["systemctl", "stop", "riposte-tick.timer"])  # a tick among 100,000 holds the lock for seconds
        measure(Bench(lab, host), host, most)


def measure(bench: Bench, host: Host, most: int) -> None:
    brief = MODULE + ": {targets: '{{ t }}', timeout: 1h, returned: changed}"
    ping = bench.seconds("ansible.builtin.ping", bench.play("ansible.builtin.ping:"))
    one = bench.seconds("1 address, new", bench.play(PRESENT, t=["203.0.113.9"]), before=bench.play(ABSENT, t=["203.0.113.9"]))
    for count in [each for each in (100, 10_000, 100_000) if each <= most]:
        runs = RUNS if count < 100_000 else 1
        put, take = bench.play(PRESENT, t=addresses(count)), bench.play(ABSENT, t=addresses(count))
        bench.seconds(f"{count} addresses, new", put, runs, before=take)
        bench.seconds(f"{count} addresses, again (unchanged)", put, runs)
        bench.seconds(f"{count} addresses, again, returned: changed", bench.play(brief, t=addresses(count)), runs)
        bench.seconds(f"{count} addresses, released", take, runs, before=put)
    words = bench.play("ansible.builtin.command: {argv: \"{{ ['true'] + t }}\"}", t=addresses(min(most, 10_000)))
    bench.seconds(f"{min(most, 10_000)} words to `true` by ansible.builtin.command", words)
    bench.seconds("100 addresses, ansible.builtin.iptables in a loop", _loop(bench), 1)
    _floor(bench, host, min(most, 10_000))
    bench.table(ping)
    print(f"\n1 address / ping: {one / ping:.2f} (goal 1.15)")
    _memory(bench, host, most)
    for count in [each for each in (1, 100, 10_000) if each <= most]:
        bench.play(PRESENT, t=addresses(count))()
        cpu = [float(host.ssh(["python3", "-c", TICK]).stdout) for _run in range(RUNS)]
        print(f"a tick with nothing due, {count} standing: {statistics.median(cpu) * 1000:.0f} ms of CPU (goal 60)")


def _loop(bench: Bench) -> Callable[[], object]:
    rule = "ansible.builtin.iptables: {chain: INPUT, source: '{{ item }}', jump: DROP}"
    return bench.play(f"{{{rule[: rule.index(':')]}: {rule[rule.index('{') :]}, loop: '{{{{ t }}}}'}}", t=addresses(100))


def _floor(bench: Bench, host: Host, count: int) -> None:
    """The bare tool: a set in a table of its own, one ssh command."""
    elements = ", ".join(f"{address} timeout 1h" for address in addresses(count))
    script = f"add table inet floor\nadd set inet floor s {{ type ipv4_addr; flags timeout; }}\nadd element inet floor s {{ {elements} }}\n"
    floor, gone = ["nft", "-f", "-"], "nft delete table inet floor"
    host.ssh("true")
    bench.seconds(f"{count} addresses, plain `nft -f` over ssh", lambda: host.ssh(floor, input=script), before=lambda: host.ssh(gone, check=False))
    host.ssh(gone)


def _memory(bench: Bench, host: Host, count: int) -> None:
    host.put("/usr/local/bin/measured-python", WRAPPER, mode=0o755)
    measured = {"ansible_python_interpreter": "/usr/local/bin/measured-python"}
    for name, task in (("new", PRESENT), ("again", PRESENT), ("released", ABSENT)):
        bench.play(task, t=addresses(count), **measured)()
        peak = int(host.read("/tmp/peak")) // 1024
        print(f"peak memory on the host, {count} addresses, {name}: {peak} MB (goal 100)")


if __name__ == "__main__":
    main()
