"""What the scheduler takes in: messages of the log, read into a few facts. Pure.

Reading an execution never fails because of its status: the executor is another product, and a status that cannot be
read counts as one in an unknown phase.
"""

from __future__ import annotations

from typing import Any, Literal, TypeGuard

import msgspec

from scheduler.definition import Definition
from schemas.execution import KNOWN_PHASES, KubernetesExecutionSpec, KubernetesExecutionStatus, Purpose
from schemas.fields import ObjectMeta
from schemas.messages import AlertFired, Cause, CheckReported, CommandRefused, ExecutionChanged, TimerDue
from schemas.run_state import StepState
from schemas.targets import NO_NAMESPACE, Target

RESULT_LIMIT = 1024
"""Bytes of a step's result that are kept in the state; the whole is in the change message."""
ERROR_LIMIT = 1024
"""Characters of an error that are kept."""

TOUCHED_LIMIT = 16
"""Resources of one step that are kept, to be watched in monitoring."""
FINDINGS_LIMIT = 16
FINDING_LIMIT = 256
"""Findings of one dry run that are kept, and characters of each."""

Ending = Literal["", "completed", "failed", "deleted"]


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a KubernetesExecution as the scheduler sees it."""

    name: str
    uid: str
    version: int
    step: int
    attempt: int
    key: str
    """Its idempotency key."""
    ending: Ending
    """How it ended; empty while it has not."""
    deleting: bool
    """It has a deletion timestamp."""
    gone: bool
    """It does not exist any more."""
    known_phase: bool
    """Whether its phase is one that we know."""
    purpose: Purpose
    reason: str
    error: str
    retryable: bool
    """Whether trying again may help, as the executor said; it may when nothing was said."""
    executed: bool
    """Whether anything was carried out; unless the executor said no, it may have been."""
    result: dict[str, Any] | None
    affected: int
    touched: tuple[str, ...] | None
    """What was really changed, as `Kind/namespace/name`; None when the executor did not say."""
    pre_image: dict[str, Any] | None
    """What it was like before, as the executor reported it."""
    findings: tuple[str, ...]
    """Of a dry run: what would change, and after `!` what may go wrong."""


class Place(msgspec.Struct, frozen=True):
    """What the queue of runs decided about this one."""

    admitted: bool
    """It may run; otherwise it waits."""


class Earlier(msgspec.Struct, frozen=True):
    """How the run ended that this one runs again."""

    steps: tuple[StepState, ...]


Fact = Definition | Execution | CommandRefused | CheckReported | TimerDue | AlertFired | Place | Earlier


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One message taken in: who it is, when the broker stored it, what it says."""

    cause: Cause
    time_ms: int
    fact: Fact


class _Envelope(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    spec: KubernetesExecutionSpec
    status: msgspec.Raw = msgspec.Raw(b"{}")


class _Reported(msgspec.Struct, frozen=True, rename="camel"):
    execution_results: dict[str, Any] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_STATUS = msgspec.json.Decoder(KubernetesExecutionStatus)
_REPORTED = msgspec.json.Decoder(_Reported)


def read_execution(body: ExecutionChanged) -> Execution:
    """Read a change of an execution. Raises msgspec.MsgspecError when not even metadata and spec can be read."""
    envelope = _ENVELOPE.decode(body.object)
    try:
        status = _STATUS.decode(envelope.status)
        known = not status.phase or status.phase in KNOWN_PHASES
    except msgspec.MsgspecError:
        status, known = KubernetesExecutionStatus(), False
    ending = _ending(status, deleted=body.deleted)
    reason, error = _failure(status, ending)
    failure, purpose = status.failure, envelope.spec.purpose
    return Execution(
        name=envelope.metadata.name,
        uid=envelope.metadata.uid,
        version=int(body.resource_version) if body.resource_version.isdecimal() else 0,
        step=envelope.spec.step_number,
        attempt=envelope.spec.attempt,
        key=envelope.spec.idempotency_key,
        ending=ending,
        deleting=envelope.metadata.deletion_timestamp is not None,
        gone=body.deleted,
        known_phase=known,
        reason=reason,
        error=error[:ERROR_LIMIT],
        purpose=purpose,
        retryable=failure is None or failure.retryable is not False,
        executed=failure is None or failure.executed is not False,
        result=_result(envelope.status) if ending == "completed" else None,
        touched=_touched(status),
        pre_image=_pre_image(status),
        findings=_findings(envelope.status, status) if ending and purpose == "dry_run" else (),
        affected=len(status.execution_results.resources_affected) if status.execution_results else 0,
    )


def _ending(status: KubernetesExecutionStatus, *, deleted: bool) -> Ending:
    if status.phase == "completed":
        results = status.execution_results
        return "failed" if results is not None and results.success is False else "completed"
    if status.phase == "failed":
        return "failed"
    return "deleted" if deleted else ""


def _failure(status: KubernetesExecutionStatus, ending: Ending) -> tuple[str, str]:
    if ending == "deleted":
        return "deleted", "the KubernetesExecution was deleted before it had ended"
    if ending != "failed":
        return "", ""
    if status.failure is not None:
        return status.failure.reason[:128] or "failed", status.failure.message or "the executor gave no message"
    if status.phase == "completed":
        return "unsuccessful", "the executor reported the action as completed without success"
    return "failed", "the executor gave no reason"


def _reported(status: msgspec.Raw) -> dict[str, Any] | None:
    """Return the results with the fields that are not known here; None when there are none that can be read."""
    try:
        return _REPORTED.decode(status).execution_results
    except msgspec.MsgspecError:
        return None


def _result(status: msgspec.Raw) -> dict[str, Any] | None:
    """Return what the executor reported, whole when it is short, else what it is and how long."""
    results = _reported(status)
    if results is None:
        return None
    size = len(msgspec.json.encode(results))
    return results if size <= RESULT_LIMIT else {"shortened": True, "bytes": size}


def _touched(status: KubernetesExecutionStatus) -> tuple[str, ...] | None:
    """Return what was really changed: an entry that says `simulated` was not."""
    results = status.execution_results
    if results is None or not results.resources_affected:
        return None
    found = []
    for entry in results.resources_affected[:TOUCHED_LIMIT]:
        if not isinstance(entry, dict) or entry.get("simulated") is True:
            continue
        kind, name, namespace = entry.get("kind"), entry.get("name"), entry.get("namespace", "")
        if _is_word(kind) and _is_word(name) and _is_word(namespace) and name:
            found.append(str(Target(kind, "" if kind in NO_NAMESPACE else namespace, name)))
    return tuple(found)


def _is_word(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= FINDING_LIMIT


def _pre_image(status: KubernetesExecutionStatus) -> dict[str, Any] | None:
    information = status.rollback_information
    image = information.get("preImage") if isinstance(information, dict) else None
    if not isinstance(image, dict) or len(msgspec.json.encode(image)) > RESULT_LIMIT:
        return None
    return image


def _findings(raw: msgspec.Raw, status: KubernetesExecutionStatus) -> tuple[str, ...]:
    results = _reported(raw) or {}
    changes, issues = results.get("resourceChanges"), results.get("potentialIssues")
    warnings = status.execution_results.warnings if status.execution_results else ()
    found = [text for text in (changes if isinstance(changes, list) else []) if isinstance(text, str)]
    found += [
        f"!{text}" for text in [*(issues if isinstance(issues, list) else []), *warnings] if isinstance(text, str)
    ]
    return tuple(text[:FINDING_LIMIT] for text in found[:FINDINGS_LIMIT])
