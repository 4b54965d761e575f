# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests, the lab they run in, and the developers' tools."""
