# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""disable_account: a local account is locked (password and expiry), its sessions end; undo is exact. Linux (/etc/shadow).

The lock puts `*riposte-END*` before the password, which makes it unusable, and sets the account's expiry to the past, which also stops keys. The line's
ninth field, reserved by shadow(5) and kept by its tools, is our mark and carries the expiry that was there before: a number of 32 bits, for a greater one
makes the line invalid to them. So the account file alone tells what is ours, until when, and how to undo it. An admin's `passwd -l` puts its `!` before
ours (it would leave a password that begins with `!` as it is) and so outlives the release; a new password replaces our prefix and does the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from .errors import BadInput, ToolError, shown
from .guard import Account, AccountGuard, Guard, GuardFile
from .kind import Backend, Capabilities, Chosen, Seen
from .lock import locked
from .paths import Paths
from .runner import Runner
from .surroundings import Surroundings

ADMIN_GROUPS = frozenset({"root", "sudo", "wheel", "admin", "docker", "lxd"})
EXPIRED = "2"  # 3 January 1970; shadow(5) calls 0 ambiguous, and 1 is what an admin's `usermod -e 1` writes
LOCK_SECONDS = 15
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\$?\Z")
_LOCK = re.compile(r"\A(!?)\*riposte-([0-9]{1,12})(-keep)?\*")  # before the password: the end in epoch seconds (0 = permanent); sessions are kept
_MARK = re.compile(r"72([0-9]{7})\Z")  # 72, expiry before + 1 (0 = none)
_DAYS = re.compile(r"(?:0|[1-9][0-9]{0,5})?\Z")
_UIDS = re.compile(r"^Uid:\t(\d+)\t(\d+)\t(\d+)", re.MULTILINE)


class DisableAccount:
    """The kind. end_sessions: also end the account's sessions and processes; None: as each lock says that stands already."""

    name = "disable_account"

    def __init__(self, end_sessions: bool | None = True):
        self._end_sessions = end_sessions

    def target(self, value: str) -> str:
        if not _NAME.match(value):
            rule = "an account name has 1 to 255 of A-Z a-z 0-9 _ . - and does not begin with . or -"
            raise BadInput(f"account {shown(value)}: {rule}")
        return value

    def guard(self, file: GuardFile, around: Surroundings, protect: Sequence[str], override: Sequence[str]) -> Guard:
        lowest = re.search(r"^\s*UID_MIN\s+(\d+)", _text(around.paths.at("etc/login.defs")), re.MULTILINE)
        return AccountGuard(
            file=file,
            accounts=read_accounts(around.paths),
            in_use=around.uids,
            admin_groups=ADMIN_GROUPS,
            lowest=int(lowest[1]) if lowest else 1000,
            protect=protect,
            override=override,
        )

    def backends(self, runner: Runner, paths: Paths) -> list[Backend]:
        return [Shadow(paths, self._end_sessions)] if os.path.exists(paths.at("etc/shadow")) else []

    def choose(self, runner: Runner, paths: Paths, wanted: str, holding: str | None) -> Chosen:
        if wanted not in ("auto", Shadow.name):
            raise BadInput(f"backend {shown(wanted)}: for {self.name} it must be auto or {Shadow.name}")
        found = self.backends(runner, paths)
        if not found:
            raise ToolError("/etc/shadow does not exist: accounts of this system cannot be locked yet")
        return Chosen(found[0], "the one there is", found[0].read())


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def read_accounts(paths: Paths) -> dict[str, Account]:
    """The local accounts with all their groups, the primary one included."""
    groups = [line.split(":") for line in _text(paths.at("etc/group")).splitlines() if line.count(":") == 3]
    by_gid = {part[2]: part[0] for part in groups}
    member_of: dict[str, set[str]] = {}
    for part in groups:
        for member in part[3].split(","):
            member_of.setdefault(member, set()).add(part[0])
    found = {}
    for line in _text(paths.at("etc/passwd")).splitlines():
        part = line.split(":")
        if len(part) == 7 and part[2].isdigit() and part[3].isdigit():
            names = member_of.get(part[0], set()) | {by_gid.get(part[3], part[3])}
            found[part[0]] = Account(part[0], int(part[2]), int(part[3]), frozenset(names))
    return found


