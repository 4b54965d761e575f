# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs this collection, as it is on the controller, for the host that runs the rulebook; prints the archive's SHA-256. Same files, same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[3]
FOLDERS = ("extensions", "meta", "playbooks", "plugins", "roles")
FILES = ("MANIFEST.json", "FILES.json", "galaxy.yml", "LICENSE", "README.md")  # by the first or the third Ansible knows a collection's version


def members() -> Iterator[Path]:
    """The files of the collection that a program needs, in order."""
    for folder in FOLDERS:
        for path in sorted((COLLECTION / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield from (COLLECTION / name for name in FILES if (COLLECTION / name).is_file())


def pack() -> bytes:
    """A compressed archive without dates and owners."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in members():
            member = tarfile.TarInfo(f"ansible_collections/riposte/active_response/{path.relative_to(COLLECTION).as_posix()}")
            data = path.read_bytes()
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def main(target: Path) -> None:
    data = pack()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}")  # several may pack at once
    part.write_bytes(data)
    os.replace(part, target)
    sys.stdout.write(hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
