"""One decision, pure: no server, no loop. How long it takes in small and large runs, and how long its message is."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from typing import Final

from benchmarks.figures import Figure, Goal, Measure, quantile
from benchmarks.graphs import TEN_STEPS, chain, fan
from benchmarks.options import Options
from benchmarks.story import Story
from kubernaut.local.progress import Progress
from kubernaut.replay.again import few_collections, make_again
from kubernaut.replay.recording import Chain, Recording
from scheduler.decide import decide
from schemas.messages import TYPE_OF, Decision, decode, encode

_LIMIT: Final = 10
_LEAST_SECONDS: Final = 0.5
_GRAPHS: Final[Mapping[str, Mapping[int, tuple[int, ...]]]] = {
    "10 steps": TEN_STEPS,
    "64 steps in a chain": chain(64),
    "256 steps in a chain": chain(256),
    "256 steps side by side": fan(256),
}


async def measure(options: Options, progress: Progress) -> Measure:  # noqa: ARG001 - all measures are called alike
    """Decide whole runs over and over."""
    figures = []
    for name, graph in _GRAPHS.items():
        progress.show(f"decide: {name}")
        figures += await asyncio.to_thread(_figures, name, graph)
    return Measure(name="decide", title="one decision of the scheduler, without any I/O", figures=tuple(figures))


def _figures(name: str, graph: Mapping[int, tuple[int, ...]]) -> list[Figure]:
    story = Story(graph, limit=_LIMIT)
    deciding = quantile([_seconds_of_all(story) for _ in range(3)], 0.5) / len(story.situations)
    longest = max(len(encode(decision)) for decision in story.decisions)
    encoding = _encoding_seconds(story.decisions)
    goal = Goal(least=10_000) if name == "10 steps" else None
    return [
        Figure(name=f"{name}: one decision", value=1e6 * deciding, unit="µs"),
        Figure(name=f"{name}: decisions a second", value=1 / deciding, unit="1/s"),
        Figure(name=f"{name}: decisions a second in a replay", value=1 / _replaying(story), unit="1/s", goal=goal),
        Figure(name=f"{name}: its message encoded and decoded", value=1e6 * encoding, unit="µs"),
        Figure(name=f"{name}: the longest message", value=longest / 1024, unit="KiB"),
    ]


def _seconds_of_all(story: Story) -> float:
    """Return the seconds that all decisions of the run take together: the mean of so many that it is steady."""
    rounds = 0
    gc.collect()
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < _LEAST_SECONDS:
        for each in story.situations:
            decide(each.plan, each.previous, each.inputs)
        rounds += 1
    return passed / rounds


def _replaying(story: Story) -> float:
    """Return the seconds of one decision in a replay: its messages decoded, made again, encoded, compared."""
    recording = Recording(uid=story.uid, messages=tuple(story.stored))
    times = []
    with few_collections():
        for _ in range(3):
            gc.collect()
            began, made = time.perf_counter(), 0
            while (passed := time.perf_counter() - began) < _LEAST_SECONDS:
                again = list(make_again(Chain(recording)))
                if not all(each.same for each in again):
                    message = f"not made again as it was: {next(each.error for each in again if not each.same)}"
                    raise AssertionError(message)
                made += len(again)
            times.append(passed / made)
    return quantile(times, 0.5)


def _encoding_seconds(decisions: list[Decision]) -> float:
    began = time.perf_counter()
    for decision in decisions:
        decode(TYPE_OF[Decision], encode(decision))
    return (time.perf_counter() - began) / len(decisions)
