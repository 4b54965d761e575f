# SPDX-License-Identifier: GPL-3.0-or-later
"""An alert that Wazuh has answered by this program and by another executable too: that is seen in Wazuh's log, and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.program.wazuh_host import ALERT, CONTINUE, WazuhHost, message


@pytest.fixture
def host(tmp_path: Path, program: Path) -> WazuhHost:
    host = WazuhHost(tmp_path, program)
    (host.home / "active-response/bin/disable-account").symlink_to(host.root / "usr/local/sbin/riposte")
    host.conf("[wazuh]\n")
    return host


def own(host: WazuhHost, name: str, command: str = "add", alert: object = ALERT) -> None:
    """What one of Wazuh's own executables writes when it is started."""
    begins = f"2026/05/04 10:11:12 active-response/bin/{name}: "
    keys = json.dumps({"version": 1, "origin": {"name": name, "module": "active-response"}, "command": "check_keys", "parameters": {"keys": ["203.0.113.9"]}})
    with host.log.open("a") as stream:
        stream.writelines(f"{begins}{text}\n" for text in ("Starting", message(command, alert), keys, CONTINUE, "Ended", "{", "[1]"))


def said(host: WazuhHost) -> list[str]:
    done = host.run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.rpartition("wazuh: ")[2] for line in done.stdout.splitlines() if "which is not this program" in line]


@pytest.mark.parametrize("first", ["host-deny", "ours"])
def test_an_alert_that_two_have_answered_is_told_whoever_came_first(host: WazuhHost, first: str) -> None:
    if first == "host-deny":
        own(host, "host-deny")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    if first == "ours":
        assert said(host) == []
        own(host, "host-deny")
    own(host, "host-deny")  # once more, for the same
    own(host, "route-null", alert={**ALERT, "id": "1700.43"})  # this program was not asked
    own(host, "restart-wazuh", command="delete")
    own(host, "disable-account")  # Wazuh's own, before it was replaced
    assert said(host) == ["host-deny, which is not this program, was started too for an alert that this program answered, the last '1700.42'"]


def test_several_are_counted_and_no_text_of_the_log_reaches_the_terminal_as_it_is(host: WazuhHost) -> None:
    for number in ("1", "\x1b[2J\n"):
        alert = {**ALERT, "id": f"1700.{number}"}
        own(host, "host-deny", alert=alert)
        with host.log.open("a") as stream:
            stream.write(f"2026/05/04 10:11:12 active-response/bin/disable-account: {json.dumps({'riposte': {'alert_id': alert['id']}})}\n")
    [line] = said(host)
    assert "2 of the alerts that this program answered, the last '1700." in line
    assert line.isprintable()


@pytest.mark.parametrize(
    "wrong", ['{"riposte": 1}', '{"riposte": {"alert_id": 1}}', '{"command": "add", "parameters": 1}', '{"command": "add"}', "{" * 9999, '{"a":']
)
def test_lines_that_are_something_else_are_passed_over(host: WazuhHost, wrong: str) -> None:
    with host.log.open("a") as stream:
        stream.write(f"2026/05/04 10:11:12 active-response/bin/host-deny: {wrong}\n")
    assert said(host) == []


def test_only_the_end_of_a_long_log_is_looked_through(host: WazuhHost) -> None:
    own(host, "host-deny")
    host.call(message("add", ALERT, "timeout=1h"), CONTINUE)
    assert len(said(host)) == 1
    with host.log.open("a") as stream:
        stream.write("2026/05/04 10:11:12 active-response/bin/mine: words\n" * 30000)
    assert said(host) == []
