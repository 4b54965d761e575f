# SPDX-License-Identifier: GPL-3.0-or-later
"""500 alerts in a burst through a real ansible-rulebook, while rulebook, playbook, workers and a host are killed: each host's word on each alert is proved.

The suite takes six hosts, for the other test processes need places too (ten hosts at once on a machine). The full size, when nobody else has hosts:

    RIPOSTE_BURST_HOSTS=10 ./dev test -k burst

Each run takes another seed and prints it; RIPOSTE_BURST_SEED=NUMBER has the same alerts, blows and pauses again.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab import Host, Lab, Peer, wait_for
from tests.lab.rulebook import FINAL, VENV, Rulebook, alert

ALERTS = 500
HOSTS = int(os.environ.get("RIPOSTE_BURST_HOSTS", "6"))
SEED = int(os.environ.get("RIPOSTE_BURST_SEED") or random.SystemRandom().randrange(1_000_000))
SENDERS = 4
TIMEOUT = 1800
BREAKER = 100  # responses a minute that alerts may begin on a host
OWN, ANYWHERE = "5712", "5763"  # Wazuh's rules, by what the policy makes of them
POLICY = f"""
mode: enforce
rules:
  - {{name: where it was seen, match: {{rule_ids: ["{OWN}"]}}, responses: [{{response: firewall_drop, timeout: {TIMEOUT}, hosts: own}}]}}
  - {{name: everywhere, match: {{rule_ids: ["{ANYWHERE}"]}}, responses: [{{response: firewall_drop, timeout: {TIMEOUT}, hosts: all}}]}}
"""
BLOWS = ("rulebook", "rulebook", "playbook", "worker", "host")
LEDGER = """
import json, sqlite3
database = sqlite3.connect("/var/lib/riposte/ledger.sqlite3")
print(json.dumps(database.execute("SELECT target, alert_id, until, phase, ended_by FROM response").fetchall()))
"""


class Word(NamedTuple):
    """What a host is to say about one alert."""

    alert_id: str
    host: str
    target: str


class Sent(NamedTuple):
    """When an alert was sent for the first time, and when it was answered with 200."""

    first: float
    answered: float


class Recorded(NamedTuple):
    """A row of a host's ledger."""

    target: str
    alert_id: str
    until: float
    phase: str
    ended_by: str | None


@pytest.fixture
def fleet(lab: Lab) -> Iterator[list[Host]]:
    """web1, ...: the second one keeps what stands through a power cut, by its tick."""
    names = [f"web{number + 1}" for number in range(HOSTS)]
    patience = {"ansible_ssh_timeout": 2, "riposte_host_timeout": 8}  # seconds until a host counts as down; 10 and 120 otherwise
    hosts = lab.add_hosts(names, variables={name: {"wazuh_agent_id": agent_of(name), **patience} for name in names})
    try:
        lab.ansible("ansible-playbook", "riposte.active_response.deploy", "-e", "riposte_hosts=web2", check=True)
        yield hosts
    finally:
        for host in hosts:
            lab.remove(host)


@pytest.mark.skipif(not VENV.exists(), reason=f"needs ansible-rulebook in {VENV}")
def test_500_alerts_and_kills_at_random_moments_leave_one_word_of_each_host_on_each_alert(lab: Lab, fleet: list[Host], attacker: Peer, tmp_path: Path) -> None:
    """The last host is down until all others have answered; the second one loses its power in mid-run."""
    print(f"RIPOSTE_BURST_SEED={SEED} RIPOSTE_BURST_HOSTS={HOSTS}")
    chance = random.Random(SEED)
    struck, down = fleet[1], fleet[-1]
    never = {host.name: {lab.gateway4, lab.controller.address4, host.address4} for host in fleet}
    alerts = burst(chance, fleet, sorted(set[str]().union(*never.values())))
    due = words(alerts, fleet)
    down.power_cut()
    # after a run that was killed, batches have an eighth of the size at most
    with Rulebook(lab, tmp_path, POLICY, riposte_retry_delay=0.2, riposte_batch_size=2000) as rulebook:
        sent = storm(chance, rulebook, alerts, struck)
        silent = {word for word in due if word.host == down.name}
        wait_for(lambda: unanswered(rulebook, due) == silent, "all but the down host to have answered", timeout=120, interval=0.5)
        # of the down host a run hears last, when it gives the connection up
        wait_for(lambda: told_unreachable(rulebook, due, silent), "the down host to be told as unreachable", timeout=120, interval=0.2)
        noted = {host.name: len(ledger(host)) for host in fleet if host is not down}
        down.power_on()
        assert rulebook.settled(ALERTS, timeout=120) == {"answered": ALERTS}
        accepted = dict(rulebook.rows("SELECT id, received FROM alert"))
        answers = answered(rulebook)

    assert noted == {host.name: len(ledger(host)) for host in fleet if host is not down}  # who had answered was not asked again
    assert accepted.keys() == sent.keys()
    assert all(each.first <= accepted[name] <= each.answered for name, each in sent.items())
    outcomes = Counter(answers.values())
    print(f"{len(due)} words: {dict(outcomes)}")
    assert answers.keys() == due
    assert outcomes.keys() == {"done", "unchanged", "refused", "held"}
    assert {word for word, outcome in answers.items() if outcome == "refused"} == {word for word in due if word.target in never[word.host]}
    for host in fleet:
        prove(host, {word: outcome for word, outcome in answers.items() if word.host == host.name}, accepted, once=host is not struck)
    for host in (struck, down):
        packets_are_dropped(attacker, host, answers)


