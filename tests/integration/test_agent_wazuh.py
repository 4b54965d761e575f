# SPDX-License-Identifier: GPL-3.0-or-later
"""The role agent where Wazuh is: the program takes the place of Wazuh's executables, and Wazuh's own come back byte for byte."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.execd.put import put_suite
from tests.integration.modules import module
from tests.integration.test_agent_role import deploy, riposte, run_deploy, seconds_left, trace
from tests.integration.test_execd import DRIVER, Execd
from tests.integration.wazuh_tree import HOME, NOTES, lay_agent, lay_manager, snapshot, starts
from tests.lab import Host, Lab

BIN = f"{HOME}/active-response/bin"
KEPT = f"{HOME}/active-response/riposte-kept"
LOG = f"{HOME}/logs/active-responses.log"
PROGRAM = "/usr/local/sbin/riposte"
TAKEN = ["firewall-drop", "default-firewall-drop", "disable-account"]
ROLE = Path(__file__).resolve().parents[2] / "roles/agent"
LIFETIMES = "Write the file of lifetimes"
TAKE_OVER = ["Keep Wazuh's own aside", "Put the program in their place"]

# As Wazuh's package does it: the new file goes over the old name, whatever that is.
UPGRADE = """
set -e
printf '#!/bin/sh\\n# newer\\n' >NAME.dpkg-new
chown root:wazuh NAME.dpkg-new
chmod 0750 NAME.dpkg-new
mv -f NAME.dpkg-new NAME
"""

# Says each moment in which wazuh-execd would not have found one of its executables, until it is stopped.
# The kernel's own account of what became of the names: one that is taken or moved away, and not replaced, leaves a moment without an executable.
WATCH = f"""
import ctypes, os, select, struct
MOVED_FROM, MOVED_TO, DELETE = 0x40, 0x80, 0x200
libc = ctypes.CDLL(None)
queue = libc.inotify_init1(0)
assert libc.inotify_add_watch(queue, b"{BIN}", MOVED_FROM | MOVED_TO | DELETE) == 1
print("watching", flush=True)
while (ready := select.select([queue], [], [], 0.2)[0]) or not os.path.exists("/tmp/enough"):
    events = os.read(queue, 65536) if ready else b""
    while events:
        _watch, mask, _cookie, size = struct.unpack_from("iIII", events)
        name, events = events[16 : 16 + size].rstrip(b"\\0").decode(), events[16 + size :]
        if name in {TAKEN}:
            print(name, "replaced" if mask & MOVED_TO and os.access("{BIN}/" + name, os.X_OK) else "gone", flush=True)
print("enough")
"""


# A run that was killed between keeping one aside and linking it, with a temporary of the module file in each directory.
HALF_TAKEN = f"""
set -e
mkdir -m 0750 {KEPT}
cd {BIN}
ln firewall-drop {KEPT}/firewall-drop
ln default-firewall-drop {KEPT}/default-firewall-drop
ln -sf {PROGRAM} default-firewall-drop
ln -s {PROGRAM} .4711.1700000000.25.tmp
ln disable-account {KEPT}/.4711.1700000000.1234567.tmp
"""

# The daemon's stand-in as Wazuh's service, and an executable of Wazuh's that says its keys, so that the daemon remembers what it began.
UNIT = f"[Service]\nExecStart=PYTHON {DRIVER} {HOME}\nKillMode=process\n"
OWN = """#!/bin/sh
read -r line
echo "$line" | grep -o '"command":"[a-z]*"' >> logs/own.log
case "$line" in
*'"command":"add"'*)
    echo '{"version":1,"origin":{"name":"firewall-drop","module":"active-response"},"command":"check_keys","parameters":{"keys":["203.0.113.9"]}}'
    read -r line
    ;;
esac
"""
RESTARTED = ["stop", "start"]

# A run that was killed after it gave one back.
HALF_GIVEN = f"mv -f {KEPT}/firewall-drop {BIN}/firewall-drop"

ADD = json.dumps(
    {
        "version": 1,
        "origin": {"name": "node01", "module": "wazuh-execd"},
        "command": "add",
        "parameters": {
            "extra_args": [],
            "alert": {"id": "1700000000.1", "rule": {"id": "5712", "level": 10}, "agent": {"id": "001", "name": "web1"}, "data": {"srcip": "203.0.113.9"}},
            "program": "active-response/bin/firewall-drop",
        },
    }
)
CONTINUE = json.dumps({"version": 1, "origin": {"name": "node01", "module": "wazuh-execd"}, "command": "continue", "parameters": {}})


def shell(host: Host, script: str) -> str:
    return host.inside(["sh", "-c", script]).stdout


def tree(host: Host) -> dict[str, str]:
    """All of Wazuh's that must be as it was."""
    return snapshot(host)


