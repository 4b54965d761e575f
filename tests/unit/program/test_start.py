# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled form that the program keeps of itself: used when it is this archive's and ours alone, never otherwise."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.program.test_build import build

START = """
import runpy, sys
program, kept, *words = sys.argv[1:]
sys.path.insert(0, program)
start = runpy.run_path(program)["start"]
sys.argv = ["riposte", *words]
code = start(kept)
loaded = type(sys.modules["riposte.cli"].__spec__.loader).__name__
print(loaded, code, file=sys.stderr)
"""


class Place:
    """A program, and the directory in which it may keep its compiled form."""

    def __init__(self, folder: Path) -> None:
        self.program, self.state = folder / "riposte", folder / "state"
        self.kept = self.state / "compiled"
        assert build(self.program).returncode == 0
        self.guard = folder / "guard.conf"
        self.guard.write_text("")

    def start(self) -> str:
        """Which loader the program came by, and its exit code."""
        argv = [sys.executable, "-IS", "-c", START, str(self.program), str(self.kept), "check", "--guard", str(self.guard)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr.strip()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_place_of_its_own_it_runs_from_the_archive(place: Place) -> None:
    assert place.start() == "zipimporter 0"
    assert not place.state.exists()


def test_the_compiled_form_is_made_once_and_used_from_then_on(place: Place) -> None:
    place.state.mkdir(mode=0o700)
    assert place.start() == "Compiled 0"
    made = place.kept.stat()
    assert place.start() == "Compiled 0"
    assert place.kept.stat().st_ino == made.st_ino
    assert made.st_mode & 0o777 == 0o600
    assert os.listdir(place.state) == ["compiled"]


def test_another_archive_does_not_run_the_old_ones_code(place: Place) -> None:
    place.state.mkdir(mode=0o700)
    place.start()
    before = place.kept.stat().st_ino
    data, seen = place.program.read_bytes(), place.program.stat()
    place.program.write_bytes(data)  # in place, same size, and its date set back
    os.utime(place.program, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert place.start() == "Compiled 0"
    assert place.kept.stat().st_ino != before


@pytest.mark.parametrize("spoil", ["writable directory", "writable file", "link", "damage", "other modules"])
def test_what_somebody_else_could_have_written_is_not_run(place: Place, spoil: str, tmp_path: Path) -> None:
    place.state.mkdir(mode=0o700)
    place.start()
    planted = ("planted", marshal.dumps(compile("raise SystemExit(99)", "planted", "exec")))
    wanted: Any = marshal.loads(place.kept.read_bytes())[0]
    if spoil == "damage":
        place.kept.write_bytes(place.kept.read_bytes()[:1000])
    elif spoil == "other modules":
        place.kept.write_bytes(marshal.dumps((("other version", *wanted[1:]), {"riposte.cli": planted})))
    else:
        place.kept.write_bytes(marshal.dumps((wanted, {"riposte.cli": planted})))
    if spoil == "writable directory":
        place.state.chmod(0o777)
    elif spoil == "writable file":
        place.kept.chmod(0o666)
    elif spoil == "link":
        shutil.move(place.kept, tmp_path / "elsewhere")
        place.kept.symlink_to(tmp_path / "elsewhere")
    assert place.start() == ("zipimporter 0" if spoil == "writable directory" else "Compiled 0")


def test_the_daemons_patience_is_counted_from_the_first_moment(place: Place) -> None:
    code = START.replace("code = start(kept)", "import riposte.cli; riposte.cli.main = lambda argv, begun: print(begun) or 0; code = start(kept)")
    argv = [sys.executable, "-IS", "-c", f"import time; print(time.monotonic()){code}", str(place.program), str(place.kept)]
    first, begun = map(float, subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    loaded = float(subprocess.run([sys.executable, "-c", "import time; print(time.monotonic())"], capture_output=True, text=True, check=True).stdout)
    assert first <= begun < loaded


def test_a_full_disk_only_makes_it_slower(place: Place) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    place.state.mkdir(mode=0o700)
    (place.state / "compiled").mkdir()  # stands for a disk that takes nothing: the new file cannot get its name
    assert place.start() == "Compiled 0"
    assert os.listdir(place.state) == ["compiled"]
