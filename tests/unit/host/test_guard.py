# SPDX-License-Identifier: GPL-3.0-or-later
"""What must never be hit: each class, its override by name, the owner's file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host.account import DisableAccount, read_accounts
from ansible_collections.riposte.active_response.plugins.module_utils.host.address import parse_network
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem
from ansible_collections.riposte.active_response.plugins.module_utils.host.firewall.drop import FirewallDrop
from ansible_collections.riposte.active_response.plugins.module_utils.host.guard import (
    ADDRESS_ENTRIES,
    AddressGuard,
    Guard,
    GuardFile,
    Refused,
    parse_guard_file,
    read_guard_file,
)
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths
from ansible_collections.riposte.active_response.plugins.module_utils.host.surroundings import Surroundings
from tests.unit.host import samples

# target, the entry that refuses it
GUARDED = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.9.9.9", "loopback"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "loopback"),
    ("224.0.0.251", "multicast"),
    ("239.255.255.255", "multicast"),
    ("ff02::1", "multicast"),
    ("255.255.255.255", "broadcast"),
    ("169.254.10.1", "link_local"),
    ("fe80::1234", "link_local"),
    ("febf::1", "link_local"),
    ("128.0.0.0/1", "wide_network"),
    ("11.0.0.0/15", "wide_network"),
    ("2001:db8::/47", "wide_network"),
    ("192.0.2.10", "own_address"),
    ("192.0.2.11", "own_address"),
    ("198.51.100.5", "own_address"),
    ("2001:db8:1::10", "own_address"),
    ("192.0.2.0/24", "own_address"),
    ("2001:db8:1::/64", "own_address"),
    ("192.0.2.255", "broadcast"),
    ("192.0.2.1", "gateway"),
    ("192.0.2.2", "gateway"),
    ("2001:db8:1::1", "gateway"),
    ("198.51.100.53", "resolver"),
    ("2001:db8:53::53", "resolver"),
    ("198.51.100.48/28", "resolver"),
    ("203.0.113.200", "session"),
    ("203.0.113.200/31", "session"),
    ("198.51.100.14", "wazuh_manager"),
    ("198.51.100.15", "wazuh_manager"),
    ("10.1.2.3", "never:10.1.2.0/24"),
    ("10.1.0.0/16", "never:10.1.2.0/24"),
    ("2001:db8:abcd::5", "never:2001:DB8:abcd::/48"),
    ("203.0.113.77", "never:203.0.113.77"),
]
FREE = [
    "203.0.113.9",
    "11.0.0.0/16",
    "2001:db8:7::/48",
    "2001:db8:bad::1",
    "10.1.3.0",
    "192.0.2.12",
    "198.51.100.16",
    "203.0.113.202",
    "223.255.255.255",
    "1.0.0.0",
    "fec0::1",
]
FILE = GuardFile(addresses=("10.1.2.0/24", "2001:DB8:abcd::/48"))


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    root = tmp_path_factory.mktemp("host")
    samples.furnish(root)
    return Surroundings(Paths(str(root)), {"SSH_CONNECTION": "203.0.113.200 40000 192.0.2.10 22"})


def address_guard(around: Surroundings, override: Sequence[str] = ()) -> Guard:
    return FirewallDrop().guard(FILE, around, ["203.0.113.77"], override)


@pytest.mark.parametrize(("target", "entry"), GUARDED)
def test_guarded_address_is_refused_with_its_entry_named(around: Surroundings, target: str, entry: str) -> None:
    canonical = parse_network(target).text
    with pytest.raises(Refused) as caught:
        address_guard(around).check(canonical)
    assert caught.value.entry == entry
    assert f"override: [{entry}]" in str(caught.value)
    assert canonical in str(caught.value)


def overrides_needed(check: Callable[[Sequence[str]], None]) -> list[str]:
    """The entries that must be named, one by one, until the guard lets go: some targets are guarded by two."""
    needed: list[str] = []
    for _attempt in range(20):
        try:
            check(needed)
        except Refused as refusal:
            needed.append(refusal.entry)
        else:
            return needed
    raise AssertionError(f"still refused with override {needed}")


@pytest.mark.parametrize(("target", "entry"), GUARDED)
def test_guarded_address_is_let_through_by_its_own_name_and_no_other(around: Surroundings, target: str, entry: str) -> None:
    canonical = parse_network(target).text
    needed = overrides_needed(lambda override: address_guard(around, override).check(canonical))
    assert needed[0] == entry
    others = [name for name in (*ADDRESS_ENTRIES, "never:10.1.2.0/24", "never:203.0.113.77", "never:2001:DB8:abcd::/48") if name not in needed]
    with pytest.raises(Refused):
        address_guard(around, others).check(canonical)


@pytest.mark.parametrize("target", FREE)
def test_other_addresses_are_let_through(around: Surroundings, target: str) -> None:
    address_guard(around).check(target)


@pytest.mark.parametrize("name", ["loopbak", "all", "never", "*", "", "session,gateway", "root", "never:a b", "never:"])
def test_override_that_is_no_entry_is_an_error(around: Surroundings, name: str) -> None:
    with pytest.raises(BadInput, match="no guard entry has this name"):
        address_guard(around, [name])


def test_nothing_overrides_all() -> None:
    with pytest.raises(BadInput):
        AddressGuard(GuardFile(), ["all"])


def test_a_tick_has_no_session_to_guard(around: Surroundings) -> None:
    FirewallDrop().guard(GuardFile(), Surroundings(around.paths, around.environ, session=False), (), ()).check("203.0.113.200")


networks = st.one_of(
    st.tuples(st.just(4), st.integers(0, 2**32 - 1), st.integers(9, 32)),
    st.tuples(st.just(6), st.integers(0, 2**128 - 1), st.integers(33, 128)),
    # close together, so that they meet
    st.tuples(st.just(4), st.integers(0x0A000000, 0x0A00003F), st.integers(24, 32)),
    st.tuples(st.just(6), st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 63), st.integers(120, 128)),
).map(lambda each: _network(*each))


def _network(version: int, number: int, prefix: int) -> str:
    import ipaddress

    bits = 32 if version == 4 else 128
    low = number >> (bits - prefix) << (bits - prefix)
    address = ipaddress.IPv4Address(low) if version == 4 else ipaddress.IPv6Address(low)
    return f"{address}/{prefix}"


@given(st.lists(networks, max_size=12), st.lists(networks, min_size=1, max_size=6))
def test_bisection_finds_what_a_look_at_every_entry_finds(never: list[str], targets: list[str]) -> None:
    guard = AddressGuard(GuardFile(widest_ipv4=1, widest_ipv6=1), ())
    guard.protect("never", "on the never-list", never)
    listed = [parse_network(each) for each in never]
    for target in map(parse_network, targets):
        hit = any(each.version == target.version and each.low <= target.high and target.low <= each.high for each in listed)
        if hit:
            with pytest.raises(Refused):
                guard.check(target.text)
        else:
            guard.check(target.text)


# -- the owner's file

GOOD = """
# what must stay reachable
[never]
addresses =
    203.0.113.200   # the scanner
    198.51.100.0/28 ; proxies
    2001:db8:5::/64
