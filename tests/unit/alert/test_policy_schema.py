# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema that editors get says what the reader says. What a schema cannot say is named here, so that nothing is forgotten by accident."""

from __future__ import annotations

import importlib.util
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import read_policy
from tests.dev.policy_schema import FILE, schema, written

jsonschema = pytest.importorskip("jsonschema")  # comes with the tools, not with the oldest ansible-core

HERE = Path(__file__)
_spec = importlib.util.spec_from_file_location("policies", HERE.with_name("test_policy.py"))
assert _spec and _spec.loader
policies: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(policies)

VALIDATOR = jsonschema.Draft7Validator(schema())

# Two things that must differ, numbers that a text spells, addresses, files: that is for policy_check to tell.
BEYOND = {
    "two rules of a name",
    "a field whose name is a number",
    "allow everybody",
    "allow a network with host bits",
    "allow a file that nobody read",
    "an observable with an empty name in it",
    "an observable that is the agent's own",
}
GOOD: dict[str, dict[str, Any]] = {
    "plain": policies.PLAIN,
    "a field": policies.changed("rules.0.match", {"fields": {"data.a": ["x", 1, True], "b": "y"}}),
    "agents and a level": policies.changed("rules.0.match", {"agents": ["001"], "level": 3}),
    "permanent": policies.response(response="firewall_drop", permanent=True),
    "an end": policies.response(response="firewall_drop", until="2027-01-01T00:00:00Z"),
    "an end in seconds": policies.response(response="firewall_drop", until=1893456000),
    "repeats": policies.response(**policies.DROP, repeated_offenders=["1h", 7200]),
    "repeats over the fleet": policies.response(**policies.DROP, repeated_offenders=["1h"], offences="fleet"),
    "the destination on the server": policies.response(**policies.DROP, observable="destination", hosts="server"),
    "an account": policies.response(**policies.LOCK, hosts={"agents": ["001"]}, end_sessions=False, override=["admin_group", "never:bob"]),
    "approval": policies.changed("mode", "approve"),
    "allowed": policies.changed("allow", {"addresses": ["10.0.0.0/8", "2001:db8::1"], "hosts": ["a"]}),
    "no blocks at all": policies.changed("breakers", {"blocks_per_run": 0}),
    "an observable": policies.changed("observables", {"address": ["data.list[].ip"]}),
}


def plain(value: Any) -> Any:
    """As an editor sees YAML: keys are texts, moments too."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def test_the_file_is_what_the_tables_make() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), "run: python -m tests.dev.policy_schema"
    jsonschema.Draft7Validator.check_schema(json.loads(FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("policy", GOOD.values(), ids=GOOD)
def test_what_is_right_is_right_for_both(policy: dict[str, Any]) -> None:
    assert read_policy(policy)[1] == []
    assert [error.message for error in VALIDATOR.iter_errors(plain(policy))] == []


@pytest.mark.parametrize("name", policies.WRONG)
def test_what_is_wrong_is_wrong_for_both(name: str) -> None:
    policy, _said = policies.WRONG[name]
    assert read_policy(policy)[1]
    assert VALIDATOR.is_valid(plain(policy)) is (name in BEYOND)


def test_the_example_is_right_for_both() -> None:
    policy = yaml.safe_load((HERE.parents[3] / "docs/policy-example.yml").read_text())
    assert read_policy(policy)[1] == []
    assert [error.message for error in VALIDATOR.iter_errors(policy)] == []


@given(st.sampled_from(policies.PLACES), policies.YAML)
def test_whatever_the_reader_takes_the_schema_takes(path: str, value: object) -> None:
    policy = policies.changed(path, value)
    if not read_policy(policy)[1]:
        assert VALIDATOR.is_valid(plain(policy))


@given(st.sampled_from(policies.OPTIONS), policies.YAML, st.sampled_from([policies.DROP, policies.LOCK]))
def test_whatever_response_the_reader_takes_the_schema_takes(key: str, value: object, response: dict[str, Any]) -> None:
    policy = policies.changed("rules.0.responses", [{**response, key: value}])
    if not read_policy(policy)[1]:
        assert VALIDATOR.is_valid(plain(policy))
