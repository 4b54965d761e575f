# SPDX-License-Identifier: GPL-3.0-or-later
"""disable_account on real hosts: who is let in is asked by real logins, and what is left behind is read from the account file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

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


def everything(host: Host) -> dict[str, str]:
    """Every file that a run may touch: kind, inode, mode, owner, size, time of change, and content where a run may change it."""
    script = r"""
        find /etc /usr/local /var/lib /var/spool/cron -printf '%p\t%y %i %m %U:%G %s %T@\n'
        find /etc/shadow /etc/passwd /etc/group /var/lib/riposte -type f -printf '%p:\t' -exec sha256sum {} ';'"""
    lines = host.inside(["sh", "-c", script], check=False).stdout.splitlines()
    return {path: about for path, _unused, about in (each.partition("\t") for each in lines)}


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


def lock(*names: str, **options: Any) -> dict[str, Any]:
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


# --- exact undo ---------------------------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """What an admin did before the lock and while it stood; `$1` is the account."""

    name: str
    before: str = ":"
    meanwhile: str = ":"


NEW_PASSWORD = f"printf '%s:%s' $1 '{OTHER_HASH}' | chpasswd -e"
CASES = [
    Case("plain"),
    Case("locked", "passwd -l $1"),
    Case("lockedexp", "usermod -L -e 1 $1"),
    Case("twicelocked", "usermod -p '!!' $1"),
    Case("expired0", "chage -E 0 $1"),
    Case("expired2", "chage -E 2 $1"),
    Case("expiring", "chage -E 2031-05-06 $1"),
    Case("nopassword", "passwd -d $1"),
    Case("star", "usermod -p '*' $1"),
    Case("bang", "usermod -p '!' $1"),
    Case("ageing", "chage -m 1 -M 90 -W 14 -I 30 -d 2026-01-02 -E 2030-12-31 $1"),
    Case("mustchange", "passwd -e $1"),
    Case("mnewpw", meanwhile=NEW_PASSWORD),
    Case("mlock", meanwhile="passwd -l $1"),
    Case("mlocktwice", meanwhile="passwd -l $1; usermod -L $1"),
    Case("munlock", meanwhile="passwd -u $1"),
    Case("mlockunlock", meanwhile="usermod -L $1; usermod -U $1"),
    Case("mlockexp", meanwhile="usermod -L -e 1 $1"),
    Case("mnewlocked", meanwhile=f"{NEW_PASSWORD}; passwd -l $1"),
    Case("mnopassword", meanwhile="passwd -d $1"),
    Case("mstar", meanwhile="usermod -p '*' $1"),
    Case("mbang", meanwhile="usermod -p '!' $1"),
    Case("mexpires", meanwhile="chage -E 2032-02-03 $1"),
    Case("mexpired", meanwhile="chage -E 1 $1"),
    Case("mforever", "chage -E 2031-05-06 $1", "usermod -e '' $1; chage -E 2031-07-08 $1"),
    Case("mageing", meanwhile="chage -m 2 -M 60 -I 3 $1"),
    Case("mmustchange", meanwhile="passwd -e $1"),
    Case("mshell", meanwhile="usermod -s /bin/sh -c 'Some One' -aG games $1"),
    Case("lockednewpw", "passwd -l $1", NEW_PASSWORD),
    Case("lockedunlock", "passwd -l $1", "passwd -u $1"),
    Case("starlock", "usermod -p '*' $1", "passwd -l $1"),
    Case("nopwlock", "passwd -d $1", "passwd -l $1"),
]


def do_as_admin(host: Host, prefix: str, cases: Sequence[Case], step: str) -> None:
    """Runs the admin's commands of each case on its account; the command's own verdict counts for nothing, as an admin may mistype."""
    commands = "".join(f"set -- {prefix}{case.name}; {getattr(case, step)}\n" for case in cases)
    host.inside(["sh", "-c", f"exec 2>&1\n{commands}"], check=False)


@pytest.mark.on("bookworm", "trixie")
def test_a_release_leaves_what_there_would_be_without_the_lock(fresh_host: Host, lab: Lab) -> None:
    """Each case has a twin that is never locked: the twin's line is what must come out. A lost ledger makes no difference: the account file tells."""
    host, lost = fresh_host, fresh_host.suite == "bookworm"
    names = [f"a{case.name}" for case in CASES]
    add = 'for name; do useradd "a$name"; useradd "b$name"; printf "a%s:%s\nb%s:%s\n" "$name" "$0" "$name" "$0" | chpasswd -e; done'
    host.inside(["sh", "-c", add, "$6$itself$anotherHash", *(case.name for case in CASES)])
    for prefix in "ab":
        do_as_admin(host, prefix, CASES, "before")
    before = [line(host, name) for name in names]
    assert module(lab, host, "disable_account", **lock(*names))["summary"]["done"] == len(CASES)
    assert module(lab, host, "disable_account", check=True, targets=names, state="absent")["summary"]["done"] == len(CASES)

    tools = host.inside(["sh", "-c", "pwck -q -r; passwd -S alocked; chage -l alocked; getent shadow alocked; useradd another; userdel another"], check=False)
    assert tools.stderr == ""
    assert tools.stdout.splitlines()[0].startswith("alocked L ")
    assert "alocked:*" in tools.stdout
    for prefix in "ab":
        do_as_admin(host, prefix, CASES, "meanwhile")
    if lost:
        host.inside(["rm", "-rf", "/var/lib/riposte"])
        told = module(lab, host, "disable_account", targets=["aplain"], permanent=True)
        assert outcomes(told) == {"aplain": "unchanged"}
    assert module(lab, host, "disable_account", targets=names, state="absent")["summary"]["done"] == len(CASES)
    for case, was in zip(CASES, before):
        ours, twin = line(host, f"a{case.name}"), line(host, f"b{case.name}")
        if case.name == "lockedunlock":  # `passwd -u` finds nothing to take off while our lock stands: the account is locked as it was before
            twin[1] = f"!{twin[1]}"
        assert ours[1:] == twin[1:], case
        if case.meanwhile == ":":
            assert ours == was, case
    assert "riposte" not in host.read("/etc/shadow")
    assert host.inside(["find", "/etc", "-name", "*riposte*"]).stdout == ""


