# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewall_drop must never hit, by real runs: each entry refuses with its name, and can be passed over by its name only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.ground import NFTABLES, Ground, ground
from tests.integration.modules import Outcome, module, steps, task
from tests.lab import Lab, Peer

ATTACKER = "203.0.113.9"
GUARD = """\
[never]
addresses =
    203.0.113.200   # the scanner
    198.51.100.0/28
    2001:db8:5::/64
"""
OSSEC = """\
<ossec_config>
  <client>
    <server><address>192.0.2.50</address><port>1514</port></server>
    <server><address>manager.example</address></server>
  </client>
</ossec_config>
"""
ANSWERED_BY_NAME = "192.0.2.51 manager.example manager"


@pytest.fixture(scope="module")
def shared(lab: Lab, attacker: Peer, visitor: Peer) -> Iterator[Ground]:
    """A host with a guard file, a Wazuh agent's configuration, an agent's connection, and a second address of its own in each family."""
    attacker.add_address(ATTACKER)
    with ground(lab, attacker, visitor, NFTABLES) as made:
        host = made.host
        host.put("/etc/riposte/guard.conf", GUARD)
        host.put("/var/ossec/etc/ossec.conf", OSSEC)
        host.put("/etc/hosts", host.read("/etc/hosts") + ANSWERED_BY_NAME + "\n")
        host.ssh("ip address add 192.0.2.5/32 dev lo; ip address add 2001:db8:7::5/128 dev lo")
        with visitor.listen(1514) as manager:
            stream = host.open_stream(visitor.address4, 1514)
            manager.accepted(1)
            yield made
            stream.close()


@pytest.fixture
def wall(shared: Ground) -> Iterator[Ground]:
    yield shared
    shared.wipe()


def guarded(wall: Ground) -> dict[str, str]:
    """Targets, and the entry that refuses each. Those in HARMFUL would cut this very test off if they went in."""
    lab, host = wall.lab, wall.host
    return {
        "127.0.0.1": "loopback",
        "127.9.9.9": "loopback",
        "127.5.0.0/16": "loopback",
        "::1": "loopback",
        "::ffff:127.0.0.1": "loopback",
        "0.0.0.0": "unspecified",
        "0.1.2.3": "unspecified",
        "::": "unspecified",
        "224.0.0.251": "multicast",
        "239.0.0.0/16": "multicast",
        "ff02::fb": "multicast",
        "255.255.255.255": "broadcast",
        "10.66.0.255": "broadcast",
        "169.254.7.7": "link_local",
        "fe80::7": "link_local",
        "20.0.0.0/15": "wide_network",
        "2001:db8::/47": "wide_network",
        "192.0.2.5": "own_address",
        "2001:db8:7::5": "own_address",
        host.address4: "own_address",
        host.address6: "own_address",
        lab.gateway4: "gateway",
        lab.gateway6: "gateway",
        lab.resolver4: "resolver",
        lab.resolver6: "resolver",
        lab.controller.address4: "session",
        f"{lab.controller.address4}/31": "session",
        f"::ffff:{lab.controller.address4}": "session",
        "192.0.2.50": "wazuh_manager",
        "192.0.2.51": "wazuh_manager",
        wall.visitor.address4: "wazuh_manager",
        "203.0.113.200": "never:203.0.113.200",
        "198.51.100.3": "never:198.51.100.0/28",
        "198.51.100.0/24": "never:198.51.100.0/28",
        "2001:db8:5::1": "never:2001:db8:5::/64",
        "203.0.113.201": "never:203.0.113.201",
    }


# entries that apply as well
ALSO = {"127.0.0.1": ["own_address"], "::1": ["own_address"]}


def harmful(wall: Ground) -> set[str]:
    lab, host = wall.lab, wall.host
    return {host.address4, host.address6, lab.controller.address4, f"{lab.controller.address4}/31", f"::ffff:{lab.controller.address4}"}


