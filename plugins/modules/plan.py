#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation page of an action plugin; all of it runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Work out which host does what about a file of alerts
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Reads Wazuh alerts and a policy on the controller, looks up the hosts in the inventory, and returns what each host has to do,
    as M(riposte.active_response.respond) takes it.
    For each alert it says why, or why nothing is to be done. It changes nothing.
  - An alert acts on the host it came from unless the policy says more. That is the one host whose variable C(wazuh_agent_id) is the alert's agent id.
    No such host, or more than one, means nobody, and is reported. Write the id in quotes, as Wazuh shows it (V("012")), since YAML reads a bare V(012) as ten.
  - Agent V(000) is the Wazuh manager, and stands for every device that sends it syslog. It means a host only if a host's C(wazuh_agent_id) says V("000").
  - Alerts about active responses (Wazuh's rules 650 to 658, the groups C(active_response) and C(riposte)) start nothing.
    An alert id that comes twice is answered once.
  - Alerts are written by attackers. What they say is validated, bounded, and never evaluated.
    What is returned is marked so that Ansible does not evaluate it either.
extends_documentation_fragment:
  - riposte.active_response.attributes.controller
options:
  alerts:
    description:
      - A file on the controller with one alert as a JSON object, a JSON list of alerts, or one alert a line. Alerts of Wazuh 4 and Wazuh 5 are understood.
      - What in it is no alert is told in RV(problems), and the others are answered. It is an error when there is no alert in it at all.
      - A relative path counts from the directory in which C(ansible-playbook) was started.
      - Exactly one of O(alerts), O(alerts_b64) and O(spool) must be given.
    type: str
  alerts_b64:
    description:
      - The content of such a file in base64. What an attacker wrote is no template then on any way to here.
    type: str
  spool:
    description:
      - The directory in which the event source C(riposte.active_response.wazuh) keeps the alerts that it accepted.
        Timeouts count from the moment of acceptance. Who is to do what is recorded there; what a host has done already is left out.
        Alerts older than the policy's C(max_age) are given up.
      - It cannot be used in check mode, since a batch is handed out once.
    type: str
  batch:
    description:
      - The number of the batch of alerts in the O(spool) that was handed to this run. A run can begin only a batch that nobody has begun.
    type: int
  policy:
    description:
      - A YAML file on the controller that says which alerts call for which responses. Its keys are described in the example below.
        All its errors are told at once.
      - Rules and responses are taken in their order. Of two timeouts for one target on one host the first stands.
      - A relative path counts from the directory in which C(ansible-playbook) was started.
    type: str
    required: true
  approved:
    description:
      - Ids of alerts in O(alerts) that a person has approved. Rules whose C(mode) is V(approve) are enforced for these alerts; for others they are V(pending).
      - It is for alerts that are given here. What waits in a spool is approved by M(riposte.active_response.approve).
    type: list
    elements: str
    default: []
  audit:
    description:
      - A file on the controller to which a line of JSON is added for each alert and each decision. Not in check mode.
    type: str
  since:
    description:
      - The moment from which timeouts count, ISO 8601 with a zone, or epoch seconds.
        For alerts that were accepted earlier and are answered late, so that what comes late stands shorter, not longer.
      - When it is not given, a timeout counts from the moment the host gets to it.
    type: str
attributes:
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
notes:
  - C(wazuh_agent_id) is taken from the inventory as it stands. It is not templated, so that a plan over 10,000 hosts takes seconds.
seealso:
  - module: riposte.active_response.respond
  - plugin: riposte.active_response.table
    plugin_type: filter
"""

EXAMPLES = r"""
# A policy:
#
#   mode: enforce                  # observe | enforce; must be said. observe: tell what would be done, do nothing
#   max_age: 1h                    # what the spool has had for longer, or happened longer ago, is given up; an hour, if not said
#   find_hosts_by_name: false      # true: when no host has the agent's id, the host that is named like the agent will do
#   rules:
#     - name: ssh brute force
#       mode: observe              # for this rule only
#       match:                     # all that is given must hold
#         rule_ids: ["5712"]       # any of these rules of Wazuh (Wazuh 5: the rule's id or its sigma_id)
#         level: 10                # this level or higher (Wazuh 5: medium is 7, high is 12, critical is 15)
#         groups: [sshd]           # any of these rule groups (Wazuh 5: tags)
#       responses:
#         - response: firewall_drop
#           timeout: 10m           # one of timeout | until | permanent: true
#           repeated_offenders: [30m, 2h, 1d]   # instead of timeout: for the first repeat, the second, and all that follow
#           offences: fleet        # host (each host counts for itself; the default) | fleet (attacks on any host that came by the spool)
#           hosts: own             # own (the alert's agent; the default) | all | {groups: [web, mail]} | {agents: ["007"]}
#           reason: ssh            # instead of the rule's name
#           backend: auto          # firewall_drop only
#           override: [gateway]    # guard entries to pass over, by name
#         - response: disable_account   # its rule must name rule_ids; never hosts: all
#           timeout: 2h
#           end_sessions: true

- name: Work out what is to be done
  riposte.active_response.plan:
    alerts: /var/lib/alerts/today.json
    policy: /etc/riposte/policy.yml
  delegate_to: localhost
  run_once: true
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.decisions | riposte.active_response.table(['alert_id', 'outcome', 'target', 'hosts', 'why']) }}"
"""

RETURN = r"""
hosts:
  description:
    - For each host that has something to do, the O(riposte.active_response.respond#module:responses) to give it.
  returned: success
  type: dict
  sample:
    web1:
      - response: firewall_drop
        targets: [203.0.113.9]
        timeout: 10m
        reason: "ssh brute force (Wazuh rule 5712, level 10: sshd: brute force trying to get access to the system.)"
        alert_id: "1795492383.6793"
decisions:
  description: One entry for each alert and response that a rule of the policy calls for; one entry for an alert that calls for none. In the order of the file.
  returned: success
  type: list
  elements: dict
  contains:
    alert_id:
      description: The alert's id. One that has none, as in Wazuh 5, gets a digest of its content.
      type: str
    alert_rule:
      description: The id of the Wazuh rule that raised it.
      type: str
    outcome:
      description: V(planned), V(would) (the mode is V(observe)), V(pending) (the mode is V(approve)), V(held) (by a breaker), or V(nothing).
      type: str
    why:
      description: Where the target comes from and why these hosts; or why nothing is to be done. Safe to print.
      type: str
    rule:
      description: The rule of the policy.
      type: str
    response:
      description: The kind of response.
      type: str
    target:
      description: What it acts on, in its canonical spelling.
      type: str
    mode:
      description: The mode of the rule.
      type: str
    hosts:
      description: The hosts it is for.
      type: list
      elements: str
problems:
  description: What in the file of alerts is no alert, and which host's C(wazuh_agent_id) cannot be understood. Safe to print.
  returned: success
  type: list
  elements: str
mode:
  description: The mode of the policy.
  returned: success
  type: str
"""
