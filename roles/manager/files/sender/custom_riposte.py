# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""custom-riposte: wazuh-integratord starts it with each alert. It keeps the alert in a directory, from where riposte-sender posts it, and returns.

integratord has one thread, no queue, no second try, and takes no notice of what it is told: whatever takes long holds up every integration, and what fails is
lost. So nothing is done here but one file, on disk when this ends with 0. Imports, too, would take long.
"""

from __future__ import annotations

import os
import stat
import sys
import time

SPOOL = "queue/riposte"  # below Wazuh's home, as the log
LOG = "logs/integrations.log"
WAKE = "wake"
PART, KEPT = ".part", ".alert"
MOST_ALERTS, MOST_BYTES = 10_000, 256 << 20
LARGEST = 1 << 20  # Wazuh's are at most 64 KiB; the webhook takes 1 MiB
SYSTEM = os.O_CLOEXEC | os.O_NOFOLLOW


class Unfit(Exception):
    """Why the alert is not kept."""


def main(argv: list[str]) -> int:
    """argv as integratord has it: program, alert's file, api_key, hook_url, "debug" or nothing, file of options or nothing, and more that is of no use."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(argv[0])))
    try:
        if len(argv) < 2:
            raise Unfit("wazuh-integratord starts it, with the file of an alert; there was none")
        content = read(argv[1])
        most_alerts, most_bytes = limits(argv[5] if len(argv) > 5 else "")
        name = keep(content, os.path.join(home, SPOOL), most_alerts, most_bytes)
    except (Unfit, OSError) as problem:
        say(home, f"{problem}; THIS ALERT IS NOT SENT")
        return 1
    if argv[4:5] == ["debug"]:
        say(home, f"kept as {name}")
    return 0


def read(path: str) -> bytes:
    """The alert, which may be whatever an attacker made of it: only bytes, here."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | SYSTEM)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unfit(f"{path!a}: it is no ordinary file")
        content = b""
        while len(content) <= LARGEST and (more := os.read(handle, LARGEST)):
            content += more
    finally:
        os.close(handle)
    if len(content) > LARGEST:
        raise Unfit(f"{path!a}: it has more than {LARGEST} bytes")
    if not content.lstrip().startswith(b"{"):
        raise Unfit(f"{path!a}: it is no JSON object but {content[:20]!a}; the <integration> needs <alert_format>json</alert_format>")
    return content


def limits(path: str) -> tuple[int, int]:
    """How many alerts and bytes may wait, by the <options> of the <integration>."""
    if not path.endswith("options"):
        return MOST_ALERTS, MOST_BYTES
    import json

    with open(path, "rb") as stream:
        text = stream.read(4096)
    try:
        options = json.loads(text)
        most = int(options.pop("max_alerts", MOST_ALERTS)), int(options.pop("max_bytes", MOST_BYTES))
        if options or min(most) < 1:
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise Unfit(f'<options> is {text[:100]!a}; it can be {{"max_alerts": {MOST_ALERTS}, "max_bytes": {MOST_BYTES}}}') from None
    return most


def keep(content: bytes, spool: str, most_alerts: int, most_bytes: int) -> str:
    """The name under which it is on disk."""
    directory = os.open(spool, os.O_RDONLY | os.O_DIRECTORY | SYSTEM)
    seen = os.fstat(directory)
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise Unfit(f"{spool}: user {seen.st_uid} owns it with mode {seen.st_mode & 0o7777:04o}; it must be this user's ({os.geteuid()}), with mode 0700")
    alerts, size = usage(os.listdir(directory))
    if alerts >= most_alerts or size + len(content) > most_bytes:
        raise Unfit(f"{spool} is full, {alerts} alerts of {size} bytes wait there; does riposte-sender run, and what does it say?")
    name = f"{time.time_ns():020}-{os.getpid()}-{len(content)}"
    handle = os.open(name + PART, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SYSTEM, 0o600, dir_fd=directory)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
        os.rename(name + PART, name + KEPT, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        os.unlink(name + PART, dir_fd=directory)
        raise Unfit(f"{spool}: {error.strerror}") from error
    os.fsync(directory)
    wake(directory)
    return name + KEPT


def usage(names: list[str]) -> tuple[int, int]:
    """How many alerts wait and how many bytes they have, by the names: to look at each file would take too long."""
    sizes = [name.rpartition("-")[2].partition(".")[0] for name in names if name.endswith((KEPT, PART))]
    return len(sizes), sum(int(size) for size in sizes if size.isdecimal() and size.isascii())


def wake(directory: int) -> None:
    """Tells the sender, if one listens; one that does not will look by itself."""
    try:
        pipe = os.open(WAKE, os.O_WRONLY | os.O_NONBLOCK | SYSTEM, dir_fd=directory)
    except OSError:
        return
    try:
        os.write(pipe, b"!")
    except OSError:  # so full that it is awake
        return
    finally:
        os.close(pipe)


def say(home: str, text: str) -> None:
    """In the log of Wazuh's integrations, and to integratord, which logs it when it is in debug mode."""
    line = f"{time.strftime('%Y/%m/%d %H:%M:%S')} custom-riposte: {text}\n".encode("ascii", "backslashreplace")
    os.write(2, line)
    try:
        handle = os.open(os.path.join(home, LOG), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | SYSTEM, 0o640)
        os.write(handle, line)
    except OSError as error:  # a full disk, perhaps
        os.write(2, f"{LOG}: {error.strerror}\n".encode("ascii", "backslashreplace"))


if __name__ == "__main__":
    code = main(sys.argv)
    os._exit(code)  # there is nothing to be taken down
