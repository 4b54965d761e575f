# SPDX-License-Identifier: GPL-3.0-or-later
"""disable_account on real hosts: who is let in is asked by real logins, and what is left behind is read from the account file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.modules import Outcome, module, steps, task
from tests.lab import Host, Lab
from tests.lab.system import run

PASSWORD = "geheim"
OTHER_HASH = "$6$saltsaltsaltsalt$aHashThatNobodyKnowsThePasswordOf"
LEDGER = "/var/lib/riposte/ledger.sqlite3"


@pytest.fixture(scope="session")
def key(lab: Lab) -> Path:
    """The key that opens the door of every account made by add_people."""
    path = lab.directory / "people"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "people", "-f", str(path)])
    return path


def add_people(host: Host, key: Path, *names: str) -> None:
    """Accounts with a password and a key."""
    script = r"""
        set -e; read -r key
        for name; do
            useradd -m -s /bin/bash "$name"; echo "$name:$PASSWORD" | chpasswd
            install -d -o "$name" -g "$name" -m 700 "/home/$name/.ssh"; echo "$key" > "/home/$name/.ssh/authorized_keys"
        done"""
    host.inside(["env", f"PASSWORD={PASSWORD}", "sh", "-c", script, "add", *names], input=key.with_suffix(".pub").read_text())


def shadow(host: Host) -> str:
    """The account file with its owner, mode and time of change left out: only what a release must bring back."""
    return host.inside(["sh", "-c", "cat /etc/shadow; stat -c '%u %g %a' /etc/shadow"]).stdout


def line(host: Host, name: str) -> list[str]:
    """The fields of one account in /etc/shadow."""
    found = [each for each in host.read("/etc/shadow").splitlines() if each.startswith(f"{name}:")]
    assert len(found) == 1, found
    return found[0].split(":")


def everything(host: Host) -> str:
    """Every file that a run may touch: time, inode, mode, owner, content."""
    script = r"""
        find /etc /usr/local /var/lib/riposte /var/spool/cron -printf '%p %y %i %m %U:%G %s %T@\n' | sort
        find /etc/shadow /etc/passwd /etc/group /var/lib/riposte -type f -exec sha256sum {} + | sort"""
    return host.inside(["sh", "-c", script], check=False).stdout


def processes(host: Host, name: str) -> list[str]:
    """What runs under an account's real or effective uid."""
    return host.inside(["ps", "-U", name, "-u", name, "-o", "comm="], check=False).stdout.split()


def ledger(host: Host, query: str) -> list[list[object]]:
    """Rows of the host's ledger."""
    script = "import json, sqlite3, sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))"
    rows: list[list[object]] = json.loads(host.inside(["python3", "-c", script, LEDGER, query]).stdout)
    return rows


def outcomes(answer: Outcome) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in answer["responses"]}


def messages(answer: Outcome) -> dict[str, str]:
    return {each["target"]: each["message"] for each in answer["responses"]}


def lock(*names: str, **options: object) -> dict[str, object]:
    return {"targets": list(names), "permanent": True, **options}


# --- the whole way of one lock ------------------------------------------------------------------------------------------------------------


@pytest.mark.on("bookworm", "trixie", "bookworm/3.9")
def test_a_lock_shuts_every_door_and_its_release_opens_them_again(host: Host, lab: Lab, key: Path) -> None:
    core = "2.16" if "3.9" in host.python else "newest"
    add_people(host, key, "mallory", "carol")
    wanted, gone = lock("mallory", reason="sprayed"), {"targets": ["mallory"], "state": "absent"}
    by_password, by_key, bystander = (
        host.open_session("mallory", password=PASSWORD),
        host.open_session("mallory", key=key),
        host.open_session("carol", key=key),
    )
    host.ssh("setsid -f sleep 1000 >/dev/null 2>&1 </dev/null; setsid -f sh -c 'sleep 1000 | passwd' >/dev/null 2>&1 </dev/null", user="mallory", key=key)
    host.ssh("loginctl enable-linger mallory")
    host.wait_for(lambda: {"systemd", "sleep", "passwd"} <= set(processes(host, "mallory")), "mallory's processes")
    before, files = shadow(host), everything(host)

    would = module(lab, host, "disable_account", core=core, check=True, diff=True, **wanted)
    assert everything(host) == files
    assert by_password.alive() and by_key.alive()

    done, again, told = steps(lab, host, task("disable_account", **wanted), task("disable_account", **wanted), task("response_info"), core=core, diff=True)
    assert (would["changed"], would["diff"]) == (done["changed"], done["diff"])
    assert done["changed"] and outcomes(done) == {"mallory": "done"}
    assert done["diff"] == {"before": "disable_account mallory: absent\n", "after": "disable_account mallory: present permanent\n"}
    assert not again["changed"] and outcomes(again) == {"mallory": "unchanged"}
    assert again["responses"][0]["id"] == done["responses"][0]["id"] == told["responses"][0]["id"]
    assert told["responses"][0]["in_force"] == {"standing": True, "password_locked": True, "expired": True}
    host.wait_for(lambda: by_password.ended() and by_key.ended(), "the end of mallory's sessions")
    assert bystander.alive()
    assert processes(host, "mallory") == []
    assert not host.can_login("mallory", password=PASSWORD)
    assert not host.can_login("mallory", key=key)
    assert host.can_login("carol", password=PASSWORD) and host.can_login("carol", key=key)
    assert host.ssh("su mallory -c true", check=False).rc != 0
    assert processes(host, "mallory") == []
    files = everything(host)

    would = module(lab, host, "disable_account", core=core, check=True, diff=True, **gone)
    assert everything(host) == files
    done, again, told = steps(lab, host, task("disable_account", **gone), task("disable_account", **gone), task("response_info"), core=core, diff=True)
    assert (would["changed"], would["diff"]) == (done["changed"], done["diff"])
    assert done["changed"] and not again["changed"]
    assert outcomes(done) == {"mallory": "done"} and outcomes(again) == {"mallory": "unchanged"}
    assert shadow(host) == before
    assert told["responses"] == []
    assert [(each["target"], each["ended_by"], each["reason"]) for each in told["history"]] == [("mallory", "released", "sprayed")]
    assert host.can_login("mallory", password=PASSWORD)
    assert host.can_login("mallory", key=key)
    bystander.close()
