# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules promise, and where."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
requirements:
  - Python 3.9 or newer with its sqlite3 module, and root, on the managed host.
notes:
  - The file C(/etc/riposte/disabled) on a host keeps everything new from being put into force there. Releases and ends go on.
"""

    # What runs on the controller, and connects to nothing.
    CONTROLLER = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    platforms: all
    support: full
    details: It runs on the controller and connects to nothing.
"""
