# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of Wazuh's executables this program takes the place of."""

from __future__ import annotations

from typing import NamedTuple

from engine.alert.observables import ADDRESS, USER

FIREWALL_DROP, DISABLE_ACCOUNT = "firewall_drop", "disable_account"
ORIGIN = "wazuh-execd"  # in the ledger, with the executable's name: wazuh-execd/firewall-drop


class Answer(NamedTuple):
    """What an executable's name stands for: the kind of response, and the observable of an alert that it acts on."""

    response: str
    observable: str


EXECUTABLES = {
    "firewall-drop": Answer(FIREWALL_DROP, ADDRESS),
    "default-firewall-drop": Answer(FIREWALL_DROP, ADDRESS),
    "block-ip": Answer(FIREWALL_DROP, ADDRESS),  # Wazuh 5
    "disable-account": Answer(DISABLE_ACCOUNT, USER),
}
