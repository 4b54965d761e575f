# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that change something: release and tick. One line for each thing done, for a terminal and the journal."""

from __future__ import annotations

import os
from collections.abc import Sequence

from engine.host.engine import Engine
from engine.host.lifetime import moment_text
from engine.host.response import FAILED, Report, Result, printable

TOLD = "var/lib/riposte/told"  # what Wazuh was told of and still holds


def release(engine: Engine, names: Sequence[str]) -> int:
    """Releases what stands under each name; a name under which nothing stands is said and is no failure."""
    return _told(engine.release(names))


def tick(engine: Engine) -> int:
    """The host's periodic job. Silent when there was nothing to do."""
    report = engine.tick()
    code = _told(report)
    os.utime(engine.paths.lock)  # when it ran last, for `check`; in memory, so that it costs no disk
    if report.results or report.warnings or os.path.exists(engine.paths.at(TOLD)):
        from .tell import tell_wazuh  # not at the top: most ticks do nothing

        tell_wazuh(engine, report)
    return code


def _told(report: Report) -> int:
    for each in report.results:
        print(line(each))
    for warning in report.warnings:
        print(f"warning: {warning}")
    return int(bool(report.warnings) or any(each.outcome == FAILED for each in report.results))


def line(each: Result) -> str:
    """One result as one line."""
    what = f"{each.response} {printable(each.target, 300)}".strip()
    if not each.changed:
        return f"{each.outcome}: {what}: {each.message or 'as it was'}"
    if each.state == "absent":
        return f"{each.outcome}: {what}: taken away"
    until = each.standing and each.standing.end
    return f"{each.outcome}: {what}: in force {f'until {moment_text(until)}' if until else 'for good'}; {each.message}"
