# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event source `wazuh`: the built-in webhook with a spool behind it, and batches of alerts for a playbook."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import ipaddress
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from aiohttp import web

# ansible-rulebook runs this file without a package: the collection's other files are found from its own path, which may go through a link.
sys.path.append(str(Path(__file__).absolute().parents[7]))

from ansible_collections.riposte.active_response.plugins.module_utils.alert.message import Message, Stale, mark, read_message
from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem, shown
from ansible_collections.riposte.active_response.plugins.plugin_utils import metrics
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.committer import Committer
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.hand_out import HandOut
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.records import Arrived, Delivery
from ansible_collections.riposte.active_response.plugins.plugin_utils.spool.spool import Spool

DOCUMENTATION = r"""
---
short_description: Receive alerts of Wazuh by webhook, keep them safe, and hand them out in batches.
description:
  - Runs the built-in webhook of ansible-rulebook. An alert that was answered with 200 is on disk, and is acted on or reported as failed,
    whatever dies in between.
  - A body is one alert of Wazuh 4 or 5, a JSON list of alerts, one alert a line, what Shuffle's integration sends, a search hit or a list of
    them as a custom webhook of OpenSearch can send it, or what riposte's own sender sends. It may be compressed with gzip, and has at most
    1 MiB, unpacked. Any path will do.
  - 200 says that every alert in the body is kept, or was before, and lists what in it was no alert. 422 says that there was no alert in it
    that can be accepted; it is put aside for a person to read, and to send it again is of no use. 401 also says that a message of riposte's
    own sender was sent too long ago. 503 with Retry-After says that it must be sent again later, for too many alerts wait or the disk is full.
  - An alert is known by its id. Who sends one that is known gets 200, and nothing is done again.
  - An event is C({"riposte":{"batch":NUMBER}}), and nothing of what an alert says. Give the number and the spool to the playbook
    C(riposte.active_response.respond), by the action C(run_playbook). The next batch is handed out when that action has ended, and holds
    what arrived meanwhile.
  - Several rulebooks of one machine may share a spool. One of them hands out, the others take over when it is gone.
options:
  spool:
    description: A directory for alerts that are not answered yet, on a local disk. It is made, and must belong to the user that runs ansible-rulebook alone.
    type: str
    required: true
  host:
    description: The address to listen on. Any but a loopback address needs O(certfile), and one of O(token), O(hmac_secret), O(cafile) and O(capath).
    type: str
    default: 127.0.0.1
  port:
    description: The TCP port to listen on.
    type: int
    required: true
  token:
    description: What a sender must say as Bearer token.
    type: str
  hmac_secret:
    description: The secret by which a sender must sign the body, which must be UTF-8 then.
    type: str
  hmac_algo:
    description: How it is signed.
    type: str
    default: sha256
  hmac_header:
    description: Where the signature is.
    type: str
    default: x-hub-signature-256
  hmac_format:
    description: How the signature is written.
    type: str
    choices: [hex, base64]
    default: hex
  certfile:
    description: A file with the certificate for TLS.
    type: str
  keyfile:
    description: A file with its key.
    type: str
  password:
    description: The key's password.
    type: str
  cafile:
    description: A file with certificates. Senders must have one that these have signed.
    type: str
  capath:
    description: A directory with such certificates.
    type: str
  status_port:
    description:
      - A TCP port of 127.0.0.1 on which C(GET /health) says whether all is well (200 or 503), and C(GET /metrics) gives figures to Prometheus. 0 is none.
    type: int
    default: 0
  batch_size:
    description: How many alerts a batch has at most.
    type: int
    default: 500
  max_waiting:
    description: How many alerts may wait. More are turned away with 503.
    type: int
    default: 50000
  oldest:
    description:
      - How many seconds old an alert may be that does not come from riposte's own sender, by its own timestamp. This keeps others from sending
        again what they saw, once its id is forgotten after a week. Riposte's own sender says when it sent a message, which must be within
        300 seconds.
    type: int
    default: 3600
  retry_delay:
    description:
      - Seconds until what a run did not get done is tried for the first time again. Doubled with each try, up to 5 minutes, until the alert is
        older than the policy's C(max_age).
    type: float
    default: 10
  audit:
    description: A file to which a line of JSON is added for each alert that comes to its end. The playbook adds what is decided and done.
    type: str
"""

EXAMPLES = r"""
- riposte.active_response.wazuh:
    spool: /var/lib/riposte/spool
    host: 0.0.0.0
    port: 5000
    hmac_secret: "{{ secret }}"
    certfile: /etc/riposte/tls.crt
    keyfile: /etc/riposte/tls.key
"""

TESTED = "1.3.2"
RETRY_AFTER = "30"  # seconds
TOLD = 10  # problems named in an answer
FRUITLESS = 3  # runs in a row without a plan that are no accident
LOG = logging.getLogger("riposte.wazuh")

