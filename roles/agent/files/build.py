# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the program `riposte`: one executable archive of the engine's own files, what finds an alert's observables, and the program's. Runs on the controller.

Same sources, same bytes: members are sorted and stored, without dates, owners or anything else of the machine that builds (compressors differ).
"""

from __future__ import annotations

import argparse
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
UTILS = HERE.parents[2] / "plugins/module_utils"
ENGINE = UTILS / "host"
ALERT = ("__init__.py", "alert.py", "observables.py")  # of the rest, policy and plan, a host has no use
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows


def members() -> Iterator[tuple[str, bytes]]:
    """Name and content of every file in the archive."""
    yield "engine/__init__.py", b""  # what the collection calls module_utils
    for folder, prefix in ((ENGINE, "engine/host/"), (HERE / "program", "")):
        for path in folder.rglob("*.py"):
            yield prefix + path.relative_to(folder).as_posix(), path.read_bytes()
    for name in ALERT:
        yield f"engine/alert/{name}", (UTILS / "alert" / name).read_bytes()
    yield "PROTOCOL", protocol().encode()


def protocol() -> str:
    """The number by which a module tells whether the program of a host keeps what it records; read, not imported."""
    found = re.search(r"^PROTOCOL = (\d+)", (ENGINE / "tick.py").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise SystemExit(f"{ENGINE / 'tick.py'}: no line `PROTOCOL = NUMBER` in it")
    return found[1]


def build(target: Path, python: str) -> None:
    """Writes the program. `python`: the interpreter on the host, which is run without site packages or environment variables."""
    if not re.fullmatch(r"/[^\s]{1,100}", python):
        raise SystemExit(f"interpreter {python!r}: it must be an absolute path without spaces, at most 100 characters, as the kernel wants it in a first line")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}")  # several may build the same at once
    with open(part, "wb") as stream:
        stream.write(f"#!{python} -IS\n".encode())
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted(members()):
                member = zipfile.ZipInfo(name, EPOCH)
                member.create_system = 3  # Unix, wherever it is built
                member.external_attr = 0o644 << 16
                archive.writestr(member, data)
    os.chmod(part, 0o755)
    os.replace(part, target)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the program riposte.")
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter on the managed host")
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    build(args.target, args.python)


if __name__ == "__main__":
    main()
