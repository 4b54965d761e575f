# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert names: addresses, a user, a process, a file, a hash. One table says where each is found; what is found is checked before anyone acts on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Callable, NamedTuple

from ..host.address import parse_network
from ..host.errors import BadInput, shown
from .alert import Alert

ADDRESS, DESTINATION, USER = "address", "destination", "user"  # an address is the source's; the destination's is found by its own name only
PID, PROCESS, IMAGE, FILE, HASH = "pid", "process", "image", "file", "hash"  # a process by its number, its name, the path of its executable


class When(NamedTuple):
    """Holds when the alert has one of these texts there, in any case; without texts: when it has anything there but - and the like."""

    path: str
    texts: tuple[str, ...] = ()


class Field(NamedTuple):
    """A place where an observable is found. `[]` after a name: a list may be there, each item counts. `domain`: where the account's domain is."""

    kind: str
    path: str
    only: When | None = None
    unless: When | None = None
    domain: str = ""


_EVENT = "data.win.eventdata."
_GUARDDUTY = "data.aws.service.action."
_GRAPH = "data.ms-graph.evidence[]."
_OUTBOUND = ("outbound", "egress", "2")  # 2: as OCSF numbers it
_SYSMON = When("data.win.system.providerName", ("Microsoft-Windows-Sysmon",))
_SYSMON_JSON = When("data.system.Provider_attributes.Name", ("Microsoft-Windows-Sysmon",))
_OBJECT_ACCESS = When("data.win.system.eventID", ("4656", "4657", "4660", "4663", "4670"))
_SYSCALL = When("data.audit.type", ("SYSCALL",))
_ABOUT_PROCESSES = When("event.category[]", ("process",))  # elsewhere Wazuh 5 names the process that wrote the log, such as sshd
_SWITCHES_USER = When("decoder.name", ("sudo", "su", "doas"))
_OSQUERY_PROCESS = When("data.osquery.columns.pid")

