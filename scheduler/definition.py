"""What the scheduler knows of a workflow object: one change message, read. Pure; reading never raises, whatever it is.

An object that cannot be read is a definition with errors, so that its run fails with them instead of stopping anybody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.fields import ObjectMeta
from schemas.messages import WorkflowChanged, WorkflowRef
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
    ANNOTATION_RERUN_OF,
    FINALIZER,
    REQUEST_GROUP,
    REQUEST_KIND,
    digest,
)
from schemas.workflow import Control, WorkflowExecution, WorkflowSpec
from schemas.workflow_status import TERMINAL_PHASES

WORDS: Final = 256
"""Characters of a person's name or reason that are kept."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """The approval annotations of an object."""

    verdict: str
    """As it was written: approved, rejected or anything else."""
    by: str
    reason: str
    plan: str
    """Digest of the plan that is meant; empty when none is named."""

    @property
    def mark(self) -> str:
        """Return what differs between any two of them."""
        return digest("approval", self.verdict, self.by, self.reason, self.plan)


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a WorkflowExecution as the scheduler sees it."""

    ref: WorkflowRef
    correlation_id: str
    sequence: int
    """Where the change message is in the log."""
    version: int
    """Its resourceVersion."""
    generation: int
    deleted: bool
    """It is gone."""
    deleting: bool
    """It has a deletion timestamp."""
    held: bool
    """It carries our finalizer."""
    spec: WorkflowSpec | None
    """None when it cannot be read; `errors` then says why."""
    spec_hash: str
    """Digest of the spec without control: what must never change."""
    size: int
    """Bytes of the object as JSON."""
    decided: int
    """Decision that the object's status shows: more than 0 on an object whose run is not in the log means that the log
    was lost or is older than its retention."""
    finished: bool
    """The object's status shows a final phase."""
    approval: Approval | None
    """What stands on the object about its approval, whoever wrote it."""
    owned: bool
    """A RemediationRequest owns it."""
    created_at: int
    """When it was created, in ms since 1970."""
    rerun_of: str
    """Uid of the run that this one runs again; empty for none."""
    errors: tuple[str, ...]


class _ShownStatus(msgspec.Struct, frozen=True):
    phase: str = ""
    sequence: int = 0


class _Metadata(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    status: _ShownStatus = _ShownStatus()


class _AnySpec(msgspec.Struct):
    spec: dict[str, Any] = {}


_WHOLE = msgspec.json.Decoder(WorkflowExecution)
_METADATA = msgspec.json.Decoder(_Metadata)
_ANY_SPEC = msgspec.json.Decoder(_AnySpec)
_CANONICAL = msgspec.json.Encoder(order="deterministic")


def read(body: WorkflowChanged, *, uid: str, namespace: str, sequence: int) -> Definition:
    """Read a change message whose subject names `namespace` and `uid`."""
    spec, metadata, shown = None, ObjectMeta(), _ShownStatus()
    errors: tuple[str, ...] = ()
    try:
        whole = _METADATA.decode(body.object)
        metadata, shown = whole.metadata, whole.status
        if body.oversized:
            errors = (_too_large(body.oversized),)
        else:
            spec = _WHOLE.decode(body.object).spec
    except msgspec.MsgspecError as error:
        errors = (f"the object cannot be read: {error}",)
    request = spec.remediation_request_ref if spec else None
    return Definition(
        ref=WorkflowRef(namespace=metadata.namespace or namespace, name=metadata.name or uid, uid=uid),
        correlation_id=request.name if request else uid,
        sequence=sequence,
        version=int(body.resource_version) if body.resource_version.isdecimal() else 0,
        generation=metadata.generation,
        deleted=body.deleted,
        deleting=metadata.deletion_timestamp is not None,
        held=FINALIZER in metadata.finalizers,
        spec=spec,
        spec_hash=_spec_hash(body.object),
        size=memoryview(body.object).nbytes,
        decided=shown.sequence,
        finished=shown.phase in TERMINAL_PHASES,
        approval=_approval(metadata.annotations),
        owned=any(_is_request(owner) for owner in metadata.owner_references),
        created_at=_milliseconds(metadata.creation_timestamp),
        rerun_of=metadata.annotations.get(ANNOTATION_RERUN_OF, "")[:64],
        errors=errors,
    )


def _approval(annotations: dict[str, str]) -> Approval | None:
    verdict = annotations.get(ANNOTATION_APPROVAL)
    if not verdict:
        return None
    return Approval(
        verdict=verdict[:64],
        by=annotations.get(ANNOTATION_APPROVER, "")[:WORDS],
        reason=annotations.get(ANNOTATION_APPROVAL_REASON, "")[:WORDS],
        plan=annotations.get(ANNOTATION_APPROVED_PLAN, "")[:64],
    )


def _is_request(owner: dict[str, Any]) -> bool:
    group = str(owner.get("apiVersion", "")).partition("/")[0]
    return owner.get("kind") == REQUEST_KIND and group == REQUEST_GROUP


def _milliseconds(time: str | None) -> int:
    try:
        return int(datetime.fromisoformat(time or "").timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def control_of(definition: Definition) -> Control:
    """What people ask for now; nothing when the object cannot be read."""
    return definition.spec.control if definition.spec else Control()


def _too_large(size: int) -> str:
    return (
        f"the object has {size} bytes, more than the log takes in one message; make it smaller, or raise max_payload of"
        " the NATS server (8MB takes every object that Kubernetes can hold)"
    )


def _spec_hash(raw: msgspec.Raw) -> str:
    try:
        spec = _ANY_SPEC.decode(raw).spec
    except msgspec.MsgspecError:
        return ""
    spec.pop("control", None)
    return digest("spec", _CANONICAL.encode(spec).decode())
