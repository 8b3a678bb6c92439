"""The state of a run, as each decision carries it whole. Compact: a few bytes a step; the definition is not in it.

Times are milliseconds since 1970, 0 for none. Must stay readable by the next release: fields are only ever added, with
a default, at the end of the array-like structs.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from schemas.queue_state import QueueEntry
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
    retries: int = 0
    """Retries planned so far; the budget is counted in these."""
    ending: str = ""
    """Why its end was commanded: timed_out, cancelled or skipped. It is in flight until the end is seen."""
    touched: tuple[str, ...] = ()
    """What the execution changed, as `Kind/namespace/name` (no namespace for what has none)."""
    pre_image: dict[str, Any] | None = None
    """What it was like before, as the executor reported it, for actions whose inverse can be derived from it."""
    abandoned: int = 0
    """Attempt that was given up before its creation was seen; an execution of it that shows up later is deleted."""
    lost: tuple[int, ...] = ()
    """Attempts before that one that were given up in the same way and have not shown up either."""
    leaving: bool = False
    """The execution was seen being deleted, by whomever; it may stay for long, if others hold it."""
    second: str = ""
    """Uid of an execution of the newest attempt that came after its own one was gone; it was sent away."""


class SideState(msgspec.Struct, frozen=True, array_like=True):
    """An execution beside a step's own: its dry run or its rollback. The order of the fields is the wire format."""

    number: int
    """The step."""
    phase: StepPhase = "pending"
    blockers: int = 0
    """Others of its kind that must have ended before: for a rollback, those of the steps that depend on this one."""
    attempt: int = 0
    retries: int = 0
    execution_uid: str = ""
    execution_version: int = 0
    started_at: int = 0
    ended_at: int = 0
    reason: str = ""
    error: str = ""
    ending: str = ""
    """As in StepState."""
    held: bool = False
    findings: tuple[str, ...] = ()
    """Of a dry run: what would change, and after `!` what may go wrong. Of a rollback: where it was derived from."""
    abandoned: int = 0
    """As in StepState."""
    lost: tuple[int, ...] = ()
    """As in StepState."""
    leaving: bool = False
    """As in StepState."""
    second: str = ""
    """As in StepState."""


class CheckState(msgspec.Struct, frozen=True, array_like=True):
    """One safety check of the validating phase."""

    id: str
    """As in the command and in the outcome, such as `check-1`."""
    type: str
    required: bool
    passed: bool | None = None
    """None while its result is not known."""
    message: str = ""
    ended_at: int = 0


class ApprovalState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person said of the plan."""

    verdict: Literal["approved", "rejected"]
    by: str
    reason: str = ""
    at: int
    """Broker time, in ms, at which it was taken in."""
    plan: str
    """Digest of the plan that it is about."""


class ControlState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of spec.control was taken in."""

    paused: bool = False
    """The run is paused now."""
    cancel: str = ""
    """Mode of the cancel that was accepted."""
    overrides: int = 0
    """How many of the overrides were taken in, accepted or refused: they are append only."""
    rollback: bool = False
    """A rollback on demand was accepted."""
    later: tuple[tuple[int, str, str], ...] = ()
    """Overrides (step, operation, reason) that came before there were steps."""


class MonitorState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What is known of the targets after the last step."""

    looks: int = 0
    """Checks commanded so far; the last one is `monitor-<looks>`."""
    healthy_since: int = 0
    """Since when every look found all of them healthy; 0 when the last one did not, or there was none."""
    healthy: int = 0
    """Targets that the last look found healthy."""
    judged: int = 0
    """Targets that the last look could judge; the share of healthy ones is healthy / judged, 1 when there are none."""
    message: str = ""
    """What is not healthy."""
    alerts: tuple[str, ...] = ()
    """Alerts that fired."""


class Adjustment(msgspec.Struct, frozen=True, array_like=True):
    """A timeout or a retry budget that the scheduler moved by itself."""

    at: int
    step: int
    adjustment: str
    reason: str
    timeout: float = 0.0
    """New timeout in seconds; 0 when it was not moved."""
    retries: int = -1
    """New retry budget; -1 when it was not moved."""


class LearnedAction(msgspec.Struct, frozen=True, array_like=True):
    """What earlier runs showed of one action."""

    runs: int
    """Executions that it is made of."""
    success_rate: float
    """0 to 1."""
    p50: float
    """Seconds from the command to the end."""
    p95: float


class PlanState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What planning found. `waves` and `critical_path` hold step numbers."""

    strategy: Strategy
    waves: tuple[tuple[int, ...], ...]
    critical_path: tuple[int, ...]
    estimated_seconds: float
    """Typical or learned duration under the parallelism limit."""
    digest: str = ""
    """Digest of the spec and of everything else that the plan was made of: what an approval is bound to."""


ENGINE: Final = 1
"""What this version of the scheduler can go on from; see `RunState.engine`."""


class RunState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The whole state of a run after a decision."""

    phase: Phase
    engine: int = 0
    """The least ENGINE that may decide on this state. A version whose states mean more than the one before it can carry
    on sets its own; older schedulers then leave the run to newer ones instead of dropping what they do not know."""
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
    """Executions commanded and not known to have ended, dry runs and rollbacks included; never more than `limit`."""
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
    dry_runs: tuple[SideState, ...] = ()
    """One a step, in rising order, once dry runs were asked for."""
    rollbacks: tuple[SideState, ...] = ()
    """One a step, in rising order, once the run rolls back; those of steps that were not done are skipped."""
    timers: dict[str, int] = {}
    """What is due when, in ms: workflow, phase, poll, ttl, step:<n>, dry:<n>, undo:<n>."""
    wake_at: int = 0
    """The earliest wake-up that was armed; never later than the earliest timer, or 1 ms after the decision where that
    is due already."""
    checks: tuple[CheckState, ...] = ()
    approval: ApprovalState | None = None
    early_approval: str = ""
    """An approval that stood on the object before there was a plan: it approves nothing."""
    control: ControlState = ControlState()
    paused_at: int = 0
    """When the run was paused; 0 while it is not."""
    stopped: dict[str, int] = {}
    """Timers that stand still while the run is paused (workflow, phase), each with the ms that were left."""
    closing: Literal["", "failed", "rolled_back", "cancelled", "cancelled_rolled_back"] = ""
    """How the run goes on once nothing is in flight: no new step starts. `failing` says why."""
    closing_reason: str = ""
    """The same in one word, for programs: critical_step_failed, workflow_timed_out, cancelled …"""
    rollback_reason: str = ""
    """Why the run is or was rolled back."""
    rollback_failed: bool = False
    """A rollback of a step failed: a person must look."""
    monitor: MonitorState | None = None
    adjustments: tuple[Adjustment, ...] = ()
    learned: dict[str, LearnedAction] = {}
    """What the plan was made with, by action; empty when nothing was asked for or known."""
    audit_looks: int = 0
    """How often it was asked whether the audit holds the whole run, before its object may be deleted."""
    audit_answered: int = 0
    """Number of the last of these questions that was answered."""
    owned: bool = False
    """A RemediationRequest owns the object: it is not ours to delete."""
    rerun_of: str = ""
    """Uid of the earlier run whose results the skipped steps have."""
    queue: QueueEntry | None = None
    """Its turn, while it is queued: whoever looks for those that wait reads it here."""
