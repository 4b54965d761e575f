# SPDX-License-Identifier: GPL-3.0-or-later
"""The role agent on real hosts: it comes, keeps what was promised while nobody looks, and goes without a trace."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.integration.ground import without_counts
from tests.integration.modules import module
from tests.lab import Host, Lab, Peer, wait_for
from tests.lab.lab import find_python
from tests.lab.system import Completed

BLOCKED = ["203.0.113.9", "2001:db8::7", "198.51.100.0/24"]
PASSWORD = "correct horse"
TICK = 35  # seconds within which the timer has come round

# All files with type, mode, owner and link target, the content of those that are kept, every rule, and systemd's own view. Left out: what the running
# system and Ansible's visit write by themselves, and whether a tick is at work just now.
TRACE = r"""
find / /run -xdev \( -path /root/.ansible -o -path /run/log -o -path /run/systemd -o -path /run/user -o -path /var/log \) -prune \
    -o -printf '%p %y %m %U:%G %l\n' | sort
find /etc /usr/local /var/lib /boot -xdev -type f -print0 | sort -z | xargs -0 sha256sum
nft list ruleset
systemctl list-unit-files --no-legend
systemctl list-units --all --no-legend --plain 'riposte*' | awk '{ print $1, $2, ($1 ~ /timer/) ? $3 : "" }'
"""


def deploy(lab: Lab, host: Host, *words: str, core: str = "newest", **variables: Any) -> list[str]:
    """Runs the playbook; the tasks that changed something. AssertionError with all that it said when it fails."""
    done = run_deploy(lab, host, *words, core=core, **variables)
    assert done.rc == 0, done.stdout + done.stderr
    changed = []
    for line in done.stdout.splitlines():
        if found := re.match(r"TASK \[(?:riposte\.active_response\.agent : )?(.*)\] \*", line):
            task = found[1]
        elif line.startswith(f"changed: [{host.name}") and task not in changed:
            changed.append(task)
    return changed


def run_deploy(lab: Lab, host: Host, *words: str, core: str = "newest", **variables: Any) -> Completed:
    variables = {"riposte_hosts": host.name, "riposte_agent_python": host.python, **variables}
    return lab.ansible("ansible-playbook", "riposte.active_response.deploy", "-e", json.dumps(variables), *words, core=core)


def trace(host: Host) -> str:
    return without_counts(host.inside(["sh", "-c", TRACE]).stdout)


def riposte(host: Host, *words: str) -> Completed:
    """The program on the host, as root; whatever happens, it never shows a traceback."""
    done = host.inside(["/usr/local/sbin/riposte", *words], check=False)
    assert "Traceback" not in done.stderr
    return done


def seconds_left(host: Host, target: str) -> float | None:
    """How long the kernel will keep a blocked target, None when it is not blocked."""
    address = re.escape(target.partition("/")[0])
    listed = host.inside(["sh", "-c", "nft list table inet riposte; ipset save"], check=False).stdout
    if found := re.search(rf"\b{address} timeout \w+ expires (?:(\d+)m)?(?:(\d+)s)?", listed):
        return int(found[1] or 0) * 60 + int(found[2] or 0)
    found = re.search(rf"\b{address}(?:/\d+)? timeout (\d+)$", listed, re.MULTILINE)
    return int(found[1]) if found else None


def said(host: Host, unit: str, words: str) -> int:
    """When a unit first said something in this boot, in microseconds of the monotonic clock."""
    entries = map(json.loads, host.inside(["journalctl", "-b", "-o", "json", "-u", unit]).stdout.splitlines())
    return next(int(entry["__MONOTONIC_TIMESTAMP"]) for entry in entries if words in entry["MESSAGE"])


def logged(host: Host) -> list[str]:
    """All that the program ever said in the host's log."""
    return [json.loads(line)["MESSAGE"] for line in host.inside(["journalctl", "-t", "riposte", "-o", "json"]).stdout.splitlines()]


def shadow_line(host: Host, user: str) -> str:
    [line] = [line for line in host.read("/etc/shadow").splitlines() if line.startswith(f"{user}:")]
    return line


def add_user(host: Host, user: str) -> str:
    """A person with a password; their line in /etc/shadow."""
    host.inside(["useradd", "-m", "-s", "/bin/sh", user])
    host.inside(["chpasswd"], input=f"{user}:{PASSWORD}\n")
    return shadow_line(host, user)


@pytest.fixture(scope="module")
def agent(lab: Lab, host: Host) -> Host:
    """The module's host with the role on it."""
    deploy(lab, host)
    return host


