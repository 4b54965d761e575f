# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.lab: practise by hand, build the trees beforehand, clear up after labs that were killed."""

from __future__ import annotations

import argparse
import sys

from . import roots
from .instance import sweep
from .lab import Lab
from .system import LabError


def up(suite: str) -> None:
    """Two hosts, an attacker, a visitor; until Enter or Ctrl-C."""
    with Lab() as lab:
        lab.add_hosts(["web1", "web2"], suite=suite, variables={"web1": {"wazuh_agent_id": "001"}, "web2": {"wazuh_agent_id": "002"}})
        lab.add_peer("attacker")
        lab.add_peer("visitor")
        lab.hold()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="raise web1, web2, attacker and visitor").add_argument("--suite", choices=roots.SUITES, default=roots.SUITES[0])
    commands.add_parser("build", help="build the Debian trees").add_argument("suites", nargs="*", metavar="SUITE", default=roots.SUITES)
    commands.add_parser("sweep", help="take down labs whose owner is dead")
    chosen = parser.parse_args()
    try:
        if chosen.command == "up":
            up(chosen.suite)
        elif chosen.command == "build":
            for suite, init in roots.KINDS:
                if suite in chosen.suites:
                    print(roots.root(suite, init))
        else:
            print("\n".join(f"took down {prefix}" for prefix in sweep()) or "nothing was left")
    except LabError as failure:
        print(f"lab: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
