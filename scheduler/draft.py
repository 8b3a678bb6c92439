"""A decision in the making: the state as it changes, the transitions and commands so far. Pure.

Holds the bookkeeping (what is ready, in flight, settled) so that the rules in `engine` speak of steps only. What is
commanded here is in flight in the state that comes out: a decision reserves, it never waits to see the effect.
"""

from __future__ import annotations

from bisect import insort
from typing import Any

import msgspec

from scheduler.plan import Plan
from scheduler.transitions import run_after, step_after
from schemas.actions import ACTIONS
from schemas.messages import Command, CreateExecution, DeleteExecution, Refusal, ReleaseExecution, Transition
from schemas.names import execution_name, idempotency_key
from schemas.run_state import RunState, StepState
from schemas.workflow import DEFAULT_STEP_TIMEOUT
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES

replace = msgspec.structs.replace


class Draft:
    """What a decision changes, collected; `finish` returns the state after it."""

    def __init__(self, plan: Plan, state: RunState, now: int, *, phase: str) -> None:
        """`now`: the time that the decision knows, in ms. `phase`: of the run so far; empty for a new one."""
        self.plan = plan
        self.now = now
        self.before = state
        self.steps = list(state.steps)
        self.ready = list(state.ready)
        self.in_flight = state.in_flight
        self.settled = state.settled
        self.fields: dict[str, Any] = {}
        self.transitions: list[Transition] = []
        self.refusals: list[Refusal] = []
        self.commands: list[Command] = []
        self.phase = phase

    @property
    def ended(self) -> bool:
        """Whether the run is in a final phase."""
        return self.phase in TERMINAL_PHASES

    @property
    def changed(self) -> bool:
        """Whether anything is to be recorded."""
        return bool(self.fields or self.transitions or self.commands or self.refusals)

    def get(self, field: str) -> Any:
        """Return a field of the state as it is now."""
        return self.fields.get(field, getattr(self.before, field))

    def step(self, number: int) -> StepState:
        """Return the state of a step."""
        return self.steps[self.plan.place[number]]

    def put(self, step: StepState) -> None:
        """Store the state of a step."""
        self.steps[self.plan.place[step.number]] = step

    def move_run(self, event: str, what: str = "", *, reason: str = "", message: str = "") -> None:
        """Take the run through an event; `what` is its public event, if it has one."""
        after = run_after(self.phase, event)
        if what:
            self.transitions.append(
                Transition(
                    entity="workflow",
                    what=what,
                    before=self.phase,
                    after=after,
                    reason=reason or event,
                    message=message,
                )
            )
        self.phase = after
        self.fields["phase"] = after
        times = dict(self.get("phase_times"))
        times.setdefault(after, self.now)
        self.fields["phase_times"] = times
        if after in TERMINAL_PHASES:
            self.fields["ended_at"] = self.now

    def tell_run(self, what: str, *, reason: str, message: str = "") -> None:
        """Record a public event of the run that leaves its phase as it is."""
        self.transitions.append(
            Transition(
                entity="workflow", what=what, before=self.phase, after=self.phase, reason=reason, message=message
            )
        )

    def move_step(
        self, number: int, event: str, what: str, *, reason: str = "", message: str = "", **changes: Any
    ) -> StepState:
        """Take a step through an event, with `changes` to its other fields, and keep the counts right."""
        before = self.step(number)
        after = step_after(before.phase, event)
        self._count(before, after)
        if after in TERMINAL_STEP_PHASES:
            changes.setdefault("ended_at", self.now)
        step = replace(before, phase=after, reason=reason, **changes)
        self.put(step)
        self.transitions.append(
            Transition(
                entity="step",
                what=what,
                before=before.phase,
                after=after,
                step=number,
                attempt=step.attempt,
                action=self.plan.step(number).action,
                reason=reason or event,
                message=message,
            )
        )
        return step

    def make_ready(self, number: int) -> None:
        """Note that nothing but the limit keeps the step from starting."""
        insort(self.ready, number)

    def start(self, number: int) -> None:
        """Command the execution of a ready step: from here on it is in flight."""
        self.ready.remove(number)
        step, definition = self.plan.step(number), self.plan.definition
        attempt = self.step(number).attempt + 1
        hold = not ACTIONS[step.action].idempotent
        self.move_step(number, "commanded", "ready", attempt=attempt, started_at=self.now, held=hold)
        self.commands.append(
            CreateExecution(
                name=execution_name(definition.ref.name, number, attempt),
                step=number,
                attempt=attempt,
                action=step.action,
                parameters=step.parameters,
                target_cluster=step.target_cluster,
                timeout=step.timeout or DEFAULT_STEP_TIMEOUT,
                idempotency_key=idempotency_key(definition.ref.uid, number, attempt),
                hold=hold,
            )
        )

    def release(self, number: int, *, gone: bool = False) -> None:
        """Command that our finalizer is taken off the step's execution, if it carries one and is not gone."""
        step = self.step(number)
        if step.held and step.execution_uid and not gone:
            self.commands.append(ReleaseExecution(name=self.name_of(step), uid=step.execution_uid, step=number))
        if step.held:
            self.put(replace(step, held=False))

    def delete(self, number: int) -> None:
        """Command the deletion of the step's execution. Only for one whose creation was observed."""
        step = self.step(number)
        self.commands.append(
            DeleteExecution(name=self.name_of(step), uid=step.execution_uid, step=number, hold=step.held)
        )
        self.put(replace(step, held=False))

    def name_of(self, step: StepState) -> str:
        """Return the name of the execution of the step's attempt."""
        return execution_name(self.plan.definition.ref.name, step.number, step.attempt)

    def finish(self) -> RunState:
        """Return the state after the decision."""
        return replace(
            self.before,
            steps=tuple(self.steps),
            ready=tuple(self.ready),
            in_flight=self.in_flight,
            settled=self.settled,
            announced=self.before.announced + len(self.transitions),
            **self.fields,
        )

    def _count(self, step: StepState, after: str) -> None:
        self.in_flight += (after == "executing") - (step.phase == "executing")
        self.settled += (after in TERMINAL_STEP_PHASES) - (step.phase in TERMINAL_STEP_PHASES)
        if step.phase == "pending" and after != "executing" and step.number in self.ready:
            self.ready.remove(step.number)