# Where each kind is found; the first usable one counts. What is not here is left out on purpose: addresses that a client can write itself
# (X-Forwarded-For, srcip2), those of the device that reports (host_ip, ip.address, identSrc, lastExternalIpAddress; Windows' 5156 calls the local
# end its source), and accounts of clouds and applications, which would be taken for an account of the host.
FIELDS: tuple[Field, ...] = (
    Field(ADDRESS, _EVENT + "ipAddress"),
    Field(ADDRESS, "data.srcip", unless=When("decoder.name", ("f5-bigip",))),  # there it is BIG-IP's own virtual server
    Field(ADDRESS, "data.alert.source.ip"),  # Suricata knows by the rule who attacks; src_ip is whoever sent the packet
    Field(ADDRESS, "data.src_ip"),
    Field(ADDRESS, "source.ip", unless=When("network.direction", _OUTBOUND)),
    Field(ADDRESS, "client.ip", unless=When("network.direction", _OUTBOUND)),
    Field(ADDRESS, "data.source.ip", unless=When("data.network.direction", _OUTBOUND)),
    Field(ADDRESS, "data.src", unless=When("decoder.name", ("paps",))),  # there it is the protected computer
    Field(ADDRESS, _EVENT + "sourceIp", unless=When(_EVENT + "initiated", ("true",))),  # Sysmon 3; initiated: the host's own address
    Field(ADDRESS, _EVENT + "clientAddress"),
    Field(ADDRESS, "data.src_endpoint.ip", unless=When("data.connection_info.direction", _OUTBOUND)),
    Field(ADDRESS, "data.aws.sourceIPAddress"),
    Field(ADDRESS, "data.aws.source_ip_address"),
    Field(ADDRESS, "data.aws.remote_ip"),
    Field(ADDRESS, "data.aws.client_ip"),
    Field(ADDRESS, "data.aws.httpRequest.clientIp"),
    Field(ADDRESS, "data.aws.srcaddr", only=When("data.aws.flow_direction", ("ingress",))),
    Field(ADDRESS, _GUARDDUTY + "portProbeAction.portProbeDetails[].remoteIpDetails.ipAddressV4"),
    Field(ADDRESS, _GUARDDUTY + "awsApiCallAction.remoteIpDetails.ipAddressV4"),
    Field(ADDRESS, _GUARDDUTY + "rdsLoginAttemptAction.remoteIpDetails.ipAddressV4"),
    Field(ADDRESS, _GUARDDUTY + "kubernetesApiCallAction.remoteIpDetails.ipAddressV4"),
    Field(
        ADDRESS,
        _GUARDDUTY + "networkConnectionAction.remoteIpDetails.ipAddressV4",
        only=When(_GUARDDUTY + "networkConnectionAction.connectionDirection", ("inbound",)),
    ),
    Field(ADDRESS, "data.gcp.protoPayload.requestMetadata.callerIp"),
    Field(ADDRESS, "data.gcp.jsonPayload.connection.src_ip", unless=When("data.gcp.jsonPayload.rule_details.direction", _OUTBOUND)),
    Field(ADDRESS, "data.gcp.httpRequest.remoteIp"),
    Field(ADDRESS, "data.office365.ClientIP"),
    Field(ADDRESS, "data.office365.ClientIPAddress"),
    Field(ADDRESS, "data.office365.ActorIpAddress"),
    Field(ADDRESS, "data.github.actor_ip"),
    Field(ADDRESS, _GRAPH + "ipAddress"),
    Field(ADDRESS, "data.ms-graph.ipAddress"),
    Field(ADDRESS, "data.ClientIP"),  # Cloudflare
    Field(ADDRESS, "data.barracuda.waf.client_ip"),
    Field(ADDRESS, "data.id.orig_h"),  # Zeek
    Field(ADDRESS, "data.remip"),  # FortiGate, the other end of a VPN
    Field(ADDRESS, "data.ui"),  # FortiGate, where its administrator sits: https(203.0.113.9)
    Field(ADDRESS, "data.client.name", only=When("decoder.name", ("fortimail-like",))),
    Field(ADDRESS, "data.remote_ip"),
    Field(ADDRESS, "data.remote_addr"),
    Field(ADDRESS, "data.remoteAddr"),
    Field(ADDRESS, "data.source_address"),
    Field(ADDRESS, "data.client_ip"),
    Field(ADDRESS, "data.client.ip"),
    Field(ADDRESS, "data.ip", only=When("rule.groups[]", ("gitlab", "gitlab_v.12"))),
    Field(ADDRESS, "data.ip_address", only=When("decoder.name", ("macOS_screensharingd",))),
    Field(ADDRESS, "data.virustotal_ip.source.ip"),
    Field(ADDRESS, "data.abuseipdb.source.ip"),
    Field(DESTINATION, "data.dstip"),
    Field(DESTINATION, "data.alert.target.ip"),
    Field(DESTINATION, "data.dest_ip"),
    Field(DESTINATION, "data.dst_ip"),
    Field(DESTINATION, "destination.ip"),
    Field(DESTINATION, "data.destination.ip"),
    Field(DESTINATION, "data.dst"),
    Field(DESTINATION, "data.dstcip"),
    Field(DESTINATION, _EVENT + "destinationIp"),
    Field(DESTINATION, "data.dst_endpoint.ip"),
    Field(DESTINATION, "data.aws.dstaddr"),
    Field(
        DESTINATION,
        _GUARDDUTY + "networkConnectionAction.remoteIpDetails.ipAddressV4",
        only=When(_GUARDDUTY + "networkConnectionAction.connectionDirection", ("outbound",)),
    ),
    Field(DESTINATION, "data.gcp.jsonPayload.connection.dest_ip"),
    Field(DESTINATION, "data.OriginIP"),
    Field(DESTINATION, "data.id.resp_h"),
    Field(DESTINATION, "data.barracuda.waf.server_ip"),
    Field(DESTINATION, "data.destination_address"),
    Field(USER, "data.srcuser", only=_SWITCHES_USER),  # who did it; dstuser is whom they became
    Field(USER, "data.dstuser", unless=_SWITCHES_USER),
    Field(USER, "user.name", domain="user.domain"),
    Field(USER, _EVENT + "targetUserName", domain=_EVENT + "targetDomainName"),
    Field(USER, _EVENT + "user"),
    Field(USER, _EVENT + "sourceUser"),
    Field(USER, _EVENT + "subjectUserName", unless=When(_EVENT + "targetUserName"), domain=_EVENT + "subjectDomainName"),
    Field(USER, "data.win.logFileCleared.subjectUserName", domain="data.win.logFileCleared.subjectDomainName"),
    Field(USER, "data.event.User", only=_SYSMON_JSON),
    Field(PID, _EVENT + "newProcessId"),  # 4688; processId is its parent there
    Field(PID, _EVENT + "processId", only=_SYSMON),
    Field(PID, _EVENT + "processId", only=_OBJECT_ACCESS),  # of a logon it is the service that was logged on to
    Field(PID, _EVENT + "sourceProcessId"),
    Field(PID, "data.event.ProcessId", only=_SYSMON_JSON),
    Field(PID, "data.audit.pid", only=_SYSCALL),
    Field(PID, "data.osquery.columns.pid"),
    Field(PID, "process.pid", only=_ABOUT_PROCESSES),
    Field(PID, _GRAPH + "processId"),
    Field(PROCESS, _EVENT + "newProcessName"),
    Field(PROCESS, _EVENT + "image", only=_SYSMON),
    Field(PROCESS, _EVENT + "processName", only=_OBJECT_ACCESS),
    Field(PROCESS, _EVENT + "sourceImage"),
    Field(PROCESS, "data.event.Image", only=_SYSMON_JSON),
    Field(PROCESS, "data.audit.command", only=_SYSCALL),
    Field(PROCESS, "data.audit.exe", only=_SYSCALL),
    Field(PROCESS, "data.osquery.columns.name", only=_OSQUERY_PROCESS),
    Field(PROCESS, "process.name", only=_ABOUT_PROCESSES),
    Field(PROCESS, _GRAPH + "imageFile.fileName"),
    Field(IMAGE, _EVENT + "newProcessName"),
    Field(IMAGE, _EVENT + "image", only=_SYSMON),
    Field(IMAGE, _EVENT + "processName", only=_OBJECT_ACCESS),
    Field(IMAGE, _EVENT + "sourceImage"),
    Field(IMAGE, "data.event.Image", only=_SYSMON_JSON),
    Field(IMAGE, "data.audit.exe", only=_SYSCALL),
    Field(IMAGE, "data.osquery.columns.path", only=_OSQUERY_PROCESS),
    Field(IMAGE, "process.executable", only=_ABOUT_PROCESSES),
    Field(FILE, "syscheck.path"),
    Field(FILE, "data.virustotal.source.file"),
    Field(FILE, "file.path"),
    Field(FILE, _EVENT + "targetFilename"),
    Field(FILE, _EVENT + "imageLoaded"),
    Field(FILE, _EVENT + "objectName", only=When(_EVENT + "objectType", ("File",))),
    Field(FILE, _EVENT + "path"),  # Defender, PowerShell
    Field(FILE, "data.event.TargetFilename", only=_SYSMON_JSON),
    Field(FILE, "data.audit.file.name", unless=When("data.audit.execve.a0")),  # there it is the program that ran, such as /usr/bin/ps
    Field(FILE, "data.file", only=When("decoder.name", ("rootcheck",))),
    Field(FILE, "data.yara_scanned_file"),
    Field(FILE, "data.infected_file_path"),
    Field(FILE, "data.ImagePath"),  # Autoruns
    Field(HASH, "syscheck.sha256_after"),
    Field(HASH, "syscheck.sha1_after"),
    Field(HASH, "syscheck.md5_after"),
    Field(HASH, "data.virustotal.source.sha1"),
    Field(HASH, "data.virustotal.source.md5"),
    Field(HASH, "data.virustotal.sha1"),
    Field(HASH, "file.hash.sha256"),
    Field(HASH, "file.hash.sha1"),
    Field(HASH, "file.hash.md5"),
    Field(HASH, "process.hash.sha256", only=_ABOUT_PROCESSES),
    Field(HASH, "process.hash.sha1", only=_ABOUT_PROCESSES),
    Field(HASH, "process.hash.md5", only=_ABOUT_PROCESSES),
    Field(HASH, _EVENT + "hashes"),
    Field(HASH, "data.event.Hashes", only=_SYSMON_JSON),
    Field(HASH, _GRAPH + "fileDetails.sha256"),
    Field(HASH, _GRAPH + "fileDetails.sha1"),
    Field(HASH, _GRAPH + "fileDetails.md5"),
    Field(HASH, "data.SHA-256"),
    Field(HASH, "data.SHA-1"),
    Field(HASH, "data.MD5"),
    Field(HASH, "data.Hash", only=When("decoder.name", ("paps",))),
)
COMPUTER = ("data.win.system.computer", "wazuh.agent.host.hostname")  # an account of this domain is the host's own

