# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks for other people's event sources, in a real ansible-rulebook: what an attacker wrote reaches the hosts as text, and AWX in base64 only."""

from __future__ import annotations

import base64
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import hostile
from tests.integration.hostile import Canaries, Hostile
from tests.lab import Host, Lab, wait_for
from tests.lab.lab import REPOSITORY, VENVS
from tests.lab.rulebook import VENV, Rulebook, alert
from tests.lab.system import inside_netns

pytestmark = pytest.mark.skipif(not VENV.exists(), reason=f"needs ansible-rulebook in {VENV}")
POLICY = """
mode: enforce
rules:
  - name: ssh
    match: {rule_ids: ["5712"]}
    responses: [{response: firewall_drop, timeout: 10m}]
"""
TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def web1(lab: Lab) -> Iterator[Host]:
    host = lab.add_host("web1", wazuh_agent_id="001")
    host.inside(["useradd", "--create-home", hostile.ACCOUNT])
    yield host
    lab.remove(host)


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    canaries = Canaries()
    yield canaries
    canaries.clean()


@pytest.fixture
def web(lab: Lab, web1: Host) -> Iterator[list[Host]]:
    """web1, and web2, which no alert may ever reach; with nothing in force."""
    web1.inside(["sh", "-c", "nft delete table inet riposte 2>/dev/null; rm -rf /var/lib/riposte"])
    web2 = lab.add_host("web2")
    yield [web1, web2]
    lab.remove(web2)


def listening(rulebook: Rulebook) -> None:
    wait_for(lambda: rulebook.ended() or rulebook._open(rulebook.port), "the rulebook to listen", timeout=60)
    assert not rulebook.ended(), rulebook.said()


def started(lab: Lab, directory: Path, name: str, policy: str = POLICY, **env: str) -> Rulebook:
    rulebook = Rulebook(lab, directory, policy, riposte_webhook_token=TOKEN, riposte_audit=str(directory / "audit.jsonl"))
    rulebook.env = env
    rulebook.start(f"riposte.active_response.{name}", wait=False)
    try:
        listening(rulebook)
    except BaseException:
        rulebook.close()
        raise
    return rulebook


def blocked(host: Host, address: str) -> bool:
    return f"{address} " in host.inside(["nft", "list", "ruleset"]).stdout


def test_an_event_stream_blocks_who_attacks_once(lab: Lab, web1: Host, tmp_path: Path) -> None:
    rulebook = started(lab, tmp_path, "wazuh_event_stream")
    try:
        assert rulebook.post(alert("unknown")).status == 401
        for sent in (alert("one", address="203.0.113.21"), {"rule": {"id": "{{ 7 }}"}}, alert("two", address="203.0.113.23")):
            assert rulebook.post(sent, headers=BEARER).status == 200
        wait_for(lambda: blocked(web1, "203.0.113.23"), f"the last attacker to be blocked: {rulebook.said()[-3000:]}", timeout=60)
        assert blocked(web1, "203.0.113.21")
        assert "1 refused, in base64 why: " in rulebook.said()
        wait_for(lambda: rulebook.said().count("PLAY RECAP") == 2, "two runs to end", timeout=60)
        assert rulebook.post(alert("one", address="203.0.113.21"), headers=BEARER).status == 200  # once more: it has its answer
        assert rulebook.post(alert("after", address="203.0.113.24"), headers=BEARER).status == 200
        wait_for(lambda: blocked(web1, "203.0.113.24"), "the one after it", timeout=60)
        wait_for(lambda: rulebook.said().count("PLAY RECAP") > 2, "its run to end", timeout=60)
        assert rulebook.said().count("PLAY RECAP") == 3
    finally:
        rulebook.close()
    said = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    done = {(each["alert_id"], each["host"], each["target"]) for each in said if each["event"] == "outcome" and each["outcome"] == "done"}
    assert done == {(name, "web1", f"203.0.113.{last}") for name, last in (("one", 21), ("two", 23), ("after", 24))}


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_an_event_stream_of_hostile_alerts_evaluates_nothing(lab: Lab, web: list[Host], canaries: Canaries, tmp_path: Path, core: str) -> None:
    alerts = [each.by_post() for each in hostile.chosen(hostile.hostile_alerts(canaries))]
    count = sum(each.says != hostile.NO_ALERT for each in alerts)
    older = f"{REPOSITORY / VENVS[core] / 'bin'}:" if core != "newest" else ""  # ansible-runner takes the ansible-playbook that PATH has
    rulebook = started(lab, tmp_path, "wazuh_event_stream", hostile.POLICY, PATH=older + lab.ansible_env(VENV)["PATH"], ANSIBLE_VERBOSITY="2")
    try:
        for each in alerts:
            assert rulebook.post(each.line, headers=BEARER).status == 200
        wait_for(lambda: rulebook.ended() or len(re.findall(r"^PLAY RECAP", rulebook.said(), re.MULTILINE)) == count, "each to have its run", timeout=300)
        wait_for(lambda: rulebook.said().count("1 refused, in base64 why: ") == len(alerts) - count, "what is no alert to be named", timeout=60)
        assert rulebook.post(alerts[-1].line, headers=BEARER).status == 200
        assert not rulebook.ended()
    finally:
        rulebook.close()
    assert (hostile.raw(rulebook.said()), hostile.evaluated(rulebook.said())) == ([], [])
    assert ("ansible-playbook [core 2.16." in rulebook.said()) == (core == "2.16")
    hostile.check_audit(tmp_path / "audit.jsonl", alerts)
    assert blocked(web[0], hostile.ATTACKER)
    assert not blocked(web[1], hostile.ATTACKER)
    assert canaries.sung(*web, directory=tmp_path) == []


