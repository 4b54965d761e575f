# SPDX-License-Identifier: GPL-3.0-or-later
"""custom-riposte, called as wazuh-integratord calls it: kept is kept, and what is not kept is said and ends with 1."""

from __future__ import annotations

import os
import random
import resource
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.sender.place import Place, load

ALERT = '{"id":"1795492383.6793","rule":{"id":"5712","level":10},"full_log":"{{ 7*7 }} $(id) \\u0000 ü"}\n'
TRIES = 20


def refused(place: Place, path: Path | str, options: str = "") -> str:
    """What it said, in the log and to integratord, and nowhere else."""
    before = sorted(place.spool.rglob("*"))
    done = place.call(path, options)
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(place.spool.rglob("*")) == before
    said = place.said()
    assert said.endswith(done.stderr)
    assert done.stderr.count("\n") == 1
    assert said.rstrip().endswith("THIS ALERT IS NOT SENT")
    return done.stderr


@pytest.mark.parametrize("debug", [False, True])
def test_an_alert_is_kept_as_it_is(place: Place, debug: bool) -> None:
    done = place.call(place.alert_file(ALERT), debug=debug)
    assert (done.returncode, done.stdout, place.kept()) == (0, "", [ALERT.encode()])
    [path] = place.spool.iterdir()
    assert path.stat().st_mode & 0o7777 == 0o600
    assert place.said().endswith(f"custom-riposte: kept as {path.name}\n") if debug else not place.said()


def test_alerts_keep_their_order(place: Place) -> None:
    contents = [f'{{"id":"{number}"}}' for number in range(5)]
    for content in contents:
        assert place.call(place.alert_file(content)).returncode == 0
    assert place.kept() == [content.encode() for content in contents]


