# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Wazuh configuration says of active responses -> a policy, the never-list of a guard file, and notes. Pure.

The policy does what the file's author meant, as far as that can be told. Where Wazuh did something else, or nothing, a note says both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from ..alert.alert import HIGHEST_LEVEL
from ..alert.inventory import MANAGER
from ..alert.policy import ALL, KINDS, OBSERVE, OWN
from ..host.errors import shown
from ..host.lifetime import LONGEST
from .read import AGENT, Block, Configuration, Note
from .repeats import duration, read_repeats
from .white_list import Never, read_white_list

EXECUTABLES: Mapping[str, str] = {
    "firewall-drop": "firewall_drop",
    "default-firewall-drop": "firewall_drop",
    "block-ip": "firewall_drop",
    "firewalld-drop": "firewall_drop",
    "disable-account": "disable_account",
}
"""Wazuh's executables, and the kind of response that does the same."""

BLOCKING = ("host-deny", "route-null", "ip-customblock", "ipfw", "npf", "pf", "netsh")
OTHERS = ("restart-wazuh", "restart.sh", "wazuh-slack", "kaspersky")
FIXED_LINES, MOST_LINES = 6, 64
QUIET_MINUTE = ("5712", "5763")
NO_START = "Wazuh's manager does not start with this."
LEFT_OUT = "it is not imported."

_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,12})")
_GROUP = re.compile(r"[^\\^$*+()<>,]+\Z")
_SERVER = re.compile(r"AS|analysisd|server", re.IGNORECASE)
_ALL = re.compile(r"all|any", re.IGNORECASE)

Match = dict[str, Any]


class Imported(NamedTuple):
    """policy: as read_policy takes it, None when no active response can be imported; origins: a line of text on each of its rules."""

    policy: dict[str, Any] | None
    origins: list[str]
    never: list[Never]
    notes: list[Note]


def convert(manager: Configuration, agent: Configuration | None = None) -> Imported:
    """manager: the manager's ossec.conf. agent: an agent's ossec.conf or a group's agent.conf, for its repeated_offenders."""
    repeats, agents_notes = read_repeats(agent) if agent else ([], [])
    never, white_list_notes = read_white_list(manager)
    work = _Responses(manager, repeats, [*manager.notes, *white_list_notes])
    for command in manager.commands:
        work.command(command)
    for block in manager.responses:
        work.response(block)
    work.lines_of_ar_conf()
    notes = sorted(work.notes, key=lambda note: note.line)
    policy = {"mode": OBSERVE, "rules": work.rules} if work.rules else None
    return Imported(policy, work.origins, never, notes + sorted(agents_notes, key=lambda note: note.line))


class _Nothing(Exception):
    """Of this block nothing can be imported; why has been noted."""


