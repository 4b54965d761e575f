# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that every kind of response takes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  targets:
    description:
      - What the response acts on. In a list with a bad or refused entry the good ones are done and the others named.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) puts the response into force, V(absent) releases it.
      - A release takes away what this collection put there, nothing else, and puts back what was there before.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description:
      - How long the response stands, as seconds or with a unit, V(600), V(10m), V(2h), V(1d). At most 366 days.
      - It is relative, so a repeat leaves a standing end alone.
      - With O(state=present) exactly one of O(timeout), O(until) and O(permanent) must be given.
    type: str
  until:
    description:
      - When the response ends, as ISO 8601 with a zone such as V(2026-11-24T08:00:00Z), or as epoch seconds.
      - It is absolute. Of two ends the later wins.
    type: str
  permanent:
    description:
      - Whether the response stands until it is released.
    type: bool
    default: false
  since:
    description:
      - The moment from which O(timeout) counts, in the form of O(until). For what was accepted earlier and comes late.
      - Now, if not given. When the end has passed already, nothing is put into force and the entry fails.
    type: str
  reason:
    description:
      - Why, for the people who read the report. Control characters are escaped, at most 500 characters are kept.
    type: str
    default: ""
  alert_id:
    description:
      - The id of the alert that called for the response. It can be used to release it.
      - Responses with an alert id count for the host's breaker, which holds them when there are too many at once.
    type: str
    default: ""
  protect:
    description:
      - More targets that must not be hit, beside the host's own never-list.
    type: list
    elements: str
    default: []
  override:
    description:
      - Names of guard entries to pass over, as a refusal tells them. For addresses V(loopback), V(unspecified), V(multicast), V(broadcast),
        V(link_local), V(wide_network), V(own_address), V(gateway), V(resolver), V(session), V(wazuh_manager); for accounts V(root),
        V(account_in_use), V(admin_group), V(system_account); for both V(never:ENTRY), an entry of the never-list.
      - There is no name for all of them.
    type: list
    elements: str
    default: []
"""

    # What needs the ledger of a Unix host.
    UNIX = r"""
options:
  repeated_offenders:
    description:
      - Timeouts for a target that alerts have had put into force before on this host, for the first repeat, the second, and so on; the last one holds for
        all that follow. O(timeout) is for the first time. What stands already is no repeat, however many alerts name it.
      - Counted are responses with an O(alert_id) that are over, as far back as the host keeps its history, 90 days.
    type: list
    elements: str
    default: []
  offences:
    description:
      - How many offences of these targets are known elsewhere, such as on the other hosts of a fleet. For O(repeated_offenders) the greater number counts,
        this one or what this host has seen.
    type: int
    default: 0
  returned:
    description:
      - Which entries RV(responses) has. V(changed) leaves out those that were found as they should be, V(failures) also those that were done;
        RV(summary) counts all. Ansible takes its time with every value of a long result.
    type: str
    choices: [all, changed, failures]
    default: all
"""
