# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins have in common that run on the controller alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

from ..module_utils.host.errors import Problem
from .untrusted import untrusted


class ControllerAction(ActionBase):
    """Options are checked, a Problem is told as a failure, and nothing that is returned is a template for Ansible."""

    TRANSFERS_FILES = False
    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    TOGETHER: ClassVar[Mapping[str, Any]] = {}  # which options go together, as validate_argument_spec takes it
    _requires_connection = False
    _supports_check_mode = True

    def answer(self, options: dict[str, Any], check: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The result; it has changed nothing unless it says so."""
        raise NotImplementedError

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(dict(self.OPTIONS), **self.TOGETHER)
        try:
            answer = self.answer(options, bool(self._task.check_mode), task_vars or {})
        except Problem as problem:
            answer = {"failed": True, "msg": str(problem)}
        return dict(untrusted({"changed": False, **answer}))
