# SPDX-License-Identifier: GPL-3.0-or-later
"""How many active responses are too many for Wazuh's daemon, and which of them count."""

from __future__ import annotations

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.edit import put
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.room import LINES, MOST, WAZUHS, check_room

ONE = "<active-response><command>a</command><location>local</location></active-response>"
OTHERS = ("<!-- " + ONE + " -->", ONE.replace("<command>", "<disabled>yes</disabled><command>"), "<command><name>a</name><executable>a</executable></command>")


def of_the_owner(count: int) -> bytes:
    return f"<ossec_config>{ONE * count}{''.join(OTHERS)}</ossec_config>\n<ossec_config>{ONE}</ossec_config>\n".encode()


def with_ours(owners: int, ours: int) -> bytes:
    block = {"active-response": {"command": "a", "location": "local"}}
    return put(of_the_owner(owners - 1), "riposte", [block] * ours)


@pytest.mark.parametrize(("owners", "ours"), [(1, MOST - 1), (MOST - 1, 1), (MOST, 0)])
def test_as_many_as_wazuh_has_room_for_may_stand(owners: int, ours: int) -> None:
    assert MOST + WAZUHS == LINES
    check_room(with_ours(owners, ours))


@pytest.mark.parametrize(("owners", "ours"), [(1, MOST), (MOST, 1), (30, 70)])
def test_one_more_is_refused_with_both_numbers(owners: int, ours: int) -> None:
    with pytest.raises(BadInput, match=f"{owners + ours} <active-response> would stand in it, and there is room for {MOST}: "):
        check_room(with_ours(owners, ours))
    check_room(with_ours(owners, ours), most=owners + ours)
