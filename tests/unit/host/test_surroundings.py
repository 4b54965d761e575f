# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must keep to stay reachable, read from sample tables of the kernel and files of its owner."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths
from ansible_collections.riposte.active_response.plugins.module_utils.host.surroundings import Surroundings
from tests.unit.host import samples
from tests.unit.host.samples import TCP_HEAD, tcp_line

HERE, HERE6, WAZUH, WWW = "192.0.2.10", "2001:db8:1::10", 998, 33
ATTACKER, MANAGER, MANAGER6 = "203.0.113.9", "198.51.100.20", "2001:db8:14::14"

pytestmark = pytest.mark.skipif(sys.byteorder == "big", reason="the samples are of a little-endian machine")


def around(root: Path, environ: dict[str, str] | None = None, session: bool = True, files: dict[str, str] | None = None) -> Surroundings:
    samples.furnish(root, files)
    return Surroundings(Paths(str(root)), environ or {}, session)


def test_own_addresses_and_broadcasts(tmp_path: Path) -> None:
    host = around(tmp_path)
    assert host.own_addresses == {
        *("127.0.0.1", "192.0.2.10", "192.0.2.11", "198.51.100.5", "203.0.113.66"),
        *("::1", "fd00:5::10", "2001:db8:1::10", "fe80::b41b:e1ff:fe75:912e"),
    }
    assert host.broadcasts == {"127.255.255.255", "192.0.2.255"}


def test_own_address_among_other_routes_of_its_number(tmp_path: Path) -> None:
    host = around(tmp_path, files={"proc/net/fib_trie": samples.FIB_TRIE_MERGED, "proc/net/if_inet6": ""})
    assert host.own_addresses == {"127.0.0.1", "10.5.0.1"}
    assert host.broadcasts == {"10.5.0.0"}


def test_gateways_of_both_families(tmp_path: Path) -> None:
    assert around(tmp_path).gateways == {"192.0.2.1", "192.0.2.2", "fe80::1", "2001:db8:1::1", "fd00:5::1"}


def test_resolvers_in_either_file(tmp_path: Path) -> None:
    assert around(tmp_path).resolvers == {"127.0.0.53", "198.51.100.53", "2001:db8:53::53", "fe80::53", "198.51.100.54"}


def test_host_without_ipv6_wazuh_and_resolver(tmp_path: Path) -> None:
    host = around(tmp_path)
    for name in ("proc/net/if_inet6", "proc/net/ipv6_route", "proc/net/tcp6", "etc/resolv.conf", "run/systemd/resolve/resolv.conf", "var/ossec/etc/ossec.conf"):
        (tmp_path / name).unlink()
    assert host.resolvers == host.wazuh_managers == frozenset()
    assert host.gateways == {"192.0.2.1", "192.0.2.2"}
    assert "192.0.2.10" in host.own_addresses


def test_host_whose_own_addresses_cannot_be_told_blocks_nobody(tmp_path: Path) -> None:
    host = around(tmp_path, files={"proc/net/fib_trie": ""})
    with pytest.raises(ToolError, match="own addresses cannot be told"):
        _unused = host.own_addresses
    (tmp_path / "proc/net/fib_trie").unlink()
    with pytest.raises(ToolError, match="own addresses cannot be told"):
        _unused = host.broadcasts


def test_wazuh_manager_by_address_and_by_a_name_of_etc_hosts(tmp_path: Path) -> None:
    assert around(tmp_path).wazuh_managers == {"198.51.100.14", "198.51.100.15"}


def test_wazuh_elsewhere_is_looked_at_where_it_is(tmp_path: Path) -> None:
    moved = {"etc/riposte/wazuh.conf": "[wazuh]\nhome = /opt/ossec\n", "opt/ossec/etc/ossec.conf": "<server>\n <address>198.51.100.77</address></server>"}
    assert around(tmp_path, files=moved).wazuh_managers == {"198.51.100.77"}


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_wazuhs_account_puts_in_the_place_of_its_file_holds_nobody_up(tmp_path: Path, kind: str) -> None:
    host = around(tmp_path)
    path = tmp_path / "var/ossec/etc/ossec.conf"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    assert host.wazuh_managers == frozenset()


def test_many_servers_that_never_end_are_read_in_no_time(tmp_path: Path) -> None:
    """800 kB of it took a backtracking pattern minutes."""
    host = around(tmp_path, files={"var/ossec/etc/ossec.conf": "<server>" * 100_000 + "<address>198.51.100.14</address>"})
    assert host.wazuh_managers == {"198.51.100.14"}


def managers(root: Path, *lines: str, six: tuple[str, ...] = ()) -> frozenset[str]:
    files = {"var/ossec/etc/ossec.conf": "", "proc/net/tcp": TCP_HEAD + "".join(lines), "proc/net/tcp6": TCP_HEAD + "".join(six)}
    return around(root, files=files).wazuh_managers


