"""The matrix as data: every effect of every service, what happens at it, at which passing."""

from __future__ import annotations

import random
from typing import Final

import msgspec

from runtime.failpoint_sites import EFFECTS
from tests.failpoints.plays import CANCELLED, EVERYTHING, OVERDUE, POISON, REFUSED, UNREADABLE, Play

HITS: Final = (1, 2, 3)
FAULTS: Final = ("before=crash", "after=crash", "after=lost")
"""(F1) before the write; (F2, F3) after it and before anybody could act on the answer; (F16, F31, F46) no answer."""
LONG_LOST: Final = "after=lost(6)"
"""For publishes: their repeats within the time limit are lost as well, so that the caller is told of it."""

_PLAYS: Final[dict[str, Play]] = {
    "publish.timer.due": OVERDUE,
    "publish.deadletter": UNREADABLE,
    "term.scheduler": POISON,
    "term.announcer": UNREADABLE,
    "term.bridge": UNREADABLE,
    "delete.kubernetesexecutions": CANCELLED,
    "commit.quarantine": REFUSED,
}


class Cell(msgspec.Struct, frozen=True):
    """One place of the matrix."""

    service: str
    effect: str
    fault: str
    """Moment and kind, as in the order of a failpoint."""
    hit: int

    @property
    def order(self) -> str:
        """What the service is told."""
        return f"{self.service}.{self.effect}.{self.fault}@{self.hit}"

    @property
    def play(self) -> Play:
        """What passes the site."""
        return _PLAYS.get(self.effect, EVERYTHING)

    @property
    def dies(self) -> bool:
        """Whether the process ends by it."""
        return self.fault.endswith("crash")


def faults(effect: str) -> list[str]:
    """Everything that can happen at an effect."""
    published = effect.startswith(("publish.", "put."))
    return [*FAULTS, LONG_LOST] if published else list(FAULTS)


def matrix() -> list[Cell]:
    """Every cell, first passings first; answers that are lost for long only there."""
    cells = [
        Cell(service, effect, fault, hit)
        for service, effects in EFFECTS.items()
        for effect in effects
        for fault in faults(effect)
        for hit in (HITS if fault != LONG_LOST else HITS[:1])
    ]
    return sorted(cells, key=lambda cell: cell.hit)


def drawn(seed: int) -> list[Cell]:
    """One cell of every effect."""
    draw = random.Random(seed)  # noqa: S311 - a draw that can be repeated
    by_effect: dict[tuple[str, str], list[Cell]] = {}
    for cell in matrix():
        by_effect.setdefault((cell.service, cell.effect), []).append(cell)
    return [draw.choice(cells) for cells in by_effect.values()]
