# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible side of the modules: programs run with a time limit, reports become results."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.plan import NOTHING, Step
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import (
    DONE,
    FAILED,
    HELD,
    REFUSED,
    UNCHANGED,
    Report,
    Request,
    Result,
    Standing,
)
from ansible_collections.riposte.active_response.plugins.module_utils.host.runner import run
from ansible_collections.riposte.active_response.plugins.module_utils.module import (
    BACKEND,
    RETURNED,
    STREAMED,
    ModuleRunner,
    engine,
    leave,
    request,
    response_options,
)

Make = Callable[..., basic.AnsibleModule]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """A real AnsibleModule as a task would start it."""

    def made(check: bool = False, diff: bool = True, **options: Any) -> basic.AnsibleModule:
        words = {"targets": ["203.0.113.9"], **options, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": words}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        return basic.AnsibleModule(argument_spec=response_options(backend=BACKEND, returned=RETURNED), supports_check_mode=True)

    return made


# -- programs


def test_program_gets_its_words_and_input_and_gives_its_output(make: Make, tmp_path: Path) -> None:
    done = ModuleRunner(make())(["sh", "-c", 'cat; printf "%s" "$1" >&2; exit 3', "sh", "$(touch pwned) {{ 7*7 }} ; id"], "line 1\nline 2\n")
    assert (done.rc, done.out.rstrip("\n"), done.err) == (3, "line 1\nline 2", "$(touch pwned) {{ 7*7 }} ; id")
    assert not Path("pwned").exists()


def test_program_speaks_the_plain_language(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    seen = ModuleRunner(make())(["sh", "-c", 'echo "$LC_ALL $LANG"']).out.split()
    assert set(seen) <= {"C", "C.utf8", "C.UTF-8"}, "ansible-core may choose among these"
    assert len(seen) == 2


def test_program_over_its_time_is_killed_and_said(make: Make, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    begin = time.monotonic()
    with pytest.raises(ToolError, match="did not end within 1 s and was killed"):
        ModuleRunner(make())(["sh", "-c", f"echo $$ > {mark}; exec sleep 60"], seconds=1)
    assert time.monotonic() - begin < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert signal.alarm(0) == 0, "an alarm is left behind"


def test_program_that_does_not_read_its_input_is_killed_all_the_same(make: Make) -> None:
    with pytest.raises(ToolError, match="was killed"):
        ModuleRunner(make())(["sleep", "60"], "x" * 1_000_000, seconds=1)


def test_alarm_of_one_program_does_not_hit_the_next(make: Make) -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert ModuleRunner(make())(["true"]).rc == 0
    assert signal.alarm(0) == 0
    assert signal.getsignal(signal.SIGALRM) is before


def test_program_that_is_not_there_or_fails_is_said(make: Make) -> None:
    runner = ModuleRunner(make())
    with pytest.raises(ToolError, match="/no/such/program: cannot be started"):
        runner(["/no/such/program"])
    with pytest.raises(ToolError, match="sh: exit code 4: it broke"):
        run(runner, ["/bin/sh", "-c", "echo it broke >&2; exit 4"])
    with pytest.raises(ToolError, match="exit code 1: it said nothing"):
        run(runner, ["false"])
    assert run(runner, ["echo", "x"]) == "x\n"


def test_much_output_is_taken_whole(make: Make) -> None:
    assert len(ModuleRunner(make())(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]).out) == 3_000_000


def test_characters_cut_between_two_pieces_are_whole_and_what_is_none_is_replaced(make: Make) -> None:
    done = ModuleRunner(make())(["sh", "-c", "yes aé | head -n 100000; printf '\\303'"])
    assert done.out == 100_000 * "aé\n" + "\ufffd"


def test_a_run_without_root_is_told_so(make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit):
        engine(make())
    assert "become: true" in json.loads(capsys.readouterr().out)["msg"]


# -- options


def test_request_takes_its_options_and_leaves_others_out(make: Make) -> None:
    options = make(timeout="10m", protect=["192.0.2.1"], backend="ipset").params
    expected = Request("firewall_drop", ["203.0.113.9"], timeout="10m", protect=["192.0.2.1"], backend="ipset", override=[], repeated_offenders=[])
    assert request("firewall_drop", options) == expected


def test_text_of_an_option_is_data(make: Make) -> None:
    asked = request("firewall_drop", make(targets=["{{ 7*7 }}"], reason="{{ lookup('pipe','id') }}", timeout="1m").params)
    assert (asked.targets, asked.reason) == (["{{ 7*7 }}"], "{{ lookup('pipe','id') }}")


# -- results


def result(outcome: str, target: str = "203.0.113.9", changed: bool | None = None, state: str = "present", message: str = "") -> Result:
    changed = outcome == DONE if changed is None else changed
    step = Step("remove" if state == "absent" else "add") if changed else NOTHING
    request = Request("firewall_drop", [target], state)
    return Result(request, target, outcome, "nftables", Standing("0a1b", 1000.0, 1600.0), message, {"blocked": True}, True, "for 600 s", step)


def left(
    make: Make, capsys: pytest.CaptureFixture[str], results: list[Result], bad: tuple[str, ...], warnings: tuple[str, ...] = ()
) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of a module that ends with these results."""
    with pytest.raises(SystemExit) as exited:
        leave(make(), Report(results, list(warnings)), bad)
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return int(str(exited.value.code)), answer


DIRECT, RESPOND = (REFUSED, HELD, FAILED), (FAILED,)


@pytest.mark.parametrize(
    ("outcome", "bad", "fails"),
    [
        (DONE, DIRECT, False),
        (UNCHANGED, DIRECT, False),
        (REFUSED, DIRECT, True),
        (HELD, DIRECT, True),
        (FAILED, DIRECT, True),
        (REFUSED, RESPOND, False),
        (HELD, RESPOND, False),
        (FAILED, RESPOND, True),
    ],
)
def test_which_outcome_fails_the_task(make: Make, capsys: pytest.CaptureFixture[str], outcome: str, bad: tuple[str, ...], fails: bool) -> None:
    code, answer = left(make, capsys, [result(DONE), result(outcome, "203.0.113.10", message="why")], bad)
    assert (code != 0) == bool(answer.get("failed")) == fails
    assert [each["outcome"] for each in answer["responses"]] == [DONE, outcome]
    assert answer["changed"]
    assert sum(answer["summary"].values()) == 2
    if fails:
        assert answer["msg"] == f"1 of 2 targets were not acted on: {outcome}: why"


def test_result_has_every_key_of_the_schema(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    _code, answer = left(make, capsys, [result(DONE)], DIRECT)
    assert answer["responses"] == [
        {
            "id": "0a1b",
            "response": "firewall_drop",
            "target": "203.0.113.9",
            "state": "present",
            "outcome": "done",
            "changed": True,
            "backend": "nftables",
            "since": "1970-01-01T00:16:40Z",
            "until": "1970-01-01T00:26:40Z",
            "message": "",
            "in_force": {"blocked": True},
            "persisted": True,
        }
    ]


def test_diff_names_what_changes_and_no_seconds_that_are_left(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    results = [result(DONE), result(UNCHANGED, "203.0.113.10"), result(DONE, "203.0.113.11", state="absent")]
    _code, answer = left(make, capsys, results, DIRECT)
    assert answer["diff"]["after"] == "firewall_drop 203.0.113.9: present for 600 s\nfirewall_drop 203.0.113.11: absent\n"
    assert answer["diff"]["before"].startswith("firewall_drop 203.0.113.9: absent\nfirewall_drop 203.0.113.11: present")


def test_of_many_bad_ones_the_message_names_the_first_ten(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    _code, answer = left(make, capsys, [result(FAILED, message=f"reason {number}") for number in range(15)], DIRECT)
    assert answer["msg"].startswith("15 of 15 targets were not acted on: failed: reason 0; ")
    assert answer["msg"].endswith("failed: reason 9; and 5 more")


@pytest.mark.parametrize("fails", [False, True])
def test_long_answer_is_the_same_as_a_short_one(make: Make, capsys: pytest.CaptureFixture[str], fails: bool) -> None:
    """Written piece by piece from some number of results on."""
    targets = [f"10.0.{number // 256}.{number % 256}" for number in range(STREAMED + 1)]
    results = [result(DONE, target) for target in targets]
    if fails:
        results[7] = result(FAILED, "{{ 7*7 }}\ud800\x1b[31m", message="it is \u2603 \ud800")
    code, answer = left(make, capsys, results, DIRECT, ("look here",))
    assert (code != 0) == bool(answer.get("failed")) == fails
    assert [each["target"] for each in answer["responses"]] == [each.target for each in results]
    assert answer["responses"][0] == left(make, capsys, results[:1], DIRECT)[1]["responses"][0]
    assert any("look here" in str(warning) for warning in answer["warnings"])
    assert answer["diff"]["after"].count("\n") == len(results) - fails


@pytest.mark.parametrize(
    ("which", "told"), [("all", [DONE, UNCHANGED, REFUSED, FAILED]), ("changed", [DONE, REFUSED, FAILED]), ("failures", [REFUSED, FAILED])]
)
def test_an_answer_tells_what_was_asked_for_and_counts_all(make: Make, capsys: pytest.CaptureFixture[str], which: str, told: list[str]) -> None:
    with pytest.raises(SystemExit):
        leave(make(returned=which), Report([result(each) for each in (DONE, UNCHANGED, REFUSED, FAILED)]), DIRECT)
    answer = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in answer["responses"]] == told
    assert answer["summary"] == {"done": 1, "unchanged": 1, "refused": 1, "held": 0, "failed": 1}
