"""The decision: what was decided before and new messages in, at most one decision out. Pure, synchronous, total.

No clock, no I/O, no randomness: `now` is the latest broker time among the causes, so the same messages give the same
decision, byte for byte, in any process, on any day (G10).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from scheduler import controls, deadlines, lifecycle, monitoring, outcomes, progress
from scheduler.definition import Definition
from scheduler.draft import Draft
from scheduler.inputs import Earlier, Execution, Input, Place
from scheduler.plan import Plan
from schemas.messages import AlertFired, CheckReported, CommandRefused, Decision
from schemas.run_state import RunState


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some inputs."""

    decision: Decision | None
    """None when they change nothing."""
    strangers: tuple[Input, ...] = ()
    """Inputs that are none of this state's: on the newest state somebody else's, on an older one maybe not yet ours."""
    wake_at: int = 0
    """A wake-up that must be armed for this verdict to hold, in ms; 0 when none must."""


def decide(plan: Plan, previous: Decision | None, inputs: Sequence[Input]) -> Verdict:
    """Decide on a run whose last decision is `previous` (None for a new one), given new messages in order.

    `plan` is made of the definition at `previous.state.definition_sequence`; for a new run of the newest change message
    among the inputs.
    """
    before = previous.state if previous else RunState(phase="queued")
    now = max([each.time_ms for each in inputs], default=0)
    now = max(now, previous.now) if previous else now
    draft = Draft(plan, before, now, phase=before.phase if previous else "")
    if previous is None:
        if plan.definition.finished:
            return Verdict(decision=None)  # a run that has ended and is older than the log's retention
        lifecycle.begin(draft, admitted=any(each.fact == Place(admitted=True) for each in inputs))
    strangers = tuple(each for each in inputs if not _take(draft, each))
    deadlines.expire(draft)
    progress.go_on(draft)
    if not draft.changed:
        due = min(draft.timers.values(), default=0)
        return Verdict(decision=None, strangers=strangers, wake_at=due if before.wake_at <= now else 0)
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
    return Verdict(decision=decision, strangers=strangers, wake_at=_fresh(decision.state.wake_at, before.wake_at))


def _fresh(wake_at: int, before: int) -> int:
    return wake_at if wake_at != before else 0


def may_wait(decision: Decision) -> bool:
    """Whether a decision only notes that executions exist, so that nobody waits for it.

    Their ends often come right behind; taken in together they are one decision, one status and one batch less.
    """
    return not decision.commands and not decision.refusals and all(t.what == "started" for t in decision.transitions)


def _take(draft: Draft, seen: Input) -> bool:
    fact = seen.fact
    match fact:
        case Definition():
            lifecycle.take_workflow(draft, fact)
        case Execution():
            return outcomes.take_execution(draft, fact)
        case CommandRefused():
            outcomes.take_refusal(draft, fact)
        case CheckReported():
            outcomes.take_check(draft, fact)
        case AlertFired():
            monitoring.take_alert(draft, fact.alert, fact.message, at=seen.time_ms)
        case Place() if fact.admitted:
            lifecycle.admit(draft)
            controls.take_later(draft)
        case Earlier():
            lifecycle.take_earlier(draft, fact.steps)
    return True  # of a wake-up, or no place yet, nothing is taken in: the timers and the phase say what follows
