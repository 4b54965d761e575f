# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: what runs on a Unix host. Standard library only, no Ansible, no subprocess of its own."""
