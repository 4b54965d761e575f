#!/usr/bin/python
# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ossec_conf
short_description: Keep one marked block in Wazuh's ossec.conf, and files beside it, tested by Wazuh before they stay
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Keeps a block of its own in C(ossec.conf), an C(<ossec_config>) element between two comments, put behind the last byte of the file. Every other byte of
    the file stays as it is, and the removal gives back the very same bytes.
  - Files that belong to it, such as rules, are put in place in the same step. What O(validate) says no to is taken back at once, all of it.
  - A file that Wazuh's own parser would not read to its end is refused with the line, and so is a block whose marks are damaged.
  - The directories may be those of a user who is not to be trusted, as C(etc) is Wazuh's own user's. So links are not followed, a file with several names
    is refused, and so is a link on the way that not only root may have set. Say the real path then.
  - A diff shows the block only. In it, V(api_key), V(hook_url), V(options), elements with V(password), V(secret) or V(token) in their name, and what stands
    before the C(@) of an address are hidden, the values that were there before as well.
  - To Wazuh a section CDATA is a comment, and entities mean nothing. A value is therefore written as it is; one with a C(<) in it is refused.
  - The role P(riposte.active_response.manager#role) uses this module. It restarts nothing.
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details:
      - O(validate) is not run then, since Wazuh's test programs write files.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
requirements:
  - Python 3.9 or newer, and root, on the managed host.
options:
  path:
    description:
      - The file. It must be there, an ordinary file and no link.
    type: path
    default: /var/ossec/etc/ossec.conf
  state:
    description:
      - V(present) keeps the block and the files.
      - V(absent) takes out the block, and the files that O(files) names.
    type: str
    choices: [present, absent]
    default: present
  marker:
    description:
      - The name in the two comments, so that there can be several blocks.
    type: str
    default: riposte
  blocks:
    description:
      - What the block holds, in this order. Each entry is a dictionary of one element and what is in it.
      - A list is the element several times, C(true) is V(yes), C(false) is V(no), C(null) leaves the element out.
      - Without entries there is no block.
    type: list
    elements: dict
    default: []
  most_responses:
    description:
      - How many C(<active-response>) the whole file may have, others' too, disabled ones not counted, when O(blocks) has any. More is refused.
      - Each is a line of C(ar.conf), of which C(wazuh-execd) before Wazuh 4.14.9 has room for 64, six of them Wazuh's own, and dies of more, on every agent.
        From 4.14.9 on it leaves out what is more.
    type: int
    default: 58
  files:
    description:
      - Files that are put in place together with the block, and are tested with it. Owner, group and mode are those of the file they replace, else the
        directory's and V(0660). A diff shows them whole.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - The file. Its directory must be there.
        type: path
        required: true
      content:
        description:
          - The text. Without it the file is taken out.
        type: str
  validate:
    description:
      - Commands that test the new configuration, without a shell. V(%s) is the path of the new C(ossec.conf), which only root can read until it is
        taken; O(files) are in place already.
      - An exit code other than 0 is a no. The old files are then put back and the commands are run once more on them, since Wazuh's test writes
        C(etc/shared/ar.conf).
    type: list
    elements: str
    default: []
  refuse:
    description:
      - A regular expression. A line of what O(validate) says that it is found in is a no, too. Wazuh only warns of a rule whose number is taken, and leaves
        it out.
    type: str
  secrets:
    description:
      - Values in O(blocks) that must not be seen in results and logs, beside those that are hidden anyway. The log of the host tells O(blocks) before the
        module can look into them, so name keys here too.
    type: list
    elements: str
    default: []
seealso:
  - name: ossec.conf
    description: What Wazuh documents of the file.
    link: https://documentation.wazuh.com/current/user-manual/reference/ossec-conf/index.html
"""

EXAMPLES = r"""
- name: A command, and the response that uses it, tested by the manager
  riposte.active_response.ossec_conf:
    blocks:
      - command:
          name: riposte-firewall-drop
          executable: firewall-drop
          timeout_allowed: true
          extra_args: timeout=10m
      - active-response:
          command: riposte-firewall-drop
          location: local
          rules_id: 5712,5763
          timeout: 600
    validate:
      - /var/ossec/bin/wazuh-analysisd -t -c %s

- name: Take it out again
  riposte.active_response.ossec_conf:
    state: absent
"""

RETURN = r"""
paths:
  description: The files that were changed.
  returned: always
  type: list
  elements: str
  sample: [/var/ossec/etc/ossec.conf]
tests:
  description: What each command of O(validate) said. Empty when nothing was changed, and in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    command:
      description: The command.
      type: str
    rc:
      description: Its exit code.
      type: int
    said:
      description: What it wrote to its standard output and standard error.
      type: str
"""

import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem
from ansible_collections.riposte.active_response.plugins.module_utils.module import ModuleRunner
from ansible_collections.riposte.active_response.plugins.module_utils.ossec import hide
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.edit import put, text
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.place import Place
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.room import MOST, check_room

SECONDS = 300  # for one test of a big ruleset on a busy manager
SHORT = 6  # characters: what is shorter is no key, and to hide it everywhere would leave no message readable


class Change:
    """One file: what it holds, and what it is to hold; None = it is not there."""

    def __init__(self, path: str, after: bytes | None):
        self.path = path
        self.after = after
        self.place = Place(path)
        self.seen = self.place.read()
        self.before = self.seen.content if self.seen else None

    def untouched(self) -> bool:
        return self.place.read() == self.seen

    def make(self, content: bytes | None) -> None:
        """Has it hold what it is to hold, or what it held."""
        if content is None:
            self.place.remove()
        else:
            self.place.write(content, self.seen)


class Editor:
    def __init__(self, module: AnsibleModule):
        self.module = module
        self.runner = ModuleRunner(module)
        self.tests: list[dict[str, Any]] = []

    def run(self, conf: Change, files: Sequence[Change]) -> None:
        """Puts the files in place, tests, then puts the configuration in place; or leaves everything as it was."""
        try:
            for file in files:
                file.make(file.after)
            refusal = self._refusal(self._to_be_tested(conf))
            if not conf.untouched():
                raise BadInput("somebody else changed it in the meantime, so nothing was done; run again")
            if not refusal and conf.after != conf.before:
                conf.make(conf.after)
        except BaseException:
            self._take_back(files)
            raise
        if refusal:
            self._take_back(files)
            again = self._refusal(conf.path)
            more = f". It says no to what stood there before, too: {again}" if again else ""
            raise BadInput(f"Wazuh's test says no, so everything is as it was: {refusal}{more}")

    def _take_back(self, files: Sequence[Change]) -> None:
        for file in files:
            file.make(file.before)

    def _refusal(self, conf: str) -> str:
        """Why Wazuh does not take a configuration; empty when it does."""
        for command in self.module.params["validate"]:
            ran = self.runner([word.replace("%s", conf) for word in shlex.split(command)], seconds=SECONDS)
            said = (ran.out + ran.err).strip()
            self.tests.append({"command": command, "rc": ran.rc, "said": said})
            wrong = [line for line in said.splitlines() if self.module.params["refuse"] and re.search(self.module.params["refuse"], line)]
            if ran.rc or wrong:
                return f"{command} ended with {ran.rc} and said: {'; '.join(wrong) if wrong and not ran.rc else said or 'nothing'}"
        return ""

    def _to_be_tested(self, conf: Change) -> str:
        """The path of the new configuration, where only root comes: it holds keys, and nobody must have another file tested in its place."""
        if conf.after is None or conf.after == conf.before:
            return conf.path
        descriptor, path = tempfile.mkstemp(prefix="ossec.", suffix=".conf", dir=self.module.tmpdir)
        self.module.add_cleanup_file(path)
        with open(descriptor, "wb") as stream:
            stream.write(conf.after)
        return path


def plan(module: AnsibleModule) -> tuple[Change, list[Change]]:
    """The configuration's change, and the changes of the files beside it."""
    present = module.params["state"] == "present"
    conf = Change(module.params["path"], None)
    if conf.before is None:
        raise BadInput("there is no such file; is this a Wazuh manager, and is its home another directory?")
    blocks = module.params["blocks"] if present else []
    conf.after = put(conf.before, module.params["marker"], blocks)
    if any("active-response" in block for block in blocks):
        check_room(conf.after, module.params["most_responses"])
    changes = [beside(file["path"], file["content"].encode() if present and file["content"] is not None else None) for file in module.params["files"]]
    return conf, changes


def beside(path: str, after: bytes | None) -> Change:
    try:
        return Change(path, after)
    except (Problem, OSError) as problem:
        raise BadInput(f"files: {path}: {problem}") from problem


def check_options(module: AnsibleModule) -> None:
    for command in module.params["validate"]:
        words = shlex.split(command)
        if not words or not shutil.which(words[0]):
            raise BadInput(f"validate: {words[0] if words else 'an empty command'} is no program on this host; the configuration cannot be tested")
        if "%s" not in command:
            raise BadInput(f"validate: {command!r} has no %s, where the path of the new configuration goes")


def diff(change: Change) -> dict[str, str]:
    before, after = ((content or b"").decode(errors="replace") for content in (change.before, change.after))
    return {"before": before, "after": after}


def keep_secrets(module: AnsibleModule, sides: Sequence[str]) -> None:
    """Has the old and the new secrets hidden in all that the module says, such as the words of Wazuh's test and its own options."""
    module.no_log_values.update(value for side in sides for value in hide.values(side) if len(value) >= SHORT)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/ossec/etc/ossec.conf"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "marker": {"type": "str", "default": "riposte"},
            "blocks": {"type": "list", "elements": "dict", "default": []},
            "most_responses": {"type": "int", "default": MOST},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"path": {"type": "path", "required": True}, "content": {"type": "str"}},
            },
            "validate": {"type": "list", "elements": "str", "default": []},
            "refuse": {"type": "str"},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
        },
        supports_check_mode=True,
    )
    editor = Editor(module)
    try:
        conf, files = plan(module)
        sides = [text(content or b"", module.params["marker"]) for content in (conf.before, conf.after)]
        keep_secrets(module, sides)
        wanted = [change for change in files if change.before != change.after]
        changed = [*wanted, *[conf] * (conf.before != conf.after)]
        answer: dict[str, Any] = {"changed": bool(changed), "paths": [change.path for change in changed]}
        if module._diff:
            told = [hide.sides(*sides) if change is conf else diff(change) for change in changed]
            answer["diff"] = [{**each, "before_header": change.path, "after_header": change.path} for each, change in zip(told, changed)]
        if changed and not module.check_mode:
            check_options(module)
            editor.run(conf, wanted)
    except (Problem, OSError) as problem:
        module.fail_json(msg=f"{module.params['path']}: {problem}", tests=editor.tests, paths=[])
    module.exit_json(**answer, tests=editor.tests)


if __name__ == "__main__":
    main()
