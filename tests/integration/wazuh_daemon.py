# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for Wazuh's daemons where they are asked to test a configuration: `wazuh-analysisd -t [-c FILE]`, wazuh-integratord, wazuh-logcollector.

Laid on practice hosts by wazuh_tree.py under these names; Python's standard library only. It reads XML as Wazuh does, which is not quite XML: several roots,
`<!` begins a comment up to the next `-->` or `!>` (so there is no CDATA), `\\<` is no tag, entities mean nothing. As with Wazuh, a rule with a number that is
taken or with an unknown if_sid is only warned of, and the test writes etc/shared/ar.conf. Stricter than Wazuh in one thing: a command's name may come once.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTIONS = set(
    "global alerts remote rootcheck syscheck wodle sca vulnerability-detection vulnerability-detector indexer command active-response localfile ruleset "
    "rule_test auth cluster logging client client_buffer integration reports labels socket agentless email_alerts syslog_output database_output".split()
)
COMMAND = {"name", "executable", "expect", "timeout_allowed", "extra_args"}
RESPONSE = set("disabled command location agent_id level rules_group rules_id timeout repeated_offenders ca_store ca_verification".split())
INTEGRATION = set("name api_key hook_url level rule_id group event_location max_log alert_format options timeout retries".split())
LOCALFILE = set(
    "location command alias log_format frequency label age exclude only-future-events query out_format target ignore restrict reconnect_time".split()
)
RULE = set(
    "if_sid if_group if_level if_matched_sid if_matched_group same_source_ip match regex decoded_as category field srcip dstip user program_name hostname "
    "status id url location description options group mitre info list".split()
)
OPTIONS = set("alert_by_email no_email_alert log_alert no_log no_ar no_full_log no_counter".split())
RESTARTS = "".join(f"{name} - {program} - 0\n" for name, program in (("restart-ossec0", "restart-ossec.sh"), ("restart-wazuh0", "restart-wazuh")))


class Invalid(Exception):
    """What the daemon would stop at."""


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [child.text for child in self.children if child.name == name]


class Reader:
    """One file, a character at a time."""

    def __init__(self, text: str):
        self.text, self.at = text, 0

    def elements(self) -> Iterator[Element]:
        """The elements up to the closing tag of the one they are in, or to the end of the file."""
        while self.skip_to_tag():
            yield self.element()

    def skip_to_tag(self, kept: list[str] | None = None) -> bool:
        """On to the next tag, past comments; what lies between goes to `kept`. False at the end of the file."""
        escaped = False
        while self.at < len(self.text):
            if self.text.startswith("<!", self.at):
                self.comment()
                continue
            character = self.text[self.at]
            if character == "<" and not escaped:
                return True
            escaped = character == "\\" and not escaped
            if kept is not None:
                kept.append(character)
            self.at += 1
        return False

    def comment(self) -> None:
        end = re.compile("-->|!>").search(self.text, self.at + 2)
        if not end:
            raise Invalid("XMLERR: Comment not closed.")
        self.at = end.end()

    def element(self) -> Element:
        opened = re.compile(r"<([^\s>]*?)((?:\s+[^\s=>/]+\s*=\s*(?:\"[^\">]*\"|'[^'>]*'))*)\s*(/?)>").match(self.text, self.at)
        if not opened or not opened[1] or opened[1].startswith("/"):
            raise Invalid(f"XMLERR: Element not opened or badly formed: {self.text[self.at : self.at + 40]!r}.")
        attributes = {name: double or single for name, double, single in re.findall(r"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", opened[2])}
        found = Element(opened[1], attributes)
        self.at = opened.end()
        if opened[3]:
            return found
        kept: list[str] = []
        while True:
            if not self.skip_to_tag(kept):
                raise Invalid(f"XMLERR: Element '{found.name}' not closed.")
            if self.text.startswith("</", self.at):
                break
            found.children.append(self.element())
            kept.clear()
        end = f"</{found.name}>"
        if not self.text.startswith(end, self.at):
            raise Invalid(f"XMLERR: Element '{found.name}' not closed.")
        self.at += len(end)
        found.text = "".join(kept)
        return found


def read(path: Path) -> list[Element]:
    try:
        return list(Reader(path.read_bytes().decode("latin-1")).elements())
    except FileNotFoundError:
        raise Invalid(f"(1226): Error reading XML file '{path}': XMLERR: File '{path}' not found.") from None
    except Invalid as invalid:
        raise Invalid(f"(1226): Error reading XML file '{path}': {invalid}") from None


def sections(config: Path) -> list[Element]:
    roots = read(config)
    for root in roots:
        if root.name != "ossec_config":
            raise Invalid(f"(1230): Invalid element in the configuration: '{root.name}'.")
        for section in root.children:
            if section.name not in SECTIONS:
                raise Invalid(f"(1230): Invalid element in the configuration: '{section.name}'.")
    return [section for root in roots for section in root.children]


def known(section: Element, names: set[str], *needed: str) -> None:
    for child in section.children:
        if child.name not in names:
            raise Invalid(f"(1230): Invalid element in the configuration: '{child.name}'.")
    for name in needed:
        if not section.values(name):
            raise Invalid(f"(1280): Missing '{name}' in '{section.name}'.")


