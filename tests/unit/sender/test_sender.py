# SPDX-License-Identifier: GPL-3.0-or-later
"""riposte-sender, message by message, against a webhook that answers in every way: deleted on 2xx only, refused only for what the alert itself is."""

from __future__ import annotations

import email.utils
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.sender.place import SECRET, TOKEN, Place, alert, load
from tests.unit.sender.stand_in import Webhook

it = load("riposte_sender")
SHORT = 1.0  # the sender's timeout


class Lines(it.Log):  # type: ignore[name-defined, misc]
    """What it says."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, text: str, level: int = 6) -> None:
        self.lines.append(text)

    @property
    def all(self) -> str:
        return "\n".join(self.lines)


class Run:
    """A sender in this process, one step at a time."""

    def __init__(self, place: Place, url: str, **conf: object) -> None:
        self.place = place
        place.write_conf(url, **{"secret": SECRET, "token": TOKEN, "timeout": SHORT, **conf})
        self.log = Lines()
        self.spool = it.Spool(str(place.spool), self.log)
        self.sender = it.Sender(it.read_conf(str(place.conf)), self.spool, self.log)

    def step(self) -> float:
        return float(self.sender.step())

    def all(self, most: int = 2000) -> None:
        """Steps until nothing waits; nothing may ask for a pause."""
        for _number in range(most):
            if not self.place.waiting():
                return
            assert self.step() == 0, self.log.all
        raise AssertionError(f"{len(self.place.waiting())} still wait; {self.log.all[-2000:]}")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook(SECRET, TOKEN) as webhook:
        yield webhook


@pytest.fixture
def run(place: Place, webhook: Webhook) -> Run:
    return Run(place, webhook.url)


def test_a_message_is_signed_stamped_and_holds_the_alerts_as_they_are(run: Run, webhook: Webhook) -> None:
    odd = '{"id": "1",  "rule":{"level":1e1}, "n": 10000000000000000000000001, "u":"\\ud800 ü \\u0000"}'
    run.place.keep(odd + "\n")
    run.place.keep(alert("2"))
    assert run.step() == 0
    [(path, headers, body)] = webhook.requests
    assert (path, headers["content-type"], headers["authorization"]) == ("/endpoint?key=query", "application/json", f"Bearer {TOKEN}")
    assert odd.encode() in body
    assert abs(json.loads(body)["sent"] - time.time()) < 5
    assert (webhook.accepted, run.place.waiting(), run.place.put_aside()) == (["1", "2"], [], {})


def test_messages_hold_what_waits_oldest_first_up_to_a_number_and_a_size(place: Place, webhook: Webhook) -> None:
    run = Run(place, webhook.url, batch=4)
    names = [str(number) for number in range(10)]
    for name in names:
        place.keep(alert(name))
    run.all()
    assert (webhook.accepted, webhook.messages) == (names, [4, 4, 2])
    webhook.messages.clear()
    for size in (400_000, 400_000, 400_000, 1_000_000, 10):
        place.keep(alert("x", full_log="y" * size))
    run.all()
    assert webhook.messages == [2, 1, 1, 1]


# status -> kept for another try, or refused; the pause then
TO_BE_TRIED_AGAIN = [*sorted(it.NOT_THE_ALERTS), 500, 502, 503, 504, 507, 599, 301, 302, 308, 304, "reset", "lost", "garbage"]
REFUSED = [400, 402, 406, 409, 410, 411, 413, 414, 415, 418, 422, 451, 499]


@pytest.mark.parametrize("answer", TO_BE_TRIED_AGAIN)
def test_what_is_tried_again(run: Run, webhook: Webhook, answer: Any) -> None:
    run.place.keep(alert("1"))
    webhook.plan = [answer] * 3
    pauses = [run.step() for _number in range(3)]
    for pause, most in zip(pauses, (1, 2, 4)):
        assert most / 2 <= pause <= most
    assert (len(run.place.waiting()), run.place.put_aside()) == (1, {})
    assert len(run.log.lines) == 1
    assert run.log.lines[0].endswith("; tried again until it works")
    assert run.step() == 0
    assert (run.place.waiting(), run.log.lines[1]) == ([], "the webhook takes alerts again")


@pytest.mark.parametrize("answer", REFUSED)
def test_what_is_refused(run: Run, webhook: Webhook, answer: int) -> None:
    name = run.place.keep(alert("1"))
    webhook.plan = [(answer, {}, "no\nthat \x1b[31mis\u202e none " + "x" * 100_000)]
    assert run.step() == 0
    assert run.place.waiting() == []
    [(refused, why)] = run.place.put_aside().items()
    assert refused == name
    assert why.startswith(f"localhost:{webhook.port}: {answer} no that \\x1b[31mis\\u202e none xxx")
    assert len(why) < 1100
    assert why.isascii()
    assert run.log.lines == [f"{run.place.spool}/refused/{name}: {why.rstrip()}"]
    assert json.loads((run.place.refused / name).read_text()) == alert("1")


@pytest.mark.parametrize("answer", [200, 201, 202, 204, "cut"])
def test_what_is_deleted(run: Run, webhook: Webhook, answer: Any) -> None:
    run.place.keep(alert("1"))
    webhook.plan = [answer]
    assert run.step() == 0
    assert (run.place.waiting(), run.place.put_aside()) == ([], {})


def test_without_a_secret_400_may_mean_that_one_is_wanted(place: Place, webhook: Webhook) -> None:
    run = Run(place, webhook.url, secret="")
    place.keep(alert("1"))
    assert run.step() > 0
    assert "400 (if it wants a signature: the configuration has no secret)" in run.log.all
    assert len(place.waiting()) == 1


@pytest.mark.parametrize("wrong", [{"secret": "other"}, {"token": "other"}, {"token": ""}])
def test_a_wrong_secret_loses_nothing(place: Place, webhook: Webhook, wrong: dict[str, str]) -> None:
    run = Run(place, webhook.url, **wrong)
    place.keep(alert("1"))
    assert run.step() > 0
    assert "401 (are secret and token the webhook's, and both clocks right?)" in run.log.all
    assert "other" not in run.log.all
    assert len(place.waiting()) == 1


@pytest.mark.parametrize("answer", ["hang", "trickle"])
def test_a_webhook_that_does_not_answer_is_left_after_two_timeouts(run: Run, webhook: Webhook, answer: str) -> None:
    run.place.keep(alert("1"))
    webhook.plan = [answer]
    begun = time.monotonic()
    assert run.step() > 0
    assert SHORT * 0.9 < time.monotonic() - begun < 2 * SHORT + 1
    assert len(run.place.waiting()) == 1
    assert run.step() == 0


def test_nobody_listens(place: Place) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        run = Run(place, f"http://127.0.0.1:{probe.getsockname()[1]}/")
        place.keep(alert("1"))
        assert run.step() > 0
        assert "Connection refused" in run.log.all


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30), (" 7 ", 7), ("999999", 600), ("1e3", 0), ("-5", 0), ("", 0), ("soon", 0), ("٣٠", 0), ("1" * 5000, 0),
        (email.utils.formatdate(1_000_060, usegmt=True), 60), (email.utils.formatdate(999_000, usegmt=True), 0), ("Mon, 99 Foo 9999 99:99:99 GMT", 0),
    ],
)  # fmt: skip
def test_how_long_it_is_asked_to_wait(header: str, seconds: float) -> None:
    assert it.retry_after(header, 1_000_000.0) == seconds


def test_it_waits_as_long_as_it_is_asked(run: Run, webhook: Webhook) -> None:
    run.place.keep(alert("1"))
    webhook.plan = [(503, {"Retry-After": "30"}, "full"), (429, {"Retry-After": "40"}, "")]
    assert [run.step(), run.step()] == [30, 40]


def test_pauses_grow_to_a_minute_and_no_further(run: Run, webhook: Webhook) -> None:
    run.place.keep(alert("1"))
    webhook.judge = lambda _alerts: 500
    pauses = [run.step() for _number in range(20)]
    assert all(30 <= pause <= 60 for pause in pauses[6:])
    assert len(set(pauses)) > 15
    webhook.judge = lambda _alerts: 200
    run.all()
    run.place.keep(alert("2"))
    webhook.plan = [500]
    assert run.step() <= 1


def test_a_message_that_is_too_large_is_halved_until_it_fits(run: Run, webhook: Webhook) -> None:
    webhook.judge = lambda alerts: 413 if len(alerts) > 30 else 200
    for number in range(400):
        run.place.keep(alert(str(number)))
    run.all()
    assert webhook.accepted == [str(number) for number in range(400)]
    assert run.place.put_aside() == {}
    assert len(webhook.requests) < 50


def test_one_bad_alert_takes_no_other_along(run: Run, webhook: Webhook) -> None:
    webhook.judge = lambda alerts: 422 if any("bad" in each["id"] for each in alerts) else 200
    for number in range(200):
        run.place.keep(alert(f"bad{number}" if number in (0, 77, 78, 199) else str(number)))
    run.all()
    assert webhook.accepted == [str(number) for number in range(200) if number not in (0, 77, 78, 199)]
    assert len(run.place.put_aside()) == 4
    assert len(webhook.requests) < 120


def test_what_the_intake_put_aside_is_said(run: Run, webhook: Webhook) -> None:
    run.place.keep(alert("1"))
    webhook.plan = [(200, {}, '{"received": 0, "known": 0, "refused": 1, "problems": ["alerts[0]: rule.level is 99"]}')]
    run.step()
    assert "of 1 alerts some were put aside there" in run.log.all
    assert "rule.level is 99" in run.log.all


@pytest.mark.parametrize("text", ["", "[]", '{"refused": 0}', "[" * 60_000, "null", '{"refused": "\x00"'])
def test_whatever_a_webhook_says_with_200_it_has_taken_them(run: Run, webhook: Webhook, text: str) -> None:
    run.place.keep(alert("1"))
    webhook.plan = [(200, {}, text)]
    assert run.step() == 0
    assert run.place.waiting() == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"x"', b'{"a":1},{"b":2}', b'{"a":1}]}', b"\xff\xfe{\x00}\x00", b"{" + b'"a":[' * 100_000, b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_object_is_never_sent(run: Run, webhook: Webhook, content: bytes) -> None:
    bad = run.place.keep(content)
    run.place.keep(alert("good"))
    run.all()
    assert webhook.accepted == ["good"]
    assert list(run.place.put_aside()) == [bad]
    assert (run.place.refused / bad).read_bytes() == content
    assert "not sent: " in run.log.all


def test_what_is_no_file_is_put_aside_and_no_link_is_followed(run: Run, webhook: Webhook) -> None:
    (run.place.spool / "1.alert").mkdir()
    (run.place.home / "secret").write_text('{"id": "secret"}')
    (run.place.spool / "2.alert").symlink_to(run.place.home / "secret")
    run.place.keep(alert("good"))
    run.all()
    assert webhook.accepted == ["good"]
    assert sorted(path.name for path in run.place.refused.glob("*.alert")) == ["1.alert", "2.alert"]


def test_what_is_put_aside_is_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(it, "MOST_REFUSED", 3)
    names = [run.place.keep(f"no {number}") for number in range(5)]
    run.all()
    assert list(run.place.put_aside()) == names[2:]
    assert sorted(path.name for path in run.place.refused.iterdir()) == sorted(name + end for name in names[2:] for end in ("", ".why"))
    assert f"holds 3 alerts: {names[0]} is deleted" in run.log.all


def test_a_directory_in_which_nothing_can_be_deleted_makes_no_hot_loop(run: Run, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(_names: object) -> None:
        raise OSError(30, "Read-only file system")

    run.place.keep(alert("1"))
    monkeypatch.setattr(run.spool, "delete", read_only)
    assert [run.step() > 0, run.step() > 0] == [True, True]
    assert "Read-only file system" in run.log.all


def test_what_was_begun_and_abandoned_is_swept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(it, "IDLE", 0.01)
    (run.place.spool / "1-1-1.part").write_text("{")
    run.step()
    assert (run.place.spool / "1-1-1.part").exists()
    monkeypatch.setattr(it, "ABANDONED", -1.0)
    run.step()
    assert not (run.place.spool / "1-1-1.part").exists()


# --- TLS


def context(certificates: Path, name: str, client: str | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates / f"{name}.pem")
    if client:
        made.load_verify_locations(certificates / f"{client}.pem")
        made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.mark.parametrize(
    ("server", "client", "conf", "said"),
    [
        ("localhost", None, {"ca_file": "localhost.pem"}, ""),
        ("localhost", None, {"ca_file": "client.pem"}, "certificate verify failed"),
        ("localhost", None, {}, "certificate verify failed"),
        ("elsewhere", None, {"ca_file": "elsewhere.pem"}, "Hostname mismatch"),
        ("localhost", "client", {"ca_file": "localhost.pem", "certificate": "client.pem"}, ""),
        ("localhost", "client", {"ca_file": "localhost.pem"}, "localhost:"),
    ],
)
def test_who_is_trusted(place: Place, certificates: Path, server: str, client: str | None, conf: dict[str, str], said: str) -> None:
    with Webhook(SECRET, TOKEN, context(certificates, server, client)) as webhook:
        run = Run(place, webhook.url, **{name: certificates / value for name, value in conf.items()})
        place.keep(alert("1"))
        assert (run.step() > 0) == bool(said)
        assert said in run.log.all
        assert (webhook.accepted, len(place.waiting())) == (([], 1) if said else (["1"], 0))


def test_a_webhook_without_tls_where_tls_is_wanted(place: Place, certificates: Path, webhook: Webhook) -> None:
    place.keep(alert("1"))
    run = Run(place, webhook.url.replace("http:", "https:"), ca_file=certificates / "localhost.pem")
    assert run.step() > 0
    assert len(place.waiting()) == 1


# --- whatever an attacker writes


texts = st.text() | st.sampled_from(
    ["{{ 7*7 }}", "$(id)", '"}],"x":[{', "\\", "\x00", "\u2028", "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace")]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)
written = st.builds(lambda value, plain: json.dumps(value, ensure_ascii=plain), st.dictionaries(texts, values, max_size=4), st.booleans())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(
        st.one_of(written.map(str.encode), st.binary(max_size=200).map(lambda raw: b"{" + raw), texts.map(lambda text: text.encode("utf-8", "replace"))),
        max_size=12,
    )
)
def test_each_alert_arrives_or_is_put_aside_whatever_is_in_it(place: Place, webhook: Webhook, contents: list[bytes]) -> None:
    run = Run(place, webhook.url, batch=3)
    for content in contents:
        place.keep(content)
    before = len(webhook.requests)
    run.all()
    arrived = [each for _path, _headers, body in webhook.requests[before:] for each in json.loads(body)["alerts"]]
    aside = place.put_aside()
    assert len(arrived) + len(aside) == len(contents)
    good = [value for value in map(understood, contents) if isinstance(value, dict)]
    assert json.dumps(arrived) == json.dumps(good)
    for name in aside:
        (place.refused / name).unlink()
        (place.refused / f"{name}.why").unlink()
    os.close(run.spool._lock)


def understood(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8", "replace").strip())
    except ValueError:
        return None


def test_the_log_accounts_for_what_was_sent_and_repeats_nothing(run: Run, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(it, "IDLE", 0.01)
    for number in range(3):
        run.place.keep(alert(str(number)))
    run.all()
    run.step()
    run.place.keep(alert("3"))
    run.all()
    run.step()
    assert run.log.lines == ["3 alerts sent in 1 messages, 0 wait"]
    monkeypatch.setattr(it, "QUIET", 0.0)
    run.step()
    assert run.log.lines[1:] == ["1 alerts sent in 1 messages, 0 wait"]


def test_only_one_at_a_time(run: Run, place: Place) -> None:
    with pytest.raises(it.Busy, match="another riposte-sender has it"):
        it.Spool(str(place.spool), Lines())


# --- the other side


def test_the_intake_reads_what_is_sent() -> None:
    message = pytest.importorskip("ansible_collections.riposte.active_response.plugins.module_utils.alert.message")
    samples = sorted((Path(__file__).parents[2] / "alerts").glob("*.json"))
    body = it.envelope([path.read_bytes().strip() for path in samples], 1_000_000.0)
    read = message.read_message(body.decode(), 1_000_200.0, 3600)
    assert (len(read.alerts), read.problems) == (len(samples), [])
    with pytest.raises(message.Stale):
        message.read_message(body.decode(), 1_000_301.0, 3600)


def test_the_intake_reads_what_a_channel_of_wazuh_5_sends() -> None:
    message = pytest.importorskip("ansible_collections.riposte.active_response.plugins.module_utils.alert.message")
    lifetime = pytest.importorskip("ansible_collections.riposte.active_response.plugins.module_utils.host.lifetime")
    text = (Path(__file__).parents[2] / "alerts/webhook/wazuh5-channel.json").read_text()
    now = lifetime.parse_moment("now", "2026-11-24T03:53:40Z")
    read = message.read_message(text, now, 3600)
    assert read.problems == []
    assert [(each.alert.raw["source"]["ip"], each.alert.agent_id) for each in read.alerts] == [("203.0.113.9", "001"), ("2001:db8:bad::7", "001")]
    assert len({each.alert.id for each in read.alerts}) == 2
    assert "sample_documents" in (Path(__file__).parents[3] / "docs/wazuh5-webhook.md").read_text()
