"""Gathering: what a decision needs, read from the log. Decides nothing and keeps nothing that it cannot read again."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from runtime import chain
from runtime.errors import UnavailableError
from runtime.ports import Log, Stored
from scheduler.decision_messages import decode_decision
from scheduler.definition import Definition
from scheduler.definition import read as read_definition
from scheduler.inputs import Earlier, Execution, Input, Place, read_execution
from scheduler.plan import Plan, make
from schemas import subjects
from schemas.cloudevents import from_message
from schemas.messages import (
    AlertFired,
    Cause,
    CheckReported,
    CommandRefused,
    Decision,
    ExecutionChanged,
    Learned,
    QueueDecided,
    TimerDue,
    WorkflowChanged,
    decode,
)
from schemas.run_state import ENGINE, LearnedAction, RunState
from schemas.workflow import AdaptiveOrchestration

REMEMBERED = 20_000
"""Weight of all runs together that are kept in memory; one is about 2 KB, so about 40 MB at most."""
_BYTES_OF_ONE = 2048


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The last decision of a run, where it is, and the plan; all None or 0 for a run that has none."""

    previous: Decision | None = None
    sequence: int = 0
    plan: Plan | None = None
    fresh: bool = False
    """Just read from the log, not from memory."""
    left: bool = False
    """The run has ended and the queue certainly does not hold it any more."""


class Memory:
    """The runs that were decided on last, for speed only: dropping any of it is always right."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Known] = OrderedDict()
        self._weight = 0

    def get(self, uid: str) -> Known | None:
        """Return what is remembered of a run."""
        known = self._runs.get(uid)
        if known is not None:
            self._runs.move_to_end(uid)
        return known

    def put(self, uid: str, known: Known) -> None:
        """Remember a run, and forget the ones not used for longest when they are too many."""
        self.drop(uid)
        self._runs[uid] = known
        self._weight += _weight(known)
        while self._weight > REMEMBERED and len(self._runs) > 1:
            self.drop(next(iter(self._runs)))

    def __len__(self) -> int:
        """How many runs are remembered."""
        return len(self._runs)

    def drop(self, uid: str) -> None:
        """Forget a run."""
        known = self._runs.pop(uid, None)
        if known is not None:
            self._weight -= _weight(known)


def _weight(known: Known) -> int:
    if known.plan is None:
        return 1
    return 1 + len(known.plan.steps) + known.plan.definition.size // _BYTES_OF_ONE


class UnreadableError(ValueError):
    """What a run was to be planned from is in the log, and is no definition."""


async def load(log: Log, uid: str) -> Known:
    """Read the last decision of a run and the definition that it was planned with.

    Raises UnavailableError also when that decision is beyond this version: another scheduler may be newer, so the run
    is left to it, with its messages, and neither decided on from half of its state nor a reason to end. Raises
    UnreadableError when the definition is none.
    """
    head = await chain.head(log, subjects.decision(uid))
    if head.link is None:
        return Known(sequence=head.end, fresh=True)
    previous = _of_this_version(head.link)
    definition = await log.get(subjects.LOG.name, previous.state.definition_sequence)
    if definition is None:  # past retention: the object as it is now; its spec cannot have changed
        definition = await newest_definition(log, previous.workflow.namespace, uid)
    plan = await _plan_again(log, definition, previous.state) if definition else None
    return Known(previous=previous, sequence=head.end, plan=plan, fresh=True)


def _of_this_version(stored: Stored) -> Decision:
    words = f"the decision at sequence {stored.sequence} is left to a newer scheduler"
    try:
        decision = decode_decision(stored)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise UnavailableError(f"{words}: it cannot be read here: {error}") from error
    if decision.state.engine > ENGINE:
        raise UnavailableError(f"{words}: it asks for engine {decision.state.engine}, and this one is {ENGINE}")
    return decision


async def newest_definition(log: Log, namespace: str, uid: str) -> Stored | None:
    """Return the last whole change message of a workflow."""
    return await log.last(subjects.LOG.name, subjects.workflow_change(namespace, uid))


async def _plan_again(log: Log, stored: Stored, state: RunState) -> Plan | None:
    """Plan the definition in a change message as it was planned; None when it holds none. Raises UnreadableError."""
    seen = read_stored_definition(stored)
    if seen is None or not isinstance(seen.fact, Definition):
        return None
    return make(seen.fact, state.learned) if state.plan else await plan_anew(log, seen.fact)


def read_stored_definition(stored: Stored) -> Input | None:
    """Read a change message that others have read before. Raises UnreadableError when it makes no sense (any more)."""
    try:
        return read_input(stored)
    except (ValueError, msgspec.MsgspecError) as error:
        message = f"the definition at sequence {stored.sequence} of {stored.subject} cannot be read: {error}"
        raise UnreadableError(message) from error


async def with_end_of_workflow(log: Log, uid: str, inputs: list[Input]) -> list[Input]:
    """Put the end of a workflow before that of executions which it took along, which is not theirs.

    It stands before theirs in the log, and yet its message may come after theirs: again, after whoever had it died.
    """
    if not any(isinstance(each.fact, Execution) and each.fact.ending == "deleted" for each in inputs):
        return inputs
    ends = [each for each in inputs if _is_end(each)]
    if not ends:
        stored = await newest_definition(log, "*", uid)
        try:
            found = read_stored_definition(stored) if stored else None
        except UnreadableError:
            return inputs  # somebody else's message: no end of the workflow stands there
        ends = [found] if found is not None and _is_end(found) else []
    return [*ends, *(each for each in inputs if not _is_end(each))]


def _is_end(seen: Input) -> bool:
    return isinstance(seen.fact, Definition) and (seen.fact.deleted or seen.fact.deleting)


async def plan_anew(log: Log, definition: Definition) -> Plan:
    """Plan a definition for the first time, with what earlier runs showed where it asks for that."""
    asked = definition.spec.adaptive_orchestration if definition.spec else AdaptiveOrchestration()
    if not (asked.learning_from_history or asked.dynamic_step_adjustment):
        return make(definition)
    stored = await log.last(subjects.LEARNED_STREAM.name, subjects.LEARNED)
    return make(definition, _learned(stored))


def _learned(stored: Stored | None) -> dict[str, LearnedAction]:
    """Return the figures in the bucket; none when they cannot be read: a plan is possible without them."""
    try:
        body = decode(stored.headers.get("ce-type", ""), stored.data) if stored else None
    except (ValueError, msgspec.MsgspecError):
        return {}
    return body.actions if isinstance(body, Learned) else {}


async def earlier_run(log: Log, uid: str) -> Input | None:
    """Read how the run ended that is run again; None when the log does not know it any more."""
    stored = (await chain.head(log, subjects.decision(uid))).link
    if stored is None:
        return None
    try:
        decision = decode_decision(stored)
    except (ValueError, TypeError, msgspec.MsgspecError):
        return None
    cause = Cause(stored.headers["ce-id"], stored.sequence, stored.headers["ce-type"])
    return Input(cause=cause, time_ms=stored.time_ms, fact=Earlier(decision.state.steps))


_UID_TOKEN = {"change": 4, "timer": 3}
"""Where subjects name the workflow's uid; the others as their third token."""


