# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's inventory as a plan looks at it."""

from __future__ import annotations

from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.alert.inventory import Inventory


def inventory_of(task_vars: dict[str, Any]) -> Inventory:
    """Raw host variables: nothing is templated, so that 10,000 hosts take seconds and no host's template can fail the plan for all."""
    hostvars, groups = task_vars["hostvars"], task_vars["groups"]
    raw = {str(name): hostvars.raw_get(name) for name in groups["all"]}
    said = {name: variables.get("ansible_host") for name, variables in raw.items()}
    return Inventory(
        {name: variables.get("wazuh_agent_id") for name, variables in raw.items()},
        {str(group): [str(name) for name in names] for group, names in groups.items()},
        {name: str(address) if isinstance(address, str) else name for name, address in said.items()},
    )