LONGEST_PATH, MOST_PATHS, DEEPEST_PATH = 256, 100, 20
MOST_ITEMS = 1000  # of a list in an alert; what follows is not looked at
MOST_REASONS = 3


class Found(NamedTuple):
    """An observable in its canonical spelling and the field it came from; or None, and why there is none."""

    value: str | None
    why: str


class _Node:
    """A name on the way to a field. `path`: what ends here, if anything does; `many`: a list counts as each of its items."""

    __slots__ = ("below", "many", "path")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.path = ""
        self.many = False


class _Place(NamedTuple):
    """A field, and its path as `_Seen` has it."""

    field: Field
    key: str


_Seen = dict[str, list[object]]  # path as _key spells it -> what the alert has there


def _key(path: str) -> str:
    return path.lower().replace("[]", "")


class Table:
    """The fields to look at: the user's own first, in their order, then those of every alert known here."""

    def __init__(self, own: Mapping[str, Sequence[str]] | None = None):
        """own: kind -> paths; BadInput when check_own has anything to say about it."""
        own = {} if own is None else own
        wrong = check_own(own)
        if wrong:
            raise BadInput("; ".join(wrong))
        self._places: dict[str, list[_Place]] = {}
        self._roots: dict[str, _Node] = {}
        for kind in KINDS:
            fields = [Field(kind, path) for path in own.get(kind, ())] + [field for field in FIELDS if field.kind == kind]
            self._places[kind] = [_Place(field, _key(field.path)) for field in fields]
            self._roots[kind] = _tree(fields)

    def find(self, alert: Alert, kind: str) -> Found:
        """The observable of this kind that the alert names."""
        seen: _Seen = {}
        _walk(alert.raw, self._roots[kind], seen)
        rejected: list[str] = []
        last_resort: Found | None = None
        for field, key in self._places[kind]:
            if key not in seen:
                continue
            condition = _unmet(field, seen)
            if condition:
                rejected.append(f"{field.path}: {condition}")
                continue
            for value in _values(field, seen[key], rejected):
                try:
                    found = Found(_checked(field, value, seen), field.path)
                except BadInput as error:
                    rejected.append(f"{field.path}: {error}")
                    continue
                if not _is_nobody(kind, found.value):
                    return found
                last_resort = last_resort or found
        return last_resort or Found(None, f"no {kind} in the alert: {self._why(kind, rejected)}")

    def _why(self, kind: str, rejected: list[str]) -> str:
        if not rejected:
            return f"none of the {len(self._places[kind])} fields where one is looked for is there"
        more = f"; and {len(rejected) - MOST_REASONS} more" if len(rejected) > MOST_REASONS else ""
        return "; ".join(rejected[:MOST_REASONS]) + more


