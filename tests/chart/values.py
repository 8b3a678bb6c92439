"""Values of the chart put over one another."""

from __future__ import annotations

from tests.chart.releases import Values


def over(lower: Values, *uppers: Values) -> Values:
    """Return values put over others, as Helm does with several files."""
    merged = dict(lower)
    for upper in uppers:
        for key, value in upper.items():
            below = merged.get(key)
            merged[key] = over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
