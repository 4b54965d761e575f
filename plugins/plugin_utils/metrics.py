# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a spool stands, for Prometheus: as text, and as a file for the textfile collector of node_exporter.

    python -m ansible_collections.riposte.active_response.plugins.plugin_utils.metrics SPOOL FILE

reads the spool and writes nothing into it. It does so also when no rulebook runs: that is when a waiting alert must be seen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from ..module_utils.host.errors import Problem
from .controller_file import replace_file
from .spool.records import FAILED, NEW, TAKEN
from .spool.spool import Spool

PREFIX = "riposte_"


def text(figures: Mapping[str, Any] | None, now: float) -> str:
    """Prometheus' text format. figures: what `Spool.figures` returns; None: the spool could not be read."""
    lines = _gauge("spool_readable", "Whether the spool could be read.", {"": int(figures is not None)})
    lines += _gauge("written_seconds", "When these figures were taken, in epoch seconds.", {"": round(now, 3)})
    if figures is not None:
        alerts, responses = figures["alerts"], figures["responses"]
        lines += _gauge("alerts", "Alerts of the last week by state.", {f'state="{state}"': count for state, count in alerts.items()})
        lines += _gauge("queue", "Alerts that have not come to an end.", {"": alerts.get(NEW, 0) + alerts.get(TAKEN, 0)})
        lines += _gauge("oldest_unfinished_seconds", "How long the oldest of them has been here.", {"": round(figures["oldest_unfinished_seconds"], 3)})
        lines += _gauge("failed", "Alerts of the last week that were given up.", {"": alerts.get(FAILED, 0)})
        lines += _gauge("responses", "Responses of the last week by outcome.", {f'outcome="{outcome}"': count for outcome, count in responses.items()})
        lines += _gauge("pending", "Responses that wait until a person has approved them.", {"": figures["pending"]})
        lines += _gauge("dead", "What was put aside because it is no alert.", {"": figures["dead"]})
        lines += _counter("batches_total", "Batches handed out.", figures["batches"])
    return "\n".join([*lines, ""])


def _gauge(name: str, about: str, values: Mapping[str, float]) -> list[str]:
    """values: by label, as it is written; "" for none."""
    samples = [f"{PREFIX}{name}{label and f'{{{label}}}'} {value}" for label, value in values.items()]
    return [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} gauge", *samples]


def _counter(name: str, about: str, value: float) -> list[str]:
    return [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} counter", f"{PREFIX}{name} {value}"]


def write(path: str, content: str) -> None:
    """Replaces the file at once: who reads it sees all of the old or all of the new. The collector runs as another user, so all may read it."""
    replace_file(path, content.encode(), 0o644)


def main(spool: str, path: str) -> int:
    """Writes the file; a spool that cannot be read is in it as a figure, and on standard error."""
    figures = None
    now = time.time()
    try:
        opened = Spool.open(spool, make=False)
        try:
            figures = opened.figures(now)
        finally:
            opened.close()
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
    write(path, text(figures, now))
    return int(figures is None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
