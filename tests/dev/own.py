# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that are this collection's own: each takes files and returns complaints, none when all is well."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

LICENCES = ("GPL-3.0-or-later", "BSD-2-Clause")
UNCOMMENTED = (".json", ".jsonl", ".ndjson", ".log")
"""Data that cannot carry a comment."""
NAMELESS = ("LICENSE", "changelogs/changelog.yaml", "changelogs/.plugin-cache.yaml", "CHANGELOG.md", "CHANGELOG.rst")
"""The licence itself, and what antsibull-changelog writes."""
STARTS_PROGRAMS = {"subprocess", "multiprocessing", "pty", "importlib", "runpy", "imp"}
OS_STARTS = re.compile(r"system|popen|fork(pty)?|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?")
ENGINE = "ansible_collections.riposte.active_response.plugins.module_utils.host"


def without_licence(root: Path, files: Iterable[str]) -> Iterator[str]:
    """Files without an SPDX line of a licence that this collection uses. An empty file needs none."""
    line = re.compile(rf"SPDX-License-Identifier: ({'|'.join(map(re.escape, LICENCES))})\b")
    for name in files:
        if name in NAMELESS or name.endswith(UNCOMMENTED):
            continue
        with (root / name).open("rb") as file:
            head = file.read(2000)
        if head and b"\0" not in head and not line.search(head.decode(errors="replace")):
            yield f"{name}: no line 'SPDX-License-Identifier: {LICENCES[0]}' at its beginning; add it as a comment"


def foreign_imports(folder: Path, package: Path) -> Iterator[str]:
    """What the Python files under `folder` import beyond the standard library and `package` (which holds `folder`).

    The engine travels into modules and into a program of its own: Ansible finds its parts by reading literal relative
    imports, and there is no Ansible in the program. It is given a Runner, so it starts no program itself.
    """
    for path in sorted(folder.rglob("*.py")):
        tree = _parsed(path)
        if tree is None:
            yield f"{path}: not valid Python, so its imports are not known"
            continue
        for line, complaint in _foreign(tree, path, package):
            yield f"{path}:{line}: {complaint}"


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError:
        return None


def _foreign(tree: ast.Module, path: Path, package: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os" and OS_STARTS.fullmatch(node.attr):
            yield node.lineno, f"os.{node.attr} starts a program; use the Runner"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
            yield node.lineno, "__import__ is not seen by Ansible; write a literal import"
        elif isinstance(node, ast.ImportFrom) and node.level:
            target = path.parents[node.level - 1]
            if target != package and package not in target.parents:
                yield node.lineno, f"the import leads out of {package}; what is needed belongs inside"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in _modules(node):
                top = name.split(".")[0]
                if top in STARTS_PROGRAMS:
                    yield node.lineno, f"import of {top}; use the Runner and literal imports"
                elif top not in sys.stdlib_module_names:
                    yield node.lineno, f"import of {name}; only the standard library and relative imports are allowed here"
                elif isinstance(node, ast.ImportFrom) and top == "os":
                    yield from ((node.lineno, f"os.{alias.name} starts a program; use the Runner") for alias in node.names if OS_STARTS.fullmatch(alias.name))


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def engine_tests(folder: Path) -> list[Path]:
    """The test files that need the engine and neither Ansible nor a tool of the controller: they run on every Python."""
    trees = ((path, _parsed(path)) for path in sorted(folder.rglob("test_*.py")))
    return [path for path, tree in trees if tree and _tests_engine_only(tree)]


def _tests_engine_only(tree: ast.Module) -> bool:
    names = {
        f"{name}.{alias.name}" if isinstance(node, ast.ImportFrom) else name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in _modules(node)
        for alias in node.names
    }
    engine = {name for name in names if f"{name}.".startswith(f"{ENGINE}.")}
    others = {name.split(".")[0] for name in names - engine if not (name.startswith("tests.") and not name.startswith("tests.dev"))}
    return bool(engine) and others <= {"pytest", "hypothesis", *sys.stdlib_module_names}
