# SPDX-License-Identifier: GPL-3.0-or-later
"""What wazuh-execd's messages mean, and how long stands what they start: the program's own functions, on whatever an attacker or an admin writes."""

from __future__ import annotations

import json
import os
import select
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.program.wazuh_host import ALERT, message, message5

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["203.0.113.9", "1", "0x7f.1", "fe80::1%eth0", "10.0.0.0/8", "mallory", "root", "..", "{{ 7*7 }}", "a\r\nb", "\x1b[2J", "\u202e"]
) | st.text(max_size=30)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": WORDS | ANYTHING,
        "rule": st.fixed_dictionaries({}, optional={"id": ANYTHING, "description": WORDS | ANYTHING}) | ANYTHING,
        "data": st.fixed_dictionaries({}, optional={"srcip": WORDS | ANYTHING, "dstuser": WORDS | ANYTHING, "win": ANYTHING}) | ANYTHING,
        "source": st.fixed_dictionaries({"ip": WORDS}) | ANYTHING,
        "user": st.fixed_dictionaries({"name": WORDS}) | ANYTHING,
    },
)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(alert=FIELDS, words=st.lists(WORDS, max_size=3), fifth=st.booleans(), kind=st.sampled_from(["address", "user"]))
def test_whatever_an_alert_holds_there_is_an_order_or_a_sentence(riposte: SimpleNamespace, alert: Any, words: list[str], fifth: bool, kind: str) -> None:
    line = message5("enable", words=" ".join(words), **alert) if fifth else message("add", alert, *words)
    try:
        order = riposte.message.read_order(line)
        key = order.observable(kind)
    except riposte.errors.BadInput:
        return
    notes: list[str] = []
    riposte.lifetimes.choose(order, "block-ip", riposte.lifetimes.Conf(), "/nonexistent", notes)
    assert all(isinstance(each, str) for each in [order.alert_id, order.reason, *notes])
    assert json.loads(riposte.message.check_keys("block-ip", key))["parameters"]["keys"] == [key]
    assert json.loads(riposte.log.one_line(order.message)) == json.loads(line)


@MANY
@given(junk=st.text(max_size=200) | ANYTHING.map(json.dumps))
def test_whatever_a_line_holds_it_is_no_order_by_accident(riposte: SimpleNamespace, junk: str) -> None:
    with pytest.raises(riposte.errors.BadInput):
        riposte.message.read_order(junk)
    with pytest.raises(riposte.errors.BadInput):
        riposte.message.read_answer(junk)


@MANY
@given(text=st.text(max_size=300))
def test_whatever_is_said_in_the_log_is_one_line_of_printable_ascii(riposte: SimpleNamespace, tmp_path: Path, text: str) -> None:
    (tmp_path / "logs").mkdir(exist_ok=True)
    path = tmp_path / "logs/active-responses.log"
    path.write_bytes(b"")
    log = riposte.log.Log(str(tmp_path), "block-ip")
    log.text(text)
    log.result("failed", "firewall_drop", text, text)
    raw = path.read_bytes()
    assert raw.count(b"\n") == 2
    assert not [byte for byte in raw if byte != 10 and not 32 <= byte < 127]


def test_a_twin_key_counts_for_neither(riposte: SimpleNamespace) -> None:
    order = riposte.message.read_order(
        message("add").replace('"srcip"', '"srcip": "198.51.100.1", "srcip"').replace('"data"', '"x": 1, "x": 2, "x": 3, "data"')
    )
    assert order.alert["x"] == []
    assert order.observable("user") == "mallory"
    with pytest.raises(riposte.errors.BadInput, match="is not text"):
        order.observable("address")


def test_an_alert_without_an_id_is_told_apart_by_its_content(riposte: SimpleNamespace) -> None:
    ids = {riposte.message.read_order(message("add", {"data": {"srcip": each}})).alert_id for each in ("203.0.113.9", "203.0.113.9", "203.0.113.10")}
    assert len(ids) == 2
    assert all(each.startswith("sha256-") for each in ids)