def test_an_admins_unlock_shows_as_drift_and_the_next_run_locks_again(host: Host, lab: Lab, key: Path) -> None:
    add_people(host, key, "dora")
    module(lab, host, "disable_account", **lock("dora"))
    host.inside(["sh", "-c", "echo dora:neu | chpasswd; chage -E -1 dora"])
    assert host.can_login("dora", password="neu")

    told, would, done, again = steps(
        lab,
        host,
        task("response_info"),
        task("disable_account", **lock("dora")).check(),
        task("disable_account", **lock("dora")),
        task("disable_account", **lock("dora")),
    )
    (drifted,) = [each for each in told["responses"] if each["target"] == "dora"]
    assert drifted["in_force"] == {"standing": False, "password_locked": False, "expired": False}
    assert would["changed"] and done["changed"] and not again["changed"]
    assert drifted["id"] == done["responses"][0]["id"]
    assert not host.can_login("dora", password="neu") and not host.can_login("dora", key=key)

    assert module(lab, host, "disable_account", targets=["dora"], state="absent")["changed"]
    assert host.can_login("dora", password="neu")
    assert line(host, "dora")[7:] == ["", ""]


# --- what runs ----------------------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_locked_account_starts_at_boot_and_all_of_it_after_the_release(fresh_host: Host, lab: Lab, key: Path) -> None:
    """cron's @reboot jobs and lingering user managers, those of a bystander as the control."""
    host = fresh_host
    add_people(host, key, "mallory", "carol")
    add_jobs = 'for name; do loginctl enable-linger "$name"; echo "@reboot touch /home/$name/ran" | crontab -u "$name" -; done'
    host.inside(["sh", "-c", add_jobs, "add", "mallory", "carol"])
    assert module(lab, host, "disable_account", **lock("mallory"))["changed"]

    def boot(*names: str) -> None:
        host.inside(["rm", "-f", "/home/mallory/ran", "/home/carol/ran"])
        host.reboot()
        host.wait_booted()
        for name in names:
            host.wait_for(lambda who=name: host.exists(f"/home/{who}/ran") and "systemd" in processes(host, who), f"{name}'s job and user manager")

    boot("carol")
    for service in ("cron", "systemd-user"):
        refusal = f"pam_unix({service}:account): account mallory has expired"
        host.wait_for(lambda text=refusal: text in host.inside(["journalctl", "-b", "-o", "cat"]).stdout, refusal)
    assert not host.exists("/home/mallory/ran")
    assert processes(host, "mallory") == []
    assert not host.can_login("mallory", password=PASSWORD) and not host.can_login("mallory", key=key)

    assert module(lab, host, "disable_account", targets=["mallory"], state="absent")["changed"]
    assert host.can_login("mallory", password=PASSWORD)
    boot("carol", "mallory")


