# SPDX-License-Identifier: GPL-3.0-or-later
"""First program of a practice host: furnish the new namespaces, then become its init.

Started as pid 1 by `unshare` (see machine.py); runs alone, without the rest of the package. Its argument is JSON: `cgroup` (directory of the host's control
group), `root` (the overlay), `hostname`, `uuid` (32 hex digits, the machine id), `binds` (directories to show read-only at the same path).
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import stat
import sys
import uuid
from pathlib import Path

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, SHARED = 1, 2, 4, 8, 32, 4096, 16384, 1 << 20
PLAIN = NOSUID | NODEV | NOEXEC
DETACH = 2
CLONE_NEWCGROUP = 0x02000000

# Not for a practice host: the machine's clock, modules, kernel log, devices.
WITHHELD = """sys_time sys_module sys_rawio syslog mknod wake_alarm block_suspend mac_admin mac_override bpf perfmon checkpoint_restore
    sys_pacct audit_control""".split()

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}{arguments}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2) on a path relative to the new root."""
    _call("mount", source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None)


def bind(source: str, target: str, flags: int) -> None:
    """Show `source` at `target` too, with flags of its own."""
    mount(source, target, flags=BIND | REC)
    mount("none", target, flags=REMOUNT | BIND | flags)


def make_devices() -> None:
    """The few devices a container needs, and terminals of its own."""
    mount("tmpfs", "dev", "tmpfs", NOSUID, "mode=755")
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)):
        os.mknod(f"dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
        os.chmod(f"dev/{name}", 0o666)
    for directory in ("pts", "shm", "mqueue"):
        os.mkdir(f"dev/{directory}")
    mount("devpts", "dev/pts", "devpts", NOSUID | NOEXEC, "newinstance,gid=5,mode=620,ptmxmode=666")
    mount("tmpfs", "dev/shm", "tmpfs", NOSUID | NODEV, "mode=1777")
    mount("mqueue", "dev/mqueue", "mqueue", PLAIN)
    os.symlink("pts/ptmx", "dev/ptmx")
    os.symlink("/proc/self/fd", "dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"dev/{name}")


def shield_machine() -> None:
    """What belongs to the whole machine is read-only or hidden; the namespace's own network knobs stay writable."""
    for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"):
        if os.path.exists(f"proc/{name}"):
            bind(f"proc/{name}", f"proc/{name}", RDONLY | PLAIN)
    bind("proc/sys/net", "proc/sys/net", PLAIN)
    for name in ("kmsg", "kcore"):
        if os.path.exists(f"proc/{name}"):
            mount("dev/null", f"proc/{name}", flags=BIND)
    # the kernel's boot_id is the machine's and outlives a practice reboot; Ansible's reboot module looks at it
    Path("run/.boot_id").write_text(f"{uuid.uuid4()}\n")
    bind("run/.boot_id", "proc/sys/kernel/random/boot_id", RDONLY)


def main() -> None:
    host = json.loads(sys.argv[1])
    # only what runs on the host is in its group, not the `unshare` that waits for it outside: whoever kills the group leaves no orphan to the machine
    Path(host["cgroup"], "cgroup.procs").write_text("0")
    _call("unshare", CLONE_NEWCGROUP)
    os.chdir(host["root"])
    os.umask(0)
    mount("proc", "proc", "proc", PLAIN)
    mount("sysfs", "sys", "sysfs", PLAIN | RDONLY)
    mount("cgroup2", "sys/fs/cgroup", "cgroup2", PLAIN)
    make_devices()
    mount("tmpfs", "run", "tmpfs", NOSUID | NODEV, "mode=755")
    mount("tmpfs", "tmp", "tmpfs", NOSUID | NODEV, "mode=1777")
    shield_machine()
    for directory in host["binds"]:
        os.makedirs(directory.lstrip("/"), mode=0o755, exist_ok=True)
        bind(directory, directory.lstrip("/"), RDONLY | NODEV)
    os.umask(0o022)
    socket.sethostname(host["hostname"])
    _call("pivot_root", b".", b".")
    _call("umount2", b".", DETACH)
    mount("none", "/", flags=SHARED | REC)
    os.chdir("/")
    # `container` makes systemd leave swap, loop devices and the clock alone
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "TERM": "dumb", "container": "lab", "container_uuid": host["uuid"]}
    os.execve("/usr/bin/setpriv", ["setpriv", "--bounding-set", ",".join(f"-{name}" for name in WITHHELD), "/sbin/init"], environment)


if __name__ == "__main__":
    main()
