"""Public events as the announcer makes them, by its own code from decisions."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.announce import events
from schemas.cloudevents import Event
from schemas.messages import Decision, Transition, WorkflowRef
from schemas.run_state import RunState

NOW = 1_767_225_660_000
"""2026-01-01T00:01:00Z in ms."""


def a_uid(number: int) -> str:
    """Uid of the workflow of that number."""
    return f"{number:08d}-0000-4000-8000-000000000000"


def a_run(number: int = 1, *, steps: int = 2) -> list[Event]:
    """All public events of a run that ends well: 4 of the workflow and 3 of each step."""
    transitions = [
        [_of_run("planned", "planning", "validating")],
        [_of_run("validated", "validating", "validating"), _of_run("started", "validating", "executing")],
        *([_of_step(step, "ready", "pending", "executing")] for step in range(1, steps + 1)),
        *([_of_step(step, "started", "executing", "executing")] for step in range(1, steps + 1)),
        *([_of_step(step, "completed", "executing", "completed")] for step in range(1, steps + 1)),
        [_of_run("completed", "executing", "completed")],
    ]
    return list(_told(number, transitions))


def _told(number: int, decisions: Iterable[list[Transition]]) -> Iterable[Event]:
    uid, announced = a_uid(number), 0
    for version, transitions in enumerate(decisions, 1):
        announced += len(transitions)
        decision = Decision(
            workflow=WorkflowRef(namespace="shop", name=f"leak-{number}", uid=uid),
            correlation_id=f"rr-{number}",
            version=version,
            now=NOW + version,
            causes=(),
            transitions=tuple(transitions),
            state=RunState(phase="executing", announced=announced),
        )
        yield from events(decision, f"{uid}/{version}")


def _of_run(what: str, before: str, after: str) -> Transition:
    return Transition(entity="workflow", what=what, before=before, after=after)


def _of_step(step: int, what: str, before: str, after: str) -> Transition:
    return Transition(entity="step", what=what, before=before, after=after, step=step, attempt=1, action="notify_only")


def interleaved(*runs: list[Event]) -> list[Event]:
    """The events of several runs, taken in turn."""
    longest = max(len(run) for run in runs)
    return [run[place] for place in range(longest) for run in runs if place < len(run)]
