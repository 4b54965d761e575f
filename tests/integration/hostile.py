# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile list: alerts of both shapes of Wazuh whose every field somebody else has written, and for each what must come out of it.

    canaries = Canaries()
    alerts = hostile_alerts(canaries)
    ...                                     # any way that an alert takes
    assert canaries.sung(web1) == [] and raw(stdout) == [] and evaluated(stdout) == []

The list is the same each time but for the names of the canaries and the moment at which the alerts were raised.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab import Host
from tests.lab.rulebook import stamp

SAMPLES = Path(__file__).parents[1] / "alerts"
POLICY = """
mode: enforce
find_hosts_by_name: true
rules:
  - name: brute force
    match: {rule_ids: ["5712", "5db5e8e9-85f4-5cac-b97a-9eb39f16aa33"]}
    responses:
      - {response: firewall_drop, timeout: 10m}
      - {response: disable_account, permanent: true}  # an end would need a tick on the host
"""
ATTACKER, ACCOUNT = "203.0.113.9", "mallory"
OWN_ADDRESSES = "198.51.100."  # one for each alert with a hostile description, for a host keeps the first alert and reason of a block

# What must come out of an alert under that policy.
BOTH, BLOCK, LOCK = "block and lock", "block", "lock"
NOTHING, UNMATCHED = "nothing", "no rule of the policy"
NO_ALERT = "no alert"
RESPONSES = {"firewall_drop": (BOTH, BLOCK), "disable_account": (BOTH, LOCK)}

LONGEST_ID = "a" * 128
ROOMY = 200_000  # characters of a field that is huge and within all limits
TOO_LONG = (1 << 20) + 1
EVALUATED = ("sungaloud", "canary sum-42", "<class '", "<built-in")

Place = tuple[Any, ...]


class Canaries:
    """Texts that leave a file behind when they are evaluated or taken for a path, and a look at whether one did."""

    def __init__(self) -> None:
        self.name = f"riposte-canary-{uuid.uuid4().hex[:8]}"
        self.stem = f"/tmp/{self.name}"
        self.number = 0

    def template(self) -> str:
        return f"{{{{ lookup('pipe', 'touch {self.path()}') }}}}"

    def statement(self) -> str:
        return f"{{% set x = lookup('pipe', 'touch {self.path()}') %}}"

    def shell(self) -> str:
        path = self.path()
        return f"x'$(touch {path})`touch {path}`; touch {path} #"

    def path(self) -> str:
        self.number += 1
        return f"{self.stem}-{self.number}"

    def sung(self, *hosts: Host, directory: Path | None = None) -> list[str]:
        """The files that were left behind: here, below a directory, on the hosts."""
        places = (f"{self.stem}*", f"/etc/cron.d/{self.name}*")
        found = [path for place in places for path in glob.glob(place)]
        found += [str(path) for path in directory.rglob(f"*{self.name}*")] if directory else []
        return found + [
            f"{host.name}:{path}" for host in hosts for path in host.inside(["sh", "-c", f"ls -d {' '.join(places)} 2>/dev/null || :"]).stdout.split()
        ]

    def clean(self) -> None:
        for path in self.sung():
            Path(path).unlink()


@dataclass(frozen=True)
class Hostile:
    """An alert as it is sent, on one line, and what must come out of it.

    why: what the problem says that is told about it when it is no alert. posted, posted_why: what must come out where the sender does not say when
    he sent it. alone: it does not share a message with others.
    """

    name: str
    line: bytes
    says: str
    why: str = ""
    id: str = ""
    posted: str = ""
    posted_why: str = ""
    alone: bool = False

    def by_post(self) -> Hostile:
        """The same, as it must come out where nobody says when it was sent."""
        return replace(self, says=self.posted or self.says, why=self.posted_why or self.why)


