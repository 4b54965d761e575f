# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the demo; exit code 0 only if every step was seen to hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.lab import Lab

from .scenario import Scenario


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description="Shows the product doing its job on practice hosts on this machine.")
    parser.add_argument("--keep", action="store_true", help="leave the hosts up at the end and say how to log in")
    options = parser.parse_args()
    with Lab() as lab:
        scenario = Scenario(lab, Path(__file__).parents[2])
        try:
            scenario.play()
        finally:
            scenario.summary()
        if options.keep:
            _keep(lab)
    return 0 if scenario.held else 1


def _keep(lab: Lab) -> None:
    config = lab.directory / "ssh_config"
    print(f"\nThe hosts stay up. In another terminal: ip netns exec {lab.controller.netns} ssh -F {config} root@web1 (or web2)")
    print(f"There `riposte list` tells what stands. Playbooks: the inventory is {lab.inventory}")
    input("Press Enter here to take the hosts down. ")


if __name__ == "__main__":
    sys.exit(main())
