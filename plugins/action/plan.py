# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documented in plugins/modules/plan.py. Runs on the controller; all thinking is in module_utils/alert."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.riposte.active_response.plugins.module_utils.alert.alert import read_alerts
from ansible_collections.riposte.active_response.plugins.module_utils.alert.plan import Inventory, make_plan
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import Policy, read_policy
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import parse_moment
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import content_of
from ansible_collections.riposte.active_response.plugins.plugin_utils.untrusted import untrusted

OPTIONS = {"alerts": {"type": "str", "required": True}, "policy": {"type": "str", "required": True}, "since": {"type": "str"}}
LARGEST_ALERTS = 64 << 20
LARGEST_POLICY = 4 << 20
SHOWN = 100


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(OPTIONS)
        try:
            answer = _plan(options, task_vars or {})
        except Problem as problem:
            answer = {"failed": True, "msg": str(problem)}
        return dict(untrusted({"changed": False, **answer}))


def _plan(options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    if options["since"] is not None:
        parse_moment("since", options["since"])
    policy = _policy(options["policy"])
    alerts, unread = read_alerts(content_of(options["alerts"], "alerts", LARGEST_ALERTS))
    problems = [f"{options['alerts']}, {where}: {why}" for where, why in unread]
    if not alerts:
        raise BadInput(_listed(f"alerts {options['alerts']}: there is no alert in this file", problems))
    plan = make_plan(alerts, policy, _inventory(task_vars), options["since"])
    return {
        "mode": policy.mode,
        "hosts": plan.hosts,
        "decisions": [decision.as_dict() for decision in plan.decisions],
        "problems": problems + plan.problems,
    }


def _listed(message: str, items: list[str]) -> str:
    more = [f"and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return "\n- ".join([message, *items[:SHOWN], *more])


class _Loader(yaml.SafeLoader):
    """YAML in which a key must not be there twice: which of the two counts would be a guess."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _policy(path: str) -> Policy:
    content = content_of(path, "policy", LARGEST_POLICY)
    try:
        data = yaml.load(content, _Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"policy {path}: it is not YAML: {error}") from error
    policy, errors = read_policy(data)
    if policy is None:
        raise BadInput(_listed(f"policy {path}: nothing is done until this is mended", errors))
    return policy


def _inventory(task_vars: dict[str, Any]) -> Inventory:
    """Raw host variables: nothing is templated, so that 10,000 hosts take seconds and no host's template can fail the plan for all."""
    hostvars, groups = task_vars["hostvars"], task_vars["groups"]
    agent_ids = {str(name): hostvars.raw_get(name).get("wazuh_agent_id") for name in groups["all"]}
    return Inventory(agent_ids, {str(group): [str(name) for name in names] for group, names in groups.items()})
