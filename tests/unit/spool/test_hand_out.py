# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-out by itself, with coroutines in the place of a rulebook's actions; the real ones are in tests/integration/test_intake.py."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.plugin_utils.spool import hand_out as hand_out_module
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.committer import Committer
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.hand_out import HandOut
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.lease import LEAD, WORK, Lock
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Answer, Arrived, Delivery, Planned, SpoolFull
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import MAX_AGE, Spool

Run = Callable[[Spool, int], Awaitable[None]]
KEY = ("web1", "firewall_drop", "t")


async def plan_and_answer(spool: Spool, batch: int) -> None:
    """What a run does when all is well."""
    taken = spool.begin(batch, os.getpid(), time.time())
    spool.plan(batch, [Planned(each.number, [KEY]) for each in taken], MAX_AGE, time.time())
    spool.record(batch, "web1", [Answer(each.id, "firewall_drop", "t", "done") for each in taken], time.time())


class World:
    """A spool, its hand-out, and a rulebook that does `run` for each batch, in a task that is called `name`."""

    def __init__(self, directory: Path, run: Run, name: str = "action::run_playbook::set::rule", pause: float = 0.01, audited: str = "") -> None:
        self.spool = Spool.open(str(directory))
        self.batches: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._run, self._name = run, name
        self.hand_out = HandOut(str(directory), self.put, 500, pause, audited)

    async def put(self, batch: int) -> None:
        self.batches.append(batch)
        self.tasks.append(asyncio.create_task(self._do(batch), name=self._name))

    async def _do(self, batch: int) -> None:
        await self._run(self.spool, batch)

    def accept(self, *names: str) -> None:
        self.spool.accept([Delivery([Arrived(name, "", time.time(), "{}") for name in names])], time.time())
        self.hand_out.arrived()

    def states(self) -> dict[str, int]:
        return {state: count for state, count in self.spool.figures(0)["alerts"].items() if count}

    async def until(self, condition: Callable[[], bool], seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.states(), self.batches, self.hand_out.state)
            await asyncio.sleep(0.01)


def go(world: Callable[[], World], script: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        there = world()
        work = asyncio.create_task(there.hand_out.work())
        try:
            await script(there)
        finally:
            work.cancel()
            await asyncio.gather(work, *there.tasks, return_exceptions=True)

    asyncio.run(play())


def test_the_next_batch_is_what_arrived_meanwhile(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def run(spool: Spool, batch: int) -> None:
        if batch == 1:
            await gate.wait()
        await plan_and_answer(spool, batch)

    async def script(world: World) -> None:
        world.accept("a")
        await world.until(lambda: world.batches == [1])
        world.accept("b", "c")
        world.accept("d")
        await asyncio.sleep(0.3)  # nothing may happen in this time
        assert world.batches == [1]
        gate.set()
        await world.until(lambda: world.states() == {"answered": 4})
        assert world.batches == [1, 2]

    go(lambda: World(tmp_path, run), script)


@pytest.mark.parametrize("error", [RuntimeError("the playbook cannot be found"), asyncio.CancelledError()])
def test_a_run_that_fails_before_it_begins_is_tried_again_after_a_rest_that_grows(tmp_path: Path, error: BaseException) -> None:
    moments: list[float] = []

    async def run(spool: Spool, batch: int) -> None:
        moments.append(time.monotonic())
        if batch < 4:
            raise error
        await plan_and_answer(spool, batch)

    async def script(world: World) -> None:
        world.accept("a")
        await world.until(lambda: world.hand_out.state.fruitless == 3)
        await world.until(lambda: world.states() == {"answered": 1})
        rests = [later - earlier for earlier, later in zip(moments, moments[1:])]
        assert [rest >= least for rest, least in zip(rests, (0.1, 0.2, 0.4))] == [True] * 3
        await world.until(lambda: world.hand_out.state.fruitless == 0)

    go(lambda: World(tmp_path, run, pause=0.1), script)


def test_an_action_that_cannot_be_seen_is_known_by_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_out_module, "FIND_SECONDS", 0.2)
    playbook = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    async def run(spool: Spool, batch: int) -> None:
        taken = spool.begin(batch, playbook.pid, time.time())
        spool.plan(batch, [Planned(each.number, []) for each in taken], MAX_AGE, time.time())

    async def script(world: World) -> None:
        world.accept("a")
        await world.until(lambda: world.spool.run_of(1) == ("running", playbook.pid))
        await asyncio.sleep(0.7)  # it must wait for as long as the process is there
        assert world.states() == {"taken": 1}
        playbook.kill()
        playbook.wait()
        await world.until(lambda: world.states() == {"answered": 1})

    try:
        go(lambda: World(tmp_path, run, name="called otherwise in a later version"), script)
    finally:
        playbook.kill()


def test_a_batch_that_nobody_takes_up_is_handed_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_out_module, "FIND_SECONDS", 0.1)
    monkeypatch.setattr(hand_out_module, "BEGIN_SECONDS", 0.2)

    async def run(_spool: Spool, _batch: int) -> None:
        """The rulebook has no rule for it."""

    async def script(world: World) -> None:
        world.accept("a")
        await world.until(lambda: len(world.batches) == 3)
        [how] = {row[0] for row in world.spool._database.execute("SELECT how FROM batch WHERE id < 3")}
        assert "has the rulebook a rule for event.riposte.batch?" in how

    go(lambda: World(tmp_path, run, name="nothing"), script)


