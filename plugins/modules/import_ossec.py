#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation page of an action plugin; all of it runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: import_ossec
short_description: Make a policy and a guard file of a Wazuh manager's ossec.conf
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Reads the active responses of Wazuh 4 (C(<command>), C(<active-response>), C(<white_list>), an agent's C(<repeated_offenders>)) and writes files that do the
    same. C(policy.yml) is for M(riposte.active_response.plan), C(guard.conf) is the never-list for the hosts,
    C(notes.md) tells, line by line, what Wazuh was told and never did, and what happens here instead.
  - Wazuh starts a response when any of C(level), C(rules_group) and C(rules_id) is met. A rule of a policy asks for all that it names,
    so one active response can become several rules.
  - The policy is in mode V(observe). It acts only after its owner has written V(enforce).
  - A response without a timeout is written as permanent, with a note. What cannot be had here is left out, with a note.
  - When no active response can be imported there is no C(policy.yml), and one from before is removed.
  - The file is read as Wazuh reads it, which is not as XML is read. Document types and entities are refused. It is never evaluated.
extends_documentation_fragment:
  - riposte.active_response.attributes.controller
options:
  ossec_conf:
    description:
      - The manager's C(ossec.conf), on the controller.
      - A relative path counts from the directory in which C(ansible-playbook) was started.
    type: str
    required: true
  agent_conf:
    description:
      - An agent's own C(ossec.conf), on the controller. Its C(<repeated_offenders>) goes to all responses that have a timeout.
      - The C(agent.conf) of a group can be given too. Wazuh reads no C(<repeated_offenders>) there; a note says so.
    type: str
  out:
    description:
      - The directory on the controller to write the files to. It is made when it is not there.
    type: str
    required: true
  force:
    description:
      - Whether to write over a file that was not written by this module, or was edited since.
    type: bool
    default: false
attributes:
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
seealso:
  - module: riposte.active_response.plan
  - module: riposte.active_response.policy_check
"""

EXAMPLES = r"""
- name: Make a policy of what Wazuh was told
  riposte.active_response.import_ossec:
    ossec_conf: manager/ossec.conf
    agent_conf: agent/ossec.conf
    out: riposte
  delegate_to: localhost
  run_once: true
  register: imported

- name: What Wazuh never did
  ansible.builtin.debug:
    msg: "{{ imported.notes | map(attribute='text') | list }}"
"""

RETURN = r"""
files:
  description: C(policy.yml), C(guard.conf) and C(notes.md), in this order.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    state:
      description: >-
        V(written), V(unchanged), V(removed), or V(absent) when there is nothing to put into it. In check mode what it would be.
      type: str
rules:
  description: How many rules the policy has.
  returned: success
  type: int
  sample: 3
addresses:
  description: The addresses and networks of the guard file.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.10, 10.0.0.0/8]
notes:
  description: What to know, in the order of the lines.
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: The file it is about.
      type: str
    line:
      description: The line in it.
      type: int
    wazuh:
      description: What Wazuh does with it.
      type: str
    here:
      description: What is done instead.
      type: str
    text:
      description: All of it in one.
      type: str
  sample:
    - file: ossec.conf
      line: 12
      wazuh: rule 5712 is silent for 60 seconds after it was raised, also about other attackers.
      here: it acts on each alert there is; this silence is in Wazuh's rule (ignore=60).
      text: "ossec.conf, line 12: rule 5712 is silent ... Here: it acts on ..."
"""