def agent_of(host: str) -> str:
    return f"{int(host.removeprefix('web')):03d}"


def burst(chance: random.Random, fleet: Sequence[Host], never: Sequence[str]) -> list[dict[str, Any]]:
    """Alerts of which most are for the agent's own host, some for all; some repeat an attacker, some name what must never be hit."""
    seen = [(OWN, f"198.51.{100 + number // 200}.{number % 200 + 1}") for number in range(300)]
    seen += [(ANYWHERE, f"2001:db8::{number % 120 + 1:x}" if number % 4 == 0 else f"203.0.113.{number % 120 + 1}") for number in range(150)]
    seen += [(chance.choice((OWN, ANYWHERE)), chance.choice(never)) for _number in range(ALERTS - len(seen))]
    chance.shuffle(seen)
    made = [alert(f"burst-{number}", agent_of(fleet[number % len(fleet)].name), address) for number, (_rule, address) in enumerate(seen)]
    return [{**each, "rule": {**each["rule"], "id": rule}} for each, (rule, _address) in zip(made, seen)]


def words(alerts: Sequence[Mapping[str, Any]], fleet: Sequence[Host]) -> set[Word]:
    """What the policy says, said once more: who is to answer which alert."""
    return {
        Word(each["id"], host.name, each["data"]["srcip"])
        for each in alerts
        for host in fleet
        if each["rule"]["id"] == ANYWHERE or each["agent"]["id"] == agent_of(host.name)
    }


# -- the storm


