"""Where the steps of a plan stand in a picture and how its edges run: waves as columns, steps as rows. Pure geometry.

A wave with many steps is broken into several columns that share their rows. An edge over several waves gets a lane
between the rows of each wave that it passes, so that it never runs through a box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

BOX_WIDTH: Final = 260.0
BOX_HEIGHT: Final = 54.0
MOST_ROWS: Final = 16
"""Rows of a wave; with more steps it gets a further column."""

_ROW_GAP: Final = 22.0
_COLUMN_GAP: Final = 48.0
"""Between the columns of one wave."""
_LANE: Final = 12.0
_NARROWEST: Final = 72.0
_WIDEST: Final = 150.0
_SLOPE: Final = 0.14
"""Between waves there is so much of the height that edges have to climb, within these limits."""
_INSET: Final = 7.0
"""How far from a row of boxes an edge runs that leads into it or out of it."""

Edge = tuple[int, int]


class Span(NamedTuple):
    """A level piece of an edge; between pieces it bends."""

    start: float
    end: float
    y: float


class Box(msgspec.Struct, frozen=True):
    """A step; x and y are its upper left corner."""

    number: int
    x: float
    y: float


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """A whole picture, from 0, 0 to width, height."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: dict[Edge, tuple[Span, ...]]
    columns: tuple[tuple[float, float], ...]
    """Left and right end of each wave."""
    implied: int
    """Edges that are left out because others imply them."""