class ShadowLine(NamedTuple):
    """The nine fields of a line in shadow(5), as text."""

    name: str
    password: str
    changed: str
    least: str
    most: str
    warn: str
    inactive: str
    expires: str
    mark: str

    @property
    def ours(self) -> bool:
        return bool(_MARK.match(self.mark))

    @property
    def until(self) -> float | None:
        """When our lock ends; at once when somebody took it off the password."""
        found = _LOCK.match(self.password)
        return (float(found[2]) or None) if found else 0.0

    @property
    def expired(self) -> bool:
        return self.expires.isdigit() and int(self.expires) * 86400 <= time.time()

    @property
    def locked(self) -> bool:
        return bool(_LOCK.match(self.password)) and self.expired

    @property
    def keeps_sessions(self) -> bool:
        """Whether our lock leaves alone what the account runs."""
        found = _LOCK.match(self.password)
        return bool(found and found[3])

    def ends_sessions(self, asked: bool | None) -> bool:
        """Whether a lock that is laid now ends what the account runs. asked None: as the lock that stands does.

        Where none of ours stands, or was lost with the line, sessions are left alone: what is ended cannot be put back.
        """
        return asked if asked is not None else self.ours and not self.keeps_sessions

    @property
    def trouble(self) -> str | None:
        """Why a lock of this line could not be undone exactly."""
        if self.mark and not self.ours:
            return f"account {self.name}: field 9 of its line in /etc/shadow is in use ({shown(self.mark)}), so a lock could not be marked as ours"
        if not _DAYS.match(self.expires):
            return f"account {self.name}: its expiry {shown(self.expires)} in /etc/shadow is not a number of days, so it could not be put back"
        return None

    def lock(self, until: float | None, end_sessions: bool | None = True) -> ShadowLine:
        """Locked until then; a lock of ours is laid anew over what an admin changed meanwhile."""
        if self.trouble:
            raise ToolError(self.trouble)
        bare = self.unlock()
        before = int(bare.expires) + 1 if bare.expires else 0
        end = round(until) if until else 0
        keep = "" if self.ends_sessions(end_sessions) else "-keep"
        return bare._replace(password=f"*riposte-{end}{keep}*{bare.password}", expires=EXPIRED, mark=f"72{before:07d}")

    def unlock(self) -> ShadowLine:
        """As before the lock; what an admin changed meanwhile stays as the admin left it."""
        found = _MARK.match(self.mark)
        if not found:
            return self
        before = str(int(found[1]) - 1) if int(found[1]) else ""
        return self._replace(
            password=_LOCK.sub(r"\1", self.password),
            expires=before if self.expires == EXPIRED else self.expires,
            mark="",
        )


