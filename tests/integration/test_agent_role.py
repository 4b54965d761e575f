# SPDX-License-Identifier: GPL-3.0-or-later
"""The role agent on real hosts: it comes, keeps what was promised while nobody looks, and goes without a trace."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.modules import module
from tests.lab import Host, Lab, Peer
from tests.lab.system import Completed

BLOCKED = ["203.0.113.9", "2001:db8::7", "198.51.100.0/24"]
PASSWORD = "correct horse"  # noqa: S105
TICK = 35  # seconds within which the timer has come round

# All files with type, mode, owner and link target, the content of those that are kept, every rule, and systemd's own view. Left out: what the running
# system and Ansible's visit write by themselves.
TRACE = r"""
find / /run -xdev \( -path /root/.ansible -o -path /run/log -o -path /run/systemd -o -path /run/user -o -path /var/log \) -prune -o -printf '%p %y %m %U:%G %l\n' | sort
find /etc /usr/local /var/lib /boot -xdev -type f -print0 | sort -z | xargs -0 sha256sum
nft list ruleset
systemctl list-unit-files --no-legend
systemctl list-units --all --no-legend --plain 'riposte*'
"""


def deploy(lab: Lab, host: Host, *words: str, core: str = "newest", check: bool = True, **variables: Any) -> int:
    """Runs the playbook; how many tasks changed something. AssertionError with all that it said when it fails."""
    done = run_deploy(lab, host, *words, core=core, **variables)
    assert done.rc == 0, done.stdout + done.stderr
    [changed] = re.findall(rf"^{host.name} .*changed=(\d+)", done.stdout, re.MULTILINE)
    return int(changed)


def run_deploy(lab: Lab, host: Host, *words: str, core: str = "newest", **variables: Any) -> Completed:
    variables = {"riposte_hosts": host.name, "riposte_agent_python": host.python, **variables}
    return lab.ansible("ansible-playbook", "riposte.active_response.deploy", "-e", json.dumps(variables), *words, core=core)


def trace(host: Host) -> str:
    return host.inside(["sh", "-c", TRACE]).stdout


def riposte(host: Host, *words: str) -> Completed:
    """The program on the host, as root; whatever happens, it never shows a traceback."""
    done = host.inside(["/usr/local/sbin/riposte", *words], check=False)
    assert "Traceback" not in done.stderr
    return done


def seconds_left(host: Host, address: str) -> float | None:
    """How long the kernel will keep a blocked address, None when it is not blocked."""
    listed = host.inside(["nft", "list", "table", "inet", "riposte"], check=False).stdout
    found = re.search(rf"\b{re.escape(address)} timeout \w+ expires (?:(\d+)m)?(?:(\d+)s)?", listed)
    return int(found[1] or 0) * 60 + int(found[2] or 0) if found else None


def journal(host: Host, unit: str) -> list[dict[str, Any]]:
    """A unit's entries of this boot, with a monotonic clock."""
    return [json.loads(line) for line in host.inside(["journalctl", "-b", "-o", "json", "-u", unit]).stdout.splitlines()]


def shadow_line(host: Host, user: str) -> str:
    [line] = [line for line in host.read("/etc/shadow").splitlines() if line.startswith(f"{user}:")]
    return line


def add_user(host: Host, user: str) -> str:
    """A person with a password; their line in /etc/shadow."""
    host.inside(["useradd", "-m", "-s", "/bin/sh", user])
    host.inside(["chpasswd"], input=f"{user}:{PASSWORD}\n")
    return shadow_line(host, user)


@pytest.fixture(scope="module")
def agent(lab: Lab, host: Host) -> Iterator[Host]:
    """The module's host with the role on it."""
    deploy(lab, host)
    yield host


@pytest.fixture
def clean(lab: Lab, agent: Host) -> Iterator[Host]:
    """The host with the role on it and nothing standing, before and after."""
    yield agent
    for each in json.loads(riposte(agent, "list", "--json").stdout)["responses"]:
        riposte(agent, "release", each["target"])
    assert riposte(agent, "list").stdout == "Nothing stands on this host.\n"
    agent.inside(["rm", "-f", "/etc/riposte/disabled"])


# --- it comes, twice, and goes ------------------------------------------------------------------------------------------------------------


@pytest.mark.on("bookworm", "trixie", "bookworm/3.9")
def test_the_agent_comes_once_and_goes_without_a_trace(lab: Lab, fresh_host: Host) -> None:
    host, core = fresh_host, "2.16" if fresh_host.suite == "trixie" else "newest"
    add_user(host, "mallory")
    module(lab, host, "ansible.builtin.command", argv=["true"])  # what Ansible itself leaves is there before and after
    before = trace(host)

    foreseen = deploy(lab, host, "--check", "--diff", core=core)
    assert foreseen > 0
    assert trace(host) == before
    assert deploy(lab, host, core=core) >= foreseen
    assert deploy(lab, host, core=core) == 0
    assert deploy(lab, host, "--check", core=core) == 0
    checked = riposte(host, "check")
    assert (checked.rc, checked.stdout.count("ok  ")) == (0, 3), checked.stdout
    assert host.inside(["head", "-1", "/usr/local/sbin/riposte"]).stdout == f"#!{host.python} -IS\n"

    module(lab, host, "firewall_drop", core=core, targets=BLOCKED, timeout="10m")
    module(lab, host, "disable_account", core=core, targets=["mallory"], timeout="10m")
    assert "riposte" in host.inside(["nft", "list", "ruleset"]).stdout
    standing = trace(host)
    assert deploy(lab, host, "--check", core=core, riposte_agent_state="absent") > 0
    assert trace(host) == standing
    assert deploy(lab, host, core=core, riposte_agent_state="absent") > 0
    assert trace(host) == before
    assert deploy(lab, host, core=core, riposte_agent_state="absent") == 0
