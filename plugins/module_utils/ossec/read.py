# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wazuh's ossec.conf and agent.conf: what they say of active responses, each value with its line.

These files look like XML and are none: several roots, text between them, bare `&`, `\\<` for a `<`, comments that end at `!>` too, no entities.
Read here as Wazuh's own parser reads them; CDATA, a prolog and blanks round a value, which it does not take, are read as they were meant, with a note.
Document types and entities are refused: nobody needs them here, and programs have been brought down with them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..host.errors import BadInput, shown
from ..host.response import printable

OSSEC, AGENT = "ossec_config", "agent_config"
DEEPEST = 64
"""Levels of elements; no configuration of Wazuh has more than six."""

_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)\b", re.IGNORECASE)
_COMMENT_ENDS = re.compile(r"-->|!>")
_CDATA, _CDATA_ENDS = "<![CDATA[", "]]>"
_TAG = re.compile(r"<([^\s<>/]+)(?=[\s/>])")
_ATTRIBUTE = re.compile(r"\s*([^\s=<>/\"']+)\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)')")
_TAG_ENDS = re.compile(r"\s*(/?)>")
_END = re.compile(r"</([^<>]*)>")


class Note(NamedTuple):
    """What Wazuh makes of a line, where that is not what its author meant; and what is made of it here."""

    file: str
    line: int
    wazuh: str
    here: str

    def text(self) -> str:
        return f"{self.file}, line {self.line}: {self.wazuh} Here: {self.here}"


class Value(NamedTuple):
    """The text of one element as it stands in the file, its line, and the root element it is under."""

    raw: str
    line: int
    root: str

    @property
    def text(self) -> str:
        return self.raw.strip()


@dataclass(frozen=True)
class Block:
    """One <command> or <active-response>. Of two values of one name the last counts, as in Wazuh."""

    line: int
    root: str
    values: Mapping[str, Value]

    def text(self, name: str) -> str:
        """The value without blanks round it; empty when it is not there."""
        return self.values[name].text if name in self.values else ""

    def line_of(self, name: str) -> int:
        return self.values[name].line if name in self.values else self.line


@dataclass(frozen=True)
class Configuration:
    """`file`: its name, for messages. All in the order of the file."""

    file: str
    commands: tuple[Block, ...]
    responses: tuple[Block, ...]
    white_list: tuple[Value, ...]
    notes: tuple[Note, ...]


@dataclass
class _Element:
    name: str
    line: int
    children: list[_Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)  # since the last child, as in Wazuh


