"""The condition RolledBack. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.condition import Verdict, condition, with_refusals
from executor_bridge.rollbacks import Undoing, undoing
from executor_bridge.wording import CAUSE, NAMED, cut, step_name, step_names
from schemas.workflow_status import TERMINAL_PHASES

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from schemas.messages import Decision
    from schemas.workflow_status import StatusCondition


def rolled_back(decision: Decision, words: Definition) -> StatusCondition | None:
    """True when all that can be undone was; False at once when a rollback failed; Unknown while they go on.

    None for a run that was not rolled back, unless that was asked for and refused. A completed step without a
    rollbackSpec cannot be undone: it is named, and does not make the condition False.
    """
    state = decision.state
    began, ended = state.started_at or decision.now, state.ended_at or decision.now
    since = state.phase_times.get("rolling_back", 0)
    if not (state.rollbacks or since):
        refused = state.refusals.get("rollback")
        return None if refused is None else condition(state, "RolledBack", ("False", "Refused", refused), began)
    found = undoing(state)
    rest = _rest(found, words)
    if found.failed:
        verdict = _failed(found, words, rest)
        since = min(side.ended_at for side in found.failed) or ended
    elif state.phase not in TERMINAL_PHASES:
        verdict = "Unknown", "RollingBack", " ".join(filter(None, [_so_far(found), rest]))
        since = since or decision.now
    elif found.stopped or found.open:
        left = step_names((*found.stopped, *found.open), words)
        verdict = "False", "RollbackStopped", f"It ended before {left} could be undone.{_space(rest)}"
        since = ended
    else:
        verdict, since = _all(found, words, rest), ended
    return condition(state, "RolledBack", with_refusals(state, verdict, "rollback"), since)


def _failed(found: Undoing, words: Definition, rest: str) -> Verdict:
    whys = [f"{step_name(one.number, words)}: {cut(one.error or one.reason, CAUSE)}" for one in found.failed[:NAMED]]
    more = f"; and {len(found.failed) - NAMED} more" if len(found.failed) > NAMED else ""
    return "False", "RollbackFailed", f"Not undone, a person must look: {'; '.join(whys)}{more}.{_space(rest)}"


def _so_far(found: Undoing) -> str:
    total = len(found.undone) + len(found.open) + len(found.stopped)
    return f"{len(found.undone)} of {total} rollbacks are done."


def _all(found: Undoing, words: Definition, rest: str) -> Verdict:
    if not found.undone:
        return "True", "NothingUndone", rest or "No step had been done that was to be undone."
    return "True", "RolledBack", f"Undone: {step_names(found.undone, words)}.{_space(rest)}"


def _rest(found: Undoing, words: Definition) -> str:
    if not found.unknown_how:
        return ""
    return f"Left as it is, because it has no rollbackSpec: {step_names(found.unknown_how, words)}."


def _space(text: str) -> str:
    return f" {text}" if text else ""
