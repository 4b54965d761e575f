# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's engine run on a practice host over ssh, without Ansible: some 0.1 s a call, for tests that need many.

    engine = HostEngine(host)
    engine.respond({"response": "firewall_drop", "targets": ["203.0.113.9"], "timeout": "5s"})["responses"][0]["outcome"]

The answer has the keys of the module respond. What a module adds (arguments, templates, become) is for modules.py to prove.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tests.lab import Host
from tests.lab.lab import REPOSITORY

_ENGINE = REPOSITORY / "plugins/module_utils/host"
_PACKAGE = Path("ansible_collections/riposte/active_response/plugins/module_utils/host")
_PLACE = "/root/engine.zip"


class HostEngine:
    """Copies the engine to a host at first use."""

    def __init__(self, host: Host) -> None:
        self._host = host
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(Path(__file__).with_name("on_host_main.py"), "__main__.py")
            for parent in list(_PACKAGE.parents)[:-1]:
                archive.writestr(str(parent / "__init__.py"), "")
            for path in _ENGINE.rglob("*.py"):
                archive.write(path, _PACKAGE / path.relative_to(_ENGINE))
        host.inside(["sh", "-c", f"base64 -d > {_PLACE}"], input=base64.b64encode(packed.getvalue()).decode())

    def respond(self, *requests: dict[str, Any], check: bool = False) -> dict[str, Any]:
        """Requests as the module respond takes them."""
        return self._call("respond", requests=requests, check=check)

    def drop(self, *targets: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """firewall_drop of some targets."""
        return self.respond({"response": "firewall_drop", "targets": targets, **options}, check=check)

    def release(self, *names: str, check: bool = False) -> dict[str, Any]:
        """What stands under these names."""
        return self._call("release", names=names, check=check)

    def tick(self) -> dict[str, Any]:
        """The periodic job, once."""
        return self._call("tick", check=False)

    def _call(self, what: str, **arguments: Any) -> dict[str, Any]:
        done = self._host.ssh([self._host.python, _PLACE], input=json.dumps({"what": what, **arguments}))
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
