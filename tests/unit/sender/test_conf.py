# SPDX-License-Identifier: GPL-3.0-or-later
"""riposte-sender's configuration: what it can be, and in which words it is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.sender.place import Place, load

it = load("riposte_sender")
URL = "url = https://hooks.example/x"


def conf(*lines: str, spool: str = "") -> str:
    return "\n".join(["[webhook]", *lines, "[spool]", spool, ""])


def test_all_that_can_be_said(certificates: Path) -> None:
    pem = certificates / "client.pem"
    text = conf(
        "# a comment", "url = https://hooks.example:8443/a/b?c=d", "secret = #1; a=b %(x)s", "token = t0k%en", f"ca_file = {pem}", f"certificate = {pem}",
        "timeout = 2.5", spool="directory = /srv/x\nbatch = 20",
    )  # fmt: skip
    seen = it.parse_conf(text)
    assert (seen.host, seen.port, seen.path, seen.secret, seen.token) == ("hooks.example", 8443, "/a/b?c=d", "#1; a=b %(x)s", "t0k%en")
    assert (seen.timeout, seen.spool, seen.batch) == (2.5, "/srv/x", 20)
    assert seen.tls.check_hostname
    assert seen.tls.verify_mode.name == "CERT_REQUIRED"


def test_the_address_alone_is_enough() -> None:
    seen = it.parse_conf(f"[webhook]\n{URL}\nsecret =\n")
    assert (seen.host, seen.port, seen.path, seen.secret, seen.spool, seen.batch) == ("hooks.example", 443, "/x", "", "/var/ossec/queue/riposte", 500)


@pytest.mark.parametrize("url", ["http://127.0.0.1:5000/x", "http://localhost", "http://[::1]:5000/"])
def test_plain_http_stays_on_this_machine(url: str) -> None:
    assert it.parse_conf(conf(f"url = {url}")).tls is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (conf("url = http://hooks.example/x"), "by https only"),
        (conf("url = http://127.0.0.1.example/x"), "by https only"),
        (conf("url = https://me:pw@hooks.example/x"), "secrets have settings of their own"),
        (conf("url ="), "url: '': it must be https://HOST[:PORT][/PATH]"),
        ("", "url: '': it must be"),
        (conf("url = ftp://x/"), "it must be https"),
        (conf("url = https:///x"), "it must be https"),
        (conf("url = https://h/a b"), "it must be https"),
        (conf("url = https://h/ä"), "it must be https"),
        (conf("url = https://h/#x"), "it must be https"),
        (conf("url = https://h:99999/"), "Port out of range"),
        (conf("url = https://[h/"), "it must be https"),
        (conf(URL, "token = a b"), "token: a header cannot carry it"),
        (conf(URL, "token = ä"), "token: a header cannot carry it"),
        (conf(URL, "secret = a", "  b"), "secret: it must be one line"),
        (conf(URL, "secret = a\tb"), "secret: it must be one line"),
        (conf(URL, "password = x"), "[webhook] password: there is no such setting; there are [webhook] url, secret,"),
        (conf(URL, spool="url = x"), "[spool] url: there is no such setting"),
        (conf(URL) + "[other]\na = b\n", "[other] a: there is no such setting"),
        (conf(URL, "timeout = 0"), "timeout: '0': it must be a number from 1 to 300"),
        (conf(URL, "timeout = nan"), "timeout: 'nan'"),
        (conf(URL, spool="batch = 1e3"), "batch: '1e3'"),
        (conf(URL, spool="directory = x"), "directory: 'x': it must be an absolute path"),
        (conf(URL, "ca_file = /none"), "ca_file: '/none': No such file or directory"),
        (conf(URL, "ca_file = /etc/hostname"), "ca_file: '/etc/hostname': "),
        (conf(URL, "certificate = /none"), "certificate, key: '/none': No such file"),
        ("geheim\n", "line 1: it is no INI file"),
        (conf(URL, "geheim"), "line 3: it is no INI file"),
        (conf(URL, "secret = geheim", "secret = geheim"), "line 4: it is no INI file"),
        (conf(URL) + conf("secret = geheim"), "it is no INI file"),
    ],
)
def test_what_cannot_be(text: str, said: str) -> None:
    with pytest.raises(it.Unfit) as unfit:
        it.parse_conf(text)
    assert said in str(unfit.value)
    assert "geheim" not in str(unfit.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_file_that_keeps_its_secret(place: Place, mode: int) -> None:
    place.write_conf("https://h/", secret="geheim").chmod(mode)
    assert it.read_conf(str(place.conf)).secret == "geheim"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o620, 0o601])
def test_a_file_that_does_not(place: Place, mode: int) -> None:
    place.write_conf("https://h/", secret="geheim").chmod(mode)
    with pytest.raises(it.Unfit, match=f"its mode is {mode:04o}; for its secrets it must be root's, with mode 0600, at most 0640"):
        it.read_conf(str(place.conf))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user(place: Place) -> None:
    os.chown(place.write_conf("https://h/"), 65534, 0)
    with pytest.raises(it.Unfit, match="user 65534 owns it"):
        it.read_conf(str(place.conf))


def test_the_check_that_the_role_makes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write_conf("https://h/", secret="geheim")
    assert it.main(["--check", "--conf", str(place.conf)]) == 0
    place.write_conf("http://h/", secret="geheim")
    assert it.main(["--check", "--conf", str(place.conf)]) == 2
    assert it.main(["--check", "--conf", "/none"]) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else")
def test_whose_directory_it_can_be(place: Place) -> None:
    with pytest.raises(it.Unfit, match="it must be a directory of Wazuh's user, with mode 0700; user 0 owns it with mode 0700"):
        it.become_owner(str(place.spool))
    os.chown(place.spool, 65534, 65534)
    place.spool.chmod(0o720)
    with pytest.raises(it.Unfit, match="user 65534 owns it with mode 0720"):
        it.become_owner(str(place.spool))
    with pytest.raises(it.Unfit, match="No such file"):
        it.become_owner("/none")
