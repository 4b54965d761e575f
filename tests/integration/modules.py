# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules run by real ansible-playbook over SSH, and what they said.

    module(lab, host, "firewall_drop", targets=["203.0.113.9"], timeout="10m")["responses"][0]["outcome"]
    check, done = steps(lab, host, task("firewall_drop", ...).check(), task("firewall_drop", ...))      # one process for several tasks

A result is the module's own dictionary; `failed`, `unreachable` and `changed` are always there. Options reach the module untemplated.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.lab import Host, Lab, LabError

Outcome = dict[str, Any]
_COLLECTION = "riposte.active_response"
_CALLBACKS = Path(__file__).with_name("callback")
_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")
_TEMPLATE = ("{{", "{%", "{#")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Task:
    """One module call of a play. `keywords`: the task's own, such as become."""

    name: str
    options: Mapping[str, Any]
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> Task:
        """The same in check mode."""
        return self.having(check_mode=True)

    def having(self, **keywords: Any) -> Task:
        """The same with task keywords: `.having(become=True, diff=True)`."""
        return replace(self, keywords={**self.keywords, **keywords})

    def text(self) -> str:
        name = self.name if "." in self.name else f"{_COLLECTION}.{self.name}"
        # a task that fails must not keep the next one from being seen
        return f"{{ignore_errors: true, {_inner(self.keywords)}{json.dumps(name)}: {_literal(self.options)}}}"


def task(name: str, /, **options: Any) -> Task:
    """A task for steps(): a module of the collection, or a full name such as `ansible.builtin.command`."""
    return Task(name, options)


def module(lab: Lab, host: Host, name: str, /, *, core: str | Path = "newest", check: bool = False, diff: bool = False, **options: Any) -> Outcome:
    """One module on one host."""
    return steps(lab, host, task(name, **options), core=core, check=check, diff=diff)[0]


def on_hosts(
    lab: Lab, hosts: Sequence[Host], name: str, /, *, core: str | Path = "newest", check: bool = False, diff: bool = False, **options: Any
) -> dict[str, Outcome]:
    """One module on several hosts at once: results by host name."""
    found = play(lab, playbook(hosts, [task(name, **options)]), core=core, check=check, diff=diff)
    return {host.name: found[host.name][0] for host in hosts}


def steps(
    lab: Lab,
    host: Host,
    /,
    *tasks: Task,
    core: str | Path = "newest",
    check: bool = False,
    diff: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Several tasks in one process, one result each; `variables` are extra vars (`ansible_user`, `ansible_become_password`, …)."""
    found = play(lab, playbook([host], tasks), core=core, check=check, diff=diff, variables=variables)[host.name]
    if len(found) != len(tasks):
        raise LabError(f"{len(tasks)} tasks were to run on {host.name}, {len(found)} did: {found}")
    return found


def playbook(hosts: Sequence[Host], tasks: Sequence[Task]) -> str:
    """A play of these tasks. YAML by hand: 10,000 addresses are to be read in a moment, and nothing in them is a template."""
    lines = "\n".join(f"    - {each.text()}" for each in tasks)
    return f"- hosts: {json.dumps([host.name for host in hosts])}\n  gather_facts: false\n  tasks:\n{lines}\n"


def play(
    lab: Lab,
    text: str,
    *,
    core: str | Path = "newest",
    check: bool = False,
    diff: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> dict[str, list[Outcome]]:
    """Any playbook's text: the results of each host's tasks in order (a loop's under `results`). LabError when it does not run at all."""
    directory = lab.directory / "plays"
    directory.mkdir(exist_ok=True)
    path = directory / f"{next(_numbers)}.yml"
    path.write_text(text)
    argv = ["ansible-playbook", str(path), *["--check"] * check, *["--diff"] * diff]
    if variables:
        argv += ["-e", json.dumps(variables)]
    env = {"ANSIBLE_CALLBACK_PLUGINS": str(_CALLBACKS), "ANSIBLE_STDOUT_CALLBACK": "results"}
    done = lab.ansible(*argv, core=core, env=env)
    found: dict[str, list[Outcome]] = defaultdict(list)
    for line in done.stdout.splitlines():
        if line.startswith('{"host": '):
            said = json.loads(line)
            found[said["host"]].append(said["result"])
    if not found:
        raise LabError(f"ansible-playbook ended with {done.rc} and ran no task: {done.stderr.strip()[-3000:]} {done.stdout.strip()[-1000:]}")
    return found


def _inner(keywords: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(name)}: {json.dumps(value)}, " for name, value in keywords.items())


def _literal(value: Any) -> str:
    """JSON, with strings that look like templates marked !unsafe (all of them would not do: YAML takes an !unsafe "600" for a number)."""
    if isinstance(value, str):
        return f"{'!unsafe ' * any(mark in value for mark in _TEMPLATE)}{_quoted(value)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)}: {_literal(each)}" for name, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)


def _quoted(text: str) -> str:
    """A text as JSON that is YAML as well, which knows no surrogate pairs."""
    return _PAIR.sub(lambda pair: "\\U{:08x}".format(ord(json.loads(f'"{pair[0]}"'))), json.dumps(text))
