# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints each task's result as one line of JSON, so that a test can read what a module said (see tests/integration/modules.py)."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: stdout
short_description: One line of JSON a task result
description: One line of JSON a task result.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # the tools know Ansible without its types
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "results"

    def v2_runner_on_ok(self, result: Any) -> None:
        self._print(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._print(result, failed=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._print(result, unreachable=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._print(result, skipped=True)

    def _print(self, result: Any, **marks: bool) -> None:
        # core 2.19 gave the three attributes public names
        host, task, answer = (getattr(result, name, None) or getattr(result, f"_{name}") for name in ("host", "task", "result"))
        kept = {name: value for name, value in answer.items() if not name.startswith("_ansible") and name != "invocation"}
        outcome = {"failed": False, "unreachable": False, "changed": False, **kept, **marks}
        self._display.display(json.dumps({"host": host.get_name(), "task": task.get_name(), "result": outcome}, default=str))