class Field(NamedTuple):
    """A field that is read: what must come out when hostile text is there, or something else than text, or one of these kinds of things.

    longest: characters of a text; a longer one makes it no alert.
    """

    place: Place
    text: str
    other: str
    but: Mapping[str, str] = {}
    longest: int = 1 << 30

    @property
    def why(self) -> str:
        """What is said when it is no alert for this field."""
        return f"{'timestamp' if self.place == ('@timestamp',) else '.'.join(str(each) for each in self.place if not isinstance(each, int))} is "


_ID = {"number": UNMATCHED, "huge number": UNMATCHED}  # a number will do, it is another rule's
_LIST = {"null": BOTH, "list": BOTH, "empty list": BOTH}
_NULL = {"null": BOTH}
FOUR = (
    Field(("rule", "id"), NO_ALERT, NO_ALERT, _ID),
    Field(("rule", "level"), NO_ALERT, NO_ALERT, {"number": BOTH}),
    Field(("rule", "groups"), NO_ALERT, NO_ALERT, _LIST),
    Field(("rule", "groups", 0), BOTH, NO_ALERT),
    Field(("rule", "description"), BOTH, NO_ALERT, _NULL, 65_536),
    Field(("rule", "mitre", "id", 0), BOTH, BOTH),
    Field(("agent",), NO_ALERT, NO_ALERT, {"null": NOTHING, "object": NOTHING}),
    Field(("agent", "id"), NO_ALERT, NO_ALERT, {"null": NOTHING}),
    Field(("agent", "name"), BOTH, NO_ALERT, _NULL, 256),
    Field(("agent", "ip"), BOTH, BOTH),
    Field(("data",), NOTHING, NOTHING),
    Field(("data", "srcip"), LOCK, LOCK),
    Field(("data", "dstip"), BOTH, BOTH),
    Field(("data", "dstuser"), BLOCK, BLOCK),
    Field(("manager", "name"), BOTH, BOTH),
    Field(("decoder", "name"), BOTH, BOTH),
    Field(("id",), NO_ALERT, NO_ALERT, _NULL),
    Field(("timestamp",), BOTH, NO_ALERT, _NULL, 64),
    Field(("full_log",), BOTH, BOTH),
)
FIVE = (
    Field(("wazuh", "rule", "id"), NO_ALERT, NO_ALERT, _ID),
    Field(("wazuh", "rule", "sigma_id"), NO_ALERT, NO_ALERT, {"null": BOTH, "number": BOTH, "huge number": BOTH}),
    Field(("wazuh", "rule", "level"), NO_ALERT, NO_ALERT),
    Field(("wazuh", "rule", "tags"), NO_ALERT, NO_ALERT, _LIST),
    Field(("wazuh", "rule", "tags", 0), BOTH, NO_ALERT),
    Field(("wazuh", "rule", "title"), BOTH, NO_ALERT, _NULL, 65_536),
    Field(("wazuh", "agent"), NO_ALERT, NO_ALERT, {"null": NOTHING, "object": NOTHING}),
    Field(("wazuh", "agent", "id"), NO_ALERT, NO_ALERT, {"null": NOTHING}),
    Field(("wazuh", "agent", "name"), BOTH, NO_ALERT, _NULL, 256),
    Field(("wazuh", "agent", "host", "hostname"), BOTH, BOTH),
    Field(("wazuh", "agent", "host", "ip", 0), BOTH, BOTH),
    Field(("source",), LOCK, LOCK),
    Field(("source", "ip"), LOCK, LOCK),
    Field(("destination", "ip"), BOTH, BOTH),
    Field(("network", "direction"), BOTH, BOTH),
    Field(("user",), BLOCK, BLOCK),
    Field(("user", "name"), BLOCK, BLOCK),
    Field(("user", "domain"), BLOCK, BLOCK, {"null": BOTH, "empty": BOTH}),
    Field(("event", "category"), BOTH, BOTH),
    Field(("id",), NO_ALERT, NO_ALERT, _NULL),
    Field(("@timestamp",), BOTH, NO_ALERT, _NULL, 64),
)

