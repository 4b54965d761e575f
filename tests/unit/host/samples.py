# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a Linux host as its kernel and its owner wrote them, to be laid below a root directory.

The tables of /proc/net are what Linux 6.18 showed in a network namespace with: eth0 192.0.2.10/24 and .11, 2001:db8:1::10/64; eth1 203.0.113.66/31 and
fd00:5::10/64; lo 198.51.100.5/32; gateways 192.0.2.1, 192.0.2.2, fe80::1, 2001:db8:1::1, in a table of its own fd00:5::1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FIB_TRIE = """\
Id 100:
  |-- 0.0.0.0
     /0 universe UNICAST
Main:
  +-- 0.0.0.0/0 3 0 6
     +-- 0.0.0.0/4 2 0 2
        |-- 0.0.0.0
           /0 universe UNICAST
        +-- 10.0.0.0/9 3 1 5
           |-- 10.20.0.0
              /16 universe UNICAST
           |-- 10.66.0.0
              /16 universe BLACKHOLE
     +-- 192.0.0.0/4 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 203.0.113.66
           /31 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 192.0.0.0/4 2 0 1
        +-- 192.0.2.0/24 2 0 2
           +-- 192.0.2.10/31 1 0 0
              |-- 192.0.2.10
                 /32 host LOCAL
              |-- 192.0.2.11
                 /32 host LOCAL
           |-- 192.0.2.255
              /32 link BROADCAST
        |-- 198.51.100.5
           /32 host LOCAL
        |-- 203.0.113.66
           /32 host LOCAL
"""
# the kernel's own address where there are no rules: one table, an address among other routes of the same number
FIB_TRIE_MERGED = """\
Main:
  +-- 0.0.0.0/0 3 0 4
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 10.5.0.0
        /32 link BROADCAST
        /24 link UNICAST
     |-- 10.5.0.1
        /32 host LOCAL
        /32 link UNICAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
  +-- 0.0.0.0/0 3 0 4
     |-- 10.5.0.1
        /32 host LOCAL
        /32 link UNICAST
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fd000005000000000000000000000010 05 40 00 82     eth1
20010db8000100000000000000000010 03 40 00 82     eth0
fe80000000000000b41be1fffe75912e 03 40 20 c0     eth0
"""
ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0                                                                               
eth0\t0000140A\t020200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0                                                                               
eth1\t0000280A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0                                                                               
eth0\t0000290A\t00000000\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0                                                                               
*\t0000420A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0                                                                                  
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0                                                                               
"""  # noqa: W291  as the kernel pads it
_ZERO = "00000000000000000000000000000000"
IPV6_ROUTE = f"""\
{_ZERO} 00 {_ZERO} 00 fd000005000000000000000000000001 00000400 00000001 00000000 00000003     eth1
20010db8000100000000000000000000 40 {_ZERO} 00 {_ZERO} 00000100 00000002 00000000 00000001     eth0
20010db8000900000000000000000000 30 {_ZERO} 00 20010db8000100000000000000000001 00000400 00000001 00000000 00000003     eth0
{_ZERO} 00 {_ZERO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000001 80 {_ZERO} 00 {_ZERO} 00000000 00000003 00000000 80200001       lo
20010db8000100000000000000000010 80 {_ZERO} 00 {_ZERO} 00000000 00000002 00000000 80200001     eth0
ff000000000000000000000000000000 08 {_ZERO} 00 {_ZERO} 00000100 00000003 00000000 00000001     eth0
{_ZERO} 00 {_ZERO} 00 {_ZERO} ffffffff 00000001 00000000 00200200       lo
"""
TCP_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
RESOLV = """\
# made by hand
search example
nameserver 127.0.0.53
 nameserver 198.51.100.53
nameserver\t2001:db8:53::53   # the other
nameserver fe80::53%eth0
options edns0
#nameserver 203.0.113.53
"""
RESOLVED = "nameserver 198.51.100.54\n"
OSSEC = """\
<ossec_config>
  <client>
    <server>
      <address>198.51.100.14</address>
      <port>1514</port>
      <protocol>tcp</protocol>
    </server>
    <server><address> manager.example </address></server>
  </client>
  <wodle name="x"><address>203.0.113.13</address></wodle>
</ossec_config>
"""
HOSTS = "127.0.0.1 localhost\n198.51.100.15 manager manager.example # the manager\n203.0.113.99 other.example\n"
PASSWD = """\
root:x:0:0:root:/root:/bin/bash
toor:x:0:0:root too:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
www-data2:x:600:600::/:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
opal:x:1000:100:Opal:/home/opal:/bin/bash
mallory:x:1001:100:Mallory,,,:/home/mallory:/bin/bash
wim:x:1002:10::/home/wim:/bin/bash
dora:x:1003:100::/home/dora:/bin/bash
dana:x:1004:100::/home/dana:/bin/bash
deploy:x:1005:100::/home/deploy:/bin/bash
zoe:x:1006:100::/home/zoe:/bin/bash
wazuh:x:998:998::/var/ossec:/sbin/nologin
+nis:x:::::
broken line
"""
GROUP = """\
root:x:0:
wheel:x:10:
sudo:x:27:opal
people:x:100:
docker:x:997:dora
dba:x:996:dana
broken line
"""


def proc_address(text: str, port: int) -> str:
    """As /proc/net/tcp words it on a little-endian machine."""
    import ipaddress

    packed = ipaddress.ip_address(text).packed
    words = [packed[at : at + 4][::-1] for at in range(0, len(packed), 4)]
    return "".join(word.hex().upper() for word in words) + f":{port:04X}"


def tcp_line(local: tuple[str, int], remote: tuple[str, int], state: str = "01", uid: int = 0) -> str:
    return f"   0: {proc_address(*local)} {proc_address(*remote)} {state} 00000000:00000000 00:00000000 00000000 {uid:5d}        0 12345 1 0 20 4 30 10 -1\n"


def furnish(root: Path, more: Mapping[str, str] | None = None) -> None:
    """Lays the files below a root, and more or others by path."""
    files = {
        "proc/net/fib_trie": FIB_TRIE,
        "proc/net/if_inet6": IF_INET6,
        "proc/net/route": ROUTE,
        "proc/net/ipv6_route": IPV6_ROUTE,
        "proc/net/tcp": TCP_HEAD,
        "proc/net/tcp6": TCP_HEAD,
        "etc/resolv.conf": RESOLV,
        "run/systemd/resolve/resolv.conf": RESOLVED,
        "var/ossec/etc/ossec.conf": OSSEC,
        "etc/hosts": HOSTS,
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        **(more or {}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
