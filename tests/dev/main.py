# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `./dev`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.dev import checks, machine, own
from tests.dev.say import ROOT, Report, Stop, complaint_of, follow
from tests.dev.venvs import CORE_216, ENGINE_39, IMPORTER, RULEBOOK, TOOLS, Venv, ensure, require, said

GROUPS = {"unit": ["tests/unit", "tests/execd"], "windows": ["tests/windows"], "lab": ["tests/integration"]}
CORELESS = ("dev", "program", "sender")
"""Folders of tests/unit whose subjects never meet ansible-core: run on the newest only."""
WORKERS = str(max(2, min(4, (os.cpu_count() or 1) + 1)))
"""Processes that share the files of tests, each with a lab of its own; much of a test is waiting."""
NO_TESTS = 5
"""pytest's exit code when nothing was selected."""


def main(words: Sequence[str]) -> int:
    parser = _parser()
    args, rest = parser.parse_known_args(words)
    if not args.command:
        parser.print_help()
        return 0
    if rest and args.command in ("lint", "docs"):
        parser.error(f"{args.command} takes no {' '.join(rest)}")
    try:
        if sys.version_info < (3, 11):
            raise Stop(f"{sys.executable} is Python {sys.version.split()[0]}; ./dev needs 3.11 or newer (Debian 12 has it).")
        return int(args.run(args, rest))
    except Stop as stop:
        print(f"\n./dev {args.command} stopped: {stop}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev",
        description="Everything a developer of riposte.active_response does. Each command installs what it lacks.",
        epilog="What a command does not know itself goes on to the program behind it: ./dev test lab -x, ./dev demo --keep",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, run: object, text: str, own_help: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False, add_help=own_help)
        command.set_defaults(run=run)
        return command

    add("demo", _demo, "show the product at work on practice hosts", own_help=False)
    test = add("test", _test, "run the quick checks and the tests; or one group of tests")
    test.add_argument("group", nargs="?", choices=sorted(GROUPS), help="one group of tests, without the checks")
    test.add_argument("-k", metavar="NAME", help="only tests whose name holds this")
    lint = add("lint", _lint, "run every check of code, documentation and packaging")
    lint.add_argument("-k", metavar="NAME", default="", help="only checks whose name holds this")
    add("docs", _docs, "build the documentation of modules and roles as HTML")
    bench = add("bench", _bench, "measure, beside what people do today")
    bench.add_argument("name", nargs="*", help="programs of tests/bench, without .py; none means all")
    add("lab", _lab, "raise practice hosts and say how to log in; Ctrl-C takes them away", own_help=False)
    return parser


def _prepare(packages: Sequence[str], *venvs: Venv) -> None:
    machine.install([*machine.BASE, *packages])
    for venv in venvs:
        require(venv)
        print(said(venv), flush=True)


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise Stop(f"{what} needs root: practice hosts are network namespaces.\nDo: sudo ./dev ..., or ./dev test unit, which needs none.")


def _demo(_args: argparse.Namespace, rest: list[str]) -> int:
    _need_root("the demo")
    _prepare([*machine.LAB, *machine.RULEBOOK], TOOLS, RULEBOOK)
    return follow([TOOLS.bin / "python", "-m", "tests.demo", *rest], TOOLS.env())


def _lab(_args: argparse.Namespace, rest: list[str]) -> int:
    _need_root("the lab")
    _prepare(machine.LAB, TOOLS)
    return follow([TOOLS.bin / "python", "-m", "tests.lab", *(rest or ["up"])], TOOLS.env())


def _bench(args: argparse.Namespace, rest: list[str]) -> int:
    _need_root("the benchmark")
    programs = sorted(path.stem for path in (ROOT / "tests/bench").glob("[!_]*.py"))
    unknown = sorted(set(args.name) - set(programs))
    if unknown or not programs:
        raise Stop(f"tests/bench has {' '.join(programs) or 'no program'}; asked for: {' '.join(args.name) or 'all'}")
    _prepare([*machine.LAB, *machine.RULEBOOK], TOOLS, RULEBOOK)
    report = Report()
    for name in args.name or programs:
        _followed(report, f"bench {name}", TOOLS, ["-m", f"tests.bench.{name}", *rest])
    return report.close("bench")


