"""How each sample is played and how it ends: the table of test_samples.py, in which none may be missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from runtime.errors import NotFoundError
from runtime.kinds import EXECUTIONS
from tests.e2e.people import fact, fire_alert, kubernaut, waits_until
from tests.e2e.world import PATIENCE, World, until

Act = Callable[[World, str], Awaitable[None]]

HELD = {"step-3": "hang"}
"""Of rolling-restart, whose step 3 takes 20 s: a busy machine is not always done with two commands by then."""
TIME_OVER = "it had not ended when the time of the run was over and was ended"


async def nobody(_world: World, _name: str) -> None:
    """Left alone."""


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a sample: what people do meanwhile, and how it ends."""

    file: str
    workflow: str = ""
    """Which workflow of the file; the one named like the file when empty."""
    called: str = ""
    """Ending of the run's name, where a sample is played several times."""
    simulate: dict[str, str] = {}
    """How the executor behaves, where that is not as the file says; by step."""
    act: Act = nobody
    """While it runs."""
    then: Act = nobody
    """Once it has ended; what is expected is looked at after that."""
    phase: str = "completed"
    outcome: str = "success"
    steps: dict[int, str] = {}
    """How steps end; all of them are completed where none is named."""
    facts: dict[str, Any] = {}
    """Of the status, as `people.fact` finds them."""
    says: str = ""
    """A part of status.failureReason."""

    @property
    def source(self) -> tuple[str, str]:
        """The file and the workflow in it."""
        return self.file, self.workflow or self.file

    @property
    def name(self) -> str:
        """The name of the run."""
        return f"{self.source[1]}{self.called}"


async def approve(world: World, name: str) -> None:
    """Approve the plan once the dry run is over, with what the command shows of it."""
    await waits_until(world, name, "condition Validated.status", "True")
    shown = await kubernaut(world, "approve", name, "--yes", "--reason", "CHG-1042")
    assert "would" in shown
    assert f"approve {name}: done" in shown


async def reject(world: World, name: str) -> None:
    """Reject it."""
    await waits_until(world, name, "condition Validated.status", "True")
    await kubernaut(world, "reject", name, "--reason", "not on a Friday")


async def roll_back(world: World, name: str) -> None:
    """Undo a failed run."""
    await kubernaut(world, "rollback", name, "--reason", "drain it at night")
    await waits_until(world, name, "condition RolledBack.status", "True")
    await waits_until(world, name, "phase", "failed")


async def alert(world: World, name: str) -> None:
    """An alert fires once the run watches."""
    await waits_until(world, name, "phase", "monitoring")
    await fire_alert(world, name, "CheckoutErrorBudgetBurn", "14 times too fast")


async def done(world: World, name: str, step: int) -> None:
    """The executor is done with a step that has been held until now: people take the time that they need."""
    execution = f"{name}-step-{step}"
    await world.carried_out(execution)
    await world.write_status(EXECUTIONS, execution, {"phase": "completed", "executionResults": {"success": True}})


async def retry_the_failed(world: World, name: str) -> None:
    """Try the failed step again while the other one is in flight."""
    await waits_until(world, name, "step 2.status", "failed")
    await kubernaut(world, "retry", name, "2", "--reason", "the node is back")


async def retry(world: World, name: str) -> None:
    """Try it again, and let the other one end."""
    await retry_the_failed(world, name)
    await done(world, name, 3)


async def hold(world: World, name: str) -> None:
    """Pause, ask for a retry, see that nothing starts although all else is over, resume."""
    await waits_until(world, name, "step 2.status", "failed")
    await kubernaut(world, "pause", name)
    await kubernaut(world, "retry", name, "2", "--reason", "the node is back")
    await done(world, name, 3)
    await waits_until(world, name, "step 3.status", "completed")
    status = await world.status(name)
    assert ("executing", "waiting_retry") == (status["phase"], fact(status, "step 2.status"))
    assert "True" == fact(status, "condition Paused.status")
    await kubernaut(world, "resume", name)


async def skip(world: World, name: str) -> None:
    """Skip the step that is in flight, and try the failed one again."""
    await retry_the_failed(world, name)
    await kubernaut(world, "skip", name, "3", "--reason", "done by hand")


