# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile list over every way that an alert takes, under both cores: nothing of it is evaluated, and each alert has one outcome or is named as none.

The two ways through somebody else's event source have their real ansible-rulebook in test_event_stream.py; here the whole list goes through their filter.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import runpy
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hostile import (
    ACCOUNT,
    ATTACKER,
    BOTH,
    LONGEST_ID,
    NO_ALERT,
    OWN_ADDRESSES,
    POLICY,
    Canaries,
    Hostile,
    check_audit,
    check_named,
    evaluated,
    expected,
    hostile_alerts,
    raw,
    texts,
    told,
)
from tests.lab import Host, Lab, wait_for
from tests.lab.lab import REPOSITORY, VENVS
from tests.lab.rulebook import VENV, Rulebook

CORES = pytest.mark.parametrize("core", ["2.16", "newest"])
FILTER = REPOSITORY / ".venv/collections/ansible_collections/riposte/active_response/extensions/eda/plugins/event_filter/alert.py"
FILES = ("-e", "riposte_alerts=alerts.jsonl", "-e", "riposte_policy=policy.yml")
alert_filter = runpy.run_path(str(FILTER))["main"]  # as ansible-rulebook loads it
PLAIN = re.compile(r"[A-Za-z0-9_.:@+/\\$ -]*\Z")
REFUSED_AT_ONCE = 10  # an answer names no more

# What people do with a plan, and with what the filter lets through. Whatever passes here must come out as the text that went in.
USE = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - riposte.active_response.plan: {alerts: "{{ riposte_alerts }}", policy: "{{ riposte_policy }}"}
      register: plan
    - ansible.builtin.set_fact:
        again: "{{ plan.decisions | map(attribute='why') | list }}"
        one: "{{ plan.hosts.values() | first | map(attribute='reason') | list }}"
        lines: "{{ plan.hosts.values() | flatten | riposte.active_response.table(['reason']) }}"
        kept: "{{ events }}"
    - ansible.builtin.debug: {msg: "{{ again }} {{ one }}"}
    - ansible.builtin.debug: {msg: "{{ item }}"}
      loop: "{{ (one | select('search', 'canary') | list)[:20] + plan.problems[:20] }}"
    - ansible.builtin.debug: {var: item.reason}
      loop: "{{ (plan.hosts.values() | flatten | selectattr('reason', 'search', 'canary') | list)[:20] }}"
      when: item.reason is string and item.reason != ''
    - ansible.builtin.debug: {msg: "{{ lines }} {{ lines | join('; ') }}"}
    - ansible.builtin.add_host: {name: "made", reasons: "{{ one }}"}
    - ansible.builtin.debug: {msg: "{{ hostvars['made'].reasons }}"}
    - ansible.builtin.debug: {msg: "{{ kept | selectattr('alert', 'defined') | map(attribute='alert') }}"}
    - ansible.builtin.debug: {msg: "{{ item.alert.id }} {{ item.alert.observables }} {{ item.alert_b64 }}"}
      loop: "{{ (kept | selectattr('alert', 'defined') | list)[:20] }}"
    - ansible.builtin.copy: {content: "{{ {'plan': plan, 'events': kept} | to_json }}", dest: "{{ out }}", mode: "0600"}
"""

# The same text, vouched for by the user: this is what being evaluated looks like.
TRAP = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug: {msg: "{{ vouched_for }} {{ statement }} {{ word }}"}
    - ansible.builtin.shell: "{{ command }}"
    - ansible.builtin.copy: {content: x, dest: "{{ path }}"}
"""


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    canaries = Canaries()
    yield canaries
    canaries.clean()


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[list[Host]]:
    """web1, whose alerts they are, and web2, which none of them may ever reach."""
    hosts = lab.add_hosts(["web1", "web2"], variables={"web1": {"wazuh_agent_id": "001"}})
    yield hosts
    for host in hosts:
        lab.remove(host)


@pytest.fixture
def web(hosts: list[Host]) -> list[Host]:
    """The same two, with nothing in force."""
    for host in hosts:
        clean = f"nft delete table inet riposte; rm -rf /var/lib/riposte; userdel --remove {ACCOUNT}; useradd --create-home {ACCOUNT}"
        host.inside(["sh", "-c", f"{{ {clean}; echo {ACCOUNT}:secret | chpasswd; }} 2>/dev/null"])
    return hosts


