# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the cases through an executable and judges what came of them by what is in force on the host and what was logged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .called import Called
from .cases import ADDRESS, ADDRESS6, CANARY, CASES, CONTINUE, DELETE, EVALUATED, SHORT, Case, Do, Expect, Pieces, Step, Subject, v4, v5

PREFIX = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d active-response/bin/\S+: ")
"""What Wazuh's decoder ar_log_json wants a line to begin with."""
ECHOED = ("add", "delete", "enable", "disable")
PAUSE = 0.02  # between pieces
CRASHED = ("Traceback", "Unhandled", "panic", "Segmentation")
PATIENCE = 20.0  # seconds until an executable that does not end is killed
HELD = 0x7FFFFFFF


@dataclass
class Seen:
    """What one dialogue came to."""

    complaints: list[str]
    code: int | None
    seconds: float
    log: str = ""
    gained: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Verdict:
    """One line of the report. `seconds` from the last thing said to the executable to its end."""

    name: str
    complaints: list[str]
    seconds: float

    def as_dict(self) -> dict[str, object]:
        return {"name": self.name, "complaints": self.complaints, "seconds": round(self.seconds, 3)}


def addresses() -> Iterator[str]:
    """Of the networks set aside for tests of equipment: nobody is there."""
    return (f"198.18.{number >> 8}.{number & 255}" for number in range(1, 1 << 16))


def addresses6() -> Iterator[str]:
    return (f"2001:db8:e::{number:x}" for number in range(1, 1 << 16))


class Suite:
    """An executable and how to see what it does.

    `argv`: as the daemon would call it, in `home`. `effects`: what is in force now, by canonical names. `log`: the log's path. `kind`: what it acts on.
    `targets`: what it may act on, a new one for each case. `limit`: the seconds within which it must have ended.
    """

    def __init__(
        self, argv: Sequence[str], home: str, effects: Callable[[], set[str]], log: str, kind: str, targets: Iterable[str] = (), limit: float = 1.0
    ) -> None:
        self.argv, self.home, self.effects, self.log, self.kind, self.limit = argv, home, effects, log, kind, limit
        self._targets = iter(targets or addresses())
        self._targets6 = addresses6()
        self._numbers = iter(range(1, HELD))

    def cases(self) -> list[Case]:
        """Those that this executable is asked."""
        return [case for case in CASES if case.only in ("", self.kind) or (case.only, self.kind) == (ADDRESS6, ADDRESS)]

    def subject(self, case: Case | None = None) -> Subject:
        """Something new to act on."""
        target = next(self._targets6 if case and case.only == ADDRESS6 else self._targets)
        return Subject(self.kind, target, next(self._numbers), case.respell(target) if case and case.respell else target)

    def judge(self, case: Case) -> Verdict:
        """Runs one case; no complaint means that it holds. What it put into force is taken away again."""
        subject = self.subject(case)
        if case.before:
            message = SHORT if case.over else v5() if case.five else v4()
            first = self._play((message, Do.KEYS, CONTINUE), Subject(self.kind, subject.target, subject.number, subject.target))
            if first.complaints or first.gained != {subject.target}:
                why = [*first.complaints, *judged_effect(Expect("zero", "gained", True), subject, first)]
                return Verdict(case.name, [f"{subject.target} cannot be put into force before the case: {each}" for each in why], first.seconds)
        if case.over and _wait(lambda: subject.target not in self.effects(), time.monotonic()) is None:
            return Verdict(case.name, [f"{subject.target} was to stand for 2 s, and is in force {PATIENCE:g} s later"], first.seconds)
        seen = self._play(case.steps, subject)
        complaints = [*seen.complaints, *self._judged(case, subject, seen)]
        if subject.target in (seen.gained if case.over or not case.before else {subject.target} - seen.lost):
            self._play((DELETE,), Subject(self.kind, subject.target, subject.number, subject.target))
        return Verdict(case.name, complaints, seen.seconds)

    def _play(self, steps: Sequence[Step], subject: Subject) -> Seen:
        before, size = self.effects(), _size(self.log)
        called = Called(self.argv, self.home, PATIENCE)
        complaints: list[str] = []
        for step in steps:
            complaints += _taken(step, called, subject)
        code, seconds, rest, errors = called.end()
        after = self.effects()
        complaints += [f"an unexpected line on standard output: {line[:200]!r}" for line in rest]
        complaints += [f"it crashed: {errors[-500:]}" for word in CRASHED if word in errors][:1]
        return Seen(complaints, code, seconds, _tail(self.log, size), after - before, before - after)

    def _judged(self, case: Case, subject: Subject, seen: Seen) -> Iterator[str]:
        yield from judged_code(case.expect, subject, seen, case.before and not case.over)
        yield from judged_effect(case.expect, subject, seen)
        yield from judged_log(case.expect, seen.log)
        if seen.seconds > self.limit:
            yield f"it ended after {seen.seconds:.2f} s, {self.limit:g} s are allowed"
        for place in (self.home, os.path.join(self.home, "active-response", "bin")):
            if os.path.exists(os.path.join(place, CANARY)):
                os.unlink(os.path.join(place, CANARY))
                yield f"the command in the message was run: {CANARY} is in {place}"

    # --- many at once -------------------------------------------------------------------------------------------------------------------------

    def judge_many(self, count: int, limit: float) -> tuple[list[Verdict], dict[str, float]]:
        """As many executables at once, all told to continue in one moment, then all deletes at once. Figures: seconds until all was in force, and gone."""
        subjects = [self.subject() for _each in range(count)]
        added = Crowd(self, subjects, "add").judge(f"{count} at once", limit)
        deleted = Crowd(self, subjects, "delete").judge(f"{count} deletes at once", limit)
        figures = {"in force after": added[1], "slowest exit": added[0].seconds, "gone after": deleted[1], "slowest exit of a delete": deleted[0].seconds}
        return [added[0], deleted[0]], figures


