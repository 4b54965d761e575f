# SPDX-License-Identifier: GPL-3.0-or-later
"""The account lock's part that needs no login: a line of /etc/shadow, and the file it stands in. Real logins are in tests/integration."""

from __future__ import annotations

import os
import stat
import string
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.riposte.active_response.plugins.module_utils.host import account as account_module
from ansible_collections.riposte.active_response.plugins.module_utils.host.account import EXPIRED, Shadow, ShadowLine
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import ToolError
from ansible_collections.riposte.active_response.plugins.module_utils.host.paths import Paths
from tests.unit.host import samples

END = 1_800_000_000.0
HASH = "$y$j9T$abc./XYZ$0123456789abcdefghijABCDEFGHIJklmnopqrs.tu"

# every printable character but the colon, the ends of lines, and what would be a mark of ours
fields = st.text(alphabet=[each for each in string.printable if each not in ":\n\r\x0b\x0c"], max_size=20)
passwords = st.one_of(
    st.sampled_from(
        ["", "*", "!", "!!", "!*", "x", HASH, f"!{HASH}", f"!!{HASH}", "*riposte-5*", "*riposte-0*x", "*riposte-0-keep*x", "!*riposte-7*x", "*LK*"]
    ),
    fields,
)
days = st.one_of(st.just(""), st.integers(0, 999_999).map(str))
lines = st.builds(ShadowLine, st.just("mallory"), passwords, fields, fields, fields, fields, fields, days, st.just(""))
ends = st.none() | st.integers(1, 9_999_999_999).map(float)


@given(lines, ends, st.booleans())
def test_release_gives_the_line_back_byte_for_byte(line: ShadowLine, until: float | None, end_sessions: bool) -> None:
    locked = line.lock(until, end_sessions)
    assert locked.keeps_sessions is not end_sessions
    assert locked.lock(until, None) == locked
    assert locked.ours
    assert locked.locked
    assert locked.until == until
    assert locked.unlock() == line


@given(lines, ends)
def test_lock_leaves_the_other_fields_alone(line: ShadowLine, until: float | None) -> None:
    locked = line.lock(until)
    assert locked._replace(password="", expires="", mark="") == line._replace(password="", expires="", mark="")
    assert locked.password.endswith(line.password)
    assert ":" not in "".join(locked)
    assert int(locked.mark) < 2**32, "shadow's tools read a number of 32 bits there"


@given(lines, st.lists(ends, min_size=1, max_size=4))
def test_lock_that_is_laid_again_keeps_what_was_before(line: ShadowLine, untils: list[float | None]) -> None:
    locked = line
    for until in untils:
        locked = locked.lock(until)
    assert locked.until == untils[-1]
    assert locked.unlock() == line


@given(lines, ends)
def test_nothing_that_unlocks_is_hidden_in_the_lock(line: ShadowLine, until: float | None) -> None:
    """No password of crypt(3) begins with `*`, and the expiry lies in the past."""
    locked = line.lock(until)
    assert locked.password.startswith("*")
    assert 0 < int(locked.expires) * 86400 < time.time()


@given(lines, ends)
def test_line_that_is_not_ours_is_not_touched_by_a_release(line: ShadowLine, until: float | None) -> None:
    assert line.unlock() == line
    assert not line.ours
    assert line.lock(until).unlock().unlock() == line


@given(lines, ends)
def test_lock_of_an_admin_meanwhile_outlives_the_release(line: ShadowLine, until: float | None) -> None:
    """`passwd -l` and `usermod -L` put one ! before whatever does not begin with one."""
    locked = line.lock(until)
    by_admin = locked._replace(password=f"!{locked.password}")
    assert by_admin.locked
    assert by_admin.lock(until).password.endswith(f"!{line.password}")
    assert by_admin.unlock() == line._replace(password=f"!{line.password}")


@given(lines, ends, fields, days)
def test_new_password_and_expiry_of_an_admin_meanwhile_outlive_the_release(line: ShadowLine, until: float | None, password: str, expires: str) -> None:
    assume("riposte" not in password and expires != EXPIRED)
    changed = line.lock(until)._replace(password=password, expires=expires)
    assert not changed.locked
    assert changed.unlock() == line._replace(password=password, expires=expires)
    assert changed.lock(until).locked
    assert changed.lock(until).unlock() == line._replace(password=password, expires=expires)


