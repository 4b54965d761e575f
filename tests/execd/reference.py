# SPDX-License-Identifier: GPL-3.0-or-later
"""An executable that keeps to the protocol, and ways to break it, so that the suite itself is tested. Arguments: the way, or `good`.

What it puts into force is a file with the target's name in `effects/` of the directory that it is called in; dated into the future, it stands until then.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

NAME, LONGEST = "firewall-drop", 65536
LOG, EFFECTS = os.path.join("logs", "active-responses.log"), "effects"
VERBS = {"add": True, "delete": False, "enable": True, "disable": False}


class Bad(Exception):
    """What was read is no message that can be acted on."""


def log(text: str) -> None:
    stamp = time.strftime("%Y/%m/%d %H:%M:%S")
    with open(LOG, "ab", buffering=0) as stream:
        stream.write(f"{stamp} active-response/bin/{NAME}: {text}\n".encode())


def read_line(to_the_end: bool = False) -> bytes:
    if to_the_end:
        return sys.stdin.buffer.read()
    return sys.stdin.buffer.readline(LONGEST)


def parse(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise Bad("the line has no end")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Bad(f"no JSON: {type(error).__name__}") from error
    if not isinstance(message, dict):
        raise Bad("no object")
    return message


def part(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def understand(message: Mapping[str, Any]) -> tuple[str, str]:
    """The verb and the address, in its one spelling."""
    verb = message.get("command")
    four = "parameters" in message
    if not isinstance(verb, str) or verb not in (("add", "delete") if four else ("enable", "disable")):
        raise Bad("unknown command")
    if four and (isinstance(message.get("version"), bool) or message.get("version") != 1):
        raise Bad("unknown version")
    named = part(part(message["parameters"], "alert"), "data").get("srcip") if four else part(message, "source").get("ip")
    if not isinstance(named, str) or not re.fullmatch(r"[0-9a-fA-F.:]+", named):
        raise Bad("no address")
    try:
        address = ipaddress.ip_address(named)
    except ValueError as error:
        raise Bad("no address") from error
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified or int(address) == 2**32 - 1:
        raise Bad("the guard says no")
    return verb, str(address)


def effect(target: str, wanted: bool, seconds: float = 3600) -> None:
    path = os.path.join(EFFECTS, target.replace(":", "_"))
    if wanted:
        open(path, "w", encoding="utf-8").close()
        os.utime(path, (time.time() + seconds,) * 2)
    elif os.path.exists(path):
        os.unlink(path)


def end(target: str) -> float:
    """When what was put into force is or was over; 0 when it never was, or was taken away."""
    path = os.path.join(EFFECTS, target.replace(":", "_"))
    return os.stat(path).st_mtime if os.path.exists(path) else 0.0


def lifetime(message: Mapping[str, Any]) -> float:
    words = part(message, "parameters").get("extra_args")
    found = [re.fullmatch(r"timeout=([0-9]+)s", str(word)) for word in words] if isinstance(words, list) else []
    return next((float(each[1]) for each in found if each), 3600)


def exchange(target: str, way: str) -> bool | None:
    """The keys go, the answer comes: whether to go on. `way`: which mistake to make."""
    if way == "keys of another":
        target = "192.0.2.1"
    if way != "no keys":
        print(
            json.dumps({"version": 1, "origin": {"name": NAME, "module": "active-response"}, "command": "check_keys", "parameters": {"keys": [target]}}),
            flush=True,
        )
    word = parse(read_line()).get("command")
    if way == "ignores abort" or word == "continue":
        return True
    if word == "abort":
        return False
    raise Bad("no answer that is known")


def run(way: str) -> int:
    line = read_line(way == "reads to the end")
    message = parse(line)
    if way == "echoes first":
        log(json.dumps(message))
    verb, target = understand(message)
    if way == "shell":
        os.system(f"true {part(message['parameters'], 'alert').get('full_log')}")  # noqa: S605 (the mistake)
    wanted = VERBS[verb]
    over = 0 < end(target) <= time.time() and way != "forgets ends"
    if wanted and not exchange(target, way) and not over:
        log("Aborted")
        return 0
    if not wanted and end(target) <= time.time():
        log(json.dumps(message) if way == "echoes everything" else "Nothing stands")
        return 0
    if way == "slow":
        time.sleep(1.5)
    if way != "does nothing":
        effect(target, wanted, lifetime(message))
    if way == "hits a neighbour":
        effect("192.0.2.7", wanted)
    if way != "echoes first":
        log(json.dumps(message, ensure_ascii=way != "raw log"))
    if way == "log lines of its own":
        with open(LOG, "a", encoding="utf-8") as stream:
            stream.write("done\n")
    return 0


def main() -> int:
    way = sys.argv[1]
    try:
        return run(way)
    except Bad as bad:
        log(str(bad))
        return int(way != "always 0")
    except OSError as error:  # nobody reads the keys
        log(type(error).__name__)
        return 1
    finally:
        if way == "talks":
            print("Ended")


if __name__ == "__main__":
    code = main()
    try:
        sys.stdout.flush()
    except OSError:
        os._exit(1)
    os._exit(code)
