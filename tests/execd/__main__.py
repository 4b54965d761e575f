# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an executable through the suite and prints a table. Exit code 0: every case holds."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys

from .cases import ADDRESS, USER
from .suite import Suite, Verdict


def main() -> int:
    args = _arguments()
    home = os.path.abspath(args.home)

    def effects() -> set[str]:
        return set(subprocess.run(args.effects, shell=True, stdout=subprocess.PIPE, text=True, check=True).stdout.split())  # noqa: S602 (the caller's own)

    targets = open(args.targets, encoding="utf-8").read().split() if args.targets else ()  # noqa: SIM115
    suite = Suite(args.argv, home, effects, os.path.join(home, args.log), args.kind, targets, args.limit)
    verdicts = []
    for case in suite.cases():
        if re.search(args.only, case.name):
            verdicts.append(suite.judge(case))
            _print(verdicts[-1], args.json)
    if args.many:
        many, figures = suite.judge_many(args.many, args.many_limit)
        for verdict in many:
            _print(verdict, args.json)
        verdicts += many
        print(json.dumps({"figures": figures}) if args.json else "\n".join(f"{name}: {value:.2f} s" for name, value in figures.items()))
    failed = sum(bool(verdict.complaints) for verdict in verdicts)
    if not args.json:
        print(f"{len(verdicts)} cases, {failed} do not hold")
    return int(bool(failed) or not verdicts)


def _print(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        print(json.dumps(verdict.as_dict()), flush=True)
        return
    print(f"{'FAIL' if verdict.complaints else 'ok  '}  {verdict.seconds:5.2f} s  {verdict.name}", flush=True)
    for complaint in verdict.complaints:
        print(f"                {complaint}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.execd", description=__doc__)
    parser.add_argument("--home", default=".", help="Wazuh's home, where the executable is called (default: here)")
    parser.add_argument("--effects", required=True, metavar="COMMAND", help="a command for the shell that prints what is in force, one name a word")
    parser.add_argument("--kind", choices=(ADDRESS, USER), default=ADDRESS, help="what the executable acts on")
    parser.add_argument("--targets", metavar="FILE", help="what it may act on (default: addresses of networks set aside for tests)")
    parser.add_argument("--log", default=os.path.join("logs", "active-responses.log"), help="its log (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=1.0, metavar="SECONDS", help="within which it must have ended (default: 1)")
    parser.add_argument("--many", type=int, default=100, metavar="COUNT", help="how many at once; 0: leave it out (default: 100)")
    parser.add_argument("--many-limit", type=float, default=2.0, metavar="SECONDS", help="within which each of them must have ended (default: 2)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only cases whose name this regular expression finds")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="EXECUTABLE", help="the executable and its arguments, as the daemon calls it")
    args = parser.parse_args()
    if not args.argv:
        parser.error("which executable?")
    return args


if __name__ == "__main__":
    sys.exit(main())
