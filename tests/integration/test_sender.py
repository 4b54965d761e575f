# SPDX-License-Identifier: GPL-3.0-or-later
"""What sends a manager's alerts to the webhook, on practice hosts: installed by the role, called as integratord calls it, and gone to the byte."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_manager_role import CONF, CONFIGURE, apply, refused, run_role
from tests.integration.wazuh_tree import HOME, lay_manager, snapshot
from tests.lab import Host, Lab

STAND_IN = Path(__file__).parents[1] / "unit/sender/stand_in.py"
ACCEPTED = "/root/accepted"
SECRET, TOKEN = "a secret; with = and {{ 7*7 }} in it", "a-token-of-some-length"
SPOOL = f"{HOME}/queue/riposte"

# As wazuh-integratord: as Wazuh's user in its home, with a file in /tmp that it deletes afterwards, and the junk at the end.
INTEGRATORD = r"""
import json, os, pwd, subprocess, sys, time
home, debug, alerts = "/var/ossec", sys.argv[1] == "debug", json.load(sys.stdin)
user = pwd.getpwnam("wazuh")
if os.fork() == 0:
    os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid); os.chdir(home)
    script = "integrations/custom-riposte"
    if os.access(script, os.W_OK):
        os._exit(127)
    code, longest = 0, 0
    for number, alert in enumerate(alerts):
        path = f"/tmp/custom-riposte-{int(time.time())}-{number}.alert"
        with open(path, "w") as file:
            file.write(json.dumps(alert) + "\n")
        os.chmod(path, 0o644)
        rest = ["debug", "", "10", "3"] if debug else ["", "", "10", "3", "> /dev/null 2>&1"]
        begun = time.monotonic()
        code |= subprocess.run([script, path, "", "", *rest], stdin=subprocess.DEVNULL).returncode
        longest = max(longest, time.monotonic() - begun)
        os.unlink(path)
    print(f"{longest:.3f}")
    sys.stdout.flush()
    os._exit(code)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key."""
    directory = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*words.split(), "-keyout", directory / "key", "-out", directory / "cert"], check=True, capture_output=True)
    (directory / "both").write_text((directory / "cert").read_text() + (directory / "key").read_text())
    return directory


class Receiver:
    """A webhook on the host itself: a stand-in that verifies who sent it."""

    def __init__(self, host: Host, pem: Path) -> None:
        self._host = host
        host.put("/root/stand_in.py", STAND_IN.read_text())
        host.put("/root/both.pem", (pem / "both").read_text(), mode=0o600)
        host.put(ACCEPTED, "")
        self.start()

    def start(self) -> None:
        unit = ["systemd-run", "--unit=stand-in", "--collect", "-q", self._host.python, "/root/stand_in.py", SECRET, TOKEN, "/root/both.pem", ACCEPTED]
        self._host.inside(unit)

    def stop(self) -> None:
        self._host.inside(["systemctl", "stop", "stand-in"], check=False)

    def has(self, *ids: str) -> bool:
        return set(ids) <= set(self._host.read(ACCEPTED).split())


@pytest.fixture
def receiver(host: Host, pem: Path) -> Iterator[Receiver]:
    lay_manager(host)
    receiver = Receiver(host, pem)
    yield receiver
    receiver.stop()


def options(pem: Path) -> dict[str, object]:
    ca = (pem / "cert").read_text()
    return {"webhook_url": "https://localhost:8443/", "webhook_secret": SECRET, "webhook_token": TOKEN, "webhook_ca": ca, "webhook_rules_id": [5712, 5763]}


def variables(lab: Lab, pem: Path, **more: object) -> list[str]:
    """The words by which they reach Ansible as they are: the secret looks like a template."""
    values = {f"riposte_manager_{name}": value for name, value in {**options(pem), **more}.items()}
    path = lab.directory / "sender.json"
    path.write_text(json.dumps(values).replace(json.dumps(SECRET), f"!unsafe '{SECRET}'"), encoding="utf-8")
    return ["-e", f"@{path}"]


def raise_alerts(host: Host, *ids: str, debug: bool = False) -> float:
    """Has integratord start custom-riposte for each; the seconds that the slowest took."""
    alerts = [{"id": each, "rule": {"id": "5712", "level": 10}, "full_log": "{{ 7*7 }} $(touch /root/owned)"} for each in ids]
    done = host.inside([host.python, "-IS", "-c", INTEGRATORD, "debug" if debug else ""], input=json.dumps(alerts))
    return float(done.stdout.split()[-1])


def test_it_comes_sends_and_goes_to_the_byte(lab: Lab, host: Host, receiver: Receiver, pem: Path) -> None:
    core = "2.16"  # the other tests here take the newest
    before, outside = snapshot(host), snapshot(host, "/etc") | snapshot(host, "/usr/local")
    words = variables(lab, pem)
    apply(lab, host, *words, "--check", "--diff", core=core)
    assert snapshot(host) == before
    done = run_role(lab, host, *words, "--diff", "-vvv", core=core)
    assert done.rc == 0, done.stdout + done.stderr
    for secret in ("a secret;", TOKEN):
        assert secret not in done.stdout + done.stderr.replace(json.dumps(words), "")
    there = snapshot(host)
    assert there["integrations/custom-riposte"].startswith("f 0750 root:wazuh ")
    assert there["queue/riposte"] == "d 0700 wazuh:wazuh"
    assert "<name>custom-riposte</name>" in host.read(CONF)
    assert "<rule_id>5712,5763</rule_id>" in host.read(CONF)
    assert "<options>" not in host.read(CONF)
    assert host.inside(["stat", "-c", "%a %U", "/etc/riposte-sender/sender.conf"]).stdout == "600 root\n"

    took = raise_alerts(host, "1", "2", debug=True)
    host.wait_for(lambda: receiver.has("1", "2"), "two alerts to arrive")
    assert took < 1
    host.wait_for(lambda: not host.inside(["sh", "-c", f"ls {SPOOL} | grep alert"], check=False).stdout, "the files to be deleted")
    assert len(re.findall("custom-riposte: kept as ", host.read(f"{HOME}/logs/integrations.log"))) == 2
    assert not host.exists("/root/owned")

    assert apply(lab, host, *words, core=core) == []
    changed = apply(lab, host, *variables(lab, pem, webhook_level=7, webhook_max_alerts=5), core=core)
    assert changed[0] == CONFIGURE
    assert '<options>{"max_alerts": 5, "max_bytes": 268435456}</options>' in host.read(CONF)

    apply(lab, host, "--check", core=core)
    assert "custom-riposte" in host.read(CONF)
    apply(lab, host, core=core, state="absent")
    after = {name: seen for name, seen in snapshot(host).items() if name != "logs/integrations.log"}
    assert after == before
    assert snapshot(host, "/etc") | snapshot(host, "/usr/local") == outside
    assert host.inside(["pgrep", "-f", "riposte-sender"], check=False).stdout == ""
    assert apply(lab, host, core=core, state="absent") == []


def test_it_is_wazuhs_user_and_that_user_cannot_read_its_secret(lab: Lab, host: Host, receiver: Receiver, pem: Path) -> None:
    apply(lab, host, *variables(lab, pem))
    pid = host.inside(["systemctl", "show", "-P", "MainPID", "riposte-sender"]).stdout.strip()
    host.wait_for(lambda: host.inside(["stat", "-c", "%U", f"/proc/{pid}/fdinfo/.."], check=False).rc == 0, "the process")
    status = host.read(f"/proc/{pid}/status")
    wazuh = host.inside(["id", "-u", "wazuh"]).stdout.strip()
    assert re.search(rf"^Uid:\s+{wazuh}\s+{wazuh}\s+{wazuh}\s+{wazuh}$", status, re.MULTILINE), status
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), status
    assert re.search(r"^Groups:\s*$", status, re.MULTILINE), status
    for path in (f"/proc/{pid}/mem", f"/proc/{pid}/environ", "/etc/riposte-sender/sender.conf"):
        assert "Permission denied" in host.inside(["setpriv", "--reuid=wazuh", "--regid=wazuh", "--clear-groups", "cat", path], check=False).stderr
    assert TOKEN not in host.inside(["ps", "-eo", "args"]).stdout.replace("\n", " ").split("stand_in.py")[0]
    assert TOKEN not in host.inside(["journalctl", "-u", "riposte-sender", "--no-pager"]).stdout


def test_what_waits_outlives_a_power_cut_and_a_webhook_that_is_down(lab: Lab, host: Host, receiver: Receiver, pem: Path) -> None:
    apply(lab, host, *variables(lab, pem))
    receiver.stop()
    raise_alerts(host, "down-1", "down-2")
    host.wait_for(lambda: "tried again until it works" in host.inside(["journalctl", "-u", "riposte-sender", "--no-pager"]).stdout, "the sender to say so")
    host.power_cut()
    host.power_on()
    host.wait_booted()
    raise_alerts(host, "down-3")
    receiver.start()
    host.wait_for(lambda: receiver.has("down-1", "down-2", "down-3"), "all three to arrive", timeout=30)


def test_without_systemd_cron_starts_it(lab: Lab, host: Host, receiver: Receiver, pem: Path) -> None:
    if not host.exists("/etc/cron.d"):
        host.inside(["mkdir", "/etc/cron.d"])
    words = variables(lab, pem, webhook_start="cron")
    apply(lab, host, *words)
    assert not host.exists("/etc/systemd/system/riposte-sender.service")
    raise_alerts(host, "cron-1")
    host.wait_for(lambda: receiver.has("cron-1"), "it to arrive")
    [line] = [line for line in host.read("/etc/cron.d/riposte-sender").splitlines() if line.startswith("* * * * * root ")]
    start = ["sh", "-c", line.removeprefix("* * * * * root ")]
    first = host.inside(["pgrep", "-f", "riposte-sender --daemon"]).stdout
    host.inside(start)
    host.wait_for(lambda: host.inside(["pgrep", "-f", "riposte-sender --daemon"]).stdout == first, "the second one to leave")
    host.inside(["pkill", "-9", "-f", "riposte-sender --daemon"])
    raise_alerts(host, "cron-2")
    host.inside(start)
    host.wait_for(lambda: receiver.has("cron-2"), "it to arrive")
    assert apply(lab, host, *words) == []
    apply(lab, host, state="absent")
    assert host.inside(["pgrep", "-f", "riposte-sender"], check=False).stdout == ""


def test_what_cannot_be_is_said_and_changes_nothing_in_wazuh(lab: Lab, host: Host, receiver: Receiver, pem: Path) -> None:
    assert "since each alert costs the start of a program" in refused(lab, host, webhook_url="https://localhost:8443/")
    assert "by https only" in refused(lab, host, webhook_url="http://elsewhere.example/", webhook_level=7)
    assert "ca_file: '/etc/riposte-sender/ca.pem'" in refused(lab, host, webhook_url="https://h/", webhook_level=7, webhook_ca="none")
    assert "custom-riposte needs Python 3.9" in refused(lab, host, webhook_url="https://h/", webhook_level=7, webhook_python="/bin/false")
