# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the program's command line on a host that lies in a directory. Arguments: program, directory, epoch seconds of the host's clock, words.

A first word that is a path is the name by which the program is called, as wazuh-execd does; a second is for how many seconds it has run already.
It runs by itself, not in the test's process, so that the program's modules are those of the archive.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any


def main() -> int:
    program, root, clock, *words = sys.argv[1:]
    sys.path.insert(0, program)
    from engine.host.engine import Engine  # type: ignore[import-not-found]
    from engine.host.paths import Paths  # type: ignore[import-not-found]
    from engine.host.runner import Completed  # type: ignore[import-not-found]
    from riposte.cli import main as command_line  # type: ignore[import-not-found]

    def no_program(argv: Sequence[str], _stdin: str | None = None, _seconds: int = 60) -> Any:
        return Completed(1, "", f"{argv[0]}: not on this host")

    engine = Engine(no_program, Paths(root), {}, "tick" if words == ["tick"] else "riposte", session=False, clock=lambda: float(clock))
    if words and words[0].startswith("/"):
        return int(command_line(words[:1], engine, time.monotonic() - float(words[1])))
    return int(command_line(["riposte", *words], engine))


if __name__ == "__main__":
    sys.exit(main())
