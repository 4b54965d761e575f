# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks for other people's event sources, in a real ansible-rulebook: what an attacker wrote reaches the hosts as text, and AWX in base64 only."""

from __future__ import annotations

import base64
import glob
import http.server
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab, wait_for
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
    yield host
    lab.remove(host)


@pytest.fixture
def stem(web1: Host) -> Iterator[str]:
    """How the files begin that hostile texts leave behind when anything evaluates them."""
    stem = f"/tmp/riposte-canary-{uuid.uuid4().hex[:8]}"
    yield stem
    for path in glob.glob(f"{stem}*"):
        Path(path).unlink()


def sung(stem: str, host: Host) -> list[str]:
    return glob.glob(f"{stem}*") + host.inside(["sh", "-c", f"ls -d {stem}* 2>/dev/null || :"]).stdout.split()


def hostile(stem: str) -> list[dict[str, Any]]:
    """Alerts that are in order where the policy looks, and hostile where an attacker writes."""
    template, shell = f"{{{{ lookup('pipe','touch {stem}-t') }}}}", f"'; touch {stem}-s; $(touch {stem}-s) #"
    one, two = alert("evil-1", address="203.0.113.21"), alert("evil-2", address="203.0.113.22")
    one["data"] |= {"srcuser": template, "dstuser": shell, template: {shell: template}}
    one["rule"] |= {"description": template, "groups": [*one["rule"]["groups"], template, shell]}
    one |= {"full_log": f"{template} {shell} \x1b[2J\u202e\x00", "location": template, "meta": {"hosts": "all"}, "predecoder": {"hostname": template}}
    two["agent"]["name"] = template
    two |= {"full_log": "{% for x in range(9) %}{{ x }}{% endfor %}{# c #}", "manager": {"name": shell}, "decoder": {"name": template}}
    return [one, two]


def listening(rulebook: Rulebook) -> None:
    wait_for(lambda: rulebook.ended() or rulebook._open(rulebook.port), "the rulebook to listen", timeout=60)
    assert not rulebook.ended(), rulebook.said()


def started(lab: Lab, directory: Path, name: str, **env: str) -> Rulebook:
    rulebook = Rulebook(lab, directory, POLICY, riposte_webhook_token=TOKEN, riposte_audit=str(directory / "audit.jsonl"))
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


def test_an_event_stream_blocks_who_attacks_and_evaluates_nothing(lab: Lab, web1: Host, stem: str, tmp_path: Path) -> None:
    rulebook = started(lab, tmp_path, "wazuh_event_stream")
    try:
        assert rulebook.post(alert("unknown")).status == 401
        for sent in (*hostile(stem), {"rule": {"id": "{{ 7 }}"}}, alert("last", address="203.0.113.23")):
            assert rulebook.post(sent, headers=BEARER).status == 200
        wait_for(lambda: blocked(web1, "203.0.113.23"), f"the last attacker to be blocked: {rulebook.said()[-3000:]}", timeout=60)
        assert blocked(web1, "203.0.113.21")
        assert blocked(web1, "203.0.113.22")
        assert sung(stem, web1) == []
        assert "1 refused, in base64 why: " in rulebook.said()
        wait_for(lambda: rulebook.said().count("PLAY RECAP") == 3, "three runs to end", timeout=60)
        assert rulebook.post(hostile(stem)[0], headers=BEARER).status == 200  # once more: it has its answer
        assert rulebook.post(alert("after", address="203.0.113.24"), headers=BEARER).status == 200
        wait_for(lambda: blocked(web1, "203.0.113.24"), "the one after it", timeout=60)
        wait_for(lambda: rulebook.said().count("PLAY RECAP") > 3, "its run to end", timeout=60)
        assert rulebook.said().count("PLAY RECAP") == 4
    finally:
        rulebook.close()
    said = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    done = {(each["alert_id"], each["host"], each["target"]) for each in said if each["event"] == "outcome" and each["outcome"] == "done"}
    assert done == {(name, "web1", f"203.0.113.{last}") for name, last in (("evil-1", 21), ("evil-2", 22), ("last", 23), ("after", 24))}
    assert (tmp_path / "audit.jsonl").read_bytes().isascii()


class Awx:
    """A stand-in for AWX: one job template, whose launches it keeps. Every job has succeeded."""

    def __init__(self, lab: Lab) -> None:
        self.launched: list[dict[str, Any]] = []
        awx = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asks = {f"ask_{what}_on_launch": True for what in ("limit", "labels", "inventory", "variables")}
                template = {"type": "job_template", "name": "Respond to an alert", "id": 7, "related": {"launch": "/api/v2/job_templates/7/launch/"}, **asks}
                template["summary_fields"] = {"organization": {"name": "Default"}}
                jobs = [{"id": number, "status": "successful", "url": f"/api/v2/jobs/{number}/"} for number, _job in enumerate(awx.launched, 1)]
                kinds = {"unified_job_templates": [template], "jobs": jobs, "organizations": [{"id": 1, "name": "Default"}], "labels": [], "config": []}
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


def test_awx_gets_typed_fields_and_base64_and_its_job_blocks(lab: Lab, web1: Host, stem: str, tmp_path: Path) -> None:
    awx = Awx(lab)
    try:
        rulebook = started(lab, tmp_path, "wazuh_awx", EDA_CONTROLLER_URL=awx.url, EDA_CONTROLLER_TOKEN="awx")
        try:
            evil = hostile(stem)[0] | {"id": "evil-awx"}
            evil["data"]["srcip"] = "203.0.113.31"
            assert rulebook.post(evil, headers=BEARER).status == 200
            wait_for(lambda: awx.launched, f"a job to be launched: {rulebook.said()[-3000:]}", timeout=60)
        finally:
            rulebook.close()
    finally:
        awx.close()
    [job] = awx.launched
    given = job["extra_vars"]
    assert json.loads(base64.b64decode(given.pop("riposte_alert_b64"), validate=True)) == evil
    typed = {"riposte_alert_id": "evil-awx", "riposte_rule_id": 5712, "riposte_level": 10, "riposte_agent_id": "001", "riposte_address": "203.0.113.31"}
    assert given == typed
    assert job["limit"] == "localhost,all"

    # What the job does: the playbook with these variables. AWX itself is not run here.
    (tmp_path / "job.json").write_text(json.dumps({**job["extra_vars"], "riposte_alert_b64": base64.b64encode(json.dumps(evil).encode()).decode()}))
    words = ["-e", f"@{tmp_path / 'job.json'}", "-e", f"riposte_policy={rulebook.policy}", "--limit", job["limit"]]
    for core in ("2.16", "newest"):
        done = lab.ansible("ansible-playbook", "riposte.active_response.respond", *words, core=core)
        assert done.rc == 0, done.stdout
        assert blocked(web1, "203.0.113.31")
        web1.inside(["nft", "delete", "table", "inet", "riposte"])
    assert sung(stem, web1) == []
