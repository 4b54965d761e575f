# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip script that ansible-test downloads: pip comes from this Python's own ensurepip.

ansible-test makes virtual environments without pip, then runs get-pip in them with `install` options and the
version of pip it wants. The two options that only get-pip knows are about packages which pip does not bring.
"""

from __future__ import annotations

import ensurepip
import os
import runpy
import sys

before = dict(os.environ)
ensurepip.bootstrap(default_pip=True)
# ensurepip turns pip's configuration off for good; a mirror or a certificate set there is needed now.
os.environ.clear()
os.environ.update(before)
sys.argv = ["pip", "install", *(word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
