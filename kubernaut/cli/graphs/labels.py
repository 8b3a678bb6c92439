"""The words on a drawn step, the same in every form. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

from kubernaut.cli.planned import PlannedStep, PlanView, seconds

NAME_LIMIT: Final = 60
"""Characters of a name in a picture; the rest is cut."""
_WIDE: Final = frozenset("WF")


def title(step: PlannedStep) -> str:
    """Return number and name; the action stands in for a name that is missing."""
    return f"{step.number} {cut(one_line(step.name) or step.action, NAME_LIMIT)}"


def subtitle(step: PlannedStep) -> str:
    """Return action and typical duration."""
    return f"{step.action}, {seconds(step.typical_seconds)}"


def headline(view: PlanView) -> str:
    """Return what the plan is as a whole, in one line."""
    count = f"{len(view.steps)} steps" if len(view.steps) != 1 else "1 step"
    waves = f"{len(view.waves)} waves" if len(view.waves) != 1 else "1 wave"
    return f"{view.strategy}: {count} in {waves}, typically {seconds(view.estimated_seconds)}"


def one_line(text: str) -> str:
    """Return a text without line ends and other characters that steer instead of show."""
    spaced = " ".join(text.split())
    return "".join(c if unicodedata.category(c)[0] != "C" else "\ufffd" for c in spaced)


def width(text: str) -> float:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in _WIDE else 1 for c in text)


def ems(text: str) -> float:
    """Return about how wide a text is in a bold sans-serif font, in parts of the font's size."""
    return sum(_em(c) for c in text)


def cut(text: str, most: float, measure: Callable[[str], float] = width) -> str:
    """Return a text that measures at most so much, with an ellipsis where it was longer."""
    if measure(text) <= most:
        return text
    taken, room = "", most - measure("…")
    for character in text:
        room -= measure(character)
        if room < 0:
            break
        taken += character
    return f"{taken.rstrip()}…"


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in _WIDE or character in "…mwMW@%":
        return 1.0
    if character in "iljtfrI.,:;'|!()[] -":
        return 0.36
    return 0.74 if character.isupper() else 0.59
