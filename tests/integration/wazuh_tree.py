# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree as a Wazuh 4.14 manager or agent has it, on a practice host: users, modes, configuration, service; Wazuh's programs are stand-ins.

lay_manager(host)                      or with a configuration of its own: lay_manager(host, conf=b"...")
before = snapshot(host)                {"etc/ossec.conf": "f 0660 root:wazuh 5f0c…", ...}; logs without their content, since they grow by themselves
starts(host)                           ["restart"]: what wazuh-control was asked for since the tree was laid
lay_agent(host); put_daemon(host)      wazuh-control, and with it the service, starts and stops the stand-in for wazuh-execd too
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.execd.put import PLACE, put_suite
from tests.lab import Host

HOME = "/var/ossec"
NOTES = "/run/wazuh-stand-in"  # outside the tree, so that a restart leaves no trace in it
EXECD = "/run/wazuh-execd.pid"
DAEMON = Path(__file__).with_name("wazuh_daemon.py")

DEFAULT_MANAGER_CONF = """\
<!--
  Manager: configuration of the practice host
-->

<ossec_config>
  <global>
    <jsonout_output>yes</jsonout_output>
    <alerts_log>yes</alerts_log>
    <email_notification>no</email_notification>
    <agents_disconnection_time>15m</agents_disconnection_time>
  </global>

  <alerts>
    <log_alert_level>3</log_alert_level>
    <email_alert_level>12</email_alert_level>
  </alerts>

  <remote>
    <connection>secure</connection>
    <port>1514</port>
    <protocol>tcp</protocol>
  </remote>

  <global>
    <white_list>127.0.0.1</white_list>
    <white_list>^localhost.localdomain$</white_list>
    <white_list>10.66.0.253</white_list>
  </global>

  <command>
    <name>disable-account</name>
    <executable>disable-account</executable>
    <timeout_allowed>yes</timeout_allowed>
  </command>

  <command>
    <name>firewall-drop</name>
    <executable>firewall-drop</executable>
    <timeout_allowed>yes</timeout_allowed>
  </command>

  <!--
  <active-response>
    active-response options here
  </active-response>
  -->

  <ruleset>
    <!-- the rules that came with it -->
    <decoder_dir>ruleset/decoders</decoder_dir>
    <rule_dir>ruleset/rules</rule_dir>

    <!-- our own -->
    <decoder_dir>etc/decoders</decoder_dir>
    <rule_dir>etc/rules</rule_dir>
  </ruleset>
</ossec_config>

<ossec_config>
  <localfile>
    <log_format>syslog</log_format>
    <location>/var/ossec/logs/active-responses.log</location>
  </localfile>

</ossec_config>
"""

DEFAULT_AGENT_CONF = """\
<!--
  Agent: configuration of the practice host
-->

<ossec_config>
  <client>
    <server>
      <address>10.66.0.250</address>
      <port>1514</port>
      <protocol>tcp</protocol>
    </server>
    <crypto_method>aes</crypto_method>
  </client>

  <!-- Log analysis -->
  <localfile>
    <log_format>syslog</log_format>
    <location>/var/ossec/logs/active-responses.log</location>
  </localfile>

  <!-- Active response -->
  <active-response>
    <disabled>no</disabled>
    <ca_store>etc/wpk_root.pem</ca_store>
    <ca_verification>yes</ca_verification>
  </active-response>
</ossec_config>
"""

EXECUTABLES = (
    "default-firewall-drop disable-account firewall-drop firewalld-drop host-deny ip-customblock ipfw kaspersky npf pf restart-wazuh restart.sh route-null "
    "wazuh-slack"
).split()

RULES = """\
<group name="ossec,">
  <rule id="650" level="0">
    <decoded_as>ar_log_json</decoded_as>
    <description>Messages of active responses</description>
    <group>active_response,</group>
  </rule>

  <rule id="651" level="3">
    <if_sid>650</if_sid>
    <field name="parameters.program">firewall-drop</field>
    <field name="command">add</field>
    <description>Host blocked</description>
    <group>active_response,pci_dss_11.4,</group>
  </rule>
</group>
"""
DECODERS = r"""<decoder name="ar_log_json">
  <prematch>^\d\d\d\d/\d\d/\d\d \d\d:\d\d:\d\d active-response/bin/\S+: </prematch>
</decoder>
"""
LOCAL_RULES = """\
<!-- Local rules -->
<group name="local,syslog,sshd,">
  <rule id="100001" level="5">
    <if_sid>651</if_sid>
    <srcip>192.0.2.1</srcip>
    <description>An example</description>
  </rule>
</group>
"""
LOCAL_DECODERS = """\
<!-- Local decoders -->
<decoder name="local_decoder_example">
  <program_name>local_decoder_example</program_name>
</decoder>
"""

