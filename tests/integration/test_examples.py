# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples on the modules' pages, run as they stand there."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.modules import play
from tests.lab import Host, Lab
from tests.lab.lab import REPOSITORY

MODULES = sorted(
    path
    for path in REPOSITORY.glob("plugins/modules/*.py")
    if path.stem != "plan"  # runs on the controller; its page is proved by the playbooks
)


def examples(path: Path) -> str:
    """The EXAMPLES of a module's file."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [getattr(name, "id", "") for name in node.targets] == ["EXAMPLES"]:
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{path} has no EXAMPLES")


# what a page takes for granted, and what the next page needs
BEFORE = {"response_info": "- riposte.active_response.firewall_drop: {targets: [203.0.113.9], timeout: 10m}\n"}
AFTER = """
- riposte.active_response.response_info:
- riposte.active_response.respond:
    release: [mallory, 203.0.113.9, 203.0.113.66, 198.51.100.0/24, "2001:db8:bad::1"]
"""


@pytest.fixture(scope="module")
def web1(lab: Lab) -> Iterator[Host]:
    """A host with the account that the examples name, and the tick that a lock with an end needs."""
    host = lab.add_host("web1")
    host.ssh("useradd -m -s /bin/bash mallory && echo mallory:geheim | chpasswd")
    installed = play(lab, "- hosts: [web1]\n  roles: [riposte.active_response.agent]\n")
    assert not [each for each in installed["web1"] if each["failed"]], installed
    yield host
    lab.remove(host)


@pytest.mark.parametrize("core", ["newest", "2.16"])
@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_examples_of_a_page_work(lab: Lab, web1: Host, path: Path, core: str) -> None:
    """Each task runs, and what a page puts into force it releases."""
    text = examples(path)
    tasks = text.count("\n- name:")
    assert tasks
    before = web1.read("/etc/shadow")
    book = f"- hosts: [web1]\n  tasks:\n{textwrap.indent(BEFORE.get(path.stem, '') + text + AFTER, '    ')}"
    _facts, *answers, info, _released = play(lab, book, core=core)["web1"]
    answers = answers[-tasks:]
    assert len(answers) == tasks
    assert [each for each in answers if each["failed"]] == []
    if path.stem == "response_info":
        assert [each["target"] for each in info["responses"]] == ["203.0.113.9"]
    else:
        assert answers[0]["changed"]
        assert info["responses"] == []
    assert web1.read("/etc/shadow") == before
