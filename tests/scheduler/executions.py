"""Builders of versions of an execution, apart from any run, as the scheduler reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler.inputs import Execution, read_execution
from schemas.messages import ExecutionChanged
from tests.scheduler.builders import UID

VERSION = "7"


def a_spec_for(purpose: str = "execute") -> dict[str, Any]:
    """What the second attempt of step 3 is told to do."""
    return {
        "workflowExecutionRef": {"name": "leak", "namespace": "shop", "uid": UID},
        "stepNumber": 3,
        "attempt": 2,
        "purpose": purpose,
        "action": "scale_deployment",
        "idempotencyKey": "k-3-2",
    }


def read(written: bytes, *, version: str = VERSION, deleted: bool = False) -> Execution:
    """Read an object as the watcher reports it."""
    return read_execution(ExecutionChanged(resource_version=version, deleted=deleted, object=msgspec.Raw(written)))


def seen(*status: Any, purpose: str = "execute", metadata: dict[str, Any] | None = None, **change: Any) -> Execution:
    """A version of an execution with this status, or with none."""
    written = {"metadata": {"name": "leak-step-3", "uid": "u-3-2"} | (metadata or {}), "spec": a_spec_for(purpose)}
    return read(msgspec.json.encode(written | dict(zip(["status"], status, strict=False))), **change)


def completed(*, purpose: str = "execute", **results: Any) -> Execution:
    """One that completed with these results."""
    return seen({"phase": "completed", "executionResults": results}, purpose=purpose)