def check_own(given: object) -> list[str]:
    """What is wrong with a user's own map {kind: [path, ...]}; each text begins with the key."""
    if not isinstance(given, Mapping):
        return [f"{shown(given)}: it must be a mapping of {', '.join(KINDS)} to lists of paths"]
    wrong: list[str] = []
    for kind, paths in given.items():
        if not isinstance(kind, str) or kind not in KINDS:
            wrong.append(f"{shown(kind)}: it must be one of {', '.join(KINDS)}")
        elif not isinstance(paths, (list, tuple)) or not 0 < len(paths) <= MOST_PATHS:
            wrong.append(f"{kind}: it must be a list of 1 to {MOST_PATHS} paths such as data.srcip")
        else:
            wrong += [f"{kind}[{at}]: {shown(path)}: {rule}" for at, path in enumerate(paths) for rule in _path_rules(kind, path)]
    return wrong


def _path_rules(kind: str, path: object) -> Iterator[str]:
    if not isinstance(path, str) or not path.isprintable() or len(path) > LONGEST_PATH:
        yield f"a path is printable text of at most {LONGEST_PATH} characters"
        return
    names = [name.removesuffix("[]") for name in path.split(".")]
    if not all(names) or len(names) > DEEPEST_PATH or any(each in name for name in names for each in "[]"):
        yield f"a path is 1 to {DEEPEST_PATH} names with dots between them, [] after one that holds a list: data.ms-graph.evidence[].ipAddress"
    elif kind == ADDRESS and path.lower().startswith(("agent.", "wazuh.agent.", "manager.")):
        yield "that is an address of the agent or the manager, not of a source"


