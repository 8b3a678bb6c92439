"""Prometheus' own engine for tests: a small Go program around it, built once and kept in the user's cache."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.tools.build import built

SOURCES: Final = Path(__file__).parent / "evaluator"
INTERVAL_SECONDS: Final = 60
ANSWER_SECONDS: Final = 240.0


class Selector(msgspec.Struct, frozen=True):
    """What an expression reads."""

    metric: str
    labels: tuple[str, ...]
    bound: str
    """Of a histogram's bucket; empty where none is named."""


class Inspected(msgspec.Struct, frozen=True):
    """What an expression is, or why it is none."""

    error: str = ""
    kind: str = ""
    selectors: tuple[Selector, ...] = ()
    labels: tuple[str, ...] = ()
    """That it groups or matches by."""


class Fired(msgspec.Struct, frozen=True):
    """An alert as it began to fire."""

    alert: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at_seconds: int


class Answer(msgspec.Struct, frozen=True):
    """What the program told."""

    expressions: tuple[Inspected, ...] | None = None
    fired: tuple[Fired, ...] | None = None
    values: tuple[str, ...] | None = None
    """Of each expression at the end, once for each series that it has."""


class Evaluator:
    """The program, ready to be asked."""

    def __init__(self, program: Path) -> None:
        """`program`: where it is."""
        self._program = program

    def inspect(self, expressions: Sequence[str]) -> tuple[Inspected, ...]:
        """Parse each expression."""
        return self._ask({"expressions": expressions}).expressions or ()

    def fired(self, rules: str, series: Sequence[str], steps: int) -> tuple[Fired, ...]:
        """Play series of one value a minute through a rule file; return what began to fire, in order."""
        request = {"rules": rules, "series": series, "interval_seconds": INTERVAL_SECONDS, "steps": steps}
        return self._ask(request).fired or ()

    def values(self, expression: str, rules: str, series: Sequence[str], steps: int) -> tuple[str, ...]:
        """Return what an expression is at the end, over the series and what the rules have recorded."""
        request = {"rules": rules, "series": series, "interval_seconds": INTERVAL_SECONDS, "steps": steps}
        return self._ask(request | {"expressions": [expression]}).values or ()

    def _ask(self, request: Mapping[str, object]) -> Answer:
        done = subprocess.run(
            [self._program],
            input=msgspec.json.encode(request),
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return msgspec.json.decode(done.stdout, type=Answer)


def evaluator() -> Evaluator:
    """Return the program, built at most once for the same sources."""
    return Evaluator(built(SOURCES))
