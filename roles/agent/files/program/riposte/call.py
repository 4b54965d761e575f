# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of one of Wazuh's executables."""

from __future__ import annotations

from dataclasses import dataclass

from engine.host.engine import Engine

from .executables import EXECUTABLES, Answer
from .log import Log


@dataclass
class Call:
    """By which name and below which home this program was called, what does the work, where it is told, and, once they are known, target and alert."""

    name: str
    home: str
    engine: Engine
    log: Log
    target: str = ""
    alert_id: str = ""

    @property
    def kind(self) -> Answer:
        return EXECUTABLES[self.name]

    def say(self, outcome: str, message: str, identity: str | None = None, until: str | None = None) -> None:
        """What became of the target."""
        self.log.result(outcome, self.kind.response, self.target, message, identity, self.alert_id, until)
