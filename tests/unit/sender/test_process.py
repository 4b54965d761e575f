# SPDX-License-Identifier: GPL-3.0-or-later
"""riposte-sender as a process beside custom-riposte: quick, alone, and through any number of kills without a loss."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.sender.place import SECRET, TOKEN, Place, alert, load, until
from tests.unit.sender.stand_in import Action, Webhook

it = load("riposte_sender")


def said(place: Place) -> str:
    return place.log.read_text()


def test_what_waits_is_sent_at_the_start_and_what_comes_at_once(place: Place) -> None:
    with Webhook(SECRET, TOKEN) as webhook:
        place.write_conf(webhook.url, secret=SECRET, token=TOKEN)
        place.keep(alert("before"))
        process = place.start()
        until(lambda: webhook.accepted == ["before"] and not place.waiting())
        time.sleep(0.2)  # it listens now
        begun = time.monotonic()
        assert place.call(place.alert_file('{"id":"after"}')).returncode == 0
        until(lambda: webhook.accepted == ["before", "after"])
        assert time.monotonic() - begun < it.IDLE / 2
        until(lambda: not place.waiting())
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
        assert f"sends what is in {place.spool} to localhost:{webhook.port}/endpoint\n" in said(place)
        assert "1 alerts sent in 1 messages" in said(place)
        assert SECRET not in said(place)
        assert "key=query" not in said(place)


def test_a_second_one_does_not_start(place: Place) -> None:
    place.write_conf("http://127.0.0.1:9/")
    first = place.start()
    until(lambda: "sends what is in" in said(place))
    assert place.start().wait(10) == 1
    assert "another riposte-sender has it" in said(place)
    assert place.start("--daemon").wait(10) == 0
    until(lambda: not daemons(place))  # what went to the background has ended too
    assert first.poll() is None
    first.kill()
    first.wait()
    again = place.start()
    until(lambda: said(place).count("sends what is in") == 2)
    assert again.poll() is None


def test_a_daemon_goes_on_by_itself(place: Place) -> None:
    with Webhook() as webhook:
        place.write_conf(webhook.url)
        place.keep(alert("1"))
        assert place.start("--daemon").wait(10) == 0
        until(lambda: webhook.accepted == ["1"] and not place.waiting())
        [pid] = daemons(place)
        assert os.getsid(pid) != os.getsid(0)
        assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
        assert place.start("--stop").wait(10) == 0
        until(lambda: not daemons(place))
        assert place.start("--stop").wait(10) == 0


def daemons(place: Place) -> list[int]:
    found = subprocess.run(["pgrep", "-f", f"^.*--conf {place.conf} --daemon$"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.parametrize("anew", [True, False])
def test_a_directory_that_was_made_anew_needs_a_new_start(place: Place, anew: bool) -> None:
    """As after Wazuh was installed again: the old one would stay empty for ever."""
    place.write_conf("http://127.0.0.1:9/")
    process = place.start()
    until(lambda: "sends what is in" in said(place))
    pipe = os.open(place.spool / it.WAKE, os.O_WRONLY | os.O_NONBLOCK)
    place.spool.rename(place.home / "old")
    if anew:
        place.spool.mkdir(mode=0o700)
    os.write(pipe, b"!")
    assert process.wait(10) == 1
    assert "it is not the directory any more that it was at the start" in said(place)


def test_a_configuration_that_cannot_be_ends_it(place: Place) -> None:
    place.write_conf("http://elsewhere.example/", secret="geheim")
    assert place.start().wait(10) == 2
    assert "by https only" in said(place)
    place.write_conf("http://127.0.0.1/", secret="geheim").chmod(0o644)
    assert place.start().wait(10) == 2
    assert "its mode is 0644" in said(place)
    assert "geheim" not in said(place)


def test_killed_again_and_again_it_loses_nothing_and_repeats_little(place: Place) -> None:
    """Answers that get lost, and a kill at any moment: each alert arrives, and each kill repeats one message at most."""
    chance, webhook_chance = random.Random(7), random.Random(8)
    total, kills, batch = 400, 0, 10
    with Webhook(SECRET, TOKEN) as webhook:
        lost_answers = 0
        answers: list[Action] = [200, 200, 200, 200, 200, "lost", 503]

        def judge(_alerts: object) -> Action:
            nonlocal lost_answers
            action = webhook_chance.choice(answers)
            lost_answers += action == "lost"
            return action

        webhook.judge = judge
        place.write_conf(webhook.url, secret=SECRET, token=TOKEN, batch=batch)
        for number in range(total // 2):
            place.keep(alert(str(number)))
        written = total // 2
        end = time.monotonic() + 60
        while place.waiting() or written < total:
            assert time.monotonic() < end, said(place)
            process = place.start()
            for _number in range(25):
                if written < total:
                    assert place.call(place.alert_file(f'{{"id":"{written}"}}')).returncode == 0
                    written += 1
            time.sleep(chance.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        times = Counter(webhook.accepted)
    assert set(times) == {str(number) for number in range(total)}
    assert place.put_aside() == {}
    assert sum(times.values()) - total <= (kills + lost_answers) * batch
    assert kills >= 8
    assert not list(Path(place.spool).glob("*.part"))
