# SPDX-License-Identifier: GPL-3.0-or-later
"""ossec.conf as Wazuh reads it: what is in it, on which line, and what is wrong with it."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.read import Block, Configuration, Value, read_configuration
from tests import ossec_corpus


def read(text: str) -> Configuration:
    return read_configuration(text.encode(), "ossec.conf")


def in_root(text: str) -> Configuration:
    return read(f"<ossec_config>{text}</ossec_config>")


def values(block: Block) -> dict[str, str]:
    return {name: value.raw for name, value in block.values.items()}


def test_what_a_file_says_and_where() -> None:
    found = read_configuration(ossec_corpus.readable()["several_roots"], "x.conf")
    [command], [response] = found.commands, found.responses
    assert (command.line, values(command)) == (6, {"name": "fw", "executable": "default-firewall-drop", "timeout_allowed": "yes"})
    assert (response.line, response.line_of("timeout"), response.line_of("level")) == (18, 22, 18)
    assert values(response) == {"command": "fw", "location": "all", "rules_id": "31151", "timeout": "3600"}
    assert found.white_list == (Value("198.51.100.1", 4, "ossec_config"), Value("198.51.100.2", 24, "ossec_config"))
    assert [(note.line, note.wazuh) for note in found.notes] == [(15, "Wazuh passes over <gui_settings> beside <ossec_config>.")]


# name: (the text of a <name>, as it is read)
TEXTS: dict[str, tuple[str, str]] = {
    "plain": ("fw", "fw"),
    "blanks": (" fw\t", " fw\t"),
    "a comment inside": ("f<!-- x -->w", "fw"),
    "a comment of the old kind": ("f<! x !>w", "fw"),
    "a comment that is only its ends": ("f<!---->w", "fw"),
    "the shortest comment": ("f<!-->w", "fw"),
    "a comment with tags in it": ("f<!-- </name> -->w", "fw"),
    "a comment that ends in three dashes": ("f<!-- x --->w", "fw"),
    "a document type in a comment": ("f<!-- <!DOCTYPE a> -->w", "fw"),
    "CDATA": ("<![CDATA[f<w> & ]]>x", "f<w> & x"),
    "CDATA, which to Wazuh is a comment that ends": ("f<![CDATA[x]] -->w", "fw"),
    "bare &": ("a & b", "a & b"),
    "entities": ("&lt;&amp;&#65;&nope;", "&lt;&amp;&#65;&nope;"),
    "an escaped <": (r"a \< b", r"a \< b"),
    "an escaped tag": (r"\</name>", r"\</name>"),
    "an escaped backslash": ("a\\\\", "a\\\\"),
    "bare >": ("a > b", "a > b"),
    "text before an element": ("a<b>c</b>d", "d"),
    "an element closed at once": ("a<b/>d<c x='1'/>e", "e"),
    "a template": ("{{ lookup('pipe', 'id') }}", "{{ lookup('pipe', 'id') }}"),
    "nothing": ("", ""),
    "not ASCII": ("Ünal", "Ünal"),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_the_text_of_an_element(text: str, expected: str) -> None:
    [command] = in_root(f"<command><name>{text}</name></command>").commands
    assert command.values["name"].raw == expected


# name: (the file, how many commands, responses and white list entries it has)
SHAPES: dict[str, tuple[str, tuple[int, int, int]]] = {
    "attributes": ("<agent_config name=\"a\" os = 'b'\n profile='c' ><active-response></active-response></agent_config >", (0, 1, 0)),
    "a root closed at once": ("<ossec_config/>", (0, 0, 0)),
    "a block closed at once": ("<ossec_config><command/><active-response x='y' /></ossec_config>", (1, 1, 0)),
    "a command of a localfile": ("<ossec_config><localfile><command>df</command></localfile></ossec_config>", (0, 0, 0)),
    "a white list elsewhere": ("<ossec_config><white_list>192.0.2.1</white_list></ossec_config>", (0, 0, 0)),
    "capital letters": ("<ossec_config><Command></Command></ossec_config>", (0, 0, 0)),
    "what follows a comment cut short": ("<ossec_config><!-- a !><command/> --></ossec_config>", (1, 0, 0)),
    "a prolog": ('<?xml version="1.0"?><ossec_config><command/></ossec_config>', (1, 0, 0)),
    "a prolog inside": ("<ossec_config><?x <command/> ?></ossec_config>", (0, 0, 0)),
    "an escaped element": (r"<ossec_config>\<command></ossec_config>", (0, 0, 0)),
    "an element behind an escaped backslash": (r"<ossec_config>\\<command/></ossec_config>", (1, 0, 0)),
}


@pytest.mark.parametrize(("text", "counts"), SHAPES.values(), ids=SHAPES)
def test_what_counts(text: str, counts: tuple[int, int, int]) -> None:
    found = read(text)
    assert (len(found.commands), len(found.responses), len(found.white_list)) == counts


# name: (the file, what is said)
WRONG: dict[str, tuple[str, str]] = {
    "nothing": ("", "there is no <ossec_config> or <agent_config> in it"),
    "no markup": ("5712", "there is no <ossec_config>"),
    "another root": ("<ossec-config></ossec-config>", "there is no <ossec_config>"),
    "a root never closed": ("\n<ossec_config>\n\n", "line 4: the file ends, and <ossec_config> of line 2 is still open"),
    "closed in another order": ("<ossec_config>\n<a>\n<b>\n</a></b>", "line 4: </a> stands where <b> of line 3 should end; expected </b>"),
    "closed twice": ("<ossec_config/>\n</ossec_config>", "line 2: </ossec_config> ends what nothing began"),
    "a half end": ("<ossec_config>\n</ossec_config", "line 2: </ossec_config> stands where <ossec_config> of line 1 should end"),
    "a half beginning": ("\n<ossec_config", "line 2: '<ossec_config': this < begins no element"),
    "a lone <": ("<ossec_config>a < b</ossec_config>", "line 1: '< b</ossec_config>': this < begins no element; where it is only a character, write \\<"),
    "an attribute without a value": ("<agent_config name>", "line 1: the beginning of <agent_config> is not understood; expected are attributes such as"),
    "an attribute without quotes": ("<agent_config name=web>", "line 1: the beginning of <agent_config> is not understood"),
    "a comment without end": ("<ossec_config>\n<!-- ->", "line 2: a comment begins here and does not end; close it with -->"),
    "CDATA without end": ("<ossec_config>\n<![CDATA[x]]", "line 2: a comment begins here and does not end"),
    "a prolog without end": ("<?xml >", "line 1: <? begins here and does not end"),
    "a document type": ("\n<!DOCTYPE x>", "line 2: <!DOCTYPE …>: document types and entities are not read"),
    "a document type, small": ("<! doctype x>", "line 1: <!doctype …>: document types"),
    "an entity": ("<ossec_config>\n<!ENTITY a 'b'></ossec_config>", "line 2: <!ENTITY …>: document types and entities are not read"),
    "too deep": ("<ossec_config>" * 100, "line 1: more than 64 elements are open here"),
    "a name that colours terminals": ("<ossec_config><\x1b[31m>", "<\\x1b[31m> of line 1 is still open"),
    "UTF-16": ("<\0o\0", "it has NUL bytes, so it is no text in UTF-8"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_names_file_and_line(text: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        read(text)
    assert str(error.value).startswith("ossec.conf")
    assert said in str(error.value)


def test_no_broken_file_of_the_corpus_is_guessed_at() -> None:
    lines = json.loads((ossec_corpus.HERE / "expected.json").read_text())["broken"]
    said = {}
    for name, content in ossec_corpus.broken().items():
        with pytest.raises(BadInput) as error:
            read_configuration(content, "f")
        said[name] = str(error.value)
    assert said.keys() == lines.keys()
    assert [name for name, begin in lines.items() if not said[name].startswith(begin)] == []


@pytest.mark.parametrize("name", ["windows_line_ends", "mixed_line_ends", "byte_order_mark", "no_final_line_end", "latin_1"])
def test_the_same_text_in_other_bytes_is_read_the_same(name: str) -> None:
    files = ossec_corpus.readable()
    assert files[name] != files["several_roots"]
    assert read_configuration(files[name], "f") == read_configuration(files["several_roots"], "f")


def test_a_large_file_takes_no_time() -> None:
    """Each of these would take minutes if one were looked for anew from each of the others."""
    many = 20_000
    parts = ["<![CDATA[x]]>", "<a>\\<</a>", "<!-- x -->", "<command><name>x</name></command>", "\n"]
    for each in parts:
        begun = time.monotonic()
        in_root(each * many)
        assert time.monotonic() - begun < 5, each


MARKUP = st.lists(
    st.sampled_from(["<", ">", "/", "!", "--", "-->", "!>", "<!--", "<![CDATA[", "]]>", "\\", '"', "'", "=", " ", "\n", "\r\n", "&a;", "a", "<?", "?>"])
    | st.sampled_from(["<ossec_config>", "</ossec_config>", "<command>", "</command>", "<global>", "</global>", "<a/>", "<!DOCTYPE", "\x1b", "\ud800"]),
    max_size=30,
).map("".join)


def read_or_refused(content: bytes) -> Configuration | str:
    try:
        return read_configuration(content, "f")
    except BadInput as error:
        return str(error)


@given(MARKUP.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60))
def test_whatever_stands_in_a_file_is_read_or_refused_with_a_line(content: bytes) -> None:
    found = read_or_refused(content)
    if isinstance(found, str):
        assert found.startswith(("f, line ", "f: "))
        assert found.isprintable()
    else:
        assert all(1 <= each.line <= content.count(b"\n") + 1 for each in (*found.commands, *found.responses, *found.white_list, *found.notes))


NAMES = st.sampled_from(["name", "executable", "timeout", "level", "x"])
TEXT = st.text(st.characters(blacklist_characters="<\\\0\r", blacklist_categories=["Cs"]), max_size=10)
BLOCK = st.tuples(st.sampled_from(["command", "active-response"]), st.dictionaries(NAMES, TEXT, max_size=4))


@given(st.lists(st.lists(BLOCK, max_size=3), min_size=1, max_size=3), st.integers())
def test_what_was_written_is_read_again_through_all_decoration(roots: list[list[Any]], seed: int) -> None:
    written = _Writer(seed)
    for root in roots:
        written.begin("ossec_config")
        for kind, texts in root:
            line = written.begin(kind)
            lines = {name: written.element(name, text) for name, text in texts.items()}
            written.end(kind)
            written.expected.append((kind, line, {name: (text, lines[name]) for name, text in texts.items()}))
        written.end("ossec_config")
    found = read(written.text)
    blocks = [("command", each) for each in found.commands] + [("active-response", each) for each in found.responses]
    seen = [(kind, each.line, {name: (value.raw, value.line) for name, value in each.values.items()}) for kind, each in blocks]
    assert seen == sorted(written.expected, key=lambda each: each[0] != "command")


class _Writer:
    """Writes elements with whatever may stand between them."""

    BETWEEN = ("", " ", "\n", "\r\n", "\t", "text", "<!-- c -->", "<!-- <command> -->", "<! c !>", "<!-- a\nb\n-->", "& > \\x")

    def __init__(self, seed: int) -> None:
        self.text = ""
        self.expected: list[Any] = []
        self._random = random.Random(seed)

    def begin(self, name: str) -> int:
        self.text += self._random.choice(self.BETWEEN)
        line = self.text.count("\n") + 1
        self.text += f"<{name}{self._random.choice(['', ' ', chr(10), ' a=' + chr(34) + chr(34)])}>"
        return line

    def end(self, name: str) -> None:
        self.text += f"{self._random.choice(self.BETWEEN)}</{name}>"

    def element(self, name: str, text: str) -> int:
        line = self.begin(name)
        cut = self._random.randint(0, len(text))
        self.text += f"{text[:cut]}{self._random.choice(['', '<!-- c -->', '<! c' + chr(10) + '!>'])}{text[cut:]}</{name}>"
        return line
