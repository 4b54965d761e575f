# SPDX-License-Identifier: GPL-3.0-or-later
"""What the notes of an import say of every rule is what the table of observables does."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import Alert
from ansible_collections.riposte.active_response.plugins.module_utils.alert.observables import FIELDS, find
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.texts import _NOTES_TAIL

WAZUHS = {"address": {"data.srcip", "data.win.eventdata.ipAddress"}, "user": {"data.dstuser"}}


def named(kind: str, **raw: Any) -> str | None:
    return find(Alert("", (), 0, (), "", None, None, None, raw), kind).value


@pytest.mark.parametrize("kind", WAZUHS)
def test_many_more_fields_count_than_wazuhs(kind: str) -> None:
    others = {field.path for field in FIELDS if field.kind == kind} - WAZUHS[kind]
    assert len(others) > len(WAZUHS[kind])
    assert all(f"{path}" in _NOTES_TAIL for path in WAZUHS[kind])
    assert "Here many more fields count" in _NOTES_TAIL
    assert "acts on more\n  alerts than Wazuh did" in _NOTES_TAIL


def test_of_sudo_it_is_who_did_it() -> None:
    assert named("user", decoder={"name": "sudo"}, data={"srcuser": "mallory", "dstuser": "root"}) == "mallory"
    assert "Of sudo, su and doas Wazuh takes the user that somebody became" in _NOTES_TAIL