class Crowd:
    """Executables that run at once, each with a target of its own."""

    def __init__(self, suite: Suite, subjects: Sequence[Subject], word: str) -> None:
        self.suite, self.subjects, self.word = suite, subjects, word
        self.seconds: list[float] = []
        self.begun = time.monotonic()
        self._complaints: list[str] = []
        self._go = threading.Barrier(len(subjects))

    def judge(self, name: str, limit: float) -> tuple[Verdict, float]:
        """Runs all, and the seconds until all was done. `limit`: seconds from the last word said to each to its end."""
        suite, wanted = self.suite, {subject.target for subject in self.subjects}
        before, size = suite.effects(), _size(suite.log)
        self._run(limit)
        expected = before | wanted if self.word == "add" else before - wanted
        taken = _wait(lambda: suite.effects() == expected, self.begun)
        if taken is None:
            now = suite.effects()
            self._complaints.append(f"{PATIENCE:g} s later {len(expected - now)} are missing, {len(now - expected)} are too many: {sorted(now ^ expected)[:5]}")
        _wait(lambda: len(echoed(_tail(suite.log, size))) >= len(wanted), self.begun)
        log = _tail(suite.log, size)
        self._complaints += judged_lines(log)
        echoes = [each["command"] for each in echoed(log)]
        if echoes != [self.word] * len(wanted):
            self._complaints.append(f"{len(echoes)} messages are in the log, {len(wanted)} {self.word} were expected")
        return Verdict(name, self._complaints, max(self.seconds, default=0.0)), taken or PATIENCE

    def _run(self, limit: float) -> None:
        threads = [threading.Thread(target=self._one, args=(subject, limit), daemon=True) for subject in self.subjects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(3 * PATIENCE)
        if len(self.seconds) < len(threads):
            self._complaints.append(f"{len(threads) - len(self.seconds)} of them were not seen to end")

    def _one(self, subject: Subject, limit: float) -> None:
        called = Called(self.suite.argv, self.suite.home, 2 * PATIENCE)
        if self.word == "add":
            called.write(v4()(subject))
            self._complaints += _taken(Do.KEYS, called, subject)
        if self._go.wait(2 * PATIENCE) == 0:
            self.begun = time.monotonic()
        called.write(CONTINUE(subject) if self.word == "add" else DELETE(subject))
        code, seconds, rest, errors = called.end()
        self.seconds.append(seconds)
        if code is None or rest or any(word in errors for word in CRASHED):
            self._complaints.append(f"{subject.target}: exit code {code}, output {rest}, errors {errors[-300:]}")
        if seconds > limit:
            self._complaints.append(f"{subject.target}: it ended after {seconds:.2f} s, {limit:g} s are allowed")


# --- one step ---------------------------------------------------------------------------------------------------------------------------------


def _taken(step: Step, called: Called, subject: Subject) -> list[str]:
    if step is Do.CLOSE:
        called.close()
    elif step is Do.DEAF:
        called.deafen()
    elif isinstance(step, Do):
        return list(judged_keys(called.line(), subject, must=step is Do.KEYS))
    elif isinstance(step, Pieces):
        data = step.write(subject)
        for number, at in enumerate(range(0, len(data), step.size)):
            called.write(data[at : at + step.size])
            if number < 5:
                time.sleep(PAUSE)  # part of the case: the reader must meet a line that is not whole yet
    else:
        called.write(step(subject))
    return []


# --- judgements -------------------------------------------------------------------------------------------------------------------------------


def judged_keys(said: bytes | None, subject: Subject, must: bool) -> Iterator[str]:
    """The line with the keys: what the daemon parses, and the target by which it tells one response from another."""
    if said is None:
        if must:
            yield "no line with the keys came"
        return
    message = _object(said)
    keys = _at(message, "parameters", "keys")
    if message is None or message.get("version") != 1 or message.get("command") != "check_keys" or not isinstance(keys, list):
        yield f"this is no line with keys: {said[:200]!r}"
    elif must and keys != [subject.target]:
        yield f"the keys are {keys!r}, [{subject.target!r}] was expected"
    elif _at(message, "origin", "module") != "active-response" or not isinstance(_at(message, "origin", "name"), str):
        yield f"origin is {message.get('origin')!r}; the daemon expects the executable's name and the module active-response"
    if not said.endswith(b"\n") or len(said) > 8191:
        yield f"the line with the keys must end, and within 8191 bytes; it has {len(said)}"


def judged_code(expect: Expect, subject: Subject, seen: Seen, before: bool) -> Iterator[str]:
    if seen.code is None:
        yield f"it did not end within {PATIENCE:g} s and was killed"
        return
    zero = expect.code == "zero"
    if expect.code == "honest":
        zero = subject.target in (seen.lost if before else seen.gained)
    if zero != (seen.code == 0):
        yield f"exit code {seen.code}, {'0' if zero else 'another than 0'} was expected"


def judged_effect(expect: Expect, subject: Subject, seen: Seen) -> Iterator[str]:
    others = (seen.gained | seen.lost) - {subject.target}
    if others:
        yield f"others were hit: now in force {sorted(seen.gained)}, no longer {sorted(seen.lost)}"
    effect = "gained" if subject.target in seen.gained else "lost" if subject.target in seen.lost else "same"
    if expect.effect not in (effect, "either"):
        yield f"what is in force: {effect}, {expect.effect} was expected ({subject.target})"


def judged_log(expect: Expect, log: str) -> Iterator[str]:
    yield from judged_lines(log)
    if not log:
        yield "nothing is in the log"
    echoes = echoed(log)
    if expect.echo is not None and expect.echo != bool(echoes):
        yield f"the message is {'' if echoes else 'not '}in the log, by which Wazuh {'reports' if echoes else 'would report'} it as done"
    if len(echoes) > 1:
        yield f"the message is in the log {len(echoes)} times"


def judged_lines(log: str) -> Iterator[str]:
    """Every line is one that Wazuh's decoder knows, and harmless on a terminal."""
    for line in log.split("\n")[:-1]:
        if not PREFIX.match(line):
            yield f"a line of the log does not begin as Wazuh's do: {line[:200]!r}"
        bad = {character for character in line if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
        if bad:
            yield f"control characters in the log: {sorted(map(ascii, bad))}"
    if log and not log.endswith("\n"):
        yield f"the last line of the log has no end: {log[-200:]!r}"
    if EVALUATED in log:
        yield f"a template was evaluated: {EVALUATED} is in the log"


def echoed(log: str) -> list[dict[str, Any]]:
    """The received messages among the lines."""
    found = (_object(PREFIX.sub("", line, count=1).encode()) for line in log.splitlines())
    return [each for each in found if each and each.get("command") in ECHOED and ("parameters" in each or "wazuh" in each)]


def _object(text: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text)
        return value if isinstance(value, dict) else None
    return None


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _tail(path: str, start: int) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as stream:
        stream.seek(start)
        return stream.read().decode("utf-8", errors="surrogateescape")


def _wait(condition: Callable[[], bool], begun: float) -> float | None:
    """Seconds since `begun` when the condition held, None when it did not within PATIENCE."""
    while time.monotonic() < begun + PATIENCE:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.05)
    return None
