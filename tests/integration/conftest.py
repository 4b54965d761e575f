# SPDX-License-Identifier: GPL-3.0-or-later
"""Practice hosts as fixtures.

`host` is one host for a test module, `fresh_host` one for a single test; both are bookworm with its own Python unless the test asks for others:

    @pytest.mark.on("bookworm", "trixie", "bookworm/3.9")     # suite, or suite/Python; the test runs once on each
    def test_something(host: Host, attacker: Peer) -> None: ...
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.lab import Host, Lab, Peer

_numbers = itertools.count(1)
LONGEST = (
    *("test_agent_wazuh", "test_agent_role", "test_responder_role", "test_intake_burst", "test_execd", "test_sender", "test_faults", "test_approve"),
    *("test_intake", "test_firewall_drop", "test_agent_no_systemd", "test_manager_role", "test_hostile_alerts", "test_firewall_backends"),
    *("test_disable_account", "test_webhook", "test_event_stream", "test_playbooks", "test_lab", "test_examples", "test_import_ossec", "test_inventory"),
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on(kind, ...): run on practice hosts of these kinds: a suite, or suite/Python version")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("on")
    if marker:
        for fixture, scope in (("host", "module"), ("fresh_host", "function")):
            if fixture in metafunc.fixturenames:
                metafunc.parametrize(fixture, marker.args, indirect=True, scope=scope)  # type: ignore[arg-type]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker("lab")
    # Processes take file after file: the long ones first, or one process is still at work when the others have long been done.
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The one lab of this test run."""
    if os.geteuid() != 0:
        pytest.skip("practice hosts need root")
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def attacker(lab: Lab) -> Peer:
    """Somebody to be blocked."""
    return lab.add_peer("attacker")


@pytest.fixture(scope="session")
def visitor(lab: Lab) -> Peer:
    """Somebody who must still get in."""
    return lab.add_peer("visitor")


@pytest.fixture(scope="module")
def host(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host that the tests of one module share."""
    yield from _host(lab, getattr(request, "param", "bookworm"))


@pytest.fixture
def fresh_host(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host that nobody has touched (0.3 s)."""
    yield from _host(lab, getattr(request, "param", "bookworm"))


def _host(lab: Lab, kind: str) -> Iterator[Host]:
    suite, _unused, python = kind.partition("/")
    try:
        host = lab.add_host(f"host{next(_numbers)}", suite=suite, python=python or None)
    except LookupError as missing:
        pytest.skip(str(missing))
    yield host
    lab.remove(host)
