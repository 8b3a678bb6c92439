"""One chaos run: faults and load, then peace, then everything is held against what must be true.

`python -m tests.chaos` and the short form in pytest are both this.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kubernaut.local.stack import StackOptions
from runtime.errors import UnavailableError
from runtime.kinds import EXECUTIONS
from schemas.workflow_status import TERMINAL_PHASES
from tests.chaos.again import decided_otherwise
from tests.chaos.eyes import Eyes, watched
from tests.chaos.faults import TWICE, draw
from tests.chaos.hand import Hand
from tests.chaos.keep import export
from tests.chaos.load import Load
from tests.chaos.words import Words, lag

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.chaos.truth import Run

_POLL_SECONDS: Final = 0.5
_TELL_SECONDS: Final = 10.0
_FEW: Final = 5
_REST_SECONDS: Final = 240.0
"""In which what is due once a minute (resyncs, the question whether the audit holds a run) is done too."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to be."""

    seed: int
    seconds: float = 600.0
    """Of faults."""
    workflows: int = 100
    """At once."""
    quiet_seconds: float = 60.0
    """In which nobody may write once everything is at rest."""
    end_seconds: float = 60.0
    """In which every run must have ended after the last fault."""
    megabytes: int = 256
    """That a process of a service may have resident."""

    @property
    def command(self) -> str:
        """How to do it again."""
        return f"python -m tests.chaos --seed {self.seed} --minutes {self.seconds / 60:g} --workflows {self.workflows}"


class Report(msgspec.Struct, kw_only=True):
    """What came of it."""

    asked: Asked
    faults: Counter[str] = Counter()
    acts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    executions: int = 0
    again: int = 0
    messages: int = 0
    rows: int = 0
    ended_after: float = 0.0
    """Seconds from the last fault to the end of the last run that did not wait for an execution that nobody saw."""
    unseen: int = 0
    """Runs that did, and took their two minutes."""
    memory: Counter[str] = Counter()
    problems: list[str] = []

    def lines(self) -> list[str]:
        """Say it."""
        return [
            f"{self.faults.total()} processes treated: {_counted(self.faults)}",
            f"{self.ends.total()} runs: {_counted(self.ends)}; people: {_counted(self.acts)}",
            f"{self.executions} executions, {self.again} created again after somebody deleted them unseen",
            f"{self.messages} messages, {self.rows} rows",
            f"all had ended {self.ended_after:.1f} s after the last fault; {self.unseen} waited for what nobody saw",
            f"memory in MiB: {_counted(self.memory)}",
            *(f"BROKEN {problem}" for problem in self.problems),
            f"{len(self.problems)} problems; again with: {self.asked.command}",
        ]


async def chaos(asked: Asked, home: Path, say: Callable[[str], None]) -> Report:
    """Run it. `home`: a folder for the stack, whose logs stay there."""
    options = StackOptions(name="chaos", home=home, audit_log=True, replicas=TWICE)
    async with watched(options) as eyes:
        report = Report(asked=asked)
        hand = Hand(eyes.stack.supervisor, say)
        load = Load(eyes.cluster, eyes.truth, seed=asked.seed, many=asked.workflows)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_tell(eyes, hand, say))
            group.create_task(load.run(over))
            await load.there.wait()
            await hand.play(draw(asked.seed, asked.seconds, TWICE))
            over.set()
            say("no more faults: people let everything go on, and all of it is to end")
            await _come_to_rest(eyes, load, report)
            telling.cancel()
        report.faults, report.acts = hand.done, load.acts
        await _judge(eyes, load, report, say)
        if report.problems:
            await export(str(eyes.stack.nats_url), home)
        return report


