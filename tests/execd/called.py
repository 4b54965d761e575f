# SPDX-License-Identifier: GPL-3.0-or-later
"""One executable, called as wazuh-execd calls it: in Wazuh's home, a pipe each way, standard input left open."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence


class Called:
    """A running executable. Whatever it does, no call here takes longer than `patience` seconds: then it is killed."""

    def __init__(self, argv: Sequence[str], home: str, patience: float) -> None:
        self.patience = patience
        self.hung = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process; closed by `end`)
        self._process = subprocess.Popen(list(argv), cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._reader: threading.Thread | None = None
        self._watch = threading.Timer(patience, self._give_up)
        self._watch.daemon = True
        self._watch.start()
        self.last = time.monotonic()
        """When something was last said to it."""

    def write(self, data: bytes) -> None:
        """An executable that has gone, or that does not read on, is judged by what it did; it is no error to write to it."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError, ConnectionError, OSError, ValueError):
            self._process.stdin.write(data)
            self._process.stdin.flush()
        self.last = time.monotonic()

    def close(self) -> None:
        """Nothing more comes on its standard input."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError, ConnectionError, OSError):
            self._process.stdin.close()
        self.last = time.monotonic()

    def deafen(self) -> None:
        """Nobody will read its standard output; only before anything has been."""
        assert self._process.stdout
        assert self._reader is None
        self._process.stdout.close()

    def line(self) -> bytes | None:
        """Its next line, None when it has ended its output."""
        self._read()
        return self._lines.get()

    def end(self) -> tuple[int | None, float, list[bytes], str]:
        """Its exit code (None when it had to be killed), the seconds since it was last spoken to, the lines that nobody asked for, its errors."""
        code: int | None = self._process.wait()
        seconds = time.monotonic() - self.last
        self._watch.cancel()
        self.close()
        rest: list[bytes] = []
        if self._process.stdout and not self._process.stdout.closed:
            self._read()
            with contextlib.suppress(queue.Empty):  # a process that it left behind may hold its output open
                while (line := self._lines.get(timeout=self.patience)) is not None:
                    rest.append(line)
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace")
        self._errors.close()
        return (None if self.hung else code), seconds, rest, errors

    def _read(self) -> None:
        if not self._reader:
            self._reader = threading.Thread(target=self._collect, daemon=True)
            self._reader.start()

    def _collect(self) -> None:
        assert self._process.stdout
        with self._process.stdout as stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def _give_up(self) -> None:
        self.hung = True
        self._process.kill()
        self._lines.put(None)