AR_CONF = (
    "restart-ossec0 - restart-ossec.sh - 0\nfirewall-drop600 - firewall-drop - 600\nfirewall-drop6 - firewall-drop - 6\nblock - default-firewall-drop - 0\n"
)
OSSEC_CONF = """<ossec_config>
  <!-- <active-response><repeated_offenders>1</repeated_offenders></active-response> -->
  <active-response><disabled>no</disabled></active-response>
</ossec_config>
<ossec_config><active-response>
  <repeated_offenders> 30, 60,0,x,-5 </repeated_offenders>
</active-response><active-response><repeated_offenders>7</repeated_offenders></active-response></ossec_config>
"""
TERMS = [
    # name, extra arguments, our file, ar.conf, ossec.conf -> timeout, repeats, a part of each note
    ("firewall-drop", [], "", AR_CONF, "", "600s", (), []),
    ("firewall-drop", ["timeout=2h"], "[firewall-drop]\ntimeout = 1h\n", AR_CONF, "", "2h", (), []),
    ("firewall-drop", ["timeout=2h", "permanent"], "", AR_CONF, "", None, (), []),
    ("firewall-drop", ["srcip", "timeout=0"], "", AR_CONF, "", "600s", (), ["'srcip' is ignored", "'timeout=0' is ignored"]),
    ("firewall-drop", [], "[firewall-drop]\ntimeout = 1h\nrepeated_offenders = 2h 1d\n", AR_CONF, OSSEC_CONF, "1h", ("2h", "1d"), []),
    ("firewall-drop", [], "[firewall-drop]\nrepeated_offenders = 2h\n", AR_CONF, "", "600s", ("2h",), []),
    ("firewall-drop", [], "[firewall-drop]\npermanent = false\n", AR_CONF, "", "600s", (), []),
    ("firewall-drop", [], "[firewall-drop]\npermanent = true\n", AR_CONF, OSSEC_CONF, None, (), []),
    ("firewall-drop", [], "[disable-account]\npermanent = true\n", AR_CONF, "", "600s", (), []),
    ("firewall-drop", [], "", AR_CONF, OSSEC_CONF, "600s", ("30m", "60m"), ["'0' is ignored", "'x' is ignored", "'-5' is ignored"]),
    ("default-firewall-drop", [], "", AR_CONF, "", "10m", (), ["so 10m is taken"]),
    ("default-firewall-drop", [], "[wazuh]\ntimeout = 5m\n", AR_CONF, "", "5m", (), ["so 5m is taken"]),
    ("default-firewall-drop", [], "[wazuh]\ntimeout = 5m\n", "", "", "5m", (), ["so 5m is taken"]),
    ("firewall-drop", [], "", "x - firewall-drop - 999999999\n", "", "31622400s", (), ["longer than 366 days"]),
    ("firewall-drop", [], "", "x - y - firewall-drop - 60\r\nfirewall-drop - 70\nz - firewall-drop - -5\n", "", "60s", (), []),
]


@pytest.mark.parametrize(("name", "words", "conf", "ar_conf", "ossec_conf", "timeout", "repeats", "notes"), TERMS)
def test_how_long_it_stands(
    riposte: SimpleNamespace, tmp_path: Path, name: str, words: list[str], conf: str, ar_conf: str, ossec_conf: str,
    timeout: str | None, repeats: tuple[str, ...], notes: list[str],
) -> None:  # fmt: skip
    (tmp_path / "etc/shared").mkdir(parents=True)
    if ar_conf:
        (tmp_path / "etc/shared/ar.conf").write_bytes(ar_conf.encode())
    if ossec_conf:
        (tmp_path / "etc/ossec.conf").write_text(ossec_conf)
    said: list[str] = []
    order = riposte.message.read_order(message("add", ALERT, *words))
    term = riposte.lifetimes.choose(order, name, riposte.lifetimes.parse_conf(conf, "wazuh.conf"), str(tmp_path), said)
    assert term == (timeout, repeats, False)
    assert len(said) == len(notes)
    assert all(part in note for part, note in zip(notes, said))