# The built-in webhook's own options.
BUILT_IN = ("host", "port", "token", "hmac_secret", "hmac_algo", "hmac_header", "hmac_format", "certfile", "keyfile", "password", "cafile", "capath")


@dataclass(frozen=True)
class Options:
    """What the source itself needs to know, and what it hands on."""

    spool: str
    built_in: Mapping[str, Any]
    status_port: int = 0
    batch_size: int = 500
    max_waiting: int = 50_000
    oldest: float = 3600.0
    retry_delay: float = 10.0
    audit: str = ""


RANGES = {"status_port": (0, 65535), "batch_size": (1, 10_000), "max_waiting": (1, 10_000_000), "oldest": (10, 86_400), "retry_delay": (0.1, 300)}


def read_options(args: Mapping[str, Any]) -> Options:
    """Checked options. One that is empty is as good as absent: rulebooks fill them from variables."""
    given = {name: value for name, value in args.items() if value not in (None, "") and name != "eda_feedback_queue"}
    known = {"spool", "audit", *RANGES, *BUILT_IN}
    for name in given:
        if name not in known:
            raise BadInput(f"{name}: there is no such option; the options are {', '.join(sorted(known))}")
    for name in ("spool", "port"):
        if name not in given:
            raise BadInput(f"{name}: it is missing")
    built_in = {"host": "127.0.0.1", **{name: given[name] for name in BUILT_IN if name in given}}
    built_in["port"] = int(_number("port", built_in["port"], 1, 65535))
    audit = given.get("audit", "")
    for name, value in {**built_in, "spool": given["spool"], "audit": audit}.items():
        if name != "port" and not isinstance(value, str):
            raise BadInput(f"{name}: {shown(type(value).__name__)}: it must be text")
    if len(built_in.get("token", "x").split()) != 1:
        raise BadInput("token: it has white space in it, which the built-in webhook never finds in a header")
    _check_exposure(built_in)
    numbers = {name: type(getattr(Options, name))(_number(name, given[name], *RANGES[name])) for name in RANGES if name in given}
    return Options(str(Path(given["spool"]).expanduser().absolute()), built_in, audit=audit, **numbers)


def _number(name: str, value: object, lowest: float, highest: float) -> float:
    """A number among the options of a source, or BadInput."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value <= highest:
        raise BadInput(f"{name}: {value!r}: it must be a number from {lowest:g} to {highest:g}")
    return value


def _check_exposure(built_in: Mapping[str, Any]) -> None:
    host = built_in["host"]
    try:
        private = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        private = False
    if private:
        return
    if "certfile" not in built_in:
        raise BadInput(f"host: {shown(host)}: on any address but a loopback one (127.0.0.1) TLS is required: give certfile and keyfile")
    if not {"token", "hmac_secret", "cafile", "capath"} & set(built_in):
        raise BadInput(f"host: {shown(host)}: whoever reaches it could have addresses blocked: give hmac_secret, token or cafile")


def built_in_webhook() -> ModuleType:
    """ansible-rulebook's webhook, with its routes replaced by ours: its own reads nothing but JSON, and forgets what was signed."""
    version = "of an unknown version"
    try:
        version = importlib.metadata.version("ansible_rulebook")
        webhook = importlib.import_module("ansible_rulebook.event_source.webhook")
        present = [webhook.main, webhook.queue_key, webhook.routes]
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"ansible-rulebook {version} has another webhook than the one this source calls: {error}. Tested with {TESTED}; install that one"
        ) from error
    assert present
    webhook.routes = [web.post("/{endpoint:.*}", lambda request: request.app[webhook.queue_key].receive(request))]  # type: ignore[attr-defined]
    return webhook


