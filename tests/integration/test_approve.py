# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a person, from the webhook on: shown, approved or rejected by the playbook approve, and done by the rulebook where it was approved for."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_intake import ATTACKER, blocked, ledger
from tests.lab import Host, Lab, Peer
from tests.lab.rulebook import VENV, Rulebook, alert
from tests.lab.system import Completed

pytestmark = pytest.mark.skipif(not VENV.exists(), reason=f"needs ansible-rulebook in {VENV}")
POLICY = """
mode: approve
max_age: 5m
rules:
  - name: everywhere
    match: {rule_ids: ["5712"]}
    responses: [{response: firewall_drop, timeout: 10m, hosts: {groups: [web]}}]
  - name: on the spot
    mode: enforce
    match: {rule_ids: ["5712"], agents: ["002"]}
    responses: [{response: firewall_drop, timeout: 20s}]
"""


@pytest.fixture(scope="module")
def web(lab: Lab) -> Iterator[list[Host]]:
    hosts = lab.add_hosts(["web1", "web2"], groups=["web"], variables={"web1": {"wazuh_agent_id": "001"}, "web2": {"wazuh_agent_id": "002"}})
    yield hosts
    for host in hosts:
        lab.remove(host)


@pytest.fixture
def rulebook(lab: Lab, web: list[Host], tmp_path: Path) -> Iterator[Rulebook]:
    for host in web:
        host.inside(["sh", "-c", "nft delete table inet riposte 2>/dev/null; rm -rf /var/lib/riposte"], check=False)
    with Rulebook(lab, tmp_path, POLICY, riposte_audit=str(tmp_path / "audit.jsonl")) as rulebook:
        yield rulebook


def approve(rulebook: Rulebook, *words: str, core: str = "newest", **variables: Any) -> Completed:
    given = {"riposte_spool": str(rulebook.spool), "riposte_audit": str(rulebook.spool.with_name("audit.jsonl")), "riposte_by": "eva", **variables}
    return rulebook.lab.ansible("ansible-playbook", "riposte.active_response.approve", "-e", json.dumps(given), *words, core=core)


def audited(rulebook: Rulebook, event: str) -> list[dict[str, Any]]:
    lines = rulebook.spool.with_name("audit.jsonl").read_text().splitlines()
    return [each for each in map(json.loads, lines) if each["event"] == event]


def lengths(host: Host) -> list[str]:
    """Of what was ever in force there; a little of each is over before the host gets to it."""
    return ["short" if row["until"] - row["since"] <= 20 else "long" for row in ledger(host)]


@pytest.mark.parametrize("core", ["newest", "2.16"])
def test_what_waits_is_shown_and_done_once_it_is_approved(rulebook: Rulebook, web: list[Host], attacker: Peer, core: str) -> None:
    attacker.add_address(ATTACKER)
    hostile = "{{ lookup('pipe', 'touch /tmp/riposte-canary-approve') }}"
    for name, address in (("one", ATTACKER), ("two", "203.0.113.10")):
        posted = alert(name, address=address)
        posted["rule"]["description"] = hostile
        assert rulebook.post(posted).status == 200
    assert rulebook.settled(2) == {"answered": 2}
    assert not any(blocked(host) for host in web)
    assert rulebook.get("/health").json["pending"] == 2

    shown = approve(rulebook, core=core)
    assert shown.rc == 0, shown.stdout
    assert all(word in shown.stdout for word in ("one", "two", ATTACKER, "everywhere", "web1, web2", hostile[:20]))
    checked = approve(rulebook, "--check", "--diff", riposte_approved=["one"], core=core)
    assert "changed=1" in checked.stdout, checked.stdout
    assert rulebook.get("/health").json["pending"] == 2
    assert not any(blocked(host) for host in web)

    before = time.time()
    done = approve(rulebook, riposte_approved=["one"], core=core)
    assert done.rc == 0, done.stdout
    assert "changed=1" in done.stdout
    assert done.stdout.count(" done ") == 2
    assert attacker.connect(web[0].address4, 22, source=ATTACKER, timeout=0.3) == "timeout"
    assert attacker.connect(web[1].address4, 22, source=ATTACKER, timeout=0.3) == "timeout"
    assert [blocked(host, "203.0.113.10") for host in web] == [False, False]
    [row] = ledger(web[0])
    assert row["until"] >= before + 600 - 1  # it counts from approval
    again = approve(rulebook, riposte_approved=["one"], core=core)
    assert again.rc == 0
    assert "changed=0" in again.stdout

    rejected = approve(rulebook, riposte_rejected=["two"], core=core)
    assert "Nothing waits for a person." in rejected.stdout
    assert audited(rulebook, "approval")[0].items() >= {"alert_id": "one", "rule": "everywhere", "said": "approved", "by": "eva"}.items()
    assert [each["said"] for each in audited(rulebook, "approval")] == ["approved", "rejected"]
    assert {each["host"] for each in audited(rulebook, "outcome") if each["outcome"] == "done"} == {"web1", "web2"}
    assert not Path("/tmp/riposte-canary-approve").exists()


