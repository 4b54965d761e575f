# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook import_ossec, as its user types it; and what it makes is what `respond` and the hosts understand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.modules import module
from tests.lab import Host, Lab
from tests.lab.system import Completed
from tests.ossec_corpus import HERE

ALERT = Path(__file__).parents[1] / "alerts/gen-sshd-5712-bruteforce.json"
ATTACKER = "203.0.113.9"
BOTH = pytest.mark.parametrize("core", ["2.16", "newest"])
OSSEC = """\
<ossec_config>
  <global>
    <white_list>203.0.113.0/28</white_list>
    <white_list>2001:db8:5::1</white_list>
    <white_list>{{ lookup('pipe', 'touch hit') }}</white_list>
  </global>
  <command>
    <name>drop-{{ lookup('pipe', 'touch hit') }}</name>
    <executable>firewall-drop</executable>
    <timeout_allowed>yes</timeout_allowed>
  </command>
  <active-response>
    <command>drop-{{ lookup('pipe', 'touch hit') }}</command>
    <location>local</location>
    <level>10</level>
    <rules_group>{{ lookup('pipe', 'touch hit') }}|web</rules_group>
    <timeout>600</timeout>
  </active-response>
</ossec_config>
"""


@pytest.fixture(scope="module")
def web1(lab: Lab) -> Iterator[Host]:
    host = lab.add_host("web1", wazuh_agent_id="001")
    yield host
    lab.remove(host)


class Controller:
    """Somebody who types ansible-playbook in a directory with an ossec.conf in it."""

    def __init__(self, lab: Lab, directory: Path, core: str) -> None:
        self.lab, self.directory, self.core = lab, directory, core
        (directory / "ossec.conf").write_bytes((HERE / "level_or_group_or_id.conf").read_bytes())
        (directory / "agent.conf").write_bytes((HERE / "agent.conf").read_bytes())

    def imports(self, *words: str) -> Completed:
        return self.run("import_ossec", "-e", "riposte_ossec_conf=ossec.conf", "-e", "riposte_out=made", *words)

    def responds(self, *words: str) -> Completed:
        return self.run("respond", "-e", f"riposte_alerts={ALERT}", "-e", "riposte_policy=made/policy.yml", *words)

    def run(self, playbook: str, *words: str) -> Completed:
        return self.lab.ansible("ansible-playbook", f"riposte.active_response.{playbook}", *words, core=self.core, cwd=self.directory)

    def made(self, name: str) -> Path:
        return self.directory / "made" / name


@pytest.fixture
def controller(lab: Lab, tmp_path: Path, core: str) -> Controller:
    return Controller(lab, tmp_path, core)


@BOTH
def test_it_is_imported_once_and_shown_before(controller: Controller) -> None:
    check = controller.imports("-e", "riposte_agent_conf=agent.conf", "--check", "--diff")
    assert not (controller.directory / "made").exists()
    run = controller.imports("-e", "riposte_agent_conf=agent.conf", "--diff")
    again = controller.imports("-e", "riposte_agent_conf=agent.conf", "--diff")
    assert [each.rc for each in (check, run, again)] == [0, 0, 0], run.stdout + run.stderr
    for each in (check, run):
        assert "changed=1" in each.stdout
        assert '+  - name: "firewall-drop (ossec.conf, line 9) level"' in each.stdout
        assert "rule 5712 is silent for 60 seconds" in each.stdout
        assert "repeated_offenders: [30m, 2h, 1d, 366d]" in each.stdout
    assert "changed=0" in again.stdout
    assert "+  - name" not in again.stdout
    assert sorted(path.name for path in controller.made("").iterdir()) == ["guard.conf", "notes.md", "policy.yml"]


@BOTH
def test_what_was_edited_is_kept_unless_it_is_said(controller: Controller) -> None:
    controller.imports()
    policy = controller.made("policy.yml")
    imported = policy.read_text()
    policy.write_text(imported.replace("mode: observe", "mode: enforce"))
    refused = controller.imports()
    assert refused.rc != 0
    assert "made/policy.yml: import_ossec did not write this file, or it was edited since" in refused.stdout
    assert "mode: enforce" in policy.read_text()
    assert controller.imports("-e", "riposte_force=true").rc == 0
    assert policy.read_text() == imported


@BOTH
def test_what_must_be_named_is_asked_for(controller: Controller) -> None:
    nameless = controller.run("import_ossec", "-e", "riposte_out=made")
    assert nameless.rc != 0
    assert "say what to read and where to write: -e riposte_ossec_conf=FILE" in nameless.stdout
    (controller.directory / "ossec.conf").write_text("<ossec_config>\n<command>\n</ossec_config>\n")
    broken = controller.imports()
    assert broken.rc != 0
    assert "ossec.conf, line 3: </ossec_config> stands where <command> of line 2 should end" in broken.stdout
    assert not (controller.directory / "made").exists()


@BOTH
def test_the_policy_answers_a_real_alert(controller: Controller, web1: Host) -> None:
    """By its group and by its rule id, of one active response: the alert is answered once."""
    controller.imports("-e", "riposte_agent_conf=agent.conf")
    observed = controller.responds()
    assert observed.rc == 0, observed.stdout
    would = [line.split() for line in observed.stdout.splitlines() if "would" in line]
    assert len(would) == 2
    assert all(ATTACKER in words and "web1," not in words for words in would)

    policy = controller.made("policy.yml")
    policy.write_text(policy.read_text().replace("mode: observe", "mode: enforce"))
    planned = controller.responds("--check", "--diff")
    assert planned.rc == 0, planned.stdout + planned.stderr
    assert planned.stdout.count(f"+firewall_drop {ATTACKER}: present") == 1
    assert "changed=1" in planned.stdout
    assert ATTACKER not in web1.inside(["nft", "list", "ruleset"]).stdout


@BOTH
def test_nothing_in_the_file_is_a_template_and_the_guard_file_holds(controller: Controller, web1: Host, core: str) -> None:
    (controller.directory / "ossec.conf").write_text(OSSEC)
    run = controller.imports("--diff")
    assert run.rc == 0, run.stdout + run.stderr
    assert "touch hit" in run.stdout
    observed = controller.responds()
    assert f"firewall_drop  {ATTACKER}  web1" in observed.stdout
    assert [*controller.directory.glob("**/hit")] == []
    assert not Path("hit").exists()

    web1.put("/etc/riposte/guard.conf", controller.made("guard.conf").read_text())
    answer = module(controller.lab, web1, "firewall_drop", core=core, check=True, targets=[ATTACKER, "2001:0DB8:5:0::1", "203.0.113.16"], timeout="10m")
    web1.ssh("rm /etc/riposte/guard.conf")
    assert [each["outcome"] for each in answer["responses"]] == ["refused", "refused", "done"]
    assert "never:203.0.113.0/28" in answer["responses"][0]["message"]
