# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are read and replaced in directories of others: nothing leads elsewhere."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.place import Place, open_directory


def test_a_file_is_replaced_with_its_owner_and_mode_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "ossec.conf"
    file.write_bytes(b"old")
    file.chmod(0o4640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
        file.chmod(0o4640)
    place = Place(str(file))
    seen = place.read()
    assert seen is not None
    place.write(b"new", seen)
    after = file.stat()
    assert (file.read_bytes(), after.st_mode & 0o7777, (after.st_uid, after.st_gid)) == (b"new", 0o640, seen.owner)
    assert place.read() == seen._replace(content=b"new")
    assert os.listdir(tmp_path) == ["ossec.conf"]
    place.remove()
    place.remove()
    assert place.read() is None


def test_a_new_file_is_its_directorys(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 1234, 4321)
    Place(str(tmp_path / "rules.xml")).write(b"", None)
    status, above = (tmp_path / "rules.xml").stat(), tmp_path.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o660, above.st_uid, above.st_gid)


def a_link(file: Path, victim: Path) -> None:
    file.symlink_to(victim)


def a_second_name(file: Path, victim: Path) -> None:
    file.hardlink_to(victim)


def a_pipe(file: Path, _victim: Path) -> None:
    os.mkfifo(file)


def a_directory(file: Path, _victim: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (a_link, "it is a link to '.*victim', and none is followed"),
        (a_second_name, "the file has 2 names"),
        (a_pipe, "no ordinary file"),
        (a_directory, "no ordinary file"),
    ],
)
def test_what_is_no_ordinary_file_of_one_name_is_refused(tmp_path: Path, plant: Callable[[Path, Path], None], said: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("root's own")
    plant(tmp_path / "ossec.conf", victim)
    with pytest.raises(BadInput, match=said):
        Place(str(tmp_path / "ossec.conf")).read()


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "ossec.conf").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(BadInput, match="more than 33554432 bytes"):
        Place(str(tmp_path / "ossec.conf")).read()


def test_what_was_swapped_after_the_look_is_replaced_or_taken_out_itself(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "rules.xml"
    victim.write_text("root's own")
    victim.chmod(0o600)
    place = Place(str(file))
    seen = place.read()
    file.symlink_to(victim)
    place.write(b"ours", seen)
    assert (file.is_symlink(), file.read_bytes()) == (False, b"ours")
    file.unlink()
    file.symlink_to(victim)
    place.remove()
    assert not file.is_symlink()
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("root's own", 0o600)


def test_a_directory_that_is_swapped_after_the_look_is_not_gone_into(tmp_path: Path) -> None:
    rules, elsewhere = tmp_path / "rules", tmp_path / "elsewhere"
    rules.mkdir()
    elsewhere.mkdir()
    place = Place(str(rules / "a.xml"))
    rules.rename(tmp_path / "away")
    rules.symlink_to(elsewhere)
    place.write(b"ours", None)
    assert (os.listdir(elsewhere), os.listdir(tmp_path / "away")) == ([], ["a.xml"])


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_link_on_the_way_is_followed_only_where_nobody_else_can_have_set_it(tmp_path: Path, mode: int) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.xml").write_text("a")
    (tmp_path / "home").mkdir()
    for name, target in {"absolute": str(tmp_path / "real"), "relative": "../real", "twice": "absolute"}.items():
        (tmp_path / "home" / name).symlink_to(target)
        seen = Place(f"{tmp_path}/home/../home/{name}/./a.xml").read()
        assert seen is not None
        assert seen.content == b"a"
    (tmp_path / "home").chmod(mode)
    with pytest.raises(BadInput, match=r"'absolute' on the way to it is a link to '.*real' that not only root may have set"):
        Place(f"{tmp_path}/home/absolute/a.xml")


def test_links_in_a_ring_and_paths_to_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(BadInput, match="'ring'"):
        open_directory(str(tmp_path / "ring"))
    (tmp_path / "file").touch()
    for path in ("none/a.xml", "file/a.xml"):
        with pytest.raises(BadInput, match="its directory is not there"):
            Place(str(tmp_path / path))
    for path in ("", "a/", "a/.."):
        with pytest.raises(BadInput, match="names no file"):
            Place(path)


def test_what_a_killed_run_left_is_taken_out_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".ossec.conf.riposte-0123456789abcdef").write_text("key")
    (tmp_path / ".ossec.conf.riposte-mine").write_text("no name of ours")
    Place(str(tmp_path / "ossec.conf")).write(b"", None)
    assert sorted(os.listdir(tmp_path)) == [".ossec.conf.riposte-mine", "ossec.conf"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "a.xml").mkdir()
    place = Place(str(tmp_path / "a.xml"))
    with pytest.raises(IsADirectoryError):
        place.write(b"key", None)
    assert os.listdir(tmp_path) == ["a.xml"]


def test_somebody_who_swaps_every_file_he_sees_reaches_no_other_file(tmp_path: Path) -> None:
    """As Wazuh's user in `etc`: temporary files become links to another file as soon as they are seen."""
    victim, etc = tmp_path / "victim", tmp_path / "etc"
    victim.write_text("root's own")
    victim.chmod(0o600)
    etc.mkdir()
    ended, swapped = threading.Event(), [0]

    def swap() -> None:
        while not ended.is_set():
            for name in os.listdir(etc):
                with contextlib.suppress(FileNotFoundError, FileExistsError):  # the name went, or came again, in between
                    os.unlink(etc / name)
                    os.symlink(victim, etc / name)
                    swapped[0] += 1

    swapper = threading.Thread(target=swap)
    swapper.start()
    told = 0
    try:
        place = Place(str(etc / "ossec.conf"))
        for _write in range(300):
            try:
                place.write(b"ours", None)
            except (Problem, FileNotFoundError) as problem:
                told += bool(re.search("put another file there|No such file", str(problem)))
    finally:
        ended.set()
        swapper.join()
    assert swapped[0] > 100
    assert told
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("root's own", 0o600)
