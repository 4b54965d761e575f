# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many active responses Wazuh has room for.

Each `<active-response>` of the manager is a line of etc/shared/ar.conf, which goes to every agent whole. Before 4.14.9 wazuh-execd has room for 64 lines and
does not look: what comes behind them overwrites its memory, and it dies at the first response that it is asked for, whichever that is (wazuh/wazuh#38358).
"""

from __future__ import annotations

from ..host.errors import BadInput
from .read import read_configuration

LINES = 64
WAZUHS = 6
"""Lines that wazuh-analysisd writes by itself: the restarts."""
MOST = LINES - WAZUHS


def check_room(content: bytes, most: int = MOST) -> None:
    """BadInput when a configuration has more active responses than that, whoever wrote them."""
    count = sum(each.text("disabled") != "yes" for each in read_configuration(content, "it").responses)
    if count > most:
        raise BadInput(
            f"{count} <active-response> would stand in it, and there is room for {most}: of the lines of ar.conf, one for each, wazuh-execd before Wazuh "
            f"4.14.9 has room for {LINES}, {WAZUHS} of them Wazuh's own, and dies of more on every agent. Name several rules in the rules_id of one, or take "
            "some out"
        )
