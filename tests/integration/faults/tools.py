# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the system's programs fail from the engine's n-th call on, or somebody flush the firewall after it, and holds its answers against what there is.

fails: the n-th call fails, later ones work. broken: it and all later ones fail. dies: it and all later ones do not come back.
idle: it and all later ones say success and do nothing. flush: after the n-th call the whole ruleset is flushed.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import ToolError
from engine.response import Report
from engine.runner import Completed
from scenario import Host, Scenario, engine, in_child, run


class Faulty:
    """A Runner that goes wrong at its n-th call. `looked`: the host was read afterwards, from the first word on; what comes later nobody can know."""

    def __init__(self, fault: str, point: int, host: Host) -> None:
        self.fault, self.point, self.host, self.calls = fault, point, host, 0
        self.looked = False

    def __call__(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
        self.calls += 1
        self.looked |= self.calls > self.point and argv[1:2] == ["list"]
        hit = self.calls == self.point if self.fault in ("fails", "flush") else self.calls >= self.point
        if not hit:
            return run(argv, stdin, seconds)
        if self.fault == "flush":
            done = run(argv, stdin, seconds)
            self.host.flush()
            return done
        if self.fault == "dies":
            raise ToolError(f"{argv[0]}: did not end within {seconds} s and was killed")
        return Completed(0, "", "") if self.fault == "idle" else Completed(1, "", "it broke")


def attempt(fault: str, scenario: Scenario, backend: str, point: int) -> tuple[bool, list[str]]:
    """One try, in this process: whether there was such a call, and what is wrong."""
    host = Host(backend)
    host.reset()

    def prepare() -> int:
        for step in scenario.prepare:
            step()
        return 0

    prepared = in_child(prepare)
    if prepared != 0:
        return True, [f"the preparation ended with {prepared}"]
    runner = Faulty(fault, point, host)
    report = scenario.call(engine(runner, scenario.ahead))
    if runner.calls < point:
        return False, []
    if fault != "flush" or runner.looked:
        hold_to_its_word(report, host)
    host.tick(scenario.ahead)
    host.judge([scenario.before, scenario.after])
    return True, host.wrong


def hold_to_its_word(report: Report, host: Host) -> None:
    """What an answer says is so."""
    seen = host.seen()
    for each in report.results:
        key = (each.response, each.target)
        in_force = key in seen and seen[key][0]
        if each.message.startswith("superseded") or each.outcome not in ("done", "unchanged"):
            continue
        if in_force != (each.state == "present"):
            host.wrong.append(f"said {each.outcome}, and it is not so: {each.as_dict()}")
        if each.changed != (each.outcome == "done"):
            host.wrong.append(f"changed is {each.changed} and the outcome {each.outcome}")
    for each in report.results:
        if each.outcome == "failed" and not each.message:
            host.wrong.append(f"failed without a word: {each.as_dict()}")