# Texts for every field there is ...
EVERYWHERE: Mapping[str, Callable[[Canaries], str]] = {
    "template": Canaries.template,
    "shell": Canaries.shell,
    "path": lambda canaries: f"../../../../../..{canaries.path()}",
    "format": lambda _canaries: "{0.__class__} {x!r:>9999999} %(x)s %s%n%9999999d",
}
# ... and for those that are read.
WHERE_READ: Mapping[str, Callable[[Canaries], str]] = {
    **EVERYWHERE,
    "statement": Canaries.statement,
    "word": lambda _canaries: "{{ 'sung' ~ 'aloud' }}",
    "globals": lambda canaries: f"{{{{ cycler.__init__.__globals__.os.system('touch {canaries.path()}') }}}}",
    "attributes": lambda _canaries: "{{'a'.__class__}}",
    "comment": lambda _canaries: "{# gone #}{% raw %}{{ x }}{% endraw %}{{",
    "template in a template": lambda canaries: "{{ '" + canaries.template().replace("'", '"') + "' }}",
    "list of a template": lambda canaries: f"[{json.dumps(canaries.template())}]",
    "absolute path": lambda canaries: canaries.path(),
    "path of cron": lambda canaries: f"../../../../etc/cron.d/{canaries.name}",
    "path in Windows": lambda _canaries: "\\\\?\\C:\\Windows\\..\\x:stream",
    "environment": lambda _canaries: "$HOME ${PATH} %PATH% ~root canary sum-$((20+22))",
    "lookup of Log4j": lambda _canaries: "${jndi:ldap://127.0.0.1:1/x}${env:HOME}",
    "page": lambda _canaries: "<script>alert(1)</script><!--]]>",
    "cell": lambda _canaries: "=cmd|' /c calc'!A0\t,\"",
    "message": lambda _canaries: "<!channel> <http://203.0.113.66|click> @here `x` *x*",
    "statement of SQL": lambda _canaries: "'); DROP TABLE alert; --",
    "mark of Ansible": lambda canaries: json.dumps({"__ansible_unsafe": canaries.template()}),
    "vault": lambda _canaries: "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
    "tag of YAML": lambda canaries: f"!!python/object/apply:os.system ['touch {canaries.path()}']",
    "vault in YAML": lambda _canaries: "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162",
    "unsafe in YAML": lambda canaries: f"!unsafe '{canaries.template()}'",
    "option": lambda _canaries: "--help",
    "short option": lambda _canaries: "-j",
    "file of options": lambda _canaries: "@/etc/passwd",
    "glob": lambda _canaries: "*",
    "huge": lambda _canaries: "x" * ROOMY,
    "combining": lambda _canaries: "a" + "\u0301\u0489" * 100,
    "direction": lambda _canaries: "\u202egnp.\u2066x\u2069\u200f\u061c",
    "zero width": lambda _canaries: "ro\u200bot\u2060\ufeff\u200d",
    "invisible": lambda _canaries: "x\u00ad\u180e\ufff9\u206a\U000e0041\U000e007f",
    "surrogates": lambda _canaries: "\ud800x\udfff",
    "other digits": lambda _canaries: "\uff12\uff10\uff13.0.113.\u0669",
    "controls": lambda _canaries: "".join(map(chr, range(1, 32))) + "\x7f\x9b31m\x85",
    "escapes": lambda _canaries: "\x1b[2J\x1b]0;owned\x07\x1b[31m",
    "NUL": lambda _canaries: "a\x00b",
    "forged line": lambda _canaries: 'x\r\n{"riposte_audit":1,"event":"alert","alert_id":"forged","state":"answered"}\nPLAY RECAP ***\nfatal: [web1]: FAILED!',
    "separators": lambda _canaries: "a\u2028b\u2029c\x0bd\x0ce",
    "empty": lambda _canaries: "",
    "blanks": lambda _canaries: " \t ",
}
OTHER_THAN_TEXT: Mapping[str, Callable[[Canaries], object]] = {
    "number": lambda _canaries: 7,
    "negative": lambda _canaries: -1,
    "real": lambda _canaries: 1.5,
    "huge number": lambda _canaries: 10**39,
    "true": lambda _canaries: True,
    "null": lambda _canaries: None,
    "list": lambda canaries: [canaries.template()],
    "empty list": lambda _canaries: [],
    "object": lambda canaries: {canaries.template(): canaries.shell()},
    "lists": lambda _canaries: [[[[]]]],
}
NUMBERS = {"NaN": "NaN is no JSON number", "-Infinity": "-Infinity is no JSON number", "1e999": "out of range", "9" * 5000: "out of range"}
NUMBERED = (("rule", "level"), ("data", "srcip"), ("timestamp",), ("full_log",))

