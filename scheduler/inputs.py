"""What the scheduler takes in: messages of the log, read into a few facts. Pure.

Reading an execution never fails because of its status: the executor is another product, and a status that cannot be
read counts as one in an unknown phase.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from scheduler.definition import Definition
from schemas.execution import KNOWN_PHASES, KubernetesExecutionSpec, KubernetesExecutionStatus
from schemas.fields import ObjectMeta
from schemas.messages import Cause, CommandRefused, ExecutionChanged

RESULT_LIMIT = 1024
"""Bytes of a step's result that are kept in the state; the whole is in the change message."""
ERROR_LIMIT = 1024
"""Characters of an error that are kept."""

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
    ending: Ending = ""
    """How it ended; empty while it has not."""
    deleting: bool = False
    """It has a deletion timestamp."""
    gone: bool = False
    """It does not exist any more."""
    known_phase: bool = True
    """Whether its phase is one that we know."""
    reason: str = ""
    error: str = ""
    result: dict[str, Any] | None = None
    affected: int = 0


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One message taken in: who it is, when the broker stored it, what it says."""

    cause: Cause
    time_ms: int
    fact: Definition | Execution | CommandRefused


class _Envelope(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    spec: KubernetesExecutionSpec
    status: msgspec.Raw = msgspec.Raw(b"{}")


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_STATUS = msgspec.json.Decoder(KubernetesExecutionStatus)
_ANY = msgspec.json.Decoder()


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
        result=_result(envelope.status) if ending == "completed" else None,
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


def _result(status: msgspec.Raw) -> dict[str, Any] | None:
    """Return what the executor reported, whole when it is short, else what it is and how long."""
    results = _ANY.decode(status).get("executionResults")
    if not isinstance(results, dict):
        return None
    size = len(msgspec.json.encode(results))
    return results if size <= RESULT_LIMIT else {"shortened": True, "bytes": size}