class Intake:
    """Stands where the built-in webhook has its queue."""

    def __init__(self, options: Options, committer: Committer) -> None:
        self._oldest = options.oldest
        self._committer = committer
        self.problem = ""

    async def put(self, _event: object) -> None:
        """Only reached if the webhook does not use our routes: nothing may be answered with 200 then."""
        raise RuntimeError(f"this version of ansible-rulebook does not use the routes it is given; tested with {TESTED}")

    async def receive(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        if (request.charset or "utf-8").lower() not in ("utf-8", "us-ascii"):
            raise web.HTTPUnsupportedMediaType(text="the body must be UTF-8\n")
        text, now = content.decode("utf-8", "replace"), time.time()
        try:
            message = read_message(text, now, self._oldest)
        except Stale as stale:
            LOG.warning("%s: refused: %s", request.remote, stale)
            raise web.HTTPUnauthorized(text=f"{stale}\n") from None
        said = [f"{where}: {why}" for where, why in message.problems]
        try:
            receipt = await self._committer.commit(_delivery(message, text, said))
        except Problem as problem:
            self.problem = str(problem)
            LOG.error("%s: turned away: %s", request.remote, problem)
            raise _later("the spool cannot take it now") from None
        self.problem = ""
        if receipt.full:
            LOG.error("%s: turned away: too many alerts wait", request.remote)
            raise _later("too many alerts wait")
        if said:
            LOG.warning("%s: %s accepted, this is no alert: %s", request.remote, len(message.alerts), "; ".join(said[:TOLD]))
        answer = {"received": receipt.received, "known": receipt.known, "refused": len(said), "problems": said[:TOLD]}
        return web.json_response(answer, status=200 if message.alerts else 422)


def _delivery(message: Message, text: str, said: list[str]) -> Delivery:
    alerts = [Arrived(alert.id, mark(alert), happened, body) for alert, body, happened in message.alerts]
    return Delivery(alerts, text if said else "", "; ".join(said[:TOLD]))


def _later(why: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text=f"{why}; send it again later\n", headers={"Retry-After": RETRY_AFTER})


class Status:
    """What is asked on the status port."""

    def __init__(self, options: Options, intake: Intake, hand_out: HandOut) -> None:
        self._options = options
        self._intake = intake
        self._hand_out = hand_out

    async def serve(self) -> None:
        """Never returns."""
        app = web.Application()
        app.add_routes([web.get("/health", self._health), web.get("/metrics", self._metrics)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._options.status_port).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _figures(self) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            spool = Spool.open(self._options.spool, make=False)
            try:
                figures: dict[str, Any] = spool.figures(time.time())
            finally:
                spool.close()
            return figures

        return await asyncio.to_thread(look)

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        state, problems = self._hand_out.state, [self._intake.problem, self._hand_out.state.problem]
        figures: dict[str, Any] = {}
        try:
            figures = await self._figures()
        except Problem as problem:
            problems.append(str(problem))
        if state.fruitless >= FRUITLESS:
            problems.append(f"the last {state.fruitless} runs ended before there was a plan")
        problems = [problem for problem in problems if problem]
        return web.json_response({"ok": not problems, "problems": problems, "leading": state.leading, **figures}, status=503 if problems else 200)

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        try:
            figures = await self._figures()
        except Problem as problem:
            raise web.HTTPServiceUnavailable(text=f"{problem}\n") from None
        state, now = self._hand_out.state, time.time()
        lines = [
            *_gauge("riposte_batch_seconds", "How long the batch in flight has been.", round(now - state.since, 1) if state.batch else 0),
            *_gauge("riposte_fruitless_runs", "Runs in a row that ended before there was a plan.", state.fruitless),
            *_gauge("riposte_leading", "Whether this rulebook hands out.", int(state.leading)),
        ]
        text = metrics.text(figures, now) + "\n".join([*lines, ""])
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _gauge(name: str, text: str, value: float) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}"]


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Never returns; an error ends the rulebook."""
    options = read_options(args)
    webhook = built_in_webhook()

    async def put(batch: int) -> None:
        await queue.put({"riposte": {"batch": batch}})

    spool = Spool.open(options.spool, most_waiting=options.max_waiting)
    hand_out = HandOut(options.spool, put, options.batch_size, options.retry_delay, options.audit)
    committer = Committer(spool, hand_out.arrived)
    intake = Intake(options, committer)
    listening = asyncio.create_task(webhook.main(intake, dict(options.built_in)))
    tasks: list[asyncio.Task[None]] = [listening]
    try:
        await _until_open(listening, options.built_in["host"], options.built_in["port"])
        LOG.info("listening on %s port %s, spool %s", options.built_in["host"], options.built_in["port"], options.spool)
        tasks.append(asyncio.create_task(hand_out.work()))
        if options.status_port:
            tasks.append(asyncio.create_task(Status(options, intake, hand_out).serve()))
        ended, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        raise RuntimeError("a part of the source returned, which none should")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        committer.close()


async def _until_open(listening: asyncio.Task[None], host: str, port: int) -> None:
    """Nothing is handed out by a rulebook that cannot listen and is about to end."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    while not listening.done():
        with contextlib.suppress(OSError):
            _reader, writer = await asyncio.open_connection(address, port)
            writer.close()
            # The kernel can give a connection to a port where nobody listens that very port of its own: it is then connected with itself.
            if writer.get_extra_info("sockname")[:2] != writer.get_extra_info("peername")[:2]:
                return
        await asyncio.sleep(0.02)
    await listening


if __name__ == "__main__":

    class _Shown(asyncio.Queue[Any]):
        async def put(self, item: Any) -> None:
            sys.stdout.write(f"{item}\n")

    asyncio.run(main(_Shown(), {"spool": sys.argv[1], "port": 5000}))