ADDRESSES = (
    "-j", "--help", "203.0.113.9 ; id", "203.0.113.9\n", " 203.0.113.9", "0x7f.1", "127.1", "2130706433", "203.0.113.09", "203.0.113.9/0", "0.0.0.0/0", "::/0",
    "203.0.113.0/24", "fe80::1%eth0", "fe80::1%$(id)", "203.0.113.9,203.0.113.66", "localhost", "web1", "all", "\u096820\u0969.0.113.9", "null", "-",
)  # fmt: skip
ACCOUNTS = (
    "-rf", "--help", "root; id", "mallory\n", "mallory\x00", "mallory\u200b", "\uff4dallory", "m\u0430llory", "../mallory", "mallory:x:0:0", "*", "$(id)",
    "!mallory", "mallory \u202e", "mallory mallory", ".", "..", "null", "SYSTEM", "web1$",
)  # fmt: skip
HOST_PATTERNS = ("all", "*", "web*", "web1:web2", "web1,web2", "~web.*", "!web1", "localhost", "@/etc/hosts", "web1[0:9]", "{{ groups.all }}", "web2\u200b")
# An id that may be one, and what then comes out.
AGENT_IDS = {"all": NOTHING, "null": NOTHING, "001:002": NOTHING, "0x1": NOTHING, "1e0": NOTHING, "0001": BOTH, "1": BOTH}
RULE_IDS = {"null": UNMATCHED, "05712": UNMATCHED, "5712.0": UNMATCHED, "5712 ": NO_ALERT, "5712\n": NO_ALERT, "\u0665\u0667\u0661\u0662": NO_ALERT}
ALERT_IDS = {
    "null": BOTH,
    "all": BOTH,
    "1e5": BOTH,
    "1e999": BOTH,
    "1795492383.1234567890": BOTH,  # as Wazuh has them, and more digits than a floating-point number keeps
    "1+2j": BOTH,
    "None": BOTH,
    "true": BOTH,
    LONGEST_ID: BOTH,
    "a" * 129: NO_ALERT,
    "a b": NO_ALERT,
    "a/../b": NO_ALERT,
}