WATCHDOG = r"""
import os, time
def watch():
    while True:                                 # whichever of the two dies, the other starts one in its place
        parent = os.getpid()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        else:
            while os.getppid() == parent:
                time.sleep(0.001)
for _ in range(4):
    if os.fork() == 0:
        watch()
"""


# Run by root, so that nobody stops it: what its children do at the moment when the first of them dies.
WITNESS = r"""
import os, pwd, sys, time
uid = pwd.getpwnam(sys.argv[1]).pw_uid
children = []
for _ in range(40):
    children.append(os.fork())
    if children[-1] == 0:
        os.setuid(uid)
        time.sleep(1000)
os.waitpid(-1, 0)
states = [open(f"/proc/{child}/stat").read().split()[2] for child in children if os.path.exists(f"/proc/{child}/stat")]
open("/run/states", "w").write("".join(states))
"""


def test_processes_that_start_each_other_again_end_all_the_same(host: Host, lab: Lab, key: Path) -> None:
    """All stand still before the first one dies, so that none can fill a gap."""
    add_people(host, key, "hydra")
    host.ssh("setsid -f python3 - >/dev/null 2>&1", user="hydra", key=key, input=WATCHDOG)
    host.inside(["sh", "-c", 'setsid -f python3 -c "$0" hydra >/dev/null 2>&1', WITNESS])
    host.wait_for(lambda: len(processes(host, "hydra")) >= 48, "four pairs of watchdogs and forty others")
    done = module(lab, host, "disable_account", **lock("hydra"))
    assert outcomes(done) == {"hydra": "done"}, messages(done)
    assert processes(host, "hydra") == []
    host.wait_for(lambda: host.exists("/run/states"), "the witness")
    assert "S" not in host.read("/run/states")  # asleep, as they were before


def test_sessions_stay_where_their_end_is_not_asked_for(host: Host, lab: Lab, key: Path) -> None:
    add_people(host, key, "bob")
    session = host.open_session("bob", key=key)
    kept, again = steps(lab, host, *[task("disable_account", **lock("bob", end_sessions=False))] * 2)
    assert kept["changed"] and not again["changed"]
    assert session.alive()
    assert not host.can_login("bob", key=key)
    ended = module(lab, host, "disable_account", **lock("bob"))
    assert outcomes(ended) == {"bob": "done"}
    host.wait_for(session.ended, "the end of bob's session")
    module(lab, host, "disable_account", targets=["bob"], state="absent")


# --- others write the account file too ----------------------------------------------------------------------------------------------------

SLOW_WRITER = r"""
import fcntl, pathlib, sqlite3, sys, time
lock = open("/etc/.pwd.lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)                            # as lckpwdf(3) does
shadow = pathlib.Path("/etc/shadow")
text = shadow.read_text()
pathlib.Path("/run/held").touch()
def intended():
    try:
        return sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT 1 FROM response WHERE phase = 'adding'").fetchall()
    except sqlite3.OperationalError:                        # no ledger yet
        return []
deadline = time.monotonic() + 30
while not intended() and shadow.read_text() == text and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.5)                                             # long enough for one who does not wait
assert shadow.read_text() == text, "written under our lock"
shadow.write_text(text.replace("carol:", "carol:!", 1))
"""