def links(host: Host) -> list[str]:
    """Names that are the program's."""
    return sorted(shell(host, f"cd {BIN}; for name in *; do [ $name -ef {PROGRAM} ] && echo $name; done; true").split())


def facts(host: Host, folder: str, *names: str) -> str:
    """Inode, mode, owner, times and content of files."""
    return shell(host, f"cd {folder} && stat -c '%n %i %a %U:%G %Y %s' {' '.join(names)} && sha256sum {' '.join(names)}")


def upgrade(host: Host, *names: str) -> None:
    for name in names:
        shell(host, UPGRADE.replace("NAME", f"{BIN}/{name}"))


def after_an_upgrade(host: Host, *names: str) -> dict[str, str]:
    """What Wazuh's tree would be if these had been upgraded and nothing else had happened."""
    shell(host, f"cp -a {BIN} /tmp/bin")
    upgrade(host, *names)
    seen = tree(host)
    shell(host, f"rm -r {BIN} && mv /tmp/bin {BIN}")
    return seen


@pytest.fixture
def wazuh(host: Host) -> Host:
    """The module's host, with a new agent of Wazuh's on it; the role may have been there before."""
    lay_agent(host)
    return host


@pytest.fixture(scope="module")
def served(lab: Lab, host: Host) -> Host:
    """The module's host, with Wazuh's manager and the role on it: a manager answers for itself, as agent 000."""
    lay_manager(host)
    deploy(lab, host)
    return host


# --- it comes, twice, and goes ------------------------------------------------------------------------------------------------------------


@pytest.mark.on("trixie")
def test_it_comes_and_goes_with_the_oldest_core_a_newer_debian_and_cron(lab: Lab, fresh_host: Host) -> None:
    lay_agent(fresh_host)
    module(lab, fresh_host, "ansible.builtin.command", argv=["true"])
    before, around = tree(fresh_host), trace(fresh_host)
    settings = {"core": "2.16", "riposte_agent_tick": "cron"}
    assert deploy(lab, fresh_host, **settings)[-2:] == TAKE_OVER
    assert links(fresh_host) == sorted(TAKEN)
    assert riposte(fresh_host, "check").rc == 0
    assert deploy(lab, fresh_host, **settings) == []
    assert "Give Wazuh's own back" in deploy(lab, fresh_host, **settings, riposte_agent_state="absent")
    shell(fresh_host, f"rm -r {NOTES}")
    assert (tree(fresh_host), trace(fresh_host)) == (before, around)


def test_wazuhs_tree_is_byte_identical_after_the_role_has_come_and_gone(lab: Lab, fresh_host: Host) -> None:
    host = fresh_host
    lay_agent(host)
    module(lab, host, "ansible.builtin.command", argv=["true"])  # what Ansible itself leaves is there before and after

    def run(*words: str, state: str = "present") -> list[str]:
        return deploy(lab, host, *words, riposte_agent_state=state)

    upgraded = after_an_upgrade(host, *TAKEN[:2])
    before, around, own = tree(host), trace(host), facts(host, BIN, *TAKEN)
    foreseen = run("--check", "--diff")
    assert (tree(host), trace(host), starts(host, "agent")) == (before, around, [])
    done = run()
    assert foreseen[-4:] == done[-4:] == [LIFETIMES, "Make the directory in which Wazuh's own are kept", *TAKE_OVER]
    assert links(host) == sorted(TAKEN)
    assert facts(host, KEPT, *TAKEN) == own
    assert shell(host, f"stat -c '%a %U:%G' {KEPT} /etc/riposte/wazuh.conf") == "750 root:wazuh\n600 root:root\n"
    assert riposte(host, "check").rc == 0
    assert starts(host, "agent") == RESTARTED
    assert run() == []
    assert starts(host, "agent") == RESTARTED

    upgrade(host, *TAKEN[:2])
    newer, standing = facts(host, BIN, *TAKEN[:2]), tree(host)
    assert run("--check") == TAKE_OVER
    assert tree(host) == standing
    assert run() == TAKE_OVER
    assert links(host) == sorted(TAKEN)
    assert facts(host, KEPT, *TAKEN[:2]) == newer
    assert starts(host, "agent") == 2 * RESTARTED

    standing = tree(host)
    foreseen = run("--check", state="absent")
    assert tree(host) == standing
    assert run(state="absent") == foreseen
    assert {"Give Wazuh's own back", "Take out the directory in which they were kept"} < set(foreseen)
    assert starts(host, "agent") == 3 * RESTARTED
    shell(host, f"rm -r {NOTES}")
    assert (tree(host), trace(host)) == (upgraded, around)
    assert run(state="absent") == []


