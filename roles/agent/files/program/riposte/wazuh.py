# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This program as one of Wazuh's active response executables: links to it stand in active-response/bin, and wazuh-execd starts it by their names.

The daemon has a single thread and waits until this program exits. So it says the keys, hears the answer, and leaves the work to a process of its own,
for which it waits a moment only. Exit code 0: what was asked is in force (or taken away, or the daemon called it off); 1: it is not, or not yet.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
from typing import Callable, NamedTuple, NoReturn

from engine.alert.observables import ADDRESS, USER
from engine.host.engine import Engine
from engine.host.errors import Problem
from engine.host.kind import kind_of
from engine.host.ledger import Row
from engine.host.lifetime import moment_text
from engine.host.response import DONE, FAILED, UNCHANGED, Request, Result, printable
from engine.host.runner import Runner

from .lifetimes import KEEP, Conf, choose, read_conf
from .log import FOLDER, Log, complain, one_line
from .message import Lines, Order, check_keys, read_answer, read_order

WELL, WRONG = 0, 1
PATIENCE = 0.8  # seconds that the daemon is kept waiting for a result
EARLY = 5  # seconds before its end up to which a delete is on time
LONGEST_ECHO = 60_000  # characters; Wazuh cuts a line of a log at 65536 bytes, and then reads no JSON in it
CONF = "etc/riposte/wazuh.conf"


class Answer(NamedTuple):
    """What an executable's name stands for: the kind of response, and the observable of an alert that it acts on."""

    response: str
    observable: str


EXECUTABLES = {
    "firewall-drop": Answer("firewall_drop", ADDRESS),
    "default-firewall-drop": Answer("firewall_drop", ADDRESS),
    "block-ip": Answer("firewall_drop", ADDRESS),  # Wazuh 5
    "disable-account": Answer("disable_account", USER),
}


def main(path: str, runner: Runner, engine: Engine | None = None) -> int:
    """Answers one call of wazuh-execd. `path`: by which this program was called, relative to the daemon's home or absolute."""
    name = os.path.basename(path)
    home = home_of(path)
    if home is None:
        complain(f"{path}: as {name} this program is called by wazuh-execd, as HOME/{FOLDER}/{name}; for people it is riposte")
        return WRONG
    used = engine or Engine(runner, origin="wazuh-execd", session=False)
    return Call(name, home, used, Log(home, name)).answer()


def home_of(path: str) -> str | None:
    """Wazuh's home, from where one of its executables lies."""
    folder = os.path.dirname(os.path.abspath(path))
    return folder[: -len(FOLDER) - 1] or "/" if folder.endswith(f"/{FOLDER}") else None


