# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to practise on: see README.md."""

from __future__ import annotations

from .host import Host, Session
from .lab import Lab
from .node import Listener, Node, Peer, Stream
from .system import Completed, LabError, wait_for

__all__ = ["Completed", "Host", "Lab", "LabError", "Listener", "Node", "Peer", "Session", "Stream", "wait_for"]
