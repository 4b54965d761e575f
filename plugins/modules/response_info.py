#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: response_info
short_description: Tell what stands on a host, why, until when, and whether it is in force
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Reads the host's ledger and the host itself, and shows both beside each other. Changes nothing.
extends_documentation_fragment:
  - riposte.active_response.attributes
options:
  history:
    description:
      - How many ended, held, refused and failed responses to tell as well, the last first.
    type: int
    default: 20
seealso:
  - module: riposte.active_response.respond
"""

EXAMPLES = r"""
- name: What stands here?
  riposte.active_response.response_info:
  register: riposte

- name: Everything that is recorded must be in force
  ansible.builtin.assert:
    that: riposte.responses | rejectattr('in_force.standing') | length == 0
"""

RETURN = r"""
responses:
  description: What stands on this host, one entry a response.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The response's id.
      type: str
    response:
      description: The kind of response.
      type: str
    target:
      description: What it acts on.
      type: str
    backend:
      description: What holds it.
      type: str
    since:
      description: When it began, ISO 8601 in UTC.
      type: str
    until:
      description: When it ends, ISO 8601 in UTC; V(null) when it is permanent.
      type: str
    reason:
      description: Why. Control characters are escaped.
      type: str
    alert_id:
      description: The alert that called for it.
      type: str
    origin:
      description: Who asked for it.
      type: str
    in_force:
      description: What was read from the host.
      type: dict
      contains:
        standing:
          description: Whether the response is in force.
          type: bool
  sample:
    - id: 5f0c2a9b1d3e
      response: firewall_drop
      target: 203.0.113.9
      backend: nftables
      since: "2026-11-24T03:53:03Z"
      until: "2026-11-24T04:03:03Z"
      reason: ssh brute force
      alert_id: "1795492383.6793"
      origin: ansible
      in_force: {standing: true, blocked: true, set: inet riposte v4_32}
history:
  description: The responses that ended last, with what ended them, newest first.
  returned: always
  type: list
  elements: dict
  contains:
    ended:
      description: When it ended, ISO 8601 in UTC.
      type: str
    ended_by:
      description: V(expired), V(released), V(failed), V(held) or V(refused).
      type: str
    message:
      description: Why it was held, refused or failed.
      type: str
tick:
  description: Why lifetimes cannot be left to this host's tick; V(null) when it runs.
  returned: always
  type: str
disabled:
  description: Whether the file C(/etc/riposte/disabled) keeps new responses from this host.
  returned: always
  type: bool
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.riposte.active_response.plugins.module_utils.host.tick import tick_problem
from ansible_collections.riposte.active_response.plugins.module_utils.module import engine


def main() -> None:
    module = AnsibleModule(argument_spec={"history": {"type": "int", "default": 20}}, supports_check_mode=True)
    host = engine(module)
    looks, ended, report = host.look(module.params["history"])
    for warning in report.warnings:
        module.warn(warning)
    answer: dict[str, Any] = {
        "changed": False,
        "responses": [look.as_dict() for look in looks],
        "history": [row.as_dict() for row in ended],
        "tick": tick_problem(host.runner, host.paths),
        "disabled": os.path.lexists(host.paths.disabled),
    }
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