@pytest.fixture
def clean(lab: Lab, agent: Host) -> Iterator[Host]:
    """The host with the role on it and nothing standing, before and after."""
    yield agent
    for each in json.loads(riposte(agent, "list", "--json").stdout)["responses"]:
        riposte(agent, "release", each["target"])
    assert riposte(agent, "list").stdout == "Nothing stands on this host.\n"
    agent.inside(["rm", "-f", "/etc/riposte/disabled"])


# --- it comes, twice, and goes ------------------------------------------------------------------------------------------------------------


@pytest.mark.on("trixie")
def test_the_agent_comes_once_and_goes_without_a_trace(lab: Lab, fresh_host: Host) -> None:
    host, core = fresh_host, "2.16"  # the other tests here take Debian 12 and the newest
    add_user(host, "mallory")
    module(lab, host, "ansible.builtin.command", argv=["true"])  # what Ansible itself leaves is there before and after
    before = trace(host)

    foreseen = deploy(lab, host, "--check", "--diff", core=core)
    assert trace(host) == before
    done = deploy(lab, host, core=core)
    assert foreseen == ["Copy the program", "Make the directory of the guard file", "Write the guard file", "Write the units of the tick"]
    assert done == [*foreseen, "Have the tick run at boot", "Have the tick run every 30 seconds"]
    assert deploy(lab, host, core=core) == []
    assert deploy(lab, host, "--check", core=core) == []
    checked = riposte(host, "check")
    assert (checked.rc, checked.stdout.count("ok  ")) == (0, 3), checked.stdout
    assert host.inside(["head", "-1", "/usr/local/sbin/riposte"]).stdout == f"#!{host.python} -IS\n"

    module(lab, host, "firewall_drop", core=core, targets=BLOCKED, timeout="10m")
    module(lab, host, "disable_account", core=core, targets=["mallory"], timeout="10m")
    assert "riposte" in host.inside(["nft", "list", "ruleset"]).stdout
    riposte(host, "tick")  # has compiled itself
    standing = trace(host)
    foreseen = deploy(lab, host, "--check", core=core, riposte_agent_state="absent")
    assert trace(host) == standing
    assert deploy(lab, host, core=core, riposte_agent_state="absent") == foreseen
    assert "Release it" in foreseen
    assert trace(host) == before
    assert deploy(lab, host, core=core, riposte_agent_state="absent") == []


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_hosts_with_different_pythons_get_each_their_own_in_one_run(lab: Lab, clean: Host, strategy: str) -> None:
    try:
        other = lab.add_host(f"other-{strategy}", python="3.9", riposte_agent_python=str(find_python("3.9")))
    except LookupError as missing:
        pytest.skip(str(missing))
    try:
        hosts = json.dumps({"riposte_hosts": [clean.name, other.name]})
        lab.ansible("ansible-playbook", "riposte.active_response.deploy", "-e", hosts, env={"ANSIBLE_STRATEGY": strategy}, check=True)
        for host in (clean, other):
            assert host.inside(["head", "-1", "/usr/local/sbin/riposte"]).stdout == f"#!{host.python} -IS\n"
            assert riposte(host, "check").rc == 0
        module(lab, other, "firewall_drop", targets=BLOCKED, timeout="10m")
        other.inside(["nft", "flush", "ruleset"])
        assert riposte(other, "tick").stdout.count("done: ") == 3
        assert riposte(other, "release", *BLOCKED).stdout.count("done: ") == 3
    finally:
        lab.remove(other)


# --- what was promised is kept while nobody looks -----------------------------------------------------------------------------------------


def test_a_lock_ends_by_the_tick_and_the_account_is_as_it_was(lab: Lab, clean: Host) -> None:
    before = add_user(clean, "carol")
    done = module(lab, clean, "disable_account", targets=["carol"], timeout="3s", reason="brute forced")
    assert done["responses"][0]["outcome"] == "done", done
    assert not clean.can_login("carol", password=PASSWORD)
    clean.wait_for(lambda: shadow_line(clean, "carol") == before, "carol's lock to end by the tick", timeout=TICK)
    assert clean.can_login("carol", password=PASSWORD)
    assert said(clean, "riposte-tick.service", "done: disable_account carol: taken away")
    assert not clean.exists("/var/lib/riposte/standing")


@pytest.mark.parametrize(("backend", "flush"), [("nftables", "nft flush ruleset"), ("ipset", "iptables -t raw -F; ip6tables -t raw -F; ipset flush")])
def test_a_flushed_block_comes_back_with_the_rest_of_its_time(lab: Lab, clean: Host, backend: str, flush: str) -> None:
    module(lab, clean, "firewall_drop", targets=BLOCKED, timeout="10m", since=str(int(time.time()) - 300), backend=backend)
    clean.inside(["sh", "-c", flush])
    assert seconds_left(clean, BLOCKED[0]) is None
    for address in BLOCKED:  # one after the other: ipset has no transaction
        left = clean.wait_for(partial(seconds_left, clean, address), f"{address} to be blocked again", timeout=TICK)
        assert 300 - TICK <= left <= 301
    assert riposte(clean, "check").rc == 0


