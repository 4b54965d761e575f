# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks respond, report and release: they run on exactly the hosts they should, and say what they did and did not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.modules import module
from tests.lab import Host, Lab
from tests.lab.system import Completed

SAMPLES = Path(__file__).parents[1] / "alerts"
ALERT = SAMPLES / "gen-sshd-5712-bruteforce.json"
ATTACKER = "203.0.113.9"
BOTH = pytest.mark.parametrize("core", ["2.16", "newest"])
POLICY = """
mode: {mode}
rules:
  - name: ssh
    match: {{rule_ids: ["5712"]}}
    responses: [{{response: firewall_drop, timeout: 10m, hosts: {hosts}}}]
"""


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[list[Host]]:
    hosts = [lab.add_host(name, wazuh_agent_id=agent, groups=["web"]) for name, agent in (("web1", "001"), ("web2", "002"))]
    yield hosts
    for host in hosts:
        lab.remove(host)


class Controller:
    """Somebody who types ansible-playbook in a directory with a policy in it."""

    def __init__(self, lab: Lab, hosts: list[Host], directory: Path, core: str) -> None:
        self.lab, self.hosts, self.directory, self.core = lab, hosts, directory, core
        self.policy()

    def policy(self, hosts: str = "own", mode: str = "enforce", text: str = POLICY) -> None:
        (self.directory / "policy.yml").write_text(text.format(hosts=hosts, mode=mode))

    def respond(self, *words: str, alerts: Path | str = ALERT) -> Completed:
        return self.run("respond", "-e", f"riposte_alerts={alerts}", "-e", "riposte_policy=policy.yml", *words)

    def run(self, playbook: str, *words: str) -> Completed:
        return self.lab.ansible("ansible-playbook", f"riposte.active_response.{playbook}", *words, core=self.core, cwd=self.directory)

    def blocked(self) -> list[str]:
        """The hosts on which the attacker is blocked."""
        rules = {host.name: host.inside(["nft", "list", "ruleset"]).stdout for host in self.hosts}
        return [name for name, text in rules.items() if ATTACKER in text]


@pytest.fixture
def controller(lab: Lab, hosts: list[Host], tmp_path: Path, core: str) -> Iterator[Controller]:
    controller = Controller(lab, hosts, tmp_path, core)
    yield controller
    if controller.blocked():
        controller.run("release", "-e", f"riposte_target={ATTACKER}")
        assert controller.blocked() == []


@BOTH
def test_an_alert_is_answered_on_its_own_agent_once(controller: Controller) -> None:
    check = controller.respond("--check", "--diff")
    assert controller.blocked() == []
    run = controller.respond("--diff")
    assert controller.blocked() == ["web1"]
    again = controller.respond("--diff")
    assert [each.rc for each in (check, run, again)] == [0, 0, 0]
    assert all(f"+firewall_drop {ATTACKER}: present" in each.stdout for each in (check, run))
    assert "changed=1" in check.stdout
    assert "changed=1" in run.stdout
    assert "changed=1" not in again.stdout
    assert all("web2" not in each.stdout for each in (check, run, again))

    report = controller.run("report")
    [row] = [line for line in report.stdout.splitlines() if ATTACKER in line]
    assert row.split('"')[1].split()[:4] == ["web1", ATTACKER, "firewall_drop", "True"]
    assert "ssh (Wazuh rule 5712, level 10: sshd: brute force" in row

    release = controller.run("release", "-e", "riposte_target=1795492383.6793")
    assert release.rc == 0
    assert controller.blocked() == []
    [web2] = [line.split() for line in release.stdout.splitlines() if "nothing stands under this name" in line]
    assert web2[:3] == ['"1795492383.6793', "-", "unchanged"]
    assert "nothing stands on these hosts" in controller.run("report").stdout


@BOTH
@pytest.mark.parametrize("hosts_said", ["all", "{{groups: [web]}}"])
def test_the_policy_may_name_more_hosts(controller: Controller, hosts_said: str) -> None:
    controller.policy(hosts_said.replace("{{", "{").replace("}}", "}"))
    assert controller.respond().rc == 0
    assert controller.blocked() == ["web1", "web2"]


@BOTH
def test_observing_changes_nothing_and_says_what_would_be_done(controller: Controller) -> None:
    controller.policy("all", "observe")
    run = controller.respond()
    assert run.rc == 0
    assert "would    ssh   firewall_drop  203.0.113.9  web1, web2" in run.stdout
    assert "Nothing is to be done on any host" in run.stdout
    assert controller.blocked() == []


@BOTH
def test_an_agent_that_is_no_host_means_nobody(controller: Controller) -> None:
    alert = json.loads(ALERT.read_text())
    alert["agent"] = {"id": "099", "name": "web2"}
    (controller.directory / "alert.json").write_text(json.dumps(alert))
    run = controller.respond(alerts="alert.json")
    assert run.rc == 0
    assert "agent 099: no host says that wazuh_agent_id" in run.stdout
    assert controller.blocked() == []


@BOTH
def test_a_batch_with_a_bad_line_does_the_rest_and_names_the_bad_one(controller: Controller) -> None:
    alert = json.dumps(json.loads(ALERT.read_text()))
    (controller.directory / "alerts.jsonl").write_text(f"{{broken\n{alert}\n{alert[:100]}\n")
    run = controller.respond(alerts="alerts.jsonl")
    assert run.rc == 0
    assert "alerts.jsonl, line 1: it is not JSON" in run.stdout
    assert "alerts.jsonl, line 3: it is not JSON" in run.stdout
    assert controller.blocked() == ["web1"]


