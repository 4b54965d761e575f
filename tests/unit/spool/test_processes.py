# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes on one spool: nobody is handed an alert twice, and who dies leaves no lock behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.lease import LEAD, WORK, Lock, at_work
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Arrived, Delivery, SpoolError
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool

UTILS = "from ansible_collections.riposte.active_response.plugins.plugin_utils.spool"
HEAD = f"""
import os, sys, time
{UTILS}.spool import *
{UTILS}.lease import *
where, name = sys.argv[1:3]
"""
SENDER = """
spool = Spool.open(where)
for number in range(0, 400, 10):
    spool.accept([Delivery([Arrived(f"{name}-{number + more}", "", time.time(), "{}") for more in range(10)])], time.time())
"""
TAKER = """
spool, lock, idle = Spool.open(where), Lock(where, LEAD), time.monotonic()
while time.monotonic() - idle < 2:
    if not lock.try_alone():
        continue
    batch = spool.take(time.time(), 20)
    if batch is not None:
        taken = spool.begin(batch, os.getpid(), time.time())
        spool.plan(batch, [Planned(each.number, []) for each in taken], 3600.0, time.time())
        assert spool.end(batch, time.time(), 1).answered == len(taken)
        print(*(each.id for each in taken), flush=True)
        idle = time.monotonic()
    lock.free()
"""
HOLDER = """
with at_work(where):
    print("at work", flush=True)
    time.sleep(60)
"""
FORKER = """
if os.fork() == 0:
    with at_work(where):
        os.execvp("sh", ["sh", "-c", "echo started; sleep 5"]) if name == "exec" else print(os.getpid(), flush=True) or time.sleep(60)
time.sleep(60)
"""


def start(script: str, directory: Path, name: str = "") -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", HEAD + script, str(directory), name], stdout=subprocess.PIPE, text=True, env=env)


@contextmanager
def running(script: str, directory: Path, name: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has said its first line."""
    process = start(script, directory, name)
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def alone(lock: Lock, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not lock.try_alone():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_no_alert_is_handed_out_twice(tmp_path: Path) -> None:
    Spool.open(str(tmp_path)).close()
    takers = [start(TAKER, tmp_path, f"taker{number}") for number in range(3)]
    senders = [start(SENDER, tmp_path, f"sender{number}") for number in range(3)]
    assert [sender.wait(60) for sender in senders] == [0, 0, 0]
    taken = [name for taker in takers for name in taker.communicate(timeout=60)[0].split()]
    assert [taker.returncode for taker in takers] == [0, 0, 0]
    assert len(taken) == len(set(taken)) == 1200


def test_a_lead_ends_with_its_process(tmp_path: Path) -> None:
    Spool.open(str(tmp_path)).close()
    lock = Lock(str(tmp_path), LEAD)
    with running("lock = Lock(where, LEAD)\nprint(lock.try_alone(), flush=True)\ntime.sleep(60)", tmp_path) as (process, said):
        assert said == "True"
        assert not lock.try_alone()
        process.send_signal(signal.SIGKILL)
        assert alone(lock)


def test_whoever_is_at_work_is_known_and_can_be_ended(tmp_path: Path) -> None:
    Spool.open(str(tmp_path)).close()
    lock = Lock(str(tmp_path), WORK)
    with running(HOLDER, tmp_path) as (one, said), running(HOLDER, tmp_path) as (two, _said):
        assert said == "at work"
        assert not lock.try_alone()
        assert lock.holders() == sorted([one.pid, two.pid])
        lock.kill_holders()
        assert alone(lock)
    assert lock.holders() == []


def test_a_worker_that_outlives_its_parent_is_still_at_work(tmp_path: Path) -> None:
    Spool.open(str(tmp_path)).close()
    lock = Lock(str(tmp_path), WORK)
    with running(FORKER, tmp_path, "fork") as (parent, worker):
        parent.kill()
        parent.wait()
        assert not lock.try_alone()
        assert lock.holders() == [int(worker)]
        assert lock.kill_holders() == [int(worker)]
        assert alone(lock)


def test_a_program_that_a_worker_starts_is_not_at_work(tmp_path: Path) -> None:
    """ssh stays behind for the next run, for minutes."""
    Spool.open(str(tmp_path)).close()
    with running(FORKER, tmp_path, "exec") as (_parent, said):
        assert said == "started"
        assert alone(Lock(str(tmp_path), WORK))


def test_nobody_can_be_at_work_without_a_spool(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="there is no spool here"), at_work(str(tmp_path)):
        pass


def test_a_writer_waits_for_another_and_gives_up_in_time(tmp_path: Path) -> None:
    first, second = Spool.open(str(tmp_path)), Spool.open(str(tmp_path), patience=0.2)
    first._database.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(SpoolError, match="locked"):
        second.accept([Delivery([Arrived("a", "", 0, "{}")])], 0)
    assert time.monotonic() - begun < 3
    first._database.execute("ROLLBACK")
    assert second.accept([Delivery([Arrived("a", "", 0, "{}")])], 0)[0].received == 1
