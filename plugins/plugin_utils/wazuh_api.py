# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection asks of a Wazuh manager's API (4.x): a token, and the list of its agents, complete or not at all.

Nothing that comes back is trusted: it is bounded, it must have the API's shape, and no secret of ours gets into a message by way of it.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, ToolError, shown
from ansible_collections.riposte.active_response.plugins.module_utils.host.response import printable

AUTHENTICATE, AGENTS = "/security/user/authenticate", "/agents"
FIELDS = ("id", "name", "ip", "status", "version", "group", "os.name", "os.platform", "os.version", "os.arch")
PAGE = 500  # the API's own default, and the most that it recommends
ATTEMPTS = 3  # at a list that did not change while it was read
LARGEST_ANSWER = 32 << 20
LONGEST_DETAIL = 300
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
_URL = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True)
class Settings:
    """How to reach the API. timeout: seconds for one answer."""

    url: str
    username: str
    password: str = field(repr=False)
    timeout: int
    ca_path: str | None = None
    validate_certs: bool = True
    client_cert: str | None = None
    client_key: str | None = None


class HttpStatus(Exception):
    """The API answered with an HTTP status that is no success."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"HTTP status {status}{said and ': '}{said}")
        self.status = status


class Api:
    """One session with the API."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = checked_url(settings.url)
        self._token = ""
        self._basic = b64encode(f"{settings.username}:{settings.password}".encode()).decode()

    def agents(self) -> list[dict[str, Any]]:
        """All agents, as the API words them, each with `FIELDS`; ToolError when there is any doubt that these are all."""
        self._authenticate()
        for _attempt in range(ATTEMPTS):
            agents = self._all_pages()
            if agents is not None:
                return agents
        raise self._problem(
            f"GET {AGENTS}: the list of agents was incomplete, or changed while it was read, {ATTEMPTS} times in a row; nothing is taken from it"
        )

    def _all_pages(self) -> list[dict[str, Any]] | None:
        """None when the pages do not fit together."""
        agents: list[dict[str, Any]] = []
        total = None
        while total is None or len(agents) < total:
            page, said = self._page(len(agents))
            if total not in (None, said) or len(page) != min(PAGE, said - len(agents)):
                return None
            agents, total = agents + page, said
        return agents if len({repr(agent.get("id")) for agent in agents}) == len(agents) else None

    def _page(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Agents from this one on, and how many there are in all."""
        query = {"limit": PAGE, "offset": offset, "sort": "+id", "select": ",".join(FIELDS)}
        data = self._data(f"GET {AGENTS}", self._get(f"{AGENTS}?{urlencode(query)}"))
        page, total, failed = (data.get(key) for key in ("affected_items", "total_affected_items", "total_failed_items"))
        if not isinstance(page, list) or not all(isinstance(agent, dict) for agent in page) or not isinstance(total, int) or total < 0:
            raise self._problem(f"GET {AGENTS}: the answer has not the list of agents (affected_items, total_affected_items) that API 4.x gives")
        if failed:
            raise self._problem(f"GET {AGENTS}: the manager could not read {shown(failed)} of its agents; nothing is taken from the rest")
        return page, total

    def _get(self, path: str) -> Any:
        """A token may run out between two pages: it is asked for once more, and once only."""
        for again in (True, False):
            try:
                return self._request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            except HttpStatus as answer:
                if answer.status != 401 or not again:
                    raise self._problem(f"GET {AGENTS}: {answer}") from None
            self._authenticate()
        raise AssertionError("the second answer is final")

    def _authenticate(self) -> None:
        """With POST; with GET where the manager is older than 4.4 and knows no other way."""
        for method in ("POST", "GET"):
            try:
                answer = self._request(method, AUTHENTICATE, username=self._settings.username, password=self._settings.password)
                break
            except HttpStatus as refusal:
                if refusal.status == 405 and method == "POST":
                    continue
                hint = f"; check user {shown(self._settings.username)} and the password" if refusal.status == 401 else ""
                raise self._problem(f"{method} {AUTHENTICATE}: {refusal}{hint}") from None
        token = self._data(AUTHENTICATE, answer).get("token")
        if not isinstance(token, str) or not _TOKEN.match(token):
            raise self._problem(f"{AUTHENTICATE}: the answer has no token")
        self._token = token

    def _data(self, what: str, answer: Any) -> Mapping[str, Any]:
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict) or answer.get("error", 0) != 0:
            raise self._problem(f"{what}: expected data and no error, the API says {self._detail(answer) or 'something else'}")
        data: Mapping[str, Any] = answer["data"]
        return data

    def _request(self, method: str, path: str, headers: Mapping[str, str] | None = None, username: str = "", password: str = "") -> Any:
        """The JSON of a successful answer. HttpStatus when it is none; ToolError when there is no answer to speak of."""
        settings, what = self._settings, f"{method} {path.partition('?')[0]}"
        end = time.monotonic() + settings.timeout
        try:
            stream = open_url(
                self._url + path,
                method=method,
                headers={"Accept": "application/json", **(headers or {})},
                timeout=settings.timeout,
                validate_certs=settings.validate_certs,
                ca_path=settings.ca_path,
                client_cert=settings.client_cert,
                client_key=settings.client_key,
                url_username=username or None,
                url_password=password or None,
                force_basic_auth=bool(username),
                http_agent="riposte.active_response",
                follow_redirects="none",  # a token goes to the manager and to nobody else
                decompress=False,
                use_netrc=False,  # it would take the place of the token
            )
            with stream:
                content = _content(stream, end)
        except HTTPError as error:
            raise HttpStatus(error.code, self._told(error, end)) from None
        except (OSError, HTTPException, UrlError, ValueError) as error:
            raise self._problem(f"{what}: no answer: {self._clean(str(error) or type(error).__name__)}") from None
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            kind = self._clean(str(stream.headers.get("Content-Type", "of no type")))
            is_it = "is this the address of Wazuh's API (port 55000)?"
            raise self._problem(f"{what}: the answer ({len(content)} bytes, {kind}) is no JSON or was cut short; {is_it}") from None

    def _told(self, error: HTTPError, end: float) -> str:
        """What the API says about a failure."""
        try:
            with error:
                return self._detail(json.loads(_content(error, end)))
        except (OSError, HTTPException, ValueError, RecursionError):
            return self._clean(str(error.reason))

    def _detail(self, answer: Any) -> str:
        if not isinstance(answer, dict):
            return ""
        said = [answer.get(key) for key in ("title", "detail", "message", "error")]
        return self._clean(", ".join(str(each) for each in said if each and isinstance(each, (str, int))))

    def _clean(self, text: str) -> str:
        """Text from outside for a message: a server that sends back what it was sent gives no secret away."""
        for secret in (self._settings.password, self._basic, self._token):
            if secret:
                text = text.replace(secret, "********")
        return str(printable(text, LONGEST_DETAIL))

    def _problem(self, message: str) -> ToolError:
        return ToolError(f"Wazuh API {self._url}: {message}")


def _content(stream: Any, end: float) -> bytes:
    """The rest of an answer; a socket's own timeout begins anew with each byte, so this one has an end of its own."""
    content = b""
    while chunk := stream.read1(1 << 20):
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER >> 20} MiB")
        if time.monotonic() > end:
            raise TimeoutError("the answer took longer than the timeout")
    return content


def checked_url(url: str) -> str:
    """The API's address without a slash at its end; BadInput when a password would travel or be shown in clear."""
    rule = ""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if "@" in url:
        raise BadInput("url: it has a user name in it; use username and password")
    if not _URL.match(url) or not host or parts.scheme not in ("https", "http") or parts.query or parts.fragment:
        rule = "expected an address such as https://wazuh.example.com:55000"
    elif parts.scheme == "http" and host not in LOOPBACK:
        rule = "the password would travel in clear; use https"
    if rule:
        raise BadInput(f"url {shown(url)}: {rule}")
    return url.rstrip("/")
