# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert names: the right thing in its canonical spelling, or nothing and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert, read_alerts
from ansible_collections.riposte.active_response.plugins.module_utils.alert.observables import ADDRESS, FIELDS, USER, find

TESTS = Path(__file__).parents[2]
ADDRESSES = json.loads((TESTS / "cases/addresses.json").read_text(encoding="utf-8"))


def alert(raw: dict[str, Any]) -> Alert:
    return Alert("1", ("5712",), 10, (), "", "001", "web1", None, raw)


def at(path: str, value: object) -> dict[str, Any]:
    """{"a": {"b": value}} for "a.b"."""
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


SAMPLES = {
    "sshd-5712-bruteforce-real": ("89.163.153.41", None),
    "gen-sshd-5712-bruteforce": ("203.0.113.9", None),
    "pam-5503-login-failed": ("222.186.30.76", "root"),
    "gen-dropbear": ("193.219.28.149", "root"),
    "gen-ipv6-from-ruleset-tests": ("1.2.3.4", "user@example.com"),
    "gen-win-60122-logon-failure-4625": ("198.51.100.44", None),
    "gen-suricata-86601": ("82.165.177.154", None),
    "wazuh5-ssh-brute-force": ("203.0.113.9", "mallory"),
    "fim-554-added": (None, None),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    [sample], _problems = read_alerts((TESTS / f"alerts/{name}.json").read_bytes())
    assert (find(sample, ADDRESS).value, find(sample, USER).value) == SAMPLES[name]


@pytest.mark.parametrize(("kind", "path"), FIELDS)
def test_every_field_of_the_table_is_looked_at_and_named(kind: str, path: str) -> None:
    value = "203.0.113.9" if kind == ADDRESS else "mallory"
    assert find(alert(at(path, value)), kind) == (value, path)
    other = find(alert(at(path, value)), USER if kind == ADDRESS else ADDRESS)
    assert other.value is None
    assert "is there" in other.why


@pytest.mark.parametrize("case", [case for case in ADDRESSES if "canonical" in case and "/" not in case["input"]], ids=lambda case: repr(case["input"]))
def test_an_address_gets_its_canonical_spelling(case: dict[str, str]) -> None:
    assert find(alert(at("data.srcip", case["input"])), ADDRESS).value == case["canonical"]


@pytest.mark.parametrize("case", [case for case in ADDRESSES if "error" in case or "/" in case["input"]], ids=lambda case: repr(case["input"][:40]))
def test_what_is_not_one_address_is_none_and_says_why(case: dict[str, str]) -> None:
    found = find(alert(at("data.srcip", case["input"])), ADDRESS)
    assert found.value is None
    assert found.why.startswith("no address in the alert: data.srcip: ")


NO_ADDRESS = ["-", "", " 203.0.113.9", "203.0.113.9 ", "web1.example.com", "localhost", "fe80::1%4", "{{ 7*7 }}", "203.0.113.9\n", "203.0.113.9,198.51.100.7"]


@pytest.mark.parametrize("value", [*NO_ADDRESS, None, 1, True, 3.5, [], ["203.0.113.9"], {}, "x" * 10_000])
def test_junk_is_no_address(value: object) -> None:
    assert find(alert(at("data.srcip", value)), ADDRESS).value is None


def test_an_unusable_first_field_leaves_it_to_the_next() -> None:
    raw = {"data": {"win": {"eventdata": {"ipAddress": "-"}}, "srcip": "203.0.113.9"}}
    assert find(alert(raw), ADDRESS) == ("203.0.113.9", "data.srcip")


def test_the_destination_is_no_source() -> None:
    raw = {
        "data": {"dstip": "203.0.113.9", "dest_ip": "203.0.113.9", "win": {"eventdata": {"destinationIp": "203.0.113.9"}}},
        "destination": {"ip": "203.0.113.9"},
    }
    assert find(alert(raw), ADDRESS).value is None


@pytest.mark.parametrize("value", ["mallory", "web-1.user_x", "PC01$", "DOM\\bob", "bob@example.com", "a+b", "7up", "_apt", "x" * 256])
def test_account_names(value: str) -> None:
    assert find(alert(at("data.dstuser", value)), USER).value == value


NO_USER = ["", "-x", "-", ".", "..", "../x", "a/b", "a:b", "a b", "a,b", "\u00dcnal", "bob;id", "$(id)", "$", "a$b", "root\n", "a\0b"]
NO_USER += ["{{ 7*7 }}", "x" * 257, "N/A", "a%s", "~a"]


@pytest.mark.parametrize("value", [*NO_USER, None, 0, False, [], {"name": "x"}])
def test_what_no_account_is_called_is_no_user(value: object) -> None:
    found = find(alert(at("data.dstuser", value)), USER)
    assert found.value is None
    assert found.why.startswith("no user in the alert: ")


@given(st.sampled_from(FIELDS), st.text() | st.none() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_no_value_raises_and_every_reason_is_printable(field: tuple[str, str], value: object) -> None:
    kind, path = field
    found = find(alert(at(path, value)), kind)
    assert found.value is None or found.value.isascii()
    assert found.why.isprintable()
