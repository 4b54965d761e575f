# SPDX-License-Identifier: GPL-3.0-or-later
"""The practice lab keeps what it promises: what a probe reports is what packets did, and nothing of a lab stays behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.lab import Host, Lab, LabError, Peer, instance, wait_for
from tests.lab.lab import REPOSITORY
from tests.lab.system import NETNS, cgroup_root, run

BOTH = pytest.mark.on("bookworm", "trixie")
DROP = """
table inet lab_test {
    set blocked4 { type ipv4_addr; }
    set blocked6 { type ipv6_addr; }
    chain pre { type filter hook prerouting priority raw; ip saddr @blocked4 drop; ip6 saddr @blocked6 drop; }
    chain out { type filter hook output priority raw; ip daddr @blocked4 drop; ip6 daddr @blocked6 drop; }
}
"""


@pytest.fixture
def wall(host: Host) -> Iterator[Host]:
    """A host with an empty block list."""
    host.inside(["nft", "-f", "-"], input=DROP)
    yield host
    host.inside(["nft", "destroy" if host.suite == "trixie" else "delete", "table", "inet", "lab_test"])


def block(host: Host, address: str) -> None:
    host.inside(["nft", "add", "element", "inet", "lab_test", "blocked6" if ":" in address else "blocked4", f"{{ {address} }}"])


# --- a host is a host ---------------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_host_runs_the_suite_under_a_real_systemd(host: Host) -> None:
    assert f"VERSION_CODENAME={host.suite}" in host.read("/etc/os-release")
    assert host.read("/proc/1/comm") == "systemd\n"
    assert host.wait_booted() == "running"
    assert host.ssh("hostname").stdout == f"{host.name}\n"
    assert host.ssh(["printf", "%s|", "two words", "$HOME"]).stdout == "two words|$HOME|"


@BOTH
def test_firewalld_and_ipset_work_on_a_host(fresh_host: Host) -> None:
    fresh_host.inside(["systemctl", "start", "firewalld"])
    assert fresh_host.inside(["firewall-cmd", "--state"]).stdout == "running\n"
    fresh_host.inside(["ipset", "create", "lab_test", "hash:ip", "timeout", "60"])
    assert "lab_test" in fresh_host.inside(["ipset", "list", "-n"]).stdout


def test_a_host_without_systemd_has_an_init_a_cron_and_a_sshd_all_the_same(lab: Lab, attacker: Peer) -> None:
    with pytest.raises(LabError, match="there is no host of bookworm with openrc; there are bookworm with systemd, "):
        lab.add_host("openrc", init="openrc")
    host = lab.add_host("sysv", init="sysv")

    def cut_and_start() -> None:
        host.power_cut()
        host.power_on()

    def booted(times: int) -> bool:
        return host.ssh("cat /root/cron", check=False).stdout.count("booted") == times

    try:
        host.put("/etc/cron.d/lab", "@reboot root echo booted >>/root/cron\n* * * * * root echo minute >>/root/cron\n")
        for boots, interrupt in enumerate((host.reboot, cut_and_start), start=1):
            host.inside(["nft", "add", "table", "inet", "lost"])
            before = host.ssh("cat /proc/sys/kernel/random/boot_id").stdout
            interrupt()
            assert host.ssh("cat /proc/sys/kernel/random/boot_id").stdout != before
            assert host.inside(["nft", "list", "tables"]).stdout == ""
            assert attacker.can_connect(host.address6, 22)
            wait_for(partial(booted, boots), "cron's jobs of the boot")
        assert host.read("/proc/1/comm") == "init\n"
        assert host.ssh("command -v systemctl loginctl journalctl dbus-daemon", check=False).stdout == ""
        assert '"ansible_service_mgr": "sysvinit"' in lab.ansible("ansible", host.name, "-m", "setup", "-a", "filter=ansible_service_mgr", check=True).stdout
        host.ssh("logger -t lab said")
        assert "lab: said" in host.read("/var/log/syslog")
        host.wait_for(lambda: "minute" in host.read("/root/cron"), "cron's job of the minute", timeout=65)
    finally:
        lab.remove(host)


def test_a_failing_command_is_an_error_that_names_host_and_words(host: Host) -> None:
    with pytest.raises(LabError, match=rf"{host.name}: .*ended with 7, expected 0; it said: no luck"):
        host.ssh("echo no luck >&2; exit 7")
    assert host.ssh("exit 7", check=False).rc == 7


def test_a_file_that_was_put_is_there_with_its_mode(host: Host) -> None:
    host.put("/etc/lab/deep/file", "ünicode\n", mode=0o600)
    assert host.read("/etc/lab/deep/file") == "ünicode\n"
    assert host.ssh("stat -c %a /etc/lab/deep/file").stdout == "600\n"
    assert host.exists("/etc/lab/deep/file")
    assert not host.exists("/etc/lab/deep/other")


@BOTH
def test_a_reboot_and_a_power_cut_lose_the_kernels_tables_and_keep_the_disk(fresh_host: Host, attacker: Peer) -> None:
    def cut_and_start() -> None:
        fresh_host.power_cut()
        fresh_host.power_on()

    for interrupt in (fresh_host.reboot, cut_and_start):
        fresh_host.put("/var/lib/kept", "kept")
        fresh_host.inside(["nft", "add", "table", "inet", "lost"])
        before = fresh_host.ssh("cat /proc/sys/kernel/random/boot_id").stdout
        interrupt()
        assert fresh_host.ssh("cat /proc/sys/kernel/random/boot_id").stdout != before
        assert fresh_host.inside(["nft", "list", "tables"]).stdout == ""
        assert fresh_host.read("/var/lib/kept") == "kept"
        assert attacker.can_connect(fresh_host.address4, 22)
        assert attacker.can_connect(fresh_host.address6, 22)


def test_a_power_cut_says_no_goodbye(fresh_host: Host, attacker: Peer) -> None:
    with fresh_host.listen(7000), attacker.open_stream(fresh_host.address4, 7000) as stream:
        assert stream.alive()
        fresh_host.power_cut()
        assert attacker.connect(fresh_host.address4, 22, timeout=0.3) == "timeout"
        started = time.monotonic()
        assert not stream.alive(timeout=0.3)
        assert time.monotonic() - started >= 0.3, "the stream was closed or reset, as a host that loses its power cannot do"
    with pytest.raises(LabError, match="is off"):
        fresh_host.inside(["true"])


def test_a_host_that_does_not_boot_is_an_error_and_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "boot.py"
    broken.write_text("raise SystemExit('this disk is empty')")
    monkeypatch.setattr("tests.lab.machine.BOOT", broken)
    with pytest.raises(LabError, match=r"went off while booting.*this disk is empty"):
        lab.add_host("broken")
    assert "broken" not in lab.hosts
    assert not [leftover for leftover in leftovers(lab.prefix) if "broken" in leftover]


# --- logins -------------------------------------------------------------------------------------------------------------------------------


@BOTH
def test_logins_by_password_and_key_are_real(host: Host, tmp_path: Path) -> None:
    key = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    host.ssh("useradd -m -s /bin/bash mallory && echo 'mallory:open sesame' | chpasswd")
    host.put("/home/mallory/.ssh/authorized_keys", key.with_suffix(".pub").read_text())
    assert host.can_login("mallory", password="open sesame")
    assert not host.can_login("mallory", password="open barley")
    assert host.can_login("mallory", key=key)
    assert not host.can_login("mallory")
    with host.open_session("mallory", key=key) as session:
        assert session.alive()
        assert "mallory" in host.ssh("loginctl list-sessions --no-legend").stdout
        host.ssh("loginctl terminate-user mallory")
        wait_for(session.ended, "the session of mallory to end")
        assert not session.alive()


# --- packets ------------------------------------------------------------------------------------------------------------------------------


def test_probes_see_open_refused_and_dropped_for_each_source(wall: Host, attacker: Peer, visitor: Peer) -> None:
    for address, source in ((wall.address4, attacker.add_address("203.0.113.9")), (wall.address6, attacker.add_address("2001:db8::9"))):
        assert attacker.connect(address, 22, source=source) == "open"
        assert attacker.connect(address, 23, source=source) == "refused"
        assert attacker.ping(address, source=source)
        block(wall, source)
        assert attacker.connect(address, 22, source=source, timeout=0.3) == "timeout"
        assert not attacker.ping(address, source=source, timeout=0.3)
        assert attacker.can_connect(address, 22), "the block must not touch the attacker's other address"
        assert visitor.can_connect(address, 22)


def test_an_open_stream_dies_with_a_block_and_its_neighbour_lives(wall: Host, attacker: Peer, visitor: Peer) -> None:
    for address, source in ((wall.address4, attacker.address4), (wall.address6, attacker.address6)):
        with wall.listen(7000) as listener, attacker.open_stream(address, 7000) as stream, visitor.open_stream(address, 7000) as other:
            assert stream.alive()
            assert other.alive()
            assert source in listener.accepted(2)
            block(wall, source)
            assert not stream.alive(timeout=0.3)
            assert other.alive()


def test_outgoing_connections_are_seen_by_their_target(wall: Host, attacker: Peer) -> None:
    for address, source in ((attacker.address4, wall.address4), (attacker.address6, wall.address6)):
        assert wall.connect(address, 8000) == "refused"
        with attacker.listen(8000) as listener:
            assert wall.connect(address, 8000) == "open"
            assert listener.accepted() == [source]
            block(wall, address)
            assert wall.connect(address, 8000, timeout=0.3) == "timeout"
            assert not wall.ping(address, timeout=0.3)


@BOTH
def test_forwarded_packets_pass_the_host_even_after_its_reboot(fresh_host: Host, lab: Lab, attacker: Peer) -> None:
    inside = lab.add_peer(f"behind-{fresh_host.name}", via=fresh_host.name)
    for moment in ("at first", "after a reboot"):
        if moment == "after a reboot":
            fresh_host.reboot()
        fresh_host.inside(["nft", "-f", "-"], input=DROP)
        for target, source in ((inside.address4, attacker.address4), (inside.address6, attacker.address6)):
            with inside.listen(80) as listener:
                assert attacker.connect(target, 80) == "open", moment
                assert listener.accepted() == [source], moment
                block(fresh_host, source)
                assert attacker.connect(target, 80, timeout=0.3) == "timeout", moment


# --- Ansible ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.on("bookworm/3.9", "trixie")
@pytest.mark.parametrize("core", ["2.16", "newest"])
def test_ansible_reaches_a_host_with_the_python_it_was_given(fresh_host: Host, lab: Lab, core: str) -> None:
    facts = lab.ansible("ansible", fresh_host.name, "-m", "setup", "-a", "filter=ansible_python_version", core=core, check=True).stdout
    version = fresh_host.inside([fresh_host.python, "--version"]).stdout.split()[1]
    assert f'"ansible_python_version": "{version}"' in facts
    if "pyenv" in fresh_host.python:
        assert version.startswith("3.9.")
    fresh_host.power_cut()
    fresh_host.power_on()
    # a connection kept open from before the cut must not be in the way
    assert lab.ansible("ansible", fresh_host.name, "-m", "ping", core=core, timeout=30).rc == 0


def test_a_python_that_is_not_there_is_a_lookup_error(lab: Lab) -> None:
    with pytest.raises(LookupError, match=r"no python3\.4 "):
        lab.add_host("old", python="3.4")


def test_the_inventory_has_variables_and_groups(lab: Lab) -> None:
    agent = lab.add_host("agent7", groups=["web"], wazuh_agent_id="007")
    try:
        assert '"wazuh_agent_id": "007"' in lab.ansible("ansible", "web", "-m", "debug", "-a", "var=wazuh_agent_id", check=True).stdout
    finally:
        lab.remove(agent)


# --- nothing stays behind -------------------------------------------------------------------------------------------------------------------


def leftovers(prefix: str) -> list[str]:
    """Everything on the machine that carries a lab's prefix."""
    found = [str(path) for path in (*NETNS.glob(f"{prefix}*"), *cgroup_root().glob(f"{prefix}*"), *instance.STATE.glob(f"{prefix}*"))]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if prefix in line]
    found += [line for line in run(["ip", "-brief", "link"]).stdout.splitlines() if prefix in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            groups = (process / "cgroup").read_text()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        # a dead process whose parent is dead too waits for the machine's init, which takes its time
        if state != "Z" and (prefix in command or f"/{prefix}" in groups):
            found.append(f"process {process.name} {command}")
    return found


def test_two_labs_at_once_do_not_see_each_other_and_leave_nothing() -> None:
    links = run(["ip", "-brief", "link"]).stdout
    with Lab() as one, Lab() as two:
        same, other = one.add_host("same"), two.add_host("same")
        same.put("/etc/whose", "one")
        other.put("/etc/whose", "two")
        assert (same.ssh("cat /etc/whose").stdout, other.ssh("cat /etc/whose").stdout) == ("one", "two")
        with same.listen(7000), two.add_peer("attacker").listen(7000):
            assert two.controller.connect(other.address4, 7000) == "refused"
    assert leftovers(one.prefix) == []
    assert leftovers(two.prefix) == []
    assert run(["ip", "-brief", "link"]).stdout == links


def test_a_failure_inside_leaves_nothing() -> None:
    lab = Lab()
    with contextlib.suppress(ZeroDivisionError), lab:
        lab.add_host("web1").ssh("true")
        raise ZeroDivisionError
    assert leftovers(lab.prefix) == []


@contextlib.contextmanager
def _lab_by_hand() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m tests.lab up` once it is up, and its prefix. It hears SIGINT also where a shell started the tests in its background; it never stays."""
    argv = ["env", "--default-signal=INT", sys.executable, "-m", "tests.lab", "up"]
    process = subprocess.Popen(argv, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield process, _prefix(process)
    finally:
        process.kill()
        process.wait()
        instance.sweep()


def _prefix(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    while "stays up" not in said:
        line = process.stdout.readline()
        assert line, f"the lab ended before it was up: {said}"
        said += line
    prefix = re.search(r"rl[0-9a-f]{6}", said)
    assert prefix, said
    return prefix[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_the_lab_down(number: signal.Signals) -> None:
    with _lab_by_hand() as (process, prefix):
        assert leftovers(prefix)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert leftovers(prefix) == []


def test_sweep_takes_down_a_lab_whose_owner_was_killed_and_no_other() -> None:
    with Lab() as living, _lab_by_hand() as (process, prefix):
        web1 = living.add_host("web1")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert [leftover for leftover in leftovers(prefix) if leftover.startswith(str(NETNS))], "there must be something to sweep"
        said = run([sys.executable, "-m", "tests.lab", "sweep"], cwd=REPOSITORY).stdout
        assert f"took down {prefix}" in said
        assert living.prefix not in said
        assert leftovers(prefix) == []
        assert web1.ssh("hostname").stdout == "web1\n"


def test_an_eleventh_host_waits_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(instance, "STATE", tmp_path)
    places = [instance.take_slot() for _unused in range(instance.HOSTS_AT_ONCE)]
    started = time.monotonic()
    with pytest.raises(LabError, match=r"waited 0\.5 s for a place for one more host \(10 at once on this machine"):
        instance.take_slot(timeout=0.5)
    assert time.monotonic() - started >= 0.5
    places[3].close()
    instance.take_slot(timeout=0.5).close()
    for place in places:
        place.close()
