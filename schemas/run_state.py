"""The state of a run, as each decision carries it whole. Compact: a few bytes a step; the definition is not in it.

Times are milliseconds since 1970, 0 for none. Must stay readable by the next release: fields are only ever added, with
a default, at the end of the array-like structs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.workflow_status import Phase, StepPhase, Strategy


class StepState(msgspec.Struct, frozen=True, array_like=True):
    """How far one step is. The order of the fields is the wire format."""

    number: int
    phase: StepPhase = "pending"
    attempt: int = 0
    """Attempts started so far."""
    blockers: int = 0
    """Dependencies that have not ended."""
    execution_uid: str = ""
    """Uid of the KubernetesExecution of this attempt, once it was observed."""
    execution_version: int = 0
    """Newest resourceVersion of it that was taken in; older ones are old news."""
    started_at: int = 0
    ended_at: int = 0
    reason: str = ""
    error: str = ""
    result: dict[str, Any] | None = None
    affected: int = 0
    """Resources that the executor reported as affected."""
    held: bool = False
    """Whether the execution carries our finalizer and was not released yet."""


class PlanState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What planning found. `waves` and `critical_path` hold step numbers."""

    strategy: Strategy
    waves: tuple[tuple[int, ...], ...]
    critical_path: tuple[int, ...]
    estimated_seconds: float
    """Typical duration under the parallelism limit."""


class RunState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The whole state of a run after a decision."""

    phase: Phase
    generation: int = 0
    """metadata.generation that was taken in."""
    object_version: int = 0
    """Newest resourceVersion of the workflow that was taken in."""
    spec_hash: str = ""
    """Digest of the immutable part of the spec that was planned."""
    definition_sequence: int = 0
    """Sequence of the change message that was planned: the definition of this run, whatever comes later."""
    announced: int = 0
    """Transitions of all decisions so far: the ordinal of the next public event of the run, counted from 0."""
    limit: int = 0
    """Steps that may be in flight at once."""
    plan: PlanState | None = None
    steps: tuple[StepState, ...] = ()
    """In rising order of step numbers."""
    ready: tuple[int, ...] = ()
    """Numbers of the pending steps that nothing but the limit keeps from starting, in rising order."""
    in_flight: int = 0
    """Steps that are executing; never more than `limit`."""
    settled: int = 0
    """Steps that have ended."""
    phase_times: dict[str, int] = {}
    """When each phase began."""
    started_at: int = 0
    ended_at: int = 0
    failing: str = ""
    """Why no new step starts although the run has not ended: a critical step failed."""
    failure_reason: str = ""
    errors: tuple[str, ...] = ()
    """Every validation error, each with its field path."""
    outcome: str = ""
    refusals: dict[str, str] = {}
    """Operations that were asked for and refused, with the reason: the latest of each kind."""
    held: bool = False
    """Whether our finalizer was put on the workflow and was not taken off again."""
    deleting: bool = False
    """The object has a deletion timestamp."""
    gone: bool = False
    """The object does not exist any more."""