def test_the_good_ones_are_approved_and_the_bad_one_is_named(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.post(alert("good"))
    rulebook.settled()
    done = approve(rulebook, riposte_approved=["good", "bad"])
    assert done.rc != 0
    assert "alert 'bad': there is no such alert in the spool" in done.stdout
    assert all(blocked(host) for host in web)
    assert "is approved as well" in approve(rulebook, riposte_approved=["good"], riposte_rejected=["good"]).stdout
    assert "these rules of which alerts?" in approve(rulebook, riposte_rules=["everywhere"]).stdout
    assert "has approved it; release what it did" in approve(rulebook, riposte_rejected=["good"]).stdout


def test_what_needs_no_approval_does_not_wait_and_is_not_done_twice(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.post(alert("both", agent="002"))
    rulebook.settled()
    assert [blocked(host) for host in web] == [False, True]
    web[1].wait_for(lambda: not blocked(web[1]), "its seconds to be over", timeout=40)
    assert approve(rulebook, riposte_approved=["both"]).rc == 0
    assert all(blocked(host) for host in web)
    assert lengths(web[1]) == ["short", "long"]


def test_without_a_rulebook_it_says_so_and_the_next_one_does_it(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.post(alert("late"))
    rulebook.settled()
    rulebook.close()
    done = approve(rulebook, riposte_approved=["late"], riposte_wait=1)
    assert done.rc != 0
    assert "No rulebook hands out what is in this spool" in done.stdout.replace("\n", " ")
    assert not blocked(web[0])
    rulebook.start()
    rulebook.settled()
    assert all(blocked(host) for host in web)


def test_a_host_that_joined_the_group_later_is_not_in_what_was_approved(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.policy.write_text(POLICY.replace("{groups: [web]}", "own"))
    rulebook.post(alert("narrow"))
    rulebook.settled()
    rulebook.policy.write_text(POLICY)
    assert approve(rulebook, riposte_approved=["narrow"]).rc == 0
    assert [blocked(host) for host in web] == [True, False]


def test_who_attacks_one_host_after_the_other_is_kept_out_for_longer(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.policy.write_text(
        'mode: enforce\nrules: [{name: ssh, match: {rule_ids: ["5712"]},'
        " responses: [{response: firewall_drop, timeout: 20s, repeated_offenders: [1h, 2h], offences: fleet}]}]\n"
    )
    for name, agent in (("first", "001"), ("second", "002")):
        rulebook.post(alert(name, agent=agent))
        rulebook.settled()
        web[0].wait_for(lambda: not blocked(web[0]), "its seconds to be over", timeout=40)
    assert [lengths(host) for host in web] == [["short"], ["long"]]


def test_a_policy_can_be_tried_on_what_the_spool_keeps(rulebook: Rulebook, web: list[Host]) -> None:
    rulebook.post([alert("one"), alert("two", agent="002")])
    rulebook.settled(2)
    words = ["-e", f"riposte_policy={rulebook.policy}", "-e", f"riposte_alerts={rulebook.spool}"]
    checked = rulebook.lab.ansible("ansible-playbook", "riposte.active_response.policy_check", *words)
    assert checked.rc == 0, checked.stdout
    assert "2 alerts in " in checked.stdout
    assert "pending 2, planned 1" in checked.stdout


@pytest.mark.parametrize("core", ["newest", "2.16"])
def test_what_the_jobs_of_a_workflow_in_awx_do(lab: Lab, web: list[Host], tmp_path: Path, core: str) -> None:
    """AWX itself is not run: it hands what a job left as a variable to the next one."""
    web[0].inside(["sh", "-c", "nft delete table inet riposte 2>/dev/null; rm -rf /var/lib/riposte"], check=False)
    (tmp_path / "policy.yml").write_text(POLICY)
    given = {"riposte_alert_b64": base64.b64encode(json.dumps(alert("awx")).encode()).decode(), "riposte_alert_id": "awx", "riposte_policy": "policy.yml"}

    def job(playbook: str, **more: object) -> Completed:
        words = ("ansible-playbook", f"riposte.active_response.{playbook}", "-e", json.dumps({**given, **more}))
        return lab.ansible(*words, core=core, cwd=tmp_path, env={"ANSIBLE_SHOW_CUSTOM_STATS": "1"})

    first = job("respond")
    assert first.rc == 0, first.stdout
    [left] = re.findall(r'RUN: (\{ "riposte_pending": "?(\d+)"?\})', re.sub(r"\s+", " ", first.stdout).replace(" }", "}"))
    assert left[1] == "1"
    assert not blocked(web[0])
    assert job("pending", riposte_pending="1").rc != 0
    assert job("pending", riposte_pending="0").rc == 0
    assert "riposte_pending is not defined" in job("pending").stdout
    assert job("respond", riposte_approved=["{{ riposte_alert_id }}"]).rc == 0
    assert blocked(web[0])
