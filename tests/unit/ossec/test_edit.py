# SPDX-License-Identifier: GPL-3.0-or-later
"""Our block goes into an ossec.conf, is renewed, and comes out again: to the byte, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.edit import cut, find, put, render
from tests.integration.wazuh_daemon import Element, Invalid, Reader

CORPUS = sorted(path for path in (Path(__file__).parents[2] / "ossec_corpus").rglob("*.conf"))
BLOCKS: list[dict[str, Any]] = [
    {"command": {"name": "riposte-firewall-drop", "executable": "firewall-drop", "timeout_allowed": True}},
    {"active-response": {"command": "riposte-firewall-drop", "location": "local", "rules_id": "5712", "timeout": 600, "level": None}},
]
PLAIN = b"<ossec_config>\n  <global><email_notification>no</email_notification></global>\n</ossec_config>\n"

words = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="<\x7f"), max_size=30)
values = words.filter(lambda text: not text.endswith("\\"))
names = st.from_regex(r"[a-z][a-z_-]{0,8}", fullmatch=True)
blocks = st.lists(st.dictionaries(names, st.dictionaries(names, values, min_size=1, max_size=4), min_size=1, max_size=1), min_size=1, max_size=4)

# A file in pieces that Wazuh's parser takes, with what editors and people leave in it.
between = st.sampled_from(
    [
        b"",
        b"\n",
        b"\r\n",
        b"\t ",
        b"stray text & more",
        b"\xff\xfe bytes",
        b"\xef\xbb\xbf",
        b"\\<",
        b"<!-- a <b> comment -->",
        b"<!-- > -- \r\n!>",
        b"<! odd !>",
    ]
)
inner = st.sampled_from(
    [b"<global/>", b"<labels><label key='a b'>x</label></labels>", b"<a>\r\n<!-- c --> 1 \\< 2 &amp; &\n</a>", b"<query>\\<Q>x\\</Q></query>", b'<x y="z" />']
)
roots = st.builds(lambda parts: b"<ossec_config>" + b"\n".join(parts) + b"</ossec_config>", st.lists(inner | between, max_size=5))
files = st.builds(
    lambda before, parts: before + b"".join(root + rest for root, rest in parts), between, st.lists(st.tuples(roots, between), min_size=1, max_size=4)
)


def elements(content: bytes) -> list[Element]:
    """As Wazuh reads them: the practice hosts' stand-in, which shares no line with what is tested here."""
    return list(Reader(content.decode("latin-1")).elements())


def wazuh_reads(content: bytes) -> bool:
    """Whether it is an ossec.conf to Wazuh."""
    try:
        return any(root.name == "ossec_config" for root in elements(content))
    except Invalid:
        return False


@given(files, blocks)
def test_a_block_comes_out_to_the_byte_and_twice_is_once(content: bytes, ours: list[dict[str, Any]]) -> None:
    there = put(content, "riposte", ours)
    assert there.startswith(content)
    assert put(there, "riposte", ours) == there
    assert cut(there, "riposte") == content
    assert cut(content, "riposte") == content


@given(files, blocks)
def test_wazuh_reads_the_rest_as_before_and_our_values_as_given(content: bytes, ours: list[dict[str, Any]]) -> None:
    *before, root = elements(put(content, "riposte", ours))
    assert before == elements(content)
    said = [{block.name: {child.name: child.text.encode("latin-1").decode() for child in block.children}} for block in root.children]
    assert (root.name, said) == ("ossec_config", ours)


@given(files, blocks, blocks, between)
def test_a_block_is_renewed_where_it_stands(content: bytes, first: list[dict[str, Any]], second: list[dict[str, Any]], added: bytes) -> None:
    grown = put(content, "riposte", first) + added + PLAIN
    renewed = put(grown, "riposte", second)
    assert renewed == put(content, "riposte", second) + added + PLAIN
    assert cut(renewed, "riposte") == content + added + PLAIN


@given(files, blocks, st.sampled_from(["riposte", "other", "riposte-2"]), st.sampled_from(["mine", "riposte-2.x"]))
def test_blocks_of_two_marks_leave_each_other_alone(content: bytes, ours: list[dict[str, Any]], one: str, two: str) -> None:
    both = put(put(content, one, ours), two, ours)
    assert cut(both, two) == put(content, one, ours)
    assert cut(cut(both, one), two) == content


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_file_of_the_corpus_is_taken_unharmed_or_refused_as_wazuh_would(path: Path) -> None:
    content = path.read_bytes()
    if not wazuh_reads(content):
        with pytest.raises(BadInput):
            put(content, "riposte", BLOCKS)
        return
    there = put(content, "riposte", BLOCKS)
    assert cut(there, "riposte") == content
    assert elements(there)[:-1] == elements(content)


