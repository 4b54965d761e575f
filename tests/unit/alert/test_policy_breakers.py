# SPDX-License-Identifier: GPL-3.0-or-later
"""The breakers over all hosts: what is more than a limit is held by name; what came before counts on; nothing is counted twice."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.alert.breakers import Breakers, Earlier, Limits


class Ask(NamedTuple):
    """A response to be begun. hosts: their letters."""

    target: str
    hosts: str = "a"
    account: bool = False
    everywhere: bool = False


def held(limits: Limits, asks: list[Ask], earlier: list[Earlier] | None = None, hosts: int = 10) -> list[str | None]:
    breakers = Breakers(limits, hosts, earlier or [])
    trips = [breakers.trip(ask.account, ask.target, ask.hosts, ask.everywhere) for ask in asks]
    return [trip and trip.name for trip in trips]


RUN, MINUTE_NAME, HOUR_NAME, SHARE = "blocks_per_run", "blocks_per_minute", "accounts_per_hour", "hosts_percent"
# name: (limits, asked, earlier, which breaker holds each)
CASES: dict[str, tuple[Limits, list[Ask], list[Earlier], list[str | None]]] = {
    "no limits": (Limits(), [Ask(str(at), "abcdefghij") for at in range(5)], [], [None] * 5),
    "a run's blocks": (Limits(blocks_per_run=2), [Ask("1"), Ask("2"), Ask("3"), Ask("4")], [], [None, None, RUN, RUN]),
    "one address counts once, on however many hosts": (
        Limits(blocks_per_run=1),
        [Ask("1", "a"), Ask("1", "bc"), Ask("2"), Ask("1", "d")],
        [],
        [None, None, RUN, None],
    ),
    "no blocks at all": (Limits(blocks_per_run=0), [Ask("1")], [], [RUN]),
    "a run's blocks, whatever came before": (Limits(blocks_per_run=1), [Ask("2")], [Earlier(5, False, "1")], [None]),
    "a minute's blocks": (Limits(blocks_per_minute=2), [Ask("2"), Ask("3")], [Earlier(59, False, "1")], [None, MINUTE_NAME]),
    "a minute later": (Limits(blocks_per_minute=2), [Ask("2"), Ask("3")], [Earlier(60, False, "1")], [None, None]),
    "what was begun a moment ago is not new": (Limits(blocks_per_minute=1), [Ask("1")], [Earlier(5, False, "1"), Earlier(3, False, "1")], [None]),
    "what will be begun": (Limits(blocks_per_minute=1), [Ask("2")], [Earlier(-5, False, "1")], [None]),
    "an hour's accounts": (
        Limits(accounts_per_hour=2),
        [Ask("m", account=True), Ask("n", account=True)],
        [Earlier(3599, True, "l")],
        [None, HOUR_NAME],
    ),
    "an hour later": (Limits(accounts_per_hour=1), [Ask("m", account=True)], [Earlier(3600, True, "l")], [None]),
    "accounts are no blocks": (Limits(blocks_per_run=0, blocks_per_minute=0), [Ask("m", account=True)], [], [None]),
    "blocks are no accounts": (Limits(accounts_per_hour=0), [Ask("1")], [], [None]),
    "a share of the hosts": (Limits(hosts_percent=30), [Ask("1", "abc"), Ask("2", "d"), Ask("3", "ab")], [], [None, SHARE, None]),
    "at once too many": (Limits(hosts_percent=30), [Ask("1", "abcd"), Ask("1", "abc")], [], [SHARE, None]),
    "all hosts by name do not count": (
        Limits(hosts_percent=10),
        [Ask("1", "abcdefghij", everywhere=True), Ask("2", "a"), Ask("3", "b")],
        [],
        [None, None, SHARE],
    ),
    "accounts count there too": (Limits(hosts_percent=10), [Ask("m", "a", account=True), Ask("n", "b", account=True)], [], [None, SHARE]),
    "what is held takes no room": (
        Limits(blocks_per_run=1, hosts_percent=10),
        [Ask("1", "ab"), Ask("1", "a"), Ask("2", "a")],
        [],
        [SHARE, None, RUN],
    ),
}


@pytest.mark.parametrize(("limits", "asks", "earlier", "expected"), CASES.values(), ids=CASES)
def test_which_breaker_holds_what(limits: Limits, asks: list[Ask], earlier: list[Earlier], expected: list[str | None]) -> None:
    assert held(limits, asks, earlier) == expected


def test_in_a_small_inventory_a_share_is_one_host_at_least() -> None:
    assert held(Limits(hosts_percent=1), [Ask("1", "a"), Ask("2", "b")], hosts=3) == [None, SHARE]


def test_it_says_how_many_and_the_limit() -> None:
    breakers = Breakers(Limits(hosts_percent=30), 10)
    trip = breakers.trip(False, "1", "abcd", False)
    assert trip
    assert trip.why == "with this, the run would touch 4 of 10 hosts, the limit is 30 % (3)"


ASKS = st.builds(Ask, st.sampled_from("123456"), st.text("abcde", min_size=1, max_size=3), st.booleans(), st.just(False))


@given(st.builds(Limits, *[st.none() | st.integers(0, 4)] * 3, st.none() | st.integers(1, 100)), st.lists(ASKS, max_size=20))
def test_no_more_is_begun_than_the_limits_say(limits: Limits, asks: list[Ask]) -> None:
    begun = [ask for ask, name in zip(asks, held(limits, asks, hosts=5)) if name is None]
    blocks, accounts = ({ask.target for ask in begun if ask.account is account} for account in (False, True))
    for limit, count in ((limits.blocks_per_run, blocks), (limits.blocks_per_minute, blocks), (limits.accounts_per_hour, accounts)):
        assert limit is None or len(count) <= limit
    assert limits.hosts_percent is None or len({host for ask in begun for host in ask.hosts}) <= max(1, 5 * limits.hosts_percent // 100)
