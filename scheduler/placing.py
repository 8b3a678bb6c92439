"""What a run has to do with the queue around a decision: it asks for a place before, and gives it back after its end.

Must never let a message be acknowledged before the queue knows what followed from it (decision record 0009).
"""

from __future__ import annotations

import msgspec

from runtime.ports import Log
from scheduler.decision_messages import decision_event
from scheduler.gather import Known, Memory, earlier_run
from scheduler.inputs import Input, Place
from scheduler.lifecycle import needs_place, turn_of
from scheduler.plan import Plan
from scheduler.queue_desk import Desk
from schemas.messages import TYPE_OF, Cause, Decision
from schemas.workflow_status import TERMINAL_PHASES


class Placing:
    """Goes to the desk for the runs of a scheduler."""

    def __init__(self, log: Log, desk: Desk, memory: Memory) -> None:
        """`memory`: where it is noted that the queue does not hold a run any more."""
        self._log = log
        self._desk = desk
        self._memory = memory

    async def with_place(self, plan: Plan, previous: Decision | None, taken: list[Input]) -> list[Input]:
        """Add what the queue says of a new run, and how the run ended that one with a place runs again."""
        if previous is not None and previous.state.phase != "queued":
            return taken
        definition = plan.definition
        if previous is None and needs_place(definition) and not any(isinstance(i.fact, Place) for i in taken):
            now = max(each.time_ms for each in taken)
            admitted, cause = await self._desk.ask(turn_of(definition), taken[0].cause, now=now)
            taken = [*taken, Input(cause=cause, time_ms=0, fact=Place(admitted=admitted))]
        if definition.rerun_of and any(each.fact == Place(admitted=True) for each in taken):
            earlier = await earlier_run(self._log, definition.rerun_of)
            taken = [*taken, earlier] if earlier else taken
        return taken

    async def at_the_desk(self, uid: str, known: Known, taken: list[Input]) -> Input | None:
        """Tell the queue what it must know before anything is acknowledged: who still waits, and who has ended.

        A run that waits asks again now that the log says so (decision record 0009); returns its place, if any.
        """
        previous = known.previous
        # A stale look at the log may give a run a place that has ended and left before: then it leaves again.
        placed = any(each.fact == Place(admitted=True) for each in taken)
        if previous is None or (known.left and not placed):
            return None
        cause = Cause(decision_event(previous).id, known.sequence, TYPE_OF[Decision])
        if previous.state.phase == "queued" and previous.state.queue is not None:
            admitted, why = await self._desk.ask(previous.state.queue, cause, now=previous.now)
            return Input(cause=why, time_ms=previous.now, fact=Place(admitted=True)) if admitted else None
        if previous.state.phase in TERMINAL_PHASES:
            await self._desk.leave(uid, cause, now=previous.now)
            self._memory.put(uid, msgspec.structs.replace(known, left=True, fresh=False))
        return None
