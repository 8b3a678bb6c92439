"""The main job on real parts: applied with nothing but a Kubernetes client, watched, run, told, audited."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import RefusedError
from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from tests.e2e.world import NAMESPACE, PATIENCE, World, a_step, a_workflow, assert_each_step_once, ten_steps, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]


async def test_a_ten_step_graph_reaches_completed_with_ten_executions_each_created_once(world: World) -> None:
    """With its plan, its progress and its conditions in the status, and one row for each message in the audit."""
    names = await world.apply(a_workflow("ten", ten_steps()))

    statuses = await world.all_end(names)

    assert_each_step_once(world, names, statuses)
    status = statuses["ten"]
    assert "10/10" == status["progress"]
    assert [[1], [2, 3, 4, 5, 6], [7], [8, 9], [10]] == status["executionPlan"]["waves"]
    assert {"Succeeded": "True", "Validated": "True"}.items() <= {
        c["type"]: c["status"] for c in status["conditions"]
    }.items()
    assert {"completed"} == {step["status"] for step in status["stepStatuses"]}
    await world.audit_is_complete()


async def test_many_runs_at_once_end_with_each_step_once(world: World) -> None:
    """Fifty graphs of ten steps."""
    names = await world.apply(*(a_workflow(f"many-{n}", ten_steps()) for n in range(50)))

    statuses = await world.all_end(names, 600)

    assert_each_step_once(world, names, statuses)
    await world.audit_is_complete()


@pytest.mark.parametrize(
    ("name", "steps", "error"),
    [
        pytest.param(
            "unknown-action",
            [a_step(1, action="reboot_universe")],
            "unknown action 'reboot_universe'",
            id="an unknown action",
        ),
        pytest.param("cycle", [a_step(1, 2), a_step(2, 1)], "in a cycle: 1 -> 2 -> 1", id="a cycle"),
        pytest.param(
            "wrong-parameters",
            [a_step(1, action="scale_deployment", parameters={"deployment": "a", "namespace": "b", "replicas": -1})],
            "steps[0].parameters.replicas",
            id="parameters that make no sense",
        ),
        pytest.param(
            "half-a-condition",
            [a_step(1), a_step(2, 1, runIf="steps[1].status ==")],
            "steps[1].runIf: expression 'steps[1].status ==' at 1:19:",
            id="a condition that does not compile",
        ),
    ],
)
async def test_an_object_that_makes_no_sense_fails_with_its_errors(
    world: World, name: str, steps: list[dict[str, Any]], error: str
) -> None:
    """The CRD lets it through; planning refuses it and says where and why. Nothing is executed."""
    names = await world.apply(a_workflow(name, steps))

    status = (await world.all_end(names))[name]

    assert "failed" == status["phase"]
    assert any(error in each for each in status["validationResults"]["validationErrors"])
    assert error in status["failureReason"]
    assert {} == world.creations(names)


async def test_an_unknown_dependency_is_refused_at_apply(world: World) -> None:
    """By the API server itself, with the words of the rule."""
    workflow = a_workflow("unknown-dependency", [a_step(1)], definition={"dependencies": {"1": [9]}})

    with pytest.raises(RefusedError, match="dependencies"):
        await world.apply(workflow)


async def test_an_execution_deleted_by_hand_fails_its_step(world: World) -> None:
    """With reason deleted, soon, and the run ends."""
    names = await world.apply(a_workflow("deleted-by-hand", [a_step(1)], simulate={"step-1": "hang"}))
    step = "deleted-by-hand-step-1"

    async def observed() -> bool:
        steps = (await world.status("deleted-by-hand")).get("stepStatuses", [])
        return bool(steps and steps[0].get("k8sExecutionRef", {}).get("uid"))

    await until(observed, "the execution was observed", PATIENCE)
    execution = await world.cluster.get(EXECUTIONS, NAMESPACE, step)
    await world.cluster.delete(EXECUTIONS, NAMESPACE, step, uid=execution["metadata"]["uid"])
    status = (await world.all_end(names))["deleted-by-hand"]

    assert "failed" == status["phase"]
    assert "deleted" == status["stepStatuses"][0]["reason"]
    assert {step: 1} == world.creations(names)


async def test_an_executor_that_answers_garbage_stops_nobody(world: World) -> None:
    """An unknown phase and odd fields on the way; the step completes when the executor says so."""
    names = await world.apply(a_workflow("garbage", ten_steps(), simulate={"all-steps": "garbage"}))

    statuses = await world.all_end(names)

    assert_each_step_once(world, names, statuses)


async def test_a_non_critical_failure_is_a_partial_success(world: World) -> None:
    """Its dependents are skipped, the rest runs."""
    steps = [a_step(1, criticalStep=False), a_step(2, 1), a_step(3)]
    names = await world.apply(a_workflow("partial", steps, simulate={"step-1": "fail"}))

    status = (await world.all_end(names))["partial"]

    assert ("completed", "partial_success") == (status["phase"], status["workflowResult"]["outcome"])
    assert {1: "failed", 2: "skipped", 3: "completed"} == {s["stepNumber"]: s["status"] for s in status["stepStatuses"]}


async def test_a_message_that_cannot_be_read_goes_to_the_dead_letters(world: World) -> None:
    """Copied whole with the reason, and nothing waits behind it."""
    import nats  # noqa: PLC0415

    client = await nats.connect(world.stack.nats_url)
    await client.jetstream().publish("kubernaut.change.workflow.default.poison", b"\xff\x00 not a message")
    await client.close()
    names = await world.apply(a_workflow("behind-the-poison", [a_step(1)]))

    statuses = await world.all_end(names)

    async def buried() -> bool:
        return bool(
            await world.database.fetchval(
                "SELECT count(*) FROM audit_message WHERE subject = 'kubernaut.deadletter.scheduler'"
            )
        )

    assert "completed" == statuses["behind-the-poison"]["phase"]
    await until(buried, "the dead letter is in the audit", PATIENCE)
    await world.audit_is_complete()


async def test_a_workflow_deleted_in_the_middle_goes_away_with_its_executions(world: World) -> None:
    """The finalizer lets it go, the run is recorded as cancelled."""
    names = await world.apply(a_workflow("deleted-run", [a_step(1), a_step(2, 1)], simulate={"step-1": "hang"}))
    await world.carried_out("deleted-run-step-1")
    found = await world.get("deleted-run")
    await world.cluster.delete(WORKFLOWS, NAMESPACE, "deleted-run", uid=found["metadata"]["uid"])

    async def gone() -> bool:
        workflows = await world.statuses()
        executions = {each["metadata"]["name"] for each in await world.all_of(EXECUTIONS)}
        return "deleted-run" not in workflows and "deleted-run-step-1" not in executions

    async def recorded() -> bool:
        row = await world.database.fetchrow(
            "SELECT phase FROM workflow_run WHERE workflow_uid = $1", found["metadata"]["uid"]
        )
        return row is not None and row["phase"] == "cancelled"

    await until(gone, "the workflow and its execution are gone", PATIENCE)
    await until(recorded, "the end is in the audit", PATIENCE)
    assert {"deleted-run-step-1": 1} == world.creations(names)


async def test_kubernetes_events_tell_the_story(world: World) -> None:
    """On the workflow, for people with kubectl."""
    names = await world.apply(a_workflow("told", [a_step(1)], simulate={"step-1": "fail"}))
    await world.all_end(names)

    async def told() -> bool:
        events = await world.all_of(EVENTS)
        return any(e["involvedObject"]["name"] == "told" and e["type"] == "Warning" for e in events)

    await until(told, "a warning about the failure", PATIENCE)
