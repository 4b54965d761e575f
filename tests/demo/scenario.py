# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo does, step by step. Each claim is looked at on the wire or on the host before it is printed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab import Completed, Host, Lab, Peer, wait_for
from tests.lab.rulebook import Reply, Rulebook, stamp

ATTACKER = "203.0.113.9"  # the address that the real alert names
PASSWORD = "correct horse"
SSH = 22
ECHO = 7777
TICK = 30  # seconds
POLICY = """---
mode: enforce
rules:
  - name: ssh brute force
    match: {{rule_ids: ["5712", "5763"]}}
    responses:
      - {{response: firewall_drop, timeout: {block}s, hosts: {{groups: [web]}}}}
  - name: password guessing
    match: {{rule_ids: ["5503"]}}
    responses:
      - {{response: disable_account, timeout: {lock}s}}
"""


class Scenario:
    """One play of the demo."""

    def __init__(self, lab: Lab, repository: Path):
        self._lab = lab
        self._repository = repository
        self._policy = lab.directory / "policy.yml"
        self._checks: list[tuple[str, bool]] = []
        self._figures: list[tuple[str, str]] = []
        self._step = "0"
        self._finished = False
        self._began = time.monotonic()

    @property
    def held(self) -> bool:
        return self._finished and all(held for _claim, held in self._checks)

    def play(self) -> None:
        self.web1, self.web2, self.attacker, self.visitor = self._hosts()
        with self.web1.listen(ECHO), Rulebook(self._lab, self._webhook_folder(), name="wazuh") as self.rulebook:
            self._open_door()
            self._check_mode()
            self._block()
            self._again()
            self._lock()
            self._guard()
            self._report()
            self._release_one()
            self._power_cut()
            self._ends()
        self._finished = True

    def summary(self) -> None:
        print(f"\n{'what was seen':<86} held")
        for claim, held in self._checks:
            print(f"{claim:<86} {'yes' if held else 'NO'}")
        for name, value in self._figures:
            print(f"{name:<86} {value}")
        failed = sum(1 for _claim, held in self._checks if not held)
        total = f"all {len(self._checks)} claims held" if self.held else f"{len(self._checks)} claims looked at, {failed} did not hold"
        ended = "" if self._finished else f"; it broke off in step {self._step}"
        print(f"\n{total}{ended} ({time.monotonic() - self._began:.0f} s)")

    # -- the steps

    def _hosts(self) -> tuple[Host, Host, Peer, Peer]:
        self._say("0. two practice hosts, an attacker, a visitor; role agent on the hosts; ansible-rulebook with the webhook that Wazuh calls")
        agents: dict[str, dict[str, object]] = {"web1": {"wazuh_agent_id": "001"}, "web2": {"wazuh_agent_id": "002"}}
        web1, web2 = self._lab.add_hosts(["web1", "web2"], groups=["web"], variables=agents)
        attacker, visitor = self._lab.add_peer("attacker"), self._lab.add_peer("visitor")
        attacker.add_address(ATTACKER)
        for name in ("alice", "bob"):
            web1.ssh(f"useradd -m -s /bin/bash {name} && echo '{name}:{PASSWORD}' | chpasswd")
        web1.ssh("install -d -m 700 -o alice -g alice ~alice/.ssh && install -m 600 -o alice -g alice /root/.ssh/authorized_keys ~alice/.ssh/")
        web1.ssh("passwd -q -l bob")
        self._shadow = web1.read("/etc/shadow")
        deployed = self._playbook("deploy.yml")
        for host in (web1, web2):
            host.ssh("riposte tick")  # the first one makes the ledger, which would look like a change later
        self._see("role agent is installed on web1 and web2", deployed.rc == 0)
        self._ping = self._timed(lambda: self._lab.ansible("ansible", "web1", "-m", "ansible.builtin.ping", check=True))
        self._block_seconds, self._lock_seconds = 20 + round(14 * self._ping), 5 + round(5 * self._ping)  # short, at this machine's pace
        self._policy.write_text(POLICY.format(block=self._block_seconds, lock=self._lock_seconds), encoding="utf-8")
        return web1, web2, attacker, visitor

    def _open_door(self) -> None:
        self._say("1. before: everybody gets in")
        self._see("the attacker connects to web1", self._attacker_in(self.web1))
        self._see("the attacker connects to web2", self._attacker_in(self.web2))
        self._stream = self.attacker.open_stream(self.web1.address4, ECHO, source=ATTACKER)
        self._see("the attacker has a connection open to web1", self._stream.alive())

    def _check_mode(self) -> None:
        self._say("2. a real Wazuh alert: SSH brute force (rule 5712) from the attacker's address; first --check --diff")
        before = self._state()
        done = self._respond("gen-sshd-5712-bruteforce.json", "--check", "--diff")
        self._see("check mode says that web1 and web2 would change", self._changed(done) == 2)
        self._see("check mode changed nothing: ruleset, accounts and ledger are as before", self._state() == before)

    def _block(self) -> None:
        self._say("3. and now for real: the alert is posted to the webhook, as Wazuh does")
        dropped: list[float] = []
        begun = time.monotonic()

        def watch() -> None:
            wait_for(lambda: not self._attacker_in(self.web1), "the attacker's packets to be dropped", timeout=60)
            dropped.append(time.monotonic() - begun)

        watcher = threading.Thread(target=watch)
        watcher.start()
        answer = self._post(self._brute)
        watcher.join()
        self._figures.append(("alert posted -> packets dropped, through ansible-rulebook", f"{dropped[0]:.1f} s" if dropped else "-"))
        self._figures.append(("a bare `ansible -m ping` of the same host", f"{self._ping:.1f} s"))
        self._see("the webhook keeps the alert before it says 200", answer.status == 200 and answer.json["received"] == 1)
        self.rulebook.settled()
        self._see("the spool says: answered, done on web1 and web2", self.rulebook.outcomes() == {"done": 2})
        self._see("the attacker's packets to web1 are dropped", not self._attacker_in(self.web1))
        self._see("the attacker's packets to web2 are dropped", not self._attacker_in(self.web2))
        self._see("the attacker's open connection to web1 is dead", not self._stream.alive(timeout=0.3))
        self._see("the visitor still gets in", self.visitor.can_connect(self.web1.address4, SSH) and self.visitor.can_connect(self.web2.address4, SSH))

    def _again(self) -> None:
        self._say("4. the same alert again, by the webhook and by hand")
        self._see("the webhook knows it and does nothing again", self._post(self._brute).json["known"] == 1)
        done = self._respond("gen-sshd-5712-bruteforce.json")
        self._see("the second run changes nothing (changed=0)", done.rc == 0 and self._changed(done) == 0)

    def _lock(self) -> None:
        self._say("5. alerts that name the accounts alice and bob (rule 5503); an admin had locked bob before")
        session = self.web1.open_session("alice", key=self._lab.key)
        self._see("alice is logged in on web1", session.alive())
        self._post([self._guessing("alice", "1"), self._guessing("bob", "2")])
        self.rulebook.settled(3)
        self._see("done on web1 alone, for both", self.rulebook.outcomes() == {"done": 4})
        self._see("alice's open session has ended", session.ended())
        self._see("neither her password nor her key lets alice in", not self._alice_in(password=PASSWORD) and not self._alice_in(key=self._lab.key))

    def _guard(self) -> None:
        self._say("6. alerts that name the controller's own address, and root")
        brute = self._sample("gen-sshd-5712-bruteforce.json")
        ours = {**brute, "id": "1795492383.1001", "data": {**brute["data"], "srcip": self._lab.controller.address4}}
        done = self._respond(self._alerts([ours, self._guessing("root", "3")]))
        refused = [line.strip() for line in done.stdout.splitlines() if " refused " in line]
        for line in dict.fromkeys(" ".join(line.split()) for line in refused):
            print(f"     {line[:160]}")
        named = "entry session" in done.stdout and "entry root" in done.stdout
        self._see("both are refused, with the reason, and nothing is changed", named and self._changed(done) == 0)
        self._see("the controller still gets in", self.web1.ssh("true", check=False).rc == 0)

    def _report(self) -> None:
        self._say("7. what stands, why, until when")
        done = self._playbook("report.yml")
        for line in done.stdout.splitlines():
            if "firewall_drop" in line or "disable_account" in line or '"host ' in line:
                print(f"     {line.strip()[:150]}")
        self._see("the report names both kinds of response", done.rc == 0 and "firewall_drop" in done.stdout and "disable_account" in done.stdout)

    def _release_one(self) -> None:
        self._say("8. the block on web1 is released by hand")
        done = self._playbook("release.yml", "-e", f"riposte_target={ATTACKER}", "-e", "riposte_hosts=web1")
        self._see("the attacker gets in on web1 again", done.rc == 0 and self._attacker_in(self.web1))
        self._see("and not on web2", not self._attacker_in(self.web2))

    def _power_cut(self) -> None:
        self._say("9. the power is cut on web2; it starts again")
        end = self._end(self.web2)
        self.web2.power_cut()
        self.web2.power_on()
        self._see("the block is back on web2 before anybody logs in", not self._attacker_in(self.web2))
        self._see("with the rest of its time, not all of it", self._end(self.web2) == end)

    def _ends(self) -> None:
        self._say("10. the rest runs out by itself (the tick comes every 30 s)")
        wait_for(lambda: self._attacker_in(self.web2), "the block on web2 to end", timeout=self._block_seconds + TICK)
        self._see("the attacker gets in on web2 again", True)
        wait_for(lambda: self._alice_in(password=PASSWORD), "the lock of alice to end", timeout=self._lock_seconds + 2 * TICK)
        self._see("alice gets in again, by password and by key", self._alice_in(key=self._lab.key))
        self._see("bob, whom an admin had locked, is still locked", not self.web1.can_login("bob", password=PASSWORD))
        self._see("/etc/shadow is as it was, byte for byte", self.web1.read("/etc/shadow") == self._shadow)

    # -- how it looks and acts

    def _say(self, text: str) -> None:
        self._step = text.partition(".")[0]
        print(f"\n{text}", flush=True)

    def _see(self, claim: str, held: bool) -> None:
        self._checks.append((claim, held))
        print(f"   {'ok  ' if held else 'NOT '} {claim}", flush=True)

    def _attacker_in(self, host: Host) -> bool:
        return self.attacker.can_connect(host.address4, SSH, source=ATTACKER, timeout=0.3)

    def _alice_in(self, **credentials: Any) -> bool:
        return self.web1.can_login("alice", **credentials)

    def _state(self) -> list[str]:
        ledger = "python3 -c 'import sqlite3; print(*sqlite3.connect(\"/var/lib/riposte/ledger.sqlite3\").iterdump())' 2>/dev/null"
        return [host.ssh(f"nft list ruleset; cat /etc/shadow; {ledger}", check=False).stdout for host in (self.web1, self.web2)]

    def _end(self, host: Host) -> str:
        listed = json.loads(host.inside(["riposte", "list", "--json"]).stdout)
        responses = listed["responses"] if isinstance(listed, dict) else listed
        return next(str(each["until"]) for each in responses if each["target"] == ATTACKER)

    def _respond(self, alerts: str | Path, *options: str) -> Completed:
        path = alerts if isinstance(alerts, Path) else self._repository / "tests/alerts" / alerts
        return self._playbook("respond.yml", "-e", f"riposte_alerts={path}", "-e", f"riposte_policy={self._policy}", *options)

    def _playbook(self, name: str, *options: str) -> Completed:
        return self._lab.ansible("ansible-playbook", f"riposte.active_response.{name.removesuffix('.yml')}", *options)

    @staticmethod
    def _changed(done: Completed) -> int:
        """On how many hosts something changed, by the recap."""
        recap = done.stdout.partition("PLAY RECAP")[2]
        return sum(1 for line in recap.splitlines() if " changed=" in line and " changed=0 " not in line)

    def _sample(self, name: str) -> dict[str, Any]:
        alert: dict[str, Any] = json.loads((self._repository / "tests/alerts" / name).read_text(encoding="utf-8"))
        return alert

    def _guessing(self, user: str, number: str) -> dict[str, Any]:
        alert = self._sample("gen-pam-5503.json")
        return {**alert, "timestamp": stamp(), "id": f"1795492383.200{number}", "data": {**alert["data"], "dstuser": user}}

    @property
    def _brute(self) -> dict[str, Any]:
        """The real alert, raised a moment ago: the webhook takes no old ones."""
        return {**self._sample("gen-sshd-5712-bruteforce.json"), "timestamp": self._moment}

    def _post(self, alerts: object) -> Reply:
        return self.rulebook.post(alerts)

    def _webhook_folder(self) -> Path:
        folder = self._lab.directory / "webhook"
        folder.mkdir()
        (folder / "policy.yml").write_text(self._policy.read_text(encoding="utf-8"), encoding="utf-8")
        self._moment = stamp()
        return folder

    def _alerts(self, alerts: list[dict[str, Any]]) -> Path:
        path = self._lab.directory / "alerts.json"
        path.write_text(json.dumps(alerts), encoding="utf-8")
        return path

    @staticmethod
    def _timed(work: Callable[[], object]) -> float:
        begun = time.monotonic()
        work()
        return time.monotonic() - begun
