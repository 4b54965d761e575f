# SPDX-License-Identifier: GPL-3.0-or-later
"""What of our block a diff may show."""

from __future__ import annotations

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.edit import put, render, text
from ansible_collections.riposte.active_response.plugins.module_utils.ossec.hide import is_secret, sides, values


def block(key: str, address: str = "https://u:pass@h/?a=b@c") -> str:
    integration = {"name": "custom-x", "hook_url": "https://h/T0/B0", "api_key": key, "options": {"a": {"b": "deep"}}}
    return render([{"integration": integration}, {"localfile": {"log_format": "json", "command": f"curl {address}"}}], "riposte")


def test_a_diff_shows_neither_the_old_key_nor_the_new_one_but_that_it_is_new() -> None:
    told = sides(block("old-key"), block("new-key"))
    for side in told.values():
        for secret in ("old-key", "new-key", "T0/B0", "deep", "u:pass", "?a=b"):
            assert secret not in side
        assert "<name>custom-x</name>" in side
        assert "<hook_url>********</hook_url>" in side
        assert "curl https://********@c" in side
    assert "<api_key>********</api_key>" in told["before"]
    assert "<api_key>******** (new)</api_key>" in told["after"]
    assert told["before"].replace("</api_key>", " (new)</api_key>") == told["after"]


def test_a_side_that_is_gone_hides_the_other_all_the_same() -> None:
    told = sides(block("old-key"), "")
    assert (told["after"], "old-key" in told["before"]) == ("", False)


@pytest.mark.parametrize("kept", ['<api_key lang="x">KEY</api_key >', "<!-- <api_key>\nKEY\n</api_key> -->", "<my_token>KEY</my_token>", "ftp://KEY@host"])
def test_what_somebody_wrote_into_the_block_by_hand_is_hidden_too(kept: str) -> None:
    assert "KEY" not in sides(f"<integration>{kept}</integration>", "")["before"]


def test_the_hidden_values_are_found() -> None:
    assert {value.strip() for value in values(block("old-key"))} == {"https://h/T0/B0", "old-key", "<a>\n        <b>deep</b>\n      </a>", "u:pass@h/?a=b"}
    assert list(values("<name>a</name> https://h/x")) == []
    assert is_secret("api_key")
    assert not is_secret("name")


def test_only_our_block_is_told() -> None:
    mine = put(b"<ossec_config><api_key>theirs</api_key></ossec_config>\n", "riposte", [{"a": "b"}])
    assert text(mine, "riposte") == render([{"a": "b"}], "riposte")
    assert text(mine, "another") == ""


def test_a_secret_that_cannot_be_written_is_not_told() -> None:
    with pytest.raises(BadInput, match="integration/api_key: its value, which is secret: Wazuh's configuration cannot hold a <"):
        render([{"integration": {"api_key": "geheim<"}}], "riposte")
    with pytest.raises(BadInput) as refused:
        render([{"integration": {"options": {"deep": "geheim<"}}}], "riposte")
    assert "geheim" not in str(refused.value)
