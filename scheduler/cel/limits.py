"""What bounds one evaluation: an exact count of what is done, never a clock, so that it ends alike anywhere. Pure."""

from __future__ import annotations

from typing import Any, Final

from scheduler.cel.values import TooCostlyError

MOST_CHARACTERS: Final = 4096
"""Of an expression."""
MOST_LOOPS: Final = 16
"""Macros that loop (all, exists, exists_one, map, filter) in one expression."""
DEEPEST_LOOPS: Final = 2
"""Of these, one within another."""
MOST_COST: Final = 20_000
"""Units that one evaluation may cost: a round of a loop costs the parts that it goes through, work on text and lists
costs by their length, a regular expression by its length times the text's. Without loops little comes near it."""
FAILURE_COST: Final = 25
"""Of a failure that && or || or a loop absorbs: Python takes as long for it as for so many parts."""
MOST_TEXT: Final = 32 * 1024
"""Characters of any text that is put together, and bytes of a result as JSON."""
DEEPEST_VALUE: Final = 64
"""Lists and maps within each other in a value that is compared or given back."""


class Run:
    """One evaluation: what the names mean, and what is left of the budget."""

    __slots__ = ("bound", "left", "names")

    def __init__(self, names: dict[str, Any], left: int = MOST_COST) -> None:
        self.names = names
        self.bound: dict[str, Any] = {}
        self.left = left

    def spend(self, units: int) -> None:
        """Pay for what is about to be done; raises TooCostlyError when the budget does not hold that much."""
        self.left -= units
        if self.left < 0:
            raise TooCostlyError("it takes too many steps; loop over less, or compare less text")
