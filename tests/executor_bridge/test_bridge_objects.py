"""Statuses, finalizers, deletes and Events on the cluster, and what the bridge does with messages of every sort."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from executor_bridge.context import Limits
from executor_bridge.execution import body_of
from runtime.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError, UnavailableError
from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from schemas import subjects
from schemas.messages import (
    DeadLettered,
    DeleteExecution,
    HoldWorkflow,
    ReleaseExecution,
    ReleaseWorkflow,
    Transition,
    decode,
)
from schemas.names import FINALIZER
from tests.executor_bridge.builders import START, UID, WORKFLOW, a_create, a_decision, a_state, a_step, a_workflow
from tests.executor_bridge.test_bridge_creates import a_world, refusals
from tests.executor_bridge.virtual import run
from tests.executor_bridge.world import World

if TYPE_CHECKING:
    from runtime.ports import Object, Resource
    from schemas.run_state import RunState

NAME = "restart-web-step-1"


def running(settled: int = 0, *, phase: str = "executing") -> RunState:
    """A run of many steps of which some have ended."""
    steps = (a_step(n, "completed" if n <= settled else "executing", execution_uid="u") for n in range(1, 41))
    return a_state(*steps, phase=phase)


def finalizers(world: World) -> list[str]:
    """Those of the workflow."""
    (workflow,) = world.cluster.of(WORKFLOWS)
    return workflow["metadata"].get("finalizers") or []


def test_many_decisions_a_second_are_few_statuses_and_the_last_one_is_shown() -> None:
    """Forty decisions in two seconds write at most five statuses a second, and the newest is what stays."""

    async def scene(world: World) -> None:
        for version in range(1, 41):
            await world.decide(a_decision(version, running(version)))
            await asyncio.sleep(0.05)

    world = a_world(scene)

    assert world.status()["sequence"] == 40
    assert 8 <= len(world.statuses()) <= 12
    assert world.statuses() == sorted(set(world.statuses()))


def test_a_phase_change_is_shown_at_once() -> None:
    """However short ago a status was written, the next phase does not wait."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, running()))
        await world.until(lambda: world.statuses() == [1])
        await world.decide(a_decision(2, running(1)))
        await world.decide(a_decision(3, running(40, phase="completed")))
        await asyncio.sleep(0.01)

        assert world.statuses() == [1, 3]

    a_world(scene, limits=Limits(status_interval=100.0))


def test_the_status_of_another_writer_is_kept_and_its_changes_too() -> None:
    """Somebody edits the object all the time: the status gets through, and labels stay as they were written."""

    async def scene(world: World) -> None:
        async def edit() -> None:
            for number in range(200):
                body = a_workflow()
                body["metadata"]["labels"] = {"edited": str(number)}
                body["status"] = world.status()
                world.cluster.put(WORKFLOWS, body)
                await asyncio.sleep(0.05)

        editor = asyncio.create_task(edit())
        for version in range(1, 6):
            await world.decide(a_decision(version, running(version)))
            await asyncio.sleep(0.5)
        await editor

    world = a_world(scene)

    (workflow,) = world.cluster.of(WORKFLOWS)
    assert (workflow["metadata"]["labels"], workflow["status"]["sequence"]) == ({"edited": "199"}, 5)


def test_a_newer_status_of_another_bridge_is_not_replaced() -> None:
    """The object shows decision 9 already, by another replica: decision 4 is superseded, not written."""

    async def scene(world: World) -> None:
        world.cluster.set_status(WORKFLOWS, "shop", "restart-web", sequence=9, phase="completed")
        await world.decide(a_decision(4, running(4)))

    world = a_world(scene)

    assert (world.statuses(), world.status()["sequence"]) == ([], 9)


def test_a_status_that_is_never_taken_does_not_stop_the_messages() -> None:
    """The API server refuses the status for good: it is counted, and the next one is written."""

    async def scene(world: World) -> None:
        world.cluster.fail("replace_status", RefusedError("too large", reason="invalid"))
        await world.decide(a_decision(1, running()))
        await world.settled()
        await world.decide(a_decision(2, running(1)))

    assert a_world(scene).statuses() == [2]