def test_nothing_runs_while_nothing_stands(clean: Host) -> None:
    clean.inside(["systemctl", "start", "riposte-tick.service"])  # the first makes the ledger
    ran = clean.inside(["systemctl", "start", "riposte-tick.service"], check=False)
    shown = clean.inside(["systemctl", "show", "riposte-tick.service", "-p", "ConditionResult"]).stdout
    assert (ran.rc, shown) == (0, "ConditionResult=no\n")


def test_a_lost_ledger_keeps_no_lock_from_ending(lab: Lab, clean: Host) -> None:
    clean.inside(["useradd", "--create-home", "eve"])
    before = clean.read("/etc/shadow")
    assert module(lab, clean, "disable_account", targets=["eve"], timeout="2s")["changed"]
    clean.inside(["rm", "-rf", "/var/lib/riposte"])

    def ended() -> bool:
        clean.inside(["systemctl", "reset-failed", "riposte-tick.service"])  # starts too fast for systemd otherwise
        clean.inside(["systemctl", "start", "riposte-tick.service"])
        return clean.read("/etc/shadow") == before

    clean.wait_for(ended, "the lock to end", timeout=20)


@pytest.mark.parametrize("firewall", ["nftables.service", "firewalld.service"])
def test_after_a_power_cut_what_is_due_is_back_before_anybody_can_connect(lab: Lab, fresh_host: Host, attacker: Peer, visitor: Peer, firewall: str) -> None:
    host = fresh_host
    deploy(lab, host)
    host.inside(["systemctl", "enable", firewall])  # both load rules of their own at boot; nftables begins with `flush ruleset`
    host.put(f"/etc/systemd/system/{firewall}.d/slow.conf", "[Service]\nExecStartPre=/bin/sleep 1\n")  # so that only the order of the units decides
    module(lab, host, "firewall_drop", targets=[attacker.address4], timeout="10m", since=str(int(time.time()) - 300))
    host.power_cut()
    host.power_on(wait=False)
    seen = set()

    def open_to_others() -> bool:
        seen.add(attacker.connect(host.address4, 22, timeout=0.1))
        return visitor.connect(host.address4, 22, timeout=0.1) == "open"

    wait_for(open_to_others, "the visitor to reach sshd after the boot", timeout=60)
    host.wait_up()
    seen.add(attacker.connect(host.address4, 22, timeout=0.3))
    assert "open" not in seen
    assert "timeout" in seen

    left = seconds_left(host, attacker.address4)
    assert left is not None
    assert 200 < left <= 301
    loaded = host.inside(["systemctl", "show", firewall, "--value", "-p", "ActiveEnterTimestampMonotonic"]).stdout
    restored = said(host, "riposte-tick.service", f"done: firewall_drop {attacker.address4}: in force until")
    listening = said(host, "ssh.service", "Server listening")
    assert 0 < int(loaded) < restored < listening
    assert "ordering cycle" not in host.inside(["journalctl", "-b"]).stdout
    host.wait_booted()
    assert firewall in host.inside(["systemctl", "list-units", "--state=active", "--no-legend", "--plain"]).stdout


def test_with_cron_the_tick_comes_every_minute_and_systemds_is_gone(lab: Lab, clean: Host) -> None:
    before = add_user(clean, "dave")
    assert "Write the cron file" in deploy(lab, clean, riposte_agent_tick="cron")
    assert deploy(lab, clean, riposte_agent_tick="cron") == []
    assert clean.inside(["systemctl", "list-units", "--all", "--no-legend", "--plain", "riposte*"]).stdout == ""
    assert riposte(clean, "check").rc == 0

    done = module(lab, clean, "disable_account", targets=["dave"], timeout="2s")
    assert done["responses"][0]["outcome"] == "done", done
    clean.wait_for(lambda: shadow_line(clean, "dave") == before, "dave's lock to end by cron", timeout=75)
    clean.wait_for(lambda: "done: disable_account dave: taken away" in logged(clean), "it to be said in the log", timeout=10)

    clean.inside(["systemctl", "stop", "cron"])
    late = module(lab, clean, "disable_account", targets=["dave"], timeout="2s")
    assert "does not run" in late["msg"]
    assert riposte(clean, "check").rc == 1
    clean.inside(["systemctl", "start", "cron"])
    assert "Take out the cron file" in deploy(lab, clean)
    assert not clean.exists("/etc/cron.d/riposte")
    assert riposte(clean, "check").rc == 0


