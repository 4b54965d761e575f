# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of the code. `quick` takes seconds and is part of `./dev test`; `thorough` is what `./dev lint` adds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.dev import machine, own
from tests.dev.say import ROOT, Report, Stop, complaint_of
from tests.dev.venvs import IMPORTER, TOOLS

COLLECTION = Path("ansible_collections/riposte/active_response")
HOME = ROOT / "build/lint-home"
"""A home for tools that would write into the user's; kept, because ansible-test stores its environments there."""
TYPED = (
    *(f"plugins/module_utils/{name}" for name in ("host", "alert", "ossec")),
    "roles/manager/files/sender",
    *(f"tests/{name}" for name in ("lab", "dev", "demo", "bench", "execd")),
)
PROGRAM = "roles/agent/files"
UTILS = ROOT / "plugins/module_utils"
SANITY_SAYS = "^(ERROR|FATAL)"


def files() -> list[str]:
    """What belongs to the repository: tracked, or new and not ignored."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise Stop(f"git ls-files: {listed.stderr.strip()}\n./dev works in a git clone only.")
    return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})


def quick(report: Report) -> None:
    tool, env = TOOLS.bin, TOOLS.env()
    typed = [name for name in TYPED if any((ROOT / name).rglob("*.py"))]
    report.step("ruff check", lambda: complaint_of([tool / "ruff", "check", "--quiet", "--output-format", "concise", "."], env))
    report.step("ruff format", lambda: complaint_of([tool / "ruff", "format", "--check", "--output-format", "concise", "."], env))
    report.step("mypy --strict", lambda: complaint_of([tool / "mypy", "--strict", *typed], env, telling=r": error: |^Found"))
    report.step("mypy --strict, the program", lambda: _typed_program(tool, env))
    report.step("changelog fragments", lambda: complaint_of([tool / "antsibull-changelog", "lint"], env))
    report.step("a licence line in every file", lambda: _all(own.without_licence(ROOT, files())))
    report.step("the engine imports nothing foreign", lambda: _all(own.foreign_imports(UTILS / "host", UTILS / "host")))
    report.step("alert/ imports nothing foreign", lambda: _all(own.foreign_imports(UTILS / "alert", UTILS)))
    report.step("ossec/ imports nothing foreign", lambda: _all(own.foreign_imports(UTILS / "ossec", UTILS)))


def _typed_program(tool: Path, env: dict[str, str]) -> str:
    """The program names the collection's module_utils as its archive does: engine."""
    with tempfile.TemporaryDirectory(prefix="riposte-mypy-") as work:
        (Path(work) / "engine").symlink_to(UTILS)
        beside = {**env, "MYPYPATH": f"{work}:{PROGRAM}/program"}
        return complaint_of([tool / "mypy", "--strict", PROGRAM], beside, telling=r": error: |^Found")


def thorough(report: Report, work: Path) -> None:
    """The checks that need the collection under its real name, so in a copy: ansible-test refuses links."""
    copy = _copy_collection(work)
    tool, env = TOOLS.bin, {**TOOLS.env(), **_lint_env(work)}
    changelog = _changelog(copy, env)
    report.step("changelog", lambda: changelog)
    report.step("shellcheck", _shellcheck)
    docs = [tool / "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all", "--disallow-unknown-collection-refs", "."]
    report.step("antsibull-docs", lambda: complaint_of(docs, env, copy))
    report.step("ansible-lint", lambda: complaint_of([tool / "ansible-lint", "--profile", "production", "--offline", "-q"], env, copy, telling=r"\S"))
    report.step("galaxy-importer", lambda: _galaxy_importer(copy, work))
    report.step("ansible-test sanity", lambda: _sanity(copy, env))


def _all(complaints: Iterable[str]) -> str:
    return "\n".join(line.replace(f"{ROOT}/", "") for line in complaints)


def _lint_env(work: Path) -> dict[str, str]:
    """Real interpreters before all else (ansible-test tries each), and nothing written to the user's home."""
    HOME.mkdir(parents=True, exist_ok=True)
    folders = [str(TOOLS.bin), *dict.fromkeys(str(path.parent) for path in machine.pythons().values())]
    folders += [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder).name != "shims"]
    return {"PATH": os.pathsep.join(folders), "HOME": str(HOME), "ANSIBLE_COLLECTIONS_PATH": str(work), "PYTHONPATH": ""}


def _copy_collection(work: Path) -> Path:
    copy = work / COLLECTION
    for name in files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    return copy


def _changelog(copy: Path, env: dict[str, str]) -> str:
    """A published collection has a changelog. Before the first release there are fragments only: render them, in the copy."""
    if (copy / "changelogs/changelog.yaml").exists():
        return ""
    return complaint_of([TOOLS.bin / "antsibull-changelog", "release", "--date", "1970-01-01"], env, copy)


def _shellcheck() -> str:
    scripts = [name for name in files() if re.match(rb"#!.*\b(ba)?sh\b", (ROOT / name).read_bytes()[:80])]
    return complaint_of(["shellcheck", *scripts])


def _sanity(copy: Path, env: dict[str, str]) -> str:
    _provide_pip()
    command = [TOOLS.bin / "ansible-test", "sanity", "--local", "--color", "no"]
    powershell = [] if shutil.which("pwsh") else sorted(path.relative_to(copy) for path in copy.glob("plugins/modules/*.ps1"))
    if not powershell:
        return complaint_of(command, env, copy, SANITY_SAYS)
    # Without pwsh, validate-modules gives up as soon as it meets a PowerShell module: it gets the others only.
    exclude = [word for path in powershell for word in ("--exclude", str(path))]
    parts = (["--skip-test", "validate-modules"], ["--test", "validate-modules", *exclude])
    return "\n".join(filter(None, (complaint_of([*command, *part], env, copy, SANITY_SAYS) for part in parts)))


def _provide_pip() -> None:
    """Put our get-pip where ansible-test looks before it downloads one; the file's name tells the version it wants."""
    [source] = (TOOLS.bin.parent / "lib").glob("python3.*/site-packages/ansible_test/_internal/python_requirements.py")
    versions = re.findall(r"\bpip='([\d.]+)'", source.read_text())
    if not versions:
        raise Stop(f"{source}: no version of pip found in it (a new ansible-core?); mend _provide_pip in tests/dev/checks.py")
    cache = HOME / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in versions:
        shutil.copy(ROOT / "tests/dev/get_pip.py", cache / f"get_pip_{version.replace('.', '_')}.py")
    # ansible-test hides PIP_CERT, PIP_INDEX_URL and the like from pip, but not pip's own file.
    told = [f"{name[4:].lower().replace('_', '-')} = {value}" for name, value in os.environ.items() if name.startswith("PIP_")]
    config = HOME / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("\n".join(["[global]", *told, ""]))


def _galaxy_importer(copy: Path, work: Path) -> str:
    env = {**_lint_env(work), "PATH": IMPORTER.env()["PATH"]}
    built = complaint_of([IMPORTER.bin / "ansible-galaxy", "collection", "build", "--output-path", work / "built"], env, copy)
    if built:
        return built
    [archive] = (work / "built").glob("*.tar.gz")
    return complaint_of([IMPORTER.bin / "python", "-m", "galaxy_importer.main", archive], env, work, telling="ERROR|WARNING")