def test_each_entry_refuses_by_its_name(wall: Ground) -> None:
    """In one call with a good target; nothing else goes in, and the history tells."""
    refused = guarded(wall)
    done, checked, released, info = steps(
        wall.lab,
        wall.host,
        task("firewall_drop", targets=[*refused, ATTACKER], timeout="10m", protect=["203.0.113.201"]),
        task("firewall_drop", targets=[*refused, ATTACKER], timeout="10m", protect=["203.0.113.201"]).check(),
        task("firewall_drop", targets=list(refused), state="absent"),
        task("response_info", history=100),
    )
    for answer in (done, checked):
        assert answer["failed"]
        assert answer["summary"]["refused"] == len(refused), [each for each in answer["responses"] if each["outcome"] != "refused"]
        for (target, entry), seen in zip(refused.items(), answer["responses"]):
            assert seen["outcome"] == "refused", seen
            assert not seen["changed"]
            assert f"(guard entry {entry}; to act all the same: override: [{entry}])" in seen["message"], target
            assert target.removeprefix("::ffff:") in seen["message"]
    assert f"{len(refused)} of {len(refused) + 1} targets were not acted on" in done["msg"]
    assert done["responses"][-1]["outcome"] == "done"
    assert wall.members() == [ATTACKER]
    # what does not stand may be released, whoever it is
    assert not released["failed"]
    assert not released["changed"]
    assert len([each for each in info["history"] if each["ended_by"] == "refused"]) == len(refused)
    wall.prove_cut(ATTACKER)


def test_each_entry_is_passed_over_by_its_name_and_by_no_other(wall: Ground) -> None:
    """Where two apply, both must be named."""
    refused = {target: entry for target, entry in guarded(wall).items() if target not in harmful(wall) and not target.startswith("::ffff:")}
    names = set(guarded(wall).values())

    def respond(**overrides: list[str]) -> dict[str, Any]:
        return {
            "responses": [
                {"response": "firewall_drop", "targets": [target], "timeout": "10m", **common, "override": override} for target, override in overrides.items()
            ]
        }

    common = {"protect": ["203.0.113.201"]}
    others, own, released, unknown, everything = steps(
        wall.lab,
        wall.host,
        task("respond", **respond(**{target: sorted(names - {entry}) for target, entry in refused.items()})),
        task("respond", **respond(**{target: [entry, *ALSO.get(target, ())] for target, entry in refused.items()})),
        task("respond", release=list(refused)),
        task("firewall_drop", targets=[ATTACKER, "192.0.2.9"], timeout="10m", override=["loopbak"]),
        task("firewall_drop", targets=["127.0.0.1"], timeout="10m", override=["all"]),
        core="2.16",
    )
    assert not others["failed"]
    assert {each["target"]: each["outcome"] for each in others["responses"] if each["outcome"] != "refused"} == {}
    assert not own["failed"]
    assert {each["target"]: each["message"] for each in own["responses"] if each["outcome"] != "done"} == {}
    assert all(each["in_force"]["blocked"] for each in own["responses"])
    assert released["summary"]["done"] == len(own["responses"])
    for answer, name in ((unknown, "loopbak"), (everything, "all")):
        assert answer["failed"]
        assert answer["summary"]["done"] == 0
        assert f"override '{name}': no guard entry has this name; known are loopback, unspecified" in answer["msg"]
    assert wall.members_or_none() is None


def test_the_session_can_be_cut_off_if_that_is_asked_for_by_name(wall: Ground) -> None:
    """Ansible's own way in is dropped as asked; somebody on the console lets it in again, and it learns that it was done."""
    controller, found = wall.lab.controller, {}

    def run() -> None:
        found["answer"] = module(wall.lab, wall.host, "firewall_drop", targets=[controller.address4], timeout="10m", override=["session"])

    ansible = threading.Thread(target=run)
    ansible.start()
    try:
        wall.host.wait_for(lambda: controller.connect(wall.host.address4, 22, timeout=0.2) == "timeout", "the controller to be cut off", timeout=30)
    finally:
        wall.host.inside(["sh", "-c", "nft delete table inet riposte || :"])
        ansible.join()
    answer: Outcome = found["answer"]
    assert not answer["failed"]
    assert answer["responses"][0]["outcome"] == "done"
    assert controller.can_connect(wall.host.address4, 22)
    wall.engine.release(controller.address4)


