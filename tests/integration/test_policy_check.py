# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook policy_check, as its user types it: a bad policy fails with its lines, a good one shows what it would do, and nothing is done or evaluated."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.response import printable

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests/alerts"
CORES = {"2.16": ROOT / ".venv-2.16", "newest": ROOT / ".venv"}
INVENTORY = """
all:
  hosts:
    wazuh: {wazuh_agent_id: "000", ansible_host: "{{ lookup('pipe', 'touch hit') }}"}
    scanner: {ansible_host: 203.0.113.250}
  children:
    web:
      hosts:
        web1: {wazuh_agent_id: "001"}
        web2: {wazuh_agent_id: "002"}
"""
POLICY = """
mode: observe
allow:
  addresses: [198.51.100.0/24]
  hosts: [scanner]
  cdb_lists: [partners]
breakers: {blocks_per_minute: 3}
rules:
  - name: ssh
    mode: enforce
    match: {rule_ids: ["5712"]}
    responses:
      - {response: firewall_drop, timeout: 10m, hosts: {groups: [web]}}
      - {response: firewall_drop, timeout: 10m, hosts: server}
  - name: accounts
    match: {rule_ids: ["5712"], fields: {decoder.name: sshd}}
    responses: [{response: disable_account, timeout: 1h}]
"""


class Controller:
    """Somebody who types ansible-playbook in a directory with a policy and an inventory in it."""

    def __init__(self, directory: Path, core: str) -> None:
        self.directory = directory
        self.venv = CORES[core]
        for name, text in (("policy.yml", POLICY), ("inventory.yml", INVENTORY), ("partners", "203.0.113.200:partner\n"), ("ansible.cfg", "[defaults]\n")):
            (directory / name).write_text(text)

    def check(self, *words: str, policy: str | None = None, alerts: list[Any] | None = None) -> subprocess.CompletedProcess[str]:
        if policy is not None:
            (self.directory / "policy.yml").write_text(policy)
        if alerts is not None:
            (self.directory / "alerts.json").write_text("".join(json.dumps(alert) + "\n" for alert in alerts))
            words = ("-e", "riposte_alerts=alerts.json", *words)
        command = [str(self.venv / "bin/ansible-playbook"), "riposte.active_response.policy_check", "-e", "riposte_policy=policy.yml", *words]
        env = {
            "PATH": f"{self.venv}/bin:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": "ansible.cfg",
            "ANSIBLE_HOME": str(self.directory / ".ansible"),
            "ANSIBLE_INVENTORY": "inventory.yml",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv/collections"),
            "ANSIBLE_NOCOLOR": "1",
        }
        return subprocess.run(command, cwd=self.directory, env=env, capture_output=True, text=True, check=False, timeout=300)

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.directory / "report.json").read_text())
        return report

    def files(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()} - {".ansible"}


@pytest.fixture(params=CORES)
def controller(tmp_path: Path, request: pytest.FixtureRequest) -> Controller:
    return Controller(tmp_path, request.param)


def alert(number: int, srcip: str = "", rule: str = "5712", **more: Any) -> dict[str, Any]:
    [sample] = [json.loads((SAMPLES / "gen-sshd-5712-bruteforce.json").read_text())]
    sample["rule"]["id"] = rule
    sample["data"] = {"srcip": srcip or f"203.0.113.{number}", "dstuser": f"user{number}"}
    return {**sample, "id": str(number), **more}


def test_a_bad_policy_fails_with_the_line_and_key_of_each_error(controller: Controller) -> None:
    bad = POLICY.replace("mode: enforce", "mode: enforse").replace("timeout: 10m, hosts: server", "timout: 10m, hosts: sever")
    run = controller.check("-e", "riposte_report=report.json", policy=bad)
    assert run.returncode != 0
    told = re.findall(r'"(\d+) +(\S+?): .*"', run.stdout)
    assert told == [
        ("10", "rules[0].mode"),
        ("14", "rules[0].responses[1].timout"),
        ("14", "rules[0].responses[1]"),
        ("14", "rules[0].responses[1].hosts"),
    ]
    assert "policy.yml: 4 errors, told above" in run.stdout + run.stderr
    assert [(error["line"], error["key"]) for error in controller.report()["errors"]] == [(int(line), key) for line, key in told]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("mode: [", "it is not YAML"),
        (POLICY.replace("hosts: [scanner]", "hosts: [wazuh]"), "which is no address as it stands"),
        (None, "policy.yml: cannot be read"),
    ],
)
def test_what_cannot_be_used_at_all_fails_too(controller: Controller, policy: str | None, said: str) -> None:
    if policy is None:
        (controller.directory / "policy.yml").unlink()
    run = controller.check(policy=policy)
    assert run.returncode != 0
    assert said in run.stdout + run.stderr
    assert "hit" not in controller.files()