def test_wazuh_manager_by_the_agents_open_connection(tmp_path: Path) -> None:
    lines = tcp_line((HERE, 40000), (MANAGER, 1514), uid=WAZUH), tcp_line((HERE, 22), (ATTACKER, 50000))
    six = (tcp_line((HERE6, 40001), (MANAGER6, 1514), uid=WAZUH), tcp_line(("::ffff:192.0.2.10", 40002), ("::ffff:198.51.100.21", 1515)))
    assert managers(tmp_path, *lines, six=six) == {MANAGER, MANAGER6, "198.51.100.21"}


def test_wazuh_manager_among_more_connections_than_the_kernel_tells_at_once(tmp_path: Path) -> None:
    others = [tcp_line((HERE, 22), (ATTACKER, 50000 + number)) for number in range(1000)]
    assert managers(tmp_path, *others, tcp_line((HERE, 40000), (MANAGER, 1514), uid=WAZUH)) == {MANAGER}


def test_attacker_who_comes_from_a_wazuh_port_can_be_blocked_all_the_same(tmp_path: Path) -> None:
    """A client chooses the port that it comes from."""
    serving = tcp_line(("0.0.0.0", 22), ("0.0.0.0", 0), "0A"), tcp_line(("0.0.0.0", 1514), ("0.0.0.0", 0), "0A", WAZUH)
    called = tcp_line((HERE, 22), (ATTACKER, 1514)), tcp_line((HERE, 1514), (ATTACKER, 1515), uid=WAZUH)
    assert managers(tmp_path, *serving, *called) == frozenset()


def test_attacker_whom_a_web_server_was_made_to_call_can_be_blocked_all_the_same(tmp_path: Path) -> None:
    assert managers(tmp_path, tcp_line((HERE, 40000), (ATTACKER, 1514), uid=WWW)) == frozenset()


def test_connection_that_is_not_established_tells_nothing(tmp_path: Path) -> None:
    assert managers(tmp_path, tcp_line((HERE, 40000), (ATTACKER, 1514), "06"), tcp_line((HERE, 40000), (ATTACKER, 1514), "02", WAZUH)) == frozenset()


# -- the session


def process(root: Path, pid: int, parent: int, uid: int = 0, login: int | str = 4294967295, environ: str = "") -> None:
    place = root / "proc" / str(pid)
    place.mkdir(parents=True, exist_ok=True)
    (place / "status").write_text(f"Name:\tx y\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
    (place / "loginuid").write_text(str(login))
    (place / "environ").write_text(environ)


def test_session_is_found_behind_sudo(tmp_path: Path) -> None:
    """sudo forgets SSH_CONNECTION; an ancestor has it still."""
    process(tmp_path, os.getpid(), 500)
    process(tmp_path, 500, 400, environ="PATH=/bin\0SUDO_USER=opal\0")
    process(tmp_path, 400, 300, uid=1000, environ="HOME=/home/opal\0SSH_CONNECTION=203.0.113.200 40000 192.0.2.10 22\0SSH_TTY=x\0")
    process(tmp_path, 300, 1, login=1000)
    host = around(tmp_path, {"SUDO_UID": "1000"})
    assert host.clients == {"203.0.113.200"}
    assert host.uids == {1000}
    assert host.ancestors == (os.getpid(), 500, 400, 300)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("2001:db8::5 1 2001:db8::6 22", {"2001:db8::5"}),
        ("fe80::5%eth0 1 fe80::6%eth0 22", {"fe80::5"}),
        ("::ffff:203.0.113.5 1 ::ffff:192.0.2.10 22", {"203.0.113.5"}),
        ("UNKNOWN 1 UNKNOWN 22", set()),
        ("", set()),
    ],
)
def test_session_over_ipv6_or_unknown(tmp_path: Path, said: str, client: set[str]) -> None:
    assert around(tmp_path, {"SSH_CONNECTION": said}).clients == client
    assert around(tmp_path, {"SSH_CLIENT": said}).clients == client


def test_uids_are_of_ancestors_their_logins_and_sudo_never_roots(tmp_path: Path) -> None:
    process(tmp_path, os.getpid(), 500, uid=0, login=1003)
    process(tmp_path, 500, 1, uid=1002)
    assert around(tmp_path, {"SUDO_UID": "1001", "DOAS_UID": "x"}).uids == {1001, 1002, 1003}


def test_tick_has_no_session(tmp_path: Path) -> None:
    process(tmp_path, os.getpid(), 1, uid=1001, environ="SSH_CONNECTION=203.0.113.200 1 2 3\0")
    host = around(tmp_path, {"SSH_CONNECTION": "203.0.113.200 1 2 3", "SUDO_UID": "1001"}, session=False)
    assert host.clients == host.uids == frozenset()