def number(text: str, name: str, highest: int) -> int:
    if not re.fullmatch(r"\d+", text) or int(text) > highest:
        raise Invalid(f"(1235): Invalid value for element '{name}': {text}.")
    return int(text)


def active_responses(found: list[Element]) -> str:
    """The text of ar.conf."""
    commands: dict[str, Element] = {}
    lines = [RESTARTS]
    for section in found:
        if section.name == "command":
            known(section, COMMAND, "name", "executable")
            name = section.values("name")[-1]
            if name.startswith("!") or name in commands:
                raise Invalid(f"(1235): Invalid value for element 'name': {name} (taken, or begins with !).")
            commands[name] = section
        elif section.name == "active-response":
            known(section, RESPONSE)
            line = active_response(section, commands)
            lines.append(line)
    return "".join(lines)


def active_response(section: Element, commands: dict[str, Element]) -> str:
    if "yes" in section.values("disabled") or not section.values("command"):
        return ""
    known(section, RESPONSE, "location")
    [name] = section.values("command")[-1:]
    if name not in commands:
        raise Invalid(f"(1281): Invalid command '{name}' in the active response.")
    if not re.search("AS|analysisd|analysis-server|server|local|defined-agent|all|any", section.values("location")[-1]):
        raise Invalid(f"(1284): Invalid location: {section.values('location')[-1]}.")
    if "defined-agent" in section.values("location")[-1] and not section.values("agent_id"):
        raise Invalid("(1282): Missing 'agent_id' for the location 'defined-agent'.")
    for level in section.values("level"):
        number(level, "level", 20)
    command = commands[name]
    timeout = number(section.values("timeout")[-1], "timeout", 10**9) if section.values("timeout") else 0
    timeout *= "yes" in command.values("timeout_allowed")
    return f"{name}{timeout} - {command.values('executable')[-1]} - {timeout}\n"


def rules(home: Path, found: list[Element]) -> list[str]:
    """What is to be warned of in the rules; raises Invalid for what stops the daemon."""
    warnings: list[str] = []
    numbers: set[int] = set()
    for path in files(home, found, "decoder_dir"):
        for decoder in read(path):
            if decoder.name not in ("decoder", "var") or "name" not in decoder.attributes:
                raise Invalid(f"(2110): Invalid element '{decoder.name}' in the decoders '{path}'.")
    for path in files(home, found, "rule_dir"):
        for group in read(path):
            if group.name not in ("group", "var"):
                raise Invalid(f"(1220): Error loading the rules: '{path}': invalid root element '{group.name}'.")
            for rule in group.children:
                warnings += warnings_of(rule, numbers)
    return warnings


def files(home: Path, found: list[Element], name: str) -> list[Path]:
    folders = [folder for section in found if section.name == "ruleset" for folder in section.values(name)]
    return sorted((path for folder in folders for path in (home / folder).glob("*.xml")), key=lambda path: path.name)


def warnings_of(rule: Element, numbers: set[int]) -> list[str]:
    known(rule, RULE, "description")
    sid = number(rule.attributes.get("id", ""), "id", 999999)
    number(rule.attributes.get("level", ""), "level", 16)
    for options in rule.values("options"):
        if not set(options.split(",")) <= OPTIONS:
            raise Invalid(f"(1235): Invalid value for element 'options': {options}.")
    for child in rule.children:
        if child.name == "field" and not child.attributes.get("name"):
            raise Invalid(f"Failure to read rule {sid}. No such attribute 'name' for field.")
    if sid in numbers:
        return [f"(7612): Rule ID '{sid}' is duplicated. Only the first occurrence will be considered."]
    for parent in re.findall(r"\d+", ",".join(rule.values("if_sid"))):
        if int(parent) not in numbers:
            return [f"(7606): Signature ID '{parent}' was not found. Invalid 'if_sid'. Rule '{sid}' will be ignored."]
    numbers.add(sid)
    return []


def test(program: str, home: Path, config: Path) -> list[str]:
    found = sections(config)
    if program == "wazuh-analysisd":
        lines = active_responses(found)
        shared = home / "etc/shared/ar.conf"
        shared.write_text(lines)
        shared.chmod(0o640)
        shutil.chown(shared, group="wazuh")
        return rules(home, found)
    for section in found:
        if program == "wazuh-integratord" and section.name == "integration":
            known(section, INTEGRATION, "name")
        if program == "wazuh-logcollector" and section.name == "localfile":
            known(section, LOCALFILE, "log_format")
    return []


def main() -> int:
    program, home = Path(sys.argv[0]).name, Path(sys.argv[0]).resolve().parents[1]
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("-t", action="store_true", required=True)
    parser.add_argument("-c", type=Path, default=home / "etc/ossec.conf")
    config: Path = parser.parse_args().c
    said = []
    try:
        said += [f"WARNING: {warning}" for warning in test(program, home, config)]
    except Invalid as invalid:
        said += [f"ERROR: {invalid}", f"CRITICAL: (1202): Configuration error at '{config}'."]
    with (home / "logs/ossec.log").open("a") as log:
        for line in said:
            text = f"{time.strftime('%Y/%m/%d %H:%M:%S')} {program}: {line}"
            print(text, file=log)
            print(text, file=sys.stderr)
    return int(any("CRITICAL" in line for line in said))


if __name__ == "__main__":
    sys.exit(main())
