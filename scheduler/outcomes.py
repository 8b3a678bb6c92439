"""What the cluster tells: versions of executions, refused commands, results of checks. Pure; works on a `Draft` only.

Repeats and old news change nothing: an execution is taken in by its version, a refusal only while its step waits for
the execution, the result of a check only while it is open.
"""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler import commanding, executing, monitoring, retention, rolling_back, validating
from scheduler.draft import Draft
from scheduler.inputs import ERROR_LIMIT, Execution
from schemas.execution import Purpose
from schemas.messages import CheckReported, CommandRefused, DeleteExecution, ReleaseExecution
from schemas.names import idempotency_key
from schemas.run_state import SideState, StepState

replace = msgspec.structs.replace


def take_execution(draft: Draft, seen: Execution) -> bool:
    """Take in a version of an execution; False when it is none of this state's (foreign, or of a later attempt)."""
    if not _is_known(draft, seen.step, seen.purpose):
        return False
    if seen.key != idempotency_key(draft.plan.definition.ref.uid, seen.step, seen.attempt, seen.purpose):
        return False
    state = commanding.current(draft, seen.step, seen.purpose)
    if seen.attempt in {state.abandoned, *state.lost} - {0}:
        _take_abandoned(draft, state, seen)
    elif seen.attempt > state.attempt:
        return False
    elif seen.attempt == state.attempt and state.execution_uid not in {"", seen.uid}:
        return _take_second(draft, state, seen)
    elif seen.attempt == state.attempt and seen.version > state.execution_version and state.phase == "executing":
        _advance(draft, state, seen)
    return True


def _is_known(draft: Draft, number: int, purpose: Purpose) -> bool:
    if number not in draft.plan.place or not draft.steps:
        return False
    return purpose == "execute" or bool(draft.sides[purpose])


def _take_abandoned(draft: Draft, state: StepState | SideState, seen: Execution) -> None:
    """An execution that nobody waits for any more has shown up: it must not go on."""
    if seen.attempt == state.abandoned:
        commanding.put(draft, state, seen.purpose, abandoned=0)
    else:
        commanding.put(draft, state, seen.purpose, lost=tuple(each for each in state.lost if each != seen.attempt))
    _send_away(draft, seen)


def _take_second(draft: Draft, state: StepState | SideState, seen: Execution) -> bool:
    """A create that was on its way twice has made the execution anew, once the first was gone: it must not go on.

    False when it only looks like one: under another name it is somebody's copy, and none of ours.
    """
    if seen.name != commanding.name_of(draft, state, seen.purpose):
        return False
    if seen.uid != state.second and not seen.gone:
        commanding.put(draft, state, seen.purpose, second=seen.uid)
        _send_away(draft, seen)
    return True


def _send_away(draft: Draft, seen: Execution) -> None:
    """End an execution that nobody waits for, or let go of one that has ended or is about to be gone."""
    hold = not commanding.idempotent(_action_of(draft, seen)) and seen.purpose != "dry_run"
    if seen.gone:
        return
    if not seen.ending and not seen.deleting:
        draft.commands.append(
            DeleteExecution(name=seen.name, uid=seen.uid, step=seen.step, hold=hold, purpose=seen.purpose)
        )
    elif hold:
        draft.commands.append(ReleaseExecution(name=seen.name, uid=seen.uid, step=seen.step))


def _advance(draft: Draft, state: StepState | SideState, seen: Execution) -> None:
    known: dict[str, Any] = {"execution_uid": seen.uid, "execution_version": seen.version}
    if not state.execution_uid and seen.ending != "deleted":
        if seen.purpose == "execute":
            draft.move_step(seen.step, "observed", "started", **known)
        else:
            commanding.put(draft, state, seen.purpose, **known)
        if state.ending and not seen.ending and not seen.deleting:
            draft.disarm(commanding.timer(seen.purpose, seen.step))
            commanding.delete(draft, commanding.current(draft, seen.step, seen.purpose), seen.purpose)
    if not seen.ending:
        _still_there(draft, seen)
        return
    commanding.put(draft, commanding.current(draft, seen.step, seen.purpose), seen.purpose, **known)
    _END[seen.purpose](draft, seen)
    commanding.release(draft, commanding.current(draft, seen.step, seen.purpose), seen.purpose, gone=seen.gone)


