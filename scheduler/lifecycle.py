"""How a run begins, and how it ends when its object goes: the queue, planning, deletion. Pure; works on a `Draft` only.

Source of the rules: spec.md section 3. Must start nothing by itself: what may start is for the phases to say.
"""

from __future__ import annotations

from typing import Final

import msgspec

from scheduler import commanding, controls, validating
from scheduler.definition import Definition
from scheduler.draft import Draft
from scheduler.ending import fail, keep, stand_still
from scheduler.executing import SKIPPED
from scheduler.queueing import RANKS
from schemas.messages import HoldWorkflow, ReleaseWorkflow
from schemas.queue_state import QueueEntry
from schemas.run_state import StepState

replace = msgspec.structs.replace

_STANDING: Final = frozenset({"pause", "cancel", "rollback"})
"""Requests that are looked at with each version of the object, because they stand on it."""


def needs_place(definition: Definition) -> bool:
    """Whether a new run asks the queue for a place: not one that ends at once."""
    return not (definition.deleted or definition.deleting or definition.decided or definition.finished)


def turn_of(definition: Definition) -> QueueEntry:
    """Return the turn of a run: by priority, then by age."""
    priority = definition.spec.execution_strategy.priority if definition.spec else "normal"
    return QueueEntry(rank=RANKS[priority], created_at=definition.created_at, uid=definition.ref.uid)


def begin(draft: Draft, *, admitted: bool) -> None:
    """Take in a new run: it waits for a place, or goes on at once."""
    definition = draft.plan.definition
    draft.fields |= {
        "generation": definition.generation,
        "object_version": definition.version,
        "definition_sequence": definition.sequence,
        "spec_hash": definition.spec_hash,
        "owned": definition.owned,
    }
    admitted = admitted or not needs_place(definition)
    if not admitted:
        draft.fields["queue"] = turn_of(definition)
    draft.move_run("admitted" if admitted else "queued")
    if definition.deleted or definition.deleting:
        end_early(draft, definition)
        return
    if definition.decided:
        message = (
            f"the log of this run is gone (its status shows decision {definition.decided}); nothing more is done,"
            " because what was done already cannot be known. Look at its executions, then create the workflow again"
        )
        draft.fields["started_at"] = draft.now
        fail(draft, "refused", reason="log_lost", message=message)
    elif admitted:
        validating.take_approval(draft, definition)
        plan(draft)
    controls.take(draft, definition)
    validating.take_approval(draft, definition)


def take_workflow(draft: Draft, seen: Definition) -> None:
    """Take in a newer version of the workflow object: its deletion, or what people ask for."""
    if seen.version <= draft.get("object_version") or draft.get("gone"):
        return
    if seen.deleted or seen.deleting:
        end_early(draft, seen)
        return
    if seen.owned != draft.get("owned"):
        draft.fields["owned"] = seen.owned
        if draft.ended:
            keep(draft)
    if not seen.errors and seen.spec_hash != draft.get("spec_hash"):
        draft.refuse("spec", f"{seen.spec_hash[:8]}: the run goes on with the spec that it was planned with")
    controls.take(draft, seen)
    validating.take_approval(draft, seen)
    # A version that asks for what is refused now must not come again when the phase is another: old news is no request.
    refused = not _STANDING.isdisjoint(draft.get("refusals"))
    if draft.changed or refused or seen.generation > draft.get("generation"):
        generation = max(seen.generation, draft.get("generation"))
        draft.fields |= {"object_version": seen.version, "generation": generation}


def admit(draft: Draft) -> None:
    """The queue gave the run a place."""
    if draft.phase == "queued":
        draft.move_run("admitted")
        plan(draft)


def plan(draft: Draft) -> None:
    """Record the plan, or every reason why there is none."""
    made = draft.plan
    draft.fields |= {"started_at": draft.now, "queue": None}
    if made.state is None:
        more = f" (and {len(made.errors) - 1} more)" if len(made.errors) > 1 else ""
        draft.fields["errors"] = made.errors
        fail(draft, "refused", reason="invalid_workflow", message=f"planning refused: {made.errors[0]}{more}")
        return
    draft.fields |= {
        "plan": made.state,
        "limit": made.limit,
        "held": True,
        "learned": made.learned,
        "adjustments": tuple(replace(each, at=draft.now) for each in made.adjustments),
    }
    draft.steps = [StepState(number=s.step_number, blockers=len(made.before[s.step_number])) for s in made.steps]
    draft.commands.append(HoldWorkflow())
    draft.move_run("planned", "planned")
    draft.arm("workflow", draft.now + made.workflow_ms)
    validating.begin(draft)


def take_earlier(draft: Draft, steps: tuple[StepState, ...]) -> None:
    """Give the steps that a rerun skips the results that they had in the run before."""
    earlier = {step.number: step for step in steps if step.phase in {"completed", "skipped", "rolled_back"}}
    for step in tuple(draft.steps):
        known = earlier.get(step.number)
        if known is not None and step.reason == SKIPPED and step.result is None:
            draft.put(replace(step, result=known.result))
    if draft.plan.definition.rerun_of != draft.get("rerun_of"):
        draft.fields["rerun_of"] = draft.plan.definition.rerun_of


def end_early(draft: Draft, seen: Definition) -> None:
    """The object is being deleted or gone: end the run, end its executions, let the object go."""
    if not draft.ended:
        draft.fields |= {"failure_reason": "the workflow was deleted before it had ended", "outcome": "cancelled"}
        commanding.abandon_all(draft, reason="workflow_deleted")
        draft.move_run("cancelled", "cancelled", reason="workflow_deleted")
        stand_still(draft)
    if seen.deleted:
        draft.fields |= {"gone": True, "deleting": True, "held": False}
        draft.timers = {}
        draft.tell_run("deleted", reason="workflow_deleted")
    elif draft.get("held") or (seen.held and not draft.get("deleting")):
        draft.fields |= {"deleting": True, "held": False}
        draft.commands.append(ReleaseWorkflow())
    if draft.changed:
        draft.fields["object_version"] = max(seen.version, draft.get("object_version"))
