# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands out what is in the spool, batch by batch, one run in flight; the next batch is what arrived meanwhile.

A rulebook's action is a task of the same event loop, so its end is seen whatever it was: success, failure, a killed ansible-playbook, a playbook that
could not even be read. Where the task cannot be found, because ansible-rulebook calls it otherwise now, the run's process is watched instead.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ...module_utils.host.errors import Problem
from .. import audit
from .lease import LEAD, WORK, Lock
from .records import FAILED, HANDED, Close
from .spool import Spool

ACTION = "action::run_"
FIND_SECONDS = 10.0  # for the engine to begin an action; the first one after the start takes longest, 0.3 s
BEGIN_SECONDS = 120.0  # for a run that cannot be seen to begin its batch
LEFTOVER_SECONDS = 30.0  # for the workers of a run that was killed to end by themselves
RUN_SECONDS = 1800.0  # for a run; who hangs for longer is ended
QUIET_SECONDS = 60.0  # for a run that owes words and in which nobody is at work: ansible-core can wait for ever for a worker that was killed
LOOK_SECONDS = 1.0
LONGEST_REST = 60.0
LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass
class State:
    """What a person may ask about it. fruitless: runs in a row that did not come as far as a plan."""

    leading: bool = False
    batch: int | None = None
    since: float = 0.0
    fruitless: int = 0
    problem: str = ""


class HandOut:
    def __init__(self, directory: str, put: Callable[[int], Awaitable[None]], most: int, pause: float, audited: str = "") -> None:
        """put: gives a batch's number to the rulebook. most: alerts in a batch. pause: seconds until a first new try. audited: a file, "" = none."""
        self._directory = directory
        self._put = put
        self._most = most
        self._pause = pause
        self._audited = audited
        self._news = asyncio.Event()
        self.state = State()

    def arrived(self) -> None:
        """There is something new in the spool."""
        self._news.set()

    async def work(self) -> None:
        """Never returns."""
        lead, work = Lock(self._directory, LEAD), Lock(self._directory, WORK)
        try:
            while not lead.try_alone():
                await asyncio.sleep(0.5)  # another rulebook hands out; this one only accepts, and follows when that one is gone
            self.state.leading = True
            spool = await _in_thread(Spool.open, self._directory)
            try:
                await self._work(spool, work)
            finally:
                spool.close()
        finally:
            self.state.leading = False
            lead.close()
            work.close()

    async def _work(self, spool: Spool, work: Lock) -> None:
        while True:
            try:
                for batch in spool.unfinished():  # of a service that died
                    LOG.warning("batch %s was not finished; what it had is handed out again", batch)
                    await self._end(spool, work, batch, counted=False, how="the service ended")
                await self._next(spool, work)
                self.state.problem = ""
            except Problem as problem:
                self.state.problem = str(problem)
                LOG.error("no alert is handed out: %s", problem)
                await asyncio.sleep(5)

    async def _next(self, spool: Spool, work: Lock) -> None:
        self._news.clear()
        batch = await _in_thread(spool.take, time.time(), self._most)
        await self._tell(spool)
        if batch is None:
            await self._news_or(1.0)  # what another rulebook accepted is seen by looking
            return
        self.state.batch, self.state.since = batch, time.time()
        how = await self._run(spool, work, batch)
        closed = await self._end(spool, work, batch, counted=True, how=how)
        self.state.batch = None
        LOG.info("batch %s ended: %s answered, %s failed, %s to be tried again %s", batch, closed.answered, closed.failed, closed.again, how)
        self.state.fruitless = 0 if closed.planned else self.state.fruitless + 1
        if self.state.fruitless:
            rest = min(LONGEST_REST, self._pause * 2 ** (self.state.fruitless - 1))
            LOG.error("batch %s: its run ended before there was a plan; the next one begins in %g s. What ansible-playbook said is above", batch, rest)
            await asyncio.sleep(rest)

    async def _news_or(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except asyncio.TimeoutError:
            return

    # -- a run

    async def _run(self, spool: Spool, work: Lock, batch: int) -> str:
        """Gives the batch to the rulebook and waits until its run has ended; returns how, in words, if there is something to say."""
        before = asyncio.all_tasks()
        await self._put(batch)
        task = await self._action(before)
        if task is None:
            return await self._unseen(spool, batch)
        begun = at_work = time.monotonic()
        while not (await asyncio.wait([task], timeout=LOOK_SECONDS))[0]:
            now = time.monotonic()
            if not _idle(spool, work, batch):
                at_work = now
            if now - begun > RUN_SECONDS:
                self._kill(spool, batch, f"has not ended within {RUN_SECONDS:g} s")
                begun = now
            elif now - at_work > QUIET_SECONDS:
                self._kill(spool, batch, f"owes answers, and for {QUIET_SECONDS:g} s nobody has been at work in it")
                at_work = now
        error = None if task.cancelled() else task.exception()
        return f"{type(error).__name__}: {error}"[:200] if error else ""

    def _kill(self, spool: Spool, batch: int, why: str) -> None:
        _state, pid = spool.run_of(batch)
        LOG.error("batch %s: its run %s and is ended now (process %s)", batch, why, pid)
        if pid is not None and _alive(pid):
            os.kill(pid, signal.SIGKILL)

    async def _action(self, before: set[asyncio.Task[object]]) -> asyncio.Task[object] | None:
        """The task in which the rulebook's action runs."""
        end = time.monotonic() + FIND_SECONDS
        while time.monotonic() < end:
            for task in asyncio.all_tasks() - before:
                if task.get_name().startswith(ACTION):
                    return task
            await asyncio.sleep(0.005)
        return None

    async def _unseen(self, spool: Spool, batch: int) -> str:
        end = time.monotonic() + BEGIN_SECONDS
        while spool.run_of(batch)[0] == HANDED:
            if time.monotonic() > end:
                return f"no action took it up within {BEGIN_SECONDS:g} s: has the rulebook a rule for event.riposte.batch?"
            await asyncio.sleep(0.2)
        while _alive(spool.run_of(batch)[1]):
            await asyncio.sleep(0.2)
        return ""

    async def _end(self, spool: Spool, work: Lock, batch: int, counted: bool, how: str) -> Close:
        """Closes a batch when nobody is at work for it any more. In between nobody can begin to be."""
        end = time.monotonic() + LEFTOVER_SECONDS
        while not work.try_alone():
            if time.monotonic() > end:
                LOG.warning("batch %s: processes that its run left behind were ended: %s", batch, work.kill_holders() or "none could be found")
                end = time.monotonic() + LEFTOVER_SECONDS
            await asyncio.sleep(0.02)
        try:
            closed = await _in_thread(spool.end, batch, time.time(), self._pause, counted, how)
        finally:
            work.free()
        await self._tell(spool)
        return closed

    async def _tell(self, spool: Spool) -> None:
        """Into the audit, what came to its end."""
        ends = spool.ends()
        for each in ends:
            if each.state == FAILED:
                LOG.error("alert %s is given up: %s", each.id, each.why)
        problem = await asyncio.to_thread(audit.write, self._audited, [audit.ended(*each) for each in ends]) if ends else ""
        if problem:
            LOG.warning("%s", problem)


async def _in_thread(work: Callable[..., _Result], *args: object) -> _Result:
    """As asyncio.to_thread, but a caller who is cancelled goes on only when the thread has ended: he closes what it uses, and SQLite would crash."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait([task])


def _idle(spool: Spool, work: Lock, batch: int) -> bool:
    """Whether answers are owed and nobody is about to give one."""
    if not spool.owes(batch) or not work.try_alone():
        return False
    work.free()
    return True


def _alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