def _tree(fields: Sequence[Field]) -> _Node:
    root = _Node()
    paths = [field.path for field in fields]
    paths += [when.path for field in fields for when in (field.only, field.unless) if when]
    paths += [path for field in fields if field.kind == USER for path in (field.domain, *COMPUTER) if path]
    for path in paths:
        node = root
        for name in path.lower().split("."):
            node = node.below.setdefault(name.removesuffix("[]"), _Node())
            node.many = node.many or name.endswith("[]")
        node.path = _key(path)
    return root


def _walk(value: Mapping[str, object], node: _Node, seen: _Seen) -> None:
    """Names count in any case, and with dots in them as if each part were an object: 5.x may say {"source.ip": …}."""
    for name, below in value.items():
        if not isinstance(name, str):
            continue
        child = node.below.get(name.lower())
        if child is None and "." in name:
            child = _below(node, name)
        if child is not None:
            _take(below, child, seen)


def _below(node: _Node | None, name: str) -> _Node | None:
    for part in name.lower().split("."):
        node = node.below.get(part) if node else None
    return node


def _take(value: object, node: _Node, seen: _Seen) -> None:
    if node.many and isinstance(value, list):
        for item in value[:MOST_ITEMS]:
            if not isinstance(item, list):
                _take(item, node, seen)
        return
    if node.path:
        seen.setdefault(node.path, []).append(value)
    if node.below and isinstance(value, Mapping):
        _walk(value, node, seen)


def _values(field: Field, values: list[object], rejected: list[str]) -> list[object]:
    """What is usable of what the alert has there. Two spellings of one name with different values contradict each other, so neither counts."""
    if "[]" not in field.path and any(value != values[0] for value in values):
        rejected.append(f"{field.path}: it is there {len(values)} times, with different values")
        return []
    rejected += [f"{field.path}: {field.kind} {shown(value)} stands for none" for value in values if value is not None and _is_empty(value)]
    return [value for value in values if not _is_empty(value)]


def _is_empty(value: object) -> bool:
    """Nothing is there; null as text is what analysisd makes of JSON's."""
    return value is None or (isinstance(value, str) and value in ("", "-", "null"))