def read_configuration(content: bytes, file: str) -> Configuration:
    """The bytes of a file -> what it says; BadInput names file and line."""
    if b"\0" in content:
        raise BadInput(f"{file}: it has NUL bytes, so it is no text in UTF-8 (UTF-16, from an editor on Windows?); save it as UTF-8")
    # What is no UTF-8 is nobody's name or number, so it only has to be harmless.
    parser = _Parser(content.decode("utf-8-sig", errors="backslashreplace"), file)
    return _configuration(parser.roots(), file, parser.notes)


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.notes: list[Note] = []
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._open: list[_Element] = [_Element("", 1)]  # the file itself, then what is open in it
        self._hidden = 0  # up to where CDATA hides the text from Wazuh

    def roots(self) -> list[_Element]:
        at = 0
        while (begin := self.text.find("<", at)) >= 0:
            self._open[-1].text.append(self.text[at:begin])
            at = self._markup(begin)
        if len(self._open) > 1:
            raise self._wrong(len(self.text), f"the file ends, and <{self._open[-1].name}> of line {self._open[-1].line} is still open")
        return self._open[0].children

    def _markup(self, at: int) -> int:
        """What begins with the `<` at this place -> the place behind it."""
        if self.text.startswith("<!", at):
            return self._comment(at)
        if self._escaped(at):
            self._open[-1].text.append("<")
            return at + 1
        if self.text.startswith("<?", at):
            return self._prolog(at)
        if self.text.startswith("</", at):
            return self._end(at)
        return self._begin(at)

    def _escaped(self, at: int) -> bool:
        before = self.text[max(0, at - 1000) : at]
        return (len(before) - len(before.rstrip("\\"))) % 2 == 1

    def _comment(self, at: int) -> int:
        declared = _DECLARATION.match(self.text, at)
        if declared:
            raise self._wrong(at, f"<!{declared[1]} …>: document types and entities are not read; take it out and write the values where they are used")
        close = self.text.find(_CDATA_ENDS, at) if self.text.startswith(_CDATA, at) else -1
        if close >= 0:
            self._hide(at)
            self._open[-1].text.append(self.text[at + len(_CDATA) : close])
            return close + len(_CDATA_ENDS)
        end = _COMMENT_ENDS.search(self.text, at + 2)
        if not end:
            raise self._wrong(at, "a comment begins here and does not end; close it with -->")
        if end[0] == "!>" and self.text.startswith("<!--", at):
            self._note(at, f"this comment ends for Wazuh at the !> in line {self._line(end.start())}: it reads what stands behind.", "that is read too.")
        return end.end()

    def _hide(self, at: int) -> None:
        """Says once what CDATA hides from Wazuh."""
        if at < self._hidden:
            return
        end = _COMMENT_ENDS.search(self.text, at)
        self._hidden = end.end() if end else len(self.text)
        what = f"what follows is hidden from it up to line {self._line(end.start())}, where a comment ends" if end else "its manager does not start with this"
        self._note(at, f"to Wazuh CDATA is a comment: {what}.", "it is read as the text that it holds, and so is what was hidden.")

    def _prolog(self, at: int) -> int:
        end = self.text.find("?>", at)
        if end < 0:
            raise self._wrong(at, "<? begins here and does not end; close it with ?>")
        self._note(at, "Wazuh's parser knows no <? … ?>, its manager does not start with this.", "it is passed over.")
        return end + 2

    def _begin(self, at: int) -> int:
        tag = _TAG.match(self.text, at)
        if not tag:
            raise self._wrong(at, f"{shown(self.text[at : at + 20])}: this < begins no element; where it is only a character, write \\<")
        element = _Element(tag[1], self._line(at))
        place = tag.end()
        while attribute := _ATTRIBUTE.match(self.text, place):
            place = attribute.end()
        end = _TAG_ENDS.match(self.text, place)
        if not end:
            raise self._wrong(place, f'the beginning of <{tag[1]}> is not understood; expected are attributes such as name="value", then >')
        self._open[-1].text.clear()
        self._open[-1].children.append(element)
        if not end[1]:
            self._open.append(element)
        if len(self._open) > DEEPEST:
            raise self._wrong(at, f"more than {DEEPEST} elements are open here; this is no configuration of Wazuh")
        return end.end()

    def _end(self, at: int) -> int:
        tag = _END.match(self.text, at)
        name = tag[1].rstrip() if tag else self.text[at + 2 : at + 22]
        if len(self._open) == 1:
            raise self._wrong(at, f"</{name}> ends what nothing began")
        begun = self._open.pop()
        if not tag or begun.name != name:
            raise self._wrong(at, f"</{name}> stands where <{begun.name}> of line {begun.line} should end; expected </{begun.name}>")
        return tag.end()

    def _line(self, at: int) -> int:
        return bisect_left(self._breaks, at) + 1

    def _note(self, at: int, wazuh: str, here: str) -> None:
        self.notes.append(Note(self.file, self._line(at), wazuh, here))

    def _wrong(self, at: int, what: str) -> BadInput:
        return BadInput(f"{self.file}, line {self._line(at)}: {printable(what, 500)}")


def _configuration(elements: list[_Element], file: str, notes: list[Note]) -> Configuration:
    roots = [element for element in elements if element.name in (OSSEC, AGENT)]
    if not roots:
        raise BadInput(f"{file}: there is no <{OSSEC}> or <{AGENT}> in it; expected is Wazuh's ossec.conf or agent.conf")
    for element in elements:
        if element not in roots:
            notes.append(Note(file, element.line, f"Wazuh passes over <{printable(element.name, 60)}> beside <{OSSEC}>.", "it is passed over too."))
    for root in roots:
        for stray in _named(root, "white_list"):
            wazuh = "a <white_list> outside of <global>: Wazuh does not start with this."
            notes.append(Note(file, stray.line, wazuh, "it is not imported; move it into <global>."))
    return Configuration(
        file,
        tuple(_block(each, root.name) for root in roots for each in _named(root, "command")),
        tuple(_block(each, root.name) for root in roots for each in _named(root, "active-response")),
        tuple(_value(each, root.name) for root in roots for part in _named(root, "global") for each in _named(part, "white_list")),
        tuple(sorted(notes)),
    )


def _named(element: _Element, name: str) -> Iterator[_Element]:
    return (child for child in element.children if child.name == name)


def _block(element: _Element, root: str) -> Block:
    return Block(element.line, root, {child.name: _value(child, root) for child in element.children})


def _value(element: _Element, root: str) -> Value:
    return Value("".join(element.text), element.line, root)
