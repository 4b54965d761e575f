# SPDX-License-Identifier: GPL-3.0-or-later
"""No field of an alert is evaluated: not as a template on the controller, not by a shell there or on the host, on neither ansible-core.

Each text field of a Wazuh 4 and a Wazuh 5 alert is replaced in turn by text that leaves a file behind when anything evaluates it.
"""

from __future__ import annotations

import glob
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab

SAMPLES = Path(__file__).parents[1] / "alerts"
POLICY = """
mode: enforce
find_hosts_by_name: true
rules:
  - name: brute force
    match: {rule_ids: ["5712", "5db5e8e9-85f4-5cac-b97a-9eb39f16aa33"]}
    responses:
      - {response: firewall_drop, timeout: 10m}
      - {response: firewall_drop, timeout: 10m, hosts: all}
      - {response: disable_account, permanent: true}  # an end would need a tick on the host
"""

# What people do with a plan. Whatever passes here must come out as the text that went in.
USE = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - riposte.active_response.plan: {alerts: "{{ alerts }}", policy: "{{ policy }}"}
      register: plan
    - ansible.builtin.set_fact:
        again: "{{ plan.decisions | map(attribute='why') | list }}"
        one: "{{ plan.hosts.values() | first | map(attribute='reason') | list }}"
    - ansible.builtin.debug: {msg: "{{ again }} {{ one }}"}
    - ansible.builtin.debug: {msg: "{{ item }}"}
      loop: "{{ one | select('search', 'canary') + plan.problems }}"
    - ansible.builtin.debug: {var: item.reason}
      loop: "{{ plan.hosts.values() | flatten | selectattr('reason', 'search', 'canary') }}"
      when: item.reason is string and item.reason != ''
    - ansible.builtin.debug: {msg: "{{ plan.hosts.values() | flatten | riposte.active_response.table(['reason']) | join('; ') }}"}
    - ansible.builtin.add_host: {name: "made", reasons: "{{ one }}"}
    - ansible.builtin.debug: {msg: "{{ hostvars['made'].reasons }}"}
    - ansible.builtin.copy: {content: "{{ plan | to_json }}", dest: "{{ out }}", mode: "0600"}
"""

# The same text, vouched for by the user: this is what being evaluated looks like.
TRAP = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug: {msg: "{{ vouched_for }}"}
    - ansible.builtin.shell: "{{ command }}"
"""


class Canaries:
    """Texts that leave a file behind when they are evaluated, and a look at whether one did."""

    def __init__(self) -> None:
        self.stem = f"/tmp/riposte-canary-{uuid.uuid4().hex[:8]}"
        self.number = 0

    def template(self) -> str:
        return f"{{{{ lookup('pipe', 'touch {self._next()}') }}}}"

    def shell(self) -> str:
        path = self._next()
        return f"x'$(touch {path})`touch {path}`; touch {path} #"

    def sung(self, host: Host | None = None) -> list[str]:
        here = glob.glob(f"{self.stem}*")
        return here + (host.inside(["sh", "-c", f"ls -d {self.stem}* 2>/dev/null || :"]).stdout.split() if host else [])

    def _next(self) -> str:
        self.number += 1
        return f"{self.stem}-{self.number}"


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    canaries = Canaries()
    yield canaries
    for path in canaries.sung():
        Path(path).unlink()