_TRUSTED = {"__ansible_type": "AnsibleTaggedStr", "tags": [{"__ansible_type": "TrustedAsTemplate"}]}
# What stands beside an alert's own fields, at its top.
MORE: Mapping[str, Callable[[Canaries], Mapping[str, object]]] = {
    "meta.hosts all": lambda _canaries: {"meta": {"hosts": "all"}},
    "meta.hosts of none": lambda _canaries: {"meta": {"hosts": []}},
    "meta.hosts of another": lambda _canaries: {"meta": {"hosts": ["web2"], "limit": "web2"}},
    "meta.hosts as a template": lambda canaries: {"meta": {"hosts": canaries.template(), "uuid": canaries.template()}},
    "meta as text": lambda canaries: {"meta": canaries.template()},
    "hosts and limit": lambda _canaries: {"hosts": "all", "limit": "all", "payload": {"meta": {"hosts": "all"}}, "body": "x"},
    "wrappings": lambda _canaries: {"all_fields": {"rule": {"id": "5712"}}, "_source": {}, "hits": [[]], "alerts": [{}], "sample_documents": []},
    "variables of Ansible": lambda canaries: {
        "ansible_connection": "local", "ansible_host": "localhost", "ansible_python_interpreter": f"touch {canaries.path()}",
        "ansible_become_exe": canaries.shell(), "ansible_facts": {"x": canaries.template()}, "hostvars": {}, "inventory_hostname": "web2",
        "omit": None, "vars": canaries.template(),
    },
    "variables of ours": lambda _canaries: {
        "riposte_policy": "/etc/passwd", "riposte_planned": ["all"], "riposte_plan": {"hosts": {"all": []}}, "riposte_become": False,
    },
    "results of Ansible": lambda canaries: {
        "_ansible_no_log": True, "_ansible_verbose_always": True, "_ansible_parsed": False, "invocation": {}, "exception": canaries.template(), "failed": True,
        "skipped": True, "changed": True, "results": [], "warnings": [canaries.template()], "deprecations": [{"msg": canaries.template()}],
    },
    "marks of Ansible": lambda canaries: {
        "__ansible_unsafe": canaries.template(), "__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n6162", "a": {"__ansible_unsafe": canaries.template()},
        "b": {"__ansible_vault": "x"}, "c": {**_TRUSTED, "value": canaries.template()}, "d": {"__ansible_type": "no such"},
    },
    "names of other languages": lambda _canaries: {
        "__proto__": {"mode": "enforce"}, "constructor": {"prototype": {}}, "__class__": "x", "$where": "1", "<<": {},
    },
    "template as a name": lambda canaries: {canaries.template(): {canaries.statement(): canaries.shell()}},
    "odd names": lambda _canaries: {"": 1, "\x00": 2, "\u202e": 3, "\x1b[2J": 4, "a\nb": 5, "\ud800": 6, ".": 7, "a.b..c": 8, "x" * 5000: 9},
}  # fmt: skip
# One of each sort.
CHOSEN = {
    "4: template in rule.description", "4: forged line in rule.description", "4: template in id", "4: list in rule.level",
    "4: statement in agent.name", "4: template in timestamp", "4: template in data.srcip", "4: meta.hosts all", "4: meta.hosts of none", "4: marks of Ansible",
    "5: escapes in wazuh.rule.title", "5: shell in user.name", "5: meta.hosts as a template", "5: template as a name", "5: odd names", "'1+2j' (4) in id",
    "'1e999' (5) in id", "'1795492383.123456789' (21) in id", "no id",
}  # fmt: skip
NO_JSON = {
    "list": (b'[[{"rule": {"id": "5712"}}]]', "is a JSON object, this is a list"),
    "text": (b'"{{ 7 }}"', "is a JSON object, this is text"),
    "number": (b"7", "is a JSON object, this is a number"),
    "null": (b"null", "is a JSON object, this is null"),
    "empty object": (b"{}", "neither rule (Wazuh 4) nor wazuh.rule (Wazuh 5)"),
    "refused by name": (b'{"refused": {"count": "{{ 7 }}", "why_b64": "{{ 7 }}"}}', "neither rule"),
    "words": (b"{{ lookup('pipe', 'id') }}", "it is not JSON"),
    "half": (b'{"rule": {"id": "5712", "level": 10', "it is not JSON"),
    "two on a line": (b'{"rule": {}} {"rule": {}}', "more follows it"),
    "of Python": (b"{'rule': {'id': '5712'}}", "it is not JSON"),
    "of YAML": (b"rule: {id: 5712}", "it is not JSON"),
    "control in it": (b'{"rule": "a\x1bb"}', "it is not JSON"),
    "NUL in it": (b'{"rule": "a\x00b"}', "it is not JSON"),
    "of UTF-16": ('{"rule": {}}'.encode("utf-16-le"), "it is not JSON"),
    "mark in it": (b'{"rule": \xef\xbb\xbf{}}', "it is not JSON"),
    "escape that is none": (b'{"rule": "\\x41\\ud8"}', "it is not JSON"),
}


def hostile_alerts(canaries: Canaries, moment: str = "") -> list[Hostile]:
    """moment: when the alerts were raised, as Wazuh writes it; otherwise now. The first is one that all readers can tell the form of the file by."""
    return list(_List(canaries, moment or stamp()).all())