def test_the_block_in_full() -> None:
    assert render(BLOCKS, "riposte").splitlines() == [
        "<!-- riposte: begin, kept by Ansible; what is changed down to its end is lost -->",
        "<ossec_config>",
        "  <command>",
        "    <name>riposte-firewall-drop</name>",
        "    <executable>firewall-drop</executable>",
        "    <timeout_allowed>yes</timeout_allowed>",
        "  </command>",
        "",
        "  <active-response>",
        "    <command>riposte-firewall-drop</command>",
        "    <location>local</location>",
        "    <rules_id>5712</rules_id>",
        "    <timeout>600</timeout>",
        "  </active-response>",
        "</ossec_config>",
        "<!-- riposte: end -->",
    ]


def test_windows_line_ends_are_kept_to() -> None:
    there = put(PLAIN.replace(b"\n", b"\r\n"), "riposte", BLOCKS)
    assert there.count(b"\n") == there.count(b"\r\n")


def test_a_list_is_the_element_several_times() -> None:
    assert "<ignore>a</ignore>\n    <ignore>b</ignore>" in render([{"localfile": {"ignore": ["a", "b"]}}], "riposte")


def test_an_editor_that_drops_the_last_newline_hinders_nothing() -> None:
    assert cut(put(PLAIN, "riposte", BLOCKS).rstrip(b"\n"), "riposte") == PLAIN


REFUSED = {
    "UTF-16": ("<ossec_config></ossec_config>".encode("utf-16"), "NUL"),
    "no root": (b"<agent_config></agent_config>", "no <ossec_config>"),
    "empty": (b"", "no <ossec_config>"),
    "unfinished root": (PLAIN + b"<ossec_config>\n", "line 4: <ossec_config> begins here"),
    "unfinished comment": (PLAIN + b"<!-- what was\n", "line 4: a comment begins here"),
    "CDATA at the end": (PLAIN + b"<ossec_config><a><![CDATA[x]]></a></ossec_config>", "line 4: a comment begins here and does not end (to Wazuh CDATA"),
    "wrong end": (b"<ossec_config>\n<a>\n</b></ossec_config>", "line 3: expected the end of <a>, which begins in line 2"),
    "end without begin": (PLAIN + b"</ossec_config>", "line 4: an element ends here"),
    "prolog": (b"<?xml version='1.0'?>\n" + PLAIN, "line 1: Wazuh's parser cannot read \"<?xml"),
    "bare <": (b"<ossec_config><a>1 < 2</a></ossec_config>", "line 1: Wazuh's parser cannot read '< 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_added_to_safely_is_refused(case: str) -> None:
    content, said = REFUSED[case]
    with pytest.raises(BadInput) as refused:
        put(content, "riposte", BLOCKS)
    assert said in str(refused.value)


BEGIN, END = b"<!-- riposte: begin, mine -->", b"<!-- riposte: end -->"
DAMAGED = {
    "begin only": PLAIN + BEGIN + PLAIN,
    "end only": PLAIN + END,
    "twice": PLAIN + (BEGIN + PLAIN + END) * 2,
    "end before begin": PLAIN + END + PLAIN + BEGIN,
    "in an element": b"<ossec_config>" + BEGIN + END + b"</ossec_config>",
    "in a comment": PLAIN + b"<!-- off: " + BEGIN + PLAIN + END,
    "begin cut short": PLAIN + BEGIN.replace(b"-->", b"") + PLAIN + END,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_marks_are_told_and_nothing_is_done(case: str) -> None:
    for blocks in (BLOCKS, []):
        with pytest.raises(BadInput, match="take out by hand what is left of the block riposte"):
            put(DAMAGED[case], "riposte", blocks)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("</name><executable>sh</executable>", "cannot hold a <"),
        ("<!-- riposte: end -->", "cannot hold a <"),
        ("a\nb", "line breaks"),
        ("a\0", "control characters"),
        ("\ud800", "halves of characters"),
        ("C:\\dir\\", "at its end"),
        ("x" * 20001, "at most 20000 bytes"),
    ],
)
def test_a_value_that_wazuh_would_not_read_back_is_refused_with_its_place(value: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        render([{"command": {"name": value}}], "riposte")
    assert str(refused.value).startswith("command/name: ")
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a>", "1a", "<a", "-"])
def test_a_name_that_is_no_element_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no name of an element"):
        render([{name: {"a": "b"}}], "riposte")


@pytest.mark.parametrize("marker", ["", "a--b", "-", "a b", "a>", "a-", "ä"])
def test_a_mark_that_would_break_the_comment_is_refused(marker: str) -> None:
    with pytest.raises(BadInput, match="marker"):
        find(PLAIN, marker)
