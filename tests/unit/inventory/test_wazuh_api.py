# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of the API: never one that gives the password away. What the API answers is tested over HTTPS, in tests/integration/test_inventory.py."""

from __future__ import annotations

import pytest

from ansible_collections.riposte.active_response.plugins.module_utils.host.errors import BadInput
from ansible_collections.riposte.active_response.plugins.plugin_utils.wazuh_api import Settings, checked_url

GOOD = {
    "https://wazuh.example.com:55000": "https://wazuh.example.com:55000",
    "https://wazuh.example.com:55000/": "https://wazuh.example.com:55000",
    "https://[2001:db8::1]:55000": "https://[2001:db8::1]:55000",
    "https://proxy.example.com/wazuh/": "https://proxy.example.com/wazuh",
    "http://127.0.0.1:55000": "http://127.0.0.1:55000",
    "http://localhost:55000": "http://localhost:55000",
    "http://[::1]:55000": "http://[::1]:55000",
}
BAD = [
    "", "wazuh", "wazuh:55000", "//wazuh", "https://", "https:///x", "ftp://wazuh", "file:///etc/passwd",
    "http://wazuh.example.com", "http://127.0.0.1.example.com", "https://wazuh:port", "https://wazuh:99999",
    "https://wazuh?x=1", "https://wazuh#x", "https://wazuh\n", "https://wa zuh", "https://user@wazuh",
    "https://u:p@wazuh", "https://[::1", "http://127.0.0.1:1@example.com",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_a_good_address(url: str) -> None:
    assert checked_url(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_a_bad_address(url: str) -> None:
    with pytest.raises(BadInput, match=r"^url"):
        checked_url(url)


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(BadInput) as caught:
        checked_url("https://me:secret@wazuh")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Settings("https://wazuh", "me", "secret", 10))
