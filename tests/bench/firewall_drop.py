# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a block takes, beside a ping of the same host, what people do today, and the floors. Ratios are of one run.

Every figure is the wall time of one `ansible-playbook` process over a warm SSH connection, or of one ssh command where the table says so. All that is
compared is done in turn, round after round, so that a machine that gets slower is so for all; a ratio is the median of those of the rounds.
Three floors: the bare tool; a module that only takes the same targets and gives as many results back (what ansible-core itself costs); and one that only
loads the engine, which ansible-core collects, sends and has compiled at each call. Memory is the peak of the module's process on the host in MiB, read
from the kernel by a wrapper round its interpreter.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.lab import Host, Lab

ROUNDS = 9
TICKS = 5
MODULE = "riposte.active_response.firewall_drop"
PRESENT = MODULE + ": {targets: '{{ t }}', timeout: 1h, returned: '{{ r }}'}"
ABSENT = MODULE + ": {targets: '{{ t }}', state: absent, returned: '{{ r }}'}"
PING = "ansible.builtin.ping"
LOADED = "a module that loads the engine and does nothing"
LOOP = "{ansible.builtin.iptables: {chain: INPUT, source: '{{ item }}', jump: DROP}, loop: '{{ t }}'}"
AS_MANY = """#!/usr/bin/python3
from ansible.module_utils.basic import AnsibleModule
SAMPLE = {
    "id": "5f0c2a9b1d3e", "response": "firewall_drop", "target": "203.0.113.9", "state": "present", "outcome": "done", "changed": True,
    "backend": "nftables", "since": "2026-11-24T03:53:03Z", "until": "2026-11-24T04:03:03Z",
    "message": "nftables (the first of nftables, ipset that works here)", "in_force": {"blocked": True, "set": "inet riposte v4_32"}, "persisted": True,
}
module = AnsibleModule({"targets": {"type": "list", "elements": "str"}, "returned": {"default": "all"}})
told = [dict(SAMPLE, target=each) for each in module.params["targets"]] if module.params["returned"] == "all" else []
print(module.jsonify({"changed": False, "responses": told}))
raise SystemExit
"""
LOADER = """#!/usr/bin/python3
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.riposte.active_response.plugins.module_utils import module
from ansible_collections.riposte.active_response.plugins.module_utils.host.firewall import drop, nftables
AnsibleModule({}).exit_json()
"""
WRAPPER = """#!/usr/bin/python3
import os, resource, subprocess, sys
rc = subprocess.call(["/usr/bin/python3", *sys.argv[1:]])
with open("/tmp/peak", "w") as stream:
    stream.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(rc)
"""
TICK = "import os, subprocess; subprocess.call(['riposte', 'tick']); t = os.times(); print(t.children_user + t.children_system)"


class Step(NamedTuple):
    """What is measured: its name in the table, and what to do."""

    name: str
    work: Callable[[], object]


class Bench:
    """One practice host and what was measured on it."""

    def __init__(self, lab: Lab, host: Host):
        self._lab = lab
        self._host = host
        self._taken: dict[str, list[float]] = {}

    def rounds(self, count: int, steps: Sequence[Step]) -> None:
        """Does all steps in turn, `count` times."""
        for number in range(count):
            for name, work in steps:
                begun = time.monotonic()
                work()
                self._taken.setdefault(name, []).append(time.monotonic() - begun)
            print(f"  round {number + 1} of {count}: " + ", ".join(f"{self._taken[step.name][-1]:.2f}" for step in steps) + " s", flush=True)

    def play(self, task: str, **variables: object) -> Callable[[], object]:
        """A playbook with one task, ready to run; variables travel in a file."""
        directory = self._lab.directory
        number = len(list(directory.glob("bench-*.yml")))
        path, values = directory / f"bench-{number}.yml", directory / f"bench-{number}.json"
        path.write_text(f"- hosts: {self._host.name}\n  gather_facts: false\n  tasks:\n    - {task}\n", encoding="utf-8")
        values.write_text(json.dumps(variables), encoding="utf-8")
        here = {"ANSIBLE_LIBRARY": str(directory)}  # where the floor's module lies
        return lambda: self._lab.ansible("ansible-playbook", str(path), "-e", f"@{values}", check=True, timeout=900, env=here)

    def ratio(self, name: str) -> float:
        """To the ping of the same round; where there was one round only, to the median ping."""
        pings, taken = self._taken[PING], self._taken[name]
        if len(taken) != len(pings):
            return statistics.median(taken) / statistics.median(pings)
        return statistics.median(each / ping for each, ping in zip(taken, pings))

    def beyond(self, name: str, base: str) -> float:
        """Seconds more than `base` took, round by round."""
        return statistics.median(each - other for each, other in zip(self._taken[name], self._taken[base]))

    def table(self) -> None:
        print(f"\n{'what':<72}{'median s':>10}{'/ ping':>9}   range")
        for name, taken in self._taken.items():
            print(f"{name:<72}{statistics.median(taken):>10.2f}{self.ratio(name):>9.2f}   {min(taken):.2f} - {max(taken):.2f}")


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
        for name, text in (("as_many", AS_MANY), ("loader", LOADER)):
            (lab.directory / f"{name}.py").write_text(text, encoding="utf-8")
        bench = Bench(lab, host)
        compare(bench, host, most)
        bench.table()
        goals(bench, min(most, 10_000))
        memory(bench, host, most)
        ticks(bench, host, most)