def cancel(mode: str) -> Act:
    """Cancel in a mode while step 3 is in flight; one that stops lets it end."""

    async def act(world: World, name: str) -> None:
        await waits_until(world, name, "step 3.status", "executing")
        await waits_until(world, name, "step 2.status", "failed")
        await kubernaut(world, "cancel", name, "--mode", mode, "--reason", "wrong service")
        if mode == "stop":
            await done(world, name, 3)

    return act


async def rerun(world: World, name: str) -> None:
    """Run it again; what was done is taken over with its results."""
    again = f"{name}-again"
    before = await world.status(name)
    await kubernaut(world, "rerun", name, "--name", again)
    status = (await world.all_end([again]))[again]
    assert ("completed", "success") == (status["phase"], status["workflowResult"]["outcome"])
    ends = {step["stepNumber"]: step["status"] for step in status["stepStatuses"]}
    assert {1: "skipped", 2: "skipped", 3: "completed", 4: "skipped", 5: "completed", 6: "completed"} == ends
    assert fact(before, "step 1.result") == fact(status, "step 1.result") is not None


async def goes_away(world: World, name: str) -> None:
    """The object is deleted after its ttl, and its story stays."""

    async def gone() -> bool:
        try:
            await world.get(name)
        except NotFoundError:
            return True
        return False

    await until(gone, f"{name} is deleted after its ttl", PATIENCE)
    row = await world.database.fetchrow("SELECT phase, outcome FROM workflow_run WHERE workflow_name = $1", name)
    assert ("completed", "success") == tuple(row or ())


