# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the fleet was attacked by whom: once an attack, however many alerts and hosts it has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.offences import KEPT_SECONDS
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Answer, Arrived, Delivery, Planned
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import MAX_AGE, Spool

NOW = 1_800_000_000.0
TARGET = "203.0.113.9"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool.open(str(tmp_path))
    yield spool
    spool.close()


def blocked(spool: Spool, now: float, host: str = "web1", outcome: str = "done", timeout: float | None = 600.0, response: str = "firewall_drop") -> int:
    """An alert is answered on this host now; how many offences are over by then."""
    before = spool.offences(response, TARGET, now)
    name = f"{now}-{host}-{outcome}"
    spool.accept([Delivery([Arrived(name, "", now, "{}")])], now)
    batch = spool.take(now, 500)
    assert batch is not None
    spool.plan(batch, [Planned(each.number, [(host, response, TARGET)]) for each in spool.begin(batch, os.getpid(), now)], MAX_AGE, now)
    spool.record(batch, host, [Answer(name, response, TARGET, outcome, "", None if timeout is None else now + timeout)], now)
    spool.end(batch, now, 10.0)
    return before


def test_an_attack_is_over_when_nothing_of_it_stands_anywhere(spool: Spool) -> None:
    assert blocked(spool, NOW) == 0
    assert blocked(spool, NOW + 500, "web2") == 0  # the same attack, on the next host
    assert blocked(spool, NOW + 700, "web1") == 0  # over on web1, not on web2
    assert spool.offences("firewall_drop", TARGET, NOW + 1299) == 0
    assert spool.offences("firewall_drop", TARGET, NOW + 1300) == 1
    assert blocked(spool, NOW + 1400) == 1
    assert blocked(spool, NOW + 5000) == 2


def test_only_what_was_put_into_force_counts_each_kind_for_itself(spool: Spool) -> None:
    for outcome in ("unchanged", "refused", "held", "failed"):
        blocked(spool, NOW, outcome=outcome)
    assert blocked(spool, NOW + 1000, response="disable_account") == 0
    assert spool.offences("firewall_drop", TARGET, NOW + 9000) == 0
    assert spool.offences("disable_account", TARGET, NOW + 9000) == 1
    assert spool.offences("disable_account", "203.0.113.90", NOW + 9000) == 0


def test_what_is_permanent_is_never_over(spool: Spool) -> None:
    blocked(spool, NOW, timeout=None)
    blocked(spool, NOW + 10)
    assert spool.offences("firewall_drop", TARGET, NOW + 1e9) == 0


def test_they_outlive_their_alerts_and_a_restart(spool: Spool, tmp_path: Path) -> None:
    blocked(spool, NOW)
    spool.prune(NOW + 30 * 86400)
    again = Spool.open(str(tmp_path))
    assert again.offences("firewall_drop", TARGET, NOW + 30 * 86400) == 1
    again.prune(NOW + 601 + KEPT_SECONDS)
    assert again.offences("firewall_drop", TARGET, NOW + 601 + KEPT_SECONDS) == 0
    again.close()