@pytest.fixture
def alerts(canaries: Canaries, tmp_path: Path) -> list[Hostile]:
    """The list, also as the file alerts.jsonl with policy.yml beside it."""
    alerts = hostile_alerts(canaries)
    (tmp_path / "alerts.jsonl").write_bytes(b"".join(each.line + b"\n" for each in alerts))
    (tmp_path / "policy.yml").write_text(POLICY)
    return alerts


def played(lab: Lab, directory: Path, core: str, *words: str) -> str:
    """What ansible-playbook said, with nothing in it that is not for a terminal, and nothing that was evaluated."""
    run = lab.ansible("ansible-playbook", *words, core=core, cwd=directory)
    said = run.stdout + run.stderr
    assert run.rc == 0, said[-5000:]
    assert (raw(said), evaluated(said)) == ([], [])
    return said


def taken(alerts: Iterable[Hostile]) -> list[Hostile]:
    return [each for each in alerts if each.says != NO_ALERT]


def check_hosts(web: Sequence[Host], alerts: Sequence[Hostile]) -> None:
    """What the list calls for is in force on web1, with the reasons as they were written; and web2 was never there."""
    assert blocked(web[0]) == set(addresses(alerts))
    assert [locked(host) for host in web] == [True, False]
    assert not web[1].exists("/var/lib/riposte")
    reasons = ledger(web[0])
    for each in alerts:
        if each.name.startswith("4: ") and each.name.endswith("in rule.description") and each.says != NO_ALERT:
            text = json.loads(each.line)["rule"]["description"] or ""
            if text.isprintable() and len(text) < 400:
                assert reasons[each.id] == f"brute force (Wazuh rule 5712, level 10: {text})"
    assert raw("".join(reasons.values()), "") == []


def locked(host: Host) -> bool:
    return host.inside(["passwd", "--status", ACCOUNT]).stdout.split()[1] == "L"


def blocked(host: Host) -> set[str]:
    return set(re.findall(r"\d+\.\d+\.\d+\.\d+", host.inside(["nft", "list", "table", "inet", "riposte"], check=False).stdout))


def addresses(alerts: Iterable[Hostile]) -> list[str]:
    """Those that the list has blocked."""
    own = re.compile(re.escape(OWN_ADDRESSES.encode()) + rb"\d+")
    return sorted({ATTACKER, *(found.decode() for each in taken(alerts) for found in own.findall(each.line))})


def ledger(host: Host) -> dict[str, str]:
    """The reasons that the host has on record, by alert."""
    code = "import sqlite3, json; print(json.dumps(dict(sqlite3.connect('/var/lib/riposte/ledger.sqlite3').execute('SELECT alert_id, reason FROM response'))))"
    found: dict[str, str] = json.loads(host.inside(["python3", "-c", code]).stdout)
    return found


@CORES
def test_a_file_of_them_is_answered_reported_and_released(
    lab: Lab, web: list[Host], canaries: Canaries, alerts: list[Hostile], tmp_path: Path, core: str
) -> None:
    assert len(alerts) >= 200
    looked = played(lab, tmp_path, core, "riposte.active_response.respond", *FILES, "--check", "--diff")
    check_named(alerts, re.findall(r'^ +"(alerts\.jsonl, .*)",?$', looked, re.MULTILINE))
    done = played(
        lab, tmp_path, core, "riposte.active_response.respond", "riposte.active_response.report", *FILES, "-e", "riposte_audit=audit.jsonl", "--diff", "-v"
    )
    assert "lookup('pipe', 'touch /tmp/riposte-canary-" in done  # it is told, and no more
    check_hosts(web, alerts)
    check_audit(tmp_path / "audit.jsonl", alerts)
    named = [*addresses(each for each in alerts if each.id != LONGEST_ID), LONGEST_ID]
    played(lab, tmp_path, core, "riposte.active_response.release", "-e", json.dumps({"riposte_target": [ACCOUNT, *named]}), "-v")
    assert not locked(web[0])
    assert blocked(web[0]) == set()
    assert canaries.sung(*web, directory=tmp_path) == []


