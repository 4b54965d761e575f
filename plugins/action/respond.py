# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Picks the module that does the responses on this host. Options pass as they are.

For a batch of the spool it also records what the host said, right here: a later task would never be reached by a run that is killed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import Problem
from ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime import parse_moment
from ansible_collections.riposte.active_response.plugins.plugin_utils import audit
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import full_path
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.lease import at_work
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import UNANSWERED, UNREACHABLE, Answer

MODULE = "riposte.active_response.respond"


class ActionModule(ActionBase):
    _supports_async = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if getattr(self._connection._shell, "_IS_WINDOWS", False):
            raise AnsibleActionFail("respond: this is a Windows host, and win_respond is not built yet; nothing was done here")
        args = dict(self._task.args)
        book, batch, path = args.pop("spool", None), args.pop("batch", None), args.pop("audit", None)
        if (book is None) != (batch is None):
            raise AnsibleActionFail("respond: spool and batch go together")
        if self._task.check_mode or self._task.async_val:
            if book is not None:
                raise AnsibleActionFail("respond: a batch is not for async nor for check mode; nothing was done here")
            path = None
        if (book is not None or path) and args.get("returned") not in (None, "all"):
            raise AnsibleActionFail("respond: returned: what goes into spool or audit must be returned whole; nothing was done here")
        if book is None and not path:
            result.update(self._execute_module(MODULE, args, task_vars=task_vars, wrap_async=self._task.async_val))
            return result
        try:
            result.update(self._recorded(book and str(book), batch and int(batch), str(path or ""), args, task_vars or {}))
        except Problem as problem:
            raise AnsibleActionFail(f"respond: {problem}") from problem
        return result

    def _recorded(self, book: str | None, batch: int | None, path: str, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Does it, a batch only as long as it is this run's, and records what became of it."""
        host, requests = str(task_vars["inventory_hostname"]), args.get("responses") or []
        with nullcontext() if book is None else at_work(full_path(book)) as spool:
            if spool is not None:
                spool.still_running(batch)

            def keep(answers: list[Answer]) -> str:
                if spool is not None:
                    spool.record(batch, host, answers, time.time())
                return str(audit.write(path, [audit.outcome(host, answer, batch) for answer in answers]))

            try:
                result: dict[str, Any] = self._execute_module(MODULE, args, task_vars=task_vars)
            except BaseException as failure:  # also when the task's time is up
                outcome = UNREACHABLE if isinstance(failure, AnsibleConnectionFailure) else UNANSWERED
                keep(_silence(requests, outcome, str(failure) or type(failure).__name__))
                raise
            warning = keep(_answers(requests, result))
        return {**result, "warnings": [*result.get("warnings", []), warning]} if warning else result


def _answers(requests: list[Mapping[str, Any]], result: Mapping[str, Any]) -> list[Answer]:
    """The host's results, which come in the order of what was asked, by the alert that asked."""
    asked = [(request, target) for request in requests for target in request["targets"]]
    said = result.get("responses") or []
    if len(said) != len(asked) or any(each["response"] != request["response"] for each, (request, _target) in zip(said, asked)):
        outcome = UNREACHABLE if result.get("unreachable") else UNANSWERED
        return _silence(requests, outcome, str(result.get("msg") or result.get("module_stderr") or "the module said nothing about it"))
    return [
        Answer(str(request.get("alert_id", "")), str(request["response"]), str(target), str(each["outcome"]), str(each["message"]), _until(each))
        for each, (request, target) in zip(said, asked)
    ]


def _until(said: Mapping[str, Any]) -> float | None:
    return None if said["until"] is None else parse_moment("until", str(said["until"]))


def _silence(requests: list[Mapping[str, Any]], outcome: str, why: str) -> list[Answer]:
    return [
        Answer(str(request.get("alert_id", "")), str(request["response"]), str(target), outcome, why) for request in requests for target in request["targets"]
    ]
