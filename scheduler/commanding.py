"""Commands about executions, and what they reserve: creating, deleting, releasing, giving up. Pure; works on a `Draft`.

An execution is deleted only if its creation was seen; one that was not is abandoned, and deleted should it show up.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scheduler.draft import Draft
from schemas import durations
from schemas.actions import ACTIONS
from schemas.execution import Purpose
from schemas.messages import CreateExecution, DeleteExecution, ReleaseExecution
from schemas.names import execution_name, idempotency_key
from schemas.run_state import SideState, StepState

replace = msgspec.structs.replace

TIMER: Final[dict[str, str]] = {"execute": "step", "dry_run": "dry", "rollback": "undo"}
"""How the timer of an execution of each purpose is named: `<word>:<step number>`."""
UNSEEN_MS: Final = 2 * 60 * 1000
"""How long an execution is waited for whose end is wanted and whose creation was not seen. The bridge does not create
it any more; whoever made it before, and a watcher that was away, have told of it by then."""
_LIMITS: Final[dict[str, str]] = {"execute": "workflow", "dry_run": "phase"}
"""The timer of the run that an execution must not outlive."""
LOST_LIMIT: Final = 16
"""Attempts of a step whose executions may still show up that are kept in mind, beside the last one."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution is to do."""

    action: str
    parameters: dict[str, Any]
    timeout_ms: int
    rendered: bool = False
    derived: bool = False


def timer(purpose: str, number: int) -> str:
    """Return the name of the timer of a step's execution of that purpose."""
    return f"{TIMER[purpose]}:{number}"


def idempotent(action: str) -> bool:
    """Whether doing it twice has the effect of doing it once; an action that nobody knows may not."""
    known = ACTIONS.get(action)
    return known is not None and known.idempotent


def create(draft: Draft, number: int, attempt: int, purpose: Purpose, order: Order) -> bool:
    """Command an execution and arm its timer; whether it is to be held until its end is in the log.

    Its time is cut to what is left of the run's.
    """
    definition = draft.plan.definition
    hold = purpose != "dry_run" and not idempotent(order.action)
    ends = draft.timers.get(_LIMITS.get(purpose, ""))
    timeout = min(order.timeout_ms, max(ends - draft.now, 1000)) if ends else order.timeout_ms
    draft.commands.append(
        CreateExecution(
            name=execution_name(definition.ref.name, number, attempt, purpose),
            step=number,
            attempt=attempt,
            purpose=purpose,
            action=order.action,
            parameters=order.parameters,
            target_cluster=draft.plan.step(number).target_cluster,
            timeout=durations.render(timeout / 1000),
            idempotency_key=idempotency_key(definition.ref.uid, number, attempt, purpose),
            hold=hold,
            approved=draft.get("approval") is not None,  # a rejected run executes nothing
            rendered=order.rendered,
            derived=order.derived,
        )
    )
    draft.arm(timer(purpose, number), draft.now + timeout)
    return hold


def delete(draft: Draft, state: StepState | SideState, purpose: Purpose) -> None:
    """Command the deletion of an execution whose creation was seen; our finalizer comes off with it.

    One that is being deleted already needs no command.
    """
    if state.leaving:
        return
    draft.commands.append(
        DeleteExecution(
            name=name_of(draft, state, purpose),
            uid=state.execution_uid,
            step=state.number,
            hold=state.held,
            purpose=purpose,
        )
    )
    if state.held:
        put(draft, current(draft, state.number, purpose), purpose, held=False)


def end(draft: Draft, state: StepState | SideState, purpose: Purpose, *, last: bool) -> bool:
    """End an execution in flight, as it was before its end was wanted; whether it has ended by that.

    One whose creation was not seen may be there all the same. It keeps its place for a while, so that never more than
    the limit are in the cluster, unless it is the `last`: nothing starts after it.
    """
    name = timer(purpose, state.number)
    if state.execution_uid:
        draft.disarm(name)
        if not state.ending:
            delete(draft, state, purpose)
        return state.leaving
    if last:
        abandon(draft, current(draft, state.number, purpose), purpose)
        return True
    if not state.ending:
        draft.arm(name, draft.now + UNSEEN_MS)
    return False


def abandon(draft: Draft, state: StepState | SideState, purpose: Purpose) -> None:
    """Give up an execution whose creation was not seen: should it show up, it is deleted."""
    lost = (*state.lost, state.abandoned)[-LOST_LIMIT:] if state.abandoned else state.lost
    put(draft, state, purpose, abandoned=state.attempt, lost=lost)


def release(draft: Draft, state: StepState | SideState, purpose: Purpose, *, gone: bool) -> None:
    """Command that our finalizer is taken off an execution, if it carries one and is not gone."""
    if state.held and not gone:
        draft.commands.append(
            ReleaseExecution(name=name_of(draft, state, purpose), uid=state.execution_uid, step=state.number)
        )
    if state.held:
        put(draft, current(draft, state.number, purpose), purpose, held=False)


def current(draft: Draft, number: int, purpose: Purpose) -> StepState | SideState:
    """Return the step, or its dry run or rollback, as it is now."""
    return draft.step(number) if purpose == "execute" else draft.side(purpose, number)


def put(draft: Draft, state: StepState | SideState, purpose: Purpose, **changes: Any) -> None:
    """Store a step or a side with changes that leave its phase as it is."""
    changed = replace(state, **changes)
    if isinstance(changed, StepState):
        draft.put(changed)
    else:
        draft.put_side(purpose, changed)


def name_of(draft: Draft, state: StepState | SideState, purpose: Purpose) -> str:
    """Return the name of the execution of the newest attempt."""
    return execution_name(draft.plan.definition.ref.name, state.number, state.attempt, purpose)


def abandon_all(draft: Draft, *, reason: str) -> None:
    """The run ends here: give up every execution in flight, and every step that has not ended is cancelled."""
    for step in tuple(draft.steps):
        if step.phase == "executing":
            _give_up(draft, step, "execute")
            draft.move_step(step.number, "cancelled", "cancelled", reason=reason)
        elif step.phase in {"pending", "waiting_retry"}:
            draft.move_step(step.number, "cancelled", "cancelled", reason=reason)
    purposes: tuple[Purpose, ...] = ("dry_run", "rollback")
    for purpose in purposes:
        for side in tuple(draft.sides[purpose]):
            if side.phase == "executing":
                _give_up(draft, side, purpose)
            if side.phase in {"executing", "pending", "waiting_retry"}:
                now = draft.side(purpose, side.number)
                draft.put_side(purpose, replace(now, phase="cancelled", reason=reason, ended_at=draft.now, ending=""))


def _give_up(draft: Draft, state: StepState | SideState, purpose: Purpose) -> None:
    if not state.execution_uid:
        abandon(draft, state, purpose)
    elif not state.ending:
        delete(draft, state, purpose)
