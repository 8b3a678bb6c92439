"""What a person may ask of a run, and whether it makes sense for the run as it is. Pure.

Looks before anything is written, because parts of `spec.control` are given once: a request that cannot be met would use
up the only one. The scheduler has the last word all the same, for the run may move on in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from runtime.errors import KubernautError
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
)
from schemas.workflow_status import TERMINAL_PHASES

Verb = Literal["approve", "reject", "pause", "resume", "cancel", "skip", "retry", "rollback"]
Body = Mapping[str, Any]
VERDICTS: Final = {"approve": "approved", "reject": "rejected"}
_UNPLANNED: Final = ("", "queued", "planning")
_SHOWN: Final = 12
"""How many step numbers a person can still read."""


class SteeringError(KubernautError):
    """The request makes no sense for the run as it is, and nothing was written; the text says what to do instead."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks."""

    verb: Verb
    reason: str = ""
    step: int = 0
    """For skip and retry."""
    mode: str = ""
    """For cancel."""
    user: str = ""
    """For approve and reject: who asks, as the API server knows them."""
    plan: str = ""
    """For approve and reject: digest of the plan that the person has seen."""


def part(body: Body, *path: str) -> Mapping[str, Any]:
    """Return the object at a path; an empty one where there is none."""
    value: Any = body
    for field in path:
        value = value.get(field) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def phase_of(body: Body) -> str:
    """Return the phase that the status shows; empty when nobody has taken the run up."""
    return str(part(body, "status").get("phase", ""))


def condition_of(body: Body, kind: str) -> Mapping[str, Any]:
    """Return a condition of the status; an empty one when it is not there."""
    conditions = part(body, "status").get("conditions") or ()
    return next((one for one in conditions if isinstance(one, Mapping) and one.get("type") == kind), {})


def digest_of(body: Body) -> str:
    """Return the digest of the plan; empty when there is none yet."""
    return str(part(body, "status", "executionPlan").get("digest", ""))


def change_for(body: Body, asked: Asked) -> dict[str, Any]:
    """Return the merge patch, without preconditions, that asks for it. Raises SteeringError."""
    return _CHANGES[asked.verb](body, asked)


def check_decidable(body: Body) -> None:
    """Look whether a plan waits for a person's word. Raises SteeringError that says what is and what to do."""
    name, phase = _name(body), phase_of(body)
    results = part(body, "status", "validationResults")
    if results.get("approvalReceived"):
        when = f" at {results['approvalTimestamp']}" if results.get("approvalTimestamp") else ""
        raise SteeringError(f"{name} was approved already by {results.get('approvedBy') or 'somebody'}{when}")
    if phase in TERMINAL_PHASES:
        raise SteeringError(f"{_ended(body)}; there is nothing to approve or reject any more. {_again(body)}")
    if phase in _UNPLANNED:
        waits = (
            f"; it waits for: {part(body, 'status')['waitingFor']}" if part(body, "status").get("waitingFor") else ""
        )
        raise SteeringError(
            f"{name} has no plan yet ({_phase_words(phase)}{waits}), so there is nothing to approve or reject; "
            f"look at it with `kubernaut get {name} -n {_namespace(body)}` and decide once it is validating"
        )
    if phase != "validating" or not _wants_approval(body):
        raise SteeringError(
            f"{name} waits for no approval (phase {phase}). A run asks for one with "
            f"executionStrategy.approvalRequired; to stop this one: `kubernaut pause {name} -n {_namespace(body)}`"
        )
    if not digest_of(body):
        raise SteeringError(
            f"the status of {name} shows no digest of its plan, and an approval is bound to one; try again in a moment"
        )


def _decision(body: Body, asked: Asked) -> dict[str, Any]:
    check_decidable(body)
    digest = digest_of(body)
    if asked.plan and asked.plan != digest:
        raise SteeringError(
            f"the plan of {_name(body)} is another one than you have looked at ({digest}, not {asked.plan}); "
            "nothing was written. Look at the new one and decide again"
        )
    written = part(body, "metadata", "annotations")
    earlier = written.get(ANNOTATION_APPROVAL)
    refused = condition_of(body, "Approved").get("reason") == "Refused"
    if earlier in VERDICTS.values() and written.get(ANNOTATION_APPROVED_PLAN) == digest and not refused:
        raise SteeringError(
            f"{_name(body)} was {earlier} already by {written.get(ANNOTATION_APPROVER) or 'somebody'}; "
            "the scheduler has not taken it in yet. `kubernaut status` shows whether the system runs"
        )
    return {
        "metadata": {
            "annotations": {
                ANNOTATION_APPROVAL: VERDICTS[asked.verb],
                ANNOTATION_APPROVER: asked.user,
                ANNOTATION_APPROVAL_REASON: asked.reason or None,
                ANNOTATION_APPROVED_PLAN: digest,
            }
        }
    }


def _pause(body: Body, asked: Asked) -> dict[str, Any]:
    _must_run(body, asked)
    return _control({"paused": True})


