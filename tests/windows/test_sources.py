# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows PowerShell would stumble over and Mono does not: newer C#, members that .NET Framework lacks, names that do not meet."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.riposte.active_response.plugins.doc_fragments.response import ModuleDocFragment
from ansible_collections.riposte.active_response.plugins.module_utils.host import guard
from tests.windows.conftest import ENTRY, HERE, ROOT, SOURCES, Ask, ansible_cores, engine_sources, need

pytestmark = pytest.mark.windows
SHARP = sorted(SOURCES.glob("*.cs"))
SCRIPT = ROOT / "plugins" / "modules" / "win_firewall_drop.ps1"
PACKAGE = "ansible_collections.riposte.active_response.plugins.module_utils"
REFERENCE = re.compile(rf"^using {re.escape(PACKAGE)}\.(\w+);$", re.MULTILINE)
# Newer C# that mcs takes in spite of -langversion:5, as far as it was found.
NEWER = {
    "an auto property without setter": r"\{\s*get;\s*\}",
    "an enum over a type's full name": r"\benum\s+\w+\s*:\s*System\.",
    "await": r"\bawait\b",
}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*SHARP, SCRIPT], ids=lambda path: path.name)
def test_a_source_is_plain_ascii_and_licensed(path: Path) -> None:
    assert path.read_bytes().isascii()  # csc and PowerShell 5.1 guess at the encoding of anything else
    assert b"\r" not in path.read_bytes()
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in text(path)


@pytest.mark.parametrize("path", SHARP, ids=lambda path: path.name)
def test_a_source_is_not_newer_than_csharp_5(path: Path) -> None:
    assert {name: found for name, pattern in NEWER.items() if (found := re.findall(pattern, text(path)))} == {}


def test_the_check_for_newer_csharp_finds_what_it_is_for() -> None:
    for sample in ("public int A { get; }", "enum A : System.Int32", "catch { await x; }"):
        assert any(re.search(pattern, sample) for pattern in NEWER.values()), sample


@pytest.mark.parametrize("path", SHARP, ids=lambda path: path.name)
def test_a_source_names_the_files_it_needs_and_no_others(path: Path) -> None:
    """Ansible sends a file only if another names it. All are compiled together here, so a missing name would not show."""
    defined = {name: other for other in SHARP for name in re.findall(r"^    public (?:\w+ )?(?:class|interface) (\w+)", text(other), re.MULTILINE)}
    code = re.sub(r"//.*|\"(?:\\.|[^\"\\])*\"", "", text(path).partition("namespace ")[2])
    used = {defined[word].stem for word in set(re.findall(r"(?<![.\w])[A-Z]\w+", code)) if word in defined} - {path.stem}
    assert set(REFERENCE.findall(text(path))) == used


def test_the_engine_uses_only_members_that_were_looked_up(engine: Path) -> None:
    """Mono has members that .NET Framework 4.6 has not. A new one is looked up in its documentation, then added to memberrefs.txt."""
    need("monodis", "mono-utils")
    listing = subprocess.run(["monodis", "--memberref", str(engine)], capture_output=True, text=True, check=True).stdout
    used = {_plain(member, signature) for member, signature in re.findall(r"Resolved: (.*)\n\tSignature: (.*)", listing)}
    assert len(used) > 50
    known = {line for line in text(HERE / "memberrefs.txt").splitlines() if not line.startswith("#")}
    assert sorted(used - known) == [], "not in memberrefs.txt"


def _plain(member: str, signature: str) -> str:
    """`class [x]A`1<...>.M` as `[x]A`1.M`: which types it is used with says nothing about where it exists."""
    generic = re.sub(r"^(?:class|valuetype) (\[\S+?`\d(?:/\w+)?)<.*>\.(\S+)$", r"\1.\2", member)
    return f"{generic} {signature}"


