# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible side of every module: option pieces, the Runner over run_command, and how a report becomes a result."""

from __future__ import annotations

import codecs
import gc
import io
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .host.engine import Engine
from .host.errors import ToolError
from .host.response import DONE, FAILED, HELD, REFUSED, UNCHANGED, Report, Request, Result
from .host.runner import Completed

SHOWN = 10
MUCH, PAUSE = 8192, 0.002  # characters; seconds, in which nft fills half a pipe
STREAMED = 1000  # results from which on the answer is written piece by piece


def response_options(**more: Any) -> dict[str, Any]:
    """The options every kind of response takes; documented in the doc fragment `response`."""
    return dict(
        {
            "targets": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "str"},
            "until": {"type": "str"},
            "permanent": {"type": "bool", "default": False},
            "since": {"type": "str"},
            "repeated_offenders": {"type": "list", "elements": "str", "default": []},
            "offences": {"type": "int", "default": 0},
            "reason": {"type": "str", "default": ""},
            "alert_id": {"type": "str", "default": ""},
            "protect": {"type": "list", "elements": "str", "default": []},
            "override": {"type": "list", "elements": "str", "default": []},
        },
        **more,
    )


BACKEND = {"type": "str", "choices": ["auto", "nftables", "ipset"], "default": "auto"}
END_SESSIONS = {"type": "bool", "default": True}
RETURNED = {"type": "str", "choices": ["all", "changed", "failures"], "default": "all"}


def request(response: str, options: Mapping[str, Any]) -> Request:
    """A request from a module's options; those of other kinds are left at their defaults."""
    return Request(response, **{name: value for name, value in options.items() if name in Request._fields and name != "response" and value is not None})


class ModuleRunner:
    """Runs programs by run_command, which knows no time limit: an alarm gives it one."""

    def __init__(self, module: AnsibleModule):
        self._module = module

    def __call__(self, argv: Sequence[str], stdin: str | None = None, seconds: int = 60) -> Completed:
        started: list[Any] = []

        def expired(_number: int, _frame: object) -> None:
            raise TimeoutError

        def begin(process: Any) -> None:
            started.append(process)
            process.stdout = _Output(process.stdout)

        previous = signal.signal(signal.SIGALRM, expired)
        signal.alarm(seconds)
        try:
            rc, _out, err = self._module.run_command(
                list(argv),
                data=stdin and stdin.encode(),
                binary_data=True,
                environ_update={"LC_ALL": "C", "LANG": "C"},
                handle_exceptions=False,
                before_communicate_callback=begin,
            )
            return Completed(rc, started[0].stdout.text(), err)
        except TimeoutError as error:
            for process in started:
                process.kill()
                process.wait()
            raise ToolError(f"{argv[0]}: did not end within {seconds} s and was killed") from error
        except OSError as error:
            raise ToolError(f"{argv[0]}: cannot be started: {error}") from error
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)


class _Output:
    """What a program writes, of which nft makes 50,000 pieces for 10,000 addresses.

    run_command copies all that it has at each piece, and to wake up for each takes as much of the processor as nft itself: of
    much this one waits a moment for more.
    """

    def __init__(self, pipe: Any):
        self._pipe = pipe
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._taken = io.StringIO()

    def fileno(self) -> int:
        return int(self._pipe.fileno())

    def read(self, size: int) -> bytes | None:
        """What there is, of which the caller sees a sign only."""
        if self._taken.tell() > MUCH:
            time.sleep(PAUSE)
        piece: bytes | None = self._pipe.read(size)
        self._taken.write(self._decode(piece or b"", final=piece == b""))
        return piece and b"."

    def close(self) -> None:
        self._pipe.close()

    def text(self) -> str:
        return self._taken.getvalue()


def engine(module: AnsibleModule) -> Engine:
    """This host's engine, for a module."""
    gc.disable()  # a short life without cycles: looking for them would be a tenth of it
    if os.geteuid() != 0:
        module.fail_json(msg=f"this module runs as uid {os.geteuid()} on the host, it needs root: say become: true")
    return Engine(ModuleRunner(module))


def run_one(response: str, options: Mapping[str, Any]) -> None:
    """main() of a module for one kind of response: a refusal or a bad entry fails it, after the good entries are done."""
    module = AnsibleModule(argument_spec=response_options(returned=RETURNED, **options), supports_check_mode=True)
    report = engine(module).respond([request(response, module.params)], module.check_mode)
    leave(module, report, (REFUSED, HELD, FAILED))


def leave(module: AnsibleModule, report: Report, bad: Sequence[str]) -> None:
    """Ends a module with the report; outcomes in `bad` fail it."""
    for warning in report.warnings:
        module.warn(warning)
    answer: dict[str, Any] = {"changed": report.changed, "summary": report.summary()}
    if module._diff:
        answer["diff"] = _diff(report.results)
    wrong = [each for each in report.results if each.outcome in bad]
    if wrong:
        said = "; ".join(f"{each.outcome}: {each.message}" for each in wrong[:SHOWN])
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        answer.update(failed=True, msg=f"{len(wrong)} of {len(report.results)} targets were not acted on: {said}{more}")
    left_out = {"all": (), "changed": (UNCHANGED,), "failures": (UNCHANGED, DONE)}[module.params["returned"]]
    told = [each for each in report.results if each.outcome not in left_out]
    if len(told) > STREAMED:
        _stream(module, answer, report.warnings, told)
    end = module.fail_json if wrong else module.exit_json
    end(**answer, responses=[each.as_dict() for each in told])


def _stream(module: AnsibleModule, answer: dict[str, Any], warnings: Sequence[str], results: Sequence[Result]) -> None:
    """Writes a long answer entry by entry and ends the module: exit_json would hold it in memory three times over."""
    if warnings:
        answer["warnings"] = warnings
    write = sys.stdout.write
    write("\n" + module.jsonify(answer)[:-1] + ', "responses": [')
    for number, each in enumerate(results):
        write((", " if number else "") + json.dumps(each.as_dict()))
    write("]}\n")
    module.do_cleanup_files()
    raise SystemExit(1 if "failed" in answer else 0)


def _diff(results: Sequence[Result]) -> dict[str, str]:
    """What changes, a line a target; no remaining seconds, so that check mode and the run say the same."""
    changed = [each for each in results if each.changed]
    return {side: "".join(_line(each, side) for each in changed) for side in ("before", "after")}


def _line(each: Result, side: str) -> str:
    before = "present" if each.step.stood else "absent"
    after = f"present {each.term}".rstrip() if each.state == "present" else "absent"
    return f"{each.response} {each.target}: {before if side == 'before' else after}\n"
