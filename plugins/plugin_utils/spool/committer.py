# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many requests, one commit: what waits while a commit is under way shares the next one. A thread of its own, so that a slow disk stops nobody else."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable

from ...module_utils.host.errors import Problem
from .records import Delivery, Receipt
from .spool import Spool

MOST_AT_ONCE = 1000
PRUNED_EVERY = 3600  # seconds
LOG = logging.getLogger(__name__)
_Waiting = tuple[Delivery, "asyncio.Future[Receipt]"]


class Committer:
    """Accepts deliveries for coroutines of one event loop. arrived: called in that loop when something new is in the spool."""

    def __init__(self, spool: Spool, arrived: Callable[[], None]) -> None:
        self._spool = spool
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._pruned = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="riposte-committer", daemon=True)
        self._thread.start()

    async def commit(self, delivery: Delivery) -> Receipt:
        """Returns when it is on disk; raises Problem when it is not."""
        future: asyncio.Future[Receipt] = self._loop.create_future()
        self._queue.put((delivery, future))
        return await future

    def close(self) -> None:
        """Commits what waits, and ends."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            group = self._next_group()
            if not group:
                break
            try:
                receipts: list[Receipt | Problem] = list(self._spool.accept([delivery for delivery, _future in group], time.time()))
            except Problem as problem:
                receipts = [problem] * len(group)
            except Exception as error:  # nobody must wait for ever for a thread that died
                LOG.exception("the spool")
                receipts = [Problem(f"the spool: {error}")] * len(group)
            self._loop.call_soon_threadsafe(self._tell, group, receipts)
            self._prune()
        self._spool.close()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == MOST_AT_ONCE:
                return group
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._queue.put(None)  # the end comes after what waited
        return group

    def _tell(self, group: list[_Waiting], receipts: list[Receipt | Problem]) -> None:
        for (_delivery, future), receipt in zip(group, receipts):
            if future.done():
                continue
            if isinstance(receipt, Problem):
                future.set_exception(receipt)
            else:
                future.set_result(receipt)
        if any(isinstance(receipt, Receipt) and receipt.received for receipt in receipts):
            self._arrived()

    def _prune(self) -> None:
        if time.monotonic() - self._pruned < PRUNED_EVERY:
            return
        self._pruned = time.monotonic()
        try:
            self._spool.prune(time.time())
        except Problem as problem:
            LOG.warning("what ended long ago could not be forgotten: %s", problem)