@pytest.fixture
def web1(lab: Lab) -> Iterator[Host]:
    host = lab.add_host("web1", wazuh_agent_id="001")
    host.inside(["useradd", "--create-home", "mallory"])
    yield host
    lab.remove(host)


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Where in an alert there is text."""
    if isinstance(value, str):
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*path, key))


def hostile_alerts(canaries: Canaries) -> list[dict[str, Any]]:
    four = json.loads((SAMPLES / "gen-sshd-5712-bruteforce.json").read_text())
    four["data"]["dstuser"] = "mallory"
    five = json.loads((SAMPLES / "wazuh5-ssh-brute-force.json").read_text()) | {"id": "wazuh5"}
    alerts = []
    for base in (four, five):
        for place in places(base):
            for text in (canaries.template(), canaries.shell()):
                alert = json.loads(json.dumps(base)) | {"id": f"{base['id']}-{len(alerts)}"}
                holder: Any = alert
                for key in place[:-1]:
                    holder = holder[key]
                holder[place[-1]] = text
                alerts.append(alert)
        alerts.append(base | {"id": f"{base['id']}-{len(alerts)}", canaries.template(): {canaries.shell(): canaries.template()}})
    # The first reason given for a block is what the host keeps.
    return sorted(alerts, key=lambda alert: not alert.get("rule", {}).get("description", "").startswith("{{"))


def answered(alerts: list[dict[str, Any]], plan: dict[str, Any]) -> None:
    """Each alert has its outcome; an id that is no id cannot be named, its line is."""
    told = {decision["alert_id"] for decision in plan["decisions"]} | {f"line {problem.split(', line ')[1].split(':')[0]}" for problem in plan["problems"]}
    assert {alert["id"] if f"line {line}" not in told else f"line {line}" for line, alert in enumerate(alerts, 1)} == told


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_no_field_of_an_alert_is_evaluated(lab: Lab, web1: Host, canaries: Canaries, tmp_path: Path, core: str) -> None:
    alerts = hostile_alerts(canaries)
    assert len(alerts) > 100
    for name, text in {"policy.yml": POLICY, "use.yml": USE, "alerts.jsonl": "".join(json.dumps(alert) + "\n" for alert in alerts)}.items():
        (tmp_path / name).write_text(text)
    files = ["-e", "riposte_alerts=alerts.jsonl", "-e", "riposte_policy=policy.yml"]
    for flags in (["--check", "--diff"], ["--diff", "-v"]):
        run = lab.ansible("ansible-playbook", "riposte.active_response.respond", *files, *flags, core=core, cwd=tmp_path)
        assert canaries.sung(web1) == []
        assert run.rc == 0, run.stdout
    assert web1.inside(["nft", "list", "table", "inet", "riposte"]).stdout.count("203.0.113.9") == 1

    described = alerts[0]
    reason = f"brute force (Wazuh rule 5712, level 10: {described['rule']['description']})"
    report = lab.ansible("ansible-playbook", "riposte.active_response.report", "-v", core=core)
    assert report.rc == 0, report.stdout
    assert reason in report.stdout
    use = ["-e", "alerts=alerts.jsonl", "-e", "policy=policy.yml", "-e", f"out={tmp_path}/plan.json"]
    used = lab.ansible("ansible-playbook", "use.yml", *use, core=core, cwd=tmp_path)
    assert used.rc == 0, used.stdout
    release = lab.ansible("ansible-playbook", "riposte.active_response.release", "-e", "riposte_target=203.0.113.9", "-v", core=core)
    assert release.rc == 0, release.stdout
    assert canaries.sung(web1) == []

    plan = json.loads((tmp_path / "plan.json").read_text())
    answered(alerts, plan)
    reasons = {request["alert_id"]: request["reason"] for request in plan["hosts"]["web1"]}
    assert reasons[described["id"]] == reason


@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_the_canaries_sing_when_they_are_evaluated(lab: Lab, canaries: Canaries, tmp_path: Path, core: str) -> None:
    (tmp_path / "trap.yml").write_text(TRAP)
    (tmp_path / "vars.json").write_text(json.dumps({"vouched_for": canaries.template(), "command": "echo " + canaries.shell().replace("'", "")}))
    lab.ansible("ansible-playbook", "trap.yml", "-e", "@vars.json", core=core, cwd=tmp_path, check=True)
    assert sorted(canaries.sung()) == [f"{canaries.stem}-1", f"{canaries.stem}-2"]