def test_giving_back_wazuhs_part_leaves_the_rest_and_no_moment_without_an_executable(lab: Lab, wazuh: Host) -> None:
    before = tree(wazuh)
    wazuh.inside(["systemd-run", "--unit=watch", "--property=StandardOutput=file:/tmp/seen", wazuh.python, "-c", WATCH])
    wazuh.wait_for(lambda: wazuh.exists("/tmp/seen") and wazuh.read("/tmp/seen") == "watching\n", "the watcher")
    deploy(lab, wazuh)
    assert links(wazuh) == sorted(TAKEN)
    given = ["Give Wazuh's own back", "Take out the directory in which they were kept", "Take out the file of lifetimes"]
    assert deploy(lab, wazuh, riposte_agent_wazuh="absent") == given
    assert tree(wazuh) == before
    assert deploy(lab, wazuh, riposte_agent_wazuh="absent") == []
    assert riposte(wazuh, "check").rc == 0
    assert not wazuh.exists("/etc/riposte/wazuh.conf")

    wazuh.put("/tmp/enough", "")
    wazuh.wait_for(lambda: "enough" in wazuh.read("/tmp/seen"), "the watcher to end", timeout=10)
    assert sorted(wazuh.read("/tmp/seen").split("\n")[1:-2]) == sorted(f"{name} replaced" for name in 2 * TAKEN)


def test_what_an_executable_began_it_ends_itself_when_it_is_replaced(lab: Lab, wazuh: Host) -> None:
    put_suite(wazuh)
    wazuh.put(f"{BIN}/firewall-drop", OWN, mode=0o750)
    wazuh.put(f"{HOME}/etc/shared/ar.conf", "firewall-drop600 - firewall-drop - 600\n")
    wazuh.put("/etc/systemd/system/wazuh-agent.service", UNIT.replace("PYTHON", wazuh.python))
    shell(wazuh, f"mkdir -p {HOME}/queue/alerts; systemctl stop wazuh-agent; systemctl daemon-reload; systemctl start wazuh-agent")
    execd = Execd(wazuh)
    wazuh.wait_for(lambda: "Started" in execd.said(), "the daemon to start")

    execd.alert("firewall-drop600", "203.0.113.9")
    execd.wait_codes(0)
    deploy(lab, wazuh)
    assert wazuh.read(f"{HOME}/logs/own.log").split() == ['"command":"add"', '"command":"delete"']
    assert execd.results() == []

    execd.alert("firewall-drop600", "203.0.113.9")
    execd.wait_codes(0, 0, 0)
    assert seconds_left(wazuh, "203.0.113.9")
    deploy(lab, wazuh, riposte_agent_wazuh="absent")
    assert execd.outcomes() == ["done", "released"]
    assert seconds_left(wazuh, "203.0.113.9") is None
    assert len(wazuh.read(f"{HOME}/logs/own.log").split()) == 2
    assert shell(wazuh, "systemctl is-active wazuh-agent") == "active\n"
    wazuh.inside(["systemctl", "stop", "wazuh-agent"])