def test_the_session_is_recognised_through_sudo_and_over_ipv6(wall: Ground) -> None:
    """sudo forgets who came in over ssh; the guard finds out all the same. Who comes over IPv6 is protected by that address."""
    four, six = wall.lab.controller.address4, wall.lab.controller.address6
    wall.host.ssh(
        "useradd -m -s /bin/bash admin; install -d -o admin -m 700 ~admin/.ssh; install -o admin -m 600 ~/.ssh/authorized_keys ~admin/.ssh/;"
        "echo admin:geheim | chpasswd; echo 'admin ALL=(ALL:ALL) ALL' > /etc/sudoers.d/admin"
    )
    block = task("firewall_drop", targets=[four, six, ATTACKER], timeout="10m").check()
    sudo = {"ansible_user": "admin", "ansible_become": True, "ansible_become_password": "geheim"}
    for variables, session in ((sudo, four), ({**sudo, "ansible_host": wall.host.address6}, six)):
        (answer,) = steps(wall.lab, wall.host, block, variables=variables)
        outcomes = {each["target"]: each for each in answer["responses"]}
        assert outcomes[session]["outcome"] == "refused", variables
        assert "where this very session comes from (guard entry session" in outcomes[session]["message"]
        assert outcomes[ATTACKER]["outcome"] == "done"
    (without_root,) = steps(wall.lab, wall.host, block, variables={"ansible_user": "admin"})
    assert without_root["failed"]
    assert "it needs root: say become: true" in without_root["msg"]


# guard files that cannot be relied on, and what the message must say
BAD_GUARDS = {
    "[never]\naddresses = 203.0.113.200 not-an-address\n": "address 'not-an-address'",
    "[never]\naddress = 203.0.113.200\n": "[never] address is not known",
    "addresses = 203.0.113.200\n": "guard file",
    "[limits]\nwidest_ipv4 = 40\n": "[limits] widest_ipv4 '40' must be a whole number from 1 to 32",
    "[never]\naddresses = 203.0.113.200\n[never]\naddresses = 203.0.113.201\n": "guard file",
}


def test_nothing_goes_in_while_the_guard_file_cannot_be_relied_on(wall: Ground) -> None:
    """But what stands can be released."""
    before = wall.host.read("/etc/riposte/guard.conf")
    assert wall.engine.drop("192.0.2.99", timeout="10m")["summary"]["done"] == 1
    try:
        for text, rule in BAD_GUARDS.items():
            wall.host.put("/etc/riposte/guard.conf", text)
            (entry,) = wall.engine.drop(ATTACKER, timeout="10m")["responses"]
            assert entry["outcome"] == "failed", text
            assert "/etc/riposte/guard.conf" in entry["message"]
            assert rule in entry["message"]
        for damage in ("chmod 666 /etc/riposte/guard.conf", "chmod 644 /etc/riposte/guard.conf; chown games /etc/riposte/guard.conf"):
            wall.host.put("/etc/riposte/guard.conf", before)
            wall.host.inside(["sh", "-c", damage])
            (entry,) = wall.engine.drop(ATTACKER, timeout="10m")["responses"]
            assert entry["outcome"] == "failed"
            assert "it must belong to root and be writable by nobody else" in entry["message"]
        assert wall.members() == ["192.0.2.99"]
        assert wall.engine.release("192.0.2.99")["summary"]["done"] == 1
    finally:
        wall.host.inside(["rm", "-f", "/etc/riposte/guard.conf"])
        wall.host.put("/etc/riposte/guard.conf", before)


def test_the_owner_sets_how_wide_a_network_may_be(wall: Ground) -> None:
    before = wall.host.read("/etc/riposte/guard.conf")
    wall.host.put("/etc/riposte/guard.conf", "[limits]\nwidest_ipv4 = 24\nwidest_ipv6 = 64\n")
    answer = wall.engine.drop("198.18.0.0/23", "198.18.0.0/24", "2001:db8:9::/63", "2001:db8:9::/64", timeout="10m")
    wall.host.put("/etc/riposte/guard.conf", before)
    assert [each["outcome"] for each in answer["responses"]] == ["refused", "done", "refused", "done"]
    assert "a network wider than /24 hits too many" in answer["responses"][0]["message"]
