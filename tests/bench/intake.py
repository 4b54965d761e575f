# SPDX-License-Identifier: GPL-3.0-or-later
"""From an HTTP POST to dropped packets, a burst, and how many alerts a second are safely stored; beside a ping, and beside what people do today.

All in one run on this machine; ratios are of one run. The plain rulebook is ansible-rulebook's own webhook with one playbook run an alert, whose
only task is a command for nft. Where a disk is to be slow, each commit is made to take 5 ms longer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.lab import Host, Lab, Peer, wait_for
from tests.lab.rulebook import VENV, Rulebook, alert

POLICY = "mode: enforce\nrules: [{{name: ssh, match: {{rule_ids: ['5712']}}, responses: [{{response: firewall_drop, timeout: 1h, hosts: {hosts}}}]}}]\n"
NEVER = {"name": "never", "condition": "event.never is defined", "action": {"debug": {}}}
PLAIN_PLAYBOOK = """
- hosts: {hosts}
  gather_facts: false
  tasks:
    - ansible.builtin.command: nft add element inet plain s {{ "{" }} {{ ansible_eda.event.payload.data.srcip }} {{ "}" }}
"""
PLAIN_TABLE = "table inet plain { set s { type ipv4_addr; }; chain in { type filter hook prerouting priority -300; ip saddr @s drop; }; }"
PORT = 7777
DROP = "def main(event):\n    return []\n"
SLOW = """
import runpy, sys, time
source = runpy.run_path({source!r})
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool
store = Spool.accept
def accept(self, deliveries, now):
    time.sleep(0.005)
    return store(self, deliveries, now)