@pytest.mark.parametrize(
    ("timeout", "kind", "expected"),
    [
        (180, "stateful", "180s"),
        (180, "stateless", "10m"),
        (0, "stateful", "10m"),
        (True, "stateful", "10m"),
        ("180", "stateful", "10m"),
        (-1, "stateful", "10m"),
    ],
)
def test_how_long_it_stands_for_wazuh_5(riposte: SimpleNamespace, timeout: object, kind: str, expected: str) -> None:
    order = riposte.message.read_order(message5("enable", timeout, kind))
    assert riposte.lifetimes.choose(order, "block-ip", riposte.lifetimes.Conf(), "/nonexistent", []).timeout == expected


def test_extra_arguments_of_wazuh_5_are_a_list_or_one_text(riposte: SimpleNamespace) -> None:
    for words in (["timeout=1h", "x"], "timeout=1h x"):
        assert riposte.message.read_order(message5("enable", words=words)).words == ("timeout=1h", "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timeout = 1h\n", "no section"),
        ("[wazuh]\ntimeouts = 1h\n", "timeouts"),
        ("[wazuh]\ntimeout = 0\n", "[wazuh] timeout"),
        ("[wazuh]\nhome = var/ossec\n", "home"),
        ("[wazuh]\nearly_delete = later\n", "early_delete"),
        ("[wazuh]\n[wazuh]\n", "already exists"),
        ("[host-deny]\ntimeout = 1h\n", "[host-deny] is not known"),
        ("[firewall-drop]\ntimeout =\n", "[firewall-drop] timeout"),
        ("[firewall-drop]\npermanent = yes\n", "permanent = 'yes'"),
        ("[firewall-drop]\npermanent = true\ntimeout = 1h\n", "what stands for good"),
        ("[firewall-drop]\nrepeated_offenders = 1h, 2h\n", "repeated_offenders"),
        ("[firewall-drop]\nend = 1h\n", "end is not known"),
        ("[firewall-drop]\nend_sessions = true\n", "end_sessions is not known"),
        ("[disable-account]\nend_sessions = yes\n", "end_sessions = 'yes'"),
    ],
)
def test_a_file_of_lifetimes_with_a_mistake_names_it(riposte: SimpleNamespace, text: str, said: str) -> None:
    with pytest.raises(riposte.errors.Problem) as caught:
        riposte.lifetimes.parse_conf(text, "wazuh.conf")
    assert said in str(caught.value)
    assert "wazuh.conf" in str(caught.value)


@pytest.mark.parametrize(("kind", "said"), [("pipe", "no ordinary file"), ("folder", ""), ("link", "cannot be read")])
def test_what_is_no_file_holds_nothing_up_and_leads_nowhere(riposte: SimpleNamespace, tmp_path: Path, kind: str, said: str) -> None:
    """Wazuh's own account may write there."""
    (tmp_path / "etc/shared").mkdir(parents=True)
    (tmp_path / "elsewhere").write_text(f"x - firewall-drop - 60\n{OSSEC_CONF}")
    for path in (tmp_path / "etc/shared/ar.conf", tmp_path / "etc/ossec.conf"):
        {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda made: os.symlink(tmp_path / "elsewhere", made)}[kind](path)
    notes: list[str] = []
    order = riposte.message.read_order(message("add"))
    assert riposte.lifetimes.choose(order, "firewall-drop", riposte.lifetimes.Conf(), str(tmp_path), notes) == ("10m", (), False)
    assert [said in each for each in notes if "is not known" in each] == [True, True]