PLAYS = (
    Play(
        file="memory-leak", facts={"workflowResult.effectivenessScore": 1, "workflowResult.newAlertsTriggered": False}
    ),
    Play(file="bad-rollout", facts={"executionPlan.waves": [[1], [2, 3, 4, 5, 6], [7], [8]]}),
    Play(
        file="node-drain",
        outcome="partial_success",
        steps={1: "completed", 2: "completed", 3: "completed", 4: "failed", 5: "completed", 6: "completed"},
    ),
    Play(
        file="failed-failover",
        phase="failed",
        outcome="failed",
        steps={1: "completed", 2: "completed", 3: "failed", 4: "completed", 5: "cancelled", 6: "cancelled"},
        says="critical step 3",
        then=rerun,
    ),
    Play(file="ten-steps", facts={"progress": "10/10"}),
    Play(
        file="throttled-api",
        outcome="partial_success",
        steps={2: "completed", 3: "completed", 4: "failed", 5: "completed"},
        facts={
            "step 2.retriesAttempted": 2,
            "step 3.retriesAttempted": 1,
            "step 4.retriesAttempted": None,
            "step 2.k8sExecutionRef.name": "throttled-api-step-2-retry-2",
        },
    ),
    Play(
        file="stuck-drain",
        phase="failed",
        outcome="failed",
        steps={1: "rolled_back", 2: "failed", 3: "cancelled"},
        facts={
            "step 2.reason": "timed_out",
            "step 2.retriesAttempted": 1,
            "executionMetrics.rollbacksPerformed": 1,
            "condition Succeeded.status": "False",
        },
        says="critical step 2",
        then=roll_back,
    ),
    Play(
        file="slow-migration",
        phase="failed",
        outcome="failed",
        steps={1: "completed", 2: "failed", 3: "cancelled"},
        facts={"step 2.reason": "timed_out", "step 2.errorMessage": TIME_OVER},
        says="the run took longer than its workflowTimeout of 20s",
    ),
    Play(
        file="canary-decides",
        steps={2: "completed", 3: "completed", 4: "skipped", 5: "skipped", 6: "completed", 7: "completed"},
        facts={"step 4.reason": "skip_if_true", "step 5.reason": "precondition_failed"},
    ),
    Play(
        file="production-failover",
        act=approve,
        facts={
            "validationResults.approvalReceived": True,
            "validationResults.dryRunPerformed": True,
            "validationResults.dryRunResults.overallSuccess": True,
            "condition Approved.status": "True",
        },
    ),
    Play(
        file="production-failover",
        called="-rejected",
        act=reject,
        phase="failed",
        outcome="failed",
        steps={1: "cancelled", 2: "cancelled", 3: "cancelled", 4: "cancelled"},
        facts={"condition Approved.status": "False", "condition Approved.reason": "Rejected"},
        says="not on a Friday",
    ),
    Play(
        file="wrong-subnet",
        phase="failed",
        outcome="failed",
        steps={1: "cancelled", 2: "cancelled", 3: "cancelled"},
        facts={"validationResults.dryRunResults.overallSuccess": False},
        says="the dry run of step 2 failed",
    ),
    Play(file="cold-standby", facts={"validationResults.safetyChecksPassed": True}),
    Play(
        file="cold-standby",
        workflow="cold-standby-forbidden",
        phase="failed",
        outcome="failed",
        steps={1: "cancelled"},
        facts={"validationResults.safetyChecksPassed": False},
        says="ServiceAccount restart-pod-sa in namespace default may not delete pods",
    ),
    Play(
        file="bad-migration",
        phase="failed",
        outcome="failed",
        steps={1: "rolled_back", 2: "completed", 3: "rolled_back", 4: "failed", 5: "cancelled"},
        facts={"executionMetrics.rollbacksPerformed": 2, "condition RolledBack.status": "True"},
        says="critical step 4",
    ),
    Play(
        file="jammed-rollback",
        phase="failed",
        outcome="failed",
        steps={1: "rolled_back", 2: "completed", 3: "failed"},
        facts={"condition RolledBack.status": "False", "condition RolledBack.reason": "RollbackFailed"},
        says="The rollback of step 2 failed",
    ),
    Play(
        file="error-budget",
        act=alert,
        phase="failed",
        outcome="failed",
        steps={1: "rolled_back", 2: "rolled_back"},
        facts={"workflowResult.newAlertsTriggered": True, "condition RolledBack.status": "True"},
        says="alert CheckoutErrorBudgetBurn fired",
    ),
    Play(
        file="rolling-restart",
        outcome="partial_success",
        steps={1: "completed", 2: "failed", 3: "completed", 4: "skipped", 5: "skipped"},
        facts={"step 4.reason": "dependency_failed"},
    ),
    Play(file="rolling-restart", called="-retried", simulate=HELD, act=retry),
    Play(file="rolling-restart", called="-held", simulate=HELD, act=hold),
    Play(
        file="rolling-restart",
        called="-skipped",
        simulate=HELD,
        act=skip,
        steps={2: "completed", 3: "skipped", 4: "completed", 5: "completed"},
        facts={"step 3.reason": "skipped_by_person"},
    ),
    Play(
        file="rolling-restart",
        called="-stopped",
        simulate=HELD,
        act=cancel("stop"),
        phase="cancelled",
        outcome="cancelled",
        steps={1: "completed", 2: "failed", 3: "completed", 4: "cancelled", 5: "cancelled"},
        says="wrong service",
    ),
    Play(
        file="rolling-restart",
        called="-terminated",
        simulate=HELD,
        act=cancel("terminate"),
        phase="cancelled",
        outcome="cancelled",
        steps={1: "completed", 2: "failed", 3: "cancelled", 4: "cancelled", 5: "cancelled"},
        says="wrong service",
    ),
    Play(
        file="rolling-restart",
        called="-undone",
        simulate=HELD,
        act=cancel("rollback"),
        phase="cancelled",
        outcome="cancelled",
        steps={1: "rolled_back", 2: "failed", 3: "cancelled", 4: "cancelled", 5: "cancelled"},
        facts={"condition RolledBack.status": "True"},
        says="wrong service",
    ),
    *(
        Play(file="incident-storm", workflow=f"storm-{which}")
        for which in ("compact-logs", "slow-search", "cart-latency", "payments-down")
    ),
    Play(
        file="learned-durations",
        facts={
            "step 1.retriesAttempted": 1,
            "adaptiveAdjustments.0.adjustment": "timeout of step 1 to 12m and retries of step 1 to 1",
            "adaptiveAdjustments.0.reason": "one in five expansions of this storage class needs a second attempt",
        },
    ),
    Play(
        file="diagnosed",
        act=approve,
        facts={"step 2.action": "drain_node", "validationResults.dryRunPerformed": True, "totalSteps": 3},
    ),
    Play(file="nightly-cleanup", then=goes_away),
)
