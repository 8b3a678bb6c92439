"""What a message of the log says, in a few words, and who said it where a person did. Pure, total."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from runtime.ports import Stored
from schemas.messages import (
    AlertFired,
    CheckReported,
    CommandRefused,
    Decision,
    ExecutionChanged,
    QueueDecided,
    WorkflowChanged,
    decode,
)
from schemas.names import ANNOTATION_APPROVAL, ANNOTATION_APPROVER

_ANY = msgspec.json.Decoder()


class Told(msgspec.Struct, frozen=True):
    """What it says."""

    says: str
    by: str = ""
    """The person; empty for none."""


def told(stored: Stored) -> Told:
    """Return what a message says; of one that cannot be read, that."""
    try:
        body = decode(stored.headers.get("ce-type", ""), stored.data)
    except (ValueError, msgspec.MsgspecError):
        return Told("a message that cannot be read")
    if isinstance(body, WorkflowChanged):
        return _workflow(body)
    says = _SAYS.get(type(body))
    return Told(says(body) if says else stored.headers.get("ce-type", ""))


def _check(body: CheckReported) -> str:
    verdict = "passed" if body.passed else "did not pass"
    return f"the {body.type} check {verdict}" + (f": {body.message}" if body.message else "")


def _workflow(body: WorkflowChanged) -> Told:
    if body.deleted:
        return Told("the workflow was deleted")
    found = _object(body.object)
    annotations = _in(found, "metadata").get("annotations") or {}
    control = _in(found, "spec").get("control") or {}
    asks, by = [], ""
    if verdict := annotations.get(ANNOTATION_APPROVAL):
        by = str(annotations.get(ANNOTATION_APPROVER, ""))
        asks.append(f"{verdict} by {by or 'somebody who is not named'}")
    asks += ["paused"] if control.get("paused") else []
    asks += [f"cancel {_in(control, 'cancel').get('mode', '')}".rstrip()] if control.get("cancel") else []
    asks += [f"{len(control['overrides'])} overrides"] if control.get("overrides") else []
    asks += ["rollback"] if control.get("rollback") else []
    going = ", being deleted" if _in(found, "metadata").get("deletionTimestamp") else ""
    wants = f", which asks for: {', '.join(asks)}" if asks else ""
    return Told(f"version {body.resource_version} of the workflow{going}{wants}", by)


def _execution(body: ExecutionChanged) -> str:
    found = _object(body.object)
    name = _in(found, "metadata").get("name", "an execution")
    if body.deleted:
        return f"{name}: deleted"
    phase = _in(found, "status").get("phase") or "created"
    failure = _in(_in(found, "status"), "failure")
    why = failure.get("message") or failure.get("reason") or ""
    going = ", being deleted" if _in(found, "metadata").get("deletionTimestamp") else ""
    return f"{name}: {phase}{going}" + (f" ({why})" if why else "")


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    try:
        found = _ANY.decode(raw)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}


def _in(found: dict[str, Any], field: str) -> dict[str, Any]:
    inner = found.get(field)
    return inner if isinstance(inner, dict) else {}


_SAYS: Final[dict[type, Callable[[Any], str]]] = {
    ExecutionChanged: _execution,
    CheckReported: _check,
    CommandRefused: lambda body: f"{body.command} of step {body.step} refused ({body.reason}): {body.message}",
    AlertFired: lambda body: f"alert {body.alert} fired",
    QueueDecided: lambda body: f"decision {body.version} of the queue of runs",
    Decision: lambda body: f"decision {body.version} of {body.workflow.namespace}/{body.workflow.name}",
}
