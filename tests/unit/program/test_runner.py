# SPDX-License-Identifier: GPL-3.0-or-later
"""How the program runs those of the system: their words whole, their time bounded, whatever they do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest


def test_it_gets_its_words_and_input_and_gives_its_output(riposte: SimpleNamespace) -> None:
    done = riposte.runner.run_program(["sh", "-c", 'cat; printf "%s" "$1" >&2; exit 3', "sh", "$(touch pwned) {{ 7*7 }} ; id"], "line 1\nline 2\n")
    assert (done.rc, done.out, done.err) == (3, "line 1\nline 2\n", "$(touch pwned) {{ 7*7 }} ; id")
    assert not Path("pwned").exists()


def test_it_gets_nothing_of_the_callers(riposte: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/no/such/library")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    names = {line.partition("=")[0] for line in riposte.runner.run_program(["env"]).out.splitlines()}
    assert names == {"PATH", "LC_ALL"}


def test_much_output_in_small_pieces_is_taken_whole_and_what_is_no_text_replaced(riposte: SimpleNamespace) -> None:
    done = riposte.runner.run_program(["sh", "-c", "yes 203.0.113.9 | head -n 200000; printf '\\303\\n' >&2"])
    assert done.out == "203.0.113.9\n" * 200_000
    assert done.err == "\ufffd\n"


def test_over_its_time_it_is_killed_and_said(riposte: SimpleNamespace, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    begin = time.monotonic()
    with pytest.raises(riposte.errors.ToolError, match="sh: did not end within 1 s and was killed"):
        riposte.runner.run_program(["sh", "-c", f"echo $$ > {mark}; exec sleep 60"], "x" * 1_000_000, seconds=1)
    assert time.monotonic() - begin < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_what_is_not_there_is_said(riposte: SimpleNamespace) -> None:
    with pytest.raises(riposte.errors.ToolError, match="/no/such/program: cannot be started"):
        riposte.runner.run_program(["/no/such/program"])
