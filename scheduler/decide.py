"""The decision: what was decided before and new messages in, at most one decision out. Pure, synchronous, total.

No clock, no I/O, no randomness: `now` is the latest broker time among the causes, so the same messages give the same
decision, byte for byte, in any process, on any day (G10).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from scheduler import engine
from scheduler.definition import Definition
from scheduler.draft import Draft
from scheduler.inputs import Execution, Input
from scheduler.plan import Plan
from schemas.messages import CommandRefused, Decision
from schemas.run_state import RunState


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some inputs."""

    decision: Decision | None
    """None when they change nothing."""
    strangers: tuple[Input, ...] = ()
    """Inputs that are none of this state's: on the newest state somebody else's, on an older one maybe not yet ours."""


def decide(plan: Plan, previous: Decision | None, inputs: Sequence[Input]) -> Verdict:
    """Decide on a run whose last decision is `previous` (None for a new one), given new messages in order.

    `plan` is made of the definition at `previous.state.definition_sequence`; for a new run of the newest change message
    among the inputs.
    """
    before = previous.state if previous else RunState(phase="planning")
    now = max([each.time_ms for each in inputs], default=0)
    now = max(now, previous.now) if previous else now
    draft = Draft(plan, before, now, phase=before.phase if previous else "")
    if previous is None:
        if plan.definition.finished:
            return Verdict(decision=None)  # a run that has ended and is older than the log's retention
        engine.begin(draft)
    strangers = tuple(each for each in inputs if not _take(draft, each))
    engine.go_on(draft)
    if not draft.changed:
        return Verdict(decision=None, strangers=strangers)
    decision = Decision(
        workflow=plan.definition.ref,
        correlation_id=plan.definition.correlation_id,
        version=(previous.version if previous else plan.definition.decided) + 1,
        now=now,
        causes=tuple(each.cause for each in inputs),
        transitions=tuple(draft.transitions),
        refusals=tuple(draft.refusals),
        commands=tuple(draft.commands),
        state=draft.finish(),
    )
    return Verdict(decision=decision, strangers=strangers)


def may_wait(decision: Decision) -> bool:
    """Whether a decision only notes that executions exist, so that nobody waits for it.

    Their ends often come right behind; taken in together they are one decision, one status and one batch less.
    """
    return not decision.commands and not decision.refusals and all(t.what == "started" for t in decision.transitions)


def _take(draft: Draft, seen: Input) -> bool:
    fact = seen.fact
    match fact:
        case Definition():
            engine.take_workflow(draft, fact)
        case Execution():
            return engine.take_execution(draft, fact)
        case CommandRefused():
            engine.take_refusal(draft, fact)
    return True
