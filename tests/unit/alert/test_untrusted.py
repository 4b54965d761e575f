# SPDX-License-Identifier: GPL-3.0-or-later
"""What is marked stays text when Ansible's own template engine gets it, on every ansible-core."""

from __future__ import annotations

import ansible.template
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.riposte.active_response.plugins.filter.table import table
from ansible_collections.riposte.active_response.plugins.plugin_utils.untrusted import untrusted

TEXT = "{{ 6 * 7 }}"


def template(value: object) -> object:
    return Templar(loader=DataLoader(), variables={}).template(value)


def vouched_for(text: str) -> str:
    trust = getattr(ansible.template, "trust_as_template", None)
    return str(text) if trust is None else trust(text)


def test_the_engine_here_evaluates_what_it_trusts() -> None:
    assert str(template(vouched_for(TEXT))) == "42"


@pytest.mark.parametrize("value", [TEXT, [TEXT], {"a": [{"b": TEXT}]}])
def test_what_is_marked_stays_text(value: object) -> None:
    assert template(untrusted(value)) == value


def test_a_table_stays_text() -> None:
    assert template(table([{"a": TEXT}], ["a"])) == ["a", TEXT]
