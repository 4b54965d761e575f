# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin: a real ansible-inventory asks a stand-in for Wazuh's API over real HTTPS. It gets all agents, or an error."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.wazuh_api import PASSWORD, USER, Reply, WazuhApi, agent, make_certificates, manager, problem, reply, serving

ROOT = Path(__file__).parents[2]
VENVS = {"newest": ROOT / ".venv", "2.16": ROOT / ".venv-2.16"}
BOTH = pytest.mark.parametrize("core", ["2.16", "newest"])
PLUGIN = {"plugin": "riposte.active_response.wazuh", "timeout": 10}
ALERT = {
    "id": "1795492383.6793", "timestamp": "2026-11-24T10:00:00.000+0000", "location": "x", "data": {"srcip": "203.0.113.9"},
    "rule": {"id": "5712", "level": 10, "description": "brute force", "groups": ["sshd"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory)
    return directory


@pytest.fixture
def api(certificates: Path) -> Iterator[WazuhApi]:
    with serving(WazuhApi([manager(), agent(1), agent(2)]), certificates) as api:
        yield api


@dataclass
class Run:
    rc: int
    stdout: str
    stderr: str

    def inventory(self) -> dict[str, Any]:
        assert self.rc == 0, self.stderr
        return dict(_plain(json.loads(self.stdout[re.search("^{", self.stdout, re.MULTILINE).start() :])))  # type: ignore[union-attr]

    def hosts(self) -> dict[str, dict[str, Any]]:
        return dict(self.inventory()["_meta"]["hostvars"])

    def groups(self) -> dict[str, list[str]]:
        return {name: group["hosts"] for name, group in self.inventory().items() if "hosts" in group and name != "_meta"}

    def said(self) -> str:
        """One line, as Ansible breaks lines where it likes."""
        return " ".join(f"{self.stdout} {self.stderr}".split())


def _plain(value: Any) -> Any:
    """ansible-inventory of core 2.16 shows which text is not to be templated."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


@dataclass
class Controller:
    """Somebody who types ansible-inventory in a directory with a file in it."""

    directory: Path
    certificates: Path
    core: str
    env: dict[str, str] = field(default_factory=dict)
    seen: str = ""  # all that was ever put out

    def source(self, api: WazuhApi | str, name: str = "wazuh.yml", **options: Any) -> Path:
        url = api if isinstance(api, str) else api.url
        known = {**PLUGIN, "url": url, "username": USER, "password": PASSWORD, "ca_path": str(self.certificates / "ca.pem"), **options}
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({key: value for key, value in known.items() if value is not None}))
        return path

    def list(self, source: Path, *words: str) -> Run:
        return self.run("ansible-inventory", "-i", str(source), "--list", *words)

    def run(self, program: str, *words: str) -> Run:
        home = self.directory / "home"
        env = {
            "PATH": f"{VENVS[self.core] / 'bin'}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv/collections"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "10000",
            **self.env,
        }
        command = [str(VENVS[self.core] / "bin" / program), *words]
        done = subprocess.run(command, env=env, cwd=self.directory, capture_output=True, text=True, timeout=120, check=False)
        self.seen += done.stdout + done.stderr
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def controller(tmp_path: Path, certificates: Path, core: str, api: WazuhApi) -> Iterator[Controller]:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/ansible.cfg").write_text("[defaults]\n")
    controller = Controller(tmp_path, certificates, core)
    yield controller
    for secret in (PASSWORD, *api.tokens):
        assert secret not in controller.seen


@BOTH
def test_all_agents_are_hosts_and_their_groups_and_platforms_are_groups(controller: Controller, api: WazuhApi) -> None:
    windows = {"name": "Microsoft Windows Server 2022", "platform": "windows", "version": "10.0.20348", "arch": "x86_64"}
    api.agents = [manager(), *(agent(number) for number in range(1, 1203))]
    api.agents[7] = agent(7, "WIN-7", os=windows, group=["default", "domain-controllers"], ip="2001:DB8:0:0:0:0:0:7")
    api.agents[8] = agent(8, status="never_connected", os=None, group=None, version=None, ip="any")
    run = controller.list(controller.source(api))
    assert run.stderr == ""
    hosts, groups = run.hosts(), run.groups()
    assert len(hosts) == 1202
    assert hosts["WIN-7"] == {
        "wazuh_agent_id": "007",
        "wazuh_agent_name": "WIN-7",
        "wazuh_agent_ip": "2001:db8::7",
        "wazuh_agent_status": "active",
        "wazuh_agent_version": "Wazuh v4.14.1",
        "wazuh_agent_os": windows,
        "wazuh_agent_groups": ["default", "domain-controllers"],
    }
    assert hosts["web8"] == {
        "wazuh_agent_id": "008",
        "wazuh_agent_name": "web8", "wazuh_agent_status": "never_connected", "wazuh_agent_version": "", "wazuh_agent_os": {}, "wazuh_agent_groups": [],
    }  # fmt: skip
    assert hosts["web1200"]["wazuh_agent_id"] == "1200"
    assert groups["wazuh_group_domain_controllers"] == groups["wazuh_platform_windows"] == ["WIN-7"]
    assert sorted(groups) == ["ungrouped", "wazuh_group_default", "wazuh_group_domain_controllers", "wazuh_platform_debian", "wazuh_platform_windows"]
    assert groups["ungrouped"] == ["web8"]
    assert [request.split()[0] for request in api.requests] == ["POST", "GET", "GET", "GET"]
    assert [request.split("offset=")[1].split("&")[0] for request in api.requests[1:]] == ["0", "500", "1000"]
    assert all("registerIP" not in request for request in api.requests)


@BOTH
def test_hostile_names_are_text_and_never_names(controller: Controller, api: WazuhApi) -> None:
    canary = controller.directory / "canary"
    attack = "{{ lookup('pipe', 'touch " + str(canary) + "') }}"
    names = [
        attack, "all", "localhost", "LOCALHOST", "127.0.0.1", "127.1", "web*", "a:b", "../../etc", "-i", "a\nb", "", "wazuh_agent_001",
        "wazuh_group_default", "\u202eevil", "\ud800", "\x1b[2J", "!unsafe x", "x" * 10_000,
    ]  # fmt: skip
    api.agents = [manager(), *(agent(number, name) for number, name in enumerate(names, start=1)), agent(99, "honest")]
    api.agents += [agent(100, "evil-os", os={"platform": attack, "name": attack}, version=attack, status=attack, ip=attack, group=[attack, "all", "\n"])]
    source = controller.source(api, compose={"copy": "wazuh_agent_name", "joined": "wazuh_agent_name ~ '!'"}, strict=True)
    run = controller.list(source)
    hosts = run.hosts()
    assert set(hosts) == {f"wazuh_agent_{number:03}" for number in range(1, len(names) + 1)} | {"honest", "evil-os"}
    assert hosts["wazuh_agent_001"]["wazuh_agent_name"] == hosts["wazuh_agent_001"]["copy"] == attack
    assert all(character not in run.stdout + run.stderr for character in "\x1b\u202e")
    assert set(run.groups()) == {"wazuh_group_default", "wazuh_group_all", "wazuh_platform_debian"}
    assert "001" in run.stderr and "known by their id only" in run.stderr
    assert "no group is made of Wazuh's" in run.stderr

    (controller.directory / "show.yml").write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "tasks": [{"debug": {"msg": "{{ wazuh_agent_name }} {{ copy }} {{ joined }} {{ hostvars[inventory_hostname] }}"}}],
                }
            ]
        )
    )
    shown = controller.run("ansible-playbook", "-i", str(source), "show.yml", "-l", "wazuh_agent_001:evil-os")
    assert shown.rc == 0, shown.said()
    assert "lookup('pipe'" in shown.stdout
    assert not canary.exists()


def _down(_api: WazuhApi) -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{listener.getsockname()[1]}"


def _on(method: str, path: str, make: Callable[[], Reply | None]) -> Callable[[str, str, dict[str, str]], Reply | None]:
    return lambda said, target, _query: make() if (said, target) == (method, path) else None


def _agents(items: object, total: object = None, **more: object) -> Reply:
    length = len(items) if isinstance(items, list) else 0
    return reply(200, {"data": {"affected_items": items, "total_affected_items": length if total is None else total, **more}, "error": 0})


def _of(make: Callable[[], Reply | None]) -> dict[str, Any]:
    return {"before": _on("GET", "/agents", make)}


def _login(make: Callable[[], Reply | None]) -> dict[str, Any]:
    return {"before": _on("POST", "/security/user/authenticate", make)}


HTML = Reply(200, b"<html><body>Wazuh dashboard {{ 7*7 }}</body></html>", "text/html")
# name: (what is wrong with the API, options of the source, what the error says)
FAILURES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "slow": (_of(lambda: Reply(200, b" " * 10, delay=5)), {"timeout": 1}, "GET /agents: no answer: "),
    "one byte now and then": (_of(lambda: Reply(200, b" " * 100, delay=0.4)), {"timeout": 1}, "the answer took longer than the timeout"),
    "slow to let in": (_login(lambda: Reply(200, b" " * 10, delay=5)), {"timeout": 1}, "POST /security/user/authenticate: no answer: "),
    "an error": (_of(lambda: problem(500, "Wazuh Internal Error", "Timeout executing API request", error=3021)), {}, "HTTP status 500: Wazuh Internal Error"),
    "an error in HTML": (_of(lambda: Reply(502, HTML.body, "text/html")), {}, "HTTP status 502: Bad Gateway"),
    "too many requests": (_of(lambda: problem(429, "Maximum number of requests per minute reached", "", error=6001)), {}, "HTTP status 429"),
    "forbidden": (_of(lambda: problem(403, "Permission Denied", "agent:id:*", error=4000)), {}, "403: Permission Denied, agent:id:*, 4000"),
    "HTML": (_of(lambda: HTML), {}, "text/html) is no JSON"),
    "HTML for a token": (_login(lambda: HTML), {}, "text/html) is no JSON"),
    "no token": (_login(lambda: reply(200, {"data": {}, "error": 0})), {}, "the answer has no token"),
    "a token that is a header": (_login(lambda: reply(200, {"data": {"token": "a\r\nX: y"}, "error": 0})), {}, "the answer has no token"),
    "a truncated answer": (_of(lambda: Reply(200, b'{"data": {"affected_items": [{"id": "001"', cut=0)), {}, "is no JSON or was cut short"),
    "a connection cut short": (_of(lambda: Reply(200, _agents([agent(1)]).body, cut=20)), {}, "is no JSON or was cut short"),
    "deep JSON": (_of(lambda: Reply(200, b"[" * 200_000)), {}, "is no JSON or was cut short"),
    "JSON of another kind": (_of(lambda: reply(200, [])), {}, "expected data and no error"),
    "a list without a list": (_of(lambda: _agents({"001": {}})), {}, "has not the list of agents"),
    "a count that is none": (_of(lambda: _agents([agent(1)], total="1")), {}, "has not the list of agents"),
    "a page cut short": (_of(lambda: _agents([agent(1)], total=2)), {}, "incomplete, or changed while it was read, 3 times in a row"),
    "the same agent twice": (_of(lambda: _agents([agent(1), agent(1)])), {}, "incomplete, or changed while it was read, 3 times in a row"),
    "agents that could not be read": (_of(lambda: _agents([agent(1)], total_failed_items=1)), {}, "could not read 1 of its agents"),
    "a failure told with status 200": (_of(lambda: reply(200, {"data": {}, "message": "Cannot do it", "error": 1})), {}, "the API says Cannot do it, 1"),
    "an agent without an id": (_of(lambda: _agents([agent(1) | {"id": None}])), {}, 'an agent has id None, expected text such as "001"'),
    "an agent with a number": (_of(lambda: _agents([agent(1) | {"id": 1}])), {}, 'an agent has id 1, expected text such as "001"'),
    "an agent with a list": (_of(lambda: _agents([agent(1) | {"id": ["001"]}])), {}, "an agent has id ['001'], expected text"),
    "a redirect": (_of(lambda: Reply(302, b"", headers={"Location": "https://attacker.example/"})), {}, "HTTP status 302"),
    "tokens that have expired": ({"lifetime": 0}, {}, "GET /agents: HTTP status 401: Unauthorized, No authorization token provided"),
    "a wrong password": ({}, {"password": "wrong"}, "HTTP status 401: Unauthorized, Invalid credentials; check user 'inventory' and the password"),
    "blocked": ({"failed_logins": 50}, {}, "HTTP status 403: Permission Denied, Limit of login attempts reached"),
    "an unknown authority": ({}, {"ca_path": None}, "no answer: "),
    "no file of authorities": ({}, {"ca_path": "/nonexistent/ca.pem"}, "No such file or directory"),
    "in clear": ({}, {"url": "http://192.0.2.1:55000"}, "the password would travel in clear; use https"),
    "a user in the address": ({}, {"url": f"https://{USER}:{PASSWORD}@127.0.0.1"}, "it has a user name in it"),
    "no address": ({}, {"url": "wazuh.example.com"}, "expected an address such as https://wazuh.example.com:55000"),
    "no password": ({}, {"password": None}, "password"),
    "an option that cannot be": ({}, {"host_from": "register_ip"}, "host_from"),
    "an empty platform prefix": ({}, {"platform_prefix": ""}, "platform_prefix: it is empty"),
    "an expression that fails": ({}, {"strict": True, "compose": {"x": "nothing.at.all"}}, "Could not set x for host web1"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("failure", FAILURES)
def test_anything_but_all_agents_is_an_error(controller: Controller, api: WazuhApi, failure: str) -> None:
    wrong, options, says = FAILURES[failure]
    for name, value in wrong.items():
        setattr(api, name, value)
    run = controller.list(controller.source(api, **options))
    assert run.rc != 0
    assert run.stdout == ""
    assert says in run.said()
    assert "Traceback" not in run.said()


@BOTH
def test_a_playbook_does_not_go_on_with_the_hosts_of_other_sources_when_the_api_is_down(controller: Controller, api: WazuhApi) -> None:
    controller.source(_down(api), "inventory/20-wazuh.yml")
    (controller.directory / "inventory/10-hosts.ini").write_text("other ansible_connection=local\n")
    (controller.directory / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [{"debug": {}}]}]))
    run = controller.run("ansible-playbook", "-i", "inventory", "play.yml")
    assert run.rc != 0
    assert "POST /security/user/authenticate: no answer" in run.said()
    assert "PLAY [" not in run.stdout


@BOTH
def test_a_server_that_sends_secrets_back_gives_none_away(controller: Controller, api: WazuhApi) -> None:
    """The fixture looks for them in all output."""
    given: list[str] = []
    real = api.answer

    def answer(method: str, target: str, authorization: str) -> Reply:
        given.append(authorization)
        return real(method, target, authorization)

    api.answer = answer  # type: ignore[method-assign]
    api.before = _on("GET", "/agents", lambda: problem(500, f"you said {given[-1]}", f"and {given[0]} and {PASSWORD}"))
    run = controller.list(controller.source(api), "-vvvv")
    assert run.rc != 0
    assert "you said Bearer ********" in run.said()
    assert given[0].split()[1] not in run.said()


@BOTH
def test_a_token_that_expires_between_two_pages_is_renewed(controller: Controller, api: WazuhApi) -> None:
    api.agents = [agent(number) for number in range(1, 1101)]

    def before(_method: str, _path: str, query: dict[str, str]) -> Reply | None:
        if query.get("offset") == "500" and len(api.tokens) == 1:
            api.expire_tokens()
        return None

    api.before = before
    assert len(controller.list(controller.source(api)).hosts()) == 1100
    assert [request.split("?")[0] for request in api.requests] == [
        "POST /security/user/authenticate", "GET /agents", "GET /agents", "POST /security/user/authenticate", "GET /agents", "GET /agents",
    ]  # fmt: skip


@BOTH
def test_a_list_that_changes_while_it_is_read_is_read_again(controller: Controller, api: WazuhApi) -> None:
    api.agents = [agent(number) for number in range(1, 602)]

    def before(_method: str, _path: str, query: dict[str, str]) -> Reply | None:
        if query.get("offset") == "500" and len(api.agents) == 601:
            del api.agents[3]
        return None

    api.before = before
    hosts = controller.list(controller.source(api)).hosts()
    assert len(hosts) == 600
    assert "web501" in hosts and "web4" not in hosts


@BOTH
def test_a_manager_older_than_4_4_is_asked_for_a_token_with_get(controller: Controller, api: WazuhApi) -> None:
    api.only_get = True
    assert set(controller.list(controller.source(api)).hosts()) == {"web1", "web2"}
    assert [request.split()[0] for request in api.requests] == ["POST", "GET", "GET"]


@BOTH
def test_an_unverified_connection_must_be_asked_for_and_is_warned_of(controller: Controller, api: WazuhApi) -> None:
    run = controller.list(controller.source(api, ca_path=None, validate_certs=False))
    assert set(run.hosts()) == {"web1", "web2"}
    assert "validate_certs is off" in run.said()


@BOTH
def test_a_client_certificate_is_shown_to_an_api_that_asks_for_one(controller: Controller, certificates: Path) -> None:
    with serving(WazuhApi([agent(1)]), certificates, client_ca=certificates / "ca.pem") as api:
        assert controller.list(controller.source(api)).rc != 0
        options = {"client_cert": str(certificates / "client.pem"), "client_key": str(certificates / "client.key")}
        assert set(controller.list(controller.source(api, **options)).hosts()) == {"web1"}


@BOTH
def test_in_clear_to_this_machine_itself(controller: Controller) -> None:
    with serving(WazuhApi([agent(1)]), None) as api:
        assert set(controller.list(controller.source(api, ca_path=None)).hosts()) == {"web1"}


@BOTH
def test_the_password_comes_from_the_environment_or_a_vault(controller: Controller, api: WazuhApi) -> None:
    source = controller.source(api, username=None, password=None, ca_path=None, url=None)
    controller.env = {
        "WAZUH_API_URL": api.url,
        "WAZUH_API_USERNAME": USER,
        "WAZUH_API_PASSWORD": PASSWORD,
        "WAZUH_API_CA_PATH": str(controller.certificates / "ca.pem"),
    }
    assert len(controller.list(source, "-vvvv").hosts()) == 2

    controller.env = {"ANSIBLE_VAULT_PASSWORD_FILE": str(controller.directory / "key")}
    (controller.directory / "key").write_text("of the vault")
    seen = controller.seen
    encrypted = controller.run("ansible-vault", "encrypt_string", "--name", "password", PASSWORD).stdout
    controller.seen = seen
    source = controller.source(api, password=None)
    source.write_text(f"{source.read_text()}{encrypted}")
    assert "!vault" in source.read_text()
    assert len(controller.list(source, "-vvvv").hosts()) == 2


@BOTH
def test_the_cache_is_used_while_it_is_fresh_and_holds_no_secret(controller: Controller, api: WazuhApi) -> None:
    options = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(controller.directory / "cache"), "cache_timeout": 600}
    source = controller.source(api, **options)
    first = controller.list(source)
    asked = len(api.requests)
    assert controller.list(source).inventory() == first.inventory()
    assert len(api.requests) == asked
    [kept] = list((controller.directory / "cache").iterdir())
    assert "web1" in kept.read_text()
    assert all(secret not in kept.read_text() for secret in (PASSWORD, *api.tokens))

    api.agents.append(agent(3))
    assert set(controller.list(source).hosts()) == {"web1", "web2"}
    (controller.directory / "play.yml").write_text("[{hosts: all}]")
    assert controller.run("ansible-playbook", "-i", str(source), "play.yml", "--list-hosts", "--flush-cache").rc == 0
    assert set(controller.list(source).hosts()) == {"web1", "web2", "web3"}

    # Another manager's agents, or what another user may see, is not what was asked for.
    assert controller.list(controller.source(_down(api), **options)).rc != 0
    assert controller.list(controller.source(api, **options, username="somebody")).rc != 0
    for damaged in ("[]", json.dumps({"whose": [api.url, USER], "agents": [1]})):
        kept.write_text(damaged)
        assert set(controller.list(controller.source(api, **options)).hosts()) == {"web1", "web2", "web3"}


@BOTH
def test_constructed_groups_and_variables(controller: Controller, api: WazuhApi) -> None:
    api.agents += [agent(3, "arch_x86_64"), agent(4, status="disconnected")]
    options = {
        "compose": {"ansible_host": "wazuh_agent_name ~ '.example.com'"},
        "groups": {"gone": "wazuh_agent_status != 'active'"},
        "keyed_groups": [{"prefix": "arch", "key": "wazuh_agent_os.arch"}],
    }
    run = controller.list(controller.source(api, **options))
    assert run.hosts()["web1"]["ansible_host"] == "web1.example.com"
    assert run.groups()["gone"] == ["web4"]
    assert sorted(run.groups()["arch_x86_64"]) == ["wazuh_agent_003", "web1", "web2", "web4"]
    assert "arch_x86_64" not in run.hosts()
    assert "agent 003 'arch_x86_64': known by its id only (a group has this name)" in run.said()


@BOTH
def test_what_earlier_sources_say_about_a_host_stands(controller: Controller, api: WazuhApi) -> None:
    api.agents = [agent(1, "renamed"), agent(2, "db1"), agent(3, "prod"), agent(4), agent(5, ip="192.0.2.99"), agent(6, ip="192.0.2.99")]
    earlier = {
        "web1": {"wazuh_agent_id": "001", "ansible_host": "10.0.0.1"},
        "db1": {"wazuh_agent_id": "044", "ansible_host": "10.0.0.2"},
        "web4": {"ansible_host": "10.0.0.4"},
    }
    controller.source(api, "inventory/20-wazuh.yml", host_from="ip")
    (controller.directory / "inventory/10-hosts.yml").write_text(yaml.safe_dump({"prod": {"hosts": earlier}}))
    run = controller.list(controller.directory / "inventory")
    ids = {name: (said.get("wazuh_agent_id"), said.get("ansible_host")) for name, said in run.hosts().items()}
    assert ids == {
        "web1": ("001", "10.0.0.1"),
        "db1": ("044", "10.0.0.2"),
        "wazuh_agent_002": ("002", "192.0.2.3"),
        "wazuh_agent_003": ("003", "192.0.2.4"),
        "web4": ("004", "10.0.0.4"),
        "web5": ("005", None),
        "web6": ("006", None),
    }
    assert sorted(run.groups()["prod"]) == ["db1", "web1", "web4"]
    assert "002 'db1': known by their id only (a host of this name says another wazuh_agent_id)" in run.said()
    assert "005 'web5', 006 'web6': without ansible_host (another agent reports this address as well)" in run.said()


@BOTH
def test_a_plan_finds_hosts_by_id_and_nobody_for_the_manager_and_its_devices(controller: Controller, api: WazuhApi) -> None:
    api.agents = [manager(), agent(1), agent(2, "twin"), agent(3, "Twin"), agent(8)]
    source = controller.source(api, include_manager=True)
    assert {name: said.get("wazuh_agent_id") for name, said in controller.list(source).hosts().items()} == {
        "wazuh": None, "web1": "001", "wazuh_agent_002": "002", "wazuh_agent_003": "003", "web8": "008",
    }  # fmt: skip
    senders = [("000", "wazuh"), ("001", "web1"), ("002", "twin"), ("008", "web8"), ("009", "twin")]
    alerts = [{**ALERT, "id": f"1795492383.{number}", "agent": {"id": number, "name": name}} for number, name in senders]
    (controller.directory / "alerts.json").write_text("".join(f"{json.dumps(each)}\n" for each in alerts))
    rule = {"name": "ssh", "match": {"rule_ids": ["5712"]}, "responses": [{"response": "firewall_drop", "timeout": "10m"}]}
    (controller.directory / "policy.yml").write_text(yaml.safe_dump({"mode": "enforce", "find_hosts_by_name": True, "rules": [rule]}))
    files = {"alerts": "alerts.json", "policy": "policy.yml"}
    tasks = [
        {"riposte.active_response.plan": files, "register": "it"},
        {"copy": {"content": "{{ it | to_json }}", "dest": f"{controller.directory}/plan.json"}},
    ]
    (controller.directory / "plan.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    run = controller.run("ansible-playbook", "-i", str(source), "plan.yml")
    assert run.rc == 0, run.said()
    plan = json.loads((controller.directory / "plan.json").read_text())
    assert {each["alert_id"].split(".")[1]: each["hosts"] for each in plan["decisions"]} == {
        "000": [], "001": ["web1"], "002": ["wazuh_agent_002"], "008": ["web8"], "009": [],
    }  # fmt: skip
    assert plan["problems"] == []


@BOTH
def test_another_file_is_not_taken_for_a_source(controller: Controller, api: WazuhApi) -> None:
    (controller.directory / "wazuh.yml").write_text("all: {hosts: {other: {}}}\n")
    controller.env = {"ANSIBLE_INVENTORY_ENABLED": "riposte.active_response.wazuh,yaml"}
    assert set(controller.list(controller.directory / "wazuh.yml").inventory()["ungrouped"]["hosts"]) == {"other"}