@CORES
def test_a_plan_of_them_and_a_rehearsal_are_text_to_a_playbook(
    lab: Lab, web: list[Host], canaries: Canaries, alerts: list[Hostile], tmp_path: Path, core: str
) -> None:
    events = list(itertools.chain.from_iterable(filtered(each.line) for each in alerts if not each.alone))
    (tmp_path / "use.yml").write_text(USE)
    (tmp_path / "events.json").write_text(json.dumps({"events": events}))
    words = ["-e", "@events.json", "-e", f"out={tmp_path}/out.json", "-e", "riposte_report=report.json", "-e", "riposte_most=10000"]
    played(lab, tmp_path, core, "use.yml", "riposte.active_response.policy_check", *FILES, *words)
    assert canaries.sung(*web, directory=tmp_path) == []

    out = json.loads((tmp_path / "out.json").read_text())
    assert out["events"] == events
    assert told(out["plan"]["decisions"]) == expected(alerts)
    check_named(alerts, out["plan"]["problems"])

    assert (tmp_path / "report.json").read_bytes().isascii()
    report = json.loads((tmp_path / "report.json").read_text())
    assert [raw(text, "") or evaluated(text) for text in texts(report) if raw(text, "") or evaluated(text)] == []
    assert report["alerts"] == len(taken(alerts))
    assert report["left_out"] == 0
    wanted = expected(alerts)
    assert told(report["decisions"]) == Counter({key: count for key, count in wanted.items() if key[1]})
    assert sum(each["alerts"] for each in report["unanswered"]) == sum(count for key, count in wanted.items() if not key[1])
    none = [line for line, each in enumerate(alerts, 1) if each.says == NO_ALERT]
    check_named(alerts[: none[99]], report["problems"][:100])
    assert report["problems"][100:] == [f"and {len(none) - 100} more"]


@CORES
def test_a_job_that_has_them_in_base64_answers_them(lab: Lab, web: list[Host], canaries: Canaries, alerts: list[Hostile], tmp_path: Path, core: str) -> None:
    everything = base64.b64encode((tmp_path / "alerts.jsonl").read_bytes()).decode()
    job = {"riposte_alert_b64": everything, "riposte_policy": "policy.yml", "riposte_audit": "audit.jsonl"}
    (tmp_path / "job.json").write_text(json.dumps(job))
    said = played(lab, tmp_path, core, "riposte.active_response.respond", "-e", "@job.json", "--limit", "localhost,all")
    check_named(alerts, re.findall(r'^ +"(alerts_b64, .*)",?$', said, re.MULTILINE))
    check_hosts(web, alerts)
    check_audit(tmp_path / "audit.jsonl", alerts)
    assert canaries.sung(*web, directory=tmp_path) == []


# -- the filter


def filtered(line: bytes) -> list[dict[str, Any]]:
    """What the filter makes of a message of Kafka."""
    found: list[dict[str, Any]] = alert_filter({"body": line, "meta": {"hosts": "all"}})
    return found


def test_the_filter_makes_one_event_of_each(alerts: list[Hostile]) -> None:
    for each in map(Hostile.by_post, alerts):
        [event] = filtered(each.line)
        check_event(each, event)
    late = [each for each in alerts if each.says != each.by_post().says]
    events = filtered(b'{"riposte": 1, "sent": %d, "alerts": [%s]}' % (time.time(), b",".join(each.line for each in late)))
    assert [event["alert"]["id"] for event in events] == [each.id for each in late]


def test_the_filter_makes_one_event_of_each_that_a_webhook_has_parsed(alerts: list[Hostile]) -> None:
    """The built-in webhook's own parser takes more than ours does, and of two with one name the last."""
    for each in map(Hostile.by_post, alerts):
        try:
            payload = json.loads(each.line.decode(errors="replace"))
        except (ValueError, RecursionError):
            continue  # it is answered with 400 and no event
        [event] = alert_filter({"payload": payload, "meta": {"hosts": "all"}})
        says = each.says if "twice" not in each.name else BOTH if "alert" in event else NO_ALERT
        check_event(replace(each, says=says, why=""), event)
        if "alert" in event:
            assert json.loads(base64.b64decode(event["alert_b64"], validate=True)) == payload


def check_event(each: Hostile, event: dict[str, Any]) -> None:
    assert event.keys() == ({"refused"} if each.says == NO_ALERT else {"alert", "alert_b64"}), (each.name, event)
    if each.says == NO_ALERT:
        assert event["refused"]["count"] == 1
        why = base64.b64decode(event["refused"]["why_b64"], validate=True).decode()
        assert each.why in why, (each.name, why)
        assert raw(why) == []
    else:
        assert event["alert"]["id"] == each.id or not each.id
        assert [text for text in texts(event["alert"]) if not PLAIN.match(text)] == []


# -- the webhook


