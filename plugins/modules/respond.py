#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: respond
short_description: Carry out any number of responses on a host in one call
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Takes responses of all kinds for this host, and releases by name, and does them in one visit. Each kind is one transaction on its backend.
  - This is what the playbook C(riposte.active_response.respond) runs with what M(riposte.active_response.plan) found.
  - A refusal by the guard, what the breaker holds, and bad input are outcomes in RV(responses). The task fails only when an outcome is V(failed).
extends_documentation_fragment:
  - riposte.active_response.attributes
options:
  responses:
    description:
      - What to do, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      response:
        description:
          - The kind of response.
        type: str
        required: true
        choices: [firewall_drop, disable_account]
      targets:
        description:
          - What it acts on, as the module of that name says.
        type: list
        elements: str
        required: true
      state:
        description:
          - V(absent) releases.
        type: str
        choices: [present, absent]
        default: present
      timeout:
        description:
          - How long it stands, V(600), V(10m), V(2h), V(1d).
        type: str
      until:
        description:
          - When it ends, ISO 8601 with a zone, or epoch seconds.
        type: str
      permanent:
        description:
          - Whether it stands until it is released.
        type: bool
        default: false
      since:
        description:
          - What the timeout counts from. Now, if not given.
        type: str
      repeated_offenders:
        description:
          - Timeouts for repeats, see M(riposte.active_response.firewall_drop).
        type: list
        elements: str
        default: []
      offences:
        description:
          - Offences known elsewhere, see M(riposte.active_response.firewall_drop).
        type: int
        default: 0
      reason:
        description:
          - Why, for people.
        type: str
        default: ""
      alert_id:
        description:
          - The alert that called for it. Counts for the breaker.
        type: str
        default: ""
      backend:
        description:
          - For V(firewall_drop), see M(riposte.active_response.firewall_drop).
        type: str
        choices: [auto, nftables, ipset]
        default: auto
      end_sessions:
        description:
          - For V(disable_account), see M(riposte.active_response.disable_account).
        type: bool
        default: true
      protect:
        description:
          - More targets that must not be hit.
        type: list
        elements: str
        default: []
      override:
        description:
          - Guard entries to pass over, by name.
        type: list
        elements: str
        default: []
  release:
    description:
      - Names under which something may stand on this host, be it a response's id, an alert's id, an address or an account.
        Everything that stands under such a name is released, after the O(responses).
    type: list
    elements: str
    default: []
  returned:
    description:
      - Which entries RV(responses) has. V(changed) leaves out those that were found as they should be, V(failures) also those that were done.
        With O(spool) or O(audit) it must be V(all).
    type: str
    choices: [all, changed, failures]
    default: all
  spool:
    description:
      - The spool whose O(batch) this is for, see M(riposte.active_response.plan). What the host says is recorded there, by the controller;
        the host never sees this option.
      - The playbook C(riposte.active_response.respond) gives it; O(responses) must be those of the plan for that batch.
    type: str
  batch:
    description:
      - The batch of the O(spool). When it is no longer this run's, nothing is done.
    type: int
  audit:
    description:
      - A file on the controller to which a line of JSON is added for each target. Not in check mode.
    type: str
seealso:
  - module: riposte.active_response.firewall_drop
  - module: riposte.active_response.disable_account
"""

EXAMPLES = r"""
- name: A block and a lock in one call
  riposte.active_response.respond:
    responses:
      - response: firewall_drop
        targets: [203.0.113.9]
        timeout: 10m
        alert_id: "1795492383.6793"
      - response: disable_account
        targets: [mallory]
        permanent: true
        alert_id: "1795492383.6793"

- name: Release everything that this alert called for
  riposte.active_response.respond:
    release: ["1795492383.6793"]
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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.riposte.active_response.plugins.module_utils.host.kind import KINDS
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import FAILED
from ansible_collections.riposte.active_response.plugins.module_utils.module import (
    BACKEND,
    END_SESSIONS,
    RETURNED,
    engine,
    leave,
    request,
    response_options,
)


def main() -> None:
    kind = {"type": "str", "choices": list(KINDS), "required": True}
    options = response_options(response=kind, backend=BACKEND, end_sessions=END_SESSIONS)
    module = AnsibleModule(
        argument_spec={
            "responses": {"type": "list", "elements": "dict", "default": [], "options": options},
            "release": {"type": "list", "elements": "str", "default": []},
            "returned": RETURNED,
            "spool": {"type": "str"},  # these three are for the action plugin, which keeps them
            "audit": {"type": "str"},
            "batch": {"type": "int"},
        },
        supports_check_mode=True,
    )
    host = engine(module)
    report = host.respond([request(each["response"], each) for each in module.params["responses"]], module.check_mode)
    if module.params["release"]:
        released = host.release(module.params["release"], module.check_mode)
        report.results += released.results
        report.warnings += released.warnings
    leave(module, report, [FAILED])


if __name__ == "__main__":
    main()
