# SPDX-License-Identifier: GPL-3.0-or-later
"""What `./dev` does. Standard library only: it has to run before anything is installed."""
