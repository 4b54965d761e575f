# SPDX-License-Identifier: GPL-3.0-or-later
"""A Wazuh configuration becomes a policy and a guard file that are understood, and a note for all that Wazuh did otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import KINDS, Policy, read_policy
from ansible_collections.riposte.active_response.plugins.module_utils.host.guard import parse_guard_file
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.convert import EXECUTABLES, Imported, convert
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.read import Configuration, read_configuration
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.texts import GUARD, NOTES, POLICY, is_sealed, texts
from tests import ossec_corpus

FILES = ossec_corpus.readable()
EXPECTED: dict[str, Any] = json.loads((ossec_corpus.HERE / "expected.json").read_text())
OTHER_BYTES = {"windows_line_ends", "mixed_line_ends", "byte_order_mark", "no_final_line_end", "latin_1"}
OF_AN_AGENT = {"agent", "agent_disabled", "agent_groups"}
COMMAND = "<command><name>fw</name><executable>firewall-drop</executable><timeout_allowed>yes</timeout_allowed></command>"


def configuration(content: bytes | str) -> Configuration:
    return read_configuration(content.encode() if isinstance(content, str) else content, "f")


def imported(name: str) -> Imported:
    """An agent's file is imported beside a manager's."""
    if name in OF_AN_AGENT:
        return convert(read_configuration(FILES["one_block"], "m"), configuration(FILES[name]))
    return convert(configuration(FILES[name]))


def one(response: str, command: str = COMMAND) -> Imported:
    """A configuration with one active response; what it does not say comes from here."""
    for name, value in (("command", "fw"), ("location", "local"), ("rules_id", "31151"), ("timeout", "600")):
        if f"<{name}" not in response:
            response += f"<{name}>{value}</{name}>"
    return convert(configuration(f"<ossec_config>{command}\n<active-response>{response}</active-response></ossec_config>"))


def responses(found: Imported) -> list[dict[str, Any]]:
    return [response for rule in (found.policy or {"rules": []})["rules"] for response in rule["responses"]]


def understood(found: Imported) -> Policy | None:
    """The policy, the guard file and the notes as their readers take them from the files; None when there is no policy."""
    files = texts(found, "ossec.conf")
    guard = parse_guard_file(files[GUARD] or "")
    assert list(guard.addresses) == [each.address for each in found.never]
    assert all(is_sealed(text.encode()) for text in files.values() if text is not None)
    assert all(f"line {note.line}: " in str(files[NOTES]) for note in found.notes)
    if found.policy is None:
        assert files[POLICY] is None
        return None
    assert yaml.safe_load(str(files[POLICY])) == found.policy
    policy, errors = read_policy(found.policy)
    assert errors == []
    assert policy
    assert len(found.origins) == len(policy.rules)
    assert {policy.mode, *(rule.mode for rule in policy.rules)} == {"observe"}
    return policy


def test_the_corpus_and_what_is_expected_of_it_name_the_same_files() -> None:
    assert FILES.keys() - OTHER_BYTES == EXPECTED.keys() - {"broken"}
    assert len(FILES) >= 15


@pytest.mark.parametrize("name", FILES)
def test_what_becomes_of_the_corpus(name: str) -> None:
    expected = EXPECTED["several_roots" if name in OTHER_BYTES else name]
    found = imported(name)
    understood(found)
    lines = [int(re.findall(r"line (\d+): ", origin)[0]) for origin in found.origins]
    rules = (found.policy or {"rules": []})["rules"]
    assert [[line, rule["match"], rule["responses"]] for line, rule in zip(lines, rules)] == expected["rules"]
    assert [each.address for each in found.never] == expected["never"]
    notes = [note for note in found.notes if note.file == "f"]
    assert [[note.line, note.wazuh[: len(begin)]] for note, (_line, begin) in zip(notes, expected["notes"])] == expected["notes"]
    assert len(notes) == len(expected["notes"]), [note.text() for note in notes]


ALERTS = st.tuples(st.integers(0, 16), st.sets(st.sampled_from(["web", "scan", "sshd"])), st.sampled_from(["1", "2", "3", "12"]))


@given(st.integers(0, 16), st.sets(st.sampled_from(["web", "scan"])), st.sets(st.sampled_from(["1", "2"])), ALERTS)
def test_any_of_level_group_and_id_starts_a_response_as_in_wazuh(level: int, groups: set[str], ids: set[str], about: tuple[int, set[str], str]) -> None:
    said = f"<level>{level}</level><rules_group>{'|'.join(f'{group},' for group in groups)}</rules_group><rules_id>{','.join(ids)}</rules_id>"
    policy = understood(one(said))
    its_level, its_groups, its_id = about
    alert = Alert("1", (its_id,), its_level, tuple(its_groups), "", "001", None, None, {})
    starts = (level > 0 and its_level >= level) or bool(groups & its_groups) or its_id in ids
    assert any(rule.match.matches(alert) for rule in (policy.rules if policy else ())) is starts


def test_the_kinds_of_the_executables_are_built() -> None:
    assert set(EXECUTABLES.values()) == set(KINDS)


# name: (what is written, the lifetime that comes of it)
LIFETIMES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "seconds": ("45", {"timeout": "45s"}),
    "minutes": ("600", {"timeout": "10m"}),
    "hours": ("7200", {"timeout": "2h"}),
    "days": ("172800", {"timeout": "2d"}),
    "a year and more": ("31622401", {"timeout": "366d"}),
    "with a sign": ("+60", {"timeout": "1m"}),
    "seconds, said so": ("600s", {"timeout": "10m"}),
    "an hour, as Wazuh reads it": ("1h", {"timeout": "1s"}),
    "nothing": ("", {"permanent": True}),
    "zero": ("0", {"permanent": True}),
    "no number": ("forever", {"permanent": True}),
    "below zero": ("-600", None),
}


@pytest.mark.parametrize(("said", "options"), LIFETIMES.values(), ids=LIFETIMES)
def test_how_long_it_stands(said: str, options: dict[str, Any] | None) -> None:
    found = one(f"<timeout>{said}</timeout>")
    understood(found)
    assert [{key: each[key] for key in ("timeout", "permanent") if key in each} for each in responses(found)] == ([options] if options else [])
    plain = re.fullmatch("[0-9]+", said) and options and options.get("timeout") not in (None, "366d")
    assert bool(found.notes) is not bool(plain)


def test_nothing_is_permanent_without_a_note() -> None:
    found = imported("lifetimes")
    permanent = [rule["name"] for rule in (found.policy or {})["rules"] if "permanent" in rule["responses"][0]]
    assert len(permanent) == sum(note.here.startswith("permanent: true") for note in found.notes) == 4


# name: (what the agent's file says, repeated_offenders in the policy)
REPEATS: dict[str, tuple[str, list[str] | None]] = {
    "minutes": ("30,60,1440", ["30m", "1h", "1d"]),
    "blanks": (" 1 , 5\n,\t10 ", ["1m", "5m", "10m"]),
    "gaps": (",5,,10,", ["5m", "10m"]),
    "units, which Wazuh does not know": ("30m", ["30m"]),
    "zero": ("0,5", ["5m"]),
    "less": ("-5", None),
    "nothing": ("", None),
    "six": ("1,2,3,4,5,6", ["1m", "2m", "3m", "4m", "5m"]),
}


@pytest.mark.parametrize(("said", "repeats"), REPEATS.values(), ids=REPEATS)
def test_what_an_agent_says_of_repeated_offenders(said: str, repeats: list[str] | None) -> None:
    block = f"<active-response><repeated_offenders>{said}</repeated_offenders></active-response>"
    found = convert(configuration(FILES["lifetimes"]), read_configuration(f"<ossec_config>{block}</ossec_config>".encode(), "agent"))
    understood(found)
    assert [each.get("repeated_offenders") for each in responses(found)] == [repeats if "timeout" in each else None for each in responses(found)]


def test_too_many_responses_for_an_agent_of_wazuh_are_told() -> None:
    block = "<active-response><command>fw</command><location>local</location><rules_id>{}</rules_id><timeout>60</timeout></active-response>"
    for count, said in ((58, 0), (59, 1)):
        blocks = "".join(block.format(number) for number in range(1, count + 1))
        found = convert(configuration(f"<ossec_config>{COMMAND}{blocks}</ossec_config>"))
        policy = understood(found)
        assert policy and len({rule.name for rule in policy.rules}) == count
        assert sum("lines in ar.conf" in note.wazuh for note in found.notes) == said


@pytest.mark.parametrize("name", [POLICY, GUARD, NOTES])
def test_a_file_that_was_edited_is_known(name: str) -> None:
    text = str(texts(imported("level_or_group_or_id"), "ossec.conf")[name])
    assert is_sealed(text.encode())
    edits = [text + "\n", text[1:], text.replace("ossec.conf", "ossec.cnf", 1), text.replace("\n", "\r\n"), text[:-1], text * 2, ""]
    edits += [text.replace("mode: observe", "mode: enforce")] if name == POLICY else []
    assert [edit[:40] for edit in edits if is_sealed(edit.encode())] == []


def _writable(text: str) -> str:
    """A text that can be the text of an element: no markup, and no backslash that would hide the end."""
    return text.replace("<", "").replace("\0", "").replace("\\", "\\\\").encode(errors="ignore").decode()


HOSTILE = ["{{ lookup('pipe','id') }}", "#", ": ", "- a", "&a", "*a", "'", '"', "yes", "null", "1e3", "\n  mode: enforce", "\x1b[31m"]
HOSTILE += ["\u202e", "é", "\U0001f600", "%s", "\\", "]", "}", ","]
WORD = st.sampled_from(["firewall-drop", "disable-account", "local", "all", "server", "defined-agent", "007", "5712,5763", "web,", "10", "600", "yes", "no"])
SAID = (WORD | st.sampled_from(HOSTILE) | st.text(max_size=8)).map(_writable)
KEYS = ["command", "location", "agent_id", "level", "rules_group", "rules_id", "timeout", "disabled", "repeated_offenders"]


def element(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>\n"


@given(st.dictionaries(st.sampled_from(KEYS), SAID), SAID, SAID, SAID)
def test_whatever_is_written_what_comes_of_it_is_understood(said: dict[str, str], name: str, executable: str, white: str) -> None:
    command = element("command", element("name", name) + element("executable", executable) + element("timeout_allowed", "yes"))
    response = element("active-response", "".join(element(key, value) for key, value in {"command": name, "location": "local", **said}.items()))
    text = element("ossec_config", command + response + element("global", element("white_list", white)))
    found = convert(configuration(text))
    understood(found)
    assert all(note.text().isprintable() for note in found.notes)


@pytest.mark.parametrize("text", HOSTILE)
def test_names_stay_names(text: str) -> None:
    name = f"a{text}b"
    found = one(f"<command>{name}</command><rules_group>{name},</rules_group><rules_id>1</rules_id>", COMMAND.replace("fw", name, 1))
    policy = understood(found)
    assert policy
    assert [rule.match.rule_ids for rule in policy.rules][-1] == ("1",)


def test_the_name_of_the_file_is_only_a_name() -> None:
    name = "x\nmode: enforce\n{mode}\x1b -->"
    files = texts(convert(read_configuration(FILES["white_lists"] + FILES["one_block"], name)), name)
    assert yaml.safe_load(str(files[POLICY]))["mode"] == "observe"
    assert len(parse_guard_file(str(files[GUARD])).addresses) == len(EXPECTED["white_lists"]["never"])
    assert all(str(text).replace("\n", "").isprintable() and is_sealed(str(text).encode()) for text in files.values())