def test_a_lock_waits_for_another_writer_of_the_account_file(fresh_host: Host, lab: Lab, key: Path) -> None:
    host = fresh_host
    add_people(host, key, "mallory", "carol")
    with ThreadPoolExecutor() as pool:
        writer = pool.submit(host.inside, ["python3", "-c", SLOW_WRITER, LEDGER])
        host.wait_for(lambda: host.exists("/run/held"), "the other writer")
        done = module(lab, host, "disable_account", **lock("mallory"))
        writer.result()
    assert outcomes(done) == {"mallory": "done"}, messages(done)
    assert line(host, "carol")[1].startswith("!$")
    assert line(host, "mallory")[7] == "2"


ADMINS = """
cd /run; rm -f admins.*
for number in $(seq 40); do
    useradd -M "n$number" && printf 'n%s:%s\n' "$number" "$1" | chpasswd -e && passwd -q -e "n$number" || echo "n$number"
done > admins.failed 2>&1
touch admins.done
"""


def test_useradd_and_passwd_beside_locks_lose_nothing(fresh_host: Host, lab: Lab, key: Path) -> None:
    host = fresh_host
    add_people(host, key, "mallory", "carol")
    carol = line(host, "carol")
    host.inside(["sh", "-c", 'setsid -f sh -c "$@" >/dev/null 2>&1', "start", ADMINS, "admins", OTHER_HASH])
    present, absent = task("disable_account", **lock("mallory")), task("disable_account", targets=["mallory"], state="absent")
    answers = steps(lab, host, *[present, present, absent, absent] * 4, present, present)
    assert [each["changed"] for each in answers] == [True, False] * 9, answers
    host.wait_for(lambda: host.exists("/run/admins.done"), "the admins' work", timeout=60)
    assert host.read("/run/admins.failed") == ""
    assert line(host, "mallory")[8] == "720000000"
    assert line(host, "carol") == carol
    for number in range(1, 41):
        assert line(host, f"n{number}")[1:3] == [OTHER_HASH, "0"]
    assert host.inside(["sh", "-c", "pwck -q -r; ls /etc/*.lock"], check=False).stdout == ""


# --- lifetimes, records -------------------------------------------------------------------------------------------------------------------


def test_without_a_tick_only_a_permanent_lock_is_accepted(fresh_host: Host, lab: Lab, key: Path) -> None:
    host = fresh_host
    add_people(host, key, "mallory")
    files = everything(host)
    wrong = {
        "timeout": ["10m", "-1", "0", "1e9", "10 parsecs", "400d"],
        "until": ["2031-05-06T07:08:09Z", "2031-05-06T07:08:09", "2020-01-01T00:00:00Z", "soon"],
    }
    tasks = [task("disable_account", targets=["mallory"], **{name: value}) for name, values in wrong.items() for value in values]
    tasks += [
        task("disable_account", targets=["mallory"]),
        task("disable_account", targets=["mallory"], permanent=True, timeout="10m"),
        task("disable_account", targets=["mallory"], permanent=True, override=["admin_groups"]),
    ]
    refused, *_rest = answers = steps(lab, host, tasks[0].check(), *tasks)
    for answer in answers:
        assert answer["failed"] and not answer["changed"] and outcomes(answer) == {"mallory": "failed"}, answer
    assert "no tick is installed on this host" in messages(refused)["mallory"]
    assert "role riposte.active_response.agent" in messages(refused)["mallory"] and "permanent: true" in messages(refused)["mallory"]
    said = [messages(answer)["mallory"] for answer in answers[1:]]
    for value, message in zip(wrong["timeout"][1:5], said[1:5]):
        assert f"timeout '{value}'" in message, message
    assert "exactly one of timeout, until, permanent" in said[10] and "exactly one" in said[11]
    assert "override 'admin_groups'" in said[12]
    assert {path: about for path, about in everything(host).items() if not path.startswith("/var/lib")} == {
        path: about for path, about in files.items() if not path.startswith("/var/lib")
    }
    assert ledger(host, "SELECT * FROM response WHERE phase != 'ended'") == []
    assert host.can_login("mallory", key=key)


