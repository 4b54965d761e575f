# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples on the modules' pages, run as they stand there."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.modules import play
from tests.integration.wazuh_tree import lay_manager
from tests.lab import Host, Lab
from tests.lab.lab import REPOSITORY

MODULES = sorted(
    path
    for path in REPOSITORY.glob("plugins/modules/*.py")
    if path.stem not in ("plan", "approve", "import_ossec", "policy_check")  # they run on the controller; their pages are proved by the playbooks
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
    """A host with the account that the examples name, the tick that a lock with an end needs, a Wazuh manager's tree, and a file beside the plays."""
    host = lab.add_host("web1")
    lay_manager(host)
    plays = lab.directory / "plays"
    plays.mkdir(exist_ok=True)
    (plays / "blocklist.txt").write_text("203.0.113.9\n198.51.100.0/24\n")
    host.ssh("useradd -m -s /bin/bash mallory && echo mallory:geheim | chpasswd")
    installed = play(lab, "- hosts: [web1]\n  roles: [riposte.active_response.agent]\n")
    assert not [each for each in installed["web1"] if each["failed"]], installed
    yield host
    lab.remove(host)


@pytest.mark.parametrize("core", ["newest", "2.16"])
def test_the_examples_of_every_page_work(lab: Lab, web1: Host, core: str) -> None:
    """Each task runs, and what a page puts into force it releases."""
    before = web1.read("/etc/shadow")
    plays = ""
    for path in MODULES:
        tasks = f"- ansible.builtin.debug: {{msg: page {path.stem}}}\n{BEFORE.get(path.stem, '')}{examples(path)}{AFTER}"
        plays += f"- hosts: [web1]\n  gather_facts: false\n  tasks:\n{textwrap.indent(tasks, '    ')}\n"
    seen = play(lab, plays, core=core)["web1"]
    begins = [number for number, each in enumerate(seen) if str(each.get("msg", "")).startswith("page ")]
    assert [seen[number]["msg"].removeprefix("page ") for number in begins] == [path.stem for path in MODULES]
    for path, begin, end in zip(MODULES, begins, [*begins[1:], len(seen)]):
        *answers, info, _released = seen[begin + 1 : end]
        assert [each for each in answers if each["failed"]] == [], path
        assert len(answers) == examples(path).count("\n- name:") + (path.stem in BEFORE), path
        assert answers[0]["changed"], path
        assert [each["target"] for each in info["responses"]] == (["203.0.113.9"] if path.stem in BEFORE else []), path
    assert web1.read("/etc/shadow") == before
