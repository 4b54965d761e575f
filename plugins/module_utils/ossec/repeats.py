# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent's <repeated_offenders> -> longer and longer timeouts for repeats, and notes."""

from __future__ import annotations

import re

from ..host.errors import shown
from ..host.lifetime import LONGEST
from .read import AGENT, Block, Configuration, Note

MOST = 5
"""Wazuh reads no more of them."""

_NUMBER = re.compile(r"\s*\+?([0-9]{1,12})")


def read_repeats(agent: Configuration) -> tuple[list[str], list[Note]]:
    """agent: an agent's ossec.conf, or the agent.conf of a group. The timeouts as a policy has them."""
    notes = list(agent.notes)
    repeats: list[str] = []
    counts = False
    for block in agent.responses:
        if "repeated_offenders" not in block.values:
            continue
        if block.root == AGENT:
            notes.append(_note(agent, block, "agents read repeated_offenders in their own ossec.conf only: here it did nothing.", "it is not imported."))
        elif counts:
            notes.append(_note(agent, block, "of several repeated_offenders Wazuh takes the first.", "it is not imported."))
        else:
            counts = True
            repeats = _timeouts(agent, block, notes)
    notes += [
        Note(agent.file, block.line_of("disabled"), "this agent runs no active response.", "a host with the file /etc/riposte/disabled begins none either.")
        for block in agent.responses
        if block.text("disabled") == "yes"
    ]
    notes += [
        Note(agent.file, block.line, "an agent starts no response by its own file; commands come from the manager.", "it is not imported.")
        for block in agent.responses
        if "command" in block.values
    ]
    return repeats, notes


def duration(seconds: int) -> str:
    """600 -> 10m."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _timeouts(agent: Configuration, block: Block, notes: list[Note]) -> list[str]:
    said = [each.strip() for each in block.text("repeated_offenders").split(",") if each.strip()]
    repeats = []
    for each in said[:MOST]:
        found = _NUMBER.match(each)
        minutes = int(found[1]) if found else 0
        if minutes:
            repeats.append(duration(min(minutes * 60, LONGEST)))
        if not minutes:
            notes.append(_note(agent, block, f"{shown(each)} is no number of minutes.", "it is left out."))
        elif minutes * 60 > LONGEST:
            notes.append(_note(agent, block, f"{shown(each)} minutes are more than a year.", "a response stands for 366 days at most."))
    if said[MOST:]:
        notes.append(_note(agent, block, f"Wazuh reads {MOST} of them; {shown(','.join(said[MOST:]))} never counted.", "that is left out."))
    if repeats:
        wazuh = "offences are counted in memory until the agent restarts, and a second alert while the block stands is already a repeat."
        here = f"each response with a timeout has repeated_offenders: [{', '.join(repeats)}]; counted is what has ended, in the ledger of the host."
        notes.append(_note(agent, block, wazuh, here))
    return repeats


def _note(agent: Configuration, block: Block, wazuh: str, here: str) -> Note:
    return Note(agent.file, block.line_of("repeated_offenders"), wazuh, here)