@pytest.mark.parametrize(
    ("make", "said"),
    {
        "nothing": (str, "No such file or directory"),
        "a directory": (lambda path: path.mkdir(), "it is no ordinary file"),
        "a pipe": (os.mkfifo, "it is no ordinary file"),
        "a link": (lambda path: path.symlink_to("/etc/hostname"), "Too many levels of symbolic links"),
        "empty": (lambda path: path.write_text(""), "it is no JSON object but b''"),
        "other format": (lambda path: path.write_text("alertdate='2026 Nov 24' alertlocation='x'"), "needs <alert_format>json</alert_format>"),
        "a list": (lambda path: path.write_text("[{}]"), "it is no JSON object but b'[{}]'"),
        "too large": (lambda path: path.write_text("{" + "x" * (1 << 20)), "it has more than 1048576 bytes"),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_alert_is_said(place: Place, make: str, said: tuple[Callable[[Path], None], str]) -> None:
    path = place.home.parent / "odd\nname.alert"
    said[0](path)
    assert said[1] in refused(place, path)
    assert "\\n" in place.said()


def test_without_an_alert(place: Place) -> None:
    done = subprocess.run(["custom-riposte"], executable=place.script, cwd=place.home, capture_output=True, text=True, check=False)
    assert (done.returncode, "wazuh-integratord starts it" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [('{"max_alerts": 3}', "is full, 3 alerts of 45 bytes wait there; does riposte-sender run"), ('{"max_bytes": 59}', "is full, 3 alerts of 45 bytes")],
)
def test_no_more_alerts_and_bytes_than_allowed(place: Place, options: str, said: str) -> None:
    alert = place.alert_file('{"id":"123456"}')
    file = place.alert_file(options, "custom-riposte-1-1.options")
    for _number in range(3):
        assert place.call(alert, str(file)).returncode == 0
    (place.spool / "other").write_text("x" * 100)
    assert said in refused(place, alert, str(file))
    os.unlink(next(place.spool.glob("*.alert")))
    assert place.call(alert, str(file)).returncode == 0


@pytest.mark.parametrize("options", ["", "[]", "{", '{"max": 1}', '{"max_alerts": "many"}', '{"max_alerts": 0}', '{"max_bytes": null}', "\xff"])
def test_options_that_cannot_be(place: Place, options: str) -> None:
    file = place.alert_file(options, "custom-riposte-1-1.options")
    assert "it can be {" in refused(place, place.alert_file(ALERT), str(file))


def test_arguments_that_a_key_with_spaces_has_shifted_do_no_harm(place: Place) -> None:
    argv = ["integrations/custom-riposte", str(place.alert_file(ALERT)), "a", "key", "http://x", "", "", "10", "3", "> /dev/null 2>&1"]
    done = subprocess.run(argv, executable=place.script, cwd=place.home, capture_output=True, check=False)
    assert (done.returncode, len(place.kept())) == (0, 1)


@pytest.mark.parametrize(("mode", "said"), [(0o777, "with mode 0777"), (0o720, "with mode 0720"), (None, "No such file or directory")])
def test_a_directory_that_others_may_write_in_is_not_used(place: Place, mode: int | None, said: str) -> None:
    if mode is None:
        place.spool.rmdir()
    else:
        place.spool.chmod(mode)
    assert said in refused(place, place.alert_file(ALERT))


def test_a_link_is_no_spool(place: Place) -> None:
    place.spool.rename(place.home / "queue/other")
    place.spool.symlink_to("other")
    assert "Not a directory" in refused(place, place.alert_file(ALERT))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_used(place: Place) -> None:
    os.chown(place.spool, 65534, 65534)
    assert "user 65534 owns it" in refused(place, place.alert_file(ALERT))


def test_a_file_that_cannot_be_written_leaves_nothing(place: Place) -> None:
    """As on a full disk."""
    alert = place.alert_file('{"x":"' + "x" * 10_000 + '"}')
    done = place.call(alert, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert (done.returncode, list(place.spool.iterdir())) == (1, [])
    assert "File too large; THIS ALERT IS NOT SENT" in place.said()


def test_a_log_that_cannot_be_written_changes_nothing(place: Place) -> None:
    shutil.rmtree(place.home / "logs")
    assert place.call(place.alert_file(ALERT), debug=True).returncode == 0
    done = place.call("/none")
    assert (done.returncode, "logs/integrations.log: No such file" in done.stderr) == (1, True)


def test_a_sender_that_listens_is_woken(place: Place) -> None:
    os.mkfifo(place.spool / "wake")
    assert place.call(place.alert_file(ALERT)).returncode == 0  # nobody listens
    pipe = os.open(place.spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    assert place.call(place.alert_file(ALERT)).returncode == 0
    assert select.select([pipe], [], [], 0)[0]
    while select.select([], [pipe], [], 0)[1]:
        os.write(pipe, b"x" * 4096)
    assert place.call(place.alert_file(ALERT)).returncode == 0  # it is full
    os.close(pipe)
    assert len(place.kept()) == 3


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=3000), blank=st.sampled_from([b"", b" ", b"\r\n\t"]))
def test_whatever_is_in_it_is_kept_byte_by_byte(place: Place, content: bytes, blank: bytes) -> None:
    entry = load("custom_riposte")
    path = place.alert_file(blank + b"{" + content)
    assert entry.main([str(place.script), *place.argv(path)[1:]]) == 0
    assert place.kept() == [blank + b"{" + content]
    for file in place.spool.iterdir():
        file.unlink()


@pytest.mark.parametrize("name", ["-5.alert", "x-\u0663.alert", "a-b-c.alert", ".alert", "9-9.part", "\u0661-1.alert", "wake", "refused"])
def test_names_that_are_not_ours_do_not_matter(place: Place, name: str) -> None:
    (place.spool / name).write_text("")
    assert place.call(place.alert_file(ALERT)).returncode == 0


def test_killed_at_any_moment_an_alert_is_whole_or_not_there(place: Place) -> None:
    content = '{"x":"' + "y" * 60_000 + '"}'
    alert = place.alert_file(content)
    begun = time.perf_counter()
    assert place.call(alert).returncode == 0
    whole = time.perf_counter() - begun
    ended = killed = 0
    chance = random.Random(5)
    for _number in range(60):
        process = subprocess.Popen(place.argv(alert), executable=place.script, cwd=place.home, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, whole * 1.1))
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        ended, killed = ended + (code == 0), killed + (code == -signal.SIGKILL)
    kept = place.kept()
    assert set(kept) == {content.encode()}
    assert 1 + ended <= len(kept) <= 1 + ended + killed
    assert killed


def test_it_returns_at_once(place: Place) -> None:
    """Of 50 ms, most is the start of Python. The fastest counts: the machine has other things to do."""
    alert = place.alert_file('{"x":"' + "y" * 2000 + '"}')
    for number in range(2000):
        (place.spool / f"{number:020}-1-2000.alert").touch()
    empty = place.home / "integrations/empty"
    empty.write_text(f"#!{sys.executable} -IS\n")
    empty.chmod(0o750)

    def took(argv: list[str], executable: Path) -> float:
        begun = time.perf_counter()
        subprocess.run(argv, executable=executable, cwd=place.home, check=True)
        return time.perf_counter() - begun

    floor = [took(["x"], empty) for _number in range(TRIES)]
    times = [took(place.argv(alert), place.script) for _number in range(TRIES)]
    print(f"median {statistics.median(times) * 1000:.1f} ms, of it Python's start {statistics.median(floor) * 1000:.1f} ms")
    assert min(times) < 0.050
