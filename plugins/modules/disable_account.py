#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disable_account
short_description: Lock local accounts and end their sessions, for a time
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Locks the password and expires the account, so that neither password nor SSH key lets it in, then ends its sessions and processes.
  - The release puts back what was there before, byte for byte. An account that an administrator had locked stays locked.
  - A local account is what has a line in C(/etc/shadow). Accounts of a directory are refused with a message.
  - Linux only so far.
  - No system ends a lock by itself. O(timeout) and O(until) need the tick that the role P(riposte.active_response.agent#role)
    installs; without it they are refused.
  - Wazuh's C(disable-account) does this on Linux.
extends_documentation_fragment:
  - riposte.active_response.response
  - riposte.active_response.response.unix
  - riposte.active_response.attributes
options:
  targets:
    description:
      - Names of local accounts.
  end_sessions:
    description:
      - Whether to end every process of the account, its sessions with them.
    type: bool
    default: true
seealso:
  - module: riposte.active_response.respond
  - module: riposte.active_response.response_info
"""

EXAMPLES = r"""
- name: Lock an account for good, which must be said
  riposte.active_response.disable_account:
    targets: [mallory]
    permanent: true
    reason: password sprayed

- name: Lock it for two hours, on a host that has the role agent
  riposte.active_response.disable_account:
    targets: [mallory]
    timeout: 2h

- name: Give it back
  riposte.active_response.disable_account:
    targets: [mallory]
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
      response: disable_account
      target: mallory
      state: present
      outcome: done
      changed: true
      backend: shadow
      since: "2026-11-24T03:53:03Z"
      until: "2026-11-24T05:53:03Z"
      message: shadow (the one there is)
      in_force: {password_locked: true, expired: true}
      persisted: true
summary:
  description: How many targets had each outcome.
  returned: always
  type: dict
  sample: {done: 1, unchanged: 0, refused: 0, held: 0, failed: 0}
"""

from ansible_collections.riposte.active_response.plugins.module_utils.module import END_SESSIONS, run_one


def main() -> None:
    run_one("disable_account", {"end_sessions": END_SESSIONS})


if __name__ == "__main__":
    main()