def test_sessions_end_only_where_the_hosts_owner_says_so(riposte: SimpleNamespace) -> None:
    order = riposte.message.read_order(message("add", ALERT, "timeout=1h"))
    for text, expected in (("", False), ("end_sessions = false\n", False), ("end_sessions = true\n", True), ("permanent = true\nend_sessions = true\n", True)):
        conf = riposte.lifetimes.parse_conf(f"[disable-account]\n{text}", "wazuh.conf")
        assert riposte.lifetimes.choose(order, "disable-account", conf, "/nonexistent", []).end_sessions is expected
        assert riposte.lifetimes.choose(order, "firewall-drop", conf, "/nonexistent", []).end_sessions is False


FOUND = [
    # data of the alert, its decoder -> address, user
    ({"srcip": "203.0.113.9", "dstuser": "mallory", "srcuser": "eve"}, "sshd", "203.0.113.9", "mallory"),
    ({"win": {"eventdata": {"ipAddress": "203.0.113.9", "targetUserName": "mallory"}}, "srcip": "203.0.113.10"}, "windows", "203.0.113.9", None),
    ({"src_ip": "203.0.113.9", "alert": {"source": {"ip": "203.0.113.10"}}}, "json", "203.0.113.10", None),
    ({"src_ip": "203.0.113.9"}, "json", "203.0.113.9", None),
    ({"srcuser": "mallory", "dstuser": "root"}, "sudo", None, None),
    ({"office365": {"ClientIP": "203.0.113.9"}, "src": "203.0.113.9", "remote_ip": "203.0.113.9", "srcuser": "mallory"}, "sudo", None, None),
    ({"aws": {"sourceIPAddress": "203.0.113.9"}, "event": {"User": "mallory"}, "data.srcip": "203.0.113.9"}, "json", None, None),
]


@pytest.mark.parametrize(("data", "decoder", "address", "user"), FOUND)
def test_the_takeover_acts_on_no_more_than_wazuh_4_would(riposte: SimpleNamespace, data: object, decoder: str, address: str | None, user: str | None) -> None:
    order = riposte.message.read_order(message("add", {"id": "1", "data": data, "decoder": {"name": decoder}, "source": {"ip": "203.0.113.99"}}))
    for kind, expected in (("address", address), ("user", user)):
        try:
            assert order.observable(kind) == expected
        except riposte.errors.BadInput:
            assert expected is None


def test_only_this_programs_own_time_counts(riposte: SimpleNamespace) -> None:
    """What the daemon takes to say its next line it has not been kept waiting."""
    out, into = os.pipe()
    lines = riposte.message.Lines(out)
    process = os.fork()
    if process == 0:
        time.sleep(0.3)
        os.write(into, b"x\ny\n")
        os._exit(0)
    assert lines.next() == "x"
    assert 0.2 < lines.waited < 30
    waited = lines.waited
    assert (lines.next(), lines.waited) == ("y", waited)
    os.waitpid(process, 0)
    os.close(out)
    os.close(into)


def test_who_was_slow_before_the_work_began_waits_no_more(riposte: SimpleNamespace) -> None:
    def work() -> int:
        return int(bool(select.select([out], [], [], 20)[0]))

    out, into = os.pipe()
    assert riposte.background.in_background(work, time.monotonic() - 1) is None
    os.write(into, b"x")
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 1  # it went on all the same
    assert riposte.background.in_background(lambda: 7, time.monotonic() + 20) == 7
    os.close(out)
    os.close(into)


@pytest.mark.parametrize("piece", ["<!--", "<active-response", "<active-response><repeated_offenders>", " - ", "a - b - 1", "\r"])
def test_files_that_others_of_wazuh_may_write_cannot_hold_a_response_up(riposte: SimpleNamespace, tmp_path: Path, piece: str) -> None:
    (tmp_path / "etc/shared").mkdir(parents=True)
    for name in ("etc/ossec.conf", "etc/shared/ar.conf"):
        (tmp_path / name).write_text(piece * (3_000_000 // len(piece)))
    begun = time.monotonic()
    assert riposte.lifetimes.choose(riposte.message.read_order(message("add")), "firewall-drop", riposte.lifetimes.Conf(), str(tmp_path), []).timeout == "10m"
    assert time.monotonic() - begun < 5