def _resume(body: Body, asked: Asked) -> dict[str, Any]:
    _must_run(body, asked)
    if not part(body, "spec", "control").get("paused"):
        waits = part(body, "status").get("waitingFor")
        raise SteeringError(
            f"{_name(body)} is not paused" + (f"; it waits for: {waits}" if waits else f" (phase {phase_of(body)})")
        )
    return _control({"paused": False})


def _cancel(body: Body, asked: Asked) -> dict[str, Any]:
    earlier = part(body, "spec", "control", "cancel")
    if "cancel" in part(body, "spec", "control"):
        why = f", because: {earlier['reason']}" if earlier.get("reason") else ""
        raise SteeringError(
            f"it was asked already to cancel {_name(body)} (mode {earlier.get('mode', 'stop')}{why}); a cancel is given"
            f" once. It is in phase {phase_of(body) or 'not seen yet'}"
        )
    _must_run(body, asked)
    if phase_of(body) == "rolling_back" and asked.mode == "rollback":
        raise SteeringError(f"{_name(body)} is being rolled back already; mode stop or terminate ends that")
    return _control({"cancel": {"mode": asked.mode} | ({"reason": asked.reason} if asked.reason else {})})


def _override(body: Body, asked: Asked) -> dict[str, Any]:
    _must_run(body, asked)
    known = _step_numbers(body)
    if known and asked.step not in known:
        shown = ", ".join(map(str, sorted(known)[:_SHOWN])) + (" …" if len(known) > _SHOWN else "")
        raise SteeringError(f"{_name(body)} has no step {asked.step}; the steps are {shown}")
    overrides = part(body, "spec", "control").get("overrides") or ()
    new = {"stepNumber": asked.step, "operation": asked.verb, "reason": asked.reason}
    return _control({"overrides": [*overrides, new]})


def _rollback(body: Body, asked: Asked) -> dict[str, Any]:
    name, phase = _name(body), phase_of(body)
    if "rollback" in part(body, "spec", "control"):
        raise SteeringError(
            f"the rollback of {name} was asked for already, and is given once; it is in phase {phase or 'not seen yet'}"
        )
    if phase not in TERMINAL_PHASES:
        raise SteeringError(
            f"{name} has not failed (phase {phase or 'not seen yet'}), and a rollback can be asked for only once; to "
            f"end it now and roll back: `kubernaut cancel {name} -n {_namespace(body)} --mode rollback`"
        )
    if phase != "failed":
        raise SteeringError(f"{_ended(body)}; only a failed run is rolled back on demand")
    strategy = part(body, "status", "executionPlan").get("rollbackStrategy") or part(
        body, "spec", "executionStrategy"
    ).get("rollbackStrategy", "manual")
    if strategy == "none":
        raise SteeringError(f"{name} is never rolled back: its executionStrategy.rollbackStrategy is none")
    return _control({"rollback": {"reason": asked.reason} if asked.reason else {}})


_CHANGES: Final[dict[Verb, Callable[[Body, Asked], dict[str, Any]]]] = {
    "approve": _decision,
    "reject": _decision,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "skip": _override,
    "retry": _override,
    "rollback": _rollback,
}


def _control(fields: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"control": fields}}


def _must_run(body: Body, asked: Asked) -> None:
    if phase_of(body) in TERMINAL_PHASES:
        raise SteeringError(f"{_ended(body)}; there is nothing to {asked.verb} any more. {_again(body)}")


def _ended(body: Body) -> str:
    why = part(body, "status").get("failureReason")
    return f"{_name(body)} has ended as {phase_of(body)}" + (f" ({why})" if why else "")


def _again(body: Body) -> str:
    return f"To run it again: `kubernaut rerun {_name(body)} -n {_namespace(body)}`"


def _phase_words(phase: str) -> str:
    return f"phase {phase}" if phase else "nobody has taken it up"


def _wants_approval(body: Body) -> bool:
    """Whether the run asks for an approval; recommendations of high risk ask for one, too."""
    recommended = part(body, "spec", "workflowDefinition", "aiRecommendations").get("recommendations") or ()
    return bool(
        part(body, "spec", "executionStrategy").get("approvalRequired")
        or condition_of(body, "Approved")
        or any(isinstance(one, Mapping) and one.get("risk") == "high" for one in recommended)
    )


def _step_numbers(body: Body) -> set[int]:
    """The steps of the definition and, once there is a plan, those that recommendations became; empty if not known."""
    told = part(body, "status").get("stepStatuses") or ()
    written = part(body, "spec", "workflowDefinition").get("steps") or ()
    if not told and part(body, "spec", "workflowDefinition", "aiRecommendations").get("recommendations"):
        return set()
    return {one["stepNumber"] for one in (*written, *told) if isinstance(one, Mapping) and "stepNumber" in one}


def _name(body: Body) -> str:
    return str(part(body, "metadata").get("name", ""))


def _namespace(body: Body) -> str:
    return str(part(body, "metadata").get("namespace", ""))
