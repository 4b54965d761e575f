# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Picks the module that does the responses on this host. Options pass as they are."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

MODULE = "riposte.active_response.respond"


class ActionModule(ActionBase):
    _supports_async = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if getattr(self._connection._shell, "_IS_WINDOWS", False):
            raise AnsibleActionFail("respond: this is a Windows host, and win_respond is not built yet; nothing was done here")
        result.update(self._execute_module(module_name=MODULE, task_vars=task_vars, wrap_async=self._task.async_val))
        return result
