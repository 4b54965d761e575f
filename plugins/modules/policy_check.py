#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation page of an action plugin; all of it runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: policy_check
short_description: Check a policy, and show what it would make of alerts
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Reads a policy and tells everything that is wrong with it at once, each with its line and key. It fails when anything is.
  - Given alerts of the past, it shows what the policy would make of them, and why or why not. It shows the rule that matched, what was found in the alert,
    the hosts, what the allow list spares, what the guard of every host would refuse, and what the breakers would hold.
  - It changes nothing, and connects to no host. What only a host knows, such as its own addresses, its gateways and what stands there already,
    is not looked at.
  - Alerts are taken in the order of the files. Their own time counts, the policy's C(max_age) does not. The alerts of one minute are taken for one run.
extends_documentation_fragment:
  - riposte.active_response.attributes.controller
options:
  policy:
    description:
      - The YAML file on the controller. Its keys are described in C(docs/policy-example.yml), and in C(docs/policy.schema.json) for editors.
      - A relative path counts from the directory in which C(ansible-playbook) was started; one inside of the policy from where the policy is.
    type: str
    required: true
  alerts:
    description:
      - A file on the controller with one alert, a JSON list of alerts, or one alert a line. One with the ending C(.gz) is unpacked.
      - A directory means all files in and under it that end in C(.json), C(.jsonl), C(.ndjson), with C(.gz) behind it or not.
        So Wazuh's C(/var/ossec/logs/alerts/2026) will do.
      - A directory in which the event source C(riposte.active_response.wazuh) keeps its alerts means those, for as long as it keeps them, a week.
        It must belong to the user who runs this.
      - When it is not given, only the policy is checked.
    type: str
  guard:
    description:
      - A guard file as the hosts have it (C(/etc/riposte/guard.conf)), on the controller. Its never-list is looked at.
    type: str
  most:
    description:
      - How many of RV(decisions) to return, those by which something would be done first. All are counted.
    type: int
    default: 200
  report:
    description:
      - A file on the controller to write all that is returned to, as JSON. Only its owner can read it. Not written in check mode.
    type: str
attributes:
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
seealso:
  - module: riposte.active_response.plan
  - plugin: riposte.active_response.table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What would it have done this month?
  riposte.active_response.policy_check:
    policy: policy.yml
    alerts: /var/ossec/logs/alerts/2026/Nov
    guard: guard.conf
  delegate_to: localhost
  run_once: true
  register: check

- name: Show it
  ansible.builtin.debug:
    msg: "{{ check.decisions | riposte.active_response.table(['alert_id', 'outcome', 'target', 'hosts', 'why']) }}"
"""

RETURN = r"""
errors:
  description: What is wrong with the policy, in the order of its lines.
  returned: when the policy could be read
  type: list
  elements: dict
  contains:
    line:
      description: The line in the file, V(null) when it is not known.
      type: int
    key:
      description: The path of the key.
      type: str
      sample: rules[0].match.level
    message:
      description: The key, the value, and the rule it breaks.
      type: str
notes:
  description: What to know about the policy, such as an entry of a list that spares nobody, or a group that the inventory does not have. Safe to print.
  returned: success
  type: list
  elements: str
policy:
  description: What the policy says, in words.
  returned: success
  type: dict
  contains:
    mode:
      description: Its mode.
      type: str
    max_age:
      description: In seconds, how old an alert may be that is still answered.
      type: int
    responses:
      description: >-
        For each response the C(rule), its C(mode) and C(match), the C(response), what of an alert it is C(of), on which C(hosts),
        how long it C(stands).
      type: list
      elements: dict
alerts:
  description: How many alerts there were.
  returned: success
  type: int
runs:
  description: How many runs they make.
  returned: success
  type: int
first:
  description: The moment of the first alert.
  returned: success
  type: str
last:
  description: The moment of the last alert.
  returned: success
  type: str
outcomes:
  description:
    - How many decisions came to what. V(planned), it would be done. V(would), it would if the mode was not V(observe). V(pending), it would wait for approval.
      V(held), a breaker would hold it, also of what is only observed. V(refused), the guard of each host would refuse it. V(nothing), nothing is called for.
  returned: success
  type: dict
  sample: {planned: 3, would: 0, pending: 0, held: 1, refused: 0, nothing: 20}
held_by:
  description: How many each breaker would hold.
  returned: success
  type: dict
  sample: {blocks_per_minute: 1}
rules:
  description: The same as RV(outcomes) for each rule and response of the policy.
  returned: success
  type: list
  elements: dict
unanswered:
  description: The alerts that no rule is for, or that start nothing by their nature, by Wazuh rule and reason, the most frequent first.
  returned: success
  type: list
  elements: dict
  contains:
    alert_rule:
      description: The id of the Wazuh rule.
      type: str
    alerts:
      description: How many alerts.
      type: int
    example:
      description: The id of one of them.
      type: str
    why:
      description: Why nothing is called for. Safe to print.
      type: str
decisions:
  description:
    - Decisions that a rule of the policy made, as M(riposte.active_response.plan) returns them, with outcome V(refused) besides.
      Those by which nothing would be done come last.
  returned: success
  type: list
  elements: dict
left_out:
  description: How many decisions are not in RV(decisions).
  returned: success
  type: int
problems:
  description: What in the files is no alert, and which host's C(wazuh_agent_id) cannot be understood. Safe to print.
  returned: success
  type: list
  elements: str
"""
