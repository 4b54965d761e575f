# SPDX-License-Identifier: GPL-3.0-or-later
"""The product doing its job on practice hosts: `./dev demo`."""
