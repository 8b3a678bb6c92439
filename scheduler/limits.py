"""Limits of time that a run has when nobody names others, and the longest that anybody may name. Pure data."""

from __future__ import annotations

from typing import Final

LONGEST_SECONDS: Final = 8760 * 3600.0
"""Any duration in a workflow: a year. Far longer ones do not fit the times of a state."""


def default_workflow_timeout(steps: int) -> str:
    """Longest time of a run of so many steps when it names none (spec.md section 1)."""
    if steps <= 3:  # noqa: PLR2004
        return "10m"
    return "20m" if steps <= 10 else "45m"  # noqa: PLR2004
