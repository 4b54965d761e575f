# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""riposte-sender: posts the alerts that custom-riposte keeps to the webhook of riposte.active_response, until it has them.

A file is deleted when the webhook has answered 2xx, and not before: whatever dies in between, the alert is sent again, and the webhook knows it by its id.
Started as root it reads its configuration, which holds secrets, and then becomes the user whose directory the alerts are in.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import email.utils
import fcntl
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import random
import re
import select
import signal
import ssl
import stat
import sys
import syslog
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

CONF = "/etc/riposte-sender/sender.conf"
SPOOL = "/var/ossec/queue/riposte"
PART, KEPT, WHY, WAKE, LOCK, REFUSED = ".part", ".alert", ".why", "wake", "lock", "refused"
MOST_REFUSED = 1000
LARGEST_BODY, LARGEST_ALERT = 900 << 10, 2 << 20  # the webhook takes 1 MiB
LARGEST_ANSWER = 64 << 10
LONGEST_WHY = 1000
IDLE = 10.0  # seconds between two looks, should nothing wake it
LONGEST_PAUSE, LONGEST_ASKED_PAUSE = 60.0, 600.0
QUIET = 60.0  # seconds between two lines that say the same
ABANDONED = 300.0  # seconds after which what was begun is not ended any more

# Of the answers with 4xx, those that are about this sender, its address or the moment, and not about the alerts.
NOT_THE_ALERTS = {401, 403, 404, 405, 407, 408, 421, 425, 426, 429, 431}
CURES = {
    400: "if it wants a signature: the configuration has no secret",
    401: "are secret and token the webhook's, and both clocks right?",
    403: "may this sender post there?",
    404: "is that the webhook's address?",
    405: "is that the webhook's address?",
}


class Unfit(Exception):
    """Why it cannot work, in words for who configures it."""


class Busy(Exception):
    """Another process does it."""


class Lost(Exception):
    """Only a new start helps."""


# --- configuration


