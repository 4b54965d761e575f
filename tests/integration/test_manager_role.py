# SPDX-License-Identifier: GPL-3.0-or-later
"""The role manager on hosts with a manager's tree: it comes, says no when Wazuh does, and goes to the byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.modules import module, steps, task
from tests.integration.wazuh_tree import DEFAULT_MANAGER_CONF, HOME, lay_manager, snapshot, starts
from tests.lab import Host, Lab
from tests.lab.system import Completed

CONF = f"{HOME}/etc/ossec.conf"
RULES = f"{HOME}/etc/rules/riposte_rules.xml"
CONFIGURE = "Configure the commands, responses and rules, tested by the manager"
BY_SERVICE, BY_CONTROL = "Restart the manager by its service", "Restart the manager by wazuh-control"


def run_role(lab: Lab, host: Host, *words: str, core: str = "newest", **variables: Any) -> Completed:
    path = lab.directory / "manager.yml"
    path.write_text(f"- hosts: {json.dumps(host.name)}\n  gather_facts: false\n  become: true\n  roles: [riposte.active_response.manager]\n", encoding="utf-8")
    given = {f"riposte_manager_{name}": value for name, value in variables.items()}
    return lab.ansible("ansible-playbook", str(path), "-e", json.dumps(given), *words, core=core)


def apply(lab: Lab, host: Host, *words: str, core: str = "newest", **variables: Any) -> list[str]:
    """Runs the role; the tasks that changed something. AssertionError with all that it said when it fails."""
    done = run_role(lab, host, *words, core=core, **variables)
    assert done.rc == 0, done.stdout + done.stderr
    assert "DEPRECAT" not in done.stderr + done.stdout, done.stderr + done.stdout
    changed, task = [], ""
    for line in done.stdout.splitlines():
        if found := re.match(r"(?:TASK|RUNNING HANDLER) \[(?:riposte\.active_response\.manager : )?(.*)\] \*", line):
            task = found[1]
        elif line.startswith(f"changed: [{host.name}"):
            changed.append(task)
    return changed


def refused(lab: Lab, host: Host, *words: str, **variables: Any) -> str:
    """Runs the role, which must fail and leave the host as it is; what it said."""
    before = snapshot(host)
    done = run_role(lab, host, *words, **variables)
    assert done.rc != 0, done.stdout
    assert snapshot(host) == before
    assert starts(host) == []
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.fixture
def manager(host: Host) -> Host:
    """The module's host with a new manager's tree."""
    lay_manager(host)
    return host


# --- it comes, twice, changes, and goes ---------------------------------------------------------------------------------------------------


@pytest.mark.on("bookworm/3.9", "trixie")
def test_the_role_comes_once_changes_once_and_goes_to_the_byte(lab: Lab, host: Host) -> None:
    core, units = ("2.16", True) if host.suite == "trixie" else ("newest", False)
    lay_manager(host)
    if not units:
        host.inside(["systemctl", "stop", "wazuh-manager.service"])
        host.inside(["rm", "/etc/systemd/system/wazuh-manager.service"])
        host.inside(["systemctl", "daemon-reload"])
        host.inside(["rm", "-rf", "/run/wazuh-stand-in"])
    handler, asked = (BY_SERVICE, ["stop", "start"]) if units else (BY_CONTROL, ["restart"])
    before = snapshot(host)

    assert apply(lab, host, "--check", "--diff", core=core) == [CONFIGURE]
    assert (snapshot(host), starts(host)) == (before, [])
    assert apply(lab, host, core=core) == [CONFIGURE, handler]
    assert starts(host) == asked
    there = snapshot(host)
    assert {name for name in before.keys() | there.keys() if before.get(name) != there.get(name)} == {"etc/ossec.conf", "etc/rules/riposte_rules.xml"}
    assert there["etc/rules/riposte_rules.xml"].startswith("f 0660 wazuh:wazuh ")
    assert there["etc/ossec.conf"].startswith("f 0660 root:wazuh ")
    assert host.read(CONF).startswith(DEFAULT_MANAGER_CONF + "<!-- riposte: begin")
    assert apply(lab, host, core=core) == []
    assert apply(lab, host, "--check", core=core) == []
    assert (snapshot(host), starts(host)) == (there, asked)

    responses = [{"executable": "firewall-drop", "timeout": "1h", "rules_id": [5712, 5763]}]
    assert apply(lab, host, core=core, responses=responses) == [CONFIGURE, handler]
    assert "riposte-firewall-drop3600 - firewall-drop - 3600\n" in host.read(f"{HOME}/etc/shared/ar.conf")
    assert apply(lab, host, core=core, responses=responses) == []
    assert apply(lab, host, core=core, responses=responses, rules=False, restart=False) == [CONFIGURE]
    assert not host.exists(RULES)

    assert apply(lab, host, "--check", core=core, state="absent") == [CONFIGURE]
    assert apply(lab, host, core=core, state="absent") == [CONFIGURE, handler]
    assert snapshot(host) == before
    assert apply(lab, host, core=core, state="absent") == []
    assert starts(host) == asked * 3


def test_by_default_there_are_commands_with_a_lifetime_and_nothing_starts(lab: Lab, manager: Host) -> None:
    apply(lab, manager)
    block = manager.read(CONF).removeprefix(DEFAULT_MANAGER_CONF)
    assert block.count("<command>") == 2
    assert "<active-response>" not in block
    for name in ("firewall-drop", "disable-account"):
        assert (
            f"<name>riposte-{name}</name>\n    <executable>{name}</executable>\n"
            "    <timeout_allowed>yes</timeout_allowed>\n    <extra_args>timeout=10m</extra_args>\n"
        ) in block


def test_our_rules_never_start_a_response_and_each_outcome_has_one(lab: Lab, manager: Host) -> None:
    apply(lab, manager, rule_levels={"failed": 12, "done": "0"})
    rules = re.findall(r'<rule id="(\d+)" level="(\d+)">(.*?)</rule>', manager.read(RULES), re.DOTALL)
    assert [int(number) for number, _level, _inner in rules] == list(range(100900, 100910))
    assert all("<options>no_ar</options>" in inner for _number, _level, inner in rules)
    outcomes = {found[1]: int(level) for _number, level, inner in rules if (found := re.search(r'"riposte.outcome">\^(\w+)\$<', inner))}
    expected = {"done": 0, "unchanged": 0, "refused": 5, "held": 8, "failed": 12, "released": 3, "expired": 3, "restored": 5, "kept": 3}
    assert outcomes == expected


def test_everything_at_once_is_taken_by_all_three_daemons(lab: Lab, manager: Host) -> None:
    responses = [
        {"executable": "firewall-drop", "timeout": "90s", "rules_group": "authentication_failures,|attack,", "level": 12},
        {"executable": "firewall-drop", "name": "for-good", "permanent": True, "rules_id": [31103], "location": "defined-agent", "agent_id": "007"},
        {"executable": "restart-wazuh", "extra_args": ["a&b", "ü", "{{7*7}}", "$(id)", "'\"`;"]},
    ]
    integrations = [{"name": "custom-riposte", "hook_url": "https://h/?a=1&b=2", "api_key": "geheim!", "alert_format": "json", "options": {"a": "ü"}}]
    localfiles = [{"log_format": "json", "location": "/var/log/riposte.json", "ignore": ["a", "b"], "only-future-events": True}]
    words = {"responses": responses, "integrations": integrations, "localfiles": localfiles}
    path = lab.directory / "values.json"
    text = json.dumps({f"riposte_manager_{name}": value for name, value in words.items()})
    path.write_text(text.replace('"{{7*7}}"', "!unsafe '{{7*7}}'"), encoding="utf-8")
    done = run_role(lab, manager, "-e", f"@{path}", "--diff", "-vvv")
    assert done.rc == 0, done.stdout + done.stderr
    assert "geheim!" not in done.stdout + done.stderr + manager.inside(["journalctl", "--no-pager"]).stdout
    assert "+    <name>custom-riposte</name>" in done.stdout
    block = manager.read(CONF)
    assert "<extra_args>a&b ü {{7*7}} $(id) '\"`;</extra_args>" in block
    assert "<hook_url>https://h/?a=1&b=2</hook_url>\n    <api_key>geheim!</api_key>" in block
    assert "<ignore>a</ignore>\n    <ignore>b</ignore>\n    <only-future-events>yes</only-future-events>" in block
    assert manager.read(f"{HOME}/etc/shared/ar.conf").splitlines()[2:] == ["riposte-firewall-drop90 - firewall-drop - 90", "for-good0 - firewall-drop - 0"]
    assert apply(lab, manager, "-e", f"@{path}") == []


def test_more_responses_than_wazuh_has_room_for_are_refused_whoever_wrote_them(lab: Lab, host: Host) -> None:
    own = "  <active-response>\n    <command>firewall-drop</command>\n    <location>local</location>\n  </active-response>\n"
    lay_manager(
        host, DEFAULT_MANAGER_CONF + "<ossec_config>\n" + own * 57 + own.replace("<command>", "<disabled>yes</disabled><command>") + "</ossec_config>\n"
    )
    one, two = ([{"executable": "firewall-drop", "name": name, "rules_id": [5712]} for name in names] for names in (["a"], ["a", "b"]))
    assert "59 <active-response> would stand in it, and there is room for 58: " in refused(lab, host, "--check", responses=two)
    assert BY_SERVICE in apply(lab, host, responses=one)
    assert apply(lab, host, "--check", responses=two, most_responses=59) == [CONFIGURE]
    assert BY_SERVICE in apply(lab, host)  # no <active-response> of ours: the owner's are the owner's


# --- Wazuh says no: everything is as it was -----------------------------------------------------------------------------------------------


def test_a_number_of_a_rule_that_is_taken_is_told_and_nothing_changes(lab: Lab, manager: Host) -> None:
    manager.inside(["sed", "-i", 's/id="100001"/id="100905"/', f"{HOME}/etc/rules/local_rules.xml"])
    said = refused(lab, manager)
    assert "Wazuh's test says no, so everything is as it was" in said
    assert "Rule ID '100905' is duplicated" in said
    assert "to what stood there before" not in said
    assert BY_SERVICE in apply(lab, manager, first_rule=100950)


def test_without_wazuhs_own_rule_650_ours_would_be_dead_so_nothing_changes(lab: Lab, manager: Host) -> None:
    manager.inside(["rm", f"{HOME}/ruleset/rules/0015-ossec_rules.xml"])
    assert "Signature ID '650' was not found" in refused(lab, manager)


def test_a_refused_change_leaves_the_last_good_state_and_its_rules(lab: Lab, manager: Host) -> None:
    apply(lab, manager)
    manager.inside(["rm", "-rf", "/run/wazuh-stand-in"])
    said = refused(lab, manager, localfiles=[{"log_format": "syslog", "place": "/var/log/x"}], rule_levels={"done": 1})
    assert "wazuh-logcollector" in said
    assert "Invalid element in the configuration: 'place'" in said
    assert 'level="3"' in manager.read(RULES)


def test_a_manager_that_was_broken_before_is_told_so(lab: Lab, manager: Host) -> None:
    manager.put(CONF, DEFAULT_MANAGER_CONF.replace("<location>", "<location>\n").replace("</command>", "<odd/></command>"), mode=0o660)
    before = snapshot(manager)
    done = run_role(lab, manager)
    assert done.rc != 0
    assert "It says no to what stood there before, too" in re.sub(r"\s+", " ", done.stdout)
    assert snapshot(manager)["etc/ossec.conf"] == before["etc/ossec.conf"]
    assert not manager.exists(RULES)


def test_a_removed_file_comes_back_as_it_was_when_wazuh_says_no_to_its_absence(lab: Lab, manager: Host) -> None:
    apply(lab, manager)
    manager.inside(["sh", "-c", f"chmod 640 {RULES}; chown root:wazuh {RULES}; rm -rf /run/wazuh-stand-in"])
    manager.put(f"{HOME}/etc/rules/z.xml", '<group name="a,"><rule id="100300" level="3"><if_sid>100901</if_sid><description>x</description></rule></group>\n')
    assert "Signature ID '100901' was not found" in refused(lab, manager, state="absent")


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        (DEFAULT_MANAGER_CONF + "<!-- not closed\n", "a comment begins here and does not end"),
        (DEFAULT_MANAGER_CONF + "<ossec_config>\n", "<ossec_config> begins here and does not end"),
        (DEFAULT_MANAGER_CONF + "<!-- riposte: end -->\n", "take out by hand what is left of the block riposte"),
        (DEFAULT_MANAGER_CONF.encode("utf-16"), "NUL bytes"),
    ],
)
def test_a_configuration_that_cannot_be_added_to_safely_is_refused(lab: Lab, host: Host, conf: str | bytes, said: str) -> None:
    lay_manager(host, conf)
    assert said in refused(lab, host)


@pytest.mark.parametrize(
    "conf",
    [
        DEFAULT_MANAGER_CONF.replace("\n", "\r\n"),
        DEFAULT_MANAGER_CONF.rstrip("\n"),
        "\ufeff" + DEFAULT_MANAGER_CONF + "\n\n\t",
        DEFAULT_MANAGER_CONF.encode() + b"<!-- caf\xe9 -->\n<ossec_config>\n<labels><label key='a'>\xff \\< & </label></labels></ossec_config>stray",
    ],
    ids=["windows", "no last newline", "mark and blanks", "latin-1"],
)
def test_any_configuration_that_wazuh_reads_comes_back_to_the_byte(lab: Lab, host: Host, conf: str | bytes) -> None:
    lay_manager(host, conf)
    before = snapshot(host)
    assert CONFIGURE in apply(lab, host)
    assert apply(lab, host) == []
    apply(lab, host, state="absent")
    assert snapshot(host) == before


# --- Wazuh's own user, who may write in etc and is not to be trusted ----------------------------------------------------------------------

VICTIM = "/root/victim"
SWAP = f"""
import os, time
ours, swapped = set(os.listdir("{HOME}/etc") + os.listdir("{HOME}/etc/rules")), 0
while True:
    for folder in ("{HOME}/etc/", "{HOME}/etc/rules/"):
        for name in set(os.listdir(folder)) - ours:
            try:
                if os.path.islink(folder + name):
                    continue
                os.unlink(folder + name)
                os.symlink("{VICTIM}", folder + name)
            except (FileNotFoundError, FileExistsError):
                continue
            swapped += 1
            print(swapped, flush=True)
    time.sleep(0.0001)