def storm(chance: random.Random, rulebook: Rulebook, alerts: Sequence[Mapping[str, Any]], host: Host) -> dict[str, Sent]:
    """Sends the alerts in as many parts as there are blows, and one more; a blow falls while a part is on its way, or is being answered."""
    sent: dict[str, Sent] = {}
    blows = chance.sample(BLOWS, len(BLOWS))
    size = -(-len(alerts) // (len(blows) + 1))
    for number, blow in enumerate([*blows, ""]):
        senders = start_senders(rulebook, alerts[number * size : (number + 1) * size], sent)
        if blow:
            strike(chance, blow, rulebook, host)
        for sender in senders:
            sender.join()
    assert len(sent) == ALERTS
    return sent


def start_senders(rulebook: Rulebook, alerts: Sequence[Mapping[str, Any]], sent: dict[str, Sent]) -> list[threading.Thread]:
    """Each does what a sender does: it sends again until it hears 200."""
    waiting = iter(alerts)
    lock = threading.Lock()

    def accepted(each: Mapping[str, Any]) -> bool:
        try:
            return rulebook.post(each, timeout=5).status == 200
        except (OSError, http.client.HTTPException):  # it was killed, or is not there yet
            return False

    def send() -> None:
        while True:
            with lock:
                each = next(waiting, None)
            if each is None:
                return
            first = time.time()
            wait_for(partial(accepted, each), f"alert {each['id']} to be accepted", timeout=60)
            sent[each["id"]] = Sent(first, time.time())

    senders = [threading.Thread(target=send) for _number in range(SENDERS)]
    for sender in senders:
        sender.start()
    return senders


def strike(chance: random.Random, blow: str, rulebook: Rulebook, host: Host) -> None:
    """Kills the rulebook, a process of a run, or a host, while a run is in flight."""
    wait_for(rulebook.run_main, "a run", timeout=60)
    time.sleep(chance.uniform(0, 2))  # the moment is to be any
    print(f"{time.time():.1f} {blow}")
    if blow == "rulebook":
        rulebook.kill(signal.SIGKILL)
        rulebook.start()
    elif blow == "host":
        host.power_cut()
        time.sleep(chance.uniform(0, 2))  # and so is how long it is off
        host.power_on()
    else:
        wait_for(lambda: kill_one(chance, rulebook, worker=blow == "worker"), f"a {blow} to kill", timeout=60, interval=0.002)


def kill_one(chance: random.Random, rulebook: Rulebook, worker: bool) -> bool:
    """Kills the run's ansible-playbook, or one of the workers that it has forked."""
    main = rulebook.run_main()
    found = sorted(pid for pid in rulebook.run_processes() if main is not None and (pid != main) == worker)
    try:
        os.kill(chance.choice(found), signal.SIGKILL)
    except (IndexError, ProcessLookupError):  # there is none at this moment
        return False
    return True


# -- the proof


def answered(rulebook: Rulebook) -> dict[Word, str]:
    """What each host has said so far by the spool, where nothing is there twice."""
    rows = rulebook.rows("SELECT id, host, target, coalesce(outcome, 'expected') FROM alert JOIN response ON alert = number")
    found = {Word(identity, host, target): outcome for identity, host, target, outcome in rows}
    assert len(found) == len(rows)
    return found


def unanswered(rulebook: Rulebook, due: set[Word]) -> set[Word]:
    """What no host has said its last word on."""
    return due - {word for word, outcome in answered(rulebook).items() if outcome in FINAL}


def told_unreachable(rulebook: Rulebook, due: set[Word], silent: set[Word]) -> bool:
    """Whether all is planned, and a run has found the silent ones' host to be down."""
    answers = answered(rulebook)
    return answers.keys() == due and "unreachable" in {answers[word] for word in silent}


def ledger(host: Host) -> list[Recorded]:
    """What the host itself has on record, also of what it held or refused."""
    return [Recorded(*row) for row in json.loads(host.inside(["python3", "-c", LEDGER]).stdout)]


def in_force(host: Host) -> dict[str, float]:
    """What the kernel drops, and until when; nothing is there twice."""
    now = time.time()
    listed = json.loads(host.inside(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    members = [each["elem"] for item in listed for each in item.get("set", {}).get("elem", ())]
    found = {str(ipaddress.ip_address(each["val"])): now + each["expires"] for each in members}
    assert len(found) == len(members)
    return found


def prove(host: Host, answers: Mapping[Word, str], accepted: Mapping[str, float], once: bool) -> None:
    """The host has in force what it said, each once, until its alert's acceptance and the timeout, and nothing else. once: it never had to be put back."""
    rows = ledger(host)
    standing = [row for row in rows if row.phase != "ended"]
    there = in_force(host)
    wanted = {word.target for word, outcome in answers.items() if outcome in ("done", "unchanged")}
    assert there.keys() == wanted, host.name
    assert sorted(row.target for row in standing) == sorted(wanted), host.name
    # failed: when the power went it was not in force yet
    assert {row.ended_by for row in rows if row.phase == "ended"} <= {"refused", "held", *(() if once else ("failed",))}, host.name
    # at most once: where the run was killed after the host had acted, the next one's word is "unchanged"
    done = Counter(word.target for word, outcome in answers.items() if outcome == "done")
    assert not once or set(done.values()) <= {1}, host.name
    assert len(wanted) >= BREAKER or "held" not in answers.values(), host.name
    for row in standing:
        assert answers[Word(row.alert_id, host.name, row.target)] in ("done", "unchanged"), row
        assert abs(row.until - (accepted[row.alert_id] + TIMEOUT)) <= 1, row
        assert abs(there[row.target] - row.until) <= 5, row


def packets_are_dropped(attacker: Peer, host: Host, answers: Mapping[Word, str]) -> None:
    """Those of an address that the host says it blocks, and not those of one that was held."""
    own = {word.target: outcome != "held" for word, outcome in answers.items() if word.host == host.name and word.target.startswith("198.")}
    assert True in own.values(), host.name
    for target in (min(target for target in own if own[target] == blocked) for blocked in set(own.values())):
        attacker.add_address(target)
        seen = attacker.connect(host.address4, 22, source=target, timeout=0.3)
        assert seen == ("timeout" if own[target] else "open"), (host.name, target)