CONTROL = """#!/bin/sh
# Stands in for Wazuh's wazuh-control: notes what it was asked for.
cd "$(dirname "$0")/.." || exit 1
test_daemons() {
    for daemon in wazuh-analysisd wazuh-integratord wazuh-logcollector; do
        if [ -x bin/$daemon ] && ! bin/$daemon -t; then
            echo "$daemon: Configuration error. Exiting"
            exit 1
        fi
    done
}
execd_runs() {
    [ -e EXECD ] && kill -0 "$(cat EXECD)" 2>&-
}
stop_execd() {
    execd_runs || return 0
    kill "$(cat EXECD)"
    while execd_runs; do sleep 0.1; done
}
start_execd() {
    [ -x bin/wazuh-execd ] || return 0
    setsid bin/wazuh-execd <&- >&- 2>&- &
    echo $! > EXECD
}
case "$1" in
start|restart|reload|stop)
    [ "$1" = stop ] || test_daemons
    mkdir -p NOTES
    echo "$1" >> NOTES/TYPE
    [ "$1" = start ] || stop_execd
    [ "$1" = stop ] || execd_runs || start_execd
    ;;
status)
    echo "wazuh-analysisd is running..."
    execd_runs && echo "wazuh-execd is running..."
    ;;
info) printf 'WAZUH_VERSION="v4.14.7"\\nWAZUH_REVISION="rc1"\\nWAZUH_TYPE="TYPE"\\n' ;;
*) echo "Usage: $0 [-j] {start|stop|restart|reload|status|info [-v -r -t]}"; exit 1 ;;
esac
"""

UNIT = """[Unit]
Description=Wazuh {name}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/env {home}/bin/wazuh-control start
ExecStop=/usr/bin/env {home}/bin/wazuh-control stop

[Install]
WantedBy=multi-user.target
"""

# As Wazuh's package has it for hosts without systemd.
INIT_SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides:          wazuh-{name}
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2
# Default-Stop:      0 1 6
# Short-Description: Wazuh {name}
### END INIT INFO
exec {home}/bin/wazuh-control "$1"
"""

LAY = r"""
import base64, grp, json, os, pwd, shutil, subprocess, sys
told = json.load(sys.stdin)
home = told["home"]
if subprocess.run(["getent", "group", "wazuh"], stdout=subprocess.DEVNULL).returncode:
    subprocess.run(["groupadd", "--system", "wazuh"], check=True)
if subprocess.run(["getent", "passwd", "wazuh"], stdout=subprocess.DEVNULL).returncode:
    subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", home, "--shell", "/sbin/nologin", "-g", "wazuh", "wazuh"], check=True)
shutil.rmtree(home, ignore_errors=True)
shutil.rmtree(told["notes"], ignore_errors=True)
for name, owner, mode in told["directories"]:
    path = os.path.join(home, name)
    os.mkdir(path)
    shutil.chown(path, *owner.split(":"))
    os.chmod(path, mode)
for name, owner, mode, content in told["files"]:
    path = os.path.join(home, name)
    with open(path, "wb") as file:
        file.write(base64.b64decode(content))
    shutil.chown(path, *owner.split(":"))
    os.chmod(path, mode)
"""

LOOK = r"""
import grp, hashlib, json, os, pwd, stat, sys
root, seen = sys.argv[1], {}
for folder, folders, files in os.walk(root):
    for name in folders + files:
        path = os.path.join(folder, name)
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        what = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}.get(kind, "?")
        line = f"{what} {stat.S_IMODE(status.st_mode):04o} {pwd.getpwuid(status.st_uid).pw_name}:{grp.getgrgid(status.st_gid).gr_name}"
        short = os.path.relpath(path, root)
        if what == "l":
            line += " " + os.readlink(path)
        elif what == "f" and not (short.startswith("logs/") and name.endswith(".log")):
            with open(path, "rb") as file:
                line += " " + hashlib.sha256(file.read()).hexdigest()
        seen[short] = line
json.dump(seen, sys.stdout)
"""


def lay_manager(host: Host, conf: str | bytes = DEFAULT_MANAGER_CONF) -> None:
    """A manager's tree, in place of any that is there; its service runs."""
    daemon = f"#!{host.python}\n".encode() + DAEMON.read_bytes()
    tree = Tree(conf, "manager")
    for name in ("wazuh-analysisd", "wazuh-integratord", "wazuh-logcollector"):
        tree.file(f"bin/{name}", "root:root", 0o750, daemon)
    for name in ("etc/decoders", "etc/rules", "etc/lists"):
        tree.directory(name, "wazuh:wazuh", 0o770)
    for name in ("ruleset", "ruleset/decoders", "ruleset/rules", "integrations"):
        tree.directory(name, "root:wazuh", 0o750)
    tree.file("etc/rules/local_rules.xml", "wazuh:wazuh", 0o660, LOCAL_RULES)
    tree.file("etc/decoders/local_decoder.xml", "wazuh:wazuh", 0o660, LOCAL_DECODERS)
    tree.file("ruleset/rules/0015-ossec_rules.xml", "root:wazuh", 0o640, RULES)
    tree.file("ruleset/decoders/0010-active-response_decoders.xml", "root:wazuh", 0o640, DECODERS)
    tree.lay(host)
    host.inside([f"{HOME}/bin/wazuh-analysisd", "-t"], check=False)  # writes ar.conf, as at each start of the real one
    _serve(host, "manager")