def test_what_a_killed_run_left_is_finished_and_no_original_is_lost(lab: Lab, wazuh: Host) -> None:
    before, own = tree(wazuh), facts(wazuh, BIN, *TAKEN)
    shell(wazuh, HALF_TAKEN)
    deploy(lab, wazuh, riposte_agent_wazuh_restart=False)
    assert starts(wazuh, "agent") == []
    assert links(wazuh) == sorted(TAKEN)
    assert facts(wazuh, KEPT, *TAKEN) == own
    assert shell(wazuh, f"find {HOME}/active-response -name '.*'") == ""

    shell(wazuh, f"{HALF_GIVEN}; systemctl stop wazuh-agent; echo wazuh-agent.service > /run/riposte-stopped-wazuh")
    deploy(lab, wazuh, riposte_agent_wazuh="absent")
    assert starts(wazuh, "agent") == RESTARTED  # what it had stopped
    assert tree(wazuh) == before
    assert facts(wazuh, BIN, *TAKEN) == own


def test_what_wazuh_replaced_or_dropped_itself_is_not_brought_back(lab: Lab, wazuh: Host) -> None:
    """Where Wazuh runs without a unit, too."""
    shell(wazuh, f"systemctl stop wazuh-agent; rm -r {NOTES}; sed -i s/wazuh-analysisd.is/wazuh-execd\\ is/ {HOME}/bin/wazuh-control")
    upgraded = after_an_upgrade(wazuh, *TAKEN[:1])
    deploy(lab, wazuh)
    assert starts(wazuh, "agent") == RESTARTED
    upgrade(wazuh, *TAKEN[:1])
    shell(wazuh, f"rm {BIN}/{TAKEN[1]} {BIN}/{TAKEN[2]}")
    deploy(lab, wazuh, riposte_agent_wazuh_executables=TAKEN[:2])
    assert shell(wazuh, f"ls {KEPT}").split() == TAKEN[:1]
    assert links(wazuh) == sorted(TAKEN[:2])
    deploy(lab, wazuh, riposte_agent_wazuh="absent")
    assert tree(wazuh) == {path: seen for path, seen in upgraded.items() if path.rpartition("/")[2] not in TAKEN[1:]}


def test_a_wazuh_that_was_uninstalled_leaves_nothing_of_ours(lab: Lab, wazuh: Host) -> None:
    deploy(lab, wazuh)
    shell(wazuh, f"rm -r {BIN}")
    left = tree(wazuh)
    assert deploy(lab, wazuh) == ["Take out what was kept aside for a Wazuh that is gone", "Take out the file of lifetimes"]
    assert tree(wazuh) == {path: seen for path, seen in left.items() if "riposte-kept" not in path}
    assert deploy(lab, wazuh) == []
    lay_agent(wazuh)
    shell(wazuh, f"rm -r {BIN}")  # it is elsewhere
    assert "WARNING: this host has a Wazuh, but /var/ossec/active-response/bin is no directory" in run_deploy(lab, wazuh, "--check").stdout


def test_names_that_wazuh_never_had_are_taken_out_and_an_owners_link_comes_back(lab: Lab, wazuh: Host) -> None:
    """As on Wazuh 5, with a script of the owner's under one of the names."""
    shell(wazuh, f"cd {BIN}; mv default-firewall-drop block-ip; mv firewall-drop owners; ln -s owners firewall-drop")
    before = tree(wazuh)
    deploy(lab, wazuh)
    assert links(wazuh) == sorted([*TAKEN, "block-ip"])
    assert shell(wazuh, f"ls {KEPT}").split() == ["block-ip", "disable-account", "firewall-drop"]

    deploy(lab, wazuh, riposte_agent_wazuh_executables=["disable-account"])
    assert links(wazuh) == ["disable-account"]
    assert shell(wazuh, f"ls {KEPT}").split() == ["disable-account"]
    assert not wazuh.exists(f"{BIN}/default-firewall-drop")
    deploy(lab, wazuh, riposte_agent_state="absent")
    assert tree(wazuh) == before


def test_one_run_sets_up_a_manager_and_its_own_agent_and_another_takes_both_away(lab: Lab, fresh_host: Host) -> None:
    lay_manager(fresh_host)
    before = tree(fresh_host)
    both = {"riposte_manager_hosts": fresh_host.name}
    done = deploy(lab, fresh_host, **both)
    assert TAKE_OVER[1] in done
    assert [task for task in done if task.startswith("riposte.active_response.manager : ")]
    assert tree(fresh_host)["etc/ossec.conf"] != before["etc/ossec.conf"]
    assert deploy(lab, fresh_host, **both) == []
    configured = fresh_host.read(f"{HOME}/etc/ossec.conf")
    gone = deploy(lab, fresh_host, **both, riposte_agent_state="absent")
    assert "Give Wazuh's own back" in gone
    assert fresh_host.read(f"{HOME}/etc/ossec.conf") == configured
    deploy(lab, fresh_host, **both, riposte_agent_state="absent", riposte_manager_state="absent")
    assert tree(fresh_host) == before
    assert [task for task in deploy(lab, fresh_host, **both, riposte_agent_state="absent") if "manager : " in task] == []  # sets nothing up again
    assert tree(fresh_host) == before


