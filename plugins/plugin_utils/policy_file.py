# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's file on the controller, and the files it names -> the policy, or what is wrong with it and in which lines."""

from __future__ import annotations

import os
from collections import deque
from typing import Any, NamedTuple

import yaml

from ansible_collections.riposte.active_response.plugins.module_utils.alert.allow import Files, Listed, files_of, read_cdb_list
from ansible_collections.riposte.active_response.plugins.module_utils.alert.checks import Flaw, printed
from ansible_collections.riposte.active_response.plugins.module_utils.alert.policy import Policy, examine_policy
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.read import read_configuration
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.white_list import read_white_list
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import content_of, full_path

LARGEST_POLICY = 4 << 20
LARGEST_LIST = 64 << 20
MOST_NODES = 1_000_000
SHOWN = 100


class Examined(NamedTuple):
    """policy: None when there are flaws. notes: what in the files it names spares nobody."""

    policy: Policy | None
    flaws: list[Flaw]
    notes: list[str]


class NotYaml(BadInput):
    """The file is no YAML at all. line: from 1, None when not known."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


def read_policy_file(path: str) -> Policy:
    """The policy, or BadInput with everything that is wrong with it."""
    examined = examine_policy_file(path)
    if examined.policy is None:
        raise BadInput(listed(f"policy {path}: nothing is done until this is mended", [str(flaw) for flaw in examined.flaws]))
    return examined.policy


def listed(message: str, items: list[str]) -> str:
    more = [f"and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return "\n- ".join([message, *items[:SHOWN], *more])


def examine_policy_file(path: str) -> Examined:
    """BadInput when the file cannot be read, NotYaml when it is none."""
    content = content_of(path, "policy", LARGEST_POLICY)
    try:
        data, lines = _loaded(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        raise NotYaml(f"policy {path}: it is not YAML: {error}", mark.line + 1 if mark else None) from error
    files, notes = _files(data, os.path.dirname(full_path(path)))
    policy, flaws = examine_policy(data, files, lines)
    return Examined(policy, flaws, notes)


class _Loader(yaml.SafeLoader):
    """YAML in which a key must not be there twice: which of the two counts would be a guess."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _loaded(content: bytes) -> tuple[Any, dict[str, int]]:
    """The document, and the line of each key and item by its path."""
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if node is not None and _size(node, {}) > MOST_NODES:
            raise yaml.constructor.ConstructorError(None, None, f"with its aliases it has more than {MOST_NODES} values", node.start_mark)
        return (None, {}) if node is None else (loader.construct_document(node), _lines(node))
    finally:
        loader.dispose()


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a reader would meet: a few lines of aliases of aliases can make more than there is memory."""
    if id(node) not in sizes:
        sizes[id(node)] = 1  # an alias of what it stands in
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        below = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in pairs for each in pair]
        sizes[id(node)] = 1 + sum(_size(each, sizes) for each in below)
    return sizes[id(node)]


def _lines(root: yaml.Node) -> dict[str, int]:
    """What an alias repeats is left out, and goes by the line of the alias: one of what it stands in would have no end."""
    lines = {"": root.start_mark.line + 1}
    seen = {id(root)}
    waiting = deque([("", root)])
    while waiting:
        path, node = waiting.popleft()
        for below, mark, value in _below(path, node):
            lines.setdefault(below, mark.line + 1)
            if id(value) not in seen:
                seen.add(id(value))
                waiting.append((below, value))
    return lines


def _below(path: str, node: yaml.Node) -> list[tuple[str, yaml.Mark, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [(f"{path}.{printed(key.value)}".lstrip("."), key.start_mark, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    if isinstance(node, yaml.SequenceNode):
        return [(f"{path}[{at}]", item.start_mark, item) for at, item in enumerate(node.value)]
    return []


def _files(data: object, directory: str) -> tuple[Files, list[str]]:
    """A relative path counts from where the policy is: it is deployed with what it names."""
    files: dict[tuple[str, str], list[Listed] | str] = {}
    notes: list[str] = []
    for kind, path in files_of(data):
        try:
            content = content_of(os.path.join(directory, os.path.expanduser(path)), "allow list", LARGEST_LIST)
            found, more = _white_list(content, path) if kind == "white_lists" else read_cdb_list(content.decode(errors="backslashreplace"), path)
        except Problem as problem:
            files[kind, path] = f"{problem}; nothing is done, for what it lists could not be spared"
            continue
        files[kind, path] = found
        notes += more
    return files, notes


def _white_list(content: bytes, path: str) -> tuple[list[Listed], list[str]]:
    never, notes = read_white_list(read_configuration(content, os.path.basename(path)))
    used = {each.line for each in never}
    unused = [f"{path}, line {note.line}: {note.wazuh} It spares nobody." for note in notes if note.line not in used]
    return [Listed(each.address, f"{path}, line {each.line}") for each in never], unused
