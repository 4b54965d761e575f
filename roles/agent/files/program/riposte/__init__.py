# Copyright: riposte.active_response contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program `riposte`: what a managed host's owner and its tick run. The engine beside it does the work."""