class _Wave(msgspec.Struct, frozen=True):
    """One wave placed: `rows` are the upper ends of its rows, `lanes` the heights of the edges that pass."""

    steps: tuple[int, ...]
    rows: tuple[float, ...]
    lanes: dict[int, float]
    """By the step that the edges come from: edges of one step share their lane."""

    def row_of(self, number: int) -> int:
        """Return the row of a step; columns are filled one after the other."""
        return self.steps.index(number) % len(self.rows)

    def column_of(self, number: int) -> int:
        """Return the column of a step within the wave."""
        return self.steps.index(number) // len(self.rows)

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return -(-len(self.steps) // len(self.rows))

    @property
    def width(self) -> float:
        """How wide the wave is."""
        return self.columns * BOX_WIDTH + (self.columns - 1) * _COLUMN_GAP


def layout(waves: Sequence[tuple[int, ...]], edges: Sequence[Edge], keep: frozenset[Edge] = frozenset()) -> Layout:
    """Place steps and edges; `keep` are edges that are drawn even if others imply them."""
    wave_of = {number: place for place, wave in enumerate(waves) for number in wave}
    drawn = shown(waves, edges, keep)
    passing = _passing(drawn, wave_of)
    placed: list[_Wave] = []
    for place, steps in enumerate(waves):
        placed.append(_place(steps, sorted(passing[place]), placed, wave_of))
    top = min(min((*wave.rows, *wave.lanes.values())) for wave in placed)
    bottom = max(max((wave.rows[-1] + BOX_HEIGHT, *wave.lanes.values())) for wave in placed)
    lefts = _lefts(placed, drawn, wave_of)
    router = _Router(placed, lefts, top)
    return Layout(
        width=lefts[-1] + placed[-1].width,
        height=bottom - top,
        boxes=tuple(router.box(wave, number) for wave, steps in enumerate(waves) for number in steps),
        routes={edge: router.route(edge, wave_of[edge[0]], wave_of[edge[1]]) for edge in drawn},
        columns=tuple((left, left + wave.width) for left, wave in zip(lefts, placed, strict=True)),
        implied=len(edges) - len(drawn),
    )


def shown(waves: Sequence[tuple[int, ...]], edges: Sequence[Edge], keep: frozenset[Edge]) -> list[Edge]:
    """Return the edges that no longer way between the same two steps implies, and those to keep in any case."""
    before: dict[int, set[int]] = defaultdict(set)
    for source, target in edges:
        before[target].add(source)
    above: dict[int, set[int]] = {}
    for number in (number for wave in waves for number in wave):
        above[number] = set(before[number]).union(*(above[each] for each in before[number]))
    return [
        (source, target)
        for source, target in edges
        if (source, target) in keep or not any(source in above[other] for other in before[target])
    ]


def _passing(edges: Sequence[Edge], wave_of: dict[int, int]) -> dict[int, set[int]]:
    """Return for each wave the steps whose edges pass it."""
    passing: dict[int, set[int]] = defaultdict(set)
    for source, target in edges:
        for wave in range(wave_of[source] + 1, wave_of[target]):
            passing[wave].add(source)
    return passing


def _place(steps: tuple[int, ...], passing: Sequence[int], before: Sequence[_Wave], wave_of: dict[int, int]) -> _Wave:
    """Stack the rows of a wave and the lanes that pass it around the middle, the lanes near where they come from."""
    count = min(len(steps), MOST_ROWS)
    count = -(-len(steps) // -(-len(steps) // count))
    rise = BOX_HEIGHT + _ROW_GAP
    alone = [(row - (count - 1) / 2) * rise for row in range(count)]
    wanted = {source: _height(source, before, wave_of) for source in passing}
    slots: list[tuple[float, int, int]] = [(middle, 0, row) for row, middle in enumerate(alone)]
    slots += [(wanted[source], 1, source) for source in passing]
    slots.sort()
    sizes = [_LANE if is_lane else rise for _, is_lane, _ in slots]
    y = -sum(sizes) / 2
    rows: list[float] = []
    lanes: dict[int, float] = {}
    for (_, is_lane, what), size in zip(slots, sizes, strict=True):
        if is_lane:
            lanes[what] = y + size / 2
        else:
            rows.append(y + _ROW_GAP / 2)
        y += size
    return _Wave(steps, tuple(rows), lanes)


def _height(source: int, before: Sequence[_Wave], wave_of: dict[int, int]) -> float:
    """Return at which height an edge of a step leaves the wave before."""
    if source in before[-1].lanes:
        return before[-1].lanes[source]
    wave = before[wave_of[source]]
    return wave.rows[wave.row_of(source)] + BOX_HEIGHT / 2


def _lefts(placed: Sequence[_Wave], edges: Sequence[Edge], wave_of: dict[int, int]) -> list[float]:
    """Return the left end of each wave: the higher edges have to climb, the more room there is for it."""
    climbs: dict[int, float] = defaultdict(float)
    for source, target in edges:
        for wave in range(wave_of[source], wave_of[target]):
            here = _height(source, placed[: wave + 1], wave_of)
            following = placed[wave + 1]
            there = following.lanes.get(source)
            if there is None:
                there = following.rows[following.row_of(target)] + BOX_HEIGHT / 2
            climbs[wave] = max(climbs[wave], abs(there - here))
    lefts = [0.0]
    for wave in range(len(placed) - 1):
        gap = min(_WIDEST, max(_NARROWEST, climbs[wave] * _SLOPE))
        lefts.append(lefts[-1] + placed[wave].width + gap)
    return lefts


class _Router:
    """Turns places into coordinates."""

    def __init__(self, placed: Sequence[_Wave], lefts: Sequence[float], top: float) -> None:
        self._placed = placed
        self._lefts = lefts
        self._top = top

    def box(self, wave: int, number: int) -> Box:
        """Return the box of a step."""
        placed = self._placed[wave]
        x = self._lefts[wave] + placed.column_of(number) * (BOX_WIDTH + _COLUMN_GAP)
        return Box(number, x, placed.rows[placed.row_of(number)] - self._top)

    def route(self, edge: Edge, start: int, end: int) -> tuple[Span, ...]:
        """Return the level pieces of an edge, from the right side of one box to the left side of the other."""
        return tuple(self._spans(edge, start, end))

    def _spans(self, edge: Edge, start: int, end: int) -> Iterator[Span]:
        source, target = edge
        box = self.box(start, source)
        middle = box.y + BOX_HEIGHT / 2
        yield Span(box.x + BOX_WIDTH, box.x + BOX_WIDTH, middle)
        wave = self._placed[start]
        if wave.column_of(source) < wave.columns - 1:
            leave = box.x + BOX_WIDTH + _COLUMN_GAP
            yield Span(leave, self._lefts[start] + wave.width, box.y + BOX_HEIGHT + _INSET)
        for passed in range(start + 1, end):
            left = self._lefts[passed]
            yield Span(left, left + self._placed[passed].width, self._placed[passed].lanes[source] - self._top)
        box = self.box(end, target)
        if self._placed[end].column_of(target) > 0:
            yield Span(self._lefts[end], box.x - _COLUMN_GAP, box.y - _INSET)
        yield Span(box.x, box.x, box.y + BOX_HEIGHT / 2)
