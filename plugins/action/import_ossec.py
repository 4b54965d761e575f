# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documented in plugins/modules/import_ossec.py. Runs on the controller; all thinking is in module_utils/ossec."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.convert import convert
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.read import Configuration, read_configuration
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.texts import is_sealed, texts
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.riposte.active_response.plugins.plugin_utils.controller_file import content_of, full_path, replace_file, writing

OPTIONS = {
    "ossec_conf": {"type": "str", "required": True},
    "agent_conf": {"type": "str"},
    "out": {"type": "str", "required": True},
    "force": {"type": "bool", "default": False},
}
LARGEST = 16 << 20


class _File(NamedTuple):
    """One file to write: what is there now and what shall be there, None = no file."""

    path: str
    before: bytes | None
    after: bytes | None

    @property
    def state(self) -> str:
        if self.before == self.after:
            return "unchanged" if self.after is not None else "absent"
        return "written" if self.after is not None else "removed"

    def diff(self) -> dict[str, str]:
        before, after = ((each or b"").decode(errors="backslashreplace") for each in (self.before, self.after))
        return {"before": before, "after": after, "before_header": self.path, "after_header": self.path}


class ActionModule(ControllerAction):
    OPTIONS = OPTIONS
    _supports_diff = True

    def answer(self, options: dict[str, Any], check: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        answer = _import(options, check)
        if not self._task.diff:
            answer.pop("diff", None)
        return answer


def _import(options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    manager = _configuration(options["ossec_conf"], "ossec_conf")
    agent = _configuration(options["agent_conf"], "agent_conf") if options["agent_conf"] else None
    imported = convert(manager, agent)
    directory = full_path(options["out"])
    # All are looked at before the first is written.
    files = [_file(os.path.join(directory, name), text, options["force"]) for name, text in texts(imported, manager.file).items()]
    changed = [file for file in files if file.before != file.after]
    if not check_mode:
        for file in changed:
            _write(file)
    return {
        "changed": bool(changed),
        "files": [{"path": file.path, "state": file.state} for file in files],
        "rules": len(imported.policy["rules"]) if imported.policy else 0,
        "addresses": [each.address for each in imported.never],
        "notes": [{**note._asdict(), "text": note.text()} for note in imported.notes],
        "diff": [file.diff() for file in changed],
    }


def _configuration(path: str, what: str) -> Configuration:
    return read_configuration(content_of(path, what, LARGEST), os.path.basename(full_path(path)))


def _file(path: str, text: str | None, force: bool) -> _File:
    if not os.path.lexists(path):
        return _File(path, None, None if text is None else text.encode())
    if os.path.islink(path) or not os.path.isfile(path):
        raise BadInput(f"{path}: this is no file of its own; nothing was written. Move it away, or say another out")
    before = content_of(path, "out", LARGEST)
    ours = is_sealed(before)
    if text is None:
        return _File(path, before, None if ours else before)
    if not ours and not force:
        raise BadInput(
            f"{path}: import_ossec did not write this file, or it was edited since; nothing was written. "
            "Move it away, say another out, or force: true (riposte_force=true) to lose what is in it"
        )
    return _File(path, before, text.encode())


def _write(file: _File) -> None:
    with writing(file.path):
        if file.after is None:
            os.unlink(file.path)
            return
        os.makedirs(os.path.dirname(file.path), exist_ok=True)
        replace_file(file.path, file.after, 0o644)
