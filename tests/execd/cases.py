# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: what is said to an executable, and what must come of it. Sources of the message shapes: Wazuh 4.14 and 5.0.

A case is a dialogue. Standard input is left open in all of them unless the dialogue closes it, as the daemon leaves it open.
"""

from __future__ import annotations

import copy
import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

ADDRESS, USER = "address", "user"
ADDRESS6 = "address6"  # a case that is about an IPv6 address
LONGEST = 65536  # a line, its end included; the daemon's own buffer
EVALUATED = str(7919 * 7907)  # what a template in a hostile value would come to
CANARY = "riposte-canary"  # the file that a command in a hostile value would make


@dataclass(frozen=True)
class Subject:
    """What one run of a case is about: `target` in canonical spelling, `sent` as the alert spells it; `number` makes the alert's id."""

    kind: str
    target: str
    number: int
    sent: str


Write = Callable[[Subject], bytes]


class Do(enum.Enum):
    """The steps of a dialogue that write nothing."""

    KEYS = "the line with the keys must come"
    KEYS_OR_END = "the line with the keys may come, or the executable ends"
    CLOSE = "standard input is closed"
    DEAF = "nobody reads standard output any more"


@dataclass(frozen=True)
class Pieces:
    """Written in pieces of this many bytes, with a pause after each of the first few."""

    write: Write
    size: int


Step = Union[Write, Do, Pieces]


@dataclass(frozen=True)
class Expect:
    """`code`: zero | other | honest (zero exactly when the target is in force). `effect` on the target: gained | lost | same | either.

    `echo`: whether the received message goes into the log, which Wazuh reports as "Host Blocked". None: either way.
    """

    code: str
    effect: str
    echo: bool | None


DONE = Expect("zero", "gained", True)
STANDS = Expect("zero", "same", True)
LIFTED = Expect("zero", "lost", True)
IDLE = Expect("zero", "same", False)
ABORTED = Expect("zero", "same", False)
REFUSED = Expect("other", "same", False)
HONEST = Expect("honest", "either", None)


@dataclass(frozen=True)
class Case:
    """`before`: the target is put into force first, by a plain message (`five`: of Wazuh 5); `over`: and its time has run out.

    `only`: for executables that act on this kind.

    How long it is to stand is said as this program's executables take it: timeout=2s among the extra arguments.
    """

    name: str
    steps: Sequence[Step]
    expect: Expect
    before: bool = False
    five: bool = False
    over: bool = False
    only: str = ""
    respell: Callable[[str], str] | None = None


# --- messages ---------------------------------------------------------------------------------------------------------------------------------

ABSENT = object()  # a change to this takes the field away


def message4(subject: Subject) -> dict[str, Any]:
    """As wazuh-execd 4.x passes it on."""
    number = f"1795492383.{subject.number}"
    alert = {
        "timestamp": "2026-11-24T03:53:03.338+0000",
        "rule": {"level": 10, "description": "sshd: brute force", "id": "5712", "groups": ["syslog", "sshd", "authentication_failures"]},
        "agent": {"id": "001", "name": "web1", "ip": "10.0.0.5"},
        "manager": {"name": "manager"},
        "id": number,
        "full_log": "Nov 24 03:10:17 web1 sshd[4007]: Failed password from somewhere",
        "data": {"srcip": "192.0.2.254", "dstuser": "nobody-of-that-name"},
        "location": "/var/log/auth.log",
    }
    alert["data"] = {"srcip": subject.sent} if subject.kind == ADDRESS else {"srcip": "192.0.2.254", "dstuser": subject.sent}
    program = "active-response/bin/firewall-drop" if subject.kind == ADDRESS else "active-response/bin/disable-account"
    parameters = {"extra_args": [], "alert": alert, "program": program}
    return {"version": 1, "origin": {"name": "node01", "module": "wazuh-execd"}, "command": "add", "parameters": parameters}


