# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a practice host beside the engine (see on_host.py): one call as JSON on standard input, the answer as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ansible_collections.riposte.active_response.plugins.module_utils.host.engine import Engine
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import Request
from ansible_collections.riposte.active_response.plugins.module_utils.host.runner import Completed


def run(argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
    try:
        done = subprocess.run(list(argv), input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{argv[0]}: {error}") from error
    return Completed(done.returncode, done.stdout, done.stderr)


def main() -> None:
    call: dict[str, Any] = json.load(sys.stdin)
    engine = Engine(run)
    if call["what"] == "respond":
        report = engine.respond([Request(**each) for each in call["requests"]], call["check"])
    elif call["what"] == "release":
        report = engine.release(call["names"], call["check"])
    else:
        report = engine.tick(call["check"])
    answer = {"changed": report.changed, "responses": [each.as_dict() for each in report.results], "summary": report.summary()}
    json.dump({**answer, "warnings": report.warnings}, sys.stdout)


if __name__ == "__main__":
    main()