accounts = alice backup-user
groups =
    dba
[limits]
widest_ipv4 = 24
widest_ipv6 = 64
[breaker]
responses_per_minute = 0
accounts_per_hour = 20
"""


def test_guard_file_is_read() -> None:
    assert parse_guard_file(GOOD) == GuardFile(
        addresses=("203.0.113.200", "198.51.100.0/28", "2001:db8:5::/64"),
        accounts=("alice", "backup-user"),
        groups=("dba",),
        widest_ipv4=24,
        widest_ipv6=64,
        responses_per_minute=0,
        accounts_per_hour=20,
    )


def test_host_without_a_guard_file_has_the_defaults(tmp_path: Path) -> None:
    assert read_guard_file(str(tmp_path / "none")) == GuardFile() == parse_guard_file("")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[never]\naddress = 203.0.113.1\n", "[never] address is not known"),
        ("[nevr]\naddresses = 203.0.113.1\n", "[nevr] addresses is not known"),
        ("[DEFAULT]\naddresses = 203.0.113.1\n", "[DEFAULT] addresses is not known"),
        ("[default]\naddresses = 203.0.113.1\n", "[default] addresses is not known"),
        ("[never]\naddresses = 203.0.113\n", "'203.0.113'"),
        ("[never]\naddresses = 203.0.113.1,203.0.113.2\n", "'203.0.113.1,203.0.113.2'"),
        ("[never]\naddresses = 203.0.113.1/24\n", "bits set behind"),
        ("[never]\naddresses = scanner.example\n", "'scanner.example'"),
        ("[never]\naccounts = alice,bob\n", "'alice,bob'"),
        ("[never]\ngroups = a:b\n", "'a:b'"),
        ("[never]\naddresses\n", "addresses"),
        ("[never]\naddresses = 203.0.113.1\naddresses = 203.0.113.2\n", "addresses"),
        ("[never]\n[never]\n", "never"),
        ("addresses = 203.0.113.1\n", "section"),
        ("[limits]\nwidest_ipv4 = 0\n", "from 1 to 32"),
        ("[limits]\nwidest_ipv4 = 33\n", "from 1 to 32"),
        ("[limits]\nwidest_ipv6 = x\n", "from 1 to 128"),
        ("[breaker]\nresponses_per_minute = -1\n", "from 0 to 1000000"),
        ("[breaker]\nresponses_per_minute = ٣\n", "from 0 to 1000000"),
        (f"[breaker]\nresponses_per_minute = {'1' * 5000}\n", "from 0 to 1000000"),
        ("\0\x80", "section"),
    ],
)
def test_guard_file_that_is_not_understood_stops_everything(text: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_guard_file(text, "/etc/riposte/guard.conf")
    assert said in str(caught.value)
    assert "/etc/riposte/guard.conf" in str(caught.value)


@given(st.text(alphabet="[never]adrs=limtbk:\n #;,0123./\t\u0663", max_size=80))
def test_any_guard_file_is_understood_or_refused(text: str) -> None:
    try:
        parse_guard_file(text)
    except Problem:
        return


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_guard_file_that_others_may_write_stops_everything(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "guard.conf"
    path.write_text(GOOD)
    path.chmod(mode)
    with pytest.raises(Problem, match="must belong to root and be writable by nobody else"):
        read_guard_file(str(path))


def test_guard_file_of_somebody_else_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "guard.conf"
    path.write_text(GOOD)
    path.chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(Problem, match="must belong to root"):
        read_guard_file(str(path))


@pytest.mark.parametrize("what", ["link to nothing", "directory", "not text"])
def test_guard_file_that_cannot_be_read_stops_everything(tmp_path: Path, what: str) -> None:
    path = tmp_path / "guard.conf"
    if what == "link to nothing":
        path.symlink_to(tmp_path / "gone")
    elif what == "directory":
        path.mkdir()
    else:
        path.write_bytes(b"[never]\naddresses = \xff\xfe\n")
        path.chmod(0o600)
    with pytest.raises(Problem, match="nothing is put into force"):
        read_guard_file(str(path))


# -- accounts


def account_guard(root: Path, override: Sequence[str] = (), protect: Sequence[str] = (), environ: dict[str, str] | None = None) -> Guard:
    file = GuardFile(accounts=("deploy",), groups=("dba",))
    return DisableAccount().guard(file, Surroundings(Paths(str(root)), environ or {}), protect, override)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    samples.furnish(tmp_path)
    return tmp_path


ACCOUNTS = [
    ("root", "root"),
    ("toor", "root"),
    ("opal", "admin_group"),  # sudo as a further group
    ("wim", "admin_group"),  # wheel as the primary group
    ("dora", "admin_group"),  # docker is as good as root
    ("www-data", "system_account"),
    ("nobody", "system_account"),
    ("dana", "never:dba"),
    ("deploy", "never:deploy"),
    ("zoe", "never:zoe"),
]


@pytest.mark.parametrize(("name", "entry"), ACCOUNTS)
def test_guarded_account_is_refused_with_its_entry_named(host: Path, name: str, entry: str) -> None:
    with pytest.raises(Refused) as caught:
        account_guard(host, protect=["zoe"]).check(name)
    assert caught.value.entry == entry
    assert f"override: [{entry}]" in str(caught.value)


@pytest.mark.parametrize(("name", "entry"), ACCOUNTS)
def test_guarded_account_is_let_through_by_its_own_name_and_no_other(host: Path, name: str, entry: str) -> None:
    needed = overrides_needed(lambda override: account_guard(host, override, ["zoe"]).check(name))
    assert needed[0] == entry
    with pytest.raises(Refused):
        account_guard(host, [each for each in ("root", "account_in_use", "admin_group", "system_account") if each not in needed], ["zoe"]).check(name)


def test_account_this_session_came_in_by_is_refused(host: Path) -> None:
    with pytest.raises(Refused) as caught:
        account_guard(host, environ={"SUDO_UID": "1001"}).check("mallory")
    assert caught.value.entry == "account_in_use"


def test_ordinary_account_is_let_through(host: Path) -> None:
    account_guard(host).check("mallory")
    account_guard(host).check("nobody-knows-it")


def test_first_uid_of_people_is_the_hosts_own(host: Path) -> None:
    (host / "etc/login.defs").write_text("UID_MIN 500\n")
    account_guard(host).check("www-data2")  # uid 600


def test_groups_of_an_account_are_all_of_them(host: Path) -> None:
    assert read_accounts(Paths(str(host)))["wim"].groups == {"wheel"}
    assert read_accounts(Paths(str(host)))["opal"].groups == {"people", "sudo"}


@pytest.mark.parametrize("name", ["-x", "a:b", "../x", "Ünal", "x" * 300, "", ".", "a b", "a\n", "{{ 7*7 }}", "$(id)", "a\x00", "\uff11", "$"])
def test_bad_account_name_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        DisableAccount().target(name)
    assert "an account name has 1 to 255" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["mallory", "_svc", "Domain.User", "host$", "0x", "a-b_c.d", "x" * 255])
def test_name_that_shadow_may_have_is_taken(name: str) -> None:
    assert DisableAccount().target(name) == name
