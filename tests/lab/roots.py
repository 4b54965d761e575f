# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed Debian trees that practice hosts boot from, built once and kept.

A tree lies in RIPOSTE_LAB_DIR (default ~/.cache/riposte-lab) as SUITE-HASH or SUITE-sysv-HASH; the hash covers the package list and the seal step, so a
change of either builds a new tree. Nothing is ever written into a finished tree: hosts lay an overlay over it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import inspect
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .system import LabError, run

SUITES = ("bookworm", "trixie")
# no trixie with sysv: its cron-daemon-common depends on "systemd | ...", and debootstrap takes the first of several
KINDS = (("bookworm", "systemd"), ("trixie", "systemd"), ("bookworm", "sysv"))

# netbase: without /etc/protocols firewalld dies although `systemctl start` returned 0
PACKAGES = """
    openssh-server sudo passwd login cron
    python3 python3-apt nftables iptables ipset conntrack
    netbase iproute2 iputils-ping procps netcat-openbsd mount util-linux
""".split()
PACKAGES_OF_INIT = {
    "systemd": ["systemd", "systemd-sysv", "dbus", "libpam-systemd", "firewalld"],
    "sysv": ["sysvinit-core", "initscripts", "inetutils-syslogd"],  # no D-Bus, no logind, no journal
}

# What has no meaning in a container, or would wait for a device that never comes; and root's own service manager, which nobody here
# asks for anything but which costs each boot's first ssh 0.2 s (the other users have theirs).
MASKED = """
    getty.target getty@.service console-getty.service container-getty@.service serial-getty@.service
    systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-udev-settle.service
    systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service
    systemd-modules-load.service modprobe@.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount
    systemd-remount-fs.service systemd-pstore.service systemd-firstboot.service systemd-hwdb-update.service systemd-journal-flush.service
    ldconfig.service e2scrub_reap.service user@0.service
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer man-db.timer
""".split()

# Many logins, good and bad, come from one address in a few seconds: neither a start limit nor a penalty for it may decide a test.
SSHD = "UseDNS no\nMaxStartups 100:30:200\nMaxSessions 100\n"
SSHD_OF_SUITE = {"bookworm": "", "trixie": "PerSourcePenalties no\n"}
INITTAB = "id:2:initdefault:\n" + "".join(f"l{level}:{level}:wait:/etc/init.d/rc {level}\n" for level in (0, 2, 6))
JOURNALD = "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nReadKMsg=no\n"


def lab_dir() -> Path:
    """The directory that keeps trees, tools and the lab's key between runs."""
    return Path(os.environ.get("RIPOSTE_LAB_DIR") or Path.home() / ".cache" / "riposte-lab")


@functools.cache
def fingerprint(suite: str, init: str = "systemd") -> str:
    """Changes whenever a tree of this kind would come out otherwise."""
    recipe = [suite, PACKAGES, PACKAGES_OF_INIT[init], SSHD, SSHD_OF_SUITE[suite], inspect.getsource(_seal), inspect.getsource(_SEALS[init])]
    recipe += [MASKED, JOURNALD] if init == "systemd" else [INITTAB]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def root(suite: str, init: str = "systemd") -> Path:
    """The finished tree of a suite with this process 1; built first if it is not there (about a minute, 400 MB). Safe against a second builder."""
    if (suite, init) not in KINDS:
        raise LabError(f"there is no host of {suite} with {init}; there are {', '.join(f'{suite} with {init}' for suite, init in KINDS)}")
    directory = lab_dir()
    directory.mkdir(parents=True, exist_ok=True)
    name = suite if init == "systemd" else f"{suite}-{init}"
    tree = directory / f"{name}-{fingerprint(suite, init)}"
    if not tree.exists():
        with _lock(directory / f"{name}.lock", f"another program is building {name}"):
            if not tree.exists():
                _build(suite, init, tree)
    return tree


def ssh_key() -> Path:
    """The private key that opens root's door on every practice host, made at first use."""
    directory = lab_dir()
    directory.mkdir(parents=True, exist_ok=True)
    key = directory / "id_ed25519"
    with _lock(directory / "key.lock", "another program is making the lab's key"):
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "practice lab", "-f", str(key)])
    return key


@contextlib.contextmanager
def _lock(path: Path, while_waiting: str) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{while_waiting}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"lab: {text}", flush=True)