def test_a_repeat_leaves_the_record_of_a_permanent_lock_alone(host: Host, lab: Lab, key: Path) -> None:
    add_people(host, key, "erin")
    first, *repeats = steps(
        lab,
        host,
        task("disable_account", **lock("erin", reason="first", alert_id="a.1")),
        task("disable_account", **lock("erin", reason="second", alert_id="a.2")),
        task("disable_account", targets=["erin"], timeout="10m"),
        task("disable_account", targets=["erin"], until="2027-03-01T00:00:00Z"),
    )
    assert first["responses"][0]["until"] is None
    for repeat in repeats:
        assert not repeat["changed"] and outcomes(repeat) == {"erin": "unchanged"}
        assert {name: repeat["responses"][0][name] for name in ("id", "since", "until")} == {
            name: first["responses"][0][name] for name in ("id", "since", "until")
        }
    (row,) = ledger(host, "SELECT id, phase, until, reason, alert_id, origin, before FROM response WHERE target = 'erin'")
    assert row[:6] == [first["responses"][0]["id"], "standing", None, "first", "a.1", "ansible"]
    assert json.loads(str(row[6])) == {"password_locked": False, "expires": None}
    by_alert = module(lab, host, "respond", release=["a.1"])
    assert outcomes(by_alert) == {"erin": "done"}
    assert host.can_login("erin", key=key)


def test_of_two_ends_the_later_stands_and_a_timeout_moves_none(fresh_host: Host, lab: Lab, key: Path) -> None:
    """On a host with the tick. The account file keeps the end too: it outlives the ledger."""
    host = fresh_host
    add_people(host, key, "mallory", "carol")
    variables = json.dumps({"riposte_hosts": host.name})
    lab.ansible("ansible-playbook", "riposte.active_response.deploy", "-e", variables, check=True)
    now = int(host.inside(["date", "+%s"]).stdout)

    def ends(answer: Outcome) -> tuple[bool, str | None]:
        (only,) = answer["responses"]
        return answer["changed"], only["until"]

    def at(moment: int) -> str:
        return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    lifetimes = [
        {"until": str(now + 3600)},
        {"timeout": "2h"},
        {"until": at(now + 7200)},
        {"until": at(now + 600)},
        {"timeout": "5m"},
        {"permanent": True},
        {"until": at(now + 9000)},
    ]
    *answers, late, told = steps(
        lab,
        host,
        *[task("disable_account", targets=["mallory"], **each) for each in lifetimes],
        task("disable_account", targets=["carol"], timeout="1h", since=at(now - 1800)),
        task("response_info"),
    )
    first, second = at(now + 3600), at(now + 7200)
    assert [ends(each) for each in answers] == [
        (True, first), (False, first), (True, second), (False, second), (False, second), (True, None), (False, None)
    ]  # fmt: skip
    assert len({each["responses"][0]["id"] for each in answers}) == 1
    assert ends(late) == (True, at(now + 1800))
    assert {each["target"]: each["until"] for each in told["responses"]} == {"mallory": None, "carol": at(now + 1800)}
    assert line(host, "mallory")[1].startswith("*riposte-0*$") and line(host, "carol")[1].startswith(f"*riposte-{now + 1800}*$")

    host.inside(["rm", "-rf", "/var/lib/riposte"])
    rebuilt = module(lab, host, "disable_account", targets=["carol"], timeout="1m")
    assert ends(rebuilt) == (False, at(now + 1800))
    host.inside(["/usr/local/sbin/riposte", "release", "mallory"])
    before = line(host, "mallory")
    module(lab, host, "disable_account", targets=["mallory"], timeout="2s")
    host.inside(["rm", "-rf", "/var/lib/riposte"])
    host.wait_for(lambda: host.inside(["/usr/local/sbin/riposte", "tick"]) and line(host, "mallory") == before, "the end of mallory's lock")
    assert line(host, "carol")[8] != ""


# --- bad targets --------------------------------------------------------------------------------------------------------------------------


