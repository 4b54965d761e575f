# SPDX-License-Identifier: GPL-3.0-or-later
"""What is configured on a manager: what was asked for, with a lifetime, and nothing that the report of a response would start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.filter.ossec_blocks import ossec_blocks
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.blocks import WAZUHS_GROUPS, WAZUHS_LEVEL, blocks

OWN = [json.loads(path.read_text()) for path in (Path(__file__).parents[2] / "alerts").glob("gen-ar-65*.json")]
"""Alerts about responses that ran, from a real manager."""


def one(**entry: Any) -> list[dict[str, Any]]:
    return list(blocks([{"executable": "firewall-drop", **entry}], [], [], 100900))


def test_a_response_with_an_end_tells_it_to_our_program_and_to_wazuh() -> None:
    command, active = one(timeout="1h", rules_id=[5712, "5763"])
    assert command["command"] == {
        "name": "riposte-firewall-drop",
        "executable": "firewall-drop",
        "timeout_allowed": True,
        "extra_args": "timeout=1h",
    }
    assert {key: value for key, value in active["active-response"].items() if value is not None} == {
        "command": "riposte-firewall-drop",
        "location": "local",
        "rules_id": "5712,5763",
        "timeout": 3600,
    }


def test_without_a_trigger_there_is_a_command_only() -> None:
    assert [list(block) for block in one(timeout=600)] == [["command"]]


def test_permanent_is_said_by_name_and_has_no_clock() -> None:
    command, active = one(permanent=True, level=12)
    assert (command["command"]["extra_args"], command["command"]["timeout_allowed"]) == ("permanent", False)
    assert active["active-response"]["timeout"] is None


def test_commands_come_before_the_responses_that_use_them() -> None:
    entries = [{"executable": "a", "level": 12}, {"executable": "b", "level": 12}]
    found = blocks(entries, [{"name": "slack", "options": {"a": 1}}], [{"log_format": "json", "location": "x"}], 100900)
    assert [next(iter(block)) for block in found] == ["command", "command", "active-response", "active-response", "integration", "localfile"]
    assert found[4]["integration"]["options"] == '{"a": 1}'


REFUSED: dict[str, Mapping[str, Any]] = {
    "executable '../x'": {"executable": "../x"},
    "executable 'a b'": {"executable": "a b"},
    "executable ''": {"executable": None},
    "name '!x'": {"name": "!x"},
    "name 'a - b'": {"name": "a - b"},
    "'place' is not known": {"place": "x"},
    "timeout and permanent exclude": {"timeout": "1h", "permanent": True},
    "timeout '0'": {"timeout": 0},
    "timeout 'soon'": {"timeout": "soon"},
    "extra_args: 'a b' must be one word": {"extra_args": ["a b"]},
    "extra_args: '<' must be one word": {"extra_args": ["<"]},
    "mean nothing without one of": {"location": "all"},
    "location 'here'": {"location": "here", "level": 12},
    "needs an agent_id": {"location": "defined-agent", "level": 12},
    "the others take none": {"agent_id": "007", "level": 12},
    "agent_id '000'": {"location": "defined-agent", "agent_id": "000", "level": 12},
    "level 5: expected 6 to 16": {"level": 5},
    "level 0: expected": {"level": 0},
    "level 17: expected": {"level": 17},
    "rules_id 'x'": {"rules_id": "5712,x"},
    "rules_id '': expected": {"rules_id": ""},
    "rules_id 651: that rule tells": {"rules_id": "5712, 651"},
    "rules_id 601: that rule tells": {"rules_id": [601]},
    "rules_id 100900: that rule tells": {"rules_id": [100900]},
    "rules_id 100919: that rule tells": {"rules_id": [100919]},
    "rules_group 'ossec,'": {"rules_group": "attack,|ossec,"},
    "rules_group 'Active_Response'": {"rules_group": "Active_Response"},
    "rules_group 'riposte,'": {"rules_group": "riposte,"},
    "rules_group 'pci'": {"rules_group": "pci"},
    "rules_group '\\\\w+'": {"rules_group": "\\w+"},
    "rules_group ''": {"rules_group": "attack,|"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_would_go_wrong_is_refused_by_name(said: str) -> None:
    with pytest.raises(BadInput) as refused:
        one(**REFUSED[said])
    assert said in str(refused.value)


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match="there are two of this name"):
        blocks([{"executable": "a"}, {"executable": "a", "timeout": "1h"}], [], [], 100900)


@pytest.mark.parametrize("entry", [{"name": "webhook"}, {}, {"name": "custom-../x"}, {"name": "slack", "url": "x"}])
def test_an_integration_that_wazuh_would_not_run_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        blocks([], [entry], [], 100900)


def test_a_log_file_needs_its_format() -> None:
    with pytest.raises(BadInput, match="no log_format"):
        blocks([], [], [{"location": "/x"}], 100900)


# --- nothing of ours is started by the report of a response -------------------------------------------------------------------------------


def starts(active: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    """Whether Wazuh would start this response on this alert's rule: level or group or number."""
    groups = "".join(f"{group}," for group in rule["groups"]) + "".join(f"{key}_{each}," for key, each in compliance(rule))
    wanted = (active["rules_group"] or "").lower().split("|")
    return (
        (active["level"] is not None and rule["level"] >= active["level"])
        or any(group and group in groups.lower() for group in wanted)
        or rule["id"] in (active["rules_id"] or "").split(",")
    )


def compliance(rule: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, each) for key in ("pci_dss", "gpg13", "gdpr", "nist_800_53", "tsc", "hipaa") for each in rule.get(key, [])]


@given(
    level=st.none() | st.integers(-1, 20),
    group=st.none() | st.lists(st.sampled_from([*WAZUHS_GROUPS.split(","), "attack,", "a", "OSSEC", "tsc", "firewall-drop"]), min_size=1).map("|".join),
    rules=st.none() | st.lists(st.integers(590, 670) | st.integers(100890, 100930), min_size=1),
)
def test_whatever_is_accepted_wazuhs_own_reports_do_not_start_it(level: int | None, group: str | None, rules: list[int] | None) -> None:
    try:
        found = one(level=level, rules_group=group, rules_id=rules)
    except BadInput:
        return
    for active in (block["active-response"] for block in found if "active-response" in block):
        assert not [alert["rule"]["id"] for alert in OWN if starts(active, alert["rule"])]


def test_the_alerts_of_a_real_manager_have_the_groups_and_levels_that_are_guarded() -> None:
    assert {alert["rule"]["id"] for alert in OWN} == {"651", "652", "658"}
    for rule in (alert["rule"] for alert in OWN):
        assert rule["level"] <= WAZUHS_LEVEL
        names = [*rule["groups"], *(f"{key}_{each}" for key, each in compliance(rule))]
        assert not [name for name in names if f"{name.lower()}," not in WAZUHS_GROUPS]


# --- the filter ---------------------------------------------------------------------------------------------------------------------------


def test_the_filter_gives_what_the_module_takes_and_says_what_is_wrong() -> None:
    assert ossec_blocks([{"executable": "a"}]) == blocks([{"executable": "a"}], [], [], 100900)
    with pytest.raises(AnsibleFilterError, match="ossec_blocks: response riposte-a: level 3"):
        ossec_blocks([{"executable": "a", "level": 3}])
    for wrong in ("text", {"executable": "a"}, ["a"]):
        with pytest.raises(AnsibleFilterError, match="responses must be a list of dictionaries"):
            ossec_blocks(wrong)