@dataclass
class Call:
    """One call of an executable."""

    name: str
    home: str
    engine: Engine
    log: Log
    target: str = ""
    alert_id: str = ""

    @property
    def kind(self) -> Answer:
        return EXECUTABLES[self.name]

    def answer(self) -> int:
        """Talks with the daemon, then has the work done."""
        try:
            order = self._agreed(Lines(0))
            if order is None:
                self._say(UNCHANGED, "aborted: wazuh-execd has this key on its list already; nothing was done")
                return WELL
            code = in_background(lambda: self._work(order))
        except Problem as problem:
            self._say(FAILED, str(problem))
            return WRONG
        except OSError as error:
            gone = "wazuh-execd went away before it had answered" if isinstance(error, BrokenPipeError) else str(error)
            self._say(FAILED, f"{gone}; nothing was done")
            return WRONG
        if code is None:
            self.log.text(f"{self.kind.response} {self.target} goes on in the background; what comes of it is said here when it is known")
        elif code < 0:
            self._say(FAILED, f"the process that did it was ended by signal {-code}; the tick settles what it has left")
        return WELL if code == WELL else WRONG

    def _agreed(self, lines: Lines) -> Order | None:
        """The order, when it is to be carried out; None when the daemon calls it off."""
        order = read_order(lines.next())
        self.alert_id = printable(order.alert_id, 100)
        self.target = kind_of(self.kind.response).target(order.observable(self.kind.observable))
        if order.release:
            return order
        os.write(1, check_keys(self.name, self.target).encode())
        return order if read_answer(lines.next()) else None

    def _work(self, order: Order) -> int:
        """In the background: whatever becomes of it is said in the log."""
        try:
            return self._carried_out(order)
        except BaseException as error:
            self._say(FAILED, f"{type(error).__name__}: {error}")
            raise

    def _carried_out(self, order: Order) -> int:
        conf = self._conf()
        if order.release:
            kept = self._kept(conf)
            return kept if kept is not None else self._respond(order, Request(self.kind.response, [self.target], state="absent"), conf)
        notes: list[str] = []
        term = choose(order, self.name, conf, self.home, notes)
        for note in notes:
            self.log.text(note)
        request = Request(
            self.kind.response,
            [self.target],
            timeout=term.timeout,
            permanent=term.timeout is None,
            repeated_offenders=term.repeated_offenders,
            reason=order.reason,
            alert_id=self.alert_id,
        )
        return self._respond(order, request, conf)

    def _conf(self) -> Conf | None:
        """The host owner's file; None when it cannot be used, which costs the exit code but no block."""
        try:
            return read_conf(self.engine.paths.at(CONF), EXECUTABLES)
        except Problem as problem:
            self.log.text(f"{problem}; until it is mended, what Wazuh starts has its default lifetime")
            return None

    def _kept(self, conf: Conf | None) -> int | None:
        """The exit code when the host's owner wants that a response outlives a delete which comes before its end."""
        if conf is None or conf.early_delete != KEEP:
            return None
        row = self._row()
        if row is None or (row.until is not None and row.until - self.engine.clock() <= EARLY):
            return None
        until = until_text(row.until)
        self._say("kept", f"it stands until its recorded end, {until} (early_delete = keep in /{CONF})", row.id, until)
        return WELL

    def _row(self) -> Row | None:
        """What is recorded as standing."""
        looks, _ended, _report = self.engine.look(name=self.target)
        return next((look.row for look in looks if (look.row.response, look.row.target) == (self.kind.response, self.target)), None)

    def _respond(self, order: Order, request: Request, conf: Conf | None) -> int:
        report = self.engine.respond([request])
        for warning in report.warnings:
            self.log.text(f"warning: {warning}")
        [item] = report.results
        well = item.outcome in (DONE, UNCHANGED)
        if well:
            self.log.json(self._echo(order))
        outcome = "released" if order.release and item.outcome == DONE else item.outcome
        standing = item.standing
        self._say(outcome, _message(item), *((standing.id, until_text(standing.until)) if standing else ()))
        return WELL if well and conf else WRONG

    def _echo(self, order: Order) -> dict[str, object]:
        """The message, by which Wazuh's own rules tell that the response is in force."""
        message = dict(order.message)
        if order.wazuh4:
            message["parameters"] = {**message["parameters"], "program": self.log.program}
        if len(one_line(message)) <= LONGEST_ECHO:
            return message
        if order.wazuh4:
            return {**message, "parameters": {"extra_args": [], "alert": {"id": self.alert_id}, "program": self.log.program}}
        return {"command": message["command"], "wazuh": {"active_response": message["wazuh"]["active_response"]}}

    def _say(self, outcome: str, message: str, identity: str | None = None, until: str | None = None) -> None:
        self.log.result(outcome, self.kind.response, self.target, message, identity, self.alert_id, until)


def _message(item: Result) -> str:
    if item.outcome != UNCHANGED or item.message:
        return item.message
    return f"in force already since {moment_text(item.standing.since)}" if item.standing else "nothing stands for this target"


def in_background(work: Callable[[], int], patience: float = PATIENCE) -> int | None:
    """The exit code of work done by a process of its own (negative: the signal that ended it), or None when it goes on after `patience` seconds."""
    ended, held = os.pipe()  # nobody but that process holds its other end
    child = os.fork()
    if child == 0:
        _alone(work)
    os.close(held)
    if not select.select([ended], [], [], patience)[0]:
        return None
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _alone(work: Callable[[], int]) -> NoReturn:
    """Never returns: what called this belongs to the other process."""
    code = WRONG
    try:
        os.setsid()
        os.umask(0o077)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        code = work()
    finally:
        os._exit(code)


def until_text(end: float | None) -> str:
    """An end as the log has it."""
    return moment_text(end) or "permanent"
