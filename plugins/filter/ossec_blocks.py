# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.blocks import blocks


def ossec_blocks(
    responses: Sequence[Mapping[str, Any]],
    integrations: Sequence[Mapping[str, Any]] = (),
    localfiles: Sequence[Mapping[str, Any]] = (),
    first_rule: int = 100900,
) -> list[dict[str, Any]]:
    """What the module ossec_conf takes as `blocks`."""
    for name, value in {"responses": responses, "integrations": integrations, "localfiles": localfiles}.items():
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(each, Mapping) for each in value):
            raise AnsibleFilterError(f"riposte.active_response.ossec_blocks: {name} must be a list of dictionaries")
    try:
        return list(blocks(responses, integrations, localfiles, int(first_rule)))
    except BadInput as bad:
        raise AnsibleFilterError(f"riposte.active_response.ossec_blocks: {bad}") from bad


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"ossec_blocks": ossec_blocks}
