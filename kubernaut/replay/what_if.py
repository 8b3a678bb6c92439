"""What would have been: recorded, simulated as recorded, and simulated with changes, side by side in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kubernaut.cli.table import columns
from kubernaut.cli.times import elapsed
from kubernaut.replay.changes import Changes, read_changes
from kubernaut.replay.oracle import consult, first_end
from kubernaut.replay.recording import Chain, RecordingError
from kubernaut.replay.simulation import Course, Simulation, acts_left
from scheduler.plan import Plan
from scheduler.redecide import MissingError
from schemas.messages import Decision
from schemas.workflow_status import TERMINAL_STEP_PHASES


class Times(msgspec.Struct, frozen=True):
    """When a step was first commanded and when it ended, in ms since 1970."""

    began: int
    ended: int


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a run went, recorded or not."""

    makespan_ms: int
    """From the first sight of the object to the first end of the run; 0 when it did not end."""
    end: str
    path: str
    """The chain of steps that it took so long for."""
    steps: dict[int, Times]


def ask(chains: Sequence[Chain], texts: Iterable[str]) -> list[str]:
    """Return what to say about these runs under the changes. Raises RecordingError."""
    changes = read_changes(texts)
    try:
        oracles = [consult(chain) for chain in chains]
    except MissingError as error:
        raise RecordingError(f"it cannot be told what would have been: {error}") from error
    before = Simulation(oracles, Changes()).go()
    after = Simulation(oracles, changes).go()
    lines: list[str] = []
    for chain, old, new in zip(chains, before, after, strict=True):
        lines += [*_run(chain, old, new), ""]
    if len(chains) > 1:
        lines.append(_all_of_them(chains, after))
    return lines


def _run(chain: Chain, old: Course, new: Course) -> list[str]:
    decisions = [each.decision for each in chain.made]
    recorded = way(old.plan, old.oracle.begins_at, _until_end(decisions, first_end(chain)))
    simulated = way(old.plan, old.oracle.begins_at, old.decisions)
    changed = way(new.plan, new.oracle.begins_at, new.decisions)
    rows = [["", "TAKES", "ENDS", "CRITICAL PATH"]]
    for name, each in (("recorded", recorded), ("simulated as it was", simulated), ("what if", changed)):
        rows.append([name, _span(each.makespan_ms), each.end, each.path])
    lines = [f"{chain.workflow.namespace}/{chain.workflow.name}", *(f"  {line}" for line in columns(rows))]
    lines += [f"  {line}" for line in columns(_steps(new, recorded, changed))]
    lines += [f"  assumed: {text}" for text in dict.fromkeys(new.assumed)]
    for act in acts_left(new, new.oracle.acts):
        lines.append(f"  left out: what came from outside in phase {act.phase}, which is not reached")
    return lines


def _until_end(decisions: list[Decision], end: Decision | None) -> list[Decision]:
    return decisions if end is None else decisions[: decisions.index(end) + 1]


def _steps(course: Course, recorded: Way, changed: Way) -> list[list[str]]:
    rows = [["STEP", "ACTION", "RECORDED", "", "WHAT IF", ""]]
    start = course.oracle.begins_at
    for step in course.plan.steps:
        cells = [str(step.step_number), step.action]
        for each in (recorded, changed):
            times = each.steps.get(step.step_number)
            cells += [_since(times.began, start), _span(times.ended - times.began)] if times else ["", ""]
        rows.append(cells)
    return rows


def _since(moment: int, start: int) -> str:
    return f"at +{elapsed((moment - start) / 1000)}"


def _span(milliseconds: int) -> str:
    return elapsed(milliseconds / 1000) if milliseconds > 0 else "no end"


def way(plan: Plan, begins_at: int, decisions: Sequence[Decision]) -> Way:
    """Return how a run went by its decisions."""
    if not decisions:
        return Way(makespan_ms=0, end="nothing was decided", path="", steps={})
    state = decisions[-1].state
    steps = step_times(decisions)
    end = state.phase if not state.outcome or state.outcome == state.phase else f"{state.phase} ({state.outcome})"
    return Way(
        makespan_ms=max(state.ended_at - begins_at, 1) if state.ended_at else 0,
        end=end if state.ended_at else f"{state.phase}, and nothing happens any more",
        path=_path(plan.before, steps),
        steps=steps,
    )


def step_times(decisions: Sequence[Decision]) -> dict[int, Times]:
    """Return when each step that was started began and ended."""
    began: dict[int, int] = {}
    for decision in decisions:
        for each in decision.transitions:
            if each.entity == "step" and each.reason == "commanded":
                began.setdefault(each.step, decision.now)
    ended = {step.number: step.ended_at for step in decisions[-1].state.steps if step.phase in TERMINAL_STEP_PHASES}
    return {number: Times(at, ended[number]) for number, at in began.items() if ended.get(number)}


def _path(before: Mapping[int, frozenset[int]], steps: Mapping[int, Times]) -> str:
    """Return the chain that ends with the last step: each the one that its follower waited for longest."""
    if not steps:
        return ""
    number = max(steps, key=lambda each: (steps[each].ended, -each))
    words = [str(number)]
    while True:
        earlier = [each for each in steps if steps[each].ended <= steps[number].began and each != number]
        needed = [each for each in earlier if each in before.get(number, frozenset())]
        if not earlier:
            return " ".join(words)
        last = max(earlier, key=lambda each: (steps[each].ended, each in needed, -each))
        if last in needed:
            words[:0] = [str(last), "→"]
        elif steps[last].ended == steps[number].began:
            words[:0] = [str(last), "→(limit)"]  # it made room for its follower, which needs nothing of it
        elif needed:
            last = max(needed, key=lambda each: (steps[each].ended, -each))
            words[:0] = [str(last), "→"]
        else:
            return " ".join(words)
        number = last


def _all_of_them(chains: Sequence[Chain], after: Sequence[Course]) -> str:
    ends = [(first_end(chain), course.last) for chain, course in zip(chains, after, strict=True)]
    begin = min(course.oracle.begins_at for course in after)
    recorded = max((old.state.ended_at for old, _ in ends if old), default=begin)
    changed = max((new.state.ended_at for _, new in ends if new), default=begin)
    return f"all of them: recorded {_span(recorded - begin)}, what if {_span(changed - begin)}"
