# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long stands what Wazuh starts: its messages do not say, so its files and the host owner's /etc/riposte/wazuh.conf do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.host.conf import read_foreign, read_owned
from engine.host.errors import BadInput, Problem, shown
from engine.host.lifetime import LONGEST, parse_duration

from .executables import DISABLE_ACCOUNT, EXECUTABLES
from .message import Order

CONF = "etc/riposte/wazuh.conf"
DEFAULT = "10m"
RELEASE, KEEP = "release", "keep"
_AR_LINE = re.compile(r"[^\n]* - (?P<executable>\S+) - (?P<seconds>[0-9]{1,9})\s*\Z")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BLOCK = re.compile(r"<active-response\b.*?(?:</active-response>|\Z)", re.DOTALL)
_REPEATED = re.compile(r"<repeated_offenders>([^<]*)</repeated_offenders>")


class Term(NamedTuple):
    """A lifetime: a duration, None = permanent; the ends of repeated offenders, one a repeat; whether an account's sessions end too."""

    timeout: str | None
    repeated_offenders: tuple[str, ...] = ()
    end_sessions: bool = False


@dataclass(frozen=True)
class Conf:
    """The host owner's file; the defaults are those of a host without one. `lifetimes`: by executable, timeout "" = not said there."""

    home: str = "/var/ossec"
    timeout: str = ""
    early_delete: str = RELEASE
    lifetimes: Mapping[str, Term] = field(default_factory=dict)


def read_conf(path: str) -> Conf:
    """The file; Problem when it cannot be trusted or understood."""
    text = read_owned(path)
    return Conf() if text is None else parse_conf(text, path)


def parse_conf(text: str, path: str) -> Conf:
    """Section [wazuh] (home, timeout, early_delete), and one an executable (timeout or permanent, repeated_offenders, an account's end_sessions); # comments"""
    import configparser  # not at the top: a host may have no such file

    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"), strict=True, default_section="")
    try:
        parser.read_string(text, path)
    except configparser.Error as error:
        raise Problem(" ".join(str(error).split())) from error
    common: dict[str, str] = {}
    lifetimes = {}
    for section in parser.sections():
        where, entries = f"{path}: [{section}]", dict(parser.items(section))
        if section == "wazuh":
            common = {key: _common(where, key, value) for key, value in entries.items()}
        elif section in EXECUTABLES:
            lifetimes[section] = _section(where, entries, EXECUTABLES[section].response == DISABLE_ACCOUNT)
        else:
            raise Problem(f"{where} is not known; sections are [wazuh], {', '.join(f'[{each}]' for each in EXECUTABLES)}")
    return Conf(**common, lifetimes=lifetimes)


def _common(where: str, key: str, value: str) -> str:
    if key == "timeout":
        return _duration(where, key, value)
    if key == "home" and os.path.isabs(value):
        return value
    if key == "early_delete" and value in (RELEASE, KEEP):
        return value
    raise Problem(f"{where} {key} = {shown(value)}: expected home = an absolute path, timeout = 10m, or early_delete = release or keep")


def _section(where: str, entries: Mapping[str, str], of_account: bool) -> Term:
    expected = ("timeout", "permanent", "repeated_offenders", *["end_sessions"] * of_account)
    for key in entries:
        if key not in expected:
            raise Problem(f"{where} {key} is not known; expected {', '.join(expected)}")
    end_sessions = _true(where, "end_sessions", entries)
    if _true(where, "permanent", entries):
        if {"timeout", "repeated_offenders"} & set(entries):
            raise Problem(f"{where} permanent = true: what stands for good has no timeout or repeated_offenders")
        return Term(None, end_sessions=end_sessions)
    timeout = _duration(where, "timeout", entries["timeout"]) if "timeout" in entries else ""
    repeated_offenders = tuple(_duration(where, "repeated_offenders", each) for each in entries.get("repeated_offenders", "").split())
    return Term(timeout, repeated_offenders, end_sessions)


def _true(where: str, key: str, entries: Mapping[str, str]) -> bool:
    value = entries.get(key, "false")
    if value not in ("true", "false"):
        raise Problem(f"{where} {key} = {shown(value)}: it must be true or false")
    return value == "true"


def _duration(where: str, key: str, value: str) -> str:
    try:
        parse_duration(value)
    except BadInput as error:
        raise Problem(f"{where} {key}: {error}") from error
    return value


def choose(order: Order, name: str, conf: Conf | None, home: str, notes: list[str]) -> Term:
    """The lifetime of what an order puts into force. conf None: the owner's file cannot be read. Notes: what its reader should know."""
    word = _from_words(order.words, notes)
    own = conf.lifetimes.get(name, Term("")) if conf else Term("")
    if word is not None:
        timeout: str | None = word.timeout
    elif conf is None:
        timeout = DEFAULT
    elif own.timeout != "":
        timeout = own.timeout
    else:
        timeout = _wazuhs(order, name, home, notes)
        if not timeout:
            timeout = conf.timeout or DEFAULT
            notes.append(f"Wazuh gives {name} no timeout; that is never permanent here, so {timeout} is taken")
    repeated_offenders = own.repeated_offenders or tuple(_from_ossec_conf(home, notes)) if timeout is not None else ()
    return Term(timeout, repeated_offenders, own.end_sessions)


def _from_words(words: tuple[str, ...], notes: list[str]) -> Term | None:
    """What the manager's <extra_args> say; the last word on it counts."""
    found = None
    for word in words:
        if word == "permanent":
            found = Term(None)
        elif word.startswith("timeout="):
            try:
                parse_duration(word.partition("=")[2])
            except BadInput as error:
                notes.append(f"extra argument {shown(word)} is ignored: {error}")
            else:
                found = Term(word.partition("=")[2])
        else:
            notes.append(f"extra argument {shown(word)} is ignored: it is not known here")
    return found


def _wazuhs(order: Order, name: str, home: str, notes: list[str]) -> str:
    """The timeout that Wazuh itself has for it; the longest, where ar.conf has several: the message does not say which it is."""
    seconds = order.timeout
    if order.wazuh4:
        lines = map(_AR_LINE.match, _text(os.path.join(home, "etc/shared/ar.conf"), notes).splitlines())
        seconds = max((int(line["seconds"]) for line in lines if line and line["executable"] == name), default=0)
    if seconds > LONGEST:
        notes.append(f"Wazuh's timeout of {seconds} s is longer than 366 days, which are taken")
    return f"{min(seconds, LONGEST)}s" if seconds else ""


def _from_ossec_conf(home: str, notes: list[str]) -> Iterator[str]:
    """Minutes, from the first block that has them, as wazuh-execd reads them."""
    text = _COMMENT.sub("", _text(os.path.join(home, "etc/ossec.conf"), notes))
    blocks = (_REPEATED.search(block[0]) for block in _BLOCK.finditer(text))
    found = next(filter(None, blocks), None)
    for each in found[1].split(",") if found else ():
        minutes = each.strip()
        if re.fullmatch(r"[0-9]{1,6}", minutes) and 0 < int(minutes) * 60 <= LONGEST:
            yield f"{int(minutes)}m"
        else:
            notes.append(f"{home}/etc/ossec.conf: repeated_offenders {shown(minutes)} is ignored: expected minutes, at most 366 days")


def _text(path: str, notes: list[str]) -> str:
    """A file of Wazuh's, which its own account may write."""
    try:
        return read_foreign(path)
    except (Problem, OSError) as problem:
        notes.append(f"{problem}; so what it should say of timeouts is not known")
        return ""
