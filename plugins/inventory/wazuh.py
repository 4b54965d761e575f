# Copyright: riposte.active_response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: wazuh
short_description: The agents of a Wazuh manager as an inventory
version_added: 0.1.0
author:
  - riposte.active_response contributors (@riposte)
description:
  - Asks the API of a Wazuh manager (4.x) for its agents and makes a host of each, with its agent id in C(wazuh_agent_id), by which
    M(riposte.active_response.plan) finds the host that an alert is about.
  - The groups of Wazuh and the agents' platforms become groups of the inventory.
  - Where the API is down, slow, refuses, or answers with less than all its agents, this is an error that ends the run, whatever
    C(ansible.cfg) says about sources that cannot be parsed. It is never an inventory without hosts.
  - The source is a YAML file whose name ends in C(wazuh.yml) or C(wazuh.yaml).
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Says that this file is for this plugin.
    type: str
    required: true
    choices: [riposte.active_response.wazuh]
  url:
    description:
      - The address of the API, such as V(https://wazuh.example.com:55000).
      - V(http) is taken for this machine itself only, because a password travels there.
    type: str
    required: true
    env:
      - name: WAZUH_API_URL
  username:
    description: A user of the API. It needs the permission C(agent:read) for the agents that shall be in the inventory, and no other.
    type: str
    required: true
    env:
      - name: WAZUH_API_USERNAME
  password:
    description: The user's password. In the file it belongs in Ansible Vault.
    type: str
    required: true
    env:
      - name: WAZUH_API_PASSWORD
  ca_path:
    description:
      - A file with the certificates of the authorities that may vouch for the API, in PEM format. Without it those of the system count.
      - Wazuh makes a certificate that vouches for itself when it is installed; that one can be named here as well, where the address in O(url)
        is among its names.
    type: path
    env:
      - name: WAZUH_API_CA_PATH
  validate_certs:
    description: V(false) gives the password, and the choice of who the hosts are, to whoever sits between here and the manager.
    type: bool
    default: true
  client_cert:
    description: A certificate to show to the API, in PEM format, where it asks for one (C(use_ca)). It can hold the key as well.
    type: path
  client_key:
    description: The key of O(client_cert), in PEM format.
    type: path
  timeout:
    description: After how many seconds without a whole answer the API counts as down. There is one answer for each 500 agents.
    type: int
    default: 30
  name_from:
    description:
      - What hosts are called.
      - V(name) is the agent's name. Where that is no safe host name (a pattern, a path, a number, V(localhost), the name of a group), and where two
        agents have the same name, the host is called after its id, as in C(wazuh_agent_007), and a warning says so.
      - V(id) calls all hosts after their ids. Who may enrol an agent chooses its name, and Ansible connects to a host by its name where nothing else is
        said; with V(id) it connects only where O(host_from), O(compose), or your own C(host_vars) say an address.
      - A host of an earlier source that says the same C(wazuh_agent_id) is that agent, whatever it is called.
    type: str
    choices: [name, id]
    default: name
  host_from:
    description:
      - What C(ansible_host) is set to. A host that has one from an earlier source keeps it.
      - V(none) sets none.
      - V(name) is the agent's name, unless it is no safe host name or two agents have it.
      - V(ip) is the address that the agent reports, where it is or was connected. What it was registered with (V(any), a network) is never taken, nor is an
        address of loopback, multicast, or link-local, nor one that two agents report.
    type: str
    choices: [none, name, ip]
    default: none
  group_prefix:
    description:
      - What comes before the name of a Wazuh group to make the name of a group. Characters that Ansible does not want there become underscores.
      - Where two Wazuh groups would become one, neither does, and a warning says so.
    type: str
    default: wazuh_group_
  platform_prefix:
    description: What comes before an agent's platform (C(os.platform), such as V(ubuntu) or V(windows)) to make the name of a group. It cannot be empty.
    type: str
    default: wazuh_platform_
  statuses:
    description: Only agents of these statuses. By default all.
    type: list
    elements: str
    choices: [active, disconnected, never_connected, pending]
    default: []
  include_manager:
    description:
      - Whether agent 000, which is the manager itself, becomes a host.
      - That host says no C(wazuh_agent_id), because alerts about devices that log to the manager carry 000 as well, and would act on the manager. Where you
        want just that, say C(wazuh_agent_id) yourself.
    type: bool
    default: false
notes:
  - A host has C(wazuh_agent_id), C(wazuh_agent_name), C(wazuh_agent_status), C(wazuh_agent_version) and C(wazuh_agent_ip), each text,
    C(wazuh_agent_groups), a list, and C(wazuh_agent_os) with V(name), V(platform), V(version) and V(arch) as far as they are known.
    There is no C(wazuh_agent_ip) where the API gives no address that the agent itself reported.
  - All that comes from the API is data. Ansible never evaluates it, and no name of a host or group has characters that mean something in a pattern.
  - In the cache are the agents as the API gave them, no password and no token.
  - The API shows a user the agents that the user may read, and does not say that there are others. Give the user all agents that may be acted on.
  - Tested against a stand-in that follows the API's documentation, not against a manager.
seealso:
  - module: riposte.active_response.plan
"""

EXAMPLES = r"""
# inventory/10-wazuh.yml: hosts are called as their agents are
plugin: riposte.active_response.wazuh
url: https://wazuh.example.com:55000
username: inventory # and WAZUH_API_PASSWORD in the environment
ca_path: /etc/pki/wazuh-ca.pem

---
# inventory/wazuh.yml: addresses as the agents report them, only agents that are connected now
plugin: riposte.active_response.wazuh
url: https://wazuh.example.com:55000
username: inventory
password: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  ...
host_from: ip
statuses: [active]
# Ask the manager at most every ten minutes
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/wazuh-inventory
cache_timeout: 600

---
# inventory/20-wazuh.yml: names chosen by you. inventory/10-hosts.yml is read before and says wazuh_agent_id: "007" for the host called web1;
# agent 007 is then web1, with your address for it and Wazuh's groups
plugin: riposte.active_response.wazuh
url: https://wazuh.example.com:55000
username: inventory
name_from: id
groups:
  # agents older than 4.10
  outdated: wazuh_agent_version is search('v4\.[0-9]\.')
compose:
  ansible_connection: "'winrm' if wazuh_agent_os.platform == 'windows' else 'ssh'"
keyed_groups:
  - prefix: arch
    key: wazuh_agent_os.arch
"""

from collections.abc import Iterable
from typing import Any

import ansible.constants
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput, Problem, shown
from ansible_collections.riposte.active_response.plugins.plugin_utils.untrusted import untrusted
from ansible_collections.riposte.active_response.plugins.plugin_utils.wazuh_agents import Before, Fleet, Host, Wanted, id_name, make_fleet, read_agents
from ansible_collections.riposte.active_response.plugins.plugin_utils.wazuh_api import Api, Settings

NAMES = ("wazuh.yml", "wazuh.yaml")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "riposte.active_response.wazuh"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(NAMES)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        # When this fails, Ansible would go on with the hosts of other sources, or with none: a run that does nothing and ends well.
        settings = ansible.constants
        as_configured, settings.INVENTORY_ANY_UNPARSED_IS_FAILED = settings.INVENTORY_ANY_UNPARSED_IS_FAILED, True
        try:
            self._read_config_data(path)
            self._fill(path, cache)
        except Problem as problem:
            raise AnsibleParserError(str(problem)) from problem
        settings.INVENTORY_ANY_UNPARSED_IS_FAILED = as_configured

    def _fill(self, path: str, cache: bool) -> None:
        """Nothing goes into the inventory before all of it is known and checked."""
        earlier = frozenset(self.inventory.hosts)
        fleet = self._fleet(path, cache)
        for line in fleet.warnings:
            self.display.warning(f"Wazuh: {line}")
        for host in fleet.hosts:
            self._add(host)
        self._rename_what_groups_are_called([host for host in fleet.hosts if host.name not in earlier])

    def _fleet(self, path: str, cache: bool) -> Fleet:
        agents = read_agents(self._agents(path, cache))
        if not agents:
            self.display.warning(f"Wazuh: the API shows user {shown(self.get_option('username'))} no agent at all; may it read them (agent:read)?")
        wanted = Wanted(
            name_from=self.get_option("name_from"),
            host_from=self.get_option("host_from"),
            group_prefix=self.get_option("group_prefix"),
            platform_prefix=self.get_option("platform_prefix"),
            statuses=tuple(self.get_option("statuses")),
            include_manager=self.get_option("include_manager"),
        )
        said = {name: host.vars.get("wazuh_agent_id") for name, host in self.inventory.hosts.items()}
        return make_fleet(agents, wanted, Before(said, set(self.inventory.groups)))

    def _agents(self, path: str, cache: bool) -> list[dict[str, Any]]:
        """From the cache, where it is on and knows the agents of this API as this user sees them."""
        settings = self._settings()
        use_cache, key, whose = self.get_option("cache"), self.get_cache_key(path), [settings.url, settings.username]
        if use_cache and cache:
            try:
                kept = self._cache[key]
                if kept["whose"] == whose and isinstance(kept["agents"], list) and all(isinstance(agent, dict) for agent in kept["agents"]):
                    return list(kept["agents"])
            except (KeyError, TypeError):
                pass  # not there, expired, or not ours: the API is asked
        agents: list[dict[str, Any]] = Api(settings).agents()
        if use_cache:
            self._cache[key] = {"whose": whose, "agents": agents}
        return agents

    def _settings(self) -> Settings:
        options = ("url", "username", "password", "timeout", "ca_path", "validate_certs", "client_cert", "client_key")
        settings = Settings(**{option: self.get_option(option) for option in options})
        if settings.timeout < 1:
            raise BadInput(f"timeout: it is {settings.timeout}, expected a number of seconds from 1 on")
        if not settings.validate_certs:
            self.display.warning("Wazuh: validate_certs is off: nobody knows whether this is the manager, and the password may be read on its way")
        return settings

    def _add(self, host: Host) -> None:
        self.inventory.add_host(host.name)
        variables = host.agent.variables()
        if host.ansible_host and "ansible_host" not in self.inventory.hosts[host.name].vars:
            variables["ansible_host"] = host.ansible_host
        for name, value in variables.items():
            self.inventory.set_variable(host.name, name, untrusted(value))
        for group in host.groups:
            self.inventory.add_child(self.inventory.add_group(group), host.name)
        known = self.inventory.hosts[host.name].get_vars()
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), known, host.name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), known, host.name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, host.name, strict=strict)

    def _rename_what_groups_are_called(self, hosts: Iterable[Host]) -> None:
        """What keyed_groups and groups call their groups is known only now."""
        for host in hosts:
            if host.name in self.inventory.groups:
                self.display.warning(f"Wazuh: agent {host.agent.id} {shown(host.agent.name)}: known by its id only (a group has this name)")
                self.inventory.remove_host(self.inventory.hosts[host.name])
                host.name = id_name(host.agent)
                self._add(host)
