# SPDX-License-Identifier: GPL-3.0-or-later
"""Action `plan`: what it says of files that cannot be used. The rest of it is in tests/integration/test_playbooks.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.riposte.active_response.plugins.action.plan import LARGEST_ALERTS, OPTIONS, _plan
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import Problem
from ansible_collections.riposte.active_response.plugins.modules.plan import EXAMPLES
from ansible_collections.riposte.active_response.plugins.plugin_utils.policy_file import LARGEST_POLICY, read_policy_file

ALERT = Path(__file__).parents[2] / "alerts/gen-sshd-5712-bruteforce.json"
GOOD = "mode: enforce\nrules: [{name: ssh, match: {rule_ids: ['5712']}, responses: [{response: firewall_drop, timeout: 10m}]}]\n"

# name: (policy, what is said of it)
POLICIES: dict[str, tuple[bytes, str]] = {
    "a key twice": (b"mode: enforce\nmode: observe\n", "policy.yml: it is not YAML: key 'mode' is there twice\n  in"),
    "a key twice further in": (GOOD.replace("timeout: 10m", "timeout: 10m, timeout: 1h").encode(), "key 'timeout' is there twice"),
    "broken YAML": (b"mode: [", "policy.yml: it is not YAML: "),
    "bytes that are no UTF-8": (b"mode: \xff", "policy.yml: it is not YAML: "),
    "a date that is none": (b"mode: 2026-13-45", "policy.yml: it is not YAML: "),
    "a Python object": (b"mode: !!python/object/apply:os.system [id]", "policy.yml: it is not YAML: "),
    "two documents": (b"mode: observe\n---\nmode: enforce\n", "policy.yml: it is not YAML: "),
    "too deep": (b"[" * 20_000, "policy.yml: it is not YAML: "),
    "nothing": (b"", "nothing is done until this is mended\n- the policy: None: it is missing"),
    "itself": (b"&a [*a]", "\n- line 1: the policy: [[...]]: it must be a mapping\n"),
    "several errors": (
        b"mode: maybe\nx: 1\nrules: []\n",
        "x: 1: there is no such key; the keys here are mode, rules, find_hosts_by_name, max_age, observables, allow, breakers\n- ",
    ),
    "too large": (b"#" * (LARGEST_POLICY + 1), "policy.yml: the file is larger than 4 MiB; split it"),
}

# name: (alerts, what is said of them)
ALERTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "alerts.json: there is no alert in this file"),
    "no alert": (b'{"rule": 7}\n', "alerts.json: there is no alert in this file\n- "),
    "two that are none": (b"[1, 2]", "alerts.json, item 1: an alert is a JSON object, this is a number\n- "),
    "very many that are none": (b"[" + b"1," * 200 + b"1]", "\n- and 101 more"),
    "too large": (b" " * (LARGEST_ALERTS + 1), "alerts.json: the file is larger than 64 MiB; split it"),
}


def plan(directory: Path, **options: Any) -> str:
    """What is said about these options."""
    given = {**dict.fromkeys(OPTIONS), "alerts": str(ALERT), "policy": str(directory / "policy.yml"), **options}
    with pytest.raises(Problem) as said:
        _plan(given, {})
    return str(said.value)


@pytest.mark.parametrize(("policy", "said"), POLICIES.values(), ids=POLICIES)
def test_a_policy_that_cannot_be_used(tmp_path: Path, policy: bytes, said: str) -> None:
    (tmp_path / "policy.yml").write_bytes(policy)
    assert said in plan(tmp_path)


@pytest.mark.parametrize(("alerts", "said"), ALERTS.values(), ids=ALERTS)
def test_alerts_that_cannot_be_used(tmp_path: Path, alerts: bytes, said: str) -> None:
    (tmp_path / "policy.yml").write_text(GOOD)
    (tmp_path / "alerts.json").write_bytes(alerts)
    assert said in plan(tmp_path, alerts=str(tmp_path / "alerts.json"))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(GOOD)
    os.mkfifo(tmp_path / "pipe")
    assert plan(tmp_path, alerts=str(tmp_path / "no.json")) == f"alerts {tmp_path}/no.json: cannot be read on the controller: No such file or directory"
    assert plan(tmp_path, alerts=str(tmp_path)) == f"alerts {tmp_path}: this is not a regular file"
    assert plan(tmp_path, policy=str(tmp_path / "pipe")) == f"policy {tmp_path}/pipe: this is not a regular file"


def test_alerts_in_base64(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(GOOD)
    assert plan(tmp_path, alerts=None, alerts_b64="{{ x }}").startswith("alerts_b64: it is not base64: ")
    assert plan(tmp_path, alerts=None, alerts_b64="aGVsbG8=").startswith("alerts alerts_b64: there is no alert in this file\n- ")
    assert plan(tmp_path, alerts=None, alerts_b64="A" * (LARGEST_ALERTS * 2)) == "alerts_b64: it is longer than 64 MiB; split it"


def test_a_relative_path_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan(tmp_path, policy="no.yml").startswith(f"policy {tmp_path}/no.yml: ")


def test_a_moment_that_is_none(tmp_path: Path) -> None:
    assert plan(tmp_path, since="yesterday").startswith("since 'yesterday': it must be a moment with a zone")


def test_the_example_policy_is_one_and_only_observes() -> None:
    policy = read_policy_file(str(Path(__file__).parents[3] / "docs/policy-example.yml"))
    assert {policy.mode, *(rule.mode for rule in policy.rules)} == {"observe"}


def test_the_policy_on_the_documentation_page_is_one(tmp_path: Path) -> None:
    lines = [line[4:] for line in EXAMPLES.splitlines() if line.startswith("#   ")]
    (tmp_path / "policy.yml").write_text("\n".join(lines))
    [rule] = read_policy_file(str(tmp_path / "policy.yml")).rules
    assert [response.response for response in rule.responses] == ["firewall_drop", "disable_account"]


def test_what_waits_for_approval_is_done_for_the_alerts_that_are_approved(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(GOOD.replace("enforce", "approve"))
    host = {"groups": {"all": ["web1"]}, "hostvars": SimpleNamespace(raw_get={"web1": {"wazuh_agent_id": "001"}}.get)}
    given = {**dict.fromkeys(OPTIONS), "alerts": str(ALERT), "policy": str(tmp_path / "policy.yml")}
    alert_id = json.loads(ALERT.read_text())["id"]
    waiting = _plan(given, host)
    assert ([each["outcome"] for each in waiting["decisions"]], waiting["hosts"]) == (["pending"], {})
    done = _plan({**given, "approved": [alert_id]}, host)
    assert ([each["outcome"] for each in done["decisions"]], list(done["hosts"])) == (["planned"], ["web1"])
    assert "has the id '1.2'" in plan(tmp_path, approved=["1.2"])