def _docs(_args: argparse.Namespace, _rest: list[str]) -> int:
    _prepare((), TOOLS)
    source, html = ROOT / "build/docs", ROOT / "build/docs/build/html/index.html"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    init = [TOOLS.bin / "antsibull-docs", "sphinx-init", "--use-current", "--squash-hierarchy", "--lenient", "--dest-dir", source, "riposte.active_response"]
    report = Report()
    if report.step("pages from the modules' documentation", lambda: complaint_of(init, TOOLS.env())):
        report.step("HTML", lambda: complaint_of([source / "build.sh"], TOOLS.env(), source) or ("" if html.exists() else f"{html} was not made"))
    code = report.close("docs")
    if not code:
        print(f"Read: {html}")
    return code


def _lint(args: argparse.Namespace, _rest: list[str]) -> int:
    _prepare(machine.LINT, TOOLS, IMPORTER)
    report = Report(only=args.k)
    checks.quick(report)
    with tempfile.TemporaryDirectory(prefix="riposte-lint-") as work:
        checks.thorough(report, Path(work))
    return report.close("lint")


def _test(args: argparse.Namespace, rest: list[str]) -> int:
    groups = [args.group] if args.group else list(GROUPS)
    if "lab" in groups:
        _need_root("the lab")
    packages = [*((*machine.LAB, *machine.RULEBOOK) if "lab" in groups else ()), *(machine.WINDOWS if "windows" in groups else ())]
    _prepare(packages, TOOLS, *([] if groups == ["windows"] else [CORE_216]), *([RULEBOOK] if "lab" in groups else []))
    options = [*(["-k", args.k] if args.k else []), *rest]
    whole = [] if options else ["-n", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder"]
    report = Report()
    if not args.group and not options:
        checks.quick(report)
    selected = False
    if "unit" in groups:
        oldest = ["-q", "-p", "no:cacheprovider", *(f"--ignore=tests/unit/{folder}" for folder in CORELESS)]
        selected |= _pytest(report, "unit tests, oldest ansible-core", CORE_216, ["tests/unit"], [*oldest, *whole, *options])
        selected |= _engine_tests(report, [*whole, *options])
    name = " ".join(groups) if args.group else "all tests, newest ansible-core"
    # Last, in one process: its closing line is what a reader, and CI, looks for.
    selected |= _pytest(report, name, TOOLS, [path for group in groups for path in GROUPS[group]], [*whole, *options])
    if not selected:
        report.add("no test was run: nothing is named so", ok=False, seconds=0)
    if "lab" in groups:
        report.step("nothing is left of the lab", _left_behind)
    return report.close("test")


def _left_behind() -> str:
    """Labs clear up after themselves, so there must be nothing to sweep: a failure names what a test left."""
    swept = subprocess.run(
        [TOOLS.bin / "python", "-m", "tests.lab", "sweep"], cwd=ROOT, env={**os.environ, **TOOLS.env()}, capture_output=True, text=True, check=False
    )
    said = f"{swept.stdout}{swept.stderr}".strip()
    return "" if swept.returncode == 0 and said == "nothing was left" else f"{said}\nexit code {swept.returncode} of: python -m tests.lab sweep"


def _engine_tests(report: Report, options: list[str]) -> bool:
    tests = own.engine_tests(ROOT / "tests/unit")
    if not ensure(ENGINE_39):
        print("No Python 3.9 here: the engine's tests are left out for it (the oldest Python of a managed host).")
        return False
    print(said(ENGINE_39), flush=True)
    return _pytest(report, "engine tests, Python 3.9", ENGINE_39, tests, ["-q", "-p", "no:cacheprovider", *options])


def _pytest(report: Report, name: str, venv: Venv, paths: Sequence[str | Path], options: Sequence[str]) -> bool:
    """Run pytest over those paths that exist. True when it ran a test."""
    here = [str(path) for path in paths if (ROOT / path).exists()]
    if not here:
        return False
    start = time.monotonic()
    print(f"\n{name} ({venv.folder})", flush=True)
    code = follow([venv.bin / "python", "-m", "pytest", *here, *options], venv.env())
    if code != NO_TESTS:
        report.add(name, code == 0, time.monotonic() - start)
    return code != NO_TESTS


def _followed(report: Report, name: str, venv: Venv, words: Sequence[str]) -> None:
    start = time.monotonic()
    print(f"\n{name}", flush=True)
    report.add(name, follow([venv.bin / "python", *words], venv.env()) == 0, time.monotonic() - start)
