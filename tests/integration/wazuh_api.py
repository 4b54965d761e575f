# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the API of a Wazuh manager 4.x, as far as an inventory asks it: real HTTPS, tokens that expire, pages, and refusals in the API's words.

Written after the API's specification and source (4.14); it was never compared with a running manager.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

USER, PASSWORD = "inventory", "Corr3ct.horse-battery"
FIELDS = {
    "id", "name", "ip", "status", "version", "group", "os.name", "os.platform", "os.version", "os.arch", "os.uname", "registerIP", "manager",
    "dateAdd", "lastKeepAlive", "node_name", "mergedSum", "configSum", "group_config_status", "disconnection_time", "os.codename", "os.major", "os.minor",
}  # fmt: skip
PARAMETERS = {"pretty", "wait_for_complete", "agents_list", "offset", "limit", "select", "sort", "search", "status", "q", "group", "name"}
LARGEST_LIMIT = 100_000


@dataclass
class Reply:
    status: int
    body: bytes
    type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0  # this many bytes are announced and not sent
    delay: float = 0  # seconds before each tenth of the body


def reply(status: int, data: object) -> Reply:
    kind = "application/json; charset=utf-8" if status == 200 else "application/problem+json; charset=utf-8"
    return Reply(status, json.dumps(data).encode(), kind)


def problem(status: int, title: str, detail: str, **more: object) -> Reply:
    return reply(status, {"title": title, "detail": detail, **more})


def agent(number: int, name: str | None = None, **more: Any) -> dict[str, Any]:
    """One agent as GET /agents words it when nothing is selected."""
    os = {"arch": "x86_64", "codename": "Bookworm", "major": "12", "name": "Debian GNU/Linux", "platform": "debian", "uname": "Linux", "version": "12"}
    known = {
        "id": f"{number:03}", "name": f"web{number}" if name is None else name, "ip": f"192.0.2.{number % 250 + 1}", "registerIP": "any", "status": "active",
        "version": "Wazuh v4.14.1", "os": os, "group": ["default"], "manager": "wazuh", "node_name": "node01", "dateAdd": "2026-01-01T00:00:00+00:00",
        "lastKeepAlive": "2026-11-24T10:00:00+00:00", "mergedSum": "4a87", "configSum": "ab73", "group_config_status": "synced", "status_code": 0,
    }  # fmt: skip
    return {key: value for key, value in {**known, **more}.items() if value is not None}


def manager() -> dict[str, Any]:
    return agent(0, "wazuh", ip="127.0.0.1", registerIP="127.0.0.1", group=None, lastKeepAlive="9999-12-31T23:59:59+00:00")


@dataclass
class WazuhApi:
    """agents: what there is. before: called with method, path and query before each answer; what it returns is sent instead."""

    agents: list[dict[str, Any]]
    lifetime: float = 900
    max_login_attempts: int = 50
    only_get: bool = False  # as before 4.4
    before: Callable[[str, str, dict[str, str]], Reply | None] = lambda *_request: None
    requests: list[str] = field(default_factory=list)
    url: str = ""
    tokens: dict[str, float] = field(default_factory=dict)  # token -> when it expires
    failed_logins: int = 0

    def expire_tokens(self) -> None:
        self.tokens = dict.fromkeys(self.tokens, 0.0)

    def answer(self, method: str, target: str, authorization: str) -> Reply:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.requests.append(f"{method} {target}")
        instead = self.before(method, url.path, query)
        if instead is not None:
            return instead
        if url.path == "/security/user/authenticate":
            return self._authenticate(method, authorization)
        if url.path != "/agents":
            return problem(404, "Not Found", "404: Not Found")
        if method != "GET":
            return problem(405, "Method Not Allowed", "405: Method Not Allowed")
        kind, _space, token = authorization.partition(" ")
        if kind != "Bearer" or self.tokens.get(token, 0) <= time.monotonic():
            return problem(401, "Unauthorized", "No authorization token provided")
        return self._agents(query)

    def _authenticate(self, method: str, authorization: str) -> Reply:
        if self.failed_logins >= self.max_login_attempts:
            detail = "Limit of login attempts reached. The current IP has been blocked due to a high number of login attempts"
            return problem(403, "Permission Denied", detail, error=6000)
        if method != "GET" and (method != "POST" or self.only_get):
            return problem(405, "Method Not Allowed", "405: Method Not Allowed")
        if authorization != "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            self.failed_logins += 1
            return problem(401, "Unauthorized", "Invalid credentials")
        token = f"eyJhbGciOiJFUzUxMiJ9.{secrets.token_urlsafe(40)}.{secrets.token_urlsafe(60)}"
        self.tokens[token] = time.monotonic() + self.lifetime
        return reply(200, {"data": {"token": token}, "error": 0})

    def _agents(self, query: dict[str, str]) -> Reply:
        for unknown in set(query) - PARAMETERS:
            return problem(400, "Bad Request", f"Extra query parameter(s) {unknown} not in spec")
        offset, limit = query.get("offset", "0"), query.get("limit", "500")
        if not offset.isdigit() or not limit.isdigit() or not 1 <= int(limit) <= LARGEST_LIMIT:
            return problem(400, "Bad Request", f"{limit} is not a valid limit")
        select = query["select"].split(",") if "select" in query else sorted(FIELDS)
        for unknown in set(select) - FIELDS:
            return problem(400, "Bad Request", f"Not a valid select field: {unknown}", error=1724)
        if query.get("sort", "+id").lstrip("+-") not in FIELDS:
            return problem(400, "Bad Request", "Not a valid sort field", error=1403)
        page = self.agents[int(offset) : int(offset) + int(limit)]
        data = {"affected_items": [_selected(each, select) for each in page], "total_affected_items": len(self.agents)}
        data |= {"total_failed_items": 0, "failed_items": []}
        return reply(200, {"data": data, "message": "All selected agents information was returned", "error": 0})


def _selected(agent: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    chosen = {name: value for name, value in agent.items() if name in fields or name == "id"}
    if isinstance(agent.get("os"), dict):
        chosen["os"] = {name: value for name, value in agent["os"].items() if f"os.{name}" in fields}
    elif "os" in agent:
        chosen["os"] = agent["os"]
    return chosen


@contextmanager
def serving(api: WazuhApi, certificates: Path | None, client_ca: Path | None = None) -> Iterator[WazuhApi]:
    """On 127.0.0.1, with the certificate in this directory; without one, in clear."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True  # a client that gave up

        def _any(self) -> None:
            answer = api.answer(self.command, self.path, self.headers.get("Authorization", ""))
            self.send_response(answer.status)
            headers = {"Content-Type": answer.type, "Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            body = answer.body[: len(answer.body) - answer.cut]
            step = max(1, len(body) // 10) if answer.delay else len(body) or 1
            for start in range(0, len(body), step):
                stopped.wait(answer.delay)
                self.wfile.write(body[start : start + step])
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 (http.server's names)

        def log_message(self, format: str, *args: object) -> None:
            """The tests look at `requests`."""

    stopped = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificates:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    api.url = f"{'https' if certificates else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificates(directory: Path) -> None:
    """ca.pem; server.pem and server.key for 127.0.0.1; client.pem and client.key, all of that authority."""
    _openssl(directory, "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2", *CA)
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        (directory / f"{name}.ext").write_text(f"authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n{extension}\n")
        _openssl(directory, "req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        _openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
CA = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def _openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)