def test_who_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that never ends, and then a worker that it left behind."""
    monkeypatch.setattr(hand_out_module, "RUN_SECONDS", 0.3)
    monkeypatch.setattr(hand_out_module, "LEFTOVER_SECONDS", 0.3)
    code = (
        "import sys, time\nfrom ansible_collections.riposte.active_response.plugins.plugin_utils.spool.lease import at_work\n"
        "with at_work(sys.argv[1]):\n    print(flush=True)\n    time.sleep(60)"
    )
    playbook = subprocess.Popen(["sleep", "60"])
    Spool.open(str(tmp_path)).close()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=env)
    assert worker.stdout
    worker.stdout.readline()

    async def run(spool: Spool, batch: int) -> None:
        if batch > 1:
            return await plan_and_answer(spool, batch)
        spool.begin(batch, playbook.pid, time.time())
        await asyncio.to_thread(playbook.wait)
        return None

    async def script(world: World) -> None:
        world.accept("a")
        await world.until(lambda: world.states() == {"answered": 1})
        assert playbook.poll() == worker.wait(5) == -signal.SIGKILL

    try:
        go(lambda: World(tmp_path, run), script)
    finally:
        playbook.kill()
        worker.kill()
        worker.stdout.close()


def test_a_run_that_waits_for_a_killed_worker_is_ended_and_one_that_is_at_work_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ansible-core does when it has given the dead one's place to the next host."""
    monkeypatch.setattr(hand_out_module, "QUIET_SECONDS", 0.4)
    monkeypatch.setattr(hand_out_module, "LOOK_SECONDS", 0.05)
    playbook = subprocess.Popen(["sleep", "60"])
    lock: list[Lock] = []

    async def run(spool: Spool, batch: int) -> None:
        if batch > 1:
            return await plan_and_answer(spool, batch)
        lock.append(Lock(str(tmp_path), WORK))
        lock[0].share()  # a worker
        taken = spool.begin(batch, playbook.pid, time.time())
        spool.plan(batch, [Planned(each.number, [KEY]) for each in taken], MAX_AGE, time.time())
        await asyncio.to_thread(playbook.wait)
        return None

    async def script(world: World) -> None:
        world.accept("a")
        await world.until(lambda: world.spool.run_of(1)[0] == "running")
        await asyncio.sleep(1)  # while the worker is there nothing may happen
        assert playbook.poll() is None
        lock[0].close()
        await world.until(lambda: world.states() == {"answered": 1})
        assert playbook.poll() == -signal.SIGKILL

    try:
        go(lambda: World(tmp_path, run), script)
    finally:
        playbook.kill()