def test_what_it_would_do_and_why_not(controller: Controller) -> None:
    before = controller.files()
    alerts = [
        alert(1),
        alert(2, "198.51.100.9"),
        alert(3, "203.0.113.250"),
        alert(4, "203.0.113.200"),
        alert(5, "127.0.0.1"),
        alert(6),
        alert(7),
        alert(8, rule="651"),
        alert(9, rule="1002"),
    ]
    run = controller.check("-e", "riposte_report=report.json", alerts=alerts)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "changed=0" in run.stdout
    assert controller.files() == before | {"report.json", "alerts.json"}
    report = controller.report()
    of_web = {row["alert_id"]: (row["outcome"], row["hosts"]) for row in report["decisions"] if row["rule"] == "ssh" and row["hosts"] != ["wazuh"]}
    web = ["web1", "web2"]
    assert of_web == {
        "1": ("planned", web),
        "2": ("nothing", []),
        "3": ("nothing", []),
        "4": ("nothing", []),
        "5": ("refused", web),
        "6": ("planned", web),
        "7": ("held", web),
    }
    assert [row["hosts"] for row in report["decisions"] if row["alert_id"] == "1"] == [web, ["wazuh"], ["web1"]]
    assert [row["outcome"] for row in report["decisions"] if row["rule"] == "accounts"] == ["would"] * 7
    assert report["held_by"] == {"blocks_per_minute": 2}
    assert {(row["alert_rule"], row["why"][:30]) for row in report["unanswered"]} == {
        ("651", "it is about an active response"),
        ("1002", "no rule of the policy matches "),
    }
    for line in (
        r'"7 +5712 +ssh +held +firewall_drop +203.0.113.7 +web1, web2 +blocks_per_minute +data.srcip; hosts of web; held by breaker blocks_per_minute: 3 addr',
        r'"2 +5712 +ssh +nothing +firewall_drop +198.51.100.9 +- +- +data.srcip; it is on the policy.s allow list: allow.addresses\[0\], 198.51.100.0/24',
        r'"5 +5712 +ssh +refused .* each host.s guard refuses it: 127.0.0.1 is refused: it is a loopback address',
        r'"ssh +enforce +firewall_drop +4 +0 +0 +2 +2 +6"',
        r"9 alerts in 1 runs, .*; held 2, nothing 8, pending 0, planned 4, refused 2, would 7; 0 more decisions are not shown. Nothing was done.",
    ):
        assert re.search(line, run.stdout), line


def test_nothing_of_an_alert_is_evaluated_or_reaches_the_terminal_raw(controller: Controller) -> None:
    evil = "{{ lookup('pipe', 'touch hit') }}\x1b[2J\u202e\x07"
    alerts = [
        alert(1, evil),
        {**alert(2), "agent": {"id": "001", "name": evil}},
        alert(3, rule="1002", full_log=evil),
        {**alert(4), "rule": {"id": "5712", "level": 10, "description": evil, "groups": [evil]}},
        {**alert(5), "id": evil},
        {**alert(6), "data": {"dstuser": evil}},
    ]
    run = controller.check("-e", "riposte_report=report.json", alerts=alerts)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "hit" not in controller.files()
    shown = run.stdout + run.stderr
    assert printable(shown.replace("\n", ""), len(shown)) == shown.replace("\n", "")
    assert "lookup('pipe', 'touch hit')" in shown
    assert controller.report()["alerts"] == 5


def test_a_policy_is_checked_without_alerts_and_a_directory_of_them_is_read(controller: Controller) -> None:
    alone = controller.check("--check")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert "ssh       enforce  firewall_drop    address  groups web  10m     rule_ids 5712" in alone.stdout
    assert "Nothing was done" not in alone.stdout
    run = controller.check("-e", f"riposte_alerts={SAMPLES}", "-e", "riposte_report=report.json", "-e", "riposte_most=3")
    assert run.returncode == 0, run.stdout + run.stderr
    report = controller.report()
    assert report["alerts"] >= 642
    assert len(report["decisions"]) == 3
    assert sum(report["outcomes"].values()) >= report["alerts"]


def test_the_example_policy_passes(controller: Controller) -> None:
    run = controller.check(policy=(ROOT / "docs/policy-example.yml").read_text(), alerts=[alert(1)])
    assert run.returncode == 0, run.stdout + run.stderr
    assert "talks to a control server" in run.stdout
