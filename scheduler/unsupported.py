"""What this version does not do yet. A workflow that asks for it is refused in planning, never run as if it had not.

Each check names one part of the specification; it goes away with the issue that builds that part. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.rules import STEPS, Check, templates
from schemas import durations
from schemas.workflow import DEFAULT_STEP_TIMEOUT, DEFAULT_TTL, Control, Monitoring, Override, Step, WorkflowSpec

STRATEGY = "spec.executionStrategy"


def _not_yet(path: str, what: str, way_out: str) -> str:
    return f"{path}: this version does not do {what} yet; {way_out}"


def retries(spec: WorkflowSpec) -> Iterator[str]:
    """Retries of failed steps."""
    if spec.execution_strategy.max_retries:
        yield _not_yet(f"{STRATEGY}.maxRetries", "retries", "leave it out or set it to 0")
    for path, step in _steps(spec):
        if step.max_retries:
            yield _not_yet(f"{path}.maxRetries", "retries", "leave it out or set it to 0")


def timeouts(spec: WorkflowSpec) -> Iterator[str]:
    """Time limits of steps and runs other than the default, and how long a finished object is kept."""
    asked = spec.execution_strategy.workflow_timeout
    if asked is not None and _differs(asked, default_workflow_timeout(len(spec.workflow_definition.steps))):
        yield _not_yet(f"{STRATEGY}.workflowTimeout", "timeouts of workflows", "leave it out")
    if _differs(spec.execution_strategy.ttl_after_finished, DEFAULT_TTL):
        yield _not_yet(f"{STRATEGY}.ttlAfterFinished", "deletion of finished workflows", "leave it out")
    for path, step in _steps(spec):
        if step.timeout is not None and _differs(step.timeout, DEFAULT_STEP_TIMEOUT):
            yield _not_yet(f"{path}.timeout", f"timeouts other than {DEFAULT_STEP_TIMEOUT}", "leave it out")


def validation(spec: WorkflowSpec) -> Iterator[str]:
    """Safety checks, dry run, approval."""
    if spec.execution_strategy.safety_checks:
        yield _not_yet(f"{STRATEGY}.safetyChecks", "safety checks", "leave them out")
    if spec.execution_strategy.dry_run_first:
        yield _not_yet(f"{STRATEGY}.dryRunFirst", "dry runs", "leave it out or set it to false")
    if spec.execution_strategy.approval_required:
        yield _not_yet(f"{STRATEGY}.approvalRequired", "approvals", "leave it out or set it to false")


def rollback(spec: WorkflowSpec) -> Iterator[str]:
    """Undoing what was done."""
    if spec.execution_strategy.rollback_strategy == "automatic":
        yield _not_yet(f"{STRATEGY}.rollbackStrategy", "automatic rollback", "choose manual or none")
    for path, step in _steps(spec):
        if step.rollback_spec is not None:
            yield _not_yet(f"{path}.rollbackSpec", "rollback", "leave it out")


def monitoring(spec: WorkflowSpec) -> Iterator[str]:
    """Watching the targets after the last step."""
    asked = spec.execution_strategy.monitoring
    default = Monitoring()
    if asked is None or not _differs(asked.window, "0s"):
        return
    if _differs(asked.window, default.window) or _differs(asked.timeout, default.timeout):
        yield _not_yet(f"{STRATEGY}.monitoring", "monitoring", "leave it out or set window to 0s")


def expressions(spec: WorkflowSpec) -> Iterator[str]:
    """CEL expressions and templates."""
    for path, step in _steps(spec):
        asked = {
            "runIf": step.run_if,
            "skipIf": step.skip_if,
            "preConditions": step.pre_conditions,
            "postConditions": step.post_conditions,
        }
        for field, value in asked.items():
            if value:
                yield _not_yet(f"{path}.{field}", "expressions", "leave it out")
        for place in templates(step):
            yield _not_yet(f"{path}.{place}", "{{ }} in parameters", "write the value itself")


def adaptation(spec: WorkflowSpec) -> Iterator[str]:
    """Learning and adjusting, and steps made from recommendations."""
    asked = spec.adaptive_orchestration
    if asked.learning_from_history:
        yield _not_yet("spec.adaptiveOrchestration.learningFromHistory", "learning", "leave it out")
    if asked.dynamic_step_adjustment:
        yield _not_yet("spec.adaptiveOrchestration.dynamicStepAdjustment", "adjusting", "leave it out")
    recommendations = spec.workflow_definition.ai_recommendations
    if recommendations is not None and recommendations.step_optimizations:
        yield _not_yet(
            "spec.workflowDefinition.aiRecommendations.stepOptimizations", "optimizing steps", "leave them out"
        )


def control(spec: WorkflowSpec) -> Iterator[str]:
    """What people ask for on the run itself."""
    for operation in asked_of(spec.control):
        yield _not_yet(f"spec.control.{operation}", f"{operation} of runs", "leave it out")


def asked_of(control: Control) -> dict[str, str]:
    """Return what a control asks for, by operation, each with a text that changes when the request does."""
    asked = {}
    if control.paused:
        asked["paused"] = "true"
    if control.cancel is not None:
        asked["cancel"] = control.cancel.mode
    if control.overrides:
        asked["overrides"] = ", ".join(_override(each) for each in control.overrides)
    if control.rollback is not None:
        asked["rollback"] = "asked"
    return asked


UNSUPPORTED: tuple[Check, ...] = (
    retries,
    timeouts,
    validation,
    rollback,
    monitoring,
    expressions,
    adaptation,
    control,
)


def default_workflow_timeout(steps: int) -> str:
    """Longest time of a run of so many steps when it names none (spec.md section 1)."""
    if steps <= 3:  # noqa: PLR2004
        return "10m"
    return "20m" if steps <= 10 else "45m"  # noqa: PLR2004


def _override(override: Override) -> str:
    return f"{override.operation} {override.step_number}"


def _steps(spec: WorkflowSpec) -> Iterator[tuple[str, Step]]:
    for index, step in enumerate(spec.workflow_definition.steps):
        yield f"{STEPS}[{index}]", step


def _differs(text: str, default: str) -> bool:
    try:
        return durations.parse(text) != durations.parse(default)
    except ValueError:
        return False  # not a duration at all: another check says so
