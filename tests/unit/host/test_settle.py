# SPDX-License-Identifier: GPL-3.0-or-later
"""What a crash left open is judged by what the host shows."""

from __future__ import annotations

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.kind import Seen
from ansible_collections.riposte.active_response.plugins.module_utils.host.ledger import ADDING, CHANGING, ENDED, REMOVING, STANDING, Row
from ansible_collections.riposte.active_response.plugins.module_utils.host.settle import settle

NOW = 1000.0
LATER, PASSED = NOW + 100, NOW - 100

# phase, end, whether the host has it; phase and end after, how it ended
CASES = [
    (ADDING, LATER, True, STANDING, LATER, None),
    (ADDING, LATER, False, ENDED, LATER, "failed"),
    (ADDING, PASSED, True, STANDING, PASSED, None),
    (ADDING, None, True, STANDING, None, None),
    (ADDING, None, False, ENDED, None, "failed"),
    (CHANGING, LATER, True, STANDING, LATER, None),
    (CHANGING, LATER, False, STANDING, LATER, None),
    (CHANGING, PASSED, True, STANDING, PASSED, None),
    (CHANGING, PASSED, False, ENDED, PASSED, "expired"),
    (CHANGING, None, False, STANDING, None, None),
    (REMOVING, LATER, True, STANDING, NOW, None),
    (REMOVING, None, True, STANDING, NOW, None),
    (REMOVING, LATER, False, ENDED, LATER, "released"),
    (REMOVING, None, False, ENDED, None, "released"),
    (STANDING, LATER, True, STANDING, LATER, None),
    (STANDING, LATER, False, STANDING, LATER, None),
    (STANDING, None, False, STANDING, None, None),
    (STANDING, PASSED, True, STANDING, PASSED, None),
    (STANDING, PASSED, False, ENDED, PASSED, "expired"),
]


@pytest.mark.parametrize(("phase", "until", "there", "after", "end", "ended_by"), CASES)
def test_settle(phase: str, until: float | None, there: bool, after: str, end: float | None, ended_by: str | None) -> None:
    row = Row("id", "firewall_drop", "a", "nftables", phase, 0.0, until)
    seen = {"a": Seen(True, until)} if there else {}
    settled = settle({"a": row}, seen, NOW).get("a", row)
    assert (settled.phase, settled.until, settled.ended_by) == (after, end, ended_by)
    assert (settled.ended is None) == (after != ENDED)
    assert settle({"a": settled}, seen, NOW) == {} or settled.phase == ENDED
