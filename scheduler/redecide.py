"""Deciding again on what was decided: a decision's inputs rebuilt from its causes, its plan from its definition. Pure.

Replay, the shadow and the check of a release stand on it. It is also run beside other versions of the scheduler
(`kubernaut replay --code`): it must import nothing but the few names that every version has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.ports import Stored
from scheduler.decide import decide
from scheduler.definition import Definition
from scheduler.gather import read_input
from scheduler.inputs import Earlier, Input, Place
from scheduler.plan import Plan, make
from schemas.cloudevents import from_message
from schemas.messages import TYPE_OF, Cause, Decision, QueueDecided, TimerDue, decode
from schemas.run_state import LearnedAction

Find = Callable[[int], Stored | None]
"""Returns the message of the log with a sequence; None when it is not there."""

TIMER = TYPE_OF[TimerDue]
"""Type of a wake-up: a message of another stream, for which `inputs_of` needs none."""
_DECISION = TYPE_OF[Decision]
_QUEUE = TYPE_OF[QueueDecided]


class MissingError(LookupError):
    """A message that a decision was made of is not there any more, or another one is in its place."""


def begins(decision: Decision) -> bool:
    """Whether it is the first one of its run: a run begins with a transition out of no phase at all."""
    return any(each.entity == "workflow" and not each.before for each in decision.transitions)


def inputs_of(decision: Decision, find: Find) -> list[Input]:
    """Return what a decision was made of, in the order in which it was taken in. Raises MissingError."""
    return [_input(decision, cause, find) for cause in decision.causes]


def _input(decision: Decision, cause: Cause, find: Find) -> Input:
    if cause.type == TIMER:
        # Wake-ups are in a stream of their own that keeps them for an hour. What they say is only: look at your timers.
        due = TimerDue(workflow_uid=decision.workflow.uid, due_at=decision.now)
        return Input(cause=cause, time_ms=decision.now, fact=due)
    stored = find(cause.sequence)
    if stored is None:
        raise MissingError(f"message {cause.sequence} ({cause.id}) is not there")
    if stored.headers.get("ce-id") != cause.id and _id(stored) != cause.id:
        raise MissingError(f"message {cause.sequence} is {_id(stored)} and not {cause.id}")
    # A place that was asked for came without a time of its own: nothing was later than the decision's own time.
    time_ms = min(stored.time_ms, decision.now)
    if cause.type == _QUEUE:
        place = Place(admitted=decision.workflow.uid in _queue(stored).state.active)
        return Input(cause=cause, time_ms=time_ms, fact=place)
    if cause.type == _DECISION:
        return Input(cause=cause, time_ms=time_ms, fact=Earlier(_decision(stored).state.steps))
    seen = read_input(stored)
    if seen is None:
        raise MissingError(f"message {cause.sequence} ({cause.type}) is none that a decision is made of")
    return Input(cause=cause, time_ms=time_ms, fact=seen.fact)


def _id(stored: Stored) -> str:
    """Return the id of a message as its event has it: in a header some characters may be written otherwise."""
    return from_message(stored.subject, dict(stored.headers), stored.data).id


def _queue(stored: Stored) -> QueueDecided:
    body = decode(_QUEUE, stored.data)
    assert isinstance(body, QueueDecided)  # noqa: S101 - decoded as its type
    return body


def _decision(stored: Stored) -> Decision:
    body = decode(_DECISION, stored.data)
    assert isinstance(body, Decision)  # noqa: S101 - decoded as its type
    return body


def plan_of(decision: Decision, learned: dict[str, LearnedAction], find: Find) -> Plan:
    """Return the plan that a run had after a decision; `learned`: what the plan was made with. Raises MissingError."""
    sequence = decision.state.definition_sequence
    stored = find(sequence)
    seen = read_input(stored) if stored is not None else None
    if seen is None or not isinstance(seen.fact, Definition):
        raise MissingError(f"message {sequence}, the definition of the run, is not there")
    return make(seen.fact, learned)


def learned_of(decisions: Sequence[Decision]) -> dict[str, LearnedAction]:
    """Return the figures that a run was planned with: they are in the state from the decision on that planned it."""
    return next((each.state.learned for each in decisions if each.state.plan is not None), {})


def redecide(plan: Plan, previous: Decision | None, inputs: Sequence[Input]) -> Decision | None:
    """Return what this version decides; None when the inputs change nothing for it."""
    return decide(plan, previous, inputs).decision