def chosen(alerts: Sequence[Hostile]) -> list[Hostile]:
    """One of each sort, where each costs a run of its own; the last is one that is in order."""
    found = [each for each in alerts if each.name in CHOSEN]
    assert {each.name for each in found} == CHOSEN
    return [*found, alerts[0]]


def expected(alerts: Iterable[Hostile]) -> Counter[tuple[str, str, bool]]:
    """What must be decided, each once: alert id, response ("" = the alert calls for none, or came before), and whether anything is to be done."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    seen: set[str] = set()
    for each in alerts:
        if each.says == NO_ALERT:
            continue
        if each.says == UNMATCHED or each.id in seen:
            counts[each.id, "", False] += 1
        else:
            counts.update((each.id, response, each.says in does) for response, does in RESPONSES.items())
        seen.add(each.id)
    return counts


def told(decisions: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str, bool]]:
    """What was decided, as `expected` has it."""
    return Counter((each["alert_id"], each["response"], each["outcome"] == "planned") for each in decisions)


def check_named(alerts: Sequence[Hostile], problems: Iterable[str]) -> None:
    """That each which is no alert is named by its line, with the reason, once; and nothing else. problems: '..., line 7: why'."""
    seen = [re.search(r"\bline (\d+): (.*)", problem, re.DOTALL) for problem in problems]
    named = [(int(found[1]), found[2]) for found in seen if found]
    assert len(named) == len(seen)
    assert [line for line, _why in named] == [line for line, each in enumerate(alerts, 1) if each.says == NO_ALERT]
    for line, why in named:
        assert alerts[line - 1].why in why, (alerts[line - 1].name, why)


def check_audit(path: Path, alerts: Sequence[Hostile], ended: str = "") -> None:
    """That each line is ASCII, JSON, and short; that each alert is `taken` once, came to its end once if there is one, and each decision and outcome is once.

    alerts: those that the run had.
    """
    content = path.read_bytes()
    assert content.isascii() and content.endswith(b"\n")
    lines = content[:-1].split(b"\n")
    assert max(map(len, lines)) < 8192
    assert [line for line in lines if raw(line.decode(), "")] == []
    said = [json.loads(line) for line in lines]
    assert [text for each in said for text in texts(each) if raw(text, "") or evaluated(text)] == []
    had = [each for each in alerts if each.says != NO_ALERT]
    states = Counter((each["alert_id"], each["state"]) for each in said if each["event"] == "alert")
    assert states == Counter((each.id, state) for each in had for state in ("taken", ended) if state)
    assert told(each for each in said if each["event"] == "decision") == expected(had)
    done = Counter((each["alert_id"], each["response"], each["outcome"] in ("done", "unchanged")) for each in said if each["event"] == "outcome")
    assert done == Counter({key: count for key, count in expected(had).items() if key[2]})


def texts(value: object) -> Iterator[str]:
    """Every text in a value, keys as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from (*texts(name), *texts(each))
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def raw(text: str, but: str = "\n") -> list[str]:
    """What in a text is not for a terminal: control and direction characters, what cannot be seen, bytes that are no text."""
    return sorted({ascii(each) for each in text if each not in but and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")})


def evaluated(text: str) -> list[str]:
    """What stands in a text only when one of the hostile texts was evaluated on its way there."""
    return [word for word in EVALUATED if word in text]


def places(value: object, path: Place = ()) -> Iterator[Place]:
    """Where in an alert there is text."""
    if isinstance(value, str):
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*path, key))


def put(alert: Mapping[str, Any], place: Place, value: object) -> dict[str, Any]:
    """A copy of the alert with the value there."""
    copy: dict[str, Any] = json.loads(json.dumps(alert))
    holder: Any = copy
    for key in place[:-1]:
        holder = holder[key] if isinstance(holder, list) else holder.setdefault(key, {})
    holder[place[-1]] = value
    return copy


