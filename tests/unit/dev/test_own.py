# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of `./dev` find what they are for, and leave alone what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dev import own

HOST = "ansible_collections.riposte.active_response.plugins.module_utils.host"


@pytest.mark.parametrize(
    ("name", "text", "complaints"),
    [
        ("a.py", "# SPDX-License-Identifier: GPL-3.0-or-later\n", 0),
        ("a.py", "# SPDX-License-Identifier: BSD-2-Clause\n", 0),
        ("a.py", "#!/usr/bin/python\n\n\n# SPDX-License-Identifier: GPL-3.0-or-later\n", 0),
        ("a.py", "import os\n", 1),
        ("a.py", "# SPDX-License-Identifier: GPL-3.0-or-laterish\n", 1),
        ("a.py", "# SPDX-License-Identifier: MIT\n", 1),
        ("a.py", "x = 1\n" * 1000 + "# SPDX-License-Identifier: GPL-3.0-or-later\n", 1),
        ("a.py", "", 0),
        ("a.json", "{}", 0),
        ("LICENSE", "GNU GENERAL PUBLIC LICENSE", 0),
        ("picture.png", "\x89PNG\0", 0),
    ],
)
def test_file_without_a_licence_line_is_named(tmp_path: Path, name: str, text: str, complaints: int) -> None:
    (tmp_path / name).write_text(text)
    found = list(own.without_licence(tmp_path, [name]))
    assert len(found) == complaints
    assert all(line.startswith(f"{name}: ") for line in found)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("from __future__ import annotations\nimport os, sqlite3\nfrom collections.abc import Iterable", ""),
        ("from .. import address\nfrom ..guard import Guard\nfrom . import backend", ""),
        ("import os\nos.replace('a', 'b')", ""),
        ("import subprocess", "subprocess"),
        ("from subprocess import run", "subprocess"),
        ("def f():\n    import subprocess", "subprocess"),
        ("import importlib", "importlib"),
        ("import os, ansible.module_utils.basic", "ansible.module_utils.basic"),
        ("from ansible.module_utils.basic import AnsibleModule", "ansible.module_utils.basic"),
        (f"from {HOST} import guard", "relative imports"),
        ("import yaml", "yaml"),
        ("from ... import module", "leads out of"),
        ("from ...alert import policy", "leads out of"),
        ("import os\nos.system('id')", "os.system"),
        ("import os\nos.execvpe('id', [], {})", "os.execvpe"),
        ("from os import path, popen", "os.popen"),
        ("__import__('ansible')", "__import__"),
        ("import (", "not valid Python"),
    ],
)
def test_foreign_import_in_the_engine_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    package = tmp_path / "host"
    (package / "firewall").mkdir(parents=True)
    file = package / "firewall/nftables.py"
    file.write_text(text)
    found = list(own.foreign_imports(package, package))
    assert len(found) == (1 if complaint else 0)
    assert all(complaint in line and line.startswith(f"{file}:") for line in found)


@pytest.mark.parametrize(
    ("text", "everywhere"),
    [
        (f"import pytest\nfrom {HOST} import guard", True),
        (f"import json\nfrom hypothesis import given\nfrom {HOST}.firewall.drop import X\nfrom tests.unit import fakes", True),
        (f"from {HOST.rpartition('.')[0]} import host", True),
        ("import json", False),
        ("import (", False),
        (f"from {HOST} import guard\nimport ansible.errors", False),
        (f"from {HOST} import guard\nimport yaml", False),
        (f"from {HOST} import guard\nfrom tests.dev import own", False),
        (f"from {HOST.replace('host', 'alert')} import policy", False),
        (f"from {HOST}\u0073 import other", False),
    ],
)
def test_engine_tests_are_those_that_run_without_ansible(tmp_path: Path, text: str, everywhere: bool) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(text)
    assert own.engine_tests(tmp_path) == ([file] if everywhere else [])