def _still_there(draft: Draft, seen: Execution) -> None:
    """It has not ended. One that is being deleted has ended for us once we want its end, whoever deleted it."""
    state = commanding.current(draft, seen.step, seen.purpose)
    if not seen.deleting:
        return
    commanding.put(draft, state, seen.purpose, execution_version=seen.version, leaving=True)
    commanding.release(draft, commanding.current(draft, seen.step, seen.purpose), seen.purpose, gone=False)
    if state.ending:
        _ENDED_BY_COMMAND[seen.purpose](draft, seen.step)


def _end_step(draft: Draft, seen: Execution) -> None:
    step = draft.step(seen.step)
    if step.pre_image is None and seen.executed:
        step = replace(step, pre_image=seen.pre_image)
        draft.put(step)
    if seen.ending == "completed":
        executing.complete(
            draft,
            seen.step,
            result=seen.result,
            affected=seen.affected,
            touched=monitoring.touched_by(draft, seen.step, seen.touched),
        )
    elif step.ending:
        executing.ended_by_command(draft, seen.step)
    else:
        again = _may_try_again(seen, draft.plan.step(seen.step).action)
        executing.fail(draft, seen.step, seen.reason, seen.error, again=again, affected=seen.affected)


def _end_rollback(draft: Draft, seen: Execution) -> None:
    side = draft.side("rollback", seen.step)
    if seen.ending == "completed":
        rolling_back.complete(draft, seen.step)
    elif side.ending:
        rolling_back.ended_by_command(draft, seen.step)
    else:
        again = _may_try_again(seen, rolling_back.undo_action(draft, seen.step))
        rolling_back.attempt_failed(draft, seen.step, seen.reason, seen.error, again=again)


def _end_dry_run(draft: Draft, seen: Execution) -> None:
    if draft.side("dry_run", seen.step).ending and seen.ending != "completed":
        validating.dry_run_ended(draft, seen.step)
        return
    validating.take_dry_run(draft, seen)


_END = {"execute": _end_step, "rollback": _end_rollback, "dry_run": _end_dry_run}
_ENDED_BY_COMMAND = {
    "execute": executing.ended_by_command,
    "rollback": rolling_back.ended_by_command,
    "dry_run": validating.dry_run_ended,
}


def _may_try_again(seen: Execution, action: str) -> bool:
    """Whether trying again is safe and may help: nothing was executed, or doing it twice is doing it once."""
    return seen.retryable and (not seen.executed or commanding.idempotent(action))


def take_refusal(draft: Draft, seen: CommandRefused) -> None:
    """Take in that the cluster refused a command: an execution that cannot be created has failed.

    One that cannot be deleted counts as ended: nobody could end it, and the run must.
    """
    if not _is_known(draft, seen.step, seen.purpose):
        return
    state = commanding.current(draft, seen.step, seen.purpose)
    if state.phase != "executing":
        return
    if seen.command == "delete_execution":
        if not state.ending or seen.uid not in {"", state.execution_uid}:
            return  # of an earlier attempt, or an orphan
        # It is held, and the delete would have let it go.
        if seen.purpose != "dry_run" and not commanding.idempotent(_action_of(draft, seen)):
            name = commanding.name_of(draft, state, seen.purpose)
            draft.commands.append(ReleaseExecution(name=name, uid=state.execution_uid, step=seen.step))
        _ENDED_BY_COMMAND[seen.purpose](draft, seen.step)
    elif seen.command == "create_execution" and state.attempt == seen.attempt and not state.execution_uid:
        commanding.put(draft, state, seen.purpose, held=False)
        if state.ending:
            _ENDED_BY_COMMAND[seen.purpose](draft, seen.step)
            return
        _not_created(draft, seen, seen.message[:ERROR_LIMIT])


def _not_created(draft: Draft, seen: CommandRefused, message: str) -> None:
    if seen.purpose == "dry_run":
        validating.refuse_dry_run(draft, seen.step, seen.reason, message)
    elif seen.purpose == "rollback":
        rolling_back.attempt_failed(draft, seen.step, seen.reason, message, again=False)
    else:
        executing.fail(draft, seen.step, seen.reason, message, again=False)


def take_check(draft: Draft, seen: CheckReported) -> None:
    """Take in what a check found, whichever it was."""
    if seen.type == "monitor":
        monitoring.take_look(draft, seen)
    elif seen.type == "audit":
        retention.take_audit(draft, seen.check, passed=seen.passed)
    else:
        validating.take_check(draft, seen)


def _action_of(draft: Draft, seen: Execution | CommandRefused) -> str:
    if seen.purpose == "rollback":
        return rolling_back.undo_action(draft, seen.step)
    return draft.plan.step(seen.step).action
