"""A decision in the making: the state as it changes, the transitions and commands so far. Pure.

Holds the bookkeeping (what is ready, in flight, settled, due) so that the rules of the phases speak of steps only. What
is commanded here is in flight in the state that comes out: a decision reserves, it never waits to see the effect.
"""

from __future__ import annotations

from bisect import insort
from typing import Any, Final

import msgspec

from scheduler.plan import Plan
from scheduler.transitions import run_after, step_after
from schemas.messages import Command, Refusal, ReleaseWorkflow, Transition
from schemas.run_state import RunState, SideState, StepState
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES

replace = msgspec.structs.replace

STOPPABLE: Final = frozenset({"workflow", "phase"})
"""Timers that stand still while the run is paused."""


class Draft:
    """What a decision changes, collected; `finish` returns the state after it."""

    def __init__(self, plan: Plan, state: RunState, now: int, *, phase: str) -> None:
        """`now`: the time that the decision knows, in ms. `phase`: of the run so far; empty for a new one."""
        self.plan = plan
        self.now = now
        self.before = state
        self.steps = list(state.steps)
        self.sides: dict[str, list[SideState]] = {"dry_run": list(state.dry_runs), "rollback": list(state.rollbacks)}
        self.ready = list(state.ready)
        self.in_flight = state.in_flight
        self.settled = state.settled
        self.timers = state.timers
        self.fields: dict[str, Any] = {}
        self.transitions: list[Transition] = []
        self.refusals: list[Refusal] = []
        self.commands: list[Command] = []
        self.phase = phase
        self.touched = False
        """A step or a side changed without a transition."""

    @property
    def ended(self) -> bool:
        """Whether the run is in a final phase."""
        return self.phase in TERMINAL_PHASES

    @property
    def changed(self) -> bool:
        """Whether anything is to be recorded: transitions, commands and refusals never come without a change."""
        return bool(self.fields or self.touched or self.timers is not self.before.timers)

    def get(self, field: str) -> Any:
        """Return a field of the state as it is now."""
        return self.fields.get(field, getattr(self.before, field))

    def step(self, number: int) -> StepState:
        """Return the state of a step."""
        return self.steps[self.plan.place[number]]

    def put(self, step: StepState) -> None:
        """Store the state of a step."""
        self.steps[self.plan.place[step.number]] = step
        self.touched = True

    def side(self, purpose: str, number: int) -> SideState:
        """Return the dry run or the rollback of a step; there must be one."""
        return self.sides[purpose][self.plan.place[number]]

    def put_side(self, purpose: str, side: SideState) -> None:
        """Store the state of a dry run or a rollback, and keep the count of what is in flight right."""
        place = self.plan.place[side.number]
        before = self.sides[purpose][place]
        self.in_flight += (side.phase == "executing") - (before.phase == "executing")
        self.sides[purpose][place] = side
        self.touched = True

    def arm(self, name: str, at: int) -> None:
        """Note that something is due at `at`, in ms; while the run is paused some timers stand still."""
        if name in STOPPABLE and self.get("paused_at"):
            self.fields["stopped"] = {**self.get("stopped"), name: at - self.now}
            return
        self.timers = {**self.timers, name: at}

    def disarm(self, *names: str) -> None:
        """Forget what was due."""
        if any(name in self.timers for name in names):
            self.timers = {name: at for name, at in self.timers.items() if name not in names}
        stopped = self.get("stopped")
        if any(name in stopped for name in names):
            self.fields["stopped"] = {name: left for name, left in stopped.items() if name not in names}

    def move_run(self, event: str, what: str = "", *, reason: str = "", message: str = "") -> None:
        """Take the run through an event; `what` is its public event, if it has one."""
        after = run_after(self.phase, event)
        self._note_run(what, after, reason or event, message)
        self.phase = after
        self.fields["phase"] = after
        self.note_time(after)
        if after in TERMINAL_PHASES:
            self.fields["ended_at"] = self.now

    def note_time(self, name: str) -> None:
        """Record when a phase began, or another moment of the run, the first time."""
        times = self.get("phase_times")
        if name not in times:
            self.fields["phase_times"] = {**times, name: self.now}

    def tell_run(self, what: str, *, reason: str, message: str = "") -> None:
        """Record a public event of the run that leaves its phase as it is."""
        self._note_run(what, self.phase, reason, message)

    def _note_run(self, what: str, after: str, reason: str, message: str) -> None:
        self.transitions.append(
            Transition(entity="workflow", what=what, before=self.phase, after=after, reason=reason, message=message)
        )

    def move_step(
        self, number: int, event: str, what: str, *, reason: str = "", message: str = "", **changes: Any
    ) -> StepState:
        """Take a step through an event, with `changes` to its other fields, and keep the counts right."""
        before = self.step(number)
        after = step_after(before.phase, event)
        self._count(before, after)
        if after in TERMINAL_STEP_PHASES and "ended_at" not in changes:
            changes["ended_at"] = self.now
        if after != "executing":
            changes["ending"] = ""
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
        """Note that nothing but the limit keeps the step (or its dry run, or its rollback) from starting."""
        if number not in self.ready:
            insort(self.ready, number)

    def refuse(self, operation: str, message: str) -> None:
        """Record that a request of a person is not carried out; said once for each wording."""
        known = self.get("refusals")
        if known.get(operation) != message:
            self.fields["refusals"] = {**known, operation: message}
            self.refusals.append(Refusal(operation=operation, message=f"{operation} is refused: {message}"))

    def grant(self, operation: str) -> None:
        """Forget that an operation was refused: it is accepted now."""
        known = self.get("refusals")
        if operation in known:
            self.fields["refusals"] = {name: text for name, text in known.items() if name != operation}

    def let_go(self) -> None:
        """The end is recorded by this decision: our finalizer may come off the object."""
        if self.get("held"):
            self.fields["held"] = False
            self.commands.append(ReleaseWorkflow())

    def finish(self) -> RunState:
        """Return the state after the decision."""
        told = sum(1 for transition in self.transitions if transition.what)
        armed = self.before.wake_at
        if self.timers:
            # A wake-up at this very moment may be the one that is being handled.
            due = max(min(self.timers.values()), self.now + 1)
            armed = due if armed <= self.now else min(armed, due)
        return replace(
            self.before,
            steps=tuple(self.steps),
            dry_runs=tuple(self.sides["dry_run"]),
            rollbacks=tuple(self.sides["rollback"]),
            ready=tuple(self.ready),
            in_flight=self.in_flight,
            settled=self.settled,
            announced=self.before.announced + told,
            timers=self.timers,
            wake_at=armed,
            **self.fields,
        )

    def _count(self, step: StepState, after: str) -> None:
        self.in_flight += (after == "executing") - (step.phase == "executing")
        self.settled += (after in TERMINAL_STEP_PHASES) - (step.phase in TERMINAL_STEP_PHASES)
        if step.number in self.ready:
            self.ready.remove(step.number)
