"""The contract with the executor: KubernetesExecution. We write its spec once and never its status.

The executor is another product: a phase or field that is not known here is kept, counted and ignored, never an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from schemas.fields import Contract, Duration, Name, Namespace, ObjectMeta, StepNumber, Uid

Purpose = Literal["execute", "dry_run", "rollback"]

KNOWN_PHASES: frozenset[str] = frozenset(
    {"validating", "validated", "waiting_approval", "executing", "rollback_ready", "completed", "failed"}
)
TERMINAL_PHASES: frozenset[str] = frozenset({"completed", "failed"})


class WorkflowExecutionRef(Contract, frozen=True, kw_only=True):
    """The workflow that the execution belongs to."""

    name: Name
    """Name of the workflow."""
    namespace: Namespace
    """Its namespace."""
    uid: Uid
    """Its uid: a workflow made again under the same name is another one."""


class KubernetesExecutionSpec(Contract, frozen=True, kw_only=True):
    """One action for the executor. Immutable."""

    workflow_execution_ref: WorkflowExecutionRef
    """The workflow that the execution belongs to."""
    step_number: StepNumber
    """The step."""
    attempt: Annotated[int, Meta(ge=1)] = 1
    """Which attempt of the step this is, from 1."""
    purpose: Purpose = "execute"
    """execute, dry_run or rollback."""
    action: Annotated[str, Meta(min_length=1, max_length=64)]
    """What is to be done."""
    parameters: dict[str, Any] = {}
    """Parameters of the action."""
    target_cluster: Annotated[str, Meta(max_length=256)] = ""
    """Cluster that the action is for. Empty: this one."""
    timeout: Duration = "5m"
    """Longest time that the action may take."""
    max_retries: Annotated[int, Meta(ge=0, le=10)] = 0
    """Retries that the executor may do by itself; the workflow's own retries are new executions."""
    approval_received: bool = False
    """Whether the workflow was approved."""
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=64)]
    """The same for every repeat of the same command: an action with a known key must not be carried out again."""


class Failure(Contract, frozen=True, kw_only=True):
    """Why an execution failed."""

    reason: str = ""
    """In one word, for programs."""
    message: str = ""
    """For people."""
    retryable: bool | None = None
    """Whether trying again may help."""
    executed: bool | None = None
    """Whether anything was carried out."""


class ExecutionResults(Contract, frozen=True, kw_only=True):
    """What the executor did. Fields beyond these are kept."""

    success: bool | None = None
    """Whether the action did what it should."""
    execution_time: str = ""
    """How long it took."""
    resources_affected: tuple[Any, ...] = ()
    """What was changed."""
    warnings: tuple[Any, ...] = ()
    """What a person should know."""


class KubernetesExecutionStatus(Contract, frozen=True, kw_only=True):
    """How far the executor is. Fields beyond these are kept."""

    phase: str = ""
    """validating, validated, waiting_approval, executing, rollback_ready, completed or failed."""
    validation_results: Any = None
    """What the executor checked."""
    execution_results: ExecutionResults | None = None
    """What the executor did."""
    rollback_information: Any = None
    """What is needed to undo it."""
    job_name: str = ""
    """Job that carries it out."""
    failure: Failure | None = None
    """Why it failed."""
    conditions: tuple[Any, ...] = ()
    """Kubernetes conditions."""


class KubernetesExecution(Contract, frozen=True, kw_only=True):
    """One action of a workflow, carried out by the executor."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
    spec: KubernetesExecutionSpec
    """One action for the executor. Immutable."""
    status: KubernetesExecutionStatus | None = None
    """How far the executor is; written by the executor only."""