@BOTH
@pytest.mark.parametrize("limit", ["web1", "web1,localhost"])
def test_a_limit_that_leaves_planned_hosts_or_the_plan_out_is_an_error(controller: Controller, limit: str) -> None:
    controller.policy("all")
    run = controller.respond("--limit", limit)
    assert run.rc != 0
    said = "the plan is for web1, web2, this play has web1; nothing was done" if "," in limit else "no plan was made, so nothing was done"
    assert said in run.stdout + run.stderr
    assert controller.blocked() == []


@BOTH
def test_what_is_wrong_with_the_files_is_said_and_nothing_is_done(controller: Controller) -> None:
    controller.policy(text="mode: maybe\nrules: [{{name: x}}]")
    wrong = controller.respond()
    assert "rules[0].match: None: it is missing" in wrong.stdout
    assert "rules[0].responses: None: it is missing" in wrong.stdout
    missing = controller.run("respond", "-e", f"riposte_alerts={ALERT}")
    assert "say which alerts and which policy" in missing.stdout
    assert 0 not in (wrong.rc, missing.rc)
    assert controller.blocked() == []


@BOTH
def test_a_response_that_comes_late_stands_shorter_and_one_that_comes_too_late_is_said(controller: Controller) -> None:
    late = controller.respond("-e", "riposte_since=2020-01-01T00:00:00Z")
    assert late.rc != 0
    assert "has passed, so nothing is put into force" in late.stdout
    assert controller.blocked() == []


@BOTH
@pytest.mark.parametrize("words", [[], ["-e", "riposte_target="]], ids=["nothing", "an empty text"])
def test_a_release_needs_a_name(controller: Controller, words: list[str]) -> None:
    assert controller.respond().rc == 0
    run = controller.run("release", *words)
    assert run.rc != 0
    assert "say what to release" in run.stdout
    assert controller.blocked() == ["web1"]


@BOTH
def test_an_empty_pattern_of_hosts_means_nobody(controller: Controller) -> None:
    assert controller.respond().rc == 0
    run = controller.run("release", "-e", f"riposte_target={ATTACKER}", "-e", "riposte_hosts=")
    assert "firewall_drop  done" not in run.stdout
    assert controller.blocked() == ["web1"]


@BOTH
def test_a_plan_reads_agent_ids_wherever_the_inventory_has_them(lab: Lab, tmp_path: Path, core: str) -> None:
    """Nothing is connected to: the hosts do not exist."""
    for name, text in {
        "inventory/hosts": "[web]\nweb1 wazuh_agent_id=001\nweb2 wazuh_agent_id=010\nweb3\nweb4 wazuh_agent_id='{{ broken'\n[one]\nweb5\n",
        "inventory/hosts.yml": "web: {hosts: {web6: {wazuh_agent_id: 012}, web7: {other: '{{ broken', wazuh_agent_id: '007'}}}",
        "inventory/host_vars/web3.yml": "wazuh_agent_id: '003'",
        "inventory/group_vars/one.yml": "wazuh_agent_id: '005'",
        "policy.yml": POLICY.format(mode="observe", hosts="own"),
        "plan.yml": """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - riposte.active_response.plan: {alerts: alerts.jsonl, policy: policy.yml}
      register: plan
    - ansible.builtin.copy: {content: "{{ plan | to_json }}", dest: plan.json, mode: "0600"}
""",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    alert = json.loads(ALERT.read_text())
    alerts = [alert | {"id": number, "agent": {"id": number}} for number in ("001", "003", "005", "007", "010", "012")]
    (tmp_path / "alerts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in alerts))
    lab.ansible("ansible-playbook", "-i", "inventory", "plan.yml", core=core, cwd=tmp_path, check=True)
    plan = json.loads((tmp_path / "plan.json").read_text())
    found = {decision["alert_id"]: decision["hosts"] for decision in plan["decisions"]}
    assert found == {"001": ["web1"], "003": ["web3"], "005": ["web5"], "007": ["web7"], "010": ["web2"], "012": []}
    assert sorted(problem.split(":")[0] for problem in plan["problems"]) == ["host web4", "host web6"]


@BOTH
@pytest.mark.parametrize("returned", ["changed", "failures"])
def test_what_is_recorded_must_be_returned_whole(lab: Lab, hosts: list[Host], tmp_path: Path, core: str, returned: str) -> None:
    """What a short answer leaves out would be recorded as unanswered."""
    responses = [{"response": "firewall_drop", "targets": [ATTACKER], "timeout": "10m"}]
    call = {"responses": responses, "audit": str(tmp_path / "audit.jsonl"), "returned": returned}
    done = module(lab, hosts[0], "respond", core=core, **call)
    assert done["failed"] and "returned: what goes into spool or audit must be returned whole; nothing was done here" in done["msg"]
    assert ATTACKER not in hosts[0].inside(["nft", "list", "ruleset"]).stdout
    assert not (tmp_path / "audit.jsonl").exists()


@BOTH
def test_a_windows_host_is_told_that_its_module_is_not_built_yet(lab: Lab, tmp_path: Path, core: str) -> None:
    (tmp_path / "inventory").write_text("win1 ansible_connection=local ansible_shell_type=powershell\n")
    (tmp_path / "play.yml").write_text("- hosts: win1\n  gather_facts: false\n  tasks: [{riposte.active_response.respond: {release: [x]}}]\n")
    run = lab.ansible("ansible-playbook", "-i", "inventory", "play.yml", "--check", core=core, cwd=tmp_path)
    assert run.rc != 0
    assert "this is a Windows host, and win_respond is not built yet; nothing was done here" in run.stdout