def lay_agent(host: Host, conf: str | bytes = DEFAULT_AGENT_CONF) -> None:
    """An agent's tree, in place of any that is there; its service runs."""
    Tree(conf, "agent").lay(host)
    _serve(host, "agent")


def put_daemon(host: Host) -> None:
    """The stand-in for wazuh-execd into the tree; it runs from now on, and at boot where the service is."""
    put_suite(host)
    host.put(f"{HOME}/bin/wazuh-execd", f"#!/bin/sh\nexec {host.python} {PLACE}/tests/execd/driver.py {HOME}\n", mode=0o750)
    host.inside(["mkdir", "-p", f"{HOME}/queue/alerts"])
    host.inside([f"{HOME}/bin/wazuh-control", "start"])
    host.inside(["rm", "-rf", NOTES])


def snapshot(host: Host, root: str = HOME) -> dict[str, str]:
    """Everything below a directory: path -> type, mode, owner:group, and the content's hash or the link's target."""
    seen: dict[str, str] = json.loads(host.inside([host.python, "-IS", "-c", LOOK, root]).stdout)
    return seen


def starts(host: Host, kind: str = "manager") -> list[str]:
    """What wazuh-control was asked for since the tree was laid: `start`, `stop`, `restart`; the first start of the service is not told."""
    return host.inside(["sh", "-c", f"cat {NOTES}/{kind} 2>&-"], check=False).stdout.split()


class Tree:
    """What managers and agents both have, and what is added to it."""

    def __init__(self, conf: str | bytes, kind: str) -> None:
        self._directories: list[tuple[str, str, int]] = [("", "root:wazuh", 0o750)]
        self._files: list[tuple[str, str, int, str]] = []
        for name in ("active-response", "active-response/bin", "bin", "queue", "tmp", "var", "var/run"):
            self.directory(name, "root:wazuh", 0o750)
        for name in ("etc", "etc/shared", "logs"):
            self.directory(name, "wazuh:wazuh", 0o770)
        self.file("etc/ossec.conf", "root:wazuh", 0o660, conf)
        self.file("etc/shared/ar.conf", "root:wazuh", 0o640, "restart-ossec0 - restart-ossec.sh - 0\nrestart-wazuh0 - restart-wazuh - 0\n")
        self.file("logs/active-responses.log", "wazuh:wazuh", 0o660, "")
        self.file("logs/ossec.log", "wazuh:wazuh", 0o660, "")
        self.file("bin/wazuh-control", "root:root", 0o750, CONTROL.replace("NOTES", NOTES).replace("TYPE", kind).replace("EXECD", EXECD))
        for name in EXECUTABLES:
            script = f'#!/bin/sh\n# Wazuh\'s own {name}\nread -r line\necho "Wazuh\'s own {name}: $line" >> "$(dirname "$0")/../../logs/active-responses.log"\n'
            self.file(f"active-response/bin/{name}", "root:wazuh", 0o750, script)

    def directory(self, name: str, owner: str, mode: int) -> None:
        self._directories.append((name, owner, mode))

    def file(self, name: str, owner: str, mode: int, content: str | bytes) -> None:
        raw = content.encode() if isinstance(content, str) else content
        self._files.append((name, owner, mode, base64.b64encode(raw).decode()))

    def lay(self, host: Host) -> None:
        told = {"home": HOME, "notes": NOTES, "directories": self._directories, "files": self._files}
        host.inside([host.python, "-IS", "-c", LAY], input=json.dumps(told))


def _serve(host: Host, kind: str) -> None:
    if host.init == "systemd":
        host.put(f"/etc/systemd/system/wazuh-{kind}.service", UNIT.format(name=kind, home=HOME))
        host.inside(["systemctl", "daemon-reload"])
        restart = ["systemctl", "restart", f"wazuh-{kind}.service"]
    else:
        host.put(f"/etc/init.d/wazuh-{kind}", INIT_SCRIPT.format(name=kind, home=HOME), mode=0o755)
        host.inside(["update-rc.d", f"wazuh-{kind}", "defaults"])
        restart = [f"/etc/init.d/wazuh-{kind}", "restart"]
    host.inside(restart, check=False)  # with a configuration that is broken on purpose it does not start
    host.inside(["rm", "-rf", NOTES])
