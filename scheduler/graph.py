"""The graph of a workflow: numbers and edges, nothing else. Pure.

A graph is a mapping from each step number to the numbers it depends on; every number named is a key of it. All walks
are iterative, so that the longest chain cannot exhaust the stack.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

Graph = Mapping[int, frozenset[int]]


def dependents(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Return the edges turned round: for each step the steps that depend on it, in rising order."""
    found: dict[int, list[int]] = {number: [] for number in graph}
    for number in sorted(graph):
        for dependency in graph[number]:
            found[dependency].append(number)
    return {number: tuple(steps) for number, steps in found.items()}


def waves(graph: Graph) -> tuple[tuple[int, ...], ...]:
    """Return the steps by level: each depends on earlier levels only. Steps on or behind a cycle are left out."""
    waiting = {number: len(dependencies) for number, dependencies in graph.items()}
    after = dependents(graph)
    level = sorted(number for number, count in waiting.items() if count == 0)
    levels = []
    while level:
        levels.append(tuple(level))
        following = []
        for number in level:
            for dependent in after[number]:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    following.append(dependent)
        level = sorted(following)
    return tuple(levels)


def cycles(graph: Graph) -> tuple[tuple[int, ...], ...]:
    """Return one cycle for each knot of the graph, each from its lowest step round to the step before it.

    `(1, 3)` means that 1 depends on 3 and 3 on 1. Empty when the graph has none.
    """
    left = set(graph) - {number for level in waves(graph) for number in level}
    found: list[tuple[int, ...]] = []
    while left:
        walk, place = [min(left)], {min(left): 0}
        while True:
            onward = [d for d in sorted(graph[walk[-1]]) if d in left]
            if not onward:
                left.discard(walk[-1])
                break
            if onward[0] in place:
                cycle = walk[place[onward[0]] :]
                found.append(_from_lowest(cycle))
                left.difference_update(cycle)
                break
            place[onward[0]] = len(walk)
            walk.append(onward[0])
    return tuple(sorted(found))


def _from_lowest(cycle: Sequence[int]) -> tuple[int, ...]:
    start = cycle.index(min(cycle))
    return (*cycle[start:], *cycle[:start])


def remaining(graph: Graph, seconds: Mapping[int, float]) -> dict[int, float]:
    """Return for each step of an acyclic graph the longest path from its start to the end, in seconds."""
    after = dependents(graph)
    longest: dict[int, float] = {}
    for level in reversed(waves(graph)):
        for number in level:
            longest[number] = seconds[number] + max((longest[d] for d in after[number]), default=0.0)
    return longest


def critical_path(graph: Graph, seconds: Mapping[int, float]) -> tuple[int, ...]:
    """Return the chain of steps with the longest duration; of equal ones the one with the lower numbers."""
    longest = remaining(graph, seconds)
    after = dependents(graph)
    onward: Sequence[int] = [number for number, before in graph.items() if not before]
    path: list[int] = []
    while onward:
        path.append(min(onward, key=lambda number: (-longest[number], number)))
        onward = after[path[-1]]
    return tuple(path)


def makespan(graph: Graph, seconds: Mapping[int, float], limit: int, *, longest_first: bool) -> float:
    """Return the seconds that an acyclic graph takes with at most `limit` steps at once.

    Ready steps start in the scheduler's order: lowest number first, or longest remaining path first.
    """
    longest = remaining(graph, seconds) if longest_first else {}
    after = dependents(graph)
    waiting = {number: len(dependencies) for number, dependencies in graph.items()}
    ready = [(-longest.get(number, 0.0), number) for number, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < limit:
            _, number = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[number], number))
        now, ended = heapq.heappop(running)
        for dependent in after[ended]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                heapq.heappush(ready, (-longest.get(dependent, 0.0), dependent))
    return now
