# SPDX-License-Identifier: GPL-3.0-or-later
"""The webhook of a real ansible-rulebook: what it accepts, what it turns away and how, and that it lives through both."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.rulebook import VENV, Rulebook, alert

pytestmark = pytest.mark.skipif(not VENV.exists(), reason=f"needs ansible-rulebook in {VENV}")
OBSERVE = "mode: observe\nrules: [{name: ssh, match: {rule_ids: ['5712']}, responses: [{response: firewall_drop, timeout: 10m}]}]\n"
SECRET, TOKEN = "a secret of some length", "a-token-of-some-length"


@pytest.fixture(scope="module")
def plain(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rulebook]:
    with Rulebook(lab, tmp_path_factory.mktemp("plain"), OBSERVE, riposte_max_waiting=100) as rulebook:
        yield rulebook


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*words.split(), "-keyout", directory / "key.pem", "-out", directory / "cert.pem"], check=True, capture_output=True)
    return directory / "cert.pem"


@pytest.fixture(scope="module")
def guarded(lab: Lab, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rulebook]:
    options = {"token": TOKEN, "hmac_secret": SECRET, "certfile": str(certificate), "keyfile": str(certificate.with_name("key.pem"))}
    with Rulebook(lab, tmp_path_factory.mktemp("guarded"), OBSERVE, **{f"riposte_webhook_{name}": value for name, value in options.items()}) as rulebook:
        yield rulebook


def kept(rulebook: Rulebook, identity: str) -> int:
    [(count,)] = rulebook.rows("SELECT count(*) FROM alert WHERE id = ?", identity)
    return int(count)


def envelope(*alerts: object, age: float = 0) -> dict[str, Any]:
    return {"riposte": 1, "sent": time.time() - age, "alerts": list(alerts)}


def test_an_alert_that_was_answered_with_200_is_on_disk(plain: Rulebook) -> None:
    reply = plain.post(alert("one"))
    assert (reply.status, reply.json) == (200, {"received": 1, "known": 0, "refused": 0, "problems": []})
    assert kept(plain, "one") == 1


def test_the_same_alert_again_is_known(plain: Rulebook) -> None:
    first = alert("twice")
    assert plain.post([first, first]).json["received"] == 1
    assert plain.post(first, path="/any/path?will=do").json == {"received": 0, "known": 1, "refused": 0, "problems": []}
    assert kept(plain, "twice") == 1


@pytest.mark.parametrize("form", ["list", "lines", "shuffle", "hit", "hits", "monitor", "envelope", "gzip"])
def test_the_forms_an_alert_may_come_in(plain: Rulebook, form: str) -> None:
    one, two = alert(f"{form}-1"), alert(f"{form}-2")
    bodies: dict[str, object] = {
        "list": [one, two],
        "lines": f"{json.dumps(one)}\n{json.dumps(two)}\n".encode(),
        "shuffle": [{"severity": 3, "title": "t", "id": "x", "all_fields": each} for each in (one, two)],
        "hit": [{"_index": "wazuh-alerts", "_source": each} for each in (one, two)],
        "hits": {"hits": {"total": {"value": 2}, "hits": [{"_source": one}, {"_source": two}]}},
        "monitor": {"monitor": "m", "alerts": [{"id": "y", "sample_documents": [{"_source": one}, {"_source": two}]}]},
        "envelope": envelope(one, two),
        "gzip": gzip.compress(json.dumps([one, two]).encode()),
    }
    reply = plain.post(bodies[form], headers={"Content-Encoding": "gzip"} if form == "gzip" else {})
    assert (reply.status, reply.json["received"]) == (200, 2)
    assert kept(plain, f"{form}-1") == kept(plain, f"{form}-2") == 1


def test_what_is_no_alert_is_said_put_aside_and_never_tried_again(plain: Rulebook) -> None:
    for body, said in (
        (b'{"rule": "none"}', "so it is no Wazuh alert"),
        (b"hello", "it is not JSON"),
        (b"", "it is empty"),
        (b"[" * 1_000_000, "it is nested deeper than"),
        (json.dumps(alert("ancient", age=7200)).encode(), "an alert may be 3600 s old"),
        (json.dumps({**alert("ageless"), "timestamp": None}).encode(), "an alert that does not tell its age"),
        (b"\xff\xfe" * 20, "it is not JSON"),
    ):
        reply = plain.post(body)
        assert reply.status == 422, reply
        assert said in reply.json["problems"][0]
    assert len(plain.rows("SELECT 1 FROM dead")) >= 6
    assert kept(plain, "ancient") == kept(plain, "ageless") == 0


def test_a_bad_one_does_not_keep_the_good_ones_out(plain: Rulebook) -> None:
    reply = plain.post([alert("good-1"), {"rule": 7}, alert("good-2")])
    assert (reply.status, reply.json["received"], reply.json["refused"]) == (200, 2, 1)
    assert reply.json["problems"][0].startswith("item 2: ")


def test_a_message_that_was_sent_long_ago_is_unauthorized_and_an_old_alert_in_a_fresh_one_is_accepted(plain: Rulebook) -> None:
    late = plain.post(envelope(alert("late"), age=400))
    assert late.status == 401
    assert "a message must be sent within 300 s" in late.text
    assert kept(plain, "late") == 0
    assert plain.post(envelope(alert("delayed", age=7200))).status == 200
    plain.settled()
    assert plain.why("delayed").startswith("too old")


def test_more_than_may_wait_is_turned_away_whole_and_comes_in_later(plain: Rulebook) -> None:
    plain.settled()
    reply = plain.post([alert(f"many-{number}", full_log="") for number in range(101)])
    assert (reply.status, reply.headers["Retry-After"]) == (503, "30")
    assert kept(plain, "many-0") == 0
    assert plain.post([alert("many-0"), alert("many-1")]).json["received"] == 2


def test_a_body_may_have_one_mebibyte_also_unpacked(plain: Rulebook) -> None:
    large = json.dumps([alert("large"), "x" * (2 << 20)]).encode()
    assert plain.post(large).status == 413
    assert plain.post(gzip.compress(large), headers={"Content-Encoding": "gzip"}).status == 413
    assert kept(plain, "large") == 0


def test_other_methods_and_encodings_are_turned_away(plain: Rulebook) -> None:
    assert plain._ask("GET", "/", plain.port, None, {}, None, 10).status == 405
    assert plain.post(json.dumps(alert("utf16")).encode("utf-16"), headers={"Content-Type": "application/json; charset=utf-16"}).status == 415
    assert kept(plain, "utf16") == 0


def test_a_slow_sender_keeps_nobody_else_waiting(plain: Rulebook) -> None:
    with plain.connect() as slow:
        slow.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"rule')
        begun = time.monotonic()
        assert plain.post(alert("quick")).status == 200
        assert time.monotonic() - begun < 5
    assert plain.post(alert("after-the-slow-one")).status == 200


def test_200_connections_at_once(guarded: Rulebook, certificate: Path) -> None:
    tls, bearer = ssl.create_default_context(cafile=str(certificate)), {"Authorization": f"Bearer {TOKEN}"}
    idle = [guarded.connect() for _number in range(200)]
    seen: list[int] = []

    def send(number: int) -> None:
        seen.append(guarded.post(alert(f"crowd-{number}"), headers=bearer, secret=SECRET, tls=tls).status)

    senders = [threading.Thread(target=send, args=(number,)) for number in range(200)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    for connection in idle:
        connection.close()
    assert seen == [200] * 200
    assert guarded.rows("SELECT count(*) FROM alert WHERE id LIKE 'crowd-%'") == [(200,)]


def test_health_and_figures(plain: Rulebook) -> None:
    plain.settled()
    health = plain.get("/health")
    assert (health.status, health.json["ok"], health.json["leading"]) == (200, True, True)
    assert f'riposte_alerts{{state="answered"}} {plain.states()["answered"]}' in plain.get("/metrics").text
    assert plain.get("/").status == 404


def test_who_may_send(guarded: Rulebook, certificate: Path) -> None:
    tls = ssl.create_default_context(cafile=str(certificate))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    body = json.dumps(alert("guarded")).encode()
    for headers, secret, status in (
        ({}, SECRET, 401),
        ({"Authorization": "Bearer wrong"}, SECRET, 401),
        ({"Authorization": f"Basic {TOKEN}"}, SECRET, 401),
        (bearer, "wrong", 401),
        (bearer, "", 400),
        ({**bearer, "x-hub-signature-256": "sha256="}, "", 401),
    ):
        assert guarded.post(body, headers=headers, secret=secret, tls=tls).status == status
    assert kept(guarded, "guarded") == 0
    assert guarded.post(body, headers=bearer, secret=SECRET, tls=tls).status == 200
    assert kept(guarded, "guarded") == 1


def test_plain_http_on_the_tls_port_gets_nothing_and_disturbs_nobody(guarded: Rulebook, certificate: Path) -> None:
    with pytest.raises((ConnectionError, OSError, ValueError)) as refused:
        guarded.post(alert("plain"), headers={"Authorization": f"Bearer {TOKEN}"}, secret=SECRET)
    assert not isinstance(refused.value, socket.timeout)
    tls = ssl.create_default_context(cafile=str(certificate))
    assert guarded.post(alert("tls"), headers={"Authorization": f"Bearer {TOKEN}"}, secret=SECRET, tls=tls).status == 200
    assert kept(guarded, "plain") == 0


def test_a_signed_message_cannot_be_sent_again_later_nor_changed(guarded: Rulebook, certificate: Path) -> None:
    tls = ssl.create_default_context(cafile=str(certificate))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    message = json.dumps(envelope(alert("signed"), age=301)).encode()
    assert guarded.post(message, headers=bearer, secret=SECRET, tls=tls).status == 401
    fresh = json.dumps(envelope(alert("signed"))).encode()
    assert guarded.post(fresh, headers=bearer, secret=SECRET, tls=tls).json["received"] == 1
    assert guarded.post(fresh, headers=bearer, secret=SECRET, tls=tls).json["known"] == 1
    signature = {"x-hub-signature-256": "0" * 64}
    assert guarded.post(fresh.replace(b"203.0.113.9", b"203.0.113.8"), headers={**bearer, **signature}, tls=tls).status == 401


EXPOSED = {"riposte_webhook_host": "0.0.0.0"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no TLS": ({**EXPOSED, "riposte_webhook_token": TOKEN}, "TLS is required: give certfile and keyfile"),
    "no proof": ({**EXPOSED, "riposte_webhook_certfile": "x"}, "give hmac_secret, token or cafile"),
    "no port": ({"riposte_webhook_port": "http"}, "port: 'http': it must be a number from 1 to 65535"),
    "a token that no header can carry": ({"riposte_webhook_token": "two words"}, "token: it has white space in it"),
    "a spool of others": ({"riposte_spool": "/tmp"}, "/tmp: it must belong to uid 0, be writable by nobody else"),
}


@pytest.mark.parametrize(("variables", "said"), WRONG.values(), ids=WRONG)
def test_options_that_cannot_be(lab: Lab, tmp_path: Path, variables: dict[str, Any], said: str) -> None:
    rulebook = Rulebook(lab, tmp_path, OBSERVE, **variables)
    assert rulebook.fails_to_start() != 0
    assert said in rulebook.said()


def test_a_port_that_is_taken_ends_the_rulebook_and_hands_nothing_out(lab: Lab, plain: Rulebook, tmp_path: Path) -> None:
    second = Rulebook(lab, tmp_path, OBSERVE, riposte_webhook_port=plain.port)
    assert second.fails_to_start() != 0
    assert "address already in use" in second.said()


def test_a_full_disk_is_503_and_costs_nothing_that_was_accepted(lab: Lab, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", spool], check=True)
    try:
        with Rulebook(lab, tmp_path, OBSERVE) as rulebook:
            replies = [rulebook.post(alert(f"full-{number}", full_log="x" * 50_000)) for number in range(40)]
            statuses = [reply.status for reply in replies]
            assert set(statuses) == {200, 503}
            assert next(reply for reply in replies if reply.status == 503).headers["Retry-After"] == "30"
            assert rulebook.get("/health").status == 503
            accepted = {f"full-{number}" for number, status in enumerate(statuses) if status == 200}
            assert {name for (name,) in rulebook.rows("SELECT id FROM alert")} == accepted
            subprocess.run(["mount", "-o", "remount,size=64m", spool], check=True)
            assert rulebook.post(alert("there-is-room-again")).status == 200
            rulebook.settled(len(accepted) + 1)
            assert rulebook.get("/health").status == 200
    finally:
        subprocess.run(["umount", "-l", spool], check=True)