class Shadow:
    """Locks in /etc/shadow. Nothing there ends by itself: the tick does it."""

    name = "shadow"
    capabilities = Capabilities(expires=False, longest=None, survives=True)

    def __init__(self, paths: Paths, end_sessions: bool | None):
        self._paths = paths
        self._path = paths.at("etc/shadow")
        self._end_sessions = end_sessions
        self._lines: dict[str, ShadowLine] = {}
        self._accounts: dict[str, Account] = {}
        self._busy: dict[int, list[int]] = {}

    def read(self) -> dict[str, Seen]:
        with suppress(OSError):  # a run that was killed left it, and it holds password hashes; where nothing can be written, the change says so
            os.unlink(_part(self._path))
        self._lines = {line.name: line for line in map(_parsed, _text(self._path).split("\n")) if line}
        ours = [line for line in self._lines.values() if line.ours]
        self._busy = {} if all(line.keeps_sessions for line in ours) else self._processes()
        self._accounts = read_accounts(self._paths)
        return {line.name: Seen(self._in_force(line), line.until) for line in ours}

    def _in_force(self, line: ShadowLine) -> bool:
        """Locked as asked, and nothing of the account runs that must not."""
        if not line.locked or self._end_sessions is line.keeps_sessions:
            return False
        account = self._accounts.get(line.name)
        return line.keeps_sessions or not (account and self._busy.get(account.uid))

    def change(self, put: Mapping[str, float | None], take: Sequence[str]) -> None:
        try:
            busy = ToolError(f"/etc/.pwd.lock: another program has held the password file for {LOCK_SECONDS} seconds; nothing was changed")
            with locked(self._paths.at("etc/.pwd.lock"), LOCK_SECONDS, busy, fcntl.lockf):  # as passwd, usermod and systemd do: lckpwdf(3)
                text = _text(self._path)
                after = "\n".join(_changed(line, put, take, self._end_sessions) for line in text.split("\n"))
                if after != text:
                    _replace(self._path, after)
        except OSError as error:
            raise ToolError(f"{self._path}: cannot be changed ({error}); it is as it was") from error
        accounts = read_accounts(self._paths)
        errors = []
        for line in map(_parsed, after.split("\n")):
            if line and line.name in put and line.name in accounts and not line.keeps_sessions:
                try:
                    self._end(line.name, accounts[line.name].uid)
                except ToolError as error:  # the others' end all the same
                    errors.append(str(error))
        if errors:
            raise ToolError("; ".join(errors))

    def _end(self, name: str, uid: int) -> None:
        """Ends every process of the account; one that cannot die within 10 seconds is an error.

        All are stopped before the first is killed, so that none can start another in the place of one that died.
        """
        deadline = time.monotonic() + 10
        stopped: set[int] = set()
        while pids := set(self._processes().get(uid, ())):
            if time.monotonic() > deadline:
                raise ToolError(f"account {name}: locked, but these processes of it could not be ended: {', '.join(map(str, sorted(pids)[:10]))}")
            running = pids - stopped
            for pid in running or pids:
                _signal(pid, uid, signal.SIGSTOP if running else signal.SIGKILL)
            stopped = stopped | running if running else set()

    def _processes(self) -> dict[int, list[int]]:
        """Live processes by uid (real, effective or saved)."""
        found: dict[int, list[int]] = {}
        for entry in os.listdir(self._paths.at("proc")):
            if entry.isdigit():
                for uid in _owners(self._paths.at("proc", entry, "status")):
                    found.setdefault(uid, []).append(int(entry))
        return found

    def detail(self, target: str, seen: Seen | None) -> dict[str, Any]:
        line = self._lines.get(target)
        if line is None:
            return {"password_locked": None, "expired": None}
        return {"password_locked": line.password.startswith(("!", "*")), "expired": line.expired}

    def before(self, target: str) -> str | None:
        line = self._lines.get(target)
        if line is None or line.ours:
            return None
        return json.dumps({"password_locked": line.password.startswith(("!", "*")), "expires": line.expires or None})

    def missing(self, target: str) -> str | None:
        line, account = self._lines.get(target), self._accounts.get(target)
        if line and account:
            if account.uid == 0 and line.ends_sessions(self._end_sessions):
                return f"account {target}: it has uid 0, and what runs as uid 0 is this host itself: say end_sessions: false to lock it all the same"
            return line.trouble
        try:
            pwd.getpwnam(target)
        except KeyError:
            return f"account {shown(target)}: there is no such account on this host"
        return f"account {shown(target)}: it is not a local account (no line in /etc/passwd and /etc/shadow), so it must be locked in its directory"


def _changed(line: str, put: Mapping[str, float | None], take: Sequence[str], end_sessions: bool | None) -> str:
    parsed = _parsed(line)
    if parsed is None or not (parsed.name in put or parsed.name in take):
        return line
    return ":".join(parsed.lock(put[parsed.name], end_sessions) if parsed.name in put else parsed.unlock())


def _parsed(line: str) -> ShadowLine | None:
    part = line.split(":")
    return ShadowLine(*part) if len(part) == 9 else None


def _owners(status: str) -> set[int]:
    """The uids a process runs under; none for one that has ended or is a zombie."""
    try:
        with open(status, encoding="ascii", errors="replace") as stream:
            text = stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    found = _UIDS.search(text)
    return set(map(int, found.groups())) if found and "\nState:\tZ" not in text else set()


def _signal(pid: int, uid: int, number: int) -> None:
    """Signals by pidfd, so that a number given to another process meanwhile is not hit; waits up to a second for the end of one that is killed."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if uid in _owners(f"/proc/{pid}/status"):
            signal.pidfd_send_signal(handle, number)
            if number == signal.SIGKILL:
                select.select([handle], [], [], 1)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _part(path: str) -> str:
    return f"{path}.riposte"


def _replace(path: str, text: str) -> None:
    """Writes a file whole or not at all, with owner, mode and security label of the one it replaces."""
    seen = os.stat(path)
    temporary = _part(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            os.fchown(handle, seen.st_uid, seen.st_gid)
            os.fchmod(handle, seen.st_mode & 0o7777)
            if "security.selinux" in os.listxattr(path):
                os.setxattr(handle, "security.selinux", os.getxattr(path, "security.selinux"))
            stream.write(text)
            stream.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