TEMPLATES = {"job_template": "Respond to an alert", "workflow_job_template": "Respond to an alert, ask first"}


class Awx:
    """A stand-in for AWX: one job template and one workflow, whose launches it keeps. Every job has succeeded."""

    def __init__(self, lab: Lab) -> None:
        self.launched: list[dict[str, Any]] = []
        awx = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asks = {f"ask_{what}_on_launch": True for what in ("limit", "labels", "inventory", "variables")}
                same = {"id": 7, "related": {"launch": "/api/v2/job_templates/7/launch/"}, "summary_fields": {"organization": {"name": "Default"}}, **asks}
                templates = [{"type": kind, "name": name, **same} for kind, name in TEMPLATES.items()]
                jobs = [{"id": number, "status": "successful", "url": f"/api/v2/jobs/{number}/", "created": ""} for number, _job in enumerate(awx.launched, 1)]
                kinds = {"unified_job_templates": templates, "jobs": jobs, "organizations": [{"id": 1, "name": "Default"}], "labels": [], "config": []}
                results = next(found for kind, found in kinds.items() if kind in self.path)
                self.answer(200, {"version": "4.6.0", "count": len(results), "next": None, "results": results})

            def do_POST(self) -> None:
                assert self.headers["Authorization"] == "Bearer awx"
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/launch/"):  # not a new label
                    awx.launched.append(sent)
                number = len(awx.launched)
                self.answer(201, {"id": number, "name": "x", "url": f"/api/v2/jobs/{number}/", "status": "pending"})

            def answer(self, status: int, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the test's terminal."""

        with inside_netns(lab.controller.netns):
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# What a job's variables go through when a playbook uses them all.
USE = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug: {msg: "{{ jobs }}"}
    - ansible.builtin.copy: {content: "{{ jobs | to_json }}", dest: "{{ out }}", mode: "0600"}
"""


@pytest.mark.parametrize("name", ["wazuh_awx", "wazuh_awx_approval"])
def test_awx_gets_typed_fields_and_base64_and_its_jobs_block(lab: Lab, web: list[Host], canaries: Canaries, tmp_path: Path, name: str) -> None:
    alerts = [each.by_post() for each in hostile.chosen(hostile.hostile_alerts(canaries))]
    sent = [each for each in alerts if each.says != hostile.NO_ALERT]
    awx = Awx(lab)
    try:
        rulebook = started(lab, tmp_path, name, hostile.POLICY, EDA_CONTROLLER_URL=awx.url, EDA_CONTROLLER_TOKEN="awx", EDA_JOB_TEMPLATE_REFRESH_DELAY="0.1")
        try:
            for each in alerts:
                assert rulebook.post(each.line, headers=BEARER).status == 200
            wait_for(lambda: len(awx.launched) == len(sent), f"{len(sent)} jobs to be launched", timeout=60)
            wait_for(lambda: rulebook.said().count("1 refused, in base64 why: ") == len(alerts) - len(sent), "what is no alert to be named", timeout=60)
            assert not rulebook.ended()
        finally:
            rulebook.close()
    finally:
        awx.close()
    assert (hostile.raw(rulebook.said()), hostile.evaluated(rulebook.said())) == ([], [])
    assert [job["limit"] for job in awx.launched] == ["localhost,all"] * len(sent)
    jobs = sorted((job["extra_vars"] for job in awx.launched), key=lambda given: str(given["riposte_alert_id"]))
    sent.sort(key=lambda each: each.id)
    contents = [base64.b64decode(given["riposte_alert_b64"], validate=True) for given in jobs]
    assert [json.loads(content) for content in contents] == [json.loads(each.line) for each in sent]
    assert [given | {"riposte_alert_b64": ""} for given in jobs] == [typed(each) for each in sent]

    # What the jobs do: the playbook with these variables, of all in one. AWX itself is not run here.
    (tmp_path / "use.yml").write_text(USE)
    everything = base64.b64encode(b"\n".join(contents)).decode()
    more = {"riposte_policy": str(rulebook.policy), "riposte_audit": "", "jobs": jobs, "out": str(tmp_path / "out.json")}
    (tmp_path / "job.json").write_text(json.dumps({**jobs[0], "riposte_alert_b64": everything, **more}))
    for core in ("2.16", "newest"):
        words = ["use.yml", "riposte.active_response.respond", "-e", f"@{tmp_path / 'job.json'}", "--limit", "localhost,all", "-v"]
        done = lab.ansible("ansible-playbook", *words, core=core, cwd=tmp_path)
        assert done.rc == 0, done.stdout
        assert (hostile.raw(done.stdout), hostile.evaluated(done.stdout)) == ([], [])
        assert json.loads((tmp_path / "out.json").read_text()) == jobs
        assert blocked(web[0], hostile.ATTACKER)
        web[0].inside(["nft", "delete", "table", "inet", "riposte"])
    assert not blocked(web[1], hostile.ATTACKER)
    assert canaries.sung(*web, directory=tmp_path) == []


def typed(each: Hostile) -> dict[str, Any]:
    """What a job is told beside the alert itself, as text."""
    sent = json.loads(each.line)
    rule, agent, address = (
        (sent["wazuh"]["rule"]["id"], sent["wazuh"]["agent"]["id"], sent["source"]["ip"])
        if "wazuh" in sent
        else (sent["rule"]["id"], sent["agent"]["id"], sent["data"]["srcip"])
    )
    told = {"riposte_alert_b64": "", "riposte_alert_id": each.id, "riposte_rule_id": rule, "riposte_level": 12 if "wazuh" in sent else 10}
    return {**told, "riposte_agent_id": agent, "riposte_address": address if each.says in (hostile.BOTH, hostile.BLOCK) else ""}
