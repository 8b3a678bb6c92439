"""What can keep a run or a step waiting: typed, so that a status and `kubernaut explain` tell the same. Pure.

A reason is a fact of the state that stands now and that one other fact takes away. Must never hold words: those are in
`executor_bridge.reason_words`, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from schemas.execution import Purpose

if TYPE_CHECKING:
    from schemas.run_state import RunState, SideState, StepState

TIMERS: Final[dict[Purpose, str]] = {"execute": "step", "dry_run": "dry", "rollback": "undo"}
"""How the timers of each purpose are named: `<word>:<step number>`."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag_field="kind"):
    """Base of the reasons. Times are ms since 1970, 0 for none; as JSON each says its kind."""


class Place(Reason, frozen=True, kw_only=True, tag="queue"):
    """As many workflows run as may."""

    priority: str
    position: int = 0
    """Its place in the queue, from 1; 0 where that was not looked up."""
    before: tuple[str, ...] = ()
    """Workflows whose turn comes first, the last of them, as `namespace/name`."""


class Resume(Reason, frozen=True, kw_only=True, tag="pause"):
    """Somebody paused the run."""

    since: int
    meanwhile: tuple[int, ...] = ()
    """Steps that go on to their end."""


class Result(Reason, frozen=True, kw_only=True, tag="check"):
    """A required check has no result."""

    check: str
    """Its id in the run."""
    type: str


class Approval(Reason, frozen=True, kw_only=True, tag="approval"):
    """Nobody has approved the plan."""

    until: int = 0
    early: bool = False
    """Somebody did so before there was a plan, which does not count."""


class Flight(Reason, frozen=True, kw_only=True):
    """An execution was commanded and has not ended."""

    step: int
    purpose: Purpose = "execute"


class Creation(Flight, frozen=True, kw_only=True, tag="creation"):
    """It was not seen yet."""


class End(Flight, frozen=True, kw_only=True, tag="end"):
    """The executor has it."""

    until: int = 0
    """When it is ended."""


class CommandedEnd(Flight, frozen=True, kw_only=True, tag="commanded_end"):
    """Its end was commanded and not seen yet."""

    why: str
    """timed_out, cancelled or skipped."""


class Retry(Reason, frozen=True, kw_only=True, tag="retry"):
    """An attempt has failed, and the time of the next has not come."""

    step: int
    purpose: Purpose = "execute"
    retries: int
    until: int = 0
    error: str = ""


class Slot(Reason, frozen=True, kw_only=True, tag="limit"):
    """As many steps are in flight as may."""

    step: int
    limit: int
    holders: tuple[int, ...] = ()
    """Steps in flight."""
    before: tuple[int, ...] = ()
    """Steps that get a place first."""


class Dependency(Reason, frozen=True, kw_only=True, tag="dependency"):
    """A step that this one depends on has not ended; of a rollback, one that depends on this one was not undone."""

    step: int
    phase: str
    """How far that one is."""
    purpose: Purpose = "execute"


class DryRun(Reason, frozen=True, kw_only=True, tag="dry_run"):
    """The dry run of a step has not ended, or not begun."""

    step: int
    phase: str


class Condition(Reason, frozen=True, kw_only=True, tag="condition"):
    """An expression of the step has a word in it once everything else is there. Nothing takes it away by itself."""

    what: str
    """runIf, skipIf, preConditions or parameters."""
    expression: str = ""


class Doomed(Reason, frozen=True, kw_only=True, tag="dependency_failed"):
    """A dependency did not complete: once the others have ended, the step is skipped."""

    step: int


class Skipped(Reason, frozen=True, kw_only=True, tag="skipped"):
    """A person has skipped the step before the run was planned."""


class Closing(Reason, frozen=True, kw_only=True, tag="closing"):
    """The run starts no new step and ends once nothing is in flight: a step that has not begun will not run."""

    how: str
    """As in RunState.closing."""
    why: str


class Freeze(Reason, frozen=True, kw_only=True, tag="freeze"):
    """Nothing new is done in the cluster until somebody thaws it. No state knows of it: it is read from the server."""

    since: int = 0
    until: int = 0
    by: str = ""
    because: str = ""


class Health(Reason, frozen=True, kw_only=True, tag="health"):
    """What the steps have changed must stay healthy."""

    window: float
    """Seconds."""
    until: int = 0
    """When they were so for long enough; 0 while they are not."""
    given_up: int = 0
    """When it is waited for no longer."""
    looked: bool = False
    healthy: int = 0
    judged: int = 0
    message: str = ""


class Expiry(Reason, frozen=True, kw_only=True, tag="deletion"):
    """The run has ended; its object is kept until then."""

    until: int
    asked: bool = False
    """The audit was asked whether it holds the run, and is asked again then."""


def of_step(state: RunState, one: StepState | SideState, purpose: Purpose = "execute") -> tuple[Reason, ...]:
    """Return what is waited for of an execution in flight, or of a retry whose time has not come; else nothing."""
    until = state.timers.get(f"{TIMERS[purpose]}:{one.number}", 0)
    if one.phase == "executing":
        if one.ending:
            return (CommandedEnd(step=one.number, purpose=purpose, why=one.ending),)
        if not one.execution_uid:
            return (Creation(step=one.number, purpose=purpose),)
        return (End(step=one.number, purpose=purpose, until=until),)
    if one.phase == "waiting_retry" and (purpose == "dry_run" or one.number not in state.ready):
        error = one.error or one.reason
        return (Retry(step=one.number, purpose=purpose, retries=one.retries, until=until, error=error),)
    return ()


def open_checks(state: RunState) -> tuple[Reason, ...]:
    """Return the required checks that have no result; nobody waits for the others."""
    return tuple(Result(check=c.id, type=c.type) for c in state.checks if c.required and c.passed is None)


def approval(state: RunState) -> Reason:
    """Return that a word of a person is waited for."""
    return Approval(until=state.timers.get("phase", 0), early=bool(state.early_approval))
