"""What a user asks for: the spec of a WorkflowExecution. The string under a field is its documentation in the CRD.

Defaults live here, once. `None` means that the user left the field out and the default named under it holds.
Must hold no rule: what makes sense beyond types and limits is checked by the scheduler's planning.
Long because it is a table: one place shows everything that a user may write.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from schemas.fields import (
    Contract,
    Duration,
    Expression,
    Fraction,
    Name,
    Namespace,
    ObjectMeta,
    Sentence,
    StepNumber,
    Time,
)
from schemas.workflow_status import WorkflowStatus

STEPS_LIMIT = 256
DEPENDENCIES_LIMIT = 64
DEFAULT_PARALLELISM = 5
PARALLELISM_LIMIT = 10
RETRIES_LIMIT = 10
DEFAULT_STEP_TIMEOUT = "5m"
DEFAULT_TTL = "24h"
RETRIES_OF = {"critical": 3, "high": 2, "medium": 1, "low": 0}
"""Retries of a recommended step, by the priority of its recommendation."""

RollbackStrategy = Literal["automatic", "manual", "none"]
Priority = Literal["low", "normal", "high", "critical"]
ShortText = Annotated[str, Meta(max_length=256)]
Retries = Annotated[int, Meta(ge=0, le=RETRIES_LIMIT)]


class RemediationRequestRef(Contract, frozen=True, kw_only=True):
    """The RemediationRequest that this run belongs to; only read."""

    name: Name
    """Name of the RemediationRequest; it is the correlation id of every message of the run."""
    namespace: Namespace | None = None
    """Namespace of the RemediationRequest."""


class RetryPolicy(Contract, frozen=True, kw_only=True):
    """How long to wait before a retry: exponential, with full jitter."""

    initial_delay: Duration = "1s"
    """Longest wait before the first retry."""
    multiplier: Annotated[float, Meta(ge=1, le=10)] = 2.0
    """Factor from one retry to the next."""
    max_delay: Duration = "5m"
    """Longest wait before any retry."""


class Condition(Contract, frozen=True, kw_only=True):
    """A condition that must hold before or after a step."""

    expression: Expression
    """CEL over variables, steps, workflow and now; must give a boolean."""
    message: Sentence = ""
    """What to tell people when it does not hold."""
    on_failure: Literal["retry", "skip", "fail", "rollback"] = "fail"
    """What happens when it does not hold."""


class RollbackSpec(Contract, frozen=True, kw_only=True):
    """How a completed step is undone."""

    action: ShortText
    """Action that undoes the step."""
    parameters: dict[str, Any] = {}
    """Parameters of that action."""
    timeout: Duration | None = None
    """Longest time that undoing may take. Default: 5m."""


class Step(Contract, frozen=True, kw_only=True):
    """One action on the cluster, and when it may run."""

    step_number: StepNumber
    """Number of the step, unique in the workflow. Among ready steps the lowest goes first."""
    name: ShortText = ""
    """Short name for people."""
    description: Annotated[str, Meta(max_length=1024)] = ""
    """What the step is for."""
    action: Annotated[str, Meta(min_length=1, max_length=64)]
    """What is done: one of the product's actions, or custom."""
    parameters: dict[str, Any] = {}
    """Parameters of the action, checked against its type in planning."""
    target_cluster: ShortText = ""
    """Cluster that the action is for. Empty: the cluster that the workflow is in."""
    depends_on: Annotated[tuple[StepNumber, ...], Meta(max_length=DEPENDENCIES_LIMIT)] = ()
    """Numbers of the steps that must have ended before this one is considered."""
    critical_step: bool = True
    """Whether a failure of this step ends the run. False: the failure is recorded and the run goes on."""
    max_retries: Retries | None = None
    """How often a failed step is tried again. Default: executionStrategy.maxRetries."""
    retry_policy: RetryPolicy | None = None
    """How long to wait before a retry. Default: 1s, doubled each time, at most 5m."""
    timeout: Duration | None = None
    """Longest time that one attempt may take. Default: 5m."""
    run_if: Expression | None = None
    """CEL expression that decides whether the step runs once its dependencies have ended."""
    skip_if: Expression | None = None
    """CEL expression that skips the step when it is true."""
    pre_conditions: Annotated[tuple[Condition, ...], Meta(max_length=16)] = ()
    """Conditions that must hold before the step starts."""
    post_conditions: Annotated[tuple[Condition, ...], Meta(max_length=16)] = ()
    """Conditions that must hold after the step has completed."""
    rollback_spec: RollbackSpec | None = None
    """How the step is undone."""


