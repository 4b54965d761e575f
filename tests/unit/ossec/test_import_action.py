# SPDX-License-Identifier: GPL-3.0-or-later
"""Action `import_ossec`: which files it writes, and which it leaves alone. How it is run is in tests/integration/test_import_ossec.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.action.import_ossec import LARGEST, _import
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import Problem
from tests.ossec_corpus import HERE

NAMES = ["policy.yml", "guard.conf", "notes.md"]


class Import:
    """Somebody who imports one file into one directory again and again."""

    def __init__(self, directory: Path) -> None:
        self.out = directory / "made/out"
        self.options: dict[str, Any] = {"ossec_conf": str(HERE / "one_block.conf"), "agent_conf": None, "out": str(self.out), "force": False}

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        self.options.update(options)
        return _import(self.options, check)

    def states(self, check: bool = False, **options: Any) -> list[str]:
        answer = self.run(check, **options)
        assert answer["changed"] == bool(answer["diff"])
        return [file["state"] for file in answer["files"]]

    def said(self, **options: Any) -> str:
        with pytest.raises(Problem) as problem:
            self.run(**options)
        return str(problem.value)

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()} if self.out.exists() else {}


@pytest.fixture
def importing(tmp_path: Path) -> Import:
    return Import(tmp_path)


def test_it_writes_once(importing: Import) -> None:
    assert importing.states(check=True) == ["written"] * 3
    assert importing.content() == {}
    assert importing.states() == ["written"] * 3
    first = importing.content()
    assert sorted(first) == sorted(NAMES)
    assert importing.states() == ["unchanged"] * 3
    assert importing.content() == first
    assert {(importing.out / name).stat().st_mode & 0o777 for name in NAMES} == {0o644}


def test_what_changed_in_the_configuration_is_written_again(importing: Import) -> None:
    importing.run()
    answer = importing.run(agent_conf=str(HERE / "agent.conf"))
    assert [file["state"] for file in answer["files"]] == ["written", "unchanged", "written"]
    assert "repeated_offenders" in answer["diff"][0]["after"]
    assert "repeated_offenders" not in answer["diff"][0]["before"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_its_own_is_kept_and_nothing_is_written(importing: Import, name: str) -> None:
    importing.out.mkdir(parents=True)
    (importing.out / name).write_text("mode: enforce\n")
    assert importing.said() == (
        f"{importing.out}/{name}: import_ossec did not write this file, or it was edited since; nothing was written. "
        "Move it away, say another out, or force: true (riposte_force=true) to lose what is in it"
    )
    assert importing.content() == {name: b"mode: enforce\n"}
    assert importing.states(force=True) == ["written"] * 3


def test_a_policy_that_was_set_to_enforce_is_kept(importing: Import) -> None:
    importing.run()
    policy = importing.out / "policy.yml"
    policy.write_text(policy.read_text().replace("mode: observe", "mode: enforce"))
    before = importing.content()
    assert "it was edited since" in importing.said(agent_conf=str(HERE / "agent.conf"))
    assert importing.content() == before


def test_where_there_is_nothing_to_answer_there_is_no_policy(importing: Import) -> None:
    nothing = str(HERE / "manager_default.conf")
    assert importing.states(ossec_conf=nothing) == ["absent", "written", "written"]
    assert importing.states(ossec_conf=str(HERE / "one_block.conf"))[0] == "written"
    assert importing.states(check=True, ossec_conf=nothing)[0] == "removed"
    assert "policy.yml" in importing.content()
    assert importing.states()[0] == "removed"
    assert "policy.yml" not in importing.content()
    (importing.out / "policy.yml").write_text("somebody's\n")
    assert importing.states() == ["unchanged"] * 3
    assert importing.content()["policy.yml"] == b"somebody's\n"


def test_what_is_in_the_way_is_never_replaced(importing: Import, tmp_path: Path) -> None:
    importing.out.mkdir(parents=True)
    (importing.out / "notes.md").mkdir()
    assert "notes.md: this is no file of its own; nothing was written" in importing.said(force=True)
    (importing.out / "notes.md").rmdir()
    (tmp_path / "precious").write_text("x")
    os.symlink(tmp_path / "precious", importing.out / "notes.md")
    assert "notes.md: this is no file of its own; nothing was written" in importing.said()
    assert [(tmp_path / "precious").read_text(), len(list(importing.out.iterdir()))] == ["x", 1]


def test_files_that_cannot_be_used(importing: Import, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "large").write_bytes(b" " * (LARGEST + 1))
    good = importing.options["ossec_conf"]
    assert importing.said(ossec_conf=f"{tmp_path}/no.conf") == f"ossec_conf {tmp_path}/no.conf: cannot be read on the controller: No such file or directory"
    assert importing.said(ossec_conf=f"{tmp_path}/large") == f"ossec_conf {tmp_path}/large: the file is larger than 16 MiB; split it"
    assert importing.said(ossec_conf=good, agent_conf=str(tmp_path)) == f"agent_conf {tmp_path}: this is not a regular file"
    assert (
        importing.said(agent_conf=None, out=f"{tmp_path}/file/out") == f"{tmp_path}/file/out/policy.yml: cannot be written on the controller: Not a directory"
    )
    assert importing.said(ossec_conf=str(HERE / "broken/entities.conf")).startswith("entities.conf, line 2: <!DOCTYPE …>")