"""


@pytest.fixture
def victim(manager: Host) -> Iterator[Host]:
    """A manager whose root has a file that nobody else may read; it must be as it was in the end."""
    manager.put(VICTIM, "geheim-of-root\n", mode=0o600)
    yield manager
    assert manager.inside(["stat", "-c", "%a %U:%G %h", VICTIM]).stdout == "600 root:root 1\n"
    assert manager.read(VICTIM) == "geheim-of-root\n"
    manager.inside(["rm", VICTIM])


def test_who_swaps_each_new_file_for_a_link_gets_no_hand_on_another_file(lab: Lab, victim: Host) -> None:
    victim.put("/root/slow-test", '#!/bin/sh\nsleep 0.5; cat "$1" >&-\n', mode=0o755)
    options = {"files": [{"path": RULES, "content": "<group name='a,'></group>"}], "validate": ["/root/slow-test %s"]}
    came = task("ossec_conf", blocks=[{"command": {"name": "a", "executable": "b"}}], **options)
    went = task("ossec_conf", state="absent", **options)
    unlink = task("ansible.builtin.command", argv=["rm", "-f", RULES])
    victim.put("/tmp/swap.py", SWAP, mode=0o644)
    running = ["systemd-run", "--unit=swap", "--uid=wazuh", "--gid=wazuh", "--collect", "-q", "--property=StandardOutput=file:/tmp/swapped"]
    victim.inside([*running, victim.python, "-IS", "/tmp/swap.py"])
    try:
        results = steps(lab, victim, *[came, went, unlink] * 3, diff=True)
    finally:
        victim.inside(["systemctl", "stop", "swap.service"])
    assert int(victim.read("/tmp/swapped").split()[-1]) >= 3
    assert "geheim" not in json.dumps(results)
    assert not any(result["failed"] for result in results[2::3])
    assert victim.inside(["stat", "-c", "%F", CONF]).stdout == "regular file\n"


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (f"ln -s {VICTIM} {RULES}", "it is a link to '/root/victim', and none is followed"),
        (f"ln -s /root/new {RULES}", "it is a link to '/root/new', and none is followed"),
        (f"mkdir {RULES}", "it is no ordinary file"),
        (f"mkfifo {RULES}", "it is no ordinary file"),
        (f"rm -r {HOME}/etc/rules; ln -s /root {HOME}/etc/rules", "'rules' on the way to it is a link to '/root' that not only root may have set"),
        (f"mv {CONF} {HOME}/etc/real.conf; ln -s real.conf {CONF}", f"{CONF}: it is a link to 'real.conf', and none is followed"),
    ],
)
def test_what_wazuhs_user_planted_is_neither_followed_nor_shown_nor_taken_out(lab: Lab, victim: Host, plant: str, said: str) -> None:
    victim.inside(["setpriv", "--reuid=wazuh", "--regid=wazuh", "--clear-groups", "sh", "-ec", plant])
    before = snapshot(victim)
    came = task("ossec_conf", blocks=[{"command": {"name": "a", "executable": "b"}}], files=[{"path": RULES, "content": "<group name='a,'></group>"}])
    for result in steps(lab, victim, came, came.check(), task("ossec_conf", state="absent", files=[{"path": RULES}]), diff=True):
        assert result["failed"]
        assert said in result["msg"]
        assert "geheim" not in json.dumps(result)
    assert snapshot(victim) == before
    assert not victim.exists("/root/new")
    assert not victim.exists("/root/riposte_rules.xml")


def test_a_second_name_of_another_file_is_refused(lab: Lab, manager: Host) -> None:
    manager.put(f"{HOME}/etc/authd.pass", "geheim\n", mode=0o600)
    manager.inside(["ln", f"{HOME}/etc/authd.pass", RULES])
    for state in ("present", "absent"):
        told = refused(lab, manager, "--diff", state=state)
        assert "the file has 2 names" in told
        assert "geheim" not in told


def test_what_is_killed_during_the_test_leaves_no_key_where_others_read(lab: Lab, manager: Host) -> None:
    before = snapshot(manager)
    manager.put("/root/kill-test", "#!/bin/sh\nkill -9 $PPID\n", mode=0o755)
    blocks = [{"integration": {"name": "custom-x", "api_key": "geheim-key"}}]
    options = {"blocks": blocks, "secrets": ["geheim-key"]}
    assert module(lab, manager, "ossec_conf", validate=["/root/kill-test %s"], **options)["failed"]
    assert snapshot(manager) == before
    left = manager.inside(["grep", "-rlsF", "geheim-key", "/root", "/tmp", "/var", "/etc", "/run", "/home"], check=False).stdout.split()
    assert [path for path in left if not path.startswith("/root/.ansible/tmp/")] == []
    folders = {path.rpartition("/")[0] for path in left}
    assert {manager.inside(["stat", "-c", "%a %U", folder]).stdout for folder in folders} <= {"700 root\n"}
    assert module(lab, manager, "ossec_conf", **options)["changed"]
    manager.inside(["rm", "-rf", *folders])


@pytest.mark.on("bookworm/3.9", "trixie")
def test_keys_that_change_are_told_in_no_diff_and_no_log(lab: Lab, host: Host) -> None:
    lay_manager(host)
    core = "2.16" if host.suite == "trixie" else "newest"

    def variables(which: str) -> dict[str, Any]:
        integration = {"name": "custom-x", "api_key": f"geheim-{which}", "hook_url": f"https://h/geheim-{which}", "options": {"a": f"geheim-{which}"}}
        localfile = {"log_format": "full_command", "command": f"curl https://me:geheim-{which}@h/", "frequency": 60}
        return {"integrations": [integration], "localfiles": [localfile]}

    told = ""
    for given in (variables("one"), variables("two"), {"state": "absent"}):
        done = run_role(lab, host, "--diff", "-vvv", core=core, **given)
        assert done.rc == 0, done.stdout + done.stderr
        told += done.stdout + done.stderr
    assert "geheim" not in told
    assert "geheim" not in host.inside(["journalctl", "--no-pager"]).stdout
    assert "<api_key>******** (new)</api_key>" in told
    assert "-    <name>custom-x</name>" in told
    assert "jsonout_output" not in told
    assert host.read(CONF) == DEFAULT_MANAGER_CONF


# --- what must not be configured ----------------------------------------------------------------------------------------------------------


def test_a_host_without_a_manager_is_told_and_left_alone(lab: Lab, host: Host) -> None:
    host.inside(["rm", "-rf", HOME])
    done = run_role(lab, host)
    assert done.rc != 0
    assert "there is no Wazuh manager 4.x here" in re.sub(r"\s+", " ", done.stdout)
    assert apply(lab, host, state="absent") == []
    assert not host.exists(HOME)


def test_a_response_that_would_start_itself_is_refused_before_anything_is_done(lab: Lab, manager: Host) -> None:
    assert "rules_id 651: that rule tells of a response that ran" in refused(lab, manager, responses=[{"executable": "firewall-drop", "rules_id": [651]}])
    assert "riposte_manager_rule_levels names fialed; the outcomes are done, " in refused(lab, manager, rule_levels={"fialed": 3})


# --- the module by itself -----------------------------------------------------------------------------------------------------------------


def test_the_module_checks_tells_and_leaves_nothing_beside(lab: Lab, manager: Host) -> None:
    before = snapshot(manager)
    kept = task("ossec_conf", blocks=[{"command": {"name": "a", "executable": "b"}}], marker="mine", validate=[f"{HOME}/bin/wazuh-analysisd -t -c %s"])
    check, done, again, gone = steps(lab, manager, kept.check(), kept, kept, task("ossec_conf", state="absent", marker="mine"), diff=True)
    assert (check["changed"], check["diff"], check["tests"]) == (True, done["diff"], [])
    assert (done["changed"], done["paths"], done["tests"][0]["rc"]) == (True, [CONF], 0)
    assert done["diff"][0]["before"] == ""
    assert done["diff"][0]["after"].startswith("<!-- mine: begin")
    assert (again["changed"], again["tests"], gone["changed"]) == (False, [], True)
    assert snapshot(manager) == before


def test_what_somebody_else_writes_during_the_test_is_not_lost(lab: Lab, manager: Host) -> None:
    manager.put("/root/slow-test", f"#!/bin/sh\n[ $1 = {CONF} ] || echo '<!-- theirs -->' >> {CONF}\n", mode=0o755)
    rules = [{"path": RULES, "content": "<group name='a,'></group>"}]
    result = module(lab, manager, "ossec_conf", blocks=[{"command": {"name": "a", "executable": "b"}}], files=rules, validate=["/root/slow-test %s"])
    assert "somebody else changed it in the meantime" in result["msg"]
    assert manager.read(CONF) == DEFAULT_MANAGER_CONF + "<!-- theirs -->\n"
    assert not manager.exists(RULES)
    assert [name for name in snapshot(manager) if "ossec.conf" in name] == ["etc/ossec.conf"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "/var/ossec/etc/none.conf"}, "there is no such file"),
        ({"validate": ["/var/ossec/bin/none -t %s"]}, "is no program on this host"),
        ({"validate": ["/bin/true"]}, "has no %s"),
        ({"blocks": [{"command": {"name": "<x>"}}]}, "command/name: '<x>': Wazuh's configuration cannot hold a <"),
        ({"files": [{"path": "/var/ossec/none/x.xml", "content": ""}]}, "files: /var/ossec/none/x.xml: its directory is not there"),
        ({"validate": ["/bin/false %s"]}, "ended with 1 and said: nothing"),
        ({"validate": ["/bin/echo 'a rule left out' %s"], "refuse": "left out"}, "ended with 0 and said: a rule left out"),
    ],
)
def test_the_module_says_what_is_wrong_and_changes_nothing(lab: Lab, manager: Host, options: dict[str, Any], said: str) -> None:
    before = snapshot(manager)
    given = {"blocks": [{"command": {"name": "a", "executable": "b"}}], **options}
    result = module(lab, manager, "ossec_conf", **given)
    assert result["failed"]
    assert said in result["msg"]
    assert snapshot(manager) == before
