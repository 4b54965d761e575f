# SPDX-License-Identifier: GPL-3.0-or-later
"""The role responder on a real host: its service takes an alert over TLS and has another host act on it, with no more rights than it needs; and it goes
without a trace.

Practice hosts have no internet, no Java and no venv module: wheels, a Java runtime of this machine and Debian's own packages are brought there first.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab import Host, Lab, wait_for
from tests.lab.lab import REPOSITORY
from tests.lab.roots import lab_dir
from tests.lab.rulebook import alert
from tests.lab.system import Completed, inside_netns

REQUIREMENTS = REPOSITORY / "roles/responder/files/requirements.txt"
PACKAGES = ("python3.11-venv", "python3-pip-whl", "python3-setuptools-whl", "python3-distutils")
SECRET, TOKEN = "a secret of some length", "a-token-of-some-length"
POLICY = """
mode: enforce
rules:
  - name: ssh
    match: {rule_ids: ["5712"]}
    responses: [{response: firewall_drop, timeout: 10m}]
  - name: ask first
    mode: approve
    match: {rule_ids: ["5763"]}
    responses: [{response: firewall_drop, timeout: 10m}]
"""
PLAYBOOK = "- hosts: responder\n  gather_facts: false\n  roles: [riposte.active_response.responder]\n"
MODULES = (
    "java.base,java.compiler,java.desktop,java.instrument,java.logging,java.management,java.naming,java.net.http,java.scripting,java.sql,java.xml,"
    "jdk.unsupported"
)
TRACE = r"""
find / /run -xdev \( -path /root/.ansible -o -path /run/log -o -path /run/systemd -o -path /run/user -o -path /var/log/journal -o -name '*-' \) -prune \
    -o -printf '%p %y %m %U:%G %l\n' | sort
find /etc /usr/local /var/lib -xdev -type f ! -name '*-' -print0 | sort -z | xargs -0 sha256sum
systemctl list-unit-files --no-legend
systemctl list-units --all --no-legend --plain 'riposte*' | tr -s ' '
"""


class Field(NamedTuple):
    """The host that gets the role, one that it is to answer for, and what the role is told."""

    responder: Host
    web1: Host
    certificate: Path
    settings: dict[str, Any]


def material() -> Path:
    """Wheels for Debian 12's own Python, its packages for `venv`, and a small Java, made once for a list of requirements."""
    directory = lab_dir() / f"responder-{hashlib.sha256(REQUIREMENTS.read_bytes() + repr(PACKAGES).encode()).hexdigest()[:12]}"
    if directory.exists():
        return directory
    if not shutil.which("jlink"):
        pytest.skip("needs jlink (a JDK with its jmods, 17 or newer)")
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "packages").mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--python-version", "3.11"]
    subprocess.run([*pip, "--requirement", str(requirements(part)), "--dest", str(part / "wheels")], check=True, capture_output=True)
    subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=part / "packages", check=True, capture_output=True)
    subprocess.run(["jlink", "--add-modules", MODULES, "--strip-debug", "--no-man-pages", "--no-header-files", "--output", str(part / "java")], check=True)
    part.rename(directory)
    return directory


def requirements(directory: Path) -> Path:
    """Those for Python 3.11: pip judges the conditions in a file by the Python that it runs on itself."""
    lines = [line.partition(";") for line in REQUIREMENTS.read_text().splitlines()]
    path = directory / "requirements.txt"
    path.write_text("".join(f"{name}\n" for name, _sign, condition in lines if ">=" not in condition))
    return path


def install_collection(directory: Path) -> None:
    """This collection as a user has it, and as it is now: it may change while the tests run."""
    packed = directory.with_name("collection.tar.gz")
    subprocess.run([sys.executable, str(REPOSITORY / "roles/responder/files/pack.py"), str(packed)], check=True, capture_output=True)
    directory.mkdir()
    subprocess.run(["tar", "-C", str(directory), "-xzf", str(packed)], check=True)


def bring(host: Host, directory: Path, target: str) -> None:
    """Copies a directory to the host."""
    host.inside(["mkdir", "-p", target])
    packed = subprocess.Popen(["tar", "-C", str(directory), "-c", "."], stdout=subprocess.PIPE)
    into = ["nsenter", f"--target={host.machine.init_pid}", "--mount", "--", "tar", "-C", target, "-x", "--no-same-owner"]
    subprocess.run(into, stdin=packed.stdout, check=True)
    assert packed.wait() == 0


