"""What the scheduler counts, from the decisions that it published. Labels never grow with the number of workflows."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from runtime.metrics import REGISTRY
from scheduler.inputs import Execution, Input
from scheduler.plan import Plan
from schemas.messages import Decision, Transition
from schemas.queue_state import QueueState
from schemas.run_state import RunState
from schemas.workflow_status import TERMINAL_PHASES

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 2700)
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_COUNTS = (1, 2, 3, 5, 10, 20, 50, 100, 256)
_STEP_ENDS = frozenset({"completed", "failed", "skipped", "cancelled"})

RUNS = Counter("workflowexecution_total", "Runs that ended, by how", ["status"], registry=REGISTRY)
RUNS_STARTED = Counter("workflowexecution_started_total", "Runs that were taken in", registry=REGISTRY)
RUN_SECONDS = Histogram(
    "workflowexecution_duration_seconds",
    "From the first decision of a run to its end",
    buckets=_SECONDS,
    registry=REGISTRY,
)
STEPS = Counter(
    "workflowexecution_step_execution_total", "Steps that ended, by how", ["status", "action"], registry=REGISTRY
)
STEP_SECONDS = Histogram(
    "workflowexecution_step_execution_duration_seconds",
    "From the command of a step to its end",
    ["action"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
PLANNING_SECONDS = Histogram(
    "workflowexecution_dependency_resolution_duration_seconds",
    "Making the plan of a run",
    buckets=_FAST,
    registry=REGISTRY,
)
EDGES = Histogram(
    "workflowexecution_dependency_graph_complexity",
    "Dependencies of a run",
    buckets=(0, *_COUNTS, 1000),
    registry=REGISTRY,
)
PARALLEL = Histogram(
    "workflowexecution_parallel_steps_count", "Steps of the widest wave of a run", buckets=_COUNTS, registry=REGISTRY
)
EFFICIENCY = Histogram(
    "workflowexecution_parallel_execution_efficiency",
    "Share of the time that steps would take one after the other which running side by side saved, 0 to 1",
    buckets=(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    registry=REGISTRY,
)
STEP_COUNT = Histogram("workflowexecution_step_count", "Steps of a run", buckets=_COUNTS, registry=REGISTRY)
HANDOFF_SECONDS = Histogram(
    "kubernaut_handoff_seconds",
    "From the message that made a step ready to the message that its execution exists, by broker time",
    buckets=_FAST,
    registry=REGISTRY,
)
RETRIES = Counter(
    "workflowexecution_step_retries_total", "Retries that were planned, by action", ["action"], registry=REGISTRY
)
ROLLBACKS = Counter(
    "workflowexecution_step_rollbacks_total",
    "Rollbacks of steps that ended: rolled_back, or failed, which a person must look at",
    ["status", "action"],
    registry=REGISTRY,
)
VALIDATIONS = Counter(
    "workflowexecution_validation_total",
    "How validating ended: started, or the reason why not",
    ["result"],
    registry=REGISTRY,
)
REFUSALS = Counter(
    "workflowexecution_refused_requests_total",
    "Requests of people that were refused, by operation",
    ["operation"],
    registry=REGISTRY,
)
DECISIONS = Counter("kubernaut_decisions_total", "Decisions published", registry=REGISTRY)
IGNORED = Counter("kubernaut_inputs_without_effect_total", "Messages that changed nothing", registry=REGISTRY)
TIMER_LATENESS = Histogram(
    "kubernaut_timer_lateness_seconds",
    "From the time of a run's timer to the message that it is due, by broker time",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
SWEPT = Counter(
    "kubernaut_timers_swept_total", "Wake-ups that did nothing and were sent again by the sweep", registry=REGISTRY
)
UNKNOWN_PHASES = Counter(
    "kubernaut_unknown_execution_phases_total", "Executions seen in a phase that is not known", registry=REGISTRY
)

PLACES = Gauge(
    "kubernaut_queue_places_taken", "Places of the queue that runs have, as last seen here", registry=REGISTRY
)
QUEUED = Gauge(
    "workflowexecution_queued_total",
    "Runs that wait for a place, as last seen here; at least so many when the queue names only who is next",
    registry=REGISTRY,
)
QUEUE_DECISIONS = Counter("kubernaut_queue_decisions_total", "Decisions of the queue published", registry=REGISTRY)
QUEUE_REFILLS = Counter(
    "kubernaut_queue_refills_total",
    "Times that the log was read for runs that wait and are not named",
    registry=REGISTRY,
)


def count_queue(state: QueueState) -> None:
    """Show the queue as it is after a decision."""
    PLACES.set(len(state.active))
    QUEUED.set(len(state.waiting))


def count(decision: Decision, plan: Plan, inputs: list[Input]) -> None:
    """Count what a published decision holds."""
    DECISIONS.inc()
    if decision.version == 1:
        RUNS_STARTED.inc()
    for transition in decision.transitions:
        if transition.entity == "workflow":
            _count_phase(transition, plan)
        else:
            _count_step(transition, decision.state, plan, inputs)
    for refusal in decision.refusals:
        REFUSALS.labels(refusal.operation.partition("-")[0]).inc()
    for side in decision.state.rollbacks:
        if side.phase == "failed" and side.ended_at == decision.now:
            ROLLBACKS.labels("failed", plan.step(side.number).action).inc()
    if _ends(decision):
        _count_end(decision.state)


def _count_phase(transition: Transition, plan: Plan) -> None:
    if transition.what == "started":
        _count_start(plan)
    if transition.before == "validating" and transition.after != "validating":
        VALIDATIONS.labels("started" if transition.after == "executing" else transition.reason).inc()


def _count_step(transition: Transition, state: RunState, plan: Plan, inputs: list[Input]) -> None:
    if transition.what == "started":
        _count_handoff(state, plan, transition.step, inputs)
    elif transition.what == "retrying":
        RETRIES.labels(transition.action).inc()
    elif transition.what == "rolled_back":
        ROLLBACKS.labels("rolled_back", transition.action).inc()
    elif transition.after in _STEP_ENDS:
        step = state.steps[plan.place[transition.step]]
        STEPS.labels(transition.after, transition.action).inc()
        if step.started_at:
            STEP_SECONDS.labels(transition.action).observe((step.ended_at - step.started_at) / 1000)


def _count_end(state: RunState) -> None:
    RUNS.labels(state.phase).inc()
    if state.started_at:  # one that was cancelled while it waited for its place has not run
        RUN_SECONDS.observe((state.ended_at - state.started_at) / 1000)
        _count_efficiency(state)


def _ends(decision: Decision) -> bool:
    """Whether a run ends by this decision; one that is rolled back on demand had ended before."""
    return not decision.state.control.rollback and any(
        t.entity == "workflow" and t.after in TERMINAL_PHASES and t.before != t.after for t in decision.transitions
    )


def _count_start(plan: Plan) -> None:
    STEP_COUNT.observe(len(plan.steps))
    EDGES.observe(sum(len(before) for before in plan.before.values()))
    if plan.state:
        PARALLEL.observe(max(len(wave) for wave in plan.state.waves))


def _count_handoff(state: RunState, plan: Plan, number: int, inputs: list[Input]) -> None:
    step = state.steps[plan.place[number]]
    for seen in inputs:
        if isinstance(seen.fact, Execution) and seen.fact.uid == step.execution_uid:
            HANDOFF_SECONDS.observe(max(0, seen.time_ms - step.started_at) / 1000)
            return


def _count_efficiency(state: RunState) -> None:
    apart = sum(step.ended_at - step.started_at for step in state.steps if step.started_at)
    together = state.ended_at - state.started_at
    if apart > 0:
        EFFICIENCY.observe(max(0.0, 1 - together / apart))
