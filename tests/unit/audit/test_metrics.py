# SPDX-License-Identifier: GPL-3.0-or-later
"""The spool's figures for Prometheus."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.plugin_utils import metrics
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Answer, Arrived, Delivery, Planned
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool

MODULE = "ansible_collections.riposte.active_response.plugins.plugin_utils.metrics"
COLLECTIONS = Path(__file__).parents[3] / ".venv/collections"
SAMPLE = re.compile(r'(riposte_[a-z_]+)(\{[a-z]+="[a-z]+"\})? (\d+(?:\.\d+)?)')


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.open(str(tmp_path / "spool"))


def samples(text: str) -> dict[str, float]:
    """What a scraper reads; a line that it would not read fails."""
    found: dict[str, float] = {}
    typed = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in typed
            assert match[1] + (match[2] or "") not in found
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def test_the_figures_are_those_of_the_spool(spool: Spool) -> None:
    now = time.time()
    spool.accept([Delivery([Arrived(str(number), "m", now - 100, "{}") for number in range(3)], "junk", "no alert")], now - 90)
    batch = spool.take(now, 2)
    assert batch is not None
    first, second = spool.begin(batch, 1, now)
    spool.plan(batch, [Planned(first.number, [("web1", "firewall_drop", "203.0.113.9")]), Planned(second.number, [], "too old", failed=True)], 3600, now)
    spool.record(batch, "web1", [Answer(first.id, "firewall_drop", "203.0.113.9", "held", "breaker")], now)
    spool.end(batch, now, 10)
    seen = samples(metrics.text(spool.figures(now), now))
    assert seen['riposte_alerts{state="answered"}'] == seen['riposte_alerts{state="failed"}'] == seen["riposte_failed"] == 1
    assert seen["riposte_queue"] == 1
    assert seen["riposte_oldest_unfinished_seconds"] == pytest.approx(90, abs=1)
    assert seen['riposte_responses{outcome="held"}'] == 1
    assert seen['riposte_responses{outcome="done"}'] == 0
    assert seen["riposte_dead"] == seen["riposte_batches_total"] == seen["riposte_spool_readable"] == 1


def test_an_unreadable_spool_is_a_figure_too() -> None:
    assert samples(metrics.text(None, 5)) == {"riposte_spool_readable": 0, "riposte_written_seconds": 5}


def test_as_a_program_it_replaces_the_file(spool: Spool, tmp_path: Path) -> None:
    target = tmp_path / "riposte.prom"
    target.write_text("old")

    def run(directory: Path) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", MODULE, str(directory), str(target)]
        return subprocess.run(argv, env={"PYTHONPATH": str(COLLECTIONS)}, capture_output=True, text=True, check=False)

    done = run(tmp_path / "spool")
    assert (done.returncode, done.stderr) == (0, "")
    assert samples(target.read_text())["riposte_queue"] == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    done = run(tmp_path / "nowhere")
    assert done.returncode == 1
    assert "there is no spool here" in done.stderr
    assert samples(target.read_text())["riposte_spool_readable"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"spool", "riposte.prom"}


def test_a_directory_that_is_not_there_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        metrics.write(str(tmp_path / "missing/x.prom"), "")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        metrics.write(str(tmp_path / "taken"), "")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
