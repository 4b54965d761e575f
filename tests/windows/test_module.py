# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's entry, compiled and run with the Ansible.Basic of each ansible-core at hand, against the stand-in firewall."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.windows.conftest import ENTRY, HERE, ROOT, ansible_cores, compile_sources, engine_sources

pytestmark = pytest.mark.windows
CORES = ansible_cores() or [(Path("python3"), Path("no-ansible-core"))]
WEB = Path("/usr/lib/mono/4.5/System.Web.Extensions.dll")
Run = Callable[..., list[Any]]


def _label(core: tuple[Path, Path]) -> str:
    release = core[1] / "release.py"
    return release.read_text(encoding="utf-8").partition("__version__ = ")[2][1:].partition("'")[0] if release.exists() else "none"


@pytest.fixture(scope="module", params=CORES, ids=_label)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the module once for each dict of options, against one firewall; a str is what happens in between (see ModuleMain.cs)."""
    basic = request.param[1] / "module_utils" / "csharp" / "Ansible.Basic.cs"
    if not basic.exists():
        pytest.skip("ansible-core is not installed: its Ansible.Basic is what the module is compiled with")
    if shutil.which("mcs") and not WEB.exists():
        pytest.skip(f"{WEB} is missing, which Ansible.Basic needs. Do: apt-get install --no-install-recommends libmono-system-web-extensions4.0-cil")
    folder = tmp_path_factory.mktemp("module")
    tests = [HERE / name for name in ("StandIn.cs", "PowerShellStub.cs", "ModuleMain.cs")]
    # 219: csc does not warn about a variable of Ansible.Basic that mcs finds unused.
    options = ("-nowarn:219", "-d:WINDOWS", "-r:System.Web.Extensions.dll")
    program = compile_sources(folder / "module.exe", [*engine_sources(), ENTRY, basic, *tests], *options)

    def ran(*steps: dict[str, Any] | str) -> list[Any]:
        words = []
        for number, step in enumerate(steps):
            if isinstance(step, str):
                words.append(step)
                continue
            path = folder / f"arguments-{number}.json"
            path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_diff": True, **step}}), encoding="utf-8")
            words.append(str(path))
        result = subprocess.run(["mono", str(program), *words], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return ran


BLOCK = {"targets": ["203.0.113.9", "2001:DB8::0:1"], "permanent": True, "reason": "brute force | {{ 7*7 }}", "alert_id": "1"}
RELEASE = {"targets": BLOCK["targets"], "state": "absent"}


def test_check_do_again_undo_again(run: Run) -> None:
    check, none, done, stands, again, check_undo, still, undone, gone, undone_again = run(
        {**BLOCK, "_ansible_check_mode": True}, "dump", BLOCK, "dump", BLOCK, {**RELEASE, "_ansible_check_mode": True}, "dump", RELEASE, "dump", RELEASE
    )
    assert none == gone == ""
    assert stands == still
    for part in ("riposte:in:2001:db8::1", "alert_id=1 ", "reason=brute%20force%20%7c%20%7b%7b"):
        assert part in stands
    assert [each["changed"] for each in (check, done, again, check_undo, undone, undone_again)] == [True, True, False, True, True, False]
    assert check["diff"] == done["diff"]
    assert check_undo["diff"] == undone["diff"]
    assert done["summary"] == {"done": 2, "unchanged": 0, "refused": 0, "held": 0, "failed": 0}
    assert [each["in_force"]["blocked"] for each in done["responses"]] == [True, True]
    assert {each["in_force"] for each in check["responses"]} == {None}
    assert [each["id"] for each in again["responses"]] == [each["id"] for each in done["responses"]]
    assert undone_again["summary"]["unchanged"] == 2


def test_results_have_the_documented_keys(run: Run) -> None:
    (done,) = run(BLOCK)
    documented = yaml.safe_load((ROOT / "plugins" / "modules" / "win_firewall_drop.yml").read_text(encoding="utf-8"))["RETURN"]
    for each in done["responses"]:
        assert set(each) == set(documented["responses"]["contains"])
        assert (each["response"], each["state"], each["backend"], each["since"], each["until"]) == (
            "firewall_drop",
            "present",
            "windows_firewall",
            "2026-01-01T00:00:00Z",
            None,
        )


def test_bad_and_refused_entries_fail_the_task_after_the_good_ones_are_done(run: Run) -> None:
    result, firewall = run({"targets": ["999.1.1.1", "203.0.113.9", "192.0.2.77", "198.51.100.7"], "permanent": True, "protect": ["198.51.100.0/24"]}, "dump")
    assert [each["outcome"] for each in result["responses"]] == ["failed", "done", "refused", "refused"]
    assert result["failed"]
    assert result["changed"]
    for part in ("3 of 4", "'999.1.1.1'", "192.0.2.77", "session", "never:198.51.100.0/24"):
        assert part in result["msg"]
    assert firewall.count("riposte:in:") == 1


def test_a_guard_entry_is_overridden_by_its_name(run: Run) -> None:
    refused, done = run({"targets": ["192.0.2.77"], "permanent": True}, {"targets": ["192.0.2.77"], "permanent": True, "override": ["session"]})
    assert refused["responses"][0]["outcome"] == "refused"
    assert done["responses"][0]["outcome"] == "done"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "exactly one of timeout, until, permanent"),
        ({"permanent": True, "timeout": "10m"}, "exactly one of"),
        ({"timeout": "10 parsecs"}, "'10 parsecs'"),
        ({"until": "tomorrow"}, "'tomorrow'"),
        ({"timeout": "10m"}, "nothing on this host would end the block at 2026-01-01T00:10:00Z"),
        ({"state": "absent", "timeout": "10m"}, "a release takes no timeout"),
        ({"permanent": True, "override": ["all"]}, "no guard entry has this name"),
        ({"permanent": True, "protect": ["example.com"]}, "'example.com'"),
        ({"permanent": True, "state": "gone"}, "present, absent"),
        ({"permanent": True, "backend": "auto"}, "backend"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(run: Run, options: dict[str, Any], said: str) -> None:
    result, firewall = run({"targets": ["203.0.113.9"], **options}, "dump")
    assert result["failed"]
    assert said in result["msg"]
    assert firewall == ""


def test_a_firewall_that_is_off_or_stopped_fails_the_task(run: Run) -> None:
    off, none, stopped = run("profile-off", BLOCK, "dump", "service-stopped", RELEASE)
    assert off["failed"]
    assert not off["changed"]
    assert "off for the private profile" in off["msg"]
    assert none == ""
    assert stopped["failed"]
    assert "endpoint mapper" in stopped["msg"]