def test_what_the_script_calls_exists(ask: Ask) -> None:
    calls = re.findall(r"\[([\w.]+)\]::(\w+)\(", text(SCRIPT))
    ours = [call for call in calls if not call[0].startswith("Ansible.")]
    entry = text(ENTRY)
    assert {call[1] for call in ours} == {"Spec", "Run"}
    for name, method in ours:
        assert name == f"Riposte.ActiveResponse.{ENTRY.stem}"
        assert re.search(rf"public static \w+ {method}\(", entry)
    assert ask([("method", "Riposte.ActiveResponse.Lifetime", "Now"), ("method", "Riposte.ActiveResponse.Lifetime", "Never")]) == ["ok yes", "ok no"]
    assert text(SCRIPT).startswith("#!powershell\n")
    assert len(text(SCRIPT).splitlines()) < 25


def test_options_are_those_of_the_documentation_and_of_the_unix_module() -> None:
    own = yaml.safe_load(text(SCRIPT.with_suffix(".yml")))["DOCUMENTATION"]["options"]
    shared = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(own) <= set(shared), "an option that the shared ones do not have"
    assert _spec_options() == {name: _essence(option) for name, option in shared.items()}


def _essence(option: dict[str, Any]) -> dict[str, Any]:
    return {key: option[key] for key in ("type", "elements", "required", "default", "choices") if key in option}


def _spec_options() -> dict[str, dict[str, Any]]:
    """The options as FirewallDropModule.Spec() has them, read from its text."""
    found = {}
    for name, pairs in re.findall(r'options\["(\w+)"\] = Table\((.*)\);', text(ENTRY)):
        literal = re.sub(r"new object\[\d*\](?: \{ (.*?) \})?", lambda match: f"[{match[1] or ''}]", pairs)
        values = json.loads(f"[{literal}]")
        found[name] = dict(zip(values[::2], values[1::2]))
    return found


def test_the_guard_knows_the_entries_of_the_unix_guard() -> None:
    sharp = text(SOURCES / "Guard.cs")
    names, ranges = (re.search(rf"{field} =\n\s+\{{(.*?)\n        \}};", sharp, re.DOTALL) for field in ("Names", "Fixed"))
    assert names
    assert ranges
    assert tuple(re.findall(r'"(\w+)"', names[1])) == guard.ADDRESS_ENTRIES
    assert tuple(re.findall(r'\{ "(\w+)", "(\S+)" \}', ranges[1])) == guard.FIXED
    widest = dict(re.findall(r"const int (Widest\w+) = (\d+);", sharp))
    assert widest == {"WidestIPv4": str(guard.GuardFile().widest_ipv4), "WidestIPv6": str(guard.GuardFile().widest_ipv6)}


def test_the_documentation_says_that_it_never_ran_on_windows() -> None:
    assert "Not run on a real Windows yet" in text(SCRIPT.with_suffix(".yml"))


FINDER = """
import sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
from ansible.executor.powershell.module_manifest import PSModuleDepFinder
finder = PSModuleDepFinder()
name = "ansible_collections.riposte.active_response.plugins.modules.win_firewall_drop"
finder.scan_module(open(sys.argv[2], "rb").read(), fqn=name)
if hasattr(finder, "scripts"):  # ansible-core 2.19 and newer
    print("\\n".join(each[:-3] for each in finder.scripts if each.endswith(".cs")))
else:
    print("\\n".join(each.removesuffix(".cs") for each in finder.cs_utils_module))
"""


@pytest.mark.parametrize("core", ansible_cores() or [None], ids=lambda core: core[1].parents[3].name if core else "none")
def test_ansible_finds_each_file_once(core: tuple[Path, Path] | None, tmp_path: Path) -> None:
    """Its own search, as run before a task: the .ps1 names one file, and that leads to all others."""
    if core is None:
        pytest.skip("ansible-core is not installed: its search for module utils is what is tested")
    collection = tmp_path / "ansible_collections" / "riposte" / "active_response"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(ROOT)
    result = subprocess.run([str(core[0]), "-c", FINDER, str(tmp_path), str(SCRIPT)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = result.stdout.split()
    expected = {f"{PACKAGE}.{path.stem}" for path in SHARP} | {"Ansible.Basic"}
    assert sorted(found) == sorted(expected)


def test_every_engine_file_is_compiled_without_ansible() -> None:
    assert len(engine_sources()) == len(SHARP) - 1
