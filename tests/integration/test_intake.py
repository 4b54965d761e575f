# SPDX-License-Identifier: GPL-3.0-or-later
"""From the webhook to the hosts, through a real ansible-rulebook: what was answered with 200 is done or reported, whatever dies in between."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Arrived, Delivery
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool
from tests.lab import Host, Lab, Peer, wait_for
from tests.lab.lab import REPOSITORY
from tests.lab.rulebook import VENV, Rulebook, alert

needs_rulebook = pytest.mark.skipif(not VENV.exists(), reason=f"needs ansible-rulebook in {VENV}")
ATTACKER = "203.0.113.9"
NO_WORD = {"unreachable", "unanswered"}  # the second when an open connection hangs until the task's time is up
POLICY = """
mode: enforce
max_age: {max_age}
rules:
  - name: ssh
    match: {{rule_ids: ["5712"]}}
    responses: [{{response: firewall_drop, timeout: 10m, hosts: {hosts}}}]
"""
SLOW_PYTHON = '#!/bin/sh\nif [ -e /run/slow ]; then echo >> /run/begun; sleep 2; fi\nexec /usr/bin/python3 "$@"\n'


def policy(hosts: str = "own", max_age: str = "1h") -> str:
    return POLICY.format(hosts=hosts, max_age=max_age)


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[list[Host]]:
    """web1 and web2; their Python can be made slow."""
    slow = {"ansible_python_interpreter": "/usr/local/bin/slow-python", "riposte_host_timeout": 8}
    hosts = lab.add_hosts(["web1", "web2"], groups=["web"], variables={"web1": {"wazuh_agent_id": "001", **slow}, "web2": {"wazuh_agent_id": "002", **slow}})
    for host in hosts:
        host.put("/usr/local/bin/slow-python", SLOW_PYTHON, mode=0o755)
    yield hosts
    for host in hosts:
        lab.remove(host)


@pytest.fixture
def web(hosts: list[Host]) -> list[Host]:
    """The same two, with nothing in force."""
    for host in hosts:
        if not host.machine.is_on():
            host.power_on()
        host.inside(["sh", "-c", "nft delete table inet riposte 2>/dev/null; rm -rf /var/lib/riposte /run/slow /run/begun"], check=False)
    return hosts


@pytest.fixture
def rulebook(lab: Lab, web: list[Host], tmp_path: Path) -> Iterator[Rulebook]:
    with Rulebook(lab, tmp_path, policy()) as rulebook:
        yield rulebook


def blocked(host: Host, address: str = ATTACKER) -> bool:
    return f"{address} " in host.inside(["nft", "list", "ruleset"]).stdout


def ledger(host: Host) -> list[dict[str, Any]]:
    """What the host itself has on record: each response that was ever put into force there, with the alert that called for it."""
    code = "import sqlite3, json; d = sqlite3.connect('/var/lib/riposte/ledger.sqlite3'); d.row_factory = sqlite3.Row"
    query = "print(json.dumps([dict(r) for r in d.execute('SELECT target, alert_id, since, until, ended_by FROM response ORDER BY since')]))"
    found: list[dict[str, Any]] = json.loads(host.inside(["python3", "-c", f"{code}; {query}"]).stdout)
    return found


def make_slow(*hosts: Host) -> None:
    for host in hosts:
        host.inside(["touch", "/run/slow"])


def make_quick(*hosts: Host) -> None:
    for host in hosts:
        host.inside(["rm", "-f", "/run/slow"])


def wait_begun(host: Host) -> None:
    """The module has been started there, and is not done."""
    wait_for(lambda: host.exists("/run/begun"), f"a module to begin on {host.name}", timeout=30)


@needs_rulebook
def test_a_posted_alert_drops_the_attackers_packets_on_its_own_host(rulebook: Rulebook, web: list[Host], attacker: Peer) -> None:
    attacker.add_address(ATTACKER)
    assert all(attacker.can_connect(host.address4, 22, source=ATTACKER) for host in web)
    before = time.time()
    assert rulebook.post(alert("first", full_log="{{ 7*7 }}")).status == 200
    after = time.time()
    assert rulebook.settled() == {"answered": 1}
    assert attacker.connect(web[0].address4, 22, source=ATTACKER, timeout=0.3) == "timeout"
    assert attacker.can_connect(web[1].address4, 22, source=ATTACKER)
    assert rulebook.rows("SELECT host, response, target, outcome FROM response") == [("web1", "firewall_drop", ATTACKER, "done")]
    [row] = ledger(web[0])
    assert before + 600 - 1 <= row["until"] <= after + 600 + 1  # it counts from acceptance


@needs_rulebook
def test_a_burst_costs_few_runs_and_each_alert_has_its_answer(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.policy.write_text(policy(hosts="{groups: [web]}"))
    for number in range(200):
        assert rulebook.post(alert(f"burst-{number}", agent=f"00{1 + number % 2}", address=f"198.51.100.{number % 60 + 1}")).status == 200
    assert rulebook.settled(200) == {"answered": 200}
    outcomes = rulebook.outcomes()
    assert outcomes["done"] == 2 * 60  # the engine's own breaker lets a hundred a minute pass
    assert sum(outcomes.values()) == 400
    [(batches,)] = rulebook.rows("SELECT count(*) FROM batch")
    assert batches <= 6
    assert all(blocked(host, "198.51.100.60") for host in web)


@needs_rulebook
def test_200_means_durable_when_the_rulebook_is_killed_at_once(rulebook: Rulebook, web: list[Host]) -> None:
    accepted: list[str] = []

    def send() -> None:
        for number in range(2000):
            try:
                if rulebook.post(alert(f"kill-{number}"), timeout=5).status == 200:
                    accepted.append(f"kill-{number}")
            except OSError:
                return

    sender = threading.Thread(target=send)
    sender.start()
    wait_for(lambda: len(accepted) >= 40, "some alerts to be accepted")
    rulebook.kill(signal.SIGKILL)
    sender.join()
    there = {name for (name,) in rulebook.rows("SELECT id FROM alert")}
    assert set(accepted) <= there
    assert len(there) <= len(accepted) + 1  # the one whose answer was on its way
    rulebook.start()
    states = rulebook.settled(len(there))
    assert states == {"answered": len(there)}
    assert blocked(web[0])


@needs_rulebook
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_rulebook_that_ends_in_mid_run_leaves_nobody_who_acts_unseen(rulebook: Rulebook, web: list[Host], number: int) -> None:
    make_slow(*web)
    rulebook.policy.write_text(policy(hosts="{groups: [web]}"))
    rulebook.post(alert("orphan"))
    wait_begun(web[0])
    rulebook.kill(number)
    with pytest.raises(OSError, match="refused"):
        rulebook.post(alert("nobody-is-there"))
    wait_for(lambda: not rulebook.run_processes(), "the orphaned run to end by itself", timeout=30)
    # What may have been done is on record, as done or as expected.
    assert rulebook.rows("SELECT count(*) FROM response WHERE outcome IS NULL OR outcome = 'done'") == [(2,)]
    make_quick(*web)
    rulebook.start()
    assert rulebook.settled() == {"answered": 1}
    assert set(rulebook.outcomes()) <= {"done", "unchanged"}
    assert [(len(ledger(host)), blocked(host)) for host in web] == [(1, True), (1, True)]


@needs_rulebook
def test_a_new_rulebook_waits_for_what_a_killed_one_left_at_work(rulebook: Rulebook, web: list[Host]) -> None:
    make_slow(web[0])
    rulebook.post(alert("left"))
    wait_begun(web[0])
    rulebook.kill(signal.SIGKILL)
    rulebook.start()
    assert rulebook.settled() == {"answered": 1}
    assert rulebook.outcomes() == {"done": 1}
    # What the orphan did was written down by it: nobody was sent a second time.
    assert web[0].read("/run/begun").count("\n") == 1
    assert rulebook.rows("SELECT id, how FROM batch ORDER BY id")[0] == (1, "the service ended")


@needs_rulebook
def test_a_killed_playbook_leaves_a_worker_that_is_waited_for(rulebook: Rulebook, web: list[Host]) -> None:
    make_slow(web[0])
    rulebook.post(alert("killed"))
    wait_begun(web[0])
    main = rulebook.run_main()
    assert main
    os.kill(main, signal.SIGKILL)
    rulebook.post(alert("next", address="203.0.113.10"))
    assert rulebook.settled(2) == {"answered": 2}
    assert rulebook.outcomes() == {"done": 2}
    assert [row["alert_id"] for row in ledger(web[0])] == ["killed", "next"]
    times = rulebook.rows("SELECT handed, ended FROM batch ORDER BY id")
    assert all(second[0] >= first[1] for first, second in zip(times, times[1:]))  # never two at a time
    assert not rulebook.ended()


@needs_rulebook
def test_a_killed_worker_costs_one_more_try(rulebook: Rulebook, web: list[Host]) -> None:
    make_slow(web[0])
    rulebook.policy.write_text(policy(hosts="{groups: [web]}"))
    rulebook.post(alert("worker"))
    wait_begun(web[0])
    main = rulebook.run_main()
    for pid in rulebook.run_processes():
        if pid != main:
            os.kill(pid, signal.SIGKILL)
    os.kill(main or 0, signal.SIGKILL)
    make_quick(*web)
    assert rulebook.settled() == {"answered": 1}
    assert set(rulebook.outcomes()) <= {"done", "unchanged"}
    assert [(len(ledger(host)), blocked(host)) for host in web] == [(1, True), (1, True)]
    assert rulebook.rows("SELECT count(*) >= 2 FROM batch") == [(1,)]


@needs_rulebook
def test_a_broken_playbook_is_no_hot_loop_and_loses_nothing(lab: Lab, web: list[Host], tmp_path: Path) -> None:
    playbook = tmp_path / "broken" / "respond.yml"
    playbook.parent.mkdir()
    playbook.write_text("- hosts: localhost\n  tasks: [{no_such_module: {}}]\n")
    ours = yaml.safe_load((REPOSITORY / "extensions/eda/rulebooks/wazuh.yml").read_text())
    ours[0]["rules"][0]["action"]["run_playbook"]["name"] = str(playbook)
    (tmp_path / "rulebook.yml").write_text(yaml.safe_dump(ours))
    rulebook = Rulebook(lab, tmp_path, policy())
    with rulebook.start(str(tmp_path / "rulebook.yml")):
        rulebook.post(alert("patient"))
        wait_for(lambda: rulebook.get("/health").status == 503, "the health to be bad", timeout=60)
        assert "runs ended before there was a plan" in rulebook.get("/health").text
        [(batches, took)] = rulebook.rows("SELECT count(*), max(ended) - min(handed) FROM batch")
        assert batches == 3
        assert took > 3  # rests of 1 s and 2 s between
        assert rulebook.states() in ({"new": 1}, {"taken": 1})
        playbook.write_text((REPOSITORY / "playbooks/respond.yml").read_text())
        assert rulebook.settled(timeout=30) == {"answered": 1}
        assert rulebook.get("/health").status == 200
        assert blocked(web[0])


@needs_rulebook
def test_a_host_that_is_down_gets_its_due_once_it_is_up(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.policy.write_text(policy(hosts="{groups: [web]}"))
    web[1].power_cut()
    begun = time.time()
    rulebook.post(alert("down"))
    wait_for(lambda: NO_WORD & {outcome for (outcome,) in rulebook.rows("SELECT outcome FROM response WHERE host = 'web2'")}, "web2 to be missed", timeout=60)
    assert blocked(web[0])
    rulebook.post(alert("meanwhile", address="203.0.113.10"))
    wait_for(lambda: blocked(web[0], "203.0.113.10"), "web1 to be served meanwhile", timeout=60)
    web[1].power_on()
    assert rulebook.settled(2, timeout=90) == {"answered": 2}
    assert rulebook.outcomes() == {"done": 4}
    assert blocked(web[1])
    assert blocked(web[1], "203.0.113.10")
    assert [row["alert_id"] for row in ledger(web[0])] == ["down", "meanwhile"]  # who had answered was not asked again
    assert next(row["until"] for row in ledger(web[1]) if row["alert_id"] == "down") <= begun + 602


@needs_rulebook
def test_a_host_that_stays_down_ends_as_failed_and_is_named(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.policy.write_text(policy(hosts="{groups: [web]}", max_age="6s"))
    web[1].power_cut()
    try:
        rulebook.post(alert("hopeless"))
        assert rulebook.settled(timeout=60) == {"failed": 1}
        assert {"done"} < set(rulebook.outcomes()) < {"done", *NO_WORD}
        assert re.match(r"too old: .*; web2: un(reachable|answered): .", rulebook.why("hopeless"))
    finally:
        web[1].power_on()


@needs_rulebook
def test_two_rulebooks_on_one_spool_answer_each_alert_once(lab: Lab, web: list[Host], tmp_path: Path) -> None:
    with Rulebook(lab, tmp_path, policy()) as one, Rulebook(lab, tmp_path, name="two") as two:
        assert (one.get("/health").json["leading"], two.get("/health").json["leading"]) == (True, False)
        for number in range(20):
            each = alert(f"shared-{number}", address=f"198.51.100.{number + 1}")
            assert {one.post(each).json["received"], two.post(each).json["received"]} == {1, 0}
        make_slow(web[0])
        two.post(alert("last", address="198.51.100.99"))
        wait_begun(web[0])
        one.kill(signal.SIGKILL)
        make_quick(web[0])
        assert two.settled(21) == {"answered": 21}
        assert two.get("/health").json["leading"]
        assert sorted(row["alert_id"] for row in ledger(web[0])) == sorted([*(f"shared-{number}" for number in range(20)), "last"])


@needs_rulebook
def test_nothing_of_an_alert_gets_into_a_runs_extra_vars(rulebook: Rulebook, web: list[Host]) -> None:
    make_slow(web[0])
    rulebook.post({**alert("quiet", full_log="canary"), "meta": {"hosts": "all"}, "canary": "{{ canary }}"})
    wait_begun(web[0])
    [file] = rulebook.temporary.glob("eda*/env/extravars")
    said = yaml.safe_load(file.read_text())
    event = said.pop("ansible_eda")["event"]
    assert said == {"riposte_spool": str(rulebook.spool), "riposte_batch": 1, "riposte_policy": str(rulebook.policy), "riposte_audit": ""}
    assert event["riposte"] == {"batch": 1}
    assert "canary" not in file.read_text()
    assert rulebook.settled() == {"answered": 1}
    assert not blocked(web[1])


# -- the playbook with a batch, by itself


def fill(directory: Path, *alerts: dict[str, Any]) -> tuple[Spool, int]:
    """A spool with a batch that was handed out."""
    spool = Spool.open(str(directory))
    spool.accept([Delivery([Arrived(each["id"], "", time.time() - 60, json.dumps(each)) for each in alerts])], time.time() - 60)
    return spool, spool.take(time.time(), 100) or 0


def rows(directory: Path) -> dict[str, str]:
    with sqlite3.connect(directory / "intake.sqlite3") as database:
        return dict(database.execute("SELECT id || ' ' || host, outcome || ' ' || message FROM alert JOIN response ON alert = number"))


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_a_batch_is_planned_done_and_written_down_once(lab: Lab, web: list[Host], tmp_path: Path, core: str) -> None:
    (tmp_path / "policy.yml").write_text(policy(hosts="{groups: [web]}"))
    place = tmp_path / "spool"
    spool, batch = fill(place, alert("a"), alert("b"), alert("gateway", address=lab.gateway4), alert("own", address="127.0.0.1"))
    words = ["-e", f"riposte_spool={place}", "-e", f"riposte_batch={batch}", "-e", "riposte_policy=policy.yml"]
    check = lab.ansible("ansible-playbook", "riposte.active_response.respond", *words, "--check", core=core, cwd=tmp_path)
    assert "it is not for check mode" in check.stdout
    assert spool.run_of(batch) == ("handed", None)
    run = lab.ansible("ansible-playbook", "riposte.active_response.respond", *words, core=core, cwd=tmp_path)
    assert run.rc == 0, run.stdout
    seen = rows(place)
    for host in ("web1", "web2"):
        assert seen[f"a {host}"].startswith("done ")
        assert seen[f"b {host}"].startswith("unchanged ")
        assert seen[f"gateway {host}"].startswith("refused ")
        assert seen[f"own {host}"].startswith("refused ")
    again = lab.ansible("ansible-playbook", "riposte.active_response.respond", *words, core=core, cwd=tmp_path)
    assert again.rc != 0
    assert "only one that is handed out can begin" in again.stdout
    assert spool.end(batch, time.time(), 1).answered == 4
    assert all(row["until"] - time.time() < 600 - 55 for row in ledger(web[0]) if row["until"])


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_a_run_that_was_given_up_does_nothing_more(lab: Lab, web: list[Host], tmp_path: Path, core: str) -> None:
    (tmp_path / "policy.yml").write_text(policy())
    place = tmp_path / "spool"
    spool, batch = fill(place, alert("a"))
    (tmp_path / "play.yml").write_text(
        "- hosts: web1\n  gather_facts: false\n  tasks:\n"
        "    - riposte.active_response.respond: {responses: [{response: firewall_drop, targets: [203.0.113.9], timeout: 1h, alert_id: a}],"
        " spool: spool, batch: '{{ batch }}'}\n"
    )
    spool.begin(batch, os.getpid(), time.time())
    spool.end(batch, time.time(), 1)
    run = lab.ansible("ansible-playbook", "play.yml", "-e", f"batch={batch}", core=core, cwd=tmp_path)
    assert run.rc != 0
    assert "its run was given up" in run.stdout
    assert not blocked(web[0])


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_a_host_that_cannot_be_reached_or_cannot_answer_is_written_down(lab: Lab, web: list[Host], tmp_path: Path, core: str) -> None:
    (tmp_path / "policy.yml").write_text(policy(hosts="all"))
    place = tmp_path / "spool"
    spool, batch = fill(place, alert("a"))
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        "all: {hosts: {down: {ansible_host: 10.66.0.77, ansible_ssh_args: -o ConnectTimeout=1},"
        " mute: {ansible_connection: local, ansible_python_interpreter: /bin/false}}}"
    )
    words = ["-e", f"riposte_spool={place}", "-e", f"riposte_batch={batch}", "-e", "riposte_policy=policy.yml", "-e", "riposte_become=false"]
    run = lab.ansible("ansible-playbook", "riposte.active_response.respond", "-i", str(inventory), *words, core=core, cwd=tmp_path)
    assert run.rc != 0
    seen = rows(place)
    assert seen["a down"].startswith("unreachable ")
    assert seen["a mute"].startswith("unanswered ")
    assert spool.end(batch, time.time(), 1).again == 1


def test_what_is_too_old_is_failed_and_the_rest_is_done(lab: Lab, web: list[Host], tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(policy(max_age="5m"))
    place = tmp_path / "spool"
    spool = Spool.open(str(place))
    now = time.time()
    old, young = alert("old", age=400), alert("young", address="203.0.113.10")
    spool.accept([Delivery([Arrived("old", "", now - 400, json.dumps(old)), Arrived("young", "", now, json.dumps(young))])], now)
    batch = spool.take(now, 100) or 0
    words = ["-e", f"riposte_spool={place}", "-e", f"riposte_batch={batch}", "-e", "riposte_policy=policy.yml"]
    run = lab.ansible("ansible-playbook", "riposte.active_response.respond", *words, cwd=tmp_path)
    assert run.rc == 0, run.stdout
    assert "alert old: too old: it happened 40" in run.stdout
    closed = spool.end(batch, time.time(), 1)
    assert (closed.answered, closed.failed) == (1, 1)
    assert (blocked(web[0]), blocked(web[0], "203.0.113.10")) == (False, True)