class Recommendation(Contract, frozen=True, kw_only=True):
    """One action that an analysis recommended; it becomes a step of its own, after the steps that are written out."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    """Name of the recommendation, unique in the workflow; others refer to it."""
    action: Annotated[str, Meta(min_length=1, max_length=64)]
    """Action to take; an unknown one is refused by name."""
    parameters: dict[str, Any] = {}
    """Parameters of the action."""
    target_cluster: ShortText = ""
    """Cluster that the action is for. Empty: the cluster that the workflow is in."""
    priority: Literal["critical", "high", "medium", "low"] = "medium"
    """Sets the retries of the step: critical 3, high 2, medium 1, low 0."""
    risk: Literal["low", "medium", "high"] = "low"
    """Of all recommendations the highest counts for the run: medium sets a dry run, high an approval and automatic
    rollback as well."""
    depends_on: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=DEPENDENCIES_LIMIT)] = ()
    """Ids of the recommendations that must be done before."""
    rollback_spec: RollbackSpec | None = None
    """How the step is undone."""
    reasoning: Annotated[str, Meta(max_length=1024)] = ""
    """Why; becomes the description of the step."""


class AiRecommendations(Contract, frozen=True, kw_only=True):
    """What an analysis recommended; structured recommendations become settings of steps."""

    overall_confidence: Fraction | None = None
    """Confidence in the recommendations as a whole, 0 to 1."""
    recommendation_source: ShortText = ""
    """Who or what recommended."""
    generated_at: Time | None = None
    """When it was recommended."""
    recommendations: Annotated[tuple[Recommendation, ...], Meta(max_length=64)] = ()
    """Actions to take; they become steps."""
    step_optimizations: Annotated[tuple[dict[str, Any], ...], Meta(max_length=STEPS_LIMIT)] = ()
    """Changes to single steps."""
    parallel_execution_suggestions: Annotated[tuple[dict[str, Any], ...], Meta(max_length=STEPS_LIMIT)] = ()
    """Steps that may run side by side."""
    safety_improvements: Annotated[tuple[dict[str, Any], ...], Meta(max_length=STEPS_LIMIT)] = ()
    """Checks and approvals that would make the run safer."""
    similar_workflow_success_rate: Fraction | None = None
    """Share of similar runs that succeeded, 0 to 1."""
    estimated_duration: Duration | None = None
    """How long the run is expected to take."""
    risk_factors: Annotated[tuple[Sentence, ...], Meta(max_length=64)] = ()
    """What may go wrong."""


class WorkflowDefinition(Contract, frozen=True, kw_only=True):
    """What is run."""

    name: Annotated[str, Meta(min_length=1, max_length=253)]
    """Name of the definition."""
    version: Annotated[str, Meta(min_length=1, max_length=64)]
    """Version of the definition."""
    variables: dict[str, Annotated[str, Meta(max_length=4096)]] = {}
    """Values for expressions and parameters."""
    steps: Annotated[tuple[Step, ...], Meta(max_length=STEPS_LIMIT)] = ()
    """The steps, 1 to 256; none only where recommendations become steps."""
    dependencies: Annotated[
        dict[str, Annotated[tuple[StepNumber, ...], Meta(max_length=DEPENDENCIES_LIMIT)]], Meta(max_length=STEPS_LIMIT)
    ] = {}
    """Dependencies by step number, merged with each step's dependsOn."""
    ai_recommendations: AiRecommendations | None = None
    """What an analysis recommended."""


class Monitoring(Contract, frozen=True, kw_only=True):
    """How the targets are watched after the last step."""

    window: Duration = "30s"
    """How long the targets must stay healthy. 0s skips the phase."""
    timeout: Duration = "10m"
    """How long to wait for that before the outcome is unknown."""