@dataclass
class _List:
    """Makes the list. Each alert has an id of its own but for those whose id is what is hostile."""

    canaries: Canaries
    moment: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        four = json.loads((SAMPLES / "gen-sshd-5712-bruteforce.json").read_text())
        four["data"] |= {"dstuser": ACCOUNT}
        self.four = {**four, "timestamp": self.moment}
        self.five = {**json.loads((SAMPLES / "wazuh5-ssh-brute-force.json").read_text()), "@timestamp": self.moment.replace("+0000", "Z")}

    def _own_address(self) -> str:
        return f"{OWN_ADDRESSES}{next(self._addresses)}"

    def all(self) -> Iterator[Hostile]:
        yield self._one("plain", self.four, BOTH)
        for name, base, fields in (("4", self.four, FOUR), ("5", self.five, FIVE)):
            yield from self._texts(name, base, fields)
            yield from self._other_than_text(name, base, fields)
        yield from self._numbers_of_no_range()
        yield from self._spellings()
        yield from self._shapes()
        yield from self._names()
        for name, (line, why) in NO_JSON.items():
            yield Hostile(f"no JSON: {name}", line, NO_ALERT, why)
        yield from self._sizes()

    def _texts(self, shape: str, base: Mapping[str, Any], fields: Sequence[Field]) -> Iterator[Hostile]:
        known = {each.place: each for each in fields}
        for place in dict.fromkeys([*places(base), *known]):
            each = known.get(place, Field(place, BOTH, BOTH))
            for kind, make in (WHERE_READ if place in known else EVERYWHERE).items():
                text = make(self.canaries)
                says = NO_ALERT if len(text) > each.longest else each.but.get(kind, each.text)
                yield self._field(f"{shape}: {kind}", base, each, text, says)

    def _other_than_text(self, shape: str, base: Mapping[str, Any], fields: Sequence[Field]) -> Iterator[Hostile]:
        for each in fields:
            for kind, make in OTHER_THAN_TEXT.items():
                yield self._field(f"{shape}: {kind}", base, each, make(self.canaries), each.but.get(kind, each.other))
        rule = ("rule",) if shape == "4" else ("wazuh", "rule")
        for kind, make in OTHER_THAN_TEXT.items():
            yield self._one(f"{shape}: {kind} in {'.'.join(rule)}", put(base, rule, make(self.canaries)), NO_ALERT, "rule")

    def _field(self, name: str, base: Mapping[str, Any], each: Field, value: object, says: str) -> Hostile:
        alert = put(base, each.place, value)
        if says == BOTH and each.place[-1] in ("description", "title"):
            alert = put(alert, ("source", "ip") if "wazuh" in alert else ("data", "srcip"), self._own_address())
        made = self._one(f"{name} in {'.'.join(map(str, each.place))}", alert, says, each.why if says == NO_ALERT else "", own=each.place == ("id",))
        made = replace(made, alone=isinstance(value, str) and len(value) >= ROOMY)
        return replace(made, posted=NO_ALERT, posted_why="timestamp is ") if says != NO_ALERT and each.place[0] in ("timestamp", "@timestamp") else made

    def _numbers_of_no_range(self) -> Iterator[Hostile]:
        for place in NUMBERED:
            for number, why in NUMBERS.items():
                made = self._one(f"{number[:9]} in {'.'.join(place)}", put(self.four, place, "NUMBER"), NO_ALERT, why)
                yield replace(made, line=made.line.replace(b'"NUMBER"', number.encode()))

    def _spellings(self) -> Iterator[Hostile]:
        """What is spelled in a way that some reader takes for another thing."""
        spelled: list[tuple[Place, Mapping[str, str]]] = [
            (("data", "srcip"), dict.fromkeys(ADDRESSES, LOCK)),
            (("data", "dstuser"), dict.fromkeys(ACCOUNTS, BLOCK)),
            (("agent", "id"), AGENT_IDS),
            (("rule", "id"), RULE_IDS),
            (("id",), ALERT_IDS),
        ]
        for place, ways in spelled:
            path = ".".join(map(str, place))
            for text, says in ways.items():
                alert = put(self.four, place, text)
                if text == LONGEST_ID:
                    alert = put(alert, ("data", "srcip"), self._own_address())
                yield self._one(f"{text[:20]!a} ({len(text)}) in {path}", alert, says, f"{path} is ", own=place == ("id",))
        for text in HOST_PATTERNS:
            yield self._one(f"{text!a} as the only name of an agent", {**self.four, "agent": {"name": text}}, NOTHING)

    def _shapes(self) -> Iterator[Hostile]:
        for name, make in MORE.items():
            for shape, base in (("4", self.four), ("5", self.five)):
                yield self._one(f"{shape}: {name}", {**base, **make(self.canaries)}, BOTH)
        ours = self._one("message of our own sender", {**self.four, "riposte": 1, "sent": 0, "alerts": []}, BOTH)
        yield replace(ours, posted=NO_ALERT, posted_why="alerts is [], expected a list")
        yield self._one("both shapes", {**self.four, "wazuh": {"rule": {"id": "none"}}}, UNMATCHED)
        yield self._one("no id", {name: value for name, value in self.four.items() if name != "id"}, BOTH, own=True)
        first = self._one("the first of two with one id", self.four, BOTH)
        yield first
        yield self._one("the second", {**self.four, "id": first.id, "full_log": self.canaries.template()}, BOTH, own=True)

    def _names(self) -> Iterator[Hostile]:
        """Names that are there twice: which one counts differs from parser to parser."""
        for name in ("id", "data", "rule"):
            twice = self._one(f"{name} twice", self.four, NO_ALERT, "is there twice")
            yield replace(twice, line=twice.line[:-1] + f', "{name}": {{}}}}'.encode())
        nested = self._one("a name twice further down", {**self.four, "x": "TWICE"}, NO_ALERT, "is there twice")
        yield replace(nested, line=nested.line.replace(b'"TWICE"', b'[{"a": 1, "a": 2}]'))
        yield self._one("two spellings of a name", put(self.four, ("data", "SrcIP"), "203.0.113.66"), LOCK)
        yield self._one("a name with a dot", {**self.four, "data.srcip": "203.0.113.66"}, LOCK)
        broken = self._one("bytes that are no UTF-8", {**self.four, "full_log": "BYTES"}, BOTH)
        yield replace(broken, line=broken.line.replace(b"BYTES", b"\xff\xfe\xc0\xae\xed\xa0\x80\xf4\x90\x80\x80"))

    def _sizes(self) -> Iterator[Hostile]:
        groups = [f"{{{{ {number} }}}}" for number in range(10_000)]
        wide = put(put(self.four, ("rule", "groups"), groups), ("data",), {**self.four["data"], **{f"k{number}": number for number in range(10_000)}})
        yield replace(self._one("wide", wide, BOTH), alone=True)
        for depth, says in ((90, BOTH), (150, NO_ALERT), (900, NO_ALERT), (5_000, NO_ALERT), (100_000, NO_ALERT)):
            deep = self._one(f"{depth} levels deep", {**self.four, "full_log": "DEEP"}, says, "nested deeper than")
            yield replace(deep, line=deep.line.replace(b'"DEEP"', b"[" * depth + b"]" * depth), alone=True)
        long = self._one("longer than an alert may be", {**self.four, "full_log": "x" * TOO_LONG}, NO_ALERT, "characters long")
        yield replace(long, alone=True)

    def _one(self, name: str, alert: Mapping[str, Any], says: str, why: str = "", own: bool = False) -> Hostile:
        """own: the alert keeps the id it brings, or has none."""
        number = next(self._numbers)
        value = dict(alert) if own else {**alert, "id": f"hostile-{number}"}
        line = json.dumps(value, ensure_ascii=bool(number % 2))
        return Hostile(name, _encoded(line, value), says, why if says == NO_ALERT else "", _id(value) if says != NO_ALERT else "")


def _encoded(line: str, value: object) -> bytes:
    try:
        return line.encode()
    except UnicodeEncodeError:  # a surrogate that stands alone can only be escaped
        return json.dumps(value).encode()


def _id(value: Mapping[str, Any]) -> str:
    """The id that an alert goes by."""
    found = value.get("id")
    return str(found) if found is not None else "sha256-" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