def test_a_batch_locks_the_good_accounts_and_names_each_bad_one(host: Host, lab: Lab, key: Path) -> None:
    add_people(host, key, "good1", "good2", "ghost", "marked", "oddexpiry")
    host.inside(["sed", "-i", "/^ghost:/d; /^marked:/s/$/123/; /^oddexpiry:/s/:$/-7:/", "/etc/shadow"])
    before = {name: line(host, name) for name in ("marked", "oddexpiry")}
    unfit = ["-x", "a:b", "../x", "Ünal", "x" * 300, "", "two\nlines", "{{ 7*7 }}", "$(touch /tmp/pwned)", "good1 "]
    names = [*unfit, "nobodyhere", "ghost", "marked", "oddexpiry"]
    would, done = steps(
        lab,
        host,
        task("disable_account", **lock("good1", *names, "good2", "good1")).check(),
        task("disable_account", **lock("good1", *names, "good2", "good1")),
    )
    for answer in (would, done):
        assert answer["failed"] and answer["changed"]
        assert [each["target"] for each in answer["responses"]] == ["good1", *names, "good2", "good1"]
        assert [each["outcome"] for each in answer["responses"]] == ["done", *["failed"] * len(names), "done", "unchanged"]
        assert f"{len(names)} of {len(names) + 3} targets were not acted on" in answer["msg"]
    said = messages(done)
    for name in unfit:
        assert said[name].startswith(f"account {ascii(name)[:60]}") and "an account name has" in said[name], said[name]
    assert "there is no such account on this host" in said["nobodyhere"]
    assert "it is not a local account (no line in /etc/passwd and /etc/shadow)" in said["ghost"]
    assert "field 9 of its line in /etc/shadow is in use ('123')" in said["marked"]
    assert "its expiry '-7' in /etc/shadow is not a number of days" in said["oddexpiry"]
    assert {name: line(host, name) for name in before} == before
    assert not host.can_login("good1", key=key) and not host.can_login("good2", key=key)
    assert not host.exists("/tmp/pwned")
    module(lab, host, "disable_account", targets=["good1", "good2"], state="absent")


# --- the account file cannot be written ---------------------------------------------------------------------------------------------------


def test_where_etc_cannot_be_written_the_lock_fails_and_nothing_is_half_done(fresh_host: Host, lab: Lab, key: Path) -> None:
    host = fresh_host
    add_people(host, key, "mallory", "carol")
    module(lab, host, "disable_account", **lock("carol"))
    session = host.open_session("mallory", key=key)
    before = shadow(host)
    copied = "mkdir /mnt/etc && mount -t tmpfs -o size=8m none /mnt/etc && cp -a /etc/. /mnt/etc && mount --bind /mnt/etc /etc"
    full = f"{copied} && {{ cat /dev/zero > /etc/full || :; }}"
    read_only = "mount --bind /etc /etc && mount -o remount,ro,bind /etc"
    for prepare in (full, read_only):
        host.inside(["sh", "-c", prepare])
        # carol's process makes her lock one that is not in force: her release must fail all the same, and be told
        host.inside(["sh", "-c", "setsid -f setpriv --reuid=carol --clear-groups sleep 1000 >/dev/null 2>&1"])
        locked, released, told = steps(
            lab, host, task("disable_account", **lock("mallory")), task("disable_account", targets=["carol"], state="absent"), task("response_info")
        )
        assert "responses" in locked, locked
        assert locked["failed"] and not locked["changed"] and outcomes(locked) == {"mallory": "failed"}
        assert "/etc/shadow: cannot be changed" in messages(locked)["mallory"] and "it is as it was" in messages(locked)["mallory"]
        assert released["failed"] and not released["changed"] and outcomes(released) == {"carol": "failed"}
        assert [each["target"] for each in told["responses"]] == ["carol"]
        assert [each["ended_by"] for each in told["history"] if each["target"] == "mallory"] != []
        assert {each["ended_by"] for each in told["history"]} == {"failed"}
        assert shadow(host) == before
        assert host.inside(["find", "/etc", "-name", "*riposte*"]).stdout == ""
        assert session.alive() and host.can_login("mallory", key=key)
        host.inside(["umount", "/etc"])
    done, released = steps(lab, host, task("disable_account", **lock("mallory")), task("disable_account", targets=["carol"], state="absent"))
    assert done["changed"] and released["changed"]
    assert not host.can_login("mallory", key=key) and host.can_login("carol", key=key)


# --- the guard ----------------------------------------------------------------------------------------------------------------------------