def workflow_of(subject: str) -> str:
    """Return the workflow uid that a subject of the scheduler's inputs names."""
    tokens = subject.split(".")
    return tokens[_UID_TOKEN.get(tokens[1], 2)]


def read_input(stored: Stored) -> Input | None:
    """Read a message; None for a kind that nothing is decided on. Pure.

    A decision of the queue is read as the place of a run that it admits: it is handed to those only.

    Raises MalformedError, UnknownTypeError or msgspec.MsgspecError for one that can never be handled.
    """
    event = from_message(stored.subject, dict(stored.headers), stored.data)
    cause = Cause(event.id, stored.sequence, event.type)
    body = decode(event.type, stored.data)
    match body:
        case WorkflowChanged():
            namespace, uid = stored.subject.split(".")[3:5]
            fact = read_definition(body, uid=uid, namespace=namespace, sequence=stored.sequence)
            return Input(cause=cause, time_ms=stored.time_ms, fact=fact)
        case ExecutionChanged():
            return Input(cause=cause, time_ms=stored.time_ms, fact=read_execution(body))
        case CommandRefused() | CheckReported() | AlertFired() | TimerDue():
            return Input(cause=cause, time_ms=stored.time_ms, fact=body)
        case QueueDecided():
            return Input(cause=cause, time_ms=stored.time_ms, fact=Place(admitted=True))
    return None