async def _tell(eyes: Eyes, hand: Hand, say: Callable[[str], None]) -> None:
    """Show how it goes, for ever."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        truth = eyes.truth
        left = [f"{run.name} {run.phase}" for run in truth.running]
        named = f" ({', '.join(left)})" if len(left) <= _FEW else ""
        say(
            f"{time.monotonic() - began:6.1f} s: {hand.done.total()} faults, {len(truth.running)} of "
            f"{len(truth.runs)} runs go on{named}, {truth.executions} executions, {len(truth.problems)} problems"
        )


async def _come_to_rest(eyes: Eyes, load: Load, report: Report) -> None:
    """Wait until all runs have ended, and then until nothing is left to do."""
    healed = time.monotonic()
    seconds, truth = report.asked.end_seconds, eyes.truth
    if not await _within(seconds, lambda: _ended(load, lambda: truth.overdue)):
        left = [f"{run.name} ({run.phase or 'no phase'}: {run.waiting_for})" for run in truth.overdue]
        report.problems.append(f"G8: {len(left)} runs have not ended in {seconds:g} s, first {left[:_FEW]}")
    report.ended_after, report.unseen = time.monotonic() - healed, len(truth.running)
    if not await _within(_REST_SECONDS, lambda: _ended(load, lambda: truth.running)):
        left = [f"{run.name} ({run.phase or 'no phase'}: {run.waiting_for})" for run in truth.running]
        report.problems.append(f"G8: {len(left)} runs do not end, first {left[:_FEW]}")
    if not await _within(_REST_SECONDS, lambda: _nothing_flies(eyes)):
        report.problems.append(f"G8: {truth.in_flight} executions have not ended")
    if not await _within(_REST_SECONDS, lambda: _read_up(eyes)):
        report.problems.append(f"G8: not read up: {await lag(str(eyes.stack.nats_url))}")
    if not await _within(_REST_SECONDS, lambda: _ready(eyes)):
        report.problems += [f"not ready: {each}" for each in await eyes.not_ready()]


async def _ended(load: Load, left: Callable[[], list[Run]]) -> bool:
    await load.let_go_on()
    return not load.busy and not left()


async def _nothing_flies(eyes: Eyes) -> bool:
    """What nobody saw being created may show up when its run has ended, and is deleted then."""
    return not eyes.truth.in_flight


async def _read_up(eyes: Eyes) -> bool:
    try:
        return not any((await lag(str(eyes.stack.nats_url))).values())
    except UnavailableError:
        return False


async def _ready(eyes: Eyes) -> bool:
    return not await eyes.not_ready()


async def _within(seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
    until = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def _judge(eyes: Eyes, load: Load, report: Report, say: Callable[[str], None]) -> None:
    """Nobody writes any more; then log, events and database are held against the objects."""
    truth, asked = eyes.truth, report.asked
    if not await _within(_REST_SECONDS, lambda: _nothing_expires(eyes)):
        kept = [run.name for run in truth.runs.values() if run.exists and run.expires] + truth.leaving
        report.problems.append(f"retention: {len(kept)} are still there, first {kept[:5]}")
    place = eyes.audit_size()
    say(f"at rest; nobody is to write for {asked.quiet_seconds:g} s")
    await asyncio.sleep(asked.quiet_seconds)  # the time in which nothing may happen
    if written := eyes.writes(since=place):
        report.problems.append(f"P2: {len(written)} writes when all was over, first {written[:5]}")
    words = Words(truth)
    await words.read(str(eyes.stack.nats_url))
    report.rows = await words.audited(str(eyes.stack.database_url))
    report.messages, report.executions, report.again = words.messages, truth.executions, truth.again
    report.memory = eyes.memory
    report.ends = Counter(run.phase if run.phase in TERMINAL_PHASES else "deleted" for run in truth.runs.values())
    report.problems += [*truth.problems, *words.problems, *_of_the_audit_log(eyes)]
    if differs := await decided_otherwise(eyes.stack.environment):
        report.problems.append(f"G10: {differs}")
    if lost := load.applied - truth.runs.keys():
        report.problems.append(f"{len(lost)} workflows were accepted and are not in etcd: the journal has a hole")
    large = {name: size for name, size in eyes.memory.items() if size > asked.megabytes}
    report.problems += [f"G14: {name} had {size} MiB resident" for name, size in large.items()]
    report.problems += await _of_the_metrics(eyes, words)


async def _nothing_expires(eyes: Eyes) -> bool:
    return not any(run.exists and run.expires for run in eyes.truth.runs.values()) and not eyes.truth.leaving


def _of_the_audit_log(eyes: Eyes) -> list[str]:
    """Hold the API server's own count of creations against etcd's.

    It may know of fewer, because a killed one writes down nothing, but never of more.
    """
    kind = f"create {EXECUTIONS.plural} "
    accepted = Counter(line.split()[2] for line in eyes.writes() if line.startswith(kind) and line.endswith(" 201"))
    known = eyes.truth.names
    return [
        f"the API server created {name} {count} times, etcd {known[name]} times"
        for name, count in accepted.items()
        if count > known[name]
    ]


async def _of_the_metrics(eyes: Eyes, words: Words) -> list[str]:
    """What must be so whatever was restarted (P22): nothing active, missed, forgotten or buried."""
    expected = {
        ("watcher", "workflowexecution_active_total"): 0.0,
        ("watcher", "kubernaut_watch_missed_total"): 0.0,
        ("scheduler", "kubernaut_storage_regressed_total"): 0.0,
        ("scheduler", "kubernaut_dead_letters_total"): float(words.dead_letters),
        ("executor_bridge", "kubernaut_dead_letters_total"): 0.0,
        ("auditor", "kubernaut_audit_quarantined_total"): 0.0,
    }
    found = {key: await eyes.metric(*key) for key in expected}
    return [
        f"P22: {key} is {found[key]:g}, should be {expected[key]:g}" for key in expected if found[key] != expected[key]
    ]


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counter.items())) or "none"
