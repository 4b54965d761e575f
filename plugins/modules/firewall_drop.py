#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_drop
short_description: Drop all packets from and to addresses or networks, for a time
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Drops what comes from an address or network, what goes to it, and what this host forwards between them and others.
    Open connections end too.
  - The host is read back after the change. The task fails when the block is not in force.
  - Blocks end on time by the kernel itself, also when no controller ever comes back. Where the role P(riposte.active_response.agent#role)
    is installed, they come back after a reboot or a flushed firewall with the rest of their time.
  - Wazuh's C(firewall-drop) does this on Linux.
extends_documentation_fragment:
  - riposte.active_response.response
  - riposte.active_response.response.unix
  - riposte.active_response.attributes
options:
  targets:
    description:
      - IPv4 or IPv6 addresses, or networks with a prefix length such as V(198.51.100.0/24).
      - Any spelling of an IPv6 address will do; an IPv4-mapped address means the IPv4 address.
      - Thousands of them reach the host sooner as one text with commas between, since Ansible takes its time with every value of a list.
  backend:
    description:
      - What holds the blocks. V(auto) takes the one that already holds blocks on this host, else the first of
        V(nftables) and V(ipset) that works there, and says which and why in RV(responses[].message).
      - V(nftables) keeps them in a table of its own, C(inet riposte).
      - V(ipset) keeps them in the sets C(riposte4) and C(riposte6), matched from the chain C(RIPOSTE) in the raw table of
        iptables (legacy or nf_tables flavour).
    type: str
    choices: [auto, nftables, ipset]
    default: auto
seealso:
  - module: riposte.active_response.respond
  - module: riposte.active_response.response_info
"""

EXAMPLES = r"""
- name: Block an attacker for ten minutes
  riposte.active_response.firewall_drop:
    targets: [203.0.113.9]
    timeout: 10m
    reason: brute force seen by hand

- name: Block a network until a moment, and an IPv6 address with it
  riposte.active_response.firewall_drop:
    targets:
      - 198.51.100.0/24
      - 2001:db8:bad::1
    until: "{{ '%Y-%m-%dT%H:%M:%SZ' | strftime(now(utc=true).timestamp() | int + 3600, utc=true) }}"

- name: Block for good, which must be said
  riposte.active_response.firewall_drop:
    targets: [203.0.113.66]
    permanent: true

- name: Block what a file lists, an address a line, and hear only of those that could not be blocked
  riposte.active_response.firewall_drop:
    targets: "{{ lookup('ansible.builtin.file', 'blocklist.txt') | replace('\n', ',') }}"
    timeout: 1d
    returned: failures

- name: Release them
  riposte.active_response.firewall_drop:
    targets: [203.0.113.9, 203.0.113.66, 198.51.100.0/24, "2001:db8:bad::1"]
    state: absent
"""

RETURN = r"""
responses:
  description: One entry a target, in the order given; O(returned) says which.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The response's id in this host's ledger; V(null) when nothing stands.
      type: str
    response:
      description: The kind of response.
      type: str
    target:
      description: The target in its canonical spelling; a bad one as it was given.
      type: str
    state:
      description: The state asked for.
      type: str
    outcome:
      description: >-
        V(done), V(unchanged), V(refused) by the guard, V(held) by the breaker, or V(failed). In check mode what it would be.
      type: str
    changed:
      description: Whether the host was changed.
      type: bool
    backend:
      description: What holds the response.
      type: str
    since:
      description: When it began, ISO 8601 in UTC.
      type: str
    until:
      description: When it ends or ended, ISO 8601 in UTC; V(null) when it is permanent.
      type: str
    message:
      description: Why, for a person to read.
      type: str
    in_force:
      description: What was read back from the host after the change; V(null) in check mode and for a bad target.
      type: dict
    persisted:
      description: Whether the ledger has it. V(false) only when the disk is full.
      type: bool
  sample:
    - id: 5f0c2a9b1d3e
      response: firewall_drop
      target: 203.0.113.9
      state: present
      outcome: done
      changed: true
      backend: nftables
      since: "2026-11-24T03:53:03Z"
      until: "2026-11-24T04:03:03Z"
      message: nftables (the first of nftables, ipset that works here)
      in_force: {blocked: true, set: inet riposte v4_32}
      persisted: true
summary:
  description: How many targets had each outcome.
  returned: always
  type: dict
  sample: {done: 1, unchanged: 0, refused: 0, held: 0, failed: 0}
"""

from ansible_collections.riposte.active_response.plugins.module_utils.module import BACKEND, run_one


def main() -> None:
    run_one("firewall_drop", {"backend": BACKEND})


if __name__ == "__main__":
    main()