@dataclass
class _Responses:
    manager: Configuration
    repeats: list[str]
    notes: list[Note]
    rules: list[dict[str, Any]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    commands: dict[str, Block] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)  # the lines of ar.conf: name -> executable
    said: set[str] = field(default_factory=set)

    def command(self, block: Block) -> None:
        name = block.text("name")
        if not name or not block.text("executable") or name.startswith("!") or block.root == AGENT:
            self.note(block.line, f"a <command> needs a name (that does not begin with !) and an executable. {NO_START}", LEFT_OUT)
        elif name in self.commands:
            self.note(block.line, f"command {shown(name)} is there twice; Wazuh takes the first, of line {self.commands[name].line}.", "so does this.")
        else:
            self.commands[name] = block
        if block.text("expect"):
            here = "each kind of response finds in an alert what it acts on."
            self.note(block.line_of("expect"), "<expect> has meant nothing since Wazuh 4.2.", here, "expect")
        if block.text("timeout_allowed") not in ("", "yes", "no"):
            self.note(block.line_of("timeout_allowed"), f"timeout_allowed is yes or no. {NO_START}", "it counts as no.")

    def response(self, block: Block) -> None:
        if not self.starts_something(block):
            return
        try:
            command = self.command_of(block)
            kind = self.kind(block, command)
            hosts = self.hosts(block, kind)
            options = self.lifetime(block, command)
            matches = self.matches(block, kind)
        except _Nothing:
            return
        if kind == "disable_account":
            here = "end_sessions: false leaves sessions open; keys are locked too."
            self.note(block.line, "disable-account leaves open sessions and keys alone.", here, kind)
            options["end_sessions"] = False
        for word, match in matches:
            self.rules.append(
                {
                    "name": self.name(block, word),
                    "match": match,
                    "responses": [{"response": kind, **options, "hosts": each} for each in hosts],
                }
            )
            where = f"{_plain(self.manager.file, 60)}, line {block.line}"
            self.origins.append(f"{where}: {_plain(block.text('command'), 60)}, location {_plain(block.text('location'), 60)}, its {word}")

    def starts_something(self, block: Block) -> bool:
        if "repeated_offenders" in block.values:
            line = block.line_of("repeated_offenders")
            here = f"{LEFT_OUT[:-1]}; to have it, write repeated_offenders beside the timeout of a response."
            self.note(line, "the manager does nothing with repeated_offenders; it counts in an agent's own ossec.conf.", here)
        if block.text("disabled") not in ("", "yes", "no"):
            self.note(block.line_of("disabled"), f"disabled is yes or no. {NO_START}", "it counts as no.")
        if block.text("disabled") == "yes":
            wazuh = "disabled: yes in one active response can keep Wazuh from starting the others too."
            self.note(block.line_of("disabled"), wazuh, "this one is left out, the others are imported.")
        elif block.values.keys() <= {"disabled", "repeated_offenders", "ca_store", "ca_verification"}:
            return False
        elif block.root == AGENT:
            self.note(block.line, "Wazuh starts no active response by an agent.conf.", LEFT_OUT)
        elif not block.text("command") or not block.text("location"):
            self.note(block.line, f"an <active-response> needs a command and a location. {NO_START}", LEFT_OUT)
        else:
            return True
        return False

    def command_of(self, block: Block) -> Block:
        name = block.text("command")
        command = self.commands.get(name)
        line = block.line_of("command")
        if command is None:
            self.nothing(line, f"no <command> is named {shown(name)}. {NO_START}")
        if command.line > block.line:
            self.note(line, f"<command> {shown(name)} comes later, in line {command.line}. {NO_START}", "the order does not matter.")
        if block.values["command"].raw != name or command.values["name"].raw != name:
            self.note(line, f"Wazuh takes the blanks round {shown(name)} for a part of the name. {NO_START}", "blanks do not matter.")
        self.sending(block, command)
        return command

    def sending(self, block: Block, command: Block) -> None:
        """The line of ar.conf that this makes: the name and the timeout, written together."""
        seconds = self.seconds(block) if command.text("timeout_allowed") == "yes" else 0
        name, executable = f"{command.text('name')}{seconds}", command.text("executable")
        if self.sent.setdefault(name, executable) != executable:
            wazuh = f"an agent knows this as {shown(name)} (name and timeout), as it knows {shown(self.sent[name])}, and may run that instead."
            self.note(block.line, wazuh, f"{executable} is what was meant.")

    def kind(self, block: Block, command: Block) -> str:
        executable, line = command.text("executable"), command.line_of("executable")
        name = re.sub(r"\.(sh|exe)\Z", "", executable)
        if executable in OTHERS:
            self.nothing(line, f"{shown(executable)} blocks nothing.", f"it is not built yet, so line {block.line} is not imported. Leave it to Wazuh.")
        if name in BLOCKING:
            here = f"it is not built yet, so line {block.line} is not imported. On Linux, firewall_drop blocks the same address, and both ways."
            self.nothing(line, f"{shown(executable)} blocks in a way of its own.", here)
        if name not in EXECUTABLES or executable.endswith(".exe"):
            self.nothing(line, f"{shown(executable)} is not one of Wazuh's own.", f"line {block.line} is not imported. Leave it to Wazuh.")
        if name != executable:
            self.note(line, f"{shown(executable)} has been {name} since Wazuh 4.2, which finds no such program and runs nothing.", f"{name} is what was meant.")
        if name == "firewalld-drop":
            here = "firewall_drop blocks beside firewalld, and no reload ends it."
            self.note(line, "firewalld-drop blocks until firewalld reloads.", here, name)
        if command.text("extra_args"):
            wazuh = f"{shown(executable)} is given arguments and does nothing with them."
            self.note(command.line_of("extra_args"), wazuh, "they are left out.", f"extra_args of line {command.line}")
        return EXECUTABLES[name]

    def hosts(self, block: Block, kind: str) -> list[Any]:
        location, line = block.text("location"), block.line_of("location")
        found: list[Any] = [OWN] if "local" in location.lower() else []
        if "defined-agent" in location.lower():
            found += self.defined_agent(block)
        if _SERVER.search(location):
            self.note(
                line,
                f"location {shown(location)}: the manager's own host answers.",
                f'hosts: {{agents: ["{MANAGER}"]}} is the host whose wazuh_agent_id is "{MANAGER}"; give the manager\'s host that variable.',
            )
            found.append({"agents": [MANAGER]})
        if _ALL.search(location):
            if kind != "firewall_drop":
                self.nothing(
                    line, f"{kind} on every agent, for a name that one of them reported.", "it is not imported: an account is locked on hosts that are named."
                )
            self.note(line, "all are the active agents, without the manager.", "hosts: all is every host of the inventory.", "all")
            return [ALL]
        if not found and "defined-agent" not in location.lower():
            self.nothing(line, f"location {shown(location)} is none of local, defined-agent, server, all. {NO_START}")
        if not found:
            raise _Nothing
        return found

    def defined_agent(self, block: Block) -> list[Any]:
        said, line = block.text("agent_id"), block.line_of("agent_id")
        if re.fullmatch("[0-9]{1,8}", said) and int(said):
            return [{"agents": [said.lstrip("0").zfill(3)]}]
        if re.fullmatch("0{1,8}", said):
            self.note(line, "Wazuh sends nothing to agent 000, which is the manager; that is location server.", LEFT_OUT)
        elif said:
            self.note(line, f"agent_id {shown(said)} is the id of no agent; Wazuh takes one.", "it is not imported; a policy takes hosts: {agents: [ID, …]}.")
        else:
            self.note(line, f"defined-agent needs an agent_id. {NO_START}", LEFT_OUT)
        return []

    def seconds(self, block: Block) -> int:
        found = _NUMBER.match(block.text("timeout"))
        return int(found[1]) if found else 0

    def lifetime(self, block: Block, command: Block) -> dict[str, Any]:
        said, line, seconds = block.text("timeout"), block.line_of("timeout"), self.seconds(block)
        if seconds < 0:
            self.nothing(line, f"a timeout of {shown(said)} has ended before it begins.")
        if said and not re.fullmatch("[0-9]+", said):
            self.note(line, f"Wazuh reads {shown(said)} as {seconds} seconds.", f"{duration(seconds)}." if seconds else "as if there were no timeout.")
        again = "Wazuh remembers nothing of it: it ends with a reboot at the latest, and each alert adds the same rule once more."
        once = "permanent: true, until it is released; a repeat changes nothing. Better say a timeout."
        if seconds and command.text("timeout_allowed") != "yes":
            self.note(line, f"the command of line {command.line} allows no timeout, so this is without end. {again}", once)
        elif not seconds:
            self.note(line, f"without a timeout this is without end. {again}", once)
        else:
            if seconds > LONGEST:
                self.note(line, f"{seconds} seconds are more than a year.", f"{duration(LONGEST)}, the longest there is.")
            repeats = {"repeated_offenders": list(self.repeats)} if self.repeats else {}
            return {"timeout": duration(min(seconds, LONGEST)), **repeats}
        return {"permanent": True}

    def matches(self, block: Block, kind: str) -> list[tuple[str, Match]]:
        """Wazuh takes what meets any of level, rules_group, rules_id; a rule of a policy asks for all. So each becomes a rule of its own."""
        before = len(self.notes)
        found: list[tuple[str, Match]] = []
        level, groups, rule_ids = self.level(block), self.groups(block), self.rule_ids(block)
        if level:
            found.append(("level", {"level": level}))
        if groups:
            found.append(("rules_group", {"groups": groups}))
        if rule_ids:
            found.append(("rules_id", {"rule_ids": rule_ids}))
        if not found and len(self.notes) == before:
            self.nothing(block.line, "without level, rules_group and rules_id no alert starts it.")
        if KINDS[kind].sweeping:
            return found
        for word, _match in found:
            if word != "rules_id":
                wazuh = f"{kind} for a {word}: any alert of that {'level' if word == 'level' else 'group'} that names a user."
                self.note(block.line_of(word), wazuh, "it is not imported: an account is locked only for rules that are named one by one.")
        return [(word, match) for word, match in found if word == "rules_id"]

    def level(self, block: Block) -> int:
        said, line = block.text("level"), block.line_of("level")
        if not re.fullmatch("[0-9]{0,8}", said) or int(said or 0) > 20:
            self.note(line, f"level {shown(said)} is no number from 0 to 20. {NO_START}", LEFT_OUT)
            return 0
        level = int(said or 0)
        if level > HIGHEST_LEVEL:
            self.note(line, f"no rule has a level above {HIGHEST_LEVEL}, so this never started anything.", LEFT_OUT)
            return 0
        return level

    def groups(self, block: Block) -> list[str]:
        line = block.line_of("rules_group")
        groups: list[str] = []
        for each in filter(None, block.text("rules_group").split("|")):
            name = each.removesuffix(",")
            if not _GROUP.match(name) or not name.isprintable() or len(name) > 200:
                here = f"{LEFT_OUT[:-1]}; a policy names whole groups: any of groups: [a, b]."
                self.note(line, f"Wazuh looks for {shown(each)} in the list of a rule's groups, as a pattern.", here)
                continue
            if name == each:
                self.note(line, f"without a comma behind it, {shown(each)} also means every group with that in its name.", f"group {shown(name)} only.")
            else:
                self.note(line, f"{shown(each)} also means groups whose names only end so.", f"a group is its whole name, such as {shown(name)}.", "groups")
            groups += [name] if name not in groups else []
        return groups

    def rule_ids(self, block: Block) -> list[str]:
        raw, line = block.values["rules_id"].raw if "rules_id" in block.values else "", block.line_of("rules_id")
        pieces = [piece for piece in re.split(r"[,;|\s]+", raw) if piece]
        good = [piece for piece in pieces if re.fullmatch("[0-9]{1,10}", piece)]
        ids = list(dict.fromkeys(piece.lstrip("0") or "0" for piece in good))
        unread = [each for each in ids if each not in _read_by_wazuh(raw)]
        bad = [piece for piece in pieces if piece not in good]
        if bad:
            self.note(line, f"{shown(' '.join(bad))} in rules_id is the id of no rule; Wazuh reads the list up to there.", "it is left out.")
        if unread:
            wazuh = f"Wazuh takes commas and blanks between ids, and reads no further at anything else: {', '.join(unread)} never started it."
            self.note(line, wazuh, "all the ids count.")
        for quiet in sorted(set(QUIET_MINUTE) & set(ids)):
            wazuh = f"rule {quiet} is silent for 60 seconds after it was raised, also about other attackers."
            self.note(line, wazuh, "it acts on each alert there is; this silence is in Wazuh's rule (ignore=60).", quiet)
        return ids

    def lines_of_ar_conf(self) -> None:
        lines = FIXED_LINES + sum(bool(block.text("command")) and block.text("disabled") != "yes" for block in self.manager.responses)
        if lines > MOST_LINES:
            line = self.manager.responses[-1].line
            wazuh = f"this makes {lines} lines in ar.conf. An agent of Wazuh 4.14.7 and before has room for {MOST_LINES}, and can crash."
            self.note(line, wazuh, "a policy has no such limit.")

    def name(self, block: Block, word: str) -> str:
        """No two rules of a policy have one name."""
        name = f"{_plain(block.text('command'), 30)} ({_plain(self.manager.file, 30)}, line {block.line}) {word}"
        taken = {rule["name"] for rule in self.rules}
        return next(each for each in (name, *(f"{name} {number}" for number in range(2, len(taken) + 3))) if each not in taken)

    def note(self, line: int, wazuh: str, here: str, once: str = "") -> None:
        """once: a word for what need not be said twice."""
        if once and once in self.said:
            return
        self.said.add(once)
        self.notes.append(Note(self.manager.file, line, wazuh, here))

    def nothing(self, line: int, wazuh: str, here: str = LEFT_OUT) -> NoReturn:
        self.note(line, wazuh, here)
        raise _Nothing


def _read_by_wazuh(rules_id: str) -> set[str]:
    """The ids that Wazuh finds: it skips blanks and commas, takes a number, goes on behind the next comma, and stops at anything else."""
    found = set()
    for part in rules_id.split(","):
        digits = re.match(" *([0-9]+)", part)
        if digits:
            found.add(digits[1].lstrip("0") or "0")
        elif part.strip(" "):
            break
    return found


def _plain(text: str, limit: int) -> str:
    return (text if text.isprintable() else ascii(text)[1:-1])[:limit]