# --- what is asked of it ------------------------------------------------------------------------------------------------------------------


def test_wazuh_is_answered_with_the_lifetime_of_the_role(lab: Lab, served: Host) -> None:
    lifetimes = {"firewall-drop": {"timeout": "20m", "repeated_offenders": ["30m", "1d"]}, "disable-account": {"end_sessions": True}}
    assert deploy(lab, served, riposte_agent_wazuh_lifetimes=lifetimes) == [LIFETIMES]
    assert "[disable-account]\nend_sessions = true\n" in served.read("/etc/riposte/wazuh.conf")
    answered = served.inside(["sh", "-c", f"cd {HOME} && active-response/bin/firewall-drop"], input=f"{ADD}\n{CONTINUE}\n", check=False)
    assert (answered.rc, json.loads(answered.stdout)["parameters"]) == (0, {"keys": ["203.0.113.9"]}), answered.stderr
    left = seconds_left(served, "203.0.113.9")
    assert left is not None
    assert 1140 < left <= 1200
    [standing] = json.loads(riposte(served, "list", "--json").stdout)["responses"]
    assert standing["origin"] == "wazuh-execd/firewall-drop"
    assert '{"riposte"' in served.read(LOG)
    assert riposte(served, "release", "203.0.113.9").rc == 0


def test_lifetimes_are_judged_before_they_replace_the_old_ones(lab: Lab, served: Host) -> None:
    before = served.read("/etc/riposte/wazuh.conf")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"riposte_agent_wazuh_timeout": "soon"}, "[wazuh] timeout: "),
        ({"riposte_agent_wazuh_lifetimes": {"firewall-drop": {"timeout": "1h", "permanent": True}}}, "[firewall-drop] permanent"),
        ({"riposte_agent_wazuh_lifetimes": {"firewall-drop": {"end_sessions": True}}}, "firewall-drop.end_sessions"),
        ({"riposte_agent_wazuh_lifetimes": {"route-null": {"timeout": "1h"}}}, "route-null"),
        ({"riposte_agent_wazuh_executables": ["route-null"]}, "route-null"),
    ]
    for variables, said in wrong:
        refused = run_deploy(lab, served, **variables)
        assert refused.rc == 2
        assert said in refused.stdout + refused.stderr, refused.stdout
        assert served.read("/etc/riposte/wazuh.conf") == before


def test_without_wazuh_the_role_says_so_when_it_is_asked_for(lab: Lab, served: Host) -> None:
    refused = run_deploy(lab, served, riposte_agent_wazuh="present", riposte_agent_wazuh_home="/opt/wazuh")
    assert refused.rc == 2
    assert "/opt/wazuh/active-response/bin is no directory" in refused.stdout + refused.stderr


def test_the_role_takes_over_what_the_program_answers_and_no_more(tmp_path: Path) -> None:
    program = tmp_path / "riposte"
    subprocess.run([sys.executable, ROLE / "files/build.py", program], check=True)
    table = "import json; from riposte.executables import EXECUTABLES; print(json.dumps({name: each.response for name, each in EXECUTABLES.items()}))"
    answered = json.loads(subprocess.run([sys.executable, "-c", table], env={"PYTHONPATH": str(program)}, capture_output=True, check=True).stdout)
    options = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    names = options["riposte_agent_wazuh_executables"]
    assert yaml.safe_load((ROLE / "defaults/main.yml").read_text())["riposte_agent_wazuh_executables"] == names["default"] == names["choices"]
    assert list(options["riposte_agent_wazuh_lifetimes"]["options"]) == names["choices"]
    assert sorted(answered) == sorted(names["choices"])
    rows = re.findall(r"^\| (.*) \| `(firewall_drop|disable_account)` \|$", (ROLE / "README.md").read_text(), re.MULTILINE)
    assert {name: response for each, response in rows for name in re.findall("`(.+?)`", each)} == answered