def test_the_end_of_a_run_is_shown_when_the_rights_come_back_after_long() -> None:
    """Rights that are away for a quarter of an hour delay the last status; nothing later would repair it."""

    async def scene(world: World) -> None:
        world.cluster.fail("replace_status", ForbiddenError("no", reason="forbidden"), times=180)
        await world.decide(a_decision(1, running(40, phase="completed")))
        await world.until(world.statuses, seconds=1200)

    assert a_world(scene).status()["phase"] == "completed"


def test_a_workflow_made_again_is_not_the_one_that_was_deleted() -> None:
    """Commands of the deleted workflow touch neither status, nor finalizers, nor executions of its successor."""
    later = msgspec.structs.replace(WORKFLOW, uid="later")
    execution = body_of(a_create(1, uid="later", hold=True), later, {}, "trace")

    async def scene(world: World) -> None:
        world.cluster.put(EXECUTIONS, execution)
        before = (world.cluster.of(WORKFLOWS), world.cluster.of(EXECUTIONS))
        await world.decide(
            a_decision(
                1,
                running(),
                HoldWorkflow(),
                DeleteExecution(name=NAME, uid="old", step=1, hold=True),
                ReleaseExecution(name=NAME, uid="old", step=1),
            )
        )
        await world.decide(a_decision(2, running(), ReleaseWorkflow()))
        await world.settled()
        assert (world.cluster.of(WORKFLOWS), world.cluster.of(EXECUTIONS)) == before

    world = a_world(scene, workflow=a_workflow("later"))

    assert (world.statuses(), refusals(world)) == ([], [])


def test_what_is_gone_needs_no_more() -> None:
    """Every command about objects that are not there any more is done."""

    async def scene(world: World) -> None:
        world.cluster.remove(WORKFLOWS, "shop", "restart-web")
        delete = DeleteExecution(name=NAME, uid="u", step=1, hold=True)
        release = ReleaseExecution(name=NAME, uid="u", step=1)
        await world.decide(a_decision(1, running(), HoldWorkflow(), delete, release, ReleaseWorkflow()))

    assert refusals(a_world(scene)) == []


def test_a_refused_delete_names_what_it_was_about() -> None:
    """Else the scheduler would take that of a rollback, or of an earlier attempt, for the one that it waits for."""

    async def scene(world: World) -> None:
        world.cluster.fail("delete", RefusedError("no", reason="invalid"))
        delete = DeleteExecution(name=f"{NAME}-rollback", uid="u", step=1, purpose="rollback")
        await world.decide(a_decision(1, running(), delete))

    (told,) = refusals(a_world(scene))
    assert ("delete_execution", 1, "rollback", "u") == (told.command, told.step, told.purpose, told.uid)


