#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation page of an action plugin; all of it runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: approve
short_description: Say which responses that wait for a person are to be done
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - A rule of a policy whose C(mode) is V(approve) does nothing by itself. What it calls for waits in the spool of the event source
    C(riposte.active_response.wazuh), until a person has approved or rejected it, or a week has passed.
  - Without O(approved) and O(rejected) it shows what waits.
  - What is approved is handed out at once, by the rulebook that hands out everything else. It is done for the hosts that were shown, and no others.
    Its timeout counts from the moment of approval, and so does the policy's C(max_age).
  - The policy as it is then has the last word. A rule that is gone, or only observes by then, does nothing.
  - It must run on the machine of that rulebook, as the user that owns the spool.
extends_documentation_fragment:
  - riposte.active_response.attributes.controller
options:
  spool:
    description:
      - The directory in which the event source keeps its alerts.
    type: str
    required: true
  approved:
    description:
      - Ids of alerts. What waits of them is to be done.
      - To approve again what was approved changes nothing. What was rejected stays so, unless its rule is named in O(rules).
    type: list
    elements: str
    default: []
  rejected:
    description:
      - Ids of alerts. What waits of them is not to be done. What was approved cannot be rejected any more. Release it.
    type: list
    elements: str
    default: []
  rules:
    description:
      - Only what these rules of the policy call for. All rules, if none is given.
    type: list
    elements: str
    default: []
  by:
    description:
      - Who says so, for the record. The user who runs C(ansible-playbook), also behind C(sudo), if not given.
    type: str
  wait:
    description:
      - For how many seconds to wait until the hosts have answered, at most 3600.
    type: int
    default: 0
  audit:
    description:
      - A file on the controller to which a line of JSON is added for each rule of an alert that is approved or rejected. Not in check mode.
    type: str
attributes:
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
seealso:
  - module: riposte.active_response.plan
  - module: riposte.active_response.respond
"""

EXAMPLES = r"""
- name: What waits?
  riposte.active_response.approve:
    spool: /var/lib/riposte-responder/spool
  delegate_to: localhost
  run_once: true
  register: approvals

- name: Show it
  ansible.builtin.debug:
    msg: "{{ approvals.waiting | riposte.active_response.table(['alert_id', 'rule', 'response', 'target', 'hosts', 'description']) }}"

- name: Have it done, and wait for the answers
  riposte.active_response.approve:
    spool: /var/lib/riposte-responder/spool
    approved: ["1795492383.6793"]
    wait: 60
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
waiting:
  description: What nobody has approved or rejected, the oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    alert_id:
      description: The alert's id, as O(approved) and O(rejected) take it.
      type: str
    since:
      description: When the alert was accepted.
      type: str
    alert_rule:
      description: The id of the Wazuh rule that raised it.
      type: str
    level:
      description: Its level.
      type: int
    description:
      description: What Wazuh says about it. Safe to print.
      type: str
    rule:
      description: The rule of the policy.
      type: str
    response:
      description: The kind of response.
      type: str
    target:
      description: What it would act on.
      type: str
    hosts:
      description: The hosts it would be for.
      type: list
      elements: str
said:
  description: What was said now and not before; in check mode, what would be.
  returned: success
  type: list
  elements: dict
  contains:
    alert_id:
      description: The alert.
      type: str
    rule:
      description: The rule of the policy.
      type: str
    said:
      description: V(approved) or V(rejected).
      type: str
    by:
      description: Who said so.
      type: str
answers:
  description: Of alerts approved now, what each host has answered so far.
  returned: success
  type: list
  elements: dict
  contains:
    alert_id:
      description: The alert.
      type: str
    host:
      description: The host.
      type: str
    response:
      description: The kind of response.
      type: str
    target:
      description: What it acted on.
      type: str
    outcome:
      description: As M(riposte.active_response.respond) returns it; V(unreachable) and V(unanswered) are tried again; empty, no word yet.
      type: str
    message:
      description: What the host said.
      type: str
unfinished:
  description: Alerts approved now that have not come to their end.
  returned: success
  type: list
  elements: str
handing_out:
  description: Whether a rulebook hands out what is in this spool. What is approved waits for one.
  returned: success
  type: bool
"""