@pytest.fixture(scope="module")
def field(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    brought = material()
    responder = lab.add_host("responder")
    web1 = lab.add_host("web1", wazuh_agent_id="001")
    bring(responder, brought / "wheels", "/srv/wheels")
    bring(responder, brought / "java", "/srv/java")
    bring(responder, brought / "packages", "/srv/packages")
    responder.inside(["sh", "-c", "for each in /srv/packages/*.deb; do dpkg --extract $each /; done"])
    responder.inside(["python3", "-m", "compileall", "-q", "/usr/lib/python3.11/ensurepip", "/usr/lib/python3.11/distutils"])
    directory = tmp_path_factory.mktemp("responder")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=responder -addext"
    files = ["-keyout", str(directory / "tls.key"), "-out", str(directory / "tls.crt")]
    subprocess.run([*words.split(), f"subjectAltName=IP:{responder.address4}", *files], check=True, capture_output=True)
    (directory / "policy.yml").write_text(POLICY)
    (directory / "play.yml").write_text(PLAYBOOK)
    install_collection(directory / "collections")
    (directory / "known_hosts").write_text(f"{web1.address4} {web1.read('/etc/ssh/ssh_host_ed25519_key.pub')}")
    hosts = {"web1": {"ansible_host": web1.address4, "ansible_user": "root", "wazuh_agent_id": "001", "ansible_python_interpreter": web1.python}}
    (directory / "inventory.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    settings = {
        "riposte_responder_policy": str(directory / "policy.yml"),
        "riposte_responder_inventory": str(directory / "inventory.yml"),
        "riposte_responder_ssh_key": str(lab.key),
        "riposte_responder_known_hosts": str(directory / "known_hosts"),
        "riposte_responder_host": "0.0.0.0",
        "riposte_responder_certificate": str(directory / "tls.crt"),
        "riposte_responder_certificate_key": str(directory / "tls.key"),
        "riposte_responder_hmac_secret": SECRET,
        "riposte_responder_token": TOKEN,
        "riposte_responder_python": responder.python,
        "riposte_responder_pip_args": ["--no-index", "--find-links=/srv/wheels"],
        "riposte_responder_java_home": "/srv/java",
        "riposte_responder_textfile": "/srv/figures",
        "riposte_responder_variables": {"riposte_retry_delay": 1},
    }
    yield Field(responder, web1, directory / "tls.crt", settings)
    lab.remove(responder)
    lab.remove(web1)


def run_role(lab: Lab, field: Field, *words: str, **variables: Any) -> Completed:
    given = field.certificate.with_name("given.json")
    given.write_text(json.dumps({**field.settings, **variables}))
    env = {"ANSIBLE_COLLECTIONS_PATH": str(given.with_name("collections"))}
    return lab.ansible("ansible-playbook", str(given.with_name("play.yml")), "-e", f"@{given}", *words, timeout=600, env=env)


def deploy(lab: Lab, field: Field, *words: str, **variables: Any) -> list[str]:
    """Runs the role; the tasks that changed something."""
    done = run_role(lab, field, *words, **variables)
    assert done.rc == 0, done.stdout + done.stderr
    for secret in (SECRET, TOKEN, "PRIVATE KEY"):
        assert secret not in done.stdout
    changed, task = [], ""
    for line in done.stdout.splitlines():
        if found := re.match(r"TASK \[(?:riposte\.active_response\.responder : )?(.*)\] \*", line):
            task = found[1]
        elif line.startswith("changed: [responder") and task not in changed:
            changed.append(task)
    return changed


def post(lab: Lab, field: Field, body: object, secret: str = SECRET, tls: bool = True, token: str = TOKEN) -> int:
    """Sends it from the controller, and returns the status."""
    content = json.dumps(body).encode()
    signature = "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    context = ssl.create_default_context(cafile=str(field.certificate))
    with inside_netns(lab.controller.netns):
        address = (field.responder.address4, 5000)
        connection = http.client.HTTPSConnection(*address, timeout=20, context=context) if tls else http.client.HTTPConnection(*address, timeout=20)
        connection.connect()
    try:
        connection.request("POST", "/", body=content, headers={"x-hub-signature-256": signature, "Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def trace(host: Host) -> str:
    return host.inside(["sh", "-c", TRACE]).stdout


def blocked(host: Host, address: str) -> bool:
    return f"{address} " in host.inside(["nft", "list", "ruleset"]).stdout


def health(host: Host) -> dict[str, Any]:
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5001/health').read().decode())"
    answer: dict[str, Any] = json.loads(host.inside([host.python, "-c", code]).stdout)
    return answer


def main_pid(host: Host) -> int:
    return int(host.inside(["systemctl", "show", "riposte-responder", "--value", "-p", "MainPID"]).stdout)


def modes(host: Host) -> dict[str, str]:
    listed = host.inside(["find", "/etc/riposte-responder", "/var/lib/riposte-responder/spool", "-maxdepth", "1", "-printf", "%p %m %u\n"]).stdout
    return {line.split()[0].removeprefix("/etc/riposte-responder"): line.partition(" ")[2] for line in listed.splitlines()}


def test_it_comes_answers_alerts_and_goes_without_a_trace(lab: Lab, field: Field) -> None:
    host, web1 = field.responder, field.web1
    lab.ansible("ansible", "responder", "-m", "ansible.builtin.command", "-a", "true", check=True)  # what Ansible itself leaves is there before and after
    before = trace(host)
    deploy(lab, field, "--check", "--diff")
    assert trace(host) == before
    done = deploy(lab, field)
    assert {"Install ansible-rulebook", "Unpack the collection", "Copy the policy, if it passes", "Write the units", "Have the service run"} <= set(done)
    assert deploy(lab, field, "--diff") == []

    # It runs as its own user, what is secret is that user's alone, and nobody sees it in an argument or in the environment.
    seen = modes(host)
    assert seen["/vars.json"] == seen["/ssh_key"] == seen["/tls.key"] == "600 riposte"
    assert seen[""] == "750 root"
    assert seen["/policy.yml"] == seen["/inventory"] == "640 root"
    assert seen["/var/lib/riposte-responder/spool"] == "700 riposte"
    pid = main_pid(host)
    assert host.inside(["stat", "-c", "%U", f"/proc/{pid}"]).stdout == "riposte\n"
    said = host.inside(["sh", "-c", f"cat /proc/[0-9]*/cmdline /proc/{pid}/environ; cat /etc/systemd/system/riposte*; journalctl -b"]).stdout
    assert "ansible-rulebook" in said
    assert SECRET not in said
    assert TOKEN not in said
    assert "NoNewPrivs:\t1" in host.read(f"/proc/{pid}/status")
    assert "CapEff:\t0000000000000000" in host.read(f"/proc/{pid}/status")

    # Who may send, and what becomes of it on the other host.
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        post(lab, field, alert("plain"), tls=False)
    assert post(lab, field, alert("unsigned"), secret="wrong") == 401
    assert post(lab, field, alert("one", address="203.0.113.41")) == 200
    wait_for(lambda: blocked(web1, "203.0.113.41"), "the attacker to be blocked by the service", timeout=60)
    wait_for(lambda: health(host)["alerts"]["answered"] == 1, "the books to be closed", timeout=20)
    audit = [json.loads(line) for line in host.read("/var/log/riposte-responder/audit.jsonl").splitlines()]
    assert ("one", "web1", "done") in {(each["alert_id"], each.get("host"), each.get("outcome")) for each in audit}
    figures = host.wait_for(lambda: host.exists("/srv/figures/riposte.prom") and host.read("/srv/figures/riposte.prom"), "the figures", timeout=40)
    assert "riposte_spool_readable 1\n" in str(figures)

    # It comes back, with what it had accepted, and nothing of a killed run is left.
    host.inside(["mkdir", "/run/riposte-responder/eda-of-a-killed-run"])
    host.inside(["kill", "-9", str(pid)])
    host.wait_for(lambda: main_pid(host) not in (0, pid), "the service to be started again", timeout=30)
    assert not host.exists("/run/riposte-responder/eda-of-a-killed-run")
    assert post_when_up(lab, field, alert("two", address="203.0.113.42")) == 200
    wait_for(lambda: blocked(web1, "203.0.113.42"), "the next attacker to be blocked", timeout=60)

    people_have_a_say(lab, field)
    refuses_a_bad_policy(lab, field)
    venv = host.inside(["sh", "-c", "echo /opt/riposte-responder/venv-*"]).stdout.strip()
    assert deploy(lab, field, "--check", riposte_responder_venv=venv) == []  # an environment that is there already is taken as it is

    standing = trace(host)
    foreseen = deploy(lab, field, "--check", riposte_responder_state="absent")
    assert without_spool(trace(host)) == without_spool(standing)
    gone = deploy(lab, field, riposte_responder_state="absent")
    assert set(foreseen) <= set(gone)
    assert trace(host) == before
    assert deploy(lab, field, riposte_responder_state="absent") == []


def post_when_up(lab: Lab, field: Field, body: object) -> int:
    def send() -> int | None:
        try:
            return post(lab, field, body)
        except OSError:
            return None

    return int(wait_for(send, "the service to listen again", timeout=60))


def without_spool(text: str) -> list[str]:
    """What the running service writes by itself is left out."""
    return [line for line in text.splitlines() if not re.search(r"/(var/lib|run)/riposte-responder/|riposte\.prom|riposte-responder-metrics", line)]


def people_have_a_say(lab: Lab, field: Field) -> None:
    """By the command that the role brings along for them."""
    host, web1 = field.responder, field.web1
    asking = alert("three", address="203.0.113.43")
    assert post(lab, field, {**asking, "rule": {**asking["rule"], "id": "5763"}}) == 200
    wait_for(lambda: health(host)["pending"] == 1, "it to wait for a person", timeout=60)
    assert "203.0.113.43" in host.inside(["riposte-responder", "approve"]).stdout
    assert not blocked(web1, "203.0.113.43")
    assert " done " in host.inside(["riposte-responder", "approve", "-e", '{"riposte_approved": ["three"]}'], timeout=120).stdout
    assert blocked(web1, "203.0.113.43")
    assert "203.0.113.43" in host.inside(["riposte-responder", "report"], timeout=120).stdout
    host.inside(["riposte-responder", "release", "-e", "riposte_target=203.0.113.43"], timeout=120)
    assert not blocked(web1, "203.0.113.43")


def refuses_a_bad_policy(lab: Lab, field: Field) -> None:
    bad = field.certificate.with_name("bad.yml")
    bad.write_text(POLICY.replace("timeout", "timeuot"))
    done = run_role(lab, field, riposte_responder_policy=str(bad))
    assert done.rc != 0
    assert "timeuot" in done.stdout
    assert field.responder.read("/etc/riposte-responder/policy.yml") == POLICY
    assert health(field.responder)["ok"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no policy": ({"riposte_responder_policy": ""}, "name a policy (riposte_responder_policy)"),
    "no TLS": ({"riposte_responder_certificate": "", "riposte_responder_certificate_key": ""}, "on any address but a loopback one"),
    "no proof": ({"riposte_responder_hmac_secret": "", "riposte_responder_token": ""}, "on any address but a loopback one"),
    "a privileged port": ({"riposte_responder_port": 443}, "has no right to ports below 1024"),
    "no Java": ({"riposte_responder_java_home": ""}, "ansible-rulebook needs Java 17 or newer, there is no java in PATH: install it (Debian: openjdk-17-jre"),
    "old Java": ({"riposte_responder_java_home": "/srv/old"}, "here is Java 11"),
    "no such venv": ({"riposte_responder_venv": "/srv/nothing"}, "/srv/nothing: there is no bin/ansible-rulebook in it"),
}


@pytest.mark.parametrize(("variables", "said"), WRONG.values(), ids=WRONG)
def test_settings_that_cannot_be_are_told_before_anything_is_done(lab: Lab, field: Field, variables: dict[str, Any], said: str) -> None:
    field.responder.put("/srv/old/bin/java", "#!/bin/sh\necho '    java.specification.version = 11' >&2\n", mode=0o755)
    done = run_role(lab, field, "--check", **variables)
    assert done.rc != 0
    assert said in re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert not field.responder.exists("/opt/riposte-responder")