def test_the_status_of_a_workflow_that_is_gone_is_not_even_tried() -> None:
    """The last decision about a deleted workflow asks the API server nothing."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, a_state(gone=True, held=False, phase="cancelled")))

    assert a_world(scene).cluster.calls == []


def test_our_finalizer_comes_and_goes_beside_others() -> None:
    """Holding and releasing a workflow leaves the finalizers of others as they are."""
    body = a_workflow()
    body["metadata"]["finalizers"] = ["example.org/theirs"]

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, running(), HoldWorkflow()))
        await world.settled()
        assert finalizers(world) == ["example.org/theirs", FINALIZER]
        await world.decide(a_decision(2, a_state(held=False), ReleaseWorkflow()))

    assert finalizers(a_world(scene, workflow=body)) == ["example.org/theirs"]


def test_a_finalizer_that_another_adds_at_the_same_time_is_kept() -> None:
    """Somebody else adds a finalizer between our look at the object and our write."""
    theirs = a_workflow()
    theirs["metadata"]["finalizers"] = ["example.org/theirs"]

    async def scene(world: World) -> None:
        get = world.cluster.get

        async def raced(resource: Resource, namespace: str, name: str) -> Object:
            found = await get(resource, namespace, name)
            if not finalizers(world):
                world.cluster.put(WORKFLOWS, theirs)
            return found

        world.cluster.get = raced  # type: ignore[method-assign]
        await world.decide(a_decision(1, running(), HoldWorkflow()))

    assert finalizers(a_world(scene)) == ["example.org/theirs", FINALIZER]


def test_a_hold_that_comes_after_the_release_leaves_nothing_behind() -> None:
    """A process was killed after its write of an old hold: the message that comes again takes the finalizer off."""
    body = a_workflow()
    body["metadata"]["finalizers"] = [FINALIZER]

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, running(), HoldWorkflow()))
        await world.decide(a_decision(2, a_state(held=False)))

    assert finalizers(a_world(scene, workflow=body)) == []


def test_a_hold_that_is_overtaken_by_the_release_is_taken_back() -> None:
    """The run ended between the look at the last decision and the write of the finalizer."""

    async def scene(world: World) -> None:
        get = world.cluster.get

        async def slow(resource: Resource, namespace: str, name: str) -> Object:
            found = await get(resource, namespace, name)
            await asyncio.sleep(5)
            return found

        world.cluster.get = slow  # type: ignore[method-assign]
        await world.decide(a_decision(1, a_state(), HoldWorkflow()))
        await asyncio.sleep(1)
        await world.decide(a_decision(2, a_state(held=False)))
        await world.until(lambda: ("patch", "workflowexecutions", "shop", "restart-web") in world.cluster.calls)

    assert finalizers(a_world(scene, limits=Limits(creates_first=20.0))) == []


def test_a_deleted_execution_goes_although_it_was_held() -> None:
    """Deleting an execution that carries our finalizer takes it off; those of others keep it."""
    execution = body_of(a_create(1, hold=True), WORKFLOW, {}, "trace")

    async def scene(world: World) -> None:
        made = world.cluster.put(EXECUTIONS, execution)
        delete = DeleteExecution(name=NAME, uid=made["metadata"]["uid"], step=1, hold=True)
        await world.decide(a_decision(1, running(), delete))

    assert a_world(scene).cluster.of(EXECUTIONS) == []


def test_a_finalizer_is_written_again_when_the_object_changed_meanwhile() -> None:
    """A conflict means to look again, not to write the same over it."""
    execution = body_of(a_create(1, hold=True), WORKFLOW, {}, "trace")

    async def scene(world: World) -> None:
        made = world.cluster.put(EXECUTIONS, execution)
        world.cluster.fail("patch", ConflictError("changed"), times=3)
        release = ReleaseExecution(name=NAME, uid=made["metadata"]["uid"], step=1)
        await world.decide(a_decision(1, running(), release))

    (left,) = a_world(scene).cluster.of(EXECUTIONS)

    assert "finalizers" not in left["metadata"]


def test_an_execution_is_released_beside_the_finalizers_of_others() -> None:
    """Somebody else's finalizer on an execution stays when ours goes."""
    execution = body_of(a_create(1, hold=True), WORKFLOW, {}, "trace")
    execution["metadata"]["finalizers"].append("example.org/theirs")

    async def scene(world: World) -> None:
        made = world.cluster.put(EXECUTIONS, execution)
        release = ReleaseExecution(name=NAME, uid=made["metadata"]["uid"], step=1)
        await world.decide(a_decision(1, running(), release))

    (left,) = a_world(scene).cluster.of(EXECUTIONS)

    assert left["metadata"]["finalizers"] == ["example.org/theirs"]


def test_a_finalizer_that_another_bridge_put_on_is_found() -> None:
    """Our bridge saw the workflow without it, another one put it on: the release looks before it believes."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, running()))
        await world.settled()
        body = a_workflow()
        body["metadata"]["finalizers"] = [FINALIZER]
        world.cluster.put(WORKFLOWS, body)
        world.cluster.fail("replace_status", RefusedError("too large", reason="invalid"))
        await world.decide(a_decision(2, a_state(held=False), ReleaseWorkflow()))

    assert finalizers(a_world(scene)) == []


STARTED = Transition(entity="workflow", what="started", before="planning", after="executing")


@pytest.mark.parametrize(
    "error",
    [
        ForbiddenError("no rights", reason="forbidden"),
        RefusedError("because it is being terminated", reason="forbidden"),
        NotFoundError("no such namespace"),
        UnavailableError("503"),
    ],
    ids=["forbidden", "refused", "not found", "unavailable"],
)
def test_events_are_for_eyes_only(error: Exception) -> None:
    """Whatever happens to a Kubernetes Event, the decision is done, and neither rights nor outcomes are touched."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", error, times=3)
        await world.decide(a_decision(1, running(), transitions=(STARTED,)))

    world = a_world(scene)

    assert (world.cluster.of(EVENTS), world.statuses(), refusals(world)) == ([], [1], [])