def _unmet(field: Field, seen: _Seen) -> str:
    """The condition under which the field does not count here, in words."""
    if field.only is not None and not _holds(field.only, seen):
        return f"it counts only where {_words(field.only)}"
    if field.unless is not None and _holds(field.unless, seen):
        return f"it does not count where {_words(field.unless)}"
    return ""


def _words(when: When) -> str:
    return f"{when.path} is {' or '.join(when.texts) or 'there'}"


def _holds(when: When, seen: _Seen) -> bool:
    values = seen.get(_key(when.path), ())
    if not when.texts:
        return any(not _is_empty(value) for value in values)
    texts = {text.lower() for text in when.texts}
    return any(str(value).lower() in texts for value in values if isinstance(value, (str, int)))


def _checked(field: Field, value: object, seen: _Seen) -> str:
    checked = KINDS[field.kind](value)
    return _account(checked, field.domain, seen) if field.kind == USER else checked


def _account(user: str, path: str, seen: _Seen) -> str:
    r"""A domain's account must not be taken for the host's own of the same name, so it keeps its domain: DOMAIN\name. The host's own has none."""
    if "@" in user:
        return user
    domain, _separator, name = user.rpartition("\\")
    if not domain and path:
        found = next((value for value in seen.get(_key(path), ()) if not _is_empty(value)), "")
        domain = _text(found)
    hosts = [value.lower() for computer in COMPUTER for value in seen.get(_key(computer), ()) if isinstance(value, str)]
    if not domain or domain == "." or any(domain.lower() in (host, host.partition(".")[0]) for host in hosts):
        return name
    return _user(f"{domain}\\{name}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{shown(value) if isinstance(value, (int, float)) else 'a list or object'} is not text")
    return value


_WRAPPED = re.compile(r"([0-9.]{7,15}):[0-9]{1,5}\Z|\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?\Z|[A-Za-z]{1,10}\(([0-9A-Fa-f:.]{2,45})\)\Z", re.ASCII)


def _address(value: object) -> str:
    """One address, also of 203.0.113.9:443, [2001:db8::1]:443, https(203.0.113.9); never a network, never a name that a resolver would look up."""
    text = _text(value)
    if "/" in text:
        raise BadInput(f"address {shown(text)}: an alert names one address, not a network")
    match = _WRAPPED.match(text)
    return parse_network(match[1] or match[2] or match[3] if match else text).text


def _is_nobody(kind: str, value: str | None) -> bool:
    """No address of a peer: it counts only when no other field has one; the guard then refuses it on the host, where that is seen."""
    return kind in (ADDRESS, DESTINATION) and value is not None and (value.startswith("127.") or value in ("0.0.0.0", "::", "::1"))


_USER = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*\\)?[A-Za-z0-9_.][A-Za-z0-9_.@+-]*\Z")
LONGEST_USER = 256


def _user(value: object) -> str:
    r"""An account name as Unix and Windows directories have them: name, name@domain, DOMAIN\name; whether it exists is for the host to say."""
    text = re.sub(r"\\+", r"\\", _text(value)) if isinstance(value, str) and len(value) <= LONGEST_USER else _text(value)
    name = text.rpartition("\\")[2]
    if name.endswith("$") and _USER.match(text[:-1]):
        raise BadInput(f"user {shown(text)}: a computer's own account is nobody's")
    if len(text) > LONGEST_USER or not _USER.match(text) or set(name) <= {"."}:
        raise BadInput(f"user {shown(text)}: letters, digits and . _ - @ + are expected, at most {LONGEST_USER}, no - first, and DOMAIN\\ before it at most")
    if name in ("SYSTEM", "LocalSystem"):
        raise BadInput(f"user {shown(text)}: Windows itself is no account")
    return text


_NUMBER = re.compile(r"0x[0-9A-Fa-f]{1,8}\Z|[1-9][0-9]{0,9}\Z", re.ASCII)


