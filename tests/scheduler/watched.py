"""What was seen of a run so far, kept apart from its state: what the guarantees are held against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

OPEN = frozenset({"pending", "executing", "waiting_retry"})
"""Phases of a step, a dry run or a rollback that has not ended."""


@dataclass
class Watched:
    """What was seen of a run so far, kept apart from its state."""

    run: str = ""
    steps: dict[int, str] = field(default_factory=dict)
    announced: int = 0
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Of each purpose and step."""
    asked_again: Counter[int] = field(default_factory=Counter)
    """How often a person had a step tried again."""
    begun: set[int] = field(default_factory=set)
    """Steps that were considered and found to be run."""
    given_up: set[tuple[str, int, int]] = field(default_factory=set)
    """Purpose, step and attempt of executions whose end was wanted and whose creation was not seen."""
    deleted: Counter[str] = field(default_factory=Counter)
    released: Counter[str] = field(default_factory=Counter)
    audits: dict[str, int] = field(default_factory=dict)
    """Questions to the audit, with when they were asked."""
