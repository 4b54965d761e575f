# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the webhook: verifies what riposte's intake verifies, and answers as it is told. Standard library only, also run on practice hosts.

with Webhook(secret="s") as webhook:
    webhook.plan = [503, "hang"]       # the next two answers; after them `judge` decides, 200 unless it is replaced
    webhook.accepted                   # ids in the order in which they were answered with 2xx, or would have been
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Union

Action = Union[int, str, "tuple[int, dict[str, str], str]"]
WAYS = ("hang", "reset", "lost", "trickle", "cut", "garbage")  # beside statuses; lost: accepted, but the answer never arrives
SENT = 300


class Webhook:
    """plan: what is answered to the next messages that have the right signature. requests: method, path, headers and body of every one."""

    def __init__(self, secret: str = "", token: str = "", tls: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1") -> None:
        self.secret, self.token = secret, token
        self.plan: list[Action] = []
        self.judge: Callable[[list[Any]], Action] = lambda _alerts: 200
        self.accepted: list[str] = []
        self.messages: list[int] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        self.over = threading.Event()
        self._server = _Server((host, port), _Handler)
        self._server.webhook = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/endpoint?key=query"

    def __enter__(self) -> Webhook:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def refusal(self, headers: dict[str, str], body: bytes) -> Action | None:
        """What is wrong with who sent it, or when."""
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401
        if self.secret:
            if "x-hub-signature-256" not in headers:
                return 400
            expected = "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(headers["x-hub-signature-256"], expected):
                return 401
        message = json.loads(body.decode("utf-8"))
        if message["riposte"] != 1 or not abs(time.time() - message["sent"]) <= SENT or not message["alerts"]:
            return (401, {}, "stale or no message of riposte's sender")
        return None

    def answer(self, headers: dict[str, str], body: bytes) -> Action:
        refusal = self.refusal(headers, body)
        if refusal is not None:
            return refusal
        alerts = json.loads(body.decode("utf-8"))["alerts"]
        with self.lock:
            action = self.plan.pop(0) if self.plan else self.judge(alerts)
            status = action[0] if isinstance(action, tuple) else action
            if status in (200, 204, "lost", "cut"):
                self.accepted += [alert.get("id", "") for alert in alerts]
                self.messages.append(len(alerts))
        return action


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    webhook: Webhook

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that is killed, or does not trust the certificate, is what is tested here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        webhook = self.server.webhook
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        with webhook.lock:
            webhook.requests.append((self.path, headers, body))
        action = webhook.answer(headers, body)
        self.close_connection = True
        if isinstance(action, str):
            getattr(self, f"_{action}")()
            return
        status, more, text = action if isinstance(action, tuple) else (action, {}, "")
        self._reply(status, more, text.encode())

    def _reply(self, status: int, more: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _hang(self) -> None:
        self.server.webhook.over.wait(60)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    _lost = _reset

    def _trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.webhook.over.wait(0.05):
            self.wfile.write(b"X: y\r\n")

    def _cut(self) -> None:
        self._reply(200, {"Content-Length": "1000"}, b"{")

    def _garbage(self) -> None:
        self.wfile.write(b"\x00\xff" * 5000)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def main(words: Sequence[str]) -> None:
    """On a practice host: SECRET TOKEN CERTIFICATE-AND-KEY FILE; each accepted id becomes a line of FILE."""
    secret, token, pem, file = words
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    with Webhook(secret, token, tls, 8443) as webhook:
        said = 0
        while not webhook.over.wait(0.05):
            with webhook.lock:
                new, said = webhook.accepted[said:], len(webhook.accepted)
            with open(file, "a", encoding="utf-8") as stream:
                stream.writelines(f"{identity}\n" for identity in new)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