GUARD = """
[never]
accounts = nadia
groups = treasury
"""
PEOPLE = """
useradd -o -u 0 -g 0 toor
useradd -G sudo alice; groupadd wheel; useradd -g wheel bert; groupadd docker; useradd -G games,docker dan
useradd -r daemon1; useradd nadia; groupadd treasury; useradd -g treasury tina; useradd petra; useradd mallory; useradd -u 65533 highuid
usermod -aG sudo deploy; echo 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy
"""
REFUSED = {
    "root": "root",
    "toor": "root",
    "deploy": "account_in_use",
    "alice": "admin_group",
    "bert": "admin_group",
    "dan": "admin_group",
    "daemon1": "system_account",
    "sshd": "system_account",
    "nobody": "system_account",
    "nadia": "never:nadia",
    "tina": "never:treasury",
    "petra": "never:petra",
}


@pytest.mark.on("bookworm", "trixie")
def test_the_guard_says_no_and_by_which_entry_it_can_be_overridden(fresh_host: Host, lab: Lab, key: Path) -> None:
    """Logged in as deploy, root by sudo."""
    host = fresh_host
    add_people(host, key, "deploy")
    host.inside(["sh", "-ec", PEOPLE])
    host.put("/etc/riposte/guard.conf", GUARD)
    before, lines = shadow(host), {name: line(host, name) for name in REFUSED}
    options = {"protect": ["petra"], "end_sessions": False}
    login = {"ansible_user": "deploy", "ansible_become": True, "ansible_ssh_private_key_file": str(key)}
    batch = task("disable_account", **lock(*REFUSED, "mallory", "highuid", **options))
    # root and its twin are in the group root as well
    needed = {name: {entry, "admin_group"} if entry == "root" or name == "deploy" else {entry} for name, entry in REFUSED.items()}
    others = {name: sorted({*REFUSED.values(), "admin_group"} - {entry}) for name, entry in REFUSED.items()}

    would, done, *answers = steps(
        lab,
        host,
        batch.check(),
        batch,
        *[task("disable_account", **lock(name, override=others[name], **options)).check() for name in REFUSED],
        *[task("disable_account", **lock(name, override=sorted(needed[name]), **options)).check() for name in REFUSED],
        variables=login,
    )
    for answer in (would, done):
        assert answer["failed"] and answer["changed"]
        assert outcomes(answer) == {**dict.fromkeys(REFUSED, "refused"), "mallory": "done", "highuid": "done"}, messages(answer)
        for name, entry in REFUSED.items():
            assert f"account {name} is refused: " in messages(answer)[name]
            assert f"(guard entry {entry}; to act all the same: override: [{entry}])" in messages(answer)[name]
    assert {name: line(host, name) for name in REFUSED} == lines
    for name, answer in zip(REFUSED, answers):
        assert outcomes(answer) == {name: "refused"}, messages(answer)
    overridden = dict(zip(REFUSED, answers[len(REFUSED) :]))
    for name, answer in overridden.items():
        assert outcomes(answer) == {name: "done"}, messages(answer)

    people = ["alice", "bert", "deploy", "toor"]
    really, back = steps(
        lab,
        host,
        task("disable_account", **lock(*people, override=["admin_group", "account_in_use", "root"], end_sessions=False)),
        task("disable_account", targets=[*people, "mallory", "highuid"], state="absent"),
    )
    assert really["summary"]["done"] == 4 and back["summary"]["done"] == 6
    assert shadow(host) == before

    # who overrides that as well ends the very session that asks: its answer is lost, its work and its record are not
    (lost,) = steps(lab, host, task("disable_account", **lock("deploy", override=["admin_group", "account_in_use"])), variables=login)
    assert lost["unreachable"]
    told, back = steps(lab, host, task("response_info"), task("disable_account", targets=["deploy"], state="absent"))
    assert [(each["target"], each["in_force"]["standing"]) for each in told["responses"]] == [("deploy", True)]
    assert back["changed"] and shadow(host) == before


def test_ending_what_runs_as_root_is_refused_even_with_the_override(host: Host, lab: Lab) -> None:
    """uid 0 is pid 1, sshd and this very run: an override of the guard cannot mean that."""
    host.inside(["useradd", "-o", "-u", "0", "-g", "0", "toor2"])
    before = line(host, "toor2")
    answer = module(lab, host, "disable_account", **lock("toor2", override=["root", "admin_group"]))
    assert outcomes(answer) == {"toor2": "failed"}
    assert "end_sessions: false" in messages(answer)["toor2"]
    assert line(host, "toor2") == before
