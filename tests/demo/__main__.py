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
            print("\nOn a host, `riposte list` tells what stands.")
            lab.hold()
    return 0 if scenario.held else 1


if __name__ == "__main__":
    sys.exit(main())