Spool.accept = accept
main = source["main"]
"""
LOAD = """
import asyncio, json, statistics, sys, time
import aiohttp
port, senders, total, prefix, alert = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
numbers, taken, bad = iter(range(total)), [], []
async def send(session):
    for number in numbers:
        body, begun = alert.replace("NUMBER", f"{prefix}-{number}"), time.perf_counter()
        async with session.post(f"http://127.0.0.1:{port}/", data=body) as reply:
            await reply.read()
        taken.append(time.perf_counter() - begun)
        if reply.status != 200:
            bad.append(reply.status)
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=senders)) as session:
        await send_one(session)
        begun = time.perf_counter()
        await asyncio.gather(*(send(session) for _sender in range(senders)))
        seconds = time.perf_counter() - begun
    taken.sort()
    print(json.dumps({"rate": total / seconds, "p50": taken[len(taken) // 2] * 1000, "p99": taken[int(len(taken) * 0.99)] * 1000, "bad": len(bad)}))
async def send_one(session):
    async with session.post(f"http://127.0.0.1:{port}/", data=alert.replace("NUMBER", f"{prefix}-first")) as reply:
        await reply.read()
asyncio.run(main())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="single alerts (default 20)")
    parser.add_argument("--hosts", type=int, default=10, help="hosts of the burst (default 10, as many as the lab has)")
    parser.add_argument("--posts", type=int, default=20_000, help="posts of the intake's fastest measurement (default 20000)")
    given = parser.parse_args()
    if not VENV.exists():
        raise SystemExit(f"{VENV} does not exist; ./dev makes it")
    with Lab() as lab, tempfile.TemporaryDirectory() as directory:
        intake(lab, Path(directory), given.posts)
        host = lab.add_host("web1", wazuh_agent_id="001", groups=["web"])
        attacker = lab.add_peer("attacker")
        one_alert(lab, Path(directory), host, attacker, given.runs)
        names = [f"web{number}" for number in range(2, given.hosts + 1)]
        others = lab.add_hosts(names, groups=["web"], variables={name: {"wazuh_agent_id": f"{int(name[3:]):03d}"} for name in names}) if names else []
        burst(lab, Path(directory), [host, *others])


def place(directory: Path, name: str) -> Path:
    made = directory / name
    made.mkdir()
    return made


# -- one alert


def one_alert(lab: Lab, directory: Path, host: Host, attacker: Peer, runs: int) -> None:
    """Seconds from the POST to the first packet that is dropped."""
    (directory / "ping.yml").write_text("- hosts: web1\n  gather_facts: false\n  tasks: [{ansible.builtin.ping: }]\n")
    ping = median(runs, lambda _number: timed(lambda: lab.ansible("ansible-playbook", str(directory / "ping.yml"), core=VENV, check=True)))
    host.ssh(["nft", "-f", "-"], input=PLAIN_TABLE)
    with Rulebook(lab, place(directory, "ours"), POLICY.format(hosts="own")) as ours:
        drop = median(runs, lambda number: until_dropped(ours, host, attacker, f"198.51.100.{number + 1}"))
    with plain(lab, place(directory, "plain"), "web1") as today:
        other = median(runs, lambda number: until_dropped(today, host, attacker, f"198.51.101.{number + 1}"))
    print(f"\none alert, median of {runs}                                     s    / ping")
    for name, seconds in (("ansible-playbook with one ping", ping), ("POST -> packets dropped", drop), ("plain rulebook: POST -> packets dropped", other)):
        print(f"  {name:<48}{seconds:>8.2f}{seconds / ping:>10.2f}")
    print("  goal: at most 2 x ping", flush=True)


def until_dropped(rulebook: Rulebook, host: Host, attacker: Peer, address: str) -> float:
    attacker.add_address(address)
    with host.listen(PORT):
        assert attacker.connect(host.address4, PORT, source=address) == "open"
        begun = time.monotonic()
        assert rulebook.post(alert(f"one-{address}", address=address)).status == 200
        while True:
            tried = time.monotonic()
            if attacker.connect(host.address4, PORT, source=address, timeout=0.05) == "timeout":
                break
            time.sleep(0.02)
    if (rulebook.spool / "intake.sqlite3").exists():
        rulebook.settled()  # the next one is to find an idle rulebook
    else:
        wait_for(lambda: not rulebook.run_processes(), "the run to end", timeout=60)
    return tried - begun


def plain(lab: Lab, directory: Path, hosts: str) -> Rulebook:
    """What people do today, ready to use."""
    rulebook = Rulebook(lab, directory, name="plain")
    (directory / "plain_playbook.yml").write_text(PLAIN_PLAYBOOK.replace("{hosts}", hosts))
    action = {"run_playbook": {"name": str(directory / "plain_playbook.yml"), "copy_files": False}}
    ruleset = {
        "name": "plain",
        "hosts": hosts,
        "sources": [{"eda.builtin.webhook": {"host": "127.0.0.1", "port": rulebook.port}}],
        "rules": [{"name": "block", "condition": "event.payload is defined", "action": action}],
    }
    return started(rulebook, directory, ruleset)


def started(rulebook: Rulebook, directory: Path, ruleset: Mapping[str, object], *more: str) -> Rulebook:
    file = directory / "rulebook.yml"
    file.write_text(json.dumps([ruleset]))
    rulebook.status_port = rulebook.port
    return rulebook.start(str(file), more=more)


# -- a burst


def burst(lab: Lab, directory: Path, hosts: list[Host], alerts: int = 1000, attackers: int = 300) -> None:
    """All alerts as fast as ten senders can, each for its own agent; an attacker is to be blocked where it was seen."""
    for host in hosts:
        host.inside(["sh", "-c", "mkdir -p /etc/riposte; nft flush ruleset; rm -rf /var/lib/riposte"])
        host.put("/etc/riposte/guard.conf", "[breaker]\nresponses_per_minute = 100000\n", mode=0o600)
    agents = len(hosts)
    made = [alert(f"burst-{n}", agent=f"{n % agents + 1:03d}", address=f"198.51.{100 + n % attackers // 200}.{n % attackers % 200 + 1}") for n in range(alerts)]
    with Rulebook(lab, place(directory, "burst"), POLICY.format(hosts="own")) as rulebook:
        begun = time.monotonic()
        post_all(rulebook, [json.dumps(each).encode() for each in made])
        posted = time.monotonic()
        states = rulebook.settled(alerts, timeout=300)
        ended = time.monotonic()
        [(batches,)] = rulebook.rows("SELECT count(*) FROM batch")
        print(f"\n{alerts} alerts of {attackers} attackers on {agents} hosts: posted in {posted - begun:.1f} s, {batches} runs")
        print(f"  all enforced {ended - posted:.1f} s after the last POST (goal 10); {states}, {rulebook.outcomes()}", flush=True)
    few = 20
    host = hosts[0]
    host.ssh(["nft", "-f", "-"], input=PLAIN_TABLE)
    with plain(lab, place(directory, "plain-burst"), "web1") as today:
        begun = time.monotonic()
        threads = [threading.Thread(target=today.post, args=(each,), kwargs={"timeout": 300}) for each in made[:few]]
        for thread in threads:
            thread.start()
        wanted = {each["data"]["srcip"] for each in made[:few]}
        wait_for(lambda: all(address in host.inside(["nft", "list", "table", "inet", "plain"]).stdout for address in wanted), "the plain burst", timeout=300)
        seconds = time.monotonic() - begun
        for thread in threads:
            thread.join()
    print(f"  plain rulebook: {few} of them on one host took {seconds:.1f} s; {alerts} would take {seconds / few * alerts:.0f} s", flush=True)


def post_all(rulebook: Rulebook, bodies: list[bytes], senders: int = 10) -> None:
    waiting = iter(bodies)
    lock = threading.Lock()

    def send() -> None:
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            assert rulebook.post(body).status == 200

    threads = [threading.Thread(target=send) for _sender in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- the intake alone


def intake(lab: Lab, directory: Path, posts: int) -> None:
    """Alerts a second that are answered with 200; nothing is done about them, so that only the intake is measured."""
    rates: dict[tuple[str, int], float] = {}
    print("alerts/s (p50, p99 in ms)           1 sender           10 senders           50 senders")
    for name, slow in (("built-in webhook, not stored", None), ("ours", False), ("ours, 5 ms more a commit", True)):
        here = place(directory, f"intake-{slow}")
        rulebook = Rulebook(lab, here, POLICY.format(hosts="own"))
        with built_in_only(rulebook, here) if slow is None else ours_only(rulebook, here, slow):
            before, cells = memory(rulebook), []
            for senders, total in ((1, posts // 20), (10, posts // 4), (50, posts)):
                seen = load(lab, rulebook, senders, total if not slow else total // 4)
                rates[name, senders] = seen["rate"]
                cells.append(f"{seen['rate']:>8.0f} ({seen['p50']:.1f}, {seen['p99']:.1f}){' BAD' * bool(seen['bad'])}")
            print(f"{name:<30}" + "".join(f"{cell:>21}" for cell in cells) + f"   memory {before} -> {memory(rulebook)} MB", flush=True)
    print(
        f"  at 50 senders ours / built-in: {rates['ours', 50] / rates['built-in webhook, not stored', 50]:.2f} (goal 0.5); slow disk: 2000/s is the goal",
        flush=True,
    )


def built_in_only(rulebook: Rulebook, directory: Path) -> Rulebook:
    (directory / "drop.py").write_text(DROP)
    source = {"eda.builtin.webhook": {"host": "127.0.0.1", "port": rulebook.port}, "filters": [{"drop": {}}]}
    return started(rulebook, directory, {"name": "built in", "hosts": "all", "sources": [source], "rules": [NEVER]}, "-F", str(directory))


def ours_only(rulebook: Rulebook, directory: Path, slow: bool) -> Rulebook:
    collection = Path(__file__).parents[2] / ".venv/collections/ansible_collections/riposte/active_response"
    (directory / "slow_wazuh.py").write_text(SLOW.format(source=str(collection / "extensions/eda/plugins/event_source/wazuh.py")))
    options = {"spool": str(rulebook.spool), "port": rulebook.port, "max_waiting": 1_000_000}
    source = {"slow_wazuh" if slow else "riposte.active_response.wazuh": options}
    return started(rulebook, directory, {"name": "ours", "hosts": "all", "sources": [source], "rules": [NEVER]}, "-S", str(directory))


def load(lab: Lab, rulebook: Rulebook, senders: int, total: int) -> dict[str, float]:
    body = json.dumps(alert("NUMBER", full_log="x" * 1200))
    words = [str(VENV / "bin/python"), "-c", LOAD, str(rulebook.port), str(senders), str(total), f"load{senders}-{total}", body]
    seen: dict[str, float] = json.loads(lab.controller.exec_ns(words, timeout=600).stdout)
    return seen


def memory(rulebook: Rulebook) -> int:
    """Resident memory of the rulebook's process, in MB."""
    assert rulebook.process
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(rulebook.process.pid)], capture_output=True, text=True, check=True).stdout) // 1024


def median(runs: int, measure: Callable[[int], float]) -> float:
    return statistics.median(measure(number) for number in range(runs))


def timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
