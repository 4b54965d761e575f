# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: one strict reader, one canonical spelling."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from typing import NamedTuple

from .errors import BadInput, shown

LONGEST = 64
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}\Z", re.ASCII)
_ALPHABET = re.compile(r"[0-9A-Fa-f:./]+\Z")


class Network(NamedTuple):
    """A network, or a single address (its prefix as long as the address has bits)."""

    text: str
    version: int
    low: int
    prefix: int

    @property
    def bits(self) -> int:
        return 32 if self.version == 4 else 128

    @property
    def high(self) -> int:
        return self.low | ((1 << (self.bits - self.prefix)) - 1)

    @property
    def single(self) -> bool:
        return self.prefix == self.bits

    @property
    def address(self) -> str:
        """The network's first address, without the prefix length."""
        return self.text.partition("/")[0]


@lru_cache(maxsize=8)  # the guard reads again what was read a moment ago
def parse_network(value: str) -> Network:
    """Reads ``203.0.113.9``, ``10.0.0.0/8``, ``2001:db8::1``, ``2001:db8::/32``.

    IPv6 may be spelled in any way RFC 4291 allows and comes back as RFC 5952 has it; an IPv4-mapped address or network
    comes back as IPv4. Refused, with the rule named: anything a resolver or an old inet_aton would guess at (``1``, ``0x7f.1``, ``010.0.0.1``),
    zone ids, host bits in a network, netmasks, /0.
    """
    if _IPV4.match(value):  # by far the most, so by the shortest way
        return Network(value, 4, int.from_bytes(socket.inet_aton(value), "big"), 32)
    if not value:
        raise _bad(value, "it is empty")
    if len(value) > LONGEST:
        raise _bad(value, f"it is longer than {LONGEST} characters")
    if not _ALPHABET.match(value):
        rule = "an address with a zone id is no target" if "%" in value else "it is not an address or network"
        raise _bad(value, rule)
    text, slash, length = value.partition("/")
    version, low = _address(value, text)
    bits = 32 if version == 4 else 128
    prefix = _prefix(value, length, bits) if slash else bits
    if version == 6 and low >> 32 == 0xFFFF and prefix >= 96:
        version, low, prefix, bits = 4, low & 0xFFFFFFFF, prefix - 96, 32
    if prefix == 0:
        raise _bad(value, "a network of prefix length 0 is everybody")
    if low & ((1 << (bits - prefix)) - 1):
        raise _bad(value, f"it has bits set behind its prefix length; for the network say {_text(version, _masked(low, bits, prefix), prefix)}")
    return Network(_text(version, low, prefix), version, low, prefix)


def _bad(value: str, rule: str) -> BadInput:
    return BadInput(f"address {shown(value)}: {rule}")


def _address(value: str, text: str) -> tuple[int, int]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _bad(value, "it is not an address or network (IPv4 as four decimal numbers of 0 to 255 without leading zeros, or IPv6)") from None
    if address.version == 4 and not _IPV4.match(text):  # Python before 3.9.5 took leading zeros
        raise _bad(value, "an IPv4 address has four decimal numbers without leading zeros")
    return address.version, int(address)


def _prefix(value: str, length: str, bits: int) -> int:
    if not (length.isascii() and length.isdigit()) or (length != "0" and length[0] == "0") or int(length) > bits:
        raise _bad(value, f"the prefix length must be a number from 1 to {bits}")
    return int(length)


def _masked(low: int, bits: int, prefix: int) -> int:
    return low >> (bits - prefix) << (bits - prefix)


def _text(version: int, low: int, prefix: int) -> str:
    address = ipaddress.IPv4Address(low) if version == 4 else ipaddress.IPv6Address(low)
    return str(address) if prefix == address.max_prefixlen else f"{address}/{prefix}"
