# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documented in plugins/modules/policy_check.py. Runs on the controller; all thinking is in module_utils/alert."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.alert.inventory import Inventory
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import Policy
from ansible_collections.riposte.active_response.plugins.module_utils.alert.rehearsal import Rehearsal, described
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.host.guard import GuardFile, parse_guard_file
from ansible_collections.riposte.active_response.plugins.plugin_utils.alert_files import alert_files, is_spool, read_alert_file, spool_pieces
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import content_of, full_path, replace_file, writing
from ansible_collections.riposte.active_response.plugins.plugin_utils.policy_file import NotYaml, examine_policy_file, listed
from ansible_collections.riposte.active_response.plugins.plugin_utils.raw_inventory import inventory_of

OPTIONS = {
    "policy": {"type": "str", "required": True},
    "alerts": {"type": "str"},
    "guard": {"type": "str"},
    "most": {"type": "int", "default": 200},
    "report": {"type": "str"},
}
LARGEST_GUARD = 4 << 20
MOST_PROBLEMS = 100


class ActionModule(ControllerAction):
    OPTIONS = OPTIONS

    def answer(self, options: dict[str, Any], check: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        answer = _checked_policy(options, task_vars)
        if options["report"] is not None and not check:
            _report(full_path(options["report"]), answer)
        return answer


def _checked_policy(options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    path = options["policy"]
    try:
        policy, flaws, notes = examine_policy_file(path)
    except NotYaml as error:
        return _bad(str(error), [{"line": error.line, "key": "", "message": str(error)}])
    if policy is None:
        errors = [{"line": flaw.line, "key": flaw.key, "message": flaw.message} for flaw in flaws]
        return _bad(listed(f"policy {path}: this must be mended", [str(flaw) for flaw in flaws]), errors)
    guard = _guard(options["guard"])
    inventory = inventory_of(task_vars)
    rehearsal = Rehearsal(policy, inventory, guard, options["most"])  # also looks the allow list's hosts up
    problems = _heard(rehearsal, options["alerts"]) if options["alerts"] is not None else []
    if options["alerts"] is not None and not rehearsal.result.alerts:
        raise BadInput(listed(f"alerts {options['alerts']}: there is no alert in it", problems))
    return {
        "errors": [],
        "notes": notes + _never_hit(policy, inventory),
        "policy": {"mode": policy.mode, "max_age": policy.max_age, "responses": described(policy)},
        **rehearsal.result.as_dict(),
        "problems": inventory.problems + problems,
    }


def _bad(message: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"failed": True, "msg": message, "errors": errors}


def _guard(path: str | None) -> GuardFile:
    if path is None:
        return GuardFile()
    return parse_guard_file(content_of(path, "guard", LARGEST_GUARD).decode(errors="backslashreplace"), path)


def _heard(rehearsal: Rehearsal, path: str) -> list[str]:
    problems: list[str] = []
    left_out = 0
    for piece in spool_pieces(path) if is_spool(path) else (piece for file in alert_files(path) for piece in read_alert_file(file)):
        for alert in piece.alerts:
            rehearsal.hear(alert)
        room = MOST_PROBLEMS - len(problems)
        problems += piece.problems[:room]
        left_out += len(piece.problems[room:])
    rehearsal.play()
    return problems + ([f"and {left_out} more"] if left_out else [])


def _never_hit(policy: Policy, inventory: Inventory) -> list[str]:
    """Groups and agents that the policy names and the inventory does not have: not wrong in itself, an inventory changes."""
    return [f"rule {rule.name}: {missing}" for rule in policy.rules for response in rule.responses if (missing := inventory.missing(response.hosts))]


def _report(path: str, answer: dict[str, Any]) -> None:
    """For its owner only: alerts are nobody else's to read."""
    with writing(path, "report"):
        replace_file(path, f"{json.dumps(answer, indent=1)}\n".encode(), 0o600)