# --- the program in the hands of the host's owner -----------------------------------------------------------------------------------------


def test_the_owner_sees_why_and_releases_by_hand(lab: Lab, clean: Host) -> None:
    hostile = "\x1b[2J\u202e{{ 7*7 }} `id`"
    done = module(lab, clean, "firewall_drop", targets=BLOCKED, timeout="10m", alert_id="1700.42", reason=hostile)
    identity = done["responses"][0]["id"]
    for words in (["list"], ["why", identity], ["why", "1700.42"], ["list", "--json"]):
        said = riposte(clean, *words)
        assert said.rc == 0
        assert identity in said.stdout
        assert "[2J" in said.stdout
        assert "{{ 7*7 }} `id`" in said.stdout
        assert not [character for character in said.stdout if character != "\n" and (ord(character) < 32 or character == "\u202e")]

    assert riposte(clean, "release", identity).stdout == f"done: firewall_drop {BLOCKED[0]}: taken away\n"
    assert seconds_left(clean, BLOCKED[0]) is None
    assert len(riposte(clean, "list").stdout.splitlines()) == 3
    assert "  released  " in riposte(clean, "why", BLOCKED[0]).stdout
    assert riposte(clean, "release", "1700.42").rc == 0
    assert "riposte" not in clean.inside(["nft", "list", "ruleset"]).stdout


def test_check_sees_drift_a_stopped_tick_and_a_firewall_that_is_gone(lab: Lab, clean: Host) -> None:
    module(lab, clean, "firewall_drop", targets=BLOCKED[:1], timeout="10m")
    assert riposte(clean, "check").rc == 0
    clean.inside(["systemctl", "stop", "riposte-tick.timer"])
    clean.inside(["nft", "flush", "ruleset"])
    clean.inside(["touch", "/etc/riposte/disabled"])
    wrong = riposte(clean, "check")
    assert wrong.rc == 1
    for said in ("is recorded but not in force", "riposte-tick.timer is not active", "nothing new is put into force"):
        assert said in wrong.stdout
    clean.inside(["rm", "/etc/riposte/disabled"])
    clean.inside(["mv", "/usr/sbin/nft", "/usr/sbin/nft.away"])
    try:
        assert "cannot be told" in riposte(clean, "check").stdout
        assert riposte(clean, "tick").rc == 1
        gone = run_deploy(lab, clean, riposte_agent_state="absent")
    finally:
        clean.inside(["mv", "/usr/sbin/nft.away", "/usr/sbin/nft"])
    assert gone.rc == 2
    assert "the rest stays in place" in gone.stdout + gone.stderr
    assert riposte(clean, "tick").rc == 0
    assert seconds_left(clean, BLOCKED[0])
    assert deploy(lab, clean) == ["Have the tick run every 30 seconds"]
    assert riposte(clean, "check").rc == 0


def test_a_plain_user_is_told_to_be_root(clean: Host) -> None:
    for words in (["list"], ["release", "203.0.113.9"], ["tick"]):
        done = clean.inside(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/local/sbin/riposte", *words], check=False)
        assert (done.rc, done.stdout) == (2, "")
        assert done.stderr.endswith("run it as root\n")


def test_the_guard_file_is_the_roles_and_is_judged_before_it_replaces_the_old_one(lab: Lab, clean: Host) -> None:
    rules: dict[str, Any] = {
        "riposte_agent_never_addresses": ["203.0.113.0/24", "2001:db8::/32"],
        "riposte_agent_never_accounts": ["carol"],
        "riposte_agent_widest_ipv4": 25,
    }
    assert deploy(lab, clean, **rules) == ["Write the guard file"]
    assert deploy(lab, clean, **rules) == []
    assert clean.inside(["stat", "-c", "%a %U", "/etc/riposte", "/etc/riposte/guard.conf"]).stdout == "755 root\n600 root\n"
    done = module(lab, clean, "respond", responses=[{"response": "firewall_drop", "targets": [*BLOCKED, "192.0.2.1"], "timeout": "10m"}])
    assert [each["outcome"] for each in done["responses"]] == ["refused", "refused", "refused", "done"]

    before = clean.read("/etc/riposte/guard.conf")
    refused = run_deploy(lab, clean, riposte_agent_never_addresses=["300.1.1.1"])
    assert refused.rc == 2
    assert "300.1.1.1" in refused.stdout + refused.stderr
    assert clean.read("/etc/riposte/guard.conf") == before
    assert deploy(lab, clean) == ["Write the guard file"]


def test_a_python_that_will_not_do_is_said(lab: Lab, clean: Host) -> None:
    done = run_deploy(lab, clean, riposte_agent_python="/bin/false")
    assert done.rc == 2
    assert "needs Python 3.9 or newer" in done.stdout + done.stderr
