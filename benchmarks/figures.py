"""What a benchmark says: figures with their goals, and the machine that they were measured on. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure should be; the goals are those of design.md section 6."""

    least: float = -math.inf
    most: float = math.inf

    def met_by(self, value: float) -> bool:
        """Tell whether a value is within."""
        return self.least <= value <= self.most

    def __str__(self) -> str:
        """Say it as people write it."""
        parts = [f"≥ {self.least:,g}"] if self.least > -math.inf else []
        parts += [f"≤ {self.most:,g}"] if self.most < math.inf else []
        return ", ".join(parts)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    """The same of the bare client, in the same run."""
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.goal is None else self.goal.met_by(self.value)


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark found."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    details: dict[str, Any] = {}
    """What the figures were made of, for whoever looks closer."""
    seconds: float = 0.0
    """How long it took, starting and ending the servers included."""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all values do not exceed; raises without values."""
    if not values:
        message = "nothing was measured: there are no values"
        raise ValueError(message)
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def share(total: int, parts: int, place: int) -> int:
    """Return how much of `total` falls to the part at `place` (from 0) so that all parts make it up exactly."""
    return total * (place + 1) // parts - total * place // parts