def message5(subject: Subject) -> dict[str, Any]:
    """As wazuh-execd 5.x passes it on: the finding itself, flat, with the command beside it."""
    response = {
        "name": "block",
        "executable": "block-ip" if subject.kind == ADDRESS else "disable-account",
        "extra_arguments": "",
        "type": "stateful",
        "stateful_timeout": 180,
        "location": "local",
        "agent_id": "",
    }
    return {
        "@timestamp": "2026-11-24T03:53:03.106Z",
        "event": {"kind": "event", "action": "authentication-failure", "doc_id": f"kq1JvZoBq3xZ0cVx{subject.number}"},
        "source": {"ip": subject.sent if subject.kind == ADDRESS else "192.0.2.254", "port": 40007},
        "user": {"name": subject.sent if subject.kind == USER else "nobody-of-that-name"},
        "wazuh": {
            "active_response": response,
            "agent": {"id": "001", "name": "web1", "host": {"hostname": "web1", "ip": ["10.0.0.5"]}},
            "rule": {"id": "5db5e8e9-85f4-5cac-b97a-9eb39f16aa33", "title": "SSH brute force", "level": "high"},
        },
        "command": "enable",
    }


def line(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _changed(message: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """The message with other values at these paths."""
    made = copy.deepcopy(message)
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = made
        for name in parents:
            inner = inner.setdefault(name, {})
        if value is ABSENT:
            del inner[last]
        else:
            inner[last] = value
    return made


def v4(command: object = "add", **changes: object) -> Write:
    """A 4.x message; a change's name has `__` for the dots of its path."""
    return lambda subject: line(_changed(message4(subject), {"command": command, **changes}))


def v5(command: object = "enable", **changes: object) -> Write:
    return lambda subject: line(_changed(message5(subject), {"command": command, **changes}))


def answer(word: str) -> Write:
    """What the daemon says to the keys: its own message with another command."""
    return v4(word)


def raw(data: bytes) -> Write:
    return lambda _subject: data


def without_end(write: Write) -> Write:
    return lambda subject: write(subject)[:-1]


def first_half(write: Write) -> Write:
    return lambda subject: write(subject)[: len(write(subject)) // 2]


def both(*writes: Write) -> Write:
    """Several lines in one write."""
    return lambda subject: b"".join(write(subject) for write in writes)


def padded(length: int) -> Write:
    """A 4.x message that is exactly this long, its end included."""

    def write(subject: Subject) -> bytes:
        empty = len(v4(parameters__alert__full_log="")(subject))
        return v4(parameters__alert__full_log="x" * (length - empty))(subject)

    return write


def ends(write: Write, end: bytes) -> Write:
    return lambda subject: write(subject)[:-1] + end


def starts(write: Write, start: bytes) -> Write:
    return lambda subject: start + write(subject)


def naming(value: object, command: str = "add") -> Write:
    """A 4.x message whose alert names this as what is to be acted on."""

    def write(subject: Subject) -> bytes:
        data = {"srcip": value} if subject.kind == ADDRESS else {"srcip": "192.0.2.254", "dstuser": value}
        return v4(command, parameters__alert__data=data)(subject)

    return write


def naming5(value: object) -> Write:
    def write(subject: Subject) -> bytes:
        return (v5(source__ip=value) if subject.kind == ADDRESS else v5(user__name=value))(subject)

    return write


def long_form(address: str) -> str:
    """An IPv6 address as nobody writes it; the suite's have five groups of zeros or fewer, in one place."""
    groups = address.upper().split(":")
    gap = groups.index("")
    return ":".join([*groups[:gap], *["0000"] * (9 - len(groups)), *groups[gap + 1 :]])


ADD, DELETE, ENABLE, DISABLE = v4(), v4("delete"), v5(), v5("disable")
CONTINUE, ABORT = answer("continue"), answer("abort")
STATELESS = v5(wazuh__active_response__type="stateless", wazuh__active_response__stateful_timeout=ABSENT)
SHORT = v4(parameters__extra_args=["timeout=2s"])
CONTINUE5, ABORT5 = v5("continue"), v5("abort")

# --- the protocol -----------------------------------------------------------------------------------------------------------------------------

DIALOGUES = (
    Case("4.x: add, continue", (ADD, Do.KEYS, CONTINUE), DONE),
    Case("4.x: add, abort", (ADD, Do.KEYS, ABORT), ABORTED),
    Case("4.x: add of what stands", (ADD, Do.KEYS, CONTINUE), STANDS, before=True),
    Case("4.x: abort of what stands leaves it", (ADD, Do.KEYS, ABORT), ABORTED, before=True),
    Case("4.x: abort of what is over", (ADD, Do.KEYS, ABORT), DONE, before=True, over=True, only=ADDRESS),
    Case("4.x: add of what is over", (ADD, Do.KEYS, CONTINUE), DONE, before=True, over=True, only=ADDRESS),
    Case("4.x: delete of what is over", (DELETE,), IDLE, before=True, over=True, only=ADDRESS),
    Case("4.x: delete", (DELETE,), LIFTED, before=True),
    Case("4.x: delete of what does not stand", (DELETE,), IDLE),
    Case("5.x: enable, continue", (ENABLE, Do.KEYS, CONTINUE5), DONE),
    Case("5.x: enable, abort", (ENABLE, Do.KEYS, ABORT5), ABORTED),
    Case("5.x: enable of what stands", (ENABLE, Do.KEYS, CONTINUE5), STANDS, before=True, five=True),
    Case("5.x: disable", (DISABLE,), LIFTED, before=True, five=True),
    Case("5.x: disable of what does not stand", (DISABLE,), IDLE),
    Case("5.x: a stateless response", (STATELESS, Do.KEYS, CONTINUE5), DONE),
    Case("4.x with 5.x's word for delete", (v4("disable"),), REFUSED, before=True),
    Case("5.x with 4.x's word for add", (v5("add"), Do.KEYS_OR_END, CONTINUE), HONEST),
    Case("4.x: an IPv6 address in another spelling", (ADD, Do.KEYS, CONTINUE), DONE, only=ADDRESS6, respell=long_form),
    Case("4.x: an IPv4 address inside an IPv6 address", (ADD, Do.KEYS, CONTINUE), DONE, only=ADDRESS, respell=lambda text: f"::ffff:{text}"),
    Case("4.x: delete in another spelling", (DELETE,), LIFTED, before=True, only=ADDRESS6, respell=long_form),
    Case("4.x: as the manager sends it, with its module's name", (v4(origin__module="wazuh-analysisd"), Do.KEYS, CONTINUE), DONE),
    Case("4.x: with extra arguments", (v4(parameters__extra_args=["--silent", "timeout=10m"]), Do.KEYS, CONTINUE), DONE),
    Case("4.x: fields that nobody knows", (v4(later={"a": [1, None]}, parameters__later=True), Do.KEYS, CONTINUE), DONE),
    Case("4.x: an alert without rule, agent and id", (v4(parameters__alert__rule=ABSENT, parameters__alert__agent=ABSENT, parameters__alert__id=ABSENT),
                                                      Do.KEYS_OR_END, CONTINUE), HONEST),
)  # fmt: skip

LINES = (
    Case("in two pieces", (Pieces(ADD, 300), Do.KEYS, CONTINUE), DONE),
    Case("byte by byte", (Pieces(ADD, 1), Do.KEYS, Pieces(CONTINUE, 1)), DONE),
    Case("the answer in pieces", (ADD, Do.KEYS, Pieces(CONTINUE, 200)), DONE),
    Case("message and answer in one write", (both(ADD, CONTINUE), Do.KEYS), DONE),
    Case("message and abort in one write", (both(ADD, ABORT), Do.KEYS), ABORTED),
    Case("two messages: only the first counts", (both(DELETE, ADD),), LIFTED, before=True),
    Case("ended as Windows ends a line", (ends(ADD, b"\r\n"), Do.KEYS, ends(CONTINUE, b"\r\n")), DONE),
    Case("spaces round it", (ends(starts(ADD, b" \t"), b" \n"), Do.KEYS, CONTINUE), DONE),
    Case("as long as a line may be", (padded(LONGEST - 1), Do.KEYS, CONTINUE), DONE),
    Case("60 KiB in pieces", (Pieces(padded(60 * 1024), 4096), Do.KEYS, CONTINUE), DONE),
    Case("a little longer than a line may be", (padded(LONGEST + 100),), REFUSED),
    Case("70,000 bytes", (padded(70_000),), REFUSED),
    Case("1 MiB", (padded(1024 * 1024),), REFUSED),
    Case("64 KiB without an end", (without_end(padded(LONGEST + 100)),), REFUSED),
    Case("the answer is longer than a line may be", (ADD, Do.KEYS, raw(b"x" * 70_000)), REFUSED),
    Case("an empty line", (raw(b"\n"),), REFUSED),
    Case("a line of spaces", (raw(b"   \n"),), REFUSED),
)

BREAKS = (
    Case("end before anything", (Do.CLOSE,), REFUSED),
    Case("end within the message", (first_half(ADD), Do.CLOSE), REFUSED),
    Case("end within the message, a moment later", (Pieces(first_half(ADD), 300), Do.CLOSE), REFUSED),
    Case("end where the line's end should be", (without_end(ADD), Do.CLOSE, Do.KEYS_OR_END), REFUSED),
    Case("delete: end where the line's end should be", (without_end(DELETE), Do.CLOSE), HONEST, before=True),
    Case("delete: end after it", (DELETE, Do.CLOSE), LIFTED, before=True),
    Case("end at once after the message", (ADD, Do.CLOSE, Do.KEYS_OR_END), REFUSED),
    Case("end before the answer", (ADD, Do.KEYS, Do.CLOSE), REFUSED),
    Case("end within the answer", (ADD, Do.KEYS, first_half(CONTINUE), Do.CLOSE), REFUSED),
    Case("end where the answer's line end should be", (ADD, Do.KEYS, without_end(CONTINUE), Do.CLOSE), HONEST),
    Case("the parent dies before it has read the keys", (Do.DEAF, ADD, Do.CLOSE), REFUSED),
    Case("the parent dies after continue", (ADD, Do.KEYS, CONTINUE, Do.CLOSE), DONE),
    Case("the parent dies after abort", (ADD, Do.KEYS, ABORT, Do.CLOSE), ABORTED),
    Case("delete: the parent dies", (Do.DEAF, DELETE, Do.CLOSE), LIFTED, before=True),
)

ANSWERS = tuple(
    Case(f"answer: {name}", (ADD, Do.KEYS, write), REFUSED)
    for name, write in (
        ("no JSON", raw(b"continue\n")),
        ("an empty line", raw(b"\n")),
        ("an empty object", raw(b"{}\n")),
        ("a list", raw(b'["continue"]\n')),
        ("a number", raw(b"1\n")),
        ("null", raw(b"null\n")),
        ("another word", answer("go on")),
        ("the message once more", ADD),
        ("the word is a list", v4(command=["continue"])),
        ("the word is in capitals", answer("CONTINUE")),
        ("not UTF-8", raw(b'{"version":1,"command":"\xff\xfe"}\n')),
    )
)

# --- messages that are wrong ------------------------------------------------------------------------------------------------------------------

NOT_MESSAGES = tuple(
    Case(f"message: {name}", (write,), REFUSED)
    for name, write in (
        ("no JSON", raw(b"add 203.0.113.9\n")),
        ("the words of Wazuh before 4.2", raw(b"add - 203.0.113.9 1600000000.1 5712\n")),
        ("an empty object", raw(b"{}\n")),
        ("a list", raw(b"[]\n")),
        ("null", raw(b"null\n")),
        ("a text", raw(b'"add"\n')),
        ("a number", raw(b"1\n")),
        ("JSON that is cut", ends(first_half(ADD), b"\n")),
        ("two objects in a line", ends(ADD, b"{}\n")),
        ("not UTF-8", starts(ADD, b"\xff\xfe")),
        ("a NUL byte", starts(ADD, b"\0")),
        ("nothing but NUL bytes", raw(b"\0" * 1000 + b"\n")),
        ("60,000 brackets", raw(b"[" * 60_000 + b"\n")),
        ("60,000 brackets and their ends", raw(b"[" * 30_000 + b"]" * 30_000 + b"\n")),
        ("objects in objects", raw(b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n")),
        ("a number of 50,000 digits", raw(b'{"version":' + b"9" * 50_000 + b"}\n")),
        ("a comment", raw(b"// add\n")),
    )
)

WRONG_FIELDS = tuple(
    Case(f"4.x: {name}", (write,), REFUSED)
    for name, write in (
        ("no version", v4(version=ABSENT)),
        ("version 0", v4(version=0)),
        ("version 2", v4(version=2)),
        ("version -1", v4(version=-1)),
        ("version is a text", v4(version="1")),
        ("version is null", v4(version=None)),
        ("version is a list", v4(version=[1])),
        ("version is true", v4(version=True)),
        ("no command", v4(command=ABSENT)),
        ("command is a list", v4(command=["add"])),
        ("command is a number", v4(command=1)),
        ("command is null", v4(command=None)),
        ("an unknown command", v4("destroy")),
        ("command in capitals", v4("ADD")),
        ("command with an end", v4("add\n")),
        ("the command is an answer", v4("continue")),
        ("no parameters", v4(parameters=ABSENT)),
        ("parameters are a list", v4(parameters=[])),
        ("parameters are a text", v4(parameters="x")),
        ("parameters are null", v4(parameters=None)),
        ("no alert", v4(parameters__alert=ABSENT)),
        ("the alert is null", v4(parameters__alert=None)),
        ("the alert is a list", v4(parameters__alert=[1])),
        ("the alert is a text", v4(parameters__alert="x")),
        ("the alert is empty", v4(parameters__alert={})),
        ("no data", v4(parameters__alert__data=ABSENT)),
        ("data is a list", v4(parameters__alert__data=["203.0.113.9"])),
        ("data is a text", v4(parameters__alert__data="203.0.113.9")),
        ("data names nothing", v4(parameters__alert__data={})),
    )
)

DELETES = tuple(
    Case(f"4.x: delete, {name}", (write,), REFUSED, before=True)
    for name, write in (
        ("no version", v4("delete", version=ABSENT)),
        ("no alert", v4("delete", parameters__alert=ABSENT)),
        ("data names nothing", v4("delete", parameters__alert__data={})),
    )
)

MAYBE = tuple(
    Case(f"4.x: {name}", (write, Do.KEYS_OR_END, CONTINUE), HONEST)
    for name, write in (
        ("no origin", v4(origin=ABSENT)),
        ("origin is a list", v4(origin=[])),
        ("no extra arguments", v4(parameters__extra_args=ABSENT)),
        ("extra arguments are a text", v4(parameters__extra_args="timeout=1h")),
        ("extra arguments are null", v4(parameters__extra_args=None)),
        ("extra arguments of all types", v4(parameters__extra_args=[1, None, {}, ["x"], "timeout=", "timeout=-5m", "timeout=1e9d"])),
        ("the alert's id is an object", v4(parameters__alert__id={"a": 1})),
        ("the alert's rule is a list", v4(parameters__alert__rule=[])),
    )
)

WRONG_FIELDS5 = tuple(
    Case(f"5.x: {name}", (write,), REFUSED)
    for name, write in (
        ("no command", v5(command=ABSENT)),
        ("an unknown command", v5("destroy")),
        ("command is a list", v5(command=["enable"])),
        ("names nothing", v5(source=ABSENT, user=ABSENT)),
        ("source and user are texts", v5(source="203.0.113.9", user="mallory")),
        ("source and user are lists", v5(source=[{"ip": "203.0.113.9"}], user=[{"name": "mallory"}])),
    )
)

MAYBE5 = tuple(
    Case(f"5.x: {name}", (write, Do.KEYS_OR_END, CONTINUE5), HONEST)
    for name, write in (
        ("no response", v5(wazuh__active_response=ABSENT)),
        ("wazuh is a text", v5(wazuh="x")),
        ("an unknown type", v5(wazuh__active_response__type="eternal")),
        ("a time limit of 0", v5(wazuh__active_response__stateful_timeout=0)),
        ("a time limit below 0", v5(wazuh__active_response__stateful_timeout=-180)),
        ("a time limit of ages", v5(wazuh__active_response__stateful_timeout=10**30)),
        ("a time limit that is a text", v5(wazuh__active_response__stateful_timeout="180; reboot")),
        ("a time limit that is a fraction", v5(wazuh__active_response__stateful_timeout=0.5)),
    )
)

# --- hostile values ---------------------------------------------------------------------------------------------------------------------------

# In a place where an address or a name is wanted: none of them is one, so nothing may come of it.
HOSTILE = (
    ("empty", ""),
    ("a space", " "),
    ("null", None),
    ("a number", 3232235777),
    ("true", True),
    ("a list", ["203.0.113.9"]),
    ("an object", {"ip": "203.0.113.9"}),
    ("a template", "{{ 7919*7907 }}"),
    ("a statement", "{% for x in range(9) %}{{ x }}{% endfor %}"),
    ("a lookup", "{{ lookup('pipe','touch " + CANARY + "') }}"),
    ("shell: substitution", "$(touch " + CANARY + ")"),
    ("shell: backquotes", "`touch " + CANARY + "`"),
    ("shell: a second command", "203.0.113.9; touch " + CANARY),
    ("shell: a pipe", "|touch " + CANARY),
    ("shell: a new line", "203.0.113.9\ntouch " + CANARY),
    ("shell: Windows", "203.0.113.9 & type nul > " + CANARY),
    ("an option", "--help"),
    ("a short option", "-s"),
    ("a path", "../../../../etc/passwd"),
    ("an absolute path", "/etc/shadow"),
    ("a Windows path", "..\\..\\windows\\system32"),
    ("format strings", "%s%s%n%x %(name)s {0.__class__} {}"),
    ("a NUL", "203.0.113.9\0"),
    ("a NUL first", "\0mallory"),
    ("an escape sequence", "\x1b[2J\x1b]0;owned\x07"),
    ("bidirectional text", "\u202e9.311.0.302\u202c"),
    ("an invisible space", "203.0.113\u200b.9"),
    ("half a surrogate pair", "\ud800"),
    ("a log line of its own", "x\n2026/11/24 03:10:19 active-response/bin/firewall-drop: {\"command\":\"add\",\"version\":1}"),
    ("a carriage return", "x\r2026/11/24 03:10:19 active-response/bin/firewall-drop: Ended"),
    ("a rule", "203.0.113.9 drop; flush ruleset #"),
    ("quotes", "'\"; --"),
    ("50,000 characters", "9" * 50_000),
)  # fmt: skip

HOSTILE_ADDRESSES = (
    ("a name", "localhost"),
    ("a short form", "1"),
    ("another short form", "127.1"),
    ("hexadecimal", "0xcb007109"),
    ("octal", "0313.0.0161.011"),
    ("a network", "203.0.113.0/24"),
    ("everything", "0.0.0.0/0"),
    ("everything of IPv6", "::/0"),
    ("a range", "203.0.113.1-203.0.113.9"),
    ("a scope", "fe80::1%eth0"),
    ("digits of another script", "".join(chr(ord(each) + 0x630) if each.isdigit() else each for each in "203.0.113.9")),
    ("five parts", "203.0.113.9.1"),
    ("256", "203.0.113.256"),
    ("unspecified", "0.0.0.0"),
    ("unspecified IPv6", "::"),
    ("loopback", "127.0.0.1"),
    ("loopback's network", "127.8.8.8"),
    ("loopback IPv6", "::1"),
    ("loopback inside IPv6", "::ffff:127.0.0.1"),
    ("broadcast", "255.255.255.255"),
    ("multicast", "224.0.0.1"),
    ("multicast IPv6", "ff02::1"),
    ("link-local", "169.254.169.254"),
    ("link-local IPv6", "fe80::1"),
)

HOSTILE_USERS = (
    ("root", "root"),
    ("nobody of that name", "riposte-nobody"),
    ("the system's own", "daemon"),
    ("a user number", "0"),
    ("several", "mallory,root"),
    ("a field more", "mallory:x:0:0"),
    ("a home", "~root"),
    ("an addition", "+mallory"),
    ("dots", ".."),
    ("a domain", "DOMAIN\\mallory"),
)

# Anywhere else in a message: the response is done as ever, and the log stays a log.
NOT_ELSEWHERE = ("empty", "a space", "null", "50,000 characters")  # harmless there, or longer than a line when it is in eight places
ELSEWHERE = tuple((name, value) for name, value in HOSTILE if name not in NOT_ELSEWHERE)


def _hostile(values: Sequence[tuple[str, object]], only: str = "") -> list[Case]:
    return [Case(f"named: {name}", (naming(value), Do.KEYS_OR_END, CONTINUE), REFUSED, only=only) for name, value in values]


HOSTILE_CASES = (
    *_hostile(HOSTILE),
    *_hostile(HOSTILE_ADDRESSES, ADDRESS),
    *_hostile(HOSTILE_USERS, USER),
    *(Case(f"5.x, named: {name}", (naming5(value), Do.KEYS_OR_END, CONTINUE5), REFUSED) for name, value in HOSTILE),
    *(Case(f"delete, named: {name}", (naming(value, "delete"),), REFUSED, before=True) for name, value in HOSTILE[:12]),
    *(Case(f"elsewhere: {name}",
           (v4(origin__name=value, parameters__alert__full_log=value, parameters__alert__rule__description=value, parameters__alert__agent__name=value,
               parameters__alert__location=value, parameters__alert__data__url=value, parameters__program=value, parameters__extra_args=[value]),
            Do.KEYS, CONTINUE), DONE)
      for name, value in ELSEWHERE),
    *(Case(f"5.x, elsewhere: {name}",
           (v5(event__original=value, wazuh__rule__title=value, wazuh__agent__name=value, wazuh__active_response__name=value,
               wazuh__active_response__extra_arguments=value), Do.KEYS, CONTINUE5), DONE)
      for name, value in ELSEWHERE),
    Case("elsewhere: half a surrogate pair in a field's name", (v4(parameters__alert__data__extra={"\ud800": 1}), Do.KEYS, CONTINUE), DONE),
    Case("elsewhere: not a number", (v4(parameters__alert__rule__level=float("nan")), Do.KEYS_OR_END, CONTINUE), HONEST),
)  # fmt: skip

CASES: tuple[Case, ...] = (
    *DIALOGUES, *LINES, *BREAKS, *ANSWERS, *NOT_MESSAGES, *WRONG_FIELDS, *DELETES, *MAYBE, *WRONG_FIELDS5, *MAYBE5, *HOSTILE_CASES,
)  # fmt: skip