@given(lines, ends)
def test_lock_that_an_admin_took_off_is_over(line: ShadowLine, until: float | None) -> None:
    """`passwd -u` and `usermod -U` leave no prefix; the mark alone is no lock."""
    assume("riposte" not in line.password)
    opened = line.lock(until)._replace(password=line.password)
    assert opened.ours
    assert not opened.locked
    assert opened.until == 0.0


@pytest.mark.parametrize("expires", ["-1", "007", "1000000", "99999999999", "x", " ", "²"])
def test_expiry_that_could_not_be_put_back_is_refused(expires: str) -> None:
    line = ShadowLine("mallory", HASH, "19000", "0", "99999", "7", "", expires, "")
    assert "is not a number of days" in (line.trouble or "")
    with pytest.raises(ToolError, match="mallory"):
        line.lock(END)


@pytest.mark.parametrize("mark", ["0", "x", "7212345678", "72", "721234567x"])
def test_field_nine_that_somebody_uses_is_refused(mark: str) -> None:
    line = ShadowLine("mallory", HASH, "19000", "0", "99999", "7", "", "", mark)
    assert "field 9" in (line.trouble or "")
    with pytest.raises(ToolError, match="field 9"):
        line.lock(END)
    assert line.unlock() == line


# -- the file

SHADOW = f"""\
root:{HASH}:19000:0:99999:7:::
opal:!{HASH}:19000:0:99999:7:::
mallory:{HASH}:19000:0:99999:7:30:20000:
mall:{HASH}:19000:0:99999:7:::
zoe::19000:0:99999:7:::
+nis
broken:line
dora:*:19000:0:99999:7:::x
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    samples.furnish(tmp_path, {"etc/shadow": SHADOW, "etc/passwd": samples.PASSWD + "mall:x:1010:100::/home/mall:/bin/sh\n"})
    (tmp_path / "etc/shadow").chmod(0o640)
    return tmp_path


def shadow(host: Path) -> Shadow:
    backend = Shadow(Paths(str(host)), end_sessions=False)
    backend.read()
    return backend


def text(host: Path) -> str:
    return (host / "etc/shadow").read_text()


def test_lock_and_release_in_the_file_touch_one_line(host: Path) -> None:
    shadow(host).change({"mallory": END}, [])
    assert text(host) == SHADOW.replace(
        f"mallory:{HASH}:19000:0:99999:7:30:20000:\n", f"mallory:*riposte-1800000000-keep*{HASH}:19000:0:99999:7:30:2:720020001\n"
    )
    seen = shadow(host).read()
    assert {name: (each.in_force, each.until) for name, each in seen.items()} == {"mallory": (True, END)}
    shadow(host).change({}, ["mallory"])
    assert text(host) == SHADOW
    assert shadow(host).read() == {}


def test_several_accounts_are_locked_and_released_in_one_writing(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow(host).change({"opal": None}, [])
    written = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (written.append(names), replace(*names)))
    shadow(host).change({"mallory": END, "zoe": None}, ["opal"])
    assert len(written) == 1
    assert set(shadow(host).read()) == {"mallory", "zoe"}


def test_an_account_whose_sessions_cannot_end_keeps_nobody_elses(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def end(_self: Shadow, name: str, _uid: int) -> None:
        asked.append(name)
        if name == "mallory":
            raise ToolError("mallory: a process that no signal reaches")

    monkeypatch.setattr(Shadow, "_end", end)
    backend = Shadow(Paths(str(host)), end_sessions=True)
    backend.read()
    with pytest.raises(ToolError, match="no signal reaches"):
        backend.change({"mallory": END, "mall": END}, [])
    assert asked == ["mallory", "mall"]


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o400, 0o000])
def test_mode_and_owner_of_the_file_stay(host: Path, mode: int) -> None:
    path = host / "etc/shadow"
    if os.geteuid() == 0:
        os.chown(path, 0, 42)
    path.chmod(mode)
    before = path.stat()
    if mode == 0 and os.geteuid() != 0:
        pytest.skip("root alone can read a file of mode 0")
    shadow(host).change({"mallory": END}, [])
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, mode)


def test_bytes_that_are_no_text_stay(host: Path) -> None:
    odd = SHADOW.encode() + b"b\xf6se:x:1::::::\nlast line without an end"
    (host / "etc/shadow").write_bytes(odd)
    shadow(host).change({"mallory": END}, [])
    shadow(host).change({}, ["mallory"])
    assert (host / "etc/shadow").read_bytes() == odd


@settings(suppress_health_check=list(HealthCheck), max_examples=50)
@given(content=st.lists(st.one_of(fields, lines.map(":".join), lines.map(lambda line: ":".join(line._replace(name="other"))))))
def test_whatever_the_file_holds_a_release_gives_it_back(host: Path, content: list[str]) -> None:
    written = "\n".join(content).encode("utf-8", "surrogateescape")
    (host / "etc/shadow").write_bytes(written)
    shadow(host).change({"mallory": END}, [])
    shadow(host).change({}, ["mallory"])
    assert (host / "etc/shadow").read_bytes() == written


def test_writing_that_fails_leaves_the_file_and_nothing_beside_it(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolError, match="No space left"):
        shadow(host).change({"mallory": END}, [])
    assert text(host) == SHADOW
    assert not list((host / "etc").glob("shadow?*"))


def test_leftover_of_a_killed_run_goes_with_the_next(host: Path) -> None:
    """It holds password hashes."""
    (host / "etc/shadow.riposte").write_text(SHADOW)
    shadow(host).read()
    assert not (host / "etc/shadow.riposte").exists()


def test_locked_password_file_is_waited_for_then_said(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_module, "LOCK_SECONDS", 0.1)
    path = host / "etc/.pwd.lock"
    path.touch()
    child = os.fork()
    if child == 0:  # a lock of this kind is held by a process, so another one must hold it
        import fcntl

        handle = os.open(path, os.O_WRONLY)
        fcntl.lockf(handle, fcntl.LOCK_EX)
        (host / "held").touch()
        time.sleep(60)
        os._exit(0)
    try:
        deadline = time.monotonic() + 10
        while not (host / "held").exists():
            assert time.monotonic() < deadline
        with pytest.raises(ToolError, match="another program has held the password file"):
            shadow(host).change({"mallory": END}, [])
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert text(host) == SHADOW


@pytest.mark.parametrize(("name", "said"), [("dora", "field 9"), ("nobody-knows-it", "no such account"), ("deploy", None), ("mallory", None)])
def test_account_that_cannot_be_locked_is_named_before_anything_is_done(host: Path, name: str, said: str | None) -> None:
    missing = shadow(host).missing(name)
    if name == "deploy":  # a line in passwd, none in shadow
        assert missing
    else:
        assert (missing is None) == (said is None)
        assert said is None or said in str(missing)


def test_what_was_there_before_is_told_without_the_hash(host: Path) -> None:
    ending = Shadow(Paths(str(host)), end_sessions=True)
    ending.read()
    assert ending.before("mallory") == '{"password_locked": false, "expires": "20000"}'
    assert shadow(host).before("mallory") == '{"password_locked": false, "expires": "20000"}'
    assert shadow(host).before("opal") == '{"password_locked": true, "expires": null}'
    assert shadow(host).before("nobody") is None


def test_a_lock_that_was_lost_comes_back_without_ending_anything() -> None:
    line = ShadowLine("mallory", HASH, "19000", "0", "99999", "7", "", "", "")
    assert line.lock(END, end_sessions=None).keeps_sessions
    assert not line.lock(END, end_sessions=True).lock(END + 60, end_sessions=None).keeps_sessions


def test_the_lock_itself_says_whether_sessions_are_kept(host: Path) -> None:
    """A tick, which nobody tells, goes by it; a repeat that asks for the other is not satisfied."""
    shadow(host).change({"mallory": END}, [])
    for asked, in_force in ((None, True), (False, True), (True, False)):
        assert Shadow(Paths(str(host)), end_sessions=asked).read()["mallory"].in_force is in_force
    as_it_is = Shadow(Paths(str(host)), end_sessions=None)
    as_it_is.read()
    as_it_is.change({"mallory": END + 60}, [])
    assert f"mallory:*riposte-{int(END) + 60}-keep*{HASH}:" in text(host)
