# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's file: errors have the line that a person sees in an editor, and the files it names are read or the policy is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem
from ansible_collections.riposte.active_response.plugins.plugin_utils.policy_file import NotYaml, examine_policy_file, read_policy_file

GOOD = "mode: enforce\nrules: [{name: ssh, match: {rule_ids: ['5712']}, responses: [{response: firewall_drop, timeout: 10m}]}]\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return tmp_path / "policy.yml"


BAD = """\
---
# A comment, and an empty line.

mode: maybe
rules:
  - name: a
    match:
      level: 99
      fields:
        data.a.b: x
        data.c: [x,
          [y]]
    responses:
      - response: firewall_drop
        timeout: soon
        hosts: {groups: [web,
          ""]}
  - match: {level: 3}
    responses:
      - {response: firewall_drop, timeout: 1h}
      - response: disable_account
        timout: 1h
"""


def test_every_error_has_its_line(policy: Path) -> None:
    policy.write_text(BAD)
    examined = examine_policy_file(str(policy))
    assert examined.policy is None
    assert [(flaw.line, flaw.key) for flaw in examined.flaws] == [
        (4, "mode"),
        (8, "rules[0].match.level"),
        (12, "rules[0].match.fields.data.c[1]"),
        (15, "rules[0].responses[0].timeout"),
        (17, "rules[0].responses[0].hosts.groups[1]"),
        (18, "rules[1].name"),
        (21, "rules[1].responses[1]"),
        (21, "rules[1].responses[1].response"),
        (22, "rules[1].responses[1].timout"),
    ]
    with pytest.raises(BadInput) as error:
        read_policy_file(str(policy))
    assert f"policy {policy}: nothing is done until this is mended\n- line 4: mode: 'maybe': it must be" in str(error.value)


def test_what_an_alias_repeats_goes_by_the_line_it_is_repeated_in(policy: Path) -> None:
    policy.write_text(
        "mode: observe\nrules:\n  - name: a\n    match: &m {level: 99}\n    responses: &r [{response: x}]\n  - name: b\n    match: *m\n    responses: *r\n"
    )
    assert [flaw.line for flaw in examine_policy_file(str(policy)).flaws] == [4, 5, 7, 8]


def test_a_merged_mapping_has_the_lines_where_it_is_written(policy: Path) -> None:
    policy.write_text("mode: observe\nrules:\n  - &a\n    name: a\n    match: {level: 3}\n    responses: [{response: x}]\n  - <<: *a\n    name: b\n")
    assert [flaw.line for flaw in examine_policy_file(str(policy)).flaws] == [6, 6]


def test_aliases_of_aliases_end(policy: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, 60)] + ["rules: *a59", "mode: observe"]
    policy.write_text("\n".join(lines) + "\n")
    with pytest.raises(NotYaml, match="with its aliases it has more than 1000000 values"):
        examine_policy_file(str(policy))
    policy.write_text("mode: observe\nrules: &me [*me, [*me]]\n")
    assert {flaw.line for flaw in examine_policy_file(str(policy)).flaws} == {2}


def test_what_is_no_yaml_has_a_line_too(policy: Path) -> None:
    policy.write_text("mode: observe\nrules: [\n  {name: a, name: b}]\n")
    with pytest.raises(NotYaml, match="key 'name' is there twice") as error:
        examine_policy_file(str(policy))
    assert error.value.line == 3


@given(content=st.binary(max_size=50) | st.text("{}[]:,-&*!<>\n 'ab?|#%@", max_size=40).map(str.encode))
def test_no_file_raises_anything_but_a_problem(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(content)
    try:
        examined = examine_policy_file(str(path))
    except Problem:
        return
    assert examined.flaws


LISTS = "allow:\n  white_lists: [ossec.conf]\n  cdb_lists: [lists/partners]\n"
OSSEC = "<ossec_config><global>\n<white_list>192.0.2.0/24</white_list>\n<white_list>^localhost.localdomain$</white_list>\n</global></ossec_config>\n"


def test_lists_are_read_from_where_the_policy_is(policy: Path) -> None:
    policy.write_text(GOOD + LISTS)
    policy.with_name("ossec.conf").write_text(OSSEC)
    policy.with_name("lists").mkdir()
    policy.with_name("lists").joinpath("partners").write_text("203.0.113.9:\nmallory:\n")
    examined = examine_policy_file(str(policy))
    assert examined.policy
    assert [(entry.network.text, entry.where) for entry in examined.policy.allow.entries] == [
        ("192.0.2.0/24", "allow.white_lists[0], ossec.conf, line 2"),
        ("203.0.113.9", "allow.cdb_lists[0], lists/partners, line 1"),
    ]
    assert [note.partition(": ")[0] for note in examined.notes] == ["ossec.conf, line 3", "lists/partners, line 2"]
    assert all(note.endswith(("spares nobody", "spares nobody.")) for note in examined.notes)


def test_a_list_that_cannot_be_read_stops_everything(policy: Path) -> None:
    policy.write_text(GOOD + LISTS)
    policy.with_name("ossec.conf").write_text("<ossec_config>\n<global>\n</ossec_config>")
    examined = examine_policy_file(str(policy))
    assert examined.policy is None
    assert [(flaw.line, flaw.key) for flaw in examined.flaws] == [(4, "allow.white_lists[0]"), (5, "allow.cdb_lists[0]")]
    assert "ossec.conf, line 3: </ossec_config> stands where" in examined.flaws[0].message
    assert "lists/partners: cannot be read on the controller: No such file or directory; nothing is done" in examined.flaws[1].message
