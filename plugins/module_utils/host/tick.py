# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host's periodic job runs, which ends what the system does not end by itself."""

from __future__ import annotations

import os

from .paths import Paths
from .runner import Runner, find_program

PROTOCOL = 1  # raised when an older program on a host could not keep what a newer module records
CURE = "install it with the role riposte.active_response.agent, or ask for permanent: true"
TIMER = "riposte-tick.timer"


def tick_problem(runner: Runner, paths: Paths) -> str | None:
    """Why no lifetime can be left to the tick on this host, with the cure; None when it runs."""
    if not os.path.exists(paths.program):
        return f"no tick is installed on this host, so the response would not end on time; {CURE}"
    protocol = _protocol(paths.program)
    if protocol < PROTOCOL:
        older = f"the program {paths.program} is older than this module (protocol {protocol}, needed {PROTOCOL})"
        return f"{older}, so the end would not be kept; update it with the role riposte.active_response.agent"
    systemctl = find_program("systemctl")
    if systemctl and runner([systemctl, "is-active", "--quiet", TIMER]).rc == 0:
        return None
    if os.path.exists(paths.at("etc/cron.d/riposte")) and _cron_runs(paths):
        return None
    stopped = f"{TIMER} is not active, and no cron daemon runs /etc/cron.d/riposte"
    return f"the tick is installed but does not run ({stopped}); start it, or ask for permanent: true"


def _protocol(program: str) -> int:
    import zipfile  # not at the top: the tick itself, which starts often, does not need it

    try:
        with zipfile.ZipFile(program) as archive:
            return int(archive.read("PROTOCOL"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return 0


def _cron_runs(paths: Paths) -> bool:
    for entry in os.listdir(paths.at("proc")):
        if entry.isdigit():
            try:
                with open(paths.at("proc", entry, "comm"), encoding="utf-8") as stream:
                    if stream.read().strip() in ("cron", "crond"):
                        return True
            except (FileNotFoundError, ProcessLookupError):
                continue
    return False