class SafetyCheck(Contract, frozen=True, kw_only=True):
    """A check before anything is executed."""

    type: Literal["rbac", "capacity", "health", "network"]
    """What is checked."""
    description: ShortText = ""
    """What it is for."""
    required: bool = True
    """Whether a failed check ends the run."""


class ExecutionStrategy(Contract, frozen=True, kw_only=True):
    """How the workflow is run."""

    approval_required: bool = False
    """Wait for an approval before executing."""
    dry_run_first: bool = False
    """Run every step once as a dry run in the validating phase."""
    rollback_strategy: RollbackStrategy = "manual"
    """What happens after a critical failure: automatic rollback, rollback on demand, or none."""
    max_retries: Retries = 0
    """Default number of retries of a step."""
    parallelism_limit: Annotated[int, Meta(ge=1, le=PARALLELISM_LIMIT)] = DEFAULT_PARALLELISM
    """How many steps may be in flight at once."""
    priority: Priority = "normal"
    """Order in which runs start when more wait than may run."""
    workflow_timeout: Duration | None = None
    """Longest time of the whole run. Default: 10m for 1-3 steps, 20m for 4-10, 45m for more."""
    ttl_after_finished: Duration = DEFAULT_TTL
    """How long the object is kept after its end."""
    monitoring: Monitoring | None = None
    """How the targets are watched after the last step."""
    safety_checks: Annotated[tuple[SafetyCheck, ...], Meta(max_length=16)] = ()
    """Checks before anything is executed."""


class AdaptiveOrchestration(Contract, frozen=True, kw_only=True):
    """What the scheduler may adjust by itself."""

    optimization_enabled: bool = False
    """Among ready steps, start the one with the longest remaining path first."""
    learning_from_history: bool = False
    """Use durations and success rates of earlier runs."""
    dynamic_step_adjustment: bool = False
    """Move timeouts and retry budgets because of what was learned."""


class Cancel(Contract, frozen=True, kw_only=True):
    """Ends the run early."""

    mode: Literal["stop", "rollback", "terminate"] = "stop"
    """stop: let running steps end. rollback: end them and roll back. terminate: end them now."""
    reason: Sentence = ""
    """Why, for the record."""


class Override(Contract, frozen=True, kw_only=True):
    """A person's word on one step."""

    step_number: StepNumber
    """The step."""
    operation: Literal["skip", "retry"]
    """What to do with it."""
    reason: Sentence = ""
    """Why, for the record."""


class RollbackRequest(Contract, frozen=True, kw_only=True):
    """Asks for the rollback of a failed run."""

    reason: Sentence = ""
    """Why, for the record."""


class Control(Contract, frozen=True, kw_only=True):
    """What people may still change once the workflow exists."""

    paused: bool = False
    """No new step starts while true; steps in flight finish."""
    cancel: Cancel | None = None
    """Ends the run early; once."""
    overrides: Annotated[tuple[Override, ...], Meta(max_length=STEPS_LIMIT)] = ()
    """Skips and retries of single steps; append only."""
    rollback: RollbackRequest | None = None
    """Asks for the rollback of a failed run whose strategy is manual; once."""


class WorkflowSpec(Contract, frozen=True, kw_only=True):
    """What is run and how. Immutable after creation, but for control."""

    remediation_request_ref: RemediationRequestRef | None = None
    """The RemediationRequest that this run belongs to."""
    workflow_definition: WorkflowDefinition
    """What is run."""
    execution_strategy: ExecutionStrategy = ExecutionStrategy()
    """How it is run."""
    adaptive_orchestration: AdaptiveOrchestration = AdaptiveOrchestration()
    """What the scheduler may adjust by itself."""
    control: Control = Control()
    """What people may still change."""


class WorkflowExecution(Contract, frozen=True, kw_only=True):
    """A remediation workflow and how far it is."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
    spec: WorkflowSpec
    """What is run and how. Immutable after creation, but for control."""
    status: WorkflowStatus | None = None
    """How far the run is; written by kubernaut-workflow only."""