def _build(suite: str, init: str, tree: Path) -> None:
    """debootstrap + seal beside the final place, then one rename."""
    started = time.monotonic()
    name = tree.name.rpartition("-")[0]
    _say(f"building the {name} tree in {tree.parent} (once, about a minute)")
    for leftover in tree.parent.glob(f".{name}-{'?' * 12}.part"):
        # the lock is ours: whoever made this is dead
        shutil.rmtree(leftover)
    part = tree.parent / f".{tree.name}.part"
    with tempfile.TemporaryDirectory(prefix="riposte-debootstrap-") as tools:
        bootstrap, keyring = _unpack_tools(Path(tools))
        log = tree.parent / f"{name}.log"
        try:
            done = run(
                [
                    # debootstrap mounts /proc in the tree; in a mount namespace of its own no interruption can leave it there
                    *("unshare", "--mount", "--", str(bootstrap)),
                    "--variant=minbase",
                    f"--keyring={keyring}",
                    f"--include={','.join([*PACKAGES_OF_INIT[init], *PACKAGES])}",
                    suite,
                    str(part),
                    mirror(),
                ],
                env={**os.environ, "DEBOOTSTRAP_DIR": str(bootstrap.parents[1] / "share" / "debootstrap"), "LC_ALL": "C"},
                timeout=1200,
                check=False,
            )
            log.write_text(done.stdout + done.stderr)
            if done.rc != 0:
                raise LabError(f"debootstrap of {name} ended with {done.rc}; its log is {log}; last lines: {done.stdout[-600:]}{done.stderr[-600:]}")
            _seal(suite, part)
            _SEALS[init](part)
            part.rename(tree)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    _say(f"{name} tree built in {time.monotonic() - started:.0f} s")


def _unpack_tools(directory: Path) -> tuple[Path, Path]:
    """debootstrap and Debian's keyring, fetched and checked by apt, unpacked but not installed."""
    # apt drops to a user of its own to fetch, which must be able to write here
    directory.chmod(0o777)
    run(["apt-get", "-q", "download", "debootstrap", "debian-archive-keyring"], cwd=directory, timeout=300)
    for package in directory.glob("*.deb"):
        run(["dpkg", "-x", str(package), str(directory)])
    return directory / "usr/sbin/debootstrap", directory / "usr/share/keyrings/debian-archive-keyring.gpg"


def mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    wanted = ["Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main"]
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    found = run(ask).stdout.split()
    if not found:
        run(["apt-get", "-q", "update"], timeout=300)
        found = run(ask).stdout.split()
    if not found:
        raise LabError("apt knows no Debian mirror with component main (apt-get indextargets is empty after apt-get update); add one to its sources")
    return found[0]


def _seal(suite: str, tree: Path) -> None:
    """Make a fresh tree fit to be the base layer of many hosts."""
    run(["chroot", str(tree), "apt-get", "clean"])
    _write(tree / "etc/ssh/sshd_config.d/lab.conf", SSHD + SSHD_OF_SUITE[suite])
    _write(tree / "etc/machine-id", "")
    # pam_unix punishes a wrong password with two seconds; tests try many
    auth = tree / "etc/pam.d/common-auth"
    _write(auth, auth.read_text().replace("pam_unix.so", "pam_unix.so nodelay"))
    for made_per_host in ("var/lib/dbus/machine-id", ".dockerenv"):
        (tree / made_per_host).unlink(missing_ok=True)


def _seal_systemd(tree: Path) -> None:
    units = tree / "etc/systemd/system"
    for unit in MASKED:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    default = units / "default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/lib/systemd/system/multi-user.target")
    run(["chroot", str(tree), "systemctl", "-q", "disable", "firewalld.service", "nftables.service"])
    run(["chroot", str(tree), "systemctl", "-q", "enable", "ssh.service", "cron.service"])
    _write(tree / "etc/systemd/journald.conf.d/lab.conf", JOURNALD)


def _seal_sysv(tree: Path) -> None:
    """No rcS: the first program (boot.py) has mounted what it would mount. And nothing unmounts the disk, which belongs to the machine."""
    _write(tree / "etc/inittab", INITTAB)
    _write(tree / "etc/default/inetutils-syslogd", 'SYSLOGD_OPTS="--no-forward --no-klog"\n')
    for level in "06":
        for link in (tree / f"etc/rc{level}.d").glob("[KS]*umount*"):
            link.unlink()


_SEALS = {"systemd": _seal_systemd, "sysv": _seal_sysv}


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
