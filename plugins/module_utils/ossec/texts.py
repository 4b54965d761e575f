# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was imported, as the texts of its files: policy.yml, guard.conf, notes.md. Each carries a seal, so that it is known again. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ..host.errors import shown
from .convert import Imported
from .read import Note

POLICY, GUARD, NOTES = "policy.yml", "guard.conf", "notes.md"

_SEAL = "import_ossec wrote the lines above, sha256"
_SEALED = re.compile(rb"(.*^)(?:# |<!-- )" + _SEAL.encode() + rb" ([0-9a-f]{64})(?: -->)?\n\Z", re.DOTALL | re.MULTILINE)
_BARE = re.compile(r"own|all|[a-z]+_[a-z_]+|[0-9]{1,9}[smhd]")  # not just any word: YAML takes yes, no, on, off for something else
_SPECIAL = re.compile(r"([\\<*`\[])")

_POLICY_HEAD = """---
# Made from {file} by riposte.active_response.import_ossec. {notes} tells what Wazuh did otherwise, or never did.
# It only observes. This shows what it would do:
#
#   ansible-playbook riposte.active_response.respond -i INVENTORY -e riposte_alerts=alerts.json -e riposte_policy={policy}
#
# When that is right, write mode: enforce. Wazuh starts a response when any of level, rules_group and rules_id is met,
# a rule of a policy when all that it asks for is: so one active response can be several rules here.

mode: {mode}

rules:
"""

_GUARD_HEAD = """# Made from {file} by riposte.active_response.import_ossec: the white list, as what is never blocked on a host.
# It belongs on every host, as /etc/riposte/guard.conf. Where the role riposte.active_response.agent writes that file,
# put the addresses into the inventory instead, as riposte_agent_never_addresses.

[never]
addresses =
"""

_NOTES_HEAD = """# What became of {file}

{rules} in {policy}, {addresses} in {guard}, {count} below.

## Line by line

"""

_NOTES_TAIL = """
## For every rule

- Wazuh finds an address in data.srcip and in data.win.eventdata.ipAddress or destinationIp, a user in data.dstuser. Here many more fields count: those of
  Suricata, Sysmon, Zeek, firewalls, clouds (AWS, Google, Microsoft 365, GitHub), Windows accounts, Wazuh 5. So a rule by level or group acts on more
  alerts than Wazuh did; observing shows on which. destinationIp does not count, for that is the host attacked.
- Of sudo, su and doas Wazuh takes the user that somebody became (data.dstuser, mostly root). Here it is who did it (data.srcuser).
- Wazuh starts nothing for an alert with a user name such as DOM\\\\bob or bob$, not even a block of the address. Here the address is blocked.
- A repeat starts Wazuh's timeout anew. Here what stands keeps its end.
- When its daemon dies or the host restarts, Wazuh forgets what it was to undo. Here every end is kept.
- Wazuh's own rules about active responses can start the next one. Here they start nothing.

## What to do next

1. Give each host of the inventory its agent's id: wazuh\\_agent\\_id: "001", in quotes. An alert acts on the host whose id it names.
2. Let {policy} observe, with real alerts. Then write mode: enforce.
3. Bring the addresses of {guard} to the hosts, as its first lines say.
4. Take the active responses that are imported out of {file}, or set disabled: yes, so that an alert is answered once.
"""


def texts(imported: Imported, file: str) -> dict[str, str | None]:
    """For each file its text, sealed; None when there is nothing to put into it."""
    names = {"file": _line(file), "policy": POLICY, "guard": GUARD, "notes": NOTES}
    policy = imported.policy
    return {
        POLICY: _sealed(_POLICY_HEAD.format(**names, mode=policy["mode"]) + _rules(imported), "# {}") if policy else None,
        GUARD: _sealed(_GUARD_HEAD.format(**names) + _never(imported, names["file"]), "# {}"),
        NOTES: _sealed(_notes(imported, names), "<!-- {} -->"),
    }


def is_sealed(content: bytes) -> bool:
    """Whether this is what texts() made, with nothing changed since."""
    found = _SEALED.fullmatch(content)
    return found is not None and hashlib.sha256(found[1]).hexdigest().encode() == found[2]


def _sealed(text: str, comment: str) -> str:
    return f"{text}{comment.format(f'{_SEAL} {hashlib.sha256(text.encode()).hexdigest()}')}\n"


def _rules(imported: Imported) -> str:
    lines = []
    for rule, origin in zip(imported.policy["rules"] if imported.policy else [], imported.origins):
        lines += [f"  # {_line(origin)}", f"  - name: {_flow(rule['name'])}", f"    match: {_flow(rule['match'])}", "    responses:"]
        lines += [f"      - {_flow(response)}" for response in rule["responses"]]
        lines.append("")
    return "\n".join(lines)


def _flow(value: Any) -> str:
    """YAML on one line. Text that could be taken for something else is in quotes, as in JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _never(imported: Imported, file: str) -> str:
    return "".join(f"    {each.address}  # {file}, line {each.line}: {shown(each.wrote)}\n" for each in imported.never)


def _notes(imported: Imported, names: dict[str, str]) -> str:
    rules = _counted(len(imported.policy["rules"]) if imported.policy else 0, "rule")
    counts = {"rules": rules, "addresses": _counted(len(imported.never), "address"), "count": _counted(len(imported.notes), "note")}
    head, tail = (text.format(**{key: _escaped(name) for key, name in names.items()}, **counts) for text in (_NOTES_HEAD, _NOTES_TAIL))
    return head + ("".join(map(_note, imported.notes)) or "Nothing.\n") + tail


def _note(note: Note) -> str:
    return f"- {_escaped(_line(note.file))}, line {note.line}: {_escaped(_line(note.wazuh))}\n  **Here:** {_escaped(_line(note.here))}\n"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def _line(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