def test_executions_are_created_before_anything_else_is_written() -> None:
    """What a step waits for goes first; Events, finalizers and the status come after it."""

    async def scene(world: World) -> None:
        state = a_state(a_step(1, "executing"), a_step(2, "executing"))
        await world.decide(a_decision(1, state, HoldWorkflow(), a_create(1), a_create(2), transitions=(STARTED,)))

    world = a_world(scene)

    assert [call[:2] for call in world.cluster.calls[:2]] == [("create", "kubernetesexecutions")] * 2
    assert [what for what, _, _ in world.effects[:2]] == ["create kubernetesexecutions"] * 2


def test_a_message_that_is_no_decision_is_buried_and_the_next_one_is_handled() -> None:
    """Whatever lies on the subject of decisions is copied to the dead letters with the reason."""

    async def scene(world: World) -> None:
        headers = {"ce-id": "x", "ce-type": "io.kubernaut.log.decision.v1", "ce-source": "/x", "ce-specversion": "1.0"}
        world.log.broker.put("KUBERNAUT", subjects.decision("odd"), headers, b'{"version": "one"}')
        world.log.broker.put("KUBERNAUT", subjects.decision("odd"), headers | {"ce-type": "other"}, b"{}")
        world.log.broker.put("KUBERNAUT", subjects.decision("odd"), {}, b"\xff\x00")
        await world.decide(a_decision(1, running()))

    world = a_world(scene)
    letters = [decode(m.headers["ce-type"], m.data) for m in world.log.stored("kubernaut.deadletter.bridge")]

    assert world.statuses() == [1]
    assert [letter.sequence for letter in letters if isinstance(letter, DeadLettered)] == [2, 3, 4]


def test_nothing_is_created_while_the_last_decision_cannot_be_read() -> None:
    """A newer version of the product wrote the last decision: what it still wants cannot be known."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, a_state(a_step(1, "executing")), a_create(1)))
        headers = {"ce-id": "x", "ce-type": "io.kubernaut.log.decision.v9", "ce-source": "/x", "ce-specversion": "1.0"}
        world.log.broker.put("KUBERNAUT", subjects.decision(UID), headers, b"{}")

    world = a_world(scene)

    assert (world.created(), len(world.log.stored("kubernaut.deadletter.bridge"))) == ([], 2)


def test_an_error_that_nobody_thought_of_buries_its_message_in_the_end() -> None:
    """A bug that one message brings out does not stop the service, and the message does not come for ever."""

    async def scene(world: World) -> None:
        world.cluster.fail("replace_status", ZeroDivisionError("a bug"), times=5)
        await world.decide(a_decision(1, running()))
        await world.settled()
        await world.decide(a_decision(2, running(1)))

    world = a_world(scene)
    (letter,) = world.log.stored("kubernaut.deadletter.bridge")

    assert b"5 times ZeroDivisionError: a bug" in letter.data
    assert world.statuses() == [2]


def test_a_bridge_that_is_told_to_stop_finishes_what_is_in_hand_and_gives_back_the_rest() -> None:
    """A create that goes through is finished; one that cannot is given back at once, to somebody else."""

    async def go() -> World:
        world = World()
        await world.begin()
        process = world.start()
        world.cluster.fail("replace_status", UnavailableError("503"), times=1000)
        await world.decide(a_decision(1, a_state(a_step(1, "executing")), a_create(1)))
        await world.until(world.created)
        await process.terminate(3.0)
        world.cluster._faults.clear()  # noqa: SLF001 - the fake's faults end at once
        world.start()
        began = asyncio.get_running_loop().time()
        await world.settled()
        assert asyncio.get_running_loop().time() - began < 1
        await world.close()
        return world

    world = run(go())

    assert (world.created(), world.statuses()) == ([NAME], [1])


def test_the_names_of_steps_come_from_the_definition_on_the_log() -> None:
    """A status names steps as the run's own definition does; without one it still shows the state."""

    async def scene(world: World) -> None:
        state = a_state(a_step(1, "executing"), definition_sequence=1)
        await world.decide(a_decision(1, state))

    (step,) = a_world(scene).status()["stepStatuses"]

    assert (step["name"], step["startTime"]) == ("name-1", f"2026-01-01T00:00:00.00{START % 10 + 1}Z")
