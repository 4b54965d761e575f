# SPDX-License-Identifier: GPL-3.0-or-later
"""A busy machine is no error: what tests with generated inputs may take is not timed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