@pytest.mark.skipif(not VENV.exists(), reason=f"needs ansible-rulebook in {VENV}")
@CORES
def test_those_that_are_posted_are_answered_by_batches(lab: Lab, web: list[Host], canaries: Canaries, alerts: list[Hostile], tmp_path: Path, core: str) -> None:
    rulebook = Rulebook(lab, tmp_path, POLICY, riposte_audit=str(tmp_path / "audit.jsonl"), riposte_batch_size=10_000)
    older = f"{REPOSITORY / VENVS[core] / 'bin'}:" if core != "newest" else ""  # ansible-runner takes the ansible-playbook that PATH has
    rulebook.env = {"PATH": older + lab.ansible_env(VENV)["PATH"], "ANSIBLE_VERBOSITY": "2"}
    by_post = [each.by_post() for each in alerts]
    late = [each for each in alerts if each.says != each.by_post().says]
    first: dict[str, Hostile] = {}
    for each in taken(alerts):
        first.setdefault(each.id, each)
    with rulebook:
        received = sum(posted(rulebook, message) for message in messages(by_post))
        reply = rulebook.post(b'{"riposte": 1, "sent": %d, "alerts": [%s]}' % (time.time(), b",".join(each.line for each in late)))
        assert (reply.status, reply.json["received"], reply.json["refused"]) == (200, len(late), 0)
        assert received + len(late) == len(first)
        assert rulebook.settled(len(first), timeout=120) == {"answered": len(first)}
        told = tmp_path / "audit.jsonl"  # a moment after the spool
        wait_for(lambda: told.read_text().count('"state":"answered"') >= len(first), "the audit to tell each end")
        assert set(rulebook.outcomes()) == {"done", "unchanged"}
        assert rulebook.get("/health").json["problems"] == []
        assert rulebook.post(alerts[0].line).json["known"] == 1
        assert raw(rulebook.get("/health").text + rulebook.get("/metrics").text) == []
        assert not rulebook.ended()
    said = rulebook.said()
    assert (raw(said), evaluated(said)) == ([], [])
    assert ("ansible-playbook [core 2.16." in said) == (core == "2.16")
    check_hosts(web, alerts)
    check_audit(tmp_path / "audit.jsonl", list(first.values()), ended="answered")
    query = "SELECT why, body FROM dead UNION ALL SELECT message, '' FROM response UNION ALL SELECT why, '' FROM alert"
    kept = [str(value) for row in rulebook.rows(query) for value in row]
    assert [text for text in kept if raw(text, "")] == []
    assert canaries.sung(*web, directory=tmp_path) == []


def messages(alerts: Sequence[Hostile]) -> Iterator[list[Hostile]]:
    """The list as JSON lines, in messages of which an answer names all that is no alert."""
    good = [each for each in alerts if not each.alone and each.says != NO_ALERT]
    bad = [each for each in alerts if not each.alone and each.says == NO_ALERT]
    count = -(-len(bad) // REFUSED_AT_ONCE)
    for number in range(count):
        yield good[number::count] + bad[number::count]
    yield from ([each] for each in alerts if each.alone)


def posted(rulebook: Rulebook, message: Sequence[Hostile]) -> int:
    """Sends it, looks whether what is no alert is named, and returns how many are new."""
    reply = rulebook.post(b"\n".join(each.line for each in message))
    if len(message) > 1:
        assert reply.status == 200, reply
        check_named(message, reply.json["problems"])
    elif len(message[0].line) > 1 << 20:
        assert reply.status == 413, reply
        return 0
    elif message[0].says == NO_ALERT:
        assert reply.status == 422, reply
        assert message[0].why in reply.text
    assert raw(reply.text) == []
    assert reply.json["received"] + reply.json["known"] == len(taken(message))
    return int(reply.json["received"])


# -- the canaries


@CORES
def test_the_canaries_sing_when_they_are_evaluated(lab: Lab, canaries: Canaries, tmp_path: Path, core: str) -> None:
    (tmp_path / "trap.yml").write_text(TRAP)
    trusted = {"vouched_for": canaries.template(), "statement": canaries.statement(), "word": "{{ 'sung' ~ 'aloud' }}"}
    command = "echo canary sum-$((20+22)) " + canaries.shell().replace("'", "")
    (tmp_path / "vars.json").write_text(json.dumps({**trusted, "command": command, "path": f"../../../../../..{canaries.path()}"}))
    run = lab.ansible("ansible-playbook", "trap.yml", "-v", "-e", "@vars.json", core=core, cwd=tmp_path)
    assert sorted(canaries.sung()) == [f"{canaries.stem}-{number}" for number in (1, 2, 3, 4)]
    assert evaluated(run.stdout)[:2] == ["sungaloud", "canary sum-42"]