@dataclass(frozen=True)
class Conf:
    """What the file says. host, port, path: the webhook's; tls: None for plain HTTP."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    secret: str = ""
    token: str = ""
    timeout: float = 10.0
    spool: str = SPOOL
    batch: int = 500


KEYS = {
    "webhook": ("url", "secret", "token", "ca_file", "certificate", "key", "timeout"),
    "spool": ("directory", "batch"),
}


def read_conf(path: str) -> Conf:
    """Unfit when it cannot be trusted or understood."""
    try:
        with open(path, encoding="utf-8") as stream:
            seen = os.fstat(stream.fileno())
            text = stream.read(1 << 20)
    except (OSError, UnicodeDecodeError) as error:
        raise Unfit(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid not in (0, os.geteuid()) or seen.st_mode & 0o027:
        raise Unfit(
            f"{path}: user {seen.st_uid} owns it, its mode is {stat.S_IMODE(seen.st_mode):04o}; for its secrets it must be root's, with mode 0600, at most 0640"
        )
    try:
        return parse_conf(text)
    except Unfit as unfit:
        raise Unfit(f"{path}: {unfit}") from None


def parse_conf(text: str) -> Conf:
    parser = configparser.ConfigParser(interpolation=None, default_section="", delimiters=("=",), comment_prefixes=("#",), empty_lines_in_values=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise Unfit(_without_values(error)) from None
    said: dict[str, str] = {}
    for section in parser.sections():
        for key, value in parser.items(section):
            if key not in KEYS.get(section, ()):
                known = "; ".join(f"[{name}] {', '.join(keys)}" for name, keys in KEYS.items())
                raise Unfit(f"[{section}] {key}: there is no such setting; there are {known}")
            if not value.isprintable():
                raise Unfit(f"{key}: it must be one line of printable characters")
            said[key] = value
    host, port, path, encrypted = _address(said.get("url", ""))
    if not re.fullmatch(r"[!-~]*", said.get("token", "")):
        raise Unfit("token: a header cannot carry it: it must be ASCII without spaces")
    timeout = _number("timeout", said.get("timeout") or "10", 1, 300)
    batch = _number("batch", said.get("batch") or "500", 1, 10_000)
    directory = said.get("directory") or SPOOL
    if not os.path.isabs(directory):
        raise Unfit(f"directory: {directory!a}: it must be an absolute path")
    tls = _tls(said) if encrypted else None
    return Conf(host, port, path, tls, said.get("secret", ""), said.get("token", ""), timeout, directory, int(batch))


def _without_values(error: configparser.Error) -> str:
    """Which line is wrong, but not what is in it, which may be a secret."""
    lines = [error.lineno] if isinstance(error, (configparser.MissingSectionHeaderError, configparser.DuplicateOptionError)) else []
    lines += [number for number, _line in getattr(error, "errors", [])]
    where = f"line {', '.join(map(str, lines))}: " if lines else ""
    return f"{where}it is no INI file with sections and `name = value`, or says one thing twice ({type(error).__name__})"


def _address(url: str) -> tuple[str, int, str, bool]:
    shape = "https://HOST[:PORT][/PATH]"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Unfit(f"url: {error}; it must be {shape}") from None
    if parts.username is not None or parts.password is not None:
        raise Unfit("url: there is a user name or a password in it; secrets have settings of their own, secret and token")
    if not re.fullmatch(r"[!-~]+", url) or parts.scheme not in ("https", "http") or not host or parts.fragment:
        raise Unfit(f"url: {url!a}: it must be {shape}")
    if parts.scheme == "http" and not _loopback(host):
        raise Unfit(f"url: {url!a}: alerts, and what gives the right to send them, leave this machine by https only")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or (443 if parts.scheme == "https" else 80), path, parts.scheme == "https"


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _number(name: str, text: str, least: float, most: float) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not least <= float(text) <= most:
        raise Unfit(f"{name}: {text!a}: it must be a number from {least:g} to {most:g}")
    return float(text)


def _tls(said: dict[str, str]) -> ssl.SSLContext:
    """Verifies the webhook's certificate and name, always."""
    about = "ca_file"
    try:
        context = ssl.create_default_context(cafile=said.get("ca_file") or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        about = "certificate, key"
        if said.get("certificate"):
            context.load_cert_chain(said["certificate"], said.get("key") or None, password=lambda: "")  # nobody is there to be asked
    except OSError as error:  # ssl.SSLError is one
        raise Unfit(f"{about}: {said.get(about.partition(',')[0], '')!a}: {error.strerror or error}") from None
    return context


# --- what it says


class Log:
    """To the journal where systemd started it, to syslog as a daemon, else to the terminal. What goes on and on is said once in a while."""

    def __init__(self, to_syslog: bool = False) -> None:
        self._to_syslog = to_syslog
        self._levels = "JOURNAL_STREAM" in os.environ
        self._problem = ""
        self._problem_said = self._sent_said = -QUIET
        self._sent = self._messages = 0
        if to_syslog:
            syslog.openlog("riposte-sender", syslog.LOG_PID, syslog.LOG_DAEMON)

    def say(self, text: str, level: int = syslog.LOG_INFO) -> None:
        line = text.encode("ascii", "backslashreplace").decode()
        if self._to_syslog:
            syslog.syslog(level, line)
            return
        with contextlib.suppress(OSError):  # nobody listens: that stops nothing
            os.write(2, f"{f'<{level}>' if self._levels else 'riposte-sender: '}{line}\n".encode())

    def problem(self, text: str) -> None:
        """What keeps it from sending."""
        now = time.monotonic()
        if text != self._problem or now - self._problem_said >= QUIET * 10:
            self.say(text, syslog.LOG_ERR)
            self._problem, self._problem_said = text, now

    def sent(self, alerts: int) -> None:
        self._sent += alerts
        self._messages += 1
        if self._problem:
            self.say("the webhook takes alerts again")
            self._problem = ""

    def account(self, waiting: int) -> None:
        """How many were sent since it was last said."""
        now = time.monotonic()
        if self._sent and now - self._sent_said >= QUIET:
            self.say(f"{self._sent} alerts sent in {self._messages} messages, {waiting} wait")
            self._sent = self._messages = 0
            self._sent_said = now


def words(text: str, longest: int = LONGEST_WHY) -> str:
    """Somebody else's text as one line of printable ASCII."""
    line = " ".join(text.split())
    return "".join(each if " " <= each <= "~" else each.encode("unicode_escape", "backslashreplace").decode() for each in line[:longest])


# --- the alerts on disk


class Kept(NamedTuple):
    """An alert: the file's name, and its JSON in UTF-8."""

    name: str
    content: bytes


class Spool:
    """The directory in which custom-riposte keeps alerts, one a file. The process's working directory is there from now on."""

    def __init__(self, directory: str, log: Log) -> None:
        self.directory = directory
        self._log = log
        os.chdir(directory)
        self._identity = os.stat(".")
        self._lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{directory}: another riposte-sender has it") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d" % os.getpid(), 0)
        os.makedirs(REFUSED, mode=0o700, exist_ok=True)
        self._wake = self._opened_wake()

    def _opened_wake(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISFIFO(os.lstat(WAKE).st_mode):
                os.unlink(WAKE)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(WAKE, 0o600)
        return os.open(WAKE, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def waiting(self) -> list[str]:
        """Oldest first. Lost when the directory is another one now, as after Wazuh was installed anew."""
        try:
            same = os.path.samestat(os.stat(self.directory), self._identity)
        except FileNotFoundError:
            same = False
        if not same:
            raise Lost(f"{self.directory}: it is not the directory any more that it was at the start")
        return sorted(name for name in os.listdir(".") if name.endswith(KEPT))

    def wait(self, seconds: float) -> None:
        """Until custom-riposte says that there is one, or for that long."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if poll.poll(seconds * 1000):
            os.read(self._wake, 65536)
        else:
            self._sweep()

    def _sweep(self) -> None:
        for name in os.listdir("."):
            with contextlib.suppress(FileNotFoundError):
                if name.endswith(PART) and time.time() - os.lstat(name).st_mtime > ABANDONED:
                    os.unlink(name)

    def read(self, names: Sequence[str], most: int) -> list[Kept]:
        """The first alerts that fit into a message. What is no JSON is put aside."""
        found: list[Kept] = []
        size = 0
        for name in names:
            content = self._content(name)
            if content is None:
                continue
            size += len(content) + 1
            if found and size > LARGEST_BODY:
                break
            found.append(Kept(name, content))
            if len(found) >= most:
                break
        return found

    def _content(self, name: str) -> bytes | None:
        try:
            with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
                text = stream.read(LARGEST_ALERT).decode("utf-8", "replace").strip()
            # It must be one value, so that it cannot end the list that it comes to stand in. What its numbers are is not asked: they may be very long.
            if not isinstance(json.loads(text, parse_int=str, parse_float=str), dict):
                raise ValueError("it is no object")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self.refuse(name, f"not sent: {error}")
            return None
        return text.encode()

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def refuse(self, name: str, why: str) -> None:
        """Puts one aside for a person to look at, with the reason beside it."""
        text = words(why)
        self._log.say(f"{self.directory}/{REFUSED}/{name}: {text}", syslog.LOG_WARNING)
        target = f"{REFUSED}/{name}"
        with contextlib.suppress(OSError), open(target + WHY, "w", encoding="ascii") as stream:  # a full disk: the log has said it
            stream.write(text + "\n")
        os.replace(name, target)
        surplus = sorted(each for each in os.listdir(REFUSED) if each.endswith(KEPT))[:-MOST_REFUSED]
        for old in surplus:
            self._log.say(f"{self.directory}/{REFUSED} holds {MOST_REFUSED} alerts: {old} is deleted", syslog.LOG_WARNING)
            self.delete([f"{REFUSED}/{old}", f"{REFUSED}/{old}{WHY}"])


# --- the webhook


class Answer(NamedTuple):
    """retry_after: seconds that it asks for."""

    status: int
    text: str
    retry_after: float = 0.0


def envelope(alerts: Sequence[bytes], now: float) -> bytes:
    """The message, stamped anew each time it is sent: the webhook takes none that is older than five minutes."""
    return b"".join([b'{"riposte": 1, "sent": %.3f, "alerts": [' % now, b",".join(alerts), b"]}"])


def post(conf: Conf, body: bytes) -> Answer:
    """OSError or HTTPException when there is no answer, in the time of two timeouts at most, however slowly it trickles."""
    headers = {"Content-Type": "application/json", "User-Agent": "riposte-sender"}
    if conf.secret:
        headers["x-hub-signature-256"] = "sha256=" + hmac.new(conf.secret.encode(), body, hashlib.sha256).hexdigest()
    if conf.token:
        headers["Authorization"] = f"Bearer {conf.token}"
    if conf.tls:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(conf.host, conf.port, timeout=conf.timeout, context=conf.tls)
    else:
        connection = http.client.HTTPConnection(conf.host, conf.port, timeout=conf.timeout)
    with contextlib.closing(connection), deadline(2 * conf.timeout):
        connection.connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered without reading all of a large message
            connection.request("POST", conf.path, body, headers)
        reply = connection.getresponse()
        status, asked = reply.status, retry_after(reply.getheader("Retry-After", ""), time.time())
        text = ""
        with contextlib.suppress(OSError, http.client.HTTPException):  # the status is all that counts
            text = reply.read(LARGEST_ANSWER).decode("utf-8", "replace")
        return Answer(status, text, asked)


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """TimeoutError in the main thread after that time. A socket's own timeout begins again with each byte."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError(f"no answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def retry_after(text: str, now: float) -> float:
    """Seconds, however it is written; 0 when it is not understood."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return min(float(text), LONGEST_ASKED_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return min(max(0.0, moment - now), LONGEST_ASKED_PAUSE)


# --- the two together


class Sender:
    """Sends what waits, oldest first, in messages of as many alerts as the webhook takes."""

    def __init__(self, conf: Conf, spool: Spool, log: Log) -> None:
        self._conf = conf
        self._spool = spool
        self._log = log
        self._most = conf.batch
        self._failures = 0

    def run(self) -> None:
        """Never returns."""
        while True:
            pause = self.step()
            if pause:
                time.sleep(pause)

    def step(self) -> float:
        """One message, or a wait for alerts. Seconds to wait until the next."""
        try:
            names = self._spool.waiting()
            self._log.account(len(names))
            if not names:
                self._spool.wait(IDLE)
                return 0.0
            batch = self._spool.read(names, self._most)
            return self._send(batch) if batch else 0.0
        except OSError as error:  # the directory, not the network: nothing can be deleted or put aside
            return self._again(f"{self._spool.directory}: {error}")

    def _send(self, batch: Sequence[Kept]) -> float:
        where = f"{self._conf.host}:{self._conf.port}"
        try:
            answer = post(self._conf, envelope([each.content for each in batch], time.time()))
        except (OSError, http.client.HTTPException) as error:
            return self._again(f"{where}: {words(str(error) or type(error).__name__)}")
        said = f"{where}: {answer.status} {words(answer.text)}".rstrip()
        if 200 <= answer.status < 300:
            self._spool.delete([each.name for each in batch])
            self._accepted(len(batch), answer, said)
            return 0.0
        if self._about_the_alerts(answer.status):
            return self._narrow(batch, said)
        cure = CURES.get(answer.status, "")
        return self._again(f"{said} ({cure})" if cure else said, answer.retry_after)

    def _about_the_alerts(self, status: int) -> bool:
        if status == 400 and not self._conf.secret:
            return False  # what ansible-rulebook answers where a signature is wanted and missing
        return 400 <= status < 500 and status not in NOT_THE_ALERTS

    def _accepted(self, count: int, answer: Answer, said: str) -> None:
        self._log.sent(count)
        self._failures = 0
        self._most = min(self._conf.batch, self._most * 2)
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            if json.loads(answer.text).get("refused"):
                self._log.say(f"of {count} alerts some were put aside there: {said}", syslog.LOG_WARNING)

    def _narrow(self, batch: Sequence[Kept], said: str) -> float:
        """The message was too large, or something in it is unwelcome: smaller ones, until it is alone."""
        if len(batch) > 1:
            self._most = (len(batch) + 1) // 2
        else:
            self._spool.refuse(batch[0].name, said)
        self._failures = 0
        return 0.0

    def _again(self, problem: str, asked: float = 0.0) -> float:
        self._log.problem(f"{problem}; tried again until it works")
        self._failures = min(self._failures + 1, 10)
        return max(asked, min(LONGEST_PAUSE, 2.0 ** (self._failures - 1)) * random.uniform(0.5, 1.0))


def become_owner(directory: str) -> None:
    """Root has read the secrets and gives everything else up. The kernel keeps the memory of such a process from the user that it becomes."""
    try:
        seen = os.lstat(directory)
    except OSError as error:
        raise Unfit(f"{directory}: {error.strerror}") from error
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid == 0 or seen.st_mode & 0o022:
        raise Unfit(f"{directory}: it must be a directory of Wazuh's user, with mode 0700; user {seen.st_uid} owns it with mode {seen.st_mode & 0o7777:04o}")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(seen.st_gid)
        os.setuid(seen.st_uid)
    elif os.geteuid() != seen.st_uid:
        raise Unfit(f"{directory}: it belongs to user {seen.st_uid}, this is {os.geteuid()}; start it as root, or as that user")


def detach() -> None:
    """Goes on without a terminal, and without whoever started it."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)


def stop(directory: str) -> None:
    """Ends the one that runs, with the rights of the directory's owner, whose word it is that this is the process."""
    try:
        lock = os.open(f"{directory}/{LOCK}", os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    os.kill(int(os.read(lock, 20)), signal.SIGTERM)
    with deadline(10):
        fcntl.flock(lock, fcntl.LOCK_EX)


def main(argv: Sequence[str] | None = None) -> int:
    """1: it cannot work now; whoever started it may try again. 2: its configuration cannot be."""
    parser = argparse.ArgumentParser(prog="riposte-sender", description="Post the alerts that custom-riposte keeps to a webhook.", allow_abbrev=False)
    parser.add_argument("--conf", default=CONF, metavar="FILE", help=f"the configuration, {CONF} by default")
    parser.add_argument("--check", action="store_true", help="only tell whether the configuration is understood")
    parser.add_argument("--stop", action="store_true", help="end the one that runs; nothing is lost")
    parser.add_argument("--daemon", action="store_true", help="go on in the background and log to syslog; do nothing if one runs already")
    args = parser.parse_args(argv)
    log = Log()
    try:
        conf = read_conf(args.conf)
    except Unfit as unfit:
        log.say(str(unfit), syslog.LOG_ERR)
        return 2
    if args.check:
        return 0
    try:
        become_owner(conf.spool)
        if args.stop:
            stop(conf.spool)
            return 0
        os.umask(0o077)
        if args.daemon:
            detach()
            log = Log(to_syslog=True)
        spool = Spool(conf.spool, log)
        log.say(f"sends what is in {conf.spool} to {conf.host}:{conf.port}{conf.path.partition('?')[0]}")
        Sender(conf, spool, log).run()
    except Busy as busy:
        if args.daemon:
            return 0
        log.say(str(busy), syslog.LOG_ERR)
    except (Unfit, Lost) as problem:
        log.say(str(problem), syslog.LOG_ERR)
    except OSError as error:  # of the directory: a full disk, perhaps
        log.say(f"{conf.spool}: {error}", syslog.LOG_ERR)
    return 1


if __name__ == "__main__":
    sys.exit(main())
