# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie on a managed host."""

from __future__ import annotations

import os
from typing import NamedTuple


class Paths(NamedTuple):
    """All paths below one root, so that a test can stand a host up in a directory."""

    root: str = "/"

    def at(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    @property
    def disabled(self) -> str:
        return self.at("etc/riposte/disabled")

    @property
    def guard(self) -> str:
        return self.at("etc/riposte/guard.conf")

    @property
    def state(self) -> str:
        return self.at("var/lib/riposte")

    @property
    def ledger(self) -> str:
        return self.at("var/lib/riposte/ledger.sqlite3")

    @property
    def standing(self) -> str:
        """Exists while anything stands; without it the tick need not even start Python."""
        return self.at("var/lib/riposte/standing")

    @property
    def program(self) -> str:
        return self.at("usr/local/sbin/riposte")

    @property
    def lock(self) -> str:
        """In memory, so that a full disk does not keep a block from going in."""
        run = self.at("run")
        return os.path.join(run if os.path.isdir(run) else self.at("var/run"), "riposte.lock")
