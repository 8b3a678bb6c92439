"""What a user sees of a run: the status of a WorkflowExecution. The string under a field documents it in the CRD.

A status is a view of the scheduler's last decision: it is never read back as truth.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from schemas.fields import Contract, Duration, Fraction, Name, Sentence, StepNumber, Time, Uid

Phase = Literal[
    "queued",
    "planning",
    "validating",
    "executing",
    "monitoring",
    "rolling_back",
    "completed",
    "failed",
    "cancelled",
]
TERMINAL_PHASES: frozenset[str] = frozenset({"completed", "failed", "cancelled"})

StepPhase = Literal[
    "pending",
    "executing",
    "waiting_retry",
    "completed",
    "failed",
    "skipped",
    "cancelled",
    "rolled_back",
]
TERMINAL_STEP_PHASES: frozenset[str] = frozenset({"completed", "failed", "skipped", "cancelled", "rolled_back"})

Outcome = Literal["success", "partial_success", "failed", "unknown", "cancelled"]
Strategy = Literal["sequential", "parallel", "sequential-with-parallel"]
Code = Annotated[str, Meta(max_length=128)]


class ExecutionPlan(Contract, frozen=True, kw_only=True):
    """What planning found."""

    strategy: Strategy
    """sequential: one step a wave; parallel: one wave; else sequential-with-parallel."""
    waves: tuple[tuple[StepNumber, ...], ...]
    """Step numbers by level: the steps of a wave depend on earlier waves only."""
    critical_path: tuple[StepNumber, ...]
    """The chain of steps with the longest typical duration."""
    estimated_duration: Duration
    """Typical duration of the run under its parallelism limit."""
    rollback_strategy: Literal["automatic", "manual", "none"]
    """What happens after a critical failure."""
    safety_checks: tuple[str, ...] = ()
    """Types of the safety checks asked for."""
    digest: Code = ""
    """Digest of the plan: what an approval is bound to."""


class CheckResult(Contract, frozen=True, kw_only=True):
    """What one safety check found."""

    type: Code
    """What was checked."""
    passed: bool
    """Whether it passed."""
    required: bool = True
    """Whether a failure ends the run."""
    message: Sentence = ""
    """What was found, and what to do about it."""


class DryRunStep(Contract, frozen=True, kw_only=True):
    """What one step's dry run found."""

    step_number: StepNumber
    """The step."""
    success: bool
    """Whether the dry run passed."""
    message: Sentence = ""
    """What was found."""


class DryRunResults(Contract, frozen=True, kw_only=True):
    """What the dry run found."""

    overall_success: bool
    """Whether every step's dry run passed."""
    step_results: tuple[DryRunStep, ...] = ()
    """One result a step."""
    resource_changes: tuple[Sentence, ...] = ()
    """What would change."""
    potential_issues: tuple[Sentence, ...] = ()
    """What may go wrong."""


class ValidationResults(Contract, frozen=True, kw_only=True):
    """What planning and validating found."""

    safety_checks_passed: bool | None = None
    """Whether all required checks passed."""
    checks: tuple[CheckResult, ...] = ()
    """One result a check."""
    dry_run_performed: bool = False
    """Whether a dry run was done."""
    dry_run_results: DryRunResults | None = None
    """What the dry run found."""
    approval_received: bool = False
    """Whether the run was approved."""
    approved_by: Annotated[str, Meta(max_length=256)] | None = None
    """Who approved or rejected."""
    approval_timestamp: Time | None = None
    """When."""
    validation_errors: Annotated[tuple[Sentence, ...], Meta(max_length=512)] = ()
    """Every error in the workflow, each with its field path."""


class ExecutionRef(Contract, frozen=True, kw_only=True):
    """The KubernetesExecution of a step."""

    name: Name
    """Its name, in the namespace of the workflow."""
    uid: Uid = ""
    """Its uid, once it was seen."""


