# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our block in Wazuh's ossec.conf: put in, renewed, cut out again. Every other byte of the file stays as it is.

The block is an `<ossec_config>` of its own between two comments, begun right behind the last byte of the file, so that cutting it out gives back the very
same bytes, whatever the file ends with. Where the file stands is read as Wazuh's parser reads it: `<!` begins a comment up to the next `-->` or `!>` (there is
no CDATA), `\\<` begins nothing, entities mean nothing. Hence a value is written as it is, and one that cannot be written so is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Union

from ..host.errors import BadInput, shown
from .hide import is_secret

ROOT = "ossec_config"
MARKER = re.compile(r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*\Z")
LONGEST = 20000
"""Bytes in one value; Wazuh's parser stops at 20480."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
_COMMENT_ENDS = re.compile(rb"-->|!>")
_CLOSING = re.compile(rb"</([^<>]*)>")
_OPENING = re.compile(rb"<([^\s<>/!?][^\s<>/]*)(?:\s+[^\s<>=/\"']+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'))*\s*(/?)>")
_NOT_TEXT = re.compile("[\0-\x08\x0a-\x1f\x7f]")

Value = Union[str, int, bool, None, Sequence["Value"], Mapping[str, "Value"]]


class Span(NamedTuple):
    """A piece of the file: from the first byte to the one behind the last."""

    begin: int
    end: int


def put(content: bytes, marker: str, blocks: Sequence[Mapping[str, Value]]) -> bytes:
    """The file with our block of this marker, where it stands or at the end; without it when `blocks` is empty. BadInput says why not, with the line."""
    place = find(content, marker)
    before, after = (content, b"") if place is None else (content[: place.begin], content[place.end :])
    return before + (render(blocks, marker, _newline(content)).encode() if blocks else b"") + after


def cut(content: bytes, marker: str) -> bytes:
    """The file without our block of this marker."""
    return put(content, marker, [])


def text(content: bytes, marker: str) -> str:
    """Our block of this marker as it stands in the file, "" when there is none."""
    place = find(content, marker)
    return content[place.begin : place.end].decode(errors="replace") if place else ""


def find(content: bytes, marker: str) -> Span | None:
    """Where our block stands, None when there is none. BadInput when the file, or the block, is not what it should be."""
    if not MARKER.match(marker):
        raise BadInput(f"marker {shown(marker)}: it must be letters and digits, with single - _ . between them")
    begin, end = f"<!-- {marker}: begin".encode(), f"<!-- {marker}: end".encode()
    comments = [each for each in _comments(content) if content.startswith((begin, end), each.begin)]
    if content.count(begin) + content.count(end) != len(comments):
        raise BadInput(f"a comment that begins with {begin.decode()!r} or {end.decode()!r} stands inside an element or another comment; {_mend(marker)}")
    if not comments:
        return None
    if len(comments) != 2 or not content.startswith(begin, comments[0].begin) or not content.startswith(end, comments[1].begin):
        lines = ", ".join(str(_line(content, each.begin)) for each in comments)
        raise BadInput(f"the marks of the block {marker} should be one begin and one end behind it, and are in the lines {lines}; {_mend(marker)}")
    return Span(comments[0].begin, comments[1].end + len(_line_end(content, comments[1].end)))


def render(blocks: Sequence[Mapping[str, Value]], marker: str, newline: str = "\n") -> str:
    """The block's text: each mapping of `blocks` is elements below the root, in their order."""
    lines = [f"<!-- {marker}: begin, kept by Ansible; what is changed down to its end is lost -->", f"<{ROOT}>"]
    for number, block in enumerate(blocks):
        lines += [""] * (number > 0)
        for name, value in block.items():
            lines += _element(name, value, "  ", name)
    lines += [f"</{ROOT}>", f"<!-- {marker}: end -->", ""]
    return newline.join(lines)


def _element(name: str, value: Value, indent: str, path: str) -> Iterator[str]:
    if not _NAME.match(name):
        raise BadInput(f"{path}: {shown(name)} is no name of an element; expected a letter, then letters, digits and _ . -")
    if value is None:
        return
    if isinstance(value, Mapping):
        yield f"{indent}<{name}>"
        for child, inner in value.items():
            yield from _element(child, inner, indent + "  ", f"{path}/{child}")
        yield f"{indent}</{name}>"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _element(name, each, indent, path)
    else:
        yield f"{indent}<{name}>{_text(value, path)}</{name}>"


def _text(value: str | int, path: str) -> str:
    """A value as Wazuh reads it back."""
    text = ("no", "yes")[value] if isinstance(value, bool) else str(value)
    wrong = ""
    if "<" in text:
        wrong = "Wazuh's configuration cannot hold a <"
    elif _NOT_TEXT.search(text) or any("\ud800" <= character <= "\udfff" for character in text):
        wrong = "control characters, line breaks and halves of characters cannot be in it"
    elif (len(text) - len(text.rstrip("\\"))) % 2:
        wrong = "Wazuh would take the \\ at its end and the < behind it for one character"
    elif len(text.encode()) > LONGEST:
        wrong = f"Wazuh reads at most {LONGEST} bytes of it"
    if wrong:
        value = "its value, which is secret" if any(map(is_secret, path.split("/"))) else shown(text)
        raise BadInput(f"{path}: {value}: {wrong}")
    return text


def _comments(content: bytes) -> Iterator[Span]:
    """The comments outside of any element. BadInput when the file is not one that may be added to at its end."""
    if b"\0" in content:
        raise BadInput("it has NUL bytes, so it is no text that Wazuh reads (UTF-16?)")
    opened: list[tuple[bytes, int]] = []
    roots = 0
    at = content.find(b"<")
    while at >= 0:
        if content.startswith(b"<!", at):
            end = _COMMENT_ENDS.search(content, at + 2)
            if not end:
                raise _wrong(content, at, "a comment begins here and does not end" + " (to Wazuh CDATA is a comment)" * content.startswith(b"<![CDATA[", at))
            if not opened:
                yield Span(at, end.end())
            behind = end.end()
        elif _escaped(content, at):
            behind = at + 1
        elif content.startswith(b"</", at):
            behind = _close(content, at, opened)
        else:
            tag = _OPENING.match(content, at)
            if not tag:
                raise _wrong(content, at, f"Wazuh's parser cannot read {shown(content[at : at + 30].decode(errors='replace'))}")
            roots += not opened and tag[1] == ROOT.encode()
            if not tag[2]:
                opened.append((tag[1], at))
            behind = tag.end()
        at = content.find(b"<", behind)
    if opened:
        raise _wrong(content, opened[-1][1], f"<{opened[-1][0].decode(errors='replace')}> begins here and does not end")
    if not roots:
        raise BadInput(f"there is no <{ROOT}> in it, so it is no ossec.conf")


def _close(content: bytes, at: int, opened: list[tuple[bytes, int]]) -> int:
    tag = _CLOSING.match(content, at)
    if not tag or not opened:
        raise _wrong(content, at, "an element ends here that did not begin")
    name, begun = opened.pop()
    if tag[1] != name:
        raise _wrong(content, at, f"expected the end of <{name.decode(errors='replace')}>, which begins in line {_line(content, begun)}")
    return tag.end()


def _escaped(content: bytes, at: int) -> bool:
    start = at
    while start and content[start - 1] == ord("\\"):
        start -= 1
    return bool((at - start) % 2)


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def _newline(content: bytes) -> str:
    """How the file ends its lines, by its first."""
    return "\r\n" if content.partition(b"\n")[0].endswith(b"\r") else "\n"


def _line_end(content: bytes, at: int) -> bytes:
    return next((end for end in (b"\r\n", b"\n") if content.startswith(end, at)), b"")


def _wrong(content: bytes, at: int, what: str) -> BadInput:
    return BadInput(f"line {_line(content, at)}: {what}; mend it by hand first, Wazuh does not read the file as it is")


def _mend(marker: str) -> str:
    return f"look at the file and take out by hand what is left of the block {marker}"