def test_who_is_cancelled_closes_the_spool_when_no_thread_is_in_it_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when ansible-rulebook is stopped: SQLite crashes the process that closes what a query runs on."""
    seen: list[str] = []
    inside, go_on = threading.Event(), threading.Event()
    close = Spool.close

    def slow(_spool: Spool, _now: float, _most: int) -> None:
        inside.set()
        assert go_on.wait(10)
        seen.append("looked")

    def closing(spool: Spool) -> None:
        seen.append("closed")
        close(spool)

    monkeypatch.setattr(Spool, "take", slow)
    monkeypatch.setattr(Spool, "close", closing)

    async def play() -> None:
        work = asyncio.create_task(World(tmp_path, plan_and_answer).hand_out.work())
        assert await asyncio.to_thread(inside.wait, 10)
        work.cancel()
        await asyncio.wait([work], timeout=0.3)  # nothing may happen in this time
        assert seen == []
        go_on.set()
        await asyncio.gather(work, return_exceptions=True)

    try:
        asyncio.run(play())
    finally:
        go_on.set()
    assert seen == ["looked", "closed"]


def test_what_a_service_that_died_had_handed_out_is_handed_out_again(tmp_path: Path) -> None:
    with_batch = Spool.open(str(tmp_path))
    with_batch.accept([Delivery([Arrived("a", "", time.time(), "{}")])], time.time())
    with_batch.begin(with_batch.take(time.time(), 10) or 0, 1, time.time())

    async def script(world: World) -> None:
        await world.until(lambda: world.states() == {"answered": 1})
        assert world.batches == [2]

    go(lambda: World(tmp_path, plan_and_answer), script)


def test_only_one_hands_out_and_another_follows(tmp_path: Path) -> None:
    Spool.open(str(tmp_path)).close()
    first = Lock(str(tmp_path), LEAD)
    assert first.try_alone()

    async def script(world: World) -> None:
        world.accept("a")
        await asyncio.sleep(0.7)
        assert world.batches == []
        assert not world.hand_out.state.leading
        first.free()
        await world.until(lambda: world.states() == {"answered": 1})
        assert world.hand_out.state.leading

    go(lambda: World(tmp_path, plan_and_answer), script)


def test_what_another_process_accepted_is_seen(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        await world.until(lambda: world.hand_out.state.leading)
        Spool.open(str(tmp_path)).accept([Delivery([Arrived("a", "", time.time(), "{}")])], time.time())
        await world.until(lambda: world.states() == {"answered": 1})

    go(lambda: World(tmp_path, plan_and_answer), script)


def test_the_audit_says_how_each_alert_ended(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"

    async def script(world: World) -> None:
        old = Arrived("old", "", time.time() - 2 * MAX_AGE, "{}")
        world.spool.accept([Delivery([old, Arrived("new", "", time.time(), "{}")])], time.time())
        await world.until(lambda: world.states() == {"answered": 1, "failed": 1})
        await world.until(lambda: file.exists() and file.read_text().count("\n") == 2)

    go(lambda: World(tmp_path / "spool", plan_and_answer, audited=str(file)), script)
    said = {entry["alert_id"]: (entry["state"], entry["batch"]) for entry in map(json.loads, file.read_text().splitlines())}
    assert said == {"old": ("failed", None), "new": ("answered", 1)}


def test_many_requests_share_commits_and_none_is_told_before_it_is_on_disk(tmp_path: Path) -> None:
    class Slow(Spool):
        commits = 0

        def accept(self, deliveries, now):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            time.sleep(0.05)
            self.commits += 1
            return super().accept(deliveries, now)

    async def play() -> None:
        spool = Slow.open(str(tmp_path))
        arrived: list[int] = []
        committer = Committer(spool, lambda: arrived.append(1))
        reader = Spool.open(str(tmp_path))

        async def send(number: int) -> None:
            receipt = await committer.commit(Delivery([Arrived(f"a{number}", "", 0, "{}")]))
            assert receipt.received == 1
            assert reader._one("SELECT count(*) FROM alert WHERE id = ?", f"a{number}") == 1

        await asyncio.gather(*(send(number) for number in range(100)))
        assert spool.commits <= 4
        assert len(arrived) == spool.commits
        spool._database.execute(f"PRAGMA max_page_count = {spool._one('PRAGMA page_count')}")
        with pytest.raises(SpoolFull):
            await committer.commit(Delivery([Arrived("large", "", 0, "x" * 100_000)]))
        spool._database.execute("PRAGMA max_page_count = 100000")
        assert (await committer.commit(Delivery([Arrived("large", "", 0, "x" * 100_000)]))).received == 1
        committer.close()

    asyncio.run(play())
