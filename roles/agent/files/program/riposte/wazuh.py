# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This program as one of Wazuh's active response executables: links to it stand in active-response/bin, and wazuh-execd starts it by their names.

The daemon has a single thread and waits until this program exits. So it says the keys, hears the answer, and leaves the work to a process of its own,
for which it waits a moment only. Exit code 0: what was asked is in force (or taken away, or rightly called off); 1: it is not, or not yet.
"""

from __future__ import annotations

import os
from dataclasses import replace

from engine.host.engine import Engine
from engine.host.errors import Problem
from engine.host.kind import kind_of
from engine.host.response import FAILED, LONGEST_ALERT_ID, printable
from engine.host.runner import Runner

from .background import in_background
from .call import Call
from .executables import ORIGIN
from .log import FOLDER, Log, complain
from .message import Lines, Order, check_keys, read_answer, read_order
from .orders import carry_out, fail

WELL, WRONG = 0, 1
PATIENCE = 0.8  # seconds that the daemon is kept waiting, this program's own start included


def main(path: str, runner: Runner, engine: Engine | None, begun: float) -> int:
    """Answers one call of wazuh-execd. `path`: by which this program was called, relative to the daemon's home or absolute; `begun`: when (monotonic)."""
    name = os.path.basename(path)
    home = home_of(path)
    if home is None:
        complain(f"{path}: as {name} this program is called by wazuh-execd, as HOME/{FOLDER}/{name}; for people it is riposte")
        return WRONG
    used = replace(engine or Engine(runner, session=False), origin=f"{ORIGIN}/{name}")
    return answer(Call(name, home, used, Log(home, name)), begun)


def home_of(path: str) -> str | None:
    """Wazuh's home, from where one of its executables lies."""
    folder = os.path.dirname(os.path.abspath(path))
    return folder[: -len(FOLDER) - 1] or "/" if folder.endswith(f"/{FOLDER}") else None


def answer(call: Call, begun: float) -> int:
    """Talks with the daemon, then has the work done."""
    lines = Lines(0)
    try:
        order, aborted = _agreed(call, lines)
        # what the daemon took for its own words it has not waited for
        code = in_background(lambda: _work(call, order, aborted), begun + lines.waited + PATIENCE)
    except Problem as problem:
        call.say(FAILED, str(problem))
        return WRONG
    except OSError as error:
        gone = "wazuh-execd went away before it had answered" if isinstance(error, BrokenPipeError) else str(error)
        call.say(FAILED, f"{gone}; nothing was done")
        return WRONG
    if code is None:
        call.log.text(f"{call.kind.response} {call.target} goes on in the background; what comes of it is said here when it is known")
    elif code < 0:
        fail(call, order, f"the process that did it was ended by signal {-code}; the tick settles what it has left")
    return WELL if code == WELL else WRONG


def _agreed(call: Call, lines: Lines) -> tuple[Order, bool]:
    """The order, and whether the daemon calls it off."""
    order = read_order(lines.next())
    call.alert_id = printable(order.alert_id, LONGEST_ALERT_ID)
    call.target = kind_of(call.kind.response).target(order.observable(call.kind.observable))
    if order.release:
        return order, False
    os.write(1, check_keys(call.name, call.target).encode())
    return order, not read_answer(lines.next())


def _work(call: Call, order: Order, aborted: bool) -> int:
    """In the background: whatever becomes of it is said in the log."""
    try:
        return WELL if carry_out(call, order, aborted) else WRONG
    except BaseException as error:
        fail(call, order, f"{type(error).__name__}: {error}" if not isinstance(error, Problem) else str(error))
        raise
