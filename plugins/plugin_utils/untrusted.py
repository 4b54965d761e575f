# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside stays text: Ansible must never take it for a template."""

from __future__ import annotations

from typing import Any

import ansible.template

# From ansible-core 2.19 on, text is a template only when somebody vouches for it. Before, text is one unless it is marked.
_MARKS = not hasattr(ansible.template, "trust_as_template")


def untrusted(value: Any) -> Any:
    """The same value, with no string in it that Ansible would evaluate."""
    if not _MARKS:
        return value
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var(value)
