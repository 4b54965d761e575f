# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaves as wazuh-execd 4.x does, with all that is wrong with it; with --five, as that of 5.0. Runs on a host that has no Wazuh.

One thread. It reads a message from the datagram socket `queue/alerts/execq` of Wazuh's home, runs the executable, waits without a limit for
the line with the keys, answers, and waits for its end. What is to be ended later is in memory only: SIGTERM ends all of it at once, SIGKILL
forgets it. Python 3.9, standard library: it is copied onto the host as it is.

    driver.py HOME [--five]              is the daemon
    driver.py HOME send < MESSAGES       gives it messages, one JSON object a line
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

QUEUE = "queue/alerts/execq"
BINARIES = "active-response/bin"
LONGEST = 65536
KEYS_LONGEST = 8192
Message = dict[str, Any]


@dataclass
class Pending:
    """What is to be ended: the message to send then, when it was added, and after how many seconds it is due."""

    executable: str
    message: Message
    added: float
    seconds: int


class Execd:
    """The daemon. Paths are relative: it runs in Wazuh's home."""

    def __init__(self, five: bool) -> None:
        self._five = five
        self._begin, self._end = ("enable", "disable") if five else ("add", "delete")
        self._commands: dict[str, tuple[str, int]] = {}
        self._repeats = [] if five else repeated_offenders()
        self._offences: dict[str, int] = {}
        self._pending: dict[str, Pending] = {}

    def serve(self) -> None:
        if os.path.exists(QUEUE):
            os.unlink(QUEUE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as incoming:
            incoming.bind(QUEUE)
            say("INFO", "Started")
            while True:
                self.end_what_is_due()
                if select.select([incoming], [], [], 1)[0]:
                    self.take(incoming.recv(LONGEST))

    def take(self, data: bytes) -> None:
        """One message from the manager."""
        try:
            message = json.loads(data)
        except ValueError:
            say("ERROR", "Invalid JSON message received")
            return
        if self._five:
            wanted = message["wazuh"]["active_response"]
            executable, seconds = wanted["executable"], wanted.get("stateful_timeout", 180) if wanted["type"] == "stateful" else 0
        else:
            found = self._command(message["command"])
            if not found:
                say("ERROR", f"Active response command not present: '{message['command']}'")
                return
            executable, seconds = found
            message["origin"]["module"] = "wazuh-execd"
            message["parameters"]["program"] = f"{BINARIES}/{executable}"
        message["command"] = self._begin
        self._run(executable, message, seconds)

    def end_what_is_due(self) -> None:
        now = time.time()
        for key, each in list(self._pending.items()):
            if now - each.added > each.seconds:
                del self._pending[key]
                self._undo(each)

    def end_all(self) -> None:
        """What SIGTERM does."""
        say("INFO", "Shutdown received. Deleting responses.")
        for each in self._pending.values():
            self._undo(each)

    def _command(self, name: str) -> tuple[str, int] | None:
        """The executable and the seconds of a command; the file is read again when the name is not known."""
        if name.startswith("!"):
            return name[1:], 0
        if name not in self._commands:
            self._commands = read_commands()
        return self._commands.get(name)

    def _run(self, executable: str, message: Message, seconds: int) -> None:
        process = spawn(executable)
        if not process:
            return
        write(process, message)
        assert process.stdout
        key = key_of(executable, process.stdout.readline(KEYS_LONGEST))  # without a limit: the daemon's own mistake
        if key is None:
            say("INFO", f"{executable} sent no keys, won't be added to timeout list.")
        else:
            listed = self._pending.get(key) if seconds else None
            write(process, {**message, "command": "abort" if listed else "continue"})
            if seconds:
                self._remember(key, executable, message, seconds)
        finish(process, executable)

    def _remember(self, key: str, executable: str, message: Message, seconds: int) -> None:
        """A repeat while it is listed begins its time anew, and counts as an offence too."""
        listed = self._pending.get(key)
        if self._repeats:
            if key in self._offences:
                seconds = 60 * self._repeats[min(self._offences[key], len(self._repeats) - 1)]
                self._offences[key] += 1
            else:
                self._offences[key] = 0
        if listed:
            listed.added = time.time()
            listed.seconds = seconds if self._repeats else listed.seconds
        else:
            self._pending[key] = Pending(executable, message, time.time(), seconds)
        say("DEBUG", f"Adding command '{key}' to the timeout list, with a timeout of '{self._pending[key].seconds}s'.")

    def _undo(self, each: Pending) -> None:
        process = spawn(each.executable)
        if process:
            write(process, {**each.message, "command": self._end})
            finish(process, each.executable)


def spawn(executable: str) -> subprocess.Popen[bytes] | None:
    """As Wazuh's wpopenv: no shell, a session of its own, called by its relative path."""
    path = f"{BINARIES}/{executable}"
    try:
        process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        say("ERROR", f"Unable to run {path}: {error}")
        return None
    return process


def write(process: subprocess.Popen[bytes], message: Message) -> None:
    assert process.stdin
    try:
        process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        say("ERROR", f"{process.args!r} does not read")


def finish(process: subprocess.Popen[bytes], executable: str) -> None:
    """Waits first and closes standard input then: an executable that reads to the end hangs the daemon."""
    code = process.wait()
    for stream in (process.stdin, process.stdout):
        try:
            if stream:
                stream.close()
        except BrokenPipeError:
            say("DEBUG", f"{executable} had not read all")
    say("DEBUG", f"{executable} ended with {code}")


def key_of(executable: str, line: bytes) -> str | None:
    """By what one response is told from another: the executable and its keys; None when it sent none."""
    try:
        message = json.loads(line)
        return "-".join([executable, *message["parameters"]["keys"]])[:4096] if message["command"] == "check_keys" else None
    except (ValueError, KeyError, TypeError):
        return None


def read_commands() -> dict[str, tuple[str, int]]:
    """Of etc/shared/ar.conf: name -> executable and seconds. Of a name that is there twice, the first whose executable exists counts."""
    found: dict[str, tuple[str, int]] = {}
    with open("etc/shared/ar.conf", encoding="utf-8") as stream:
        for name, executable, seconds in re.findall(r"^(\S+) - (\S+) - (\d+)$", stream.read(), re.MULTILINE):
            if os.path.exists(f"{BINARIES}/{executable}"):
                found.setdefault(name, (executable, int(seconds)))
    return found


def repeated_offenders() -> list[int]:
    """Minutes, of the agent's own ossec.conf: the first active-response that has them."""
    with open("etc/ossec.conf", encoding="utf-8") as stream:
        found = re.search(r"<active-response>.*?<repeated_offenders>([\d, ]+)<", stream.read(), re.DOTALL)
    return [int(minutes) for minutes in found[1].split(",")][:5] if found else []


def say(level: str, text: str) -> None:
    with open("logs/ossec.log", "a", encoding="utf-8") as stream:
        stream.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} wazuh-execd: {level}: {text}\n")


class Shutdown(BaseException):
    """SIGTERM came, at whatever moment."""


def shut_down(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Shutdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home")
    parser.add_argument("command", nargs="?", choices=["send"])
    parser.add_argument("--five", action="store_true", help="as wazuh-execd 5.0: enable and disable, the time limit is in the message")
    args = parser.parse_args()
    os.chdir(args.home)
    if args.command:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.connect(QUEUE)
            for line in sys.stdin.buffer:
                out.send(line.strip())
        return
    signal.signal(signal.SIGTERM, shut_down)
    execd = Execd(args.five)
    try:
        execd.serve()
    except Shutdown:
        execd.end_all()


if __name__ == "__main__":
    main()
