# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of Wazuh as people have them: `*.conf` can be read, `broken/*.conf` cannot; expected.json says what becomes of each.

Some are the same text with other bytes. They are made here, for checks of source text take no Windows line ends.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def readable() -> dict[str, bytes]:
    """Every configuration that can be read, by its name."""
    found = {path.stem: path.read_bytes() for path in sorted(HERE.glob("*.conf"))}
    plain = found["several_roots"]
    return {
        **found,
        "windows_line_ends": plain.replace(b"\n", b"\r\n"),
        "mixed_line_ends": plain.replace(b"\n", b"\r\n", 7),
        "byte_order_mark": b"\xef\xbb\xbf" + plain,
        "no_final_line_end": plain.rstrip(b"\n"),
        "latin_1": plain.replace(b"between", "z\xe4h".encode("latin-1")),
    }


def broken() -> dict[str, bytes]:
    """What no program should guess at, by its name."""
    return {path.stem: path.read_bytes() for path in sorted(HERE.glob("broken/*.conf"))}