class StepStatus(Contract, frozen=True, kw_only=True):
    """How far one step is."""

    step_number: StepNumber
    """The step."""
    name: Annotated[str, Meta(max_length=256)] = ""
    """Its name."""
    action: Code = ""
    """Its action."""
    status: StepPhase
    """How far it is."""
    reason: Code = ""
    """Why it is so, in one word for programs."""
    start_time: Time | None = None
    """When the execution was asked for."""
    end_time: Time | None = None
    """When it ended."""
    result: dict[str, Any] | None = None
    """What the executor reported, shortened when it is long."""
    error_message: Sentence = ""
    """What went wrong."""
    retries_attempted: int = 0
    """How often it was tried again."""
    k8s_execution_ref: ExecutionRef | None = None
    """Its KubernetesExecution."""


class ExecutionMetrics(Contract, frozen=True, kw_only=True):
    """Figures of a finished run."""

    total_duration: Duration
    """From the first decision to the last."""
    step_success_rate: Fraction
    """Completed steps by steps that ran, 0 to 1; 1 when none had to run."""
    rollbacks_performed: int = 0
    """Steps that were undone."""
    resources_affected: int = 0
    """Distinct resources that the executor reported as affected."""


class AdaptiveAdjustment(Contract, frozen=True, kw_only=True):
    """One adjustment that the scheduler made by itself."""

    timestamp: Time
    """When."""
    adjustment: Sentence
    """What was changed."""
    reason: Sentence
    """Why."""


class WorkflowResult(Contract, frozen=True, kw_only=True):
    """How the run ended."""

    outcome: Outcome
    """How it ended."""
    effectiveness_score: Fraction | None = None
    """0.5 x step success rate + 0.3 x share of healthy resources + 0.2 x (no new alert); absent when not monitored."""
    resource_health: Code = ""
    """Health of what the steps touched; empty when not monitored."""
    new_alerts_triggered: bool | None = None
    """Whether an alert fired during monitoring; absent when not monitored."""
    recommended_actions: tuple[Sentence, ...] = ()
    """What a person should do next."""


class StatusCondition(Contract, frozen=True, kw_only=True):
    """A Kubernetes condition."""

    type: Code
    """Succeeded, Validated, Approved, Paused, RolledBack, Reconciling or Stalled."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Code
    """Why, in one word for programs."""
    message: Sentence = ""
    """Why, for people."""
    last_transition_time: Time
    """When the status of the condition last changed."""
    observed_generation: int = 0
    """Generation of the object that it is about."""


class WorkflowStatus(Contract, frozen=True, kw_only=True):
    """How far a run is."""

    phase: Phase
    """queued, planning, validating, executing, monitoring, rolling_back, completed, failed or cancelled."""
    observed_generation: int = 0
    """Generation of the object that this is about."""
    sequence: int = 0
    """Version of the decision that this shows; it never goes back."""
    current_step: int = 0
    """Lowest step in flight; 0 when there is none."""
    total_steps: int = 0
    """How many steps there are."""
    progress: Code = ""
    """Steps that have ended by all steps, such as 3/7."""
    execution_plan: ExecutionPlan | None = None
    """What planning found."""
    validation_results: ValidationResults | None = None
    """What planning and validating found."""
    step_statuses: Annotated[tuple[StepStatus, ...], Meta(max_length=256)] = ()
    """How far each step is."""
    execution_metrics: ExecutionMetrics | None = None
    """Figures of a finished run."""
    adaptive_adjustments: Annotated[tuple[AdaptiveAdjustment, ...], Meta(max_length=256)] = ()
    """What the scheduler adjusted by itself."""
    workflow_result: WorkflowResult | None = None
    """How the run ended."""
    start_time: Time | None = None
    """When the run was first decided on."""
    planning_time: Time | None = None
    """When planning began."""
    validating_time: Time | None = None
    """When validating began."""
    executing_time: Time | None = None
    """When executing began."""
    monitoring_time: Time | None = None
    """When monitoring began."""
    rolling_back_time: Time | None = None
    """When rolling back began."""
    completion_time: Time | None = None
    """When the run ended."""
    failure_reason: Sentence = ""
    """Why the run failed, in a sentence that a person can act on."""
    rollback_reason: Sentence = ""
    """Why the run was rolled back."""
    waiting_for: Sentence = ""
    """What the run waits for."""
    conditions: Annotated[tuple[StatusCondition, ...], Meta(max_length=16)] = ()
    """Succeeded, Validated, Approved, Paused, RolledBack, Reconciling, Stalled."""
