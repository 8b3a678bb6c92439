"""A KubernetesExecution as the simulated executor reads it: loosely, so that no odd object stops it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

ENDING: Final = "simulator.kubernaut.io/ending"
"""The simulator's own finalizer, on an execution whose deletion shall take a while."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is read of the metadata."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()


class WorkflowRef(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow that the execution belongs to."""

    name: str = ""
    uid: str = ""


class Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be carried out."""

    workflow_execution_ref: WorkflowRef = WorkflowRef()
    step_number: int = 0
    attempt: int = 1
    purpose: str = "execute"
    action: str = ""
    parameters: dict[str, Any] = {}
    idempotency_key: str = ""


class Execution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One KubernetesExecution."""

    metadata: Metadata
    spec: Spec
    status: dict[str, Any] | None = None

    @property
    def phase(self) -> str:
        """The phase found, empty when there is none."""
        phase = (self.status or {}).get("phase")
        return phase if isinstance(phase, str) else ""

    @property
    def version(self) -> int:
        """The resourceVersion as a number; versions of one object may be compared (Kubernetes 1.35, KEP-5504)."""
        text = self.metadata.resource_version
        return int(text) if text.isdecimal() else 0

    @property
    def deleting(self) -> bool:
        """Whether somebody deleted it; finalizers may keep it."""
        return self.metadata.deletion_timestamp is not None

    @property
    def held(self) -> bool:
        """Whether the simulator's own finalizer keeps it."""
        return ENDING in self.metadata.finalizers

    @property
    def conditions(self) -> list[Any]:
        """The conditions found, in whatever form."""
        conditions = (self.status or {}).get("conditions")
        return conditions if isinstance(conditions, list) else []

    def since(self, mark: str) -> int:
        """When the condition `mark` was written, in ms since 1970; when it is not there, when the object was made."""
        for condition in self.conditions:
            if isinstance(condition, dict) and condition.get("type") == mark:
                return milliseconds(condition.get("lastTransitionTime"))
        return milliseconds(self.metadata.creation_timestamp)


_DECODER = msgspec.json.Decoder(Execution)


def decode(data: bytes | msgspec.Raw) -> Execution:
    """Read an execution. Raises msgspec.MsgspecError, which names the field, when it is none."""
    return _DECODER.decode(data)


def milliseconds(text: Any) -> int:
    """Return the milliseconds since 1970 of an RFC 3339 time; 0 for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return 0
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def timestamp(moment: int) -> str:
    """Return the RFC 3339 form, with milliseconds, of a time in ms since 1970."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
