# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert -> observables -> policy -> responses per host. Pure functions for the controller: no file, no network, no Ansible."""

from __future__ import annotations
