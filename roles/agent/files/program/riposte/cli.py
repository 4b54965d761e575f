# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands. Exit code 0: all is well; 1: something failed or is wrong; 2: it could not be asked so, or not by this user."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.host.engine import Engine
from engine.host.errors import Problem

from .runner import run_program

if TYPE_CHECKING:
    import argparse

WELL, WRONG, UNFIT = 0, 1, 2


def main(argv: Sequence[str], engine: Engine | None = None, begun: float | None = None) -> int:
    """Runs one command line, argv[0] included; what can be foreseen ends in a sentence and an exit code. `begun`: when this program was started (monotonic)."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if os.path.basename(argv[0]) != "riposte":
        from .executables import EXECUTABLES

        if os.path.basename(argv[0]) in EXECUTABLES:
            from .wazuh import main as answer

            return answer(argv[0], run_program, engine, time.monotonic() if begun is None else begun)
    try:
        code = _run(argv[1:], engine)
        sys.stdout.flush()
    except Problem as problem:
        return _fail(str(problem), WRONG)
    except PermissionError as error:
        return _fail(f"{error.filename}: permission denied; run it as root", UNFIT)
    except BrokenPipeError:  # the reader has gone, as `head` does; nothing more can be said, not at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG
    except KeyboardInterrupt:
        return _fail("interrupted", WRONG)
    return code


def _fail(message: str, code: int) -> int:
    print(f"riposte: {message}", file=sys.stderr)
    return code


def _run(words: Sequence[str], engine: Engine | None) -> int:
    if list(words) == ["tick"]:  # started every 30 seconds: it does not wait for a parser
        from .work import tick

        return tick(engine or Engine(run_program, origin="tick", session=False))
    args = _parser().parse_args(words)
    return int(args.run(engine or Engine(run_program, origin="riposte"), args))


def _list(engine: Engine, args: argparse.Namespace) -> int:
    from .show import show_list

    return show_list(engine, args.json)


def _why(engine: Engine, args: argparse.Namespace) -> int:
    from .show import show_why

    return show_why(engine, args.name, args.json)


def _check(engine: Engine, args: argparse.Namespace) -> int:
    from .check import check_guard, check_host, check_wazuh

    if args.guard or args.wazuh:
        return check_guard(args.guard) if args.guard else check_wazuh(args.wazuh)
    return check_host(engine)


def _release(engine: Engine, args: argparse.Namespace) -> int:
    from .work import release

    return release(engine, args.name)


def _tick(engine: Engine, _args: argparse.Namespace) -> int:
    from .work import tick

    return tick(engine)


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(prog="riposte", description="What stands against attackers on this host.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    listing = add("list", _list, "show what stands, until when and why")
    why = add("why", _why, "tell everything about one response, target or alert, its history too")
    check = add("check", _check, "tell whether all that is recorded is in force and the host keeps its promises")
    release = add("release", _release, "release everything that stands under these names")
    add("tick", _tick, "end what is due and restore what vanished; run by the system")
    for command in (listing, why):
        command.add_argument("--json", action="store_true", help="for programs")
    why.add_argument("name", metavar="NAME", help="an id, a target or an alert id")
    only = check.add_mutually_exclusive_group()
    only.add_argument("--guard", metavar="FILE", help="only look whether FILE could be the guard file")
    only.add_argument("--wazuh", metavar="FILE", help="only look whether FILE could be the file of what Wazuh starts")
    release.add_argument("name", metavar="NAME", nargs="+", help="an id, a target or an alert id")
    return parser