def _pid(value: object) -> str:
    """A process's number, in decimal."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64 else _text(value)
    number = int(text, 0) if _NUMBER.match(text) else 0
    if not 0 < number < 1 << 32:
        raise BadInput(f"process {shown(text)}: a number from 1 to {(1 << 32) - 1} is expected, or hexadecimal with 0x before it")
    return str(number)


LONGEST_FILE, LONGEST_NAME = 4096, 255
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_UNFIT = re.compile(r'[;|<>"*?`]|[$][({]|[{][{%#]')  # a shell's and a template's signs
_DEFENDER = re.compile(r"(?:container)?file:_")


def _file(value: object) -> str:
    """The absolute path of one file, with / or, in Windows, a drive or server and \\."""
    text = _text(value)
    if _DEFENDER.match(text):  # container and content: "containerfile:_C:\\a.zip; file:_C:\\a.zip->b.exe"; the file on disk is the container
        text = re.split(r"->|-&gt;|; ", _DEFENDER.sub("", text, count=1))[0]
    if len(text) > LONGEST_FILE:
        raise BadInput(f"file {shown(text)}: a path has at most {LONGEST_FILE} characters")
    windows = bool(_DRIVE.match(text)) or text.startswith("\\\\")
    if not windows and not text.startswith("/"):
        raise BadInput(f"file {shown(text)}: an absolute path is expected")
    separator = "\\" if windows else "/"
    first, *names = re.split(r"[\\/]+" if windows else "/+", text)
    if windows and first and len(first) == 2:
        first = first.upper()
    elif windows:
        first = "\\"  # \\server\share\…
    if len(names) < (3 if first == "\\" else 1):
        raise BadInput(f"file {shown(text)}: a file in a directory is expected")
    for name in names:
        _check_name(text, name, windows)
    return separator.join([first, *names])


def _check_name(text: str, name: str, windows: bool) -> None:
    if name in ("", ".", "..") or len(name) > LONGEST_NAME or not name.isprintable() or _UNFIT.search(name):
        raise BadInput(f"file {shown(text)}: {shown(name)} in it is no plain name")
    if windows and (":" in name or name[-1] in ". "):
        raise BadInput(f"file {shown(text)}: {shown(name)} in it is another name for something else in Windows")


def _process(value: object) -> str:
    """A process's name; of a path, the last of it."""
    text = _text(value)
    if "/" in text or "\\" in text:
        text = re.split(r"[\\/]", _file(text))[-1]
    if text != text.strip():
        raise BadInput(f"process {shown(text)}: it has a blank at an end")
    _check_name(text, text, windows=False)
    return text


_DIGEST = {32: "md5", 40: "sha1", 64: "sha256"}
_NO_CONTENT = (
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)


def _hash(value: object) -> str:
    """A digest's hexadecimal digits in lower case, its length says which; of "SHA1=…,MD5=…,SHA256=…,IMPHASH=…" the longest digest of the content."""
    text = _text(value).lower() if isinstance(value, str) and len(value) <= LONGEST_NAME else _text(value)
    pairs = [pair.partition("=") for pair in text.split(",")] if "=" in text else []
    digests = sorted((digest for name, _equals, digest in pairs if name == _DIGEST.get(len(digest))), key=len)
    text = digests[-1] if digests else text
    if len(text) not in _DIGEST or not re.match(r"[0-9a-f]+\Z", text, re.ASCII):
        raise BadInput(f"hash {shown(text)}: 32, 40 or 64 hexadecimal digits are expected")
    if text in _NO_CONTENT or not text.strip("0"):
        raise BadInput(f"hash {shown(text)}: that is the hash of nothing")
    return text


KINDS: dict[str, Callable[[object], str]] = {
    ADDRESS: _address,
    DESTINATION: _address,
    USER: _user,
    PID: _pid,
    PROCESS: _process,
    IMAGE: _file,
    FILE: _file,
    HASH: _hash,
}
COMMON = Table()


def find(alert: Alert, kind: str, table: Table = COMMON) -> Found:
    """The observable of this kind that the alert names."""
    return table.find(alert, kind)