def compare(bench: Bench, host: Host, most: int) -> None:
    many = min(most, 10_000)
    whole = [step for count in sorted({1, min(most, 100), many}) for step in _addresses(bench, count)]
    ping = Step(PING, bench.play("ansible.builtin.ping:"))
    bench.rounds(ROUNDS, [ping, *whole, *_addresses(bench, many, brief=True), *_floors(bench, host, many)])
    if most > many:
        bench.rounds(1, [*_addresses(bench, most), *_addresses(bench, most, brief=True)])
    bench.rounds(1, [Step("100 addresses, ansible.builtin.iptables in a loop", bench.play(LOOP, t=addresses(100)))])


def _addresses(bench: Bench, count: int, brief: bool = False) -> list[Step]:
    """From nothing to nothing. brief: as one text, and only what failed is in the result."""
    values, name = _values(count, brief), _name(count, brief)
    return [
        Step(f"{name}, new", bench.play(PRESENT, **values)),
        Step(f"{name}, again", bench.play(PRESENT, **values)),
        Step(f"{name}, released", bench.play(ABSENT, **values)),
    ]


def _values(count: int, brief: bool = False) -> dict[str, object]:
    return {"t": ",".join(addresses(count)), "r": "failures"} if brief else {"t": addresses(count), "r": "all"}


def _name(count: int, brief: bool = False) -> str:
    return ("1 address" if count == 1 else f"{count} addresses") + (" as a text, failures returned" if brief else "")


def _floors(bench: Bench, host: Host, count: int) -> list[Step]:
    elements = ", ".join(f"{address} timeout 1h" for address in addresses(count))
    script = f"table inet floor {{ set s {{ type ipv4_addr; flags timeout; }}; }}\nadd element inet floor s {{ {elements} }}\ndelete table inet floor\n"
    return [
        Step(LOADED, bench.play("loader:")),
        Step(f"{count} targets, a module that does nothing and returns as many results", bench.play("as_many: {targets: '{{ t }}'}", t=addresses(count))),
        Step(f"{count} targets, the same without results", bench.play("as_many: {targets: '{{ t }}', returned: changed}", t=addresses(count))),
        Step(f"{count} addresses, plain `nft -f` over ssh", lambda: host.ssh(["nft", "-f", "-"], input=script)),
    ]


def goals(bench: Bench, many: int) -> None:
    """What we aim for, beside what was seen."""
    one = f"{_name(1)}, new"
    print(f"\n{one} / ping: {bench.ratio(one):.2f} (goal 1.15); {LOADED} / ping: {bench.ratio(LOADED):.2f}")
    for name in (_name(many), _name(many, brief=True)):
        for what, base, goal in (("new", one, 0.3), ("again", PING, 0.25), ("released", one, 0.3)):
            print(f"{name}, {what}: {base} + {bench.beyond(f'{name}, {what}', base):.2f} s (goal + {goal} s)")


def memory(bench: Bench, host: Host, count: int) -> None:
    host.put("/usr/local/bin/measured-python", WRAPPER, mode=0o755)
    measured = {"ansible_python_interpreter": "/usr/local/bin/measured-python"}
    for brief in (False, True):
        values = _values(count, brief)
        for what, task in (("new", PRESENT), ("again", PRESENT), ("released", ABSENT)):
            bench.play(task, **values, **measured)()
            peak = int(host.read("/tmp/peak")) // 1024
            print(f"peak memory on the host, {_name(count, brief)}, {what}: {peak} MiB (goal 100)")


def ticks(bench: Bench, host: Host, most: int) -> None:
    for count in [each for each in (1, 100, 10_000) if each <= most]:
        bench.play(PRESENT, **_values(count))()
        cpu = [float(host.ssh(["python3", "-c", TICK]).stdout) for _run in range(TICKS)]
        print(f"a tick with nothing due, {count} standing: {statistics.median(cpu) * 1000:.0f} ms of CPU (goal 60)")


if __name__ == "__main__":
    main()
