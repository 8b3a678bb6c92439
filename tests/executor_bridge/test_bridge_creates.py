"""Creating executions: once, whatever the cluster answers, and never over what is somebody else's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from executor_bridge.context import LOOKS_BACK, Limits
from executor_bridge.execution import body_of
from runtime.errors import ForbiddenError, RefusedError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from schemas import messages
from schemas.messages import CommandRefused, CreateExecution
from tests.executor_bridge.builders import (
    UID,
    WORKFLOW,
    a_create,
    a_decision,
    a_side,
    a_state,
    a_step,
    a_workflow,
    execution_change,
    on_the_log,
)
from tests.executor_bridge.virtual import run
from tests.executor_bridge.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from runtime.ports import Stored
    from tests.fakes.log import FakeLog

NAME = "restart-web-step-1"
WANTED = a_state(a_step(1, "executing"))


def a_world(
    scene: Callable[[World], Awaitable[object]],
    *,
    workflow: dict[str, Any] | None = None,
    limits: Limits | None = None,
    clusters_dir: str = "",
) -> World:
    """Play a scene on a world with one bridge, to the end of every decision on the log."""

    async def go() -> World:
        world = World(workflow)
        world.clusters_dir = clusters_dir
        await world.begin()
        world.start(limits=limits)
        await scene(world)
        await world.settled()
        await world.close()
        return world

    return run(go())


def refusals(world: World) -> list[CommandRefused]:
    """What the log was told of refused commands."""
    told = [messages.decode(m.headers["ce-type"], m.data) for m in world.log.stored("kubernaut.outcome.>")]
    return [body for body in told if isinstance(body, CommandRefused)]


def test_a_create_whose_answer_was_lost_is_found_and_not_repeated() -> None:
    """The object exists although no answer came: the bridge looks, finds its own, and is done."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("timeout"), after=True)
        await world.decide(a_decision(1, WANTED, a_create(1)))

    world = a_world(scene)

    creates = [call for call in world.cluster.calls if call[:2] == ("create", "kubernetesexecutions")]
    assert (len(creates), len(world.cluster.of(EXECUTIONS)), refusals(world)) == (1, 1, [])


class Again:
    """A delivery of a server that has lost the acknowledgement and its count: it comes as if for the first time."""

    again = False

    def __init__(self, message: Stored) -> None:
        self.message = message
        self.acknowledged = asyncio.Event()

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        self.acknowledged.set()


def leave(world: World) -> None:
    """The workflow is deleted, and what it owns with it; no watcher tells the log."""
    world.cluster.remove(WORKFLOWS, WORKFLOW.namespace, WORKFLOW.name)


def a_create_comes_again(meanwhile: Callable[[World], Awaitable[object]], *, counted: bool = True) -> World:
    """A bridge makes the execution and dies before it acknowledges; after what happens meanwhile another one starts.

    `counted`: whether the server still knows that the message was given out, which it forgets when it is killed.
    """

    async def go() -> World:
        world = World()
        await world.begin()
        first = world.start(pause=lambda: 1.0)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.until(lambda: world.execution(NAME))
        await first.die()
        await meanwhile(world)
        if not counted:
            world.broker.forget_counts()
        world.start()
        await world.settled()
        await world.close()
        return world

    return run(go())


def test_a_create_that_comes_again_is_void_once_the_workflow_is_gone() -> None:
    """Made by a bridge that died before it acknowledged: the next one must not make it a second time (F3, F18)."""

    async def meanwhile(world: World) -> None:
        leave(world)

    world = a_create_comes_again(meanwhile)

    assert ([NAME], [], []) == (world.created(), world.cluster.of(EXECUTIONS), refusals(world))


def test_a_create_that_comes_again_uncounted_is_void_once_the_workflow_is_gone() -> None:
    """A server that was killed gives it out as if for the first time: the process knows that it had it before."""
    came: list[Again] = []

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.settled()
        leave(world)
        came.append(Again(world.log.stored("kubernaut.decision.>")[0]))
        await world.processes[0].bridge.take(came[0])
        await world.until(came[0].acknowledged.is_set)

    world = a_world(scene)

    assert ([NAME], [], []) == (world.created(), world.cluster.of(EXECUTIONS), refusals(world))


def test_a_create_that_comes_again_is_void_once_the_execution_was_deleted_on_the_way() -> None:
    """Wanted when the log was read, made, timed out and deleted before our request: the log is asked once more (G5)."""
    copies: list[Again] = []

    async def go() -> World:
        world = World()
        await world.begin()
        process = world.start(pause=lambda: 1.0)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.settled()
        copies.append(Again(world.log.stored("kubernaut.decision.>")[0]))
        reads = process.calls.names.count("get")
        await process.bridge.take(copies[0])
        await world.until(lambda: process.calls.names.count("get") > reads)  # it has read the log: still wanted
        world.cluster.remove(EXECUTIONS, WORKFLOW.namespace, NAME)
        await world.decide(a_decision(2, a_state(phase="failed", ended_at=1)))
        await world.until(copies[0].acknowledged.is_set)
        await world.settled()
        await world.close()
        return world

    world = run(go())

    assert ([NAME], []) == (world.created(), refusals(world))


@pytest.mark.parametrize("counted", [True, False])
def test_a_create_that_comes_again_is_void_once_its_execution_was_told_and_deleted(*, counted: bool) -> None:
    """The scheduler has not heard yet of what the watcher has told, and somebody has deleted it meanwhile (G5, G6)."""

    async def meanwhile(world: World) -> None:
        made = world.execution(NAME)
        assert made is not None
        await world.log.publish(execution_change(made))
        world.cluster.remove(EXECUTIONS, WORKFLOW.namespace, NAME)

    world = a_create_comes_again(meanwhile, counted=counted)

    assert ([NAME], []) == (world.created(), refusals(world))


async def made_elsewhere_and_deleted(world: World) -> None:
    """Another bridge, which was given the message too, has made it; it was told and deleted."""
    made = world.cluster.put(EXECUTIONS, body_of(a_create(1), WORKFLOW, {}, ""))
    await world.log.publish(execution_change(made))
    world.cluster.remove(EXECUTIONS, WORKFLOW.namespace, NAME)


async def decided_otherwise(world: World) -> None:
    """The run has ended meanwhile."""
    await world.decide(a_decision(2, a_state(phase="failed", ended_at=1)))


@pytest.mark.parametrize("meanwhile", [made_elsewhere_and_deleted, decided_otherwise])
def test_a_create_that_had_to_wait_for_the_server_is_looked_at_once_more(
    meanwhile: Callable[[World], Awaitable[None]],
) -> None:
    """(F10) Somebody else was told Retry-After 7; what was wanted before the wait may not be after it (G5)."""
    other = msgspec.structs.replace(WORKFLOW, uid="another", name="another")

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("429", retry_after=7.0))
        await world.decide(a_decision(1, WANTED, a_create(1, uid=other.uid), workflow=other))
        await world.until(lambda: world.cluster.calls)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await asyncio.sleep(1.0)
        await meanwhile(world)

    world = a_world(scene)

    assert ([], refusals(world)) == (world.created(), [])


def test_what_the_log_tells_of_other_executions_keeps_no_create_back() -> None:
    """One of another step, and a message that is none: the command that did not get through makes what is not there."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("503"))
        await world.decide(a_decision(1, WANTED, a_create(1)))
        other = body_of(a_create(2), WORKFLOW, {}, "")
        other["metadata"] |= {"uid": "x2", "resourceVersion": "7"}
        told = execution_change(other)
        await world.log.publish(told)
        await world.log.publish(msgspec.structs.replace(told, subject=f"{told.subject}x", id="stray", data=b"[]"))

    world = a_world(scene)

    assert ([NAME], []) == (world.created(), refusals(world))


class CountedScans:
    """The readings of what was told of executions that go on at once; each takes a while."""

    def __init__(self, log: FakeLog) -> None:
        self._scan, log.scan = log.scan, self.scan  # type: ignore[method-assign]
        self._now = 0
        self.most = 0

    async def scan(self, stream: str, subject: str, **how: Any) -> AsyncGenerator[Stored, None]:
        """See `Log.scan`."""
        counts = subject.startswith("kubernaut.change.execution.")
        self._now += counts
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(0.1)
            async for each in self._scan(stream, subject, **how):
                yield each
        finally:
            self._now -= counts


def test_many_creates_that_come_again_leave_others_a_name_to_read_the_log_by() -> None:
    """All bridges together may read by sixteen names at once; who finds none waits for seconds."""
    numbers = range(1, 13)
    state = a_state(*(a_step(number, "executing") for number in numbers))
    scans: list[CountedScans] = []

    async def scene(world: World) -> None:
        scans.append(CountedScans(world.processes[0].log))
        world.cluster.fail("create", UnavailableError("503"), times=len(numbers))
        await world.decide(a_decision(1, state, *(a_create(number) for number in numbers)))

    world = a_world(scene)

    assert (len(numbers), LOOKS_BACK) == (len(set(world.created())), scans[0].most)


def test_a_create_that_did_not_get_through_is_repeated() -> None:
    """The API server answered 503 and made nothing: the bridge tries again until it is there."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("503"), times=3)
        await world.decide(a_decision(1, WANTED, a_create(1)))

    assert a_world(scene).created() == [NAME]


def test_nothing_is_asked_for_as_long_as_the_server_wants_to_be_left_alone() -> None:
    """A 429 with Retry-After 7 holds up every call of the process for 7 seconds, then the work goes on."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("429", retry_after=7.0))
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.until(lambda: len(world.cluster.calls) == 1)
        asked = len(world.cluster.calls)
        await asyncio.sleep(6.8)

        assert len(world.cluster.calls) == asked

    assert a_world(scene).created() == [NAME]


def test_an_outage_of_ten_minutes_loses_nothing_and_work_goes_on_within_half_a_minute() -> None:
    """(F14) The process is not ready and soon asks ten times a minute at most (F9)."""

    async def scene(world: World) -> None:
        for verb in ("create", "get", "replace_status"):
            world.cluster.fail(verb, UnavailableError("connection refused"), times=1_000)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await asyncio.sleep(600)
        assert not world.processes[0].health.ready
        assert world.ended() == set()
        asked = sum(name in {"create", "get", "replace_status"} for name in world.processes[0].calls.names)
        assert asked <= 20 + 10 * 10
        world.cluster._faults.clear()  # noqa: SLF001 - the fake's faults end at once
        await asyncio.sleep(30)
        decisions = {message.sequence for message in world.log.stored("kubernaut.decision.>")}
        assert (world.created(), world.ended()) == ([NAME], decisions)

    world = a_world(scene)

    assert (world.created(), world.processes[0].health.ready) == ([NAME], True)


def test_a_create_that_takes_longer_than_a_message_is_kept_comes_again() -> None:
    """Creates fail for more than a minute while everything else works: the message is given back and not forgotten."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("a webhook does not answer"), times=100_000)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await asyncio.sleep(70)
        assert (world.statuses(), world.ended()) == ([1], set())
        world.cluster._faults.clear()  # noqa: SLF001 - the fake's faults end at once

    assert a_world(scene).created() == [NAME]


def test_rights_that_come_back_in_time_cost_nothing_but_time() -> None:
    """Without rights for a minute the bridge is not ready, tries again, and other workflows go on."""
    other = msgspec.structs.replace(WORKFLOW, uid="another", name="another")

    async def scene(world: World) -> None:
        world.cluster.fail("create", ForbiddenError("no", reason="forbidden"), times=10)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.until(lambda: world.cluster.calls)
        assert not world.processes[0].health.ready
        await world.decide(a_decision(1, a_state(phase="completed", ended_at=1), workflow=other))
        await world.until(lambda: 3 in world.ended(), seconds=1)

    world = a_world(scene)

    assert (world.created(), refusals(world), world.processes[0].health.ready) == ([NAME], [], True)


def test_rights_that_stay_away_are_a_refusal_in_the_end() -> None:
    """After two minutes without rights the run is told, so that it ends."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", ForbiddenError("no rights", reason="forbidden"), times=100)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await asyncio.sleep(100)
        assert refusals(world) == []

    world = a_world(scene)

    assert [(r.reason, r.message, r.step, r.attempt) for r in refusals(world)] == [("forbidden", "no rights", 1, 1)]
    assert world.processes[0].health.ready


def test_a_refused_create_is_told_at_once_and_once() -> None:
    """What the cluster will never accept is an outcome on the log, with an id that a repeat shares."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", RefusedError("denied by a policy", reason="invalid"), times=2)
        world.processes[0].log.lose_acks = 1
        await world.decide(a_decision(1, WANTED, a_create(2), a_create(1)))

    world = a_world(scene)
    (stored,) = world.log.stored("kubernaut.outcome.>")

    assert (stored.subject, stored.headers["ce-id"]) == (f"kubernaut.outcome.{UID}", f"{UID}/1/1/refused")
    assert stored.headers["ce-causationid"] == f"{UID}/1"
    assert refusals(world) == [
        CommandRefused(
            workflow=WORKFLOW,
            command_id=f"{UID}/1/1",
            command="create_execution",
            step=1,
            attempt=1,
            reason="invalid",
            message="denied by a policy",
        )
    ]


def test_a_namespace_that_is_gone_is_told_as_gone() -> None:
    """Nothing can be created in a namespace that does not exist any more."""

    async def scene(world: World) -> None:
        world.cluster.missing_namespaces.add("shop")
        await world.decide(a_decision(1, WANTED, a_create(1)))

    assert [r.reason for r in refusals(a_world(scene))] == ["gone"]


def test_a_foreign_object_under_our_name_is_neither_taken_nor_touched() -> None:
    """An execution that nobody's workflow owns stays as it is, and the run is told of the conflict at once."""
    foreign = {"kind": "KubernetesExecution", "metadata": {"name": NAME, "namespace": "shop"}, "spec": {"action": "x"}}

    async def scene(world: World) -> None:
        world.cluster.put(EXECUTIONS, foreign)
        before = world.cluster.of(EXECUTIONS)
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.until(lambda: refusals(world), seconds=1)
        assert world.cluster.of(EXECUTIONS) == before

    (refused,) = refusals(a_world(scene))

    assert refused.reason == "name_conflict"
    assert refused.message.startswith(
        "another KubernetesExecution is named restart-web-step-1 in shop (owned by nobody)"
    )


def an_older_execution() -> dict[str, Any]:
    """The execution of a workflow of the same name that was deleted before."""
    owner = msgspec.structs.replace(WORKFLOW, uid="an-older-one")
    return body_of(a_create(1, uid="an-older-one"), owner, {}, "trace")


def test_the_execution_of_a_deleted_workflow_is_waited_for() -> None:
    """A workflow made again under its name waits until the garbage collector has taken the old one's execution."""

    async def scene(world: World) -> None:
        world.cluster.put(EXECUTIONS, an_older_execution())
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await asyncio.sleep(12)
        world.cluster.remove(EXECUTIONS, "shop", NAME)

    world = a_world(scene)

    (made,) = world.cluster.of(EXECUTIONS)
    assert (made["metadata"]["ownerReferences"][0]["uid"], refusals(world)) == (UID, [])


def test_an_execution_of_another_owner_that_stays_is_a_conflict() -> None:
    """After half a minute the bridge waits no longer for the other one to go."""

    async def scene(world: World) -> None:
        world.cluster.put(EXECUTIONS, an_older_execution())
        await world.decide(a_decision(1, WANTED, a_create(1)))

    world = a_world(scene)

    assert ([r.reason for r in refusals(world)], world.created()) == (["name_conflict"], [])


def test_an_old_command_for_a_finished_step_creates_nothing() -> None:
    """The step has ended and its execution was collected; the command that comes again is void."""

    async def scene(world: World) -> None:
        done = a_state(a_step(1, "completed", execution_uid="u", ended_at=1), phase="completed", ended_at=1)
        await world.log.publish(on_the_log(a_decision(1, WANTED, a_create(1))))
        await world.log.publish(on_the_log(a_decision(2, done)))

    world = a_world(scene)

    assert (world.created(), world.statuses()) == ([], [2])


def test_a_create_is_given_up_once_the_step_does_not_wait_for_it_any_more() -> None:
    """While the API was away the step was cancelled: the bridge looks before it tries again, and lets it be."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", UnavailableError("503", retry_after=5.0))
        await world.decide(a_decision(1, WANTED, a_create(1)))
        await world.until(lambda: world.cluster.calls)
        await world.decide(a_decision(2, a_state(a_step(1, "cancelled"), phase="cancelled", ended_at=1)))

    assert a_world(scene).created() == []


def test_the_steps_of_one_decision_do_not_wait_for_each_other() -> None:
    """One step's name is taken by another owner; the others, and the status, come within a second."""
    state = a_state(a_step(1, "executing"), a_step(2, "executing"), a_step(3, "executing"))

    async def scene(world: World) -> None:
        world.cluster.put(EXECUTIONS, an_older_execution())
        await world.decide(a_decision(1, state, a_create(1), a_create(2), a_create(3)))
        await world.until(lambda: len(world.created()) == 2 and world.statuses(), seconds=1)

    a_world(scene)


SECRET = "correct horse battery staple"  # noqa: S105 - what must not be seen anywhere
REDACTED = a_create(1, parameters={"namespace": "shop", "password": "[redacted:password]"})


def everything(world: World) -> str:
    """All that left the object: messages, log lines."""
    return repr([(m.subject, m.headers, m.data) for m in world.log.stored(">")[1:]]) + repr(world.lines.kept)


def with_secret() -> dict[str, Any]:
    """A workflow whose first step has a secret parameter."""
    return a_workflow(step_1={"namespace": "shop", "password": SECRET})


def a_secret_scene(command: CreateExecution) -> Callable[[World], Awaitable[None]]:
    """The command is on the log as redaction left it."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, WANTED, command))

    return scene


def test_what_redaction_took_out_is_filled_in_from_the_object() -> None:
    """The execution has the parameters as the user wrote them; nothing else has."""
    world = a_world(a_secret_scene(REDACTED), workflow=with_secret())

    (made,) = world.cluster.of(EXECUTIONS)
    assert made["spec"]["parameters"] == {"namespace": "shop", "password": SECRET}
    assert SECRET not in everything(world)


def an_undo(**fields: Any) -> CreateExecution:
    """The rollback of step 1, as redaction left it."""
    return a_create(1, purpose="rollback", parameters={"password": "[redacted:password]"}, **fields)


UNDOING = a_state(a_step(1, "completed"), phase="rolling_back", rollbacks=(a_side(1),))


def a_rollback(
    command: CreateExecution, *, workflow: dict[str, Any] | None = None
) -> tuple[list[Any], list[tuple[str, str]]]:
    """Parameters of what was created, and the refusals, when a rollback is commanded."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, UNDOING, command))

    world = a_world(scene, workflow=workflow or with_secret())
    return [e["spec"]["parameters"] for e in world.cluster.of(EXECUTIONS)], [
        (r.reason, r.purpose) for r in refusals(world)
    ]


def test_a_rollback_gets_its_secret_from_its_own_specification() -> None:
    """What the step itself has under that name is not what undoing it needs."""
    workflow = with_secret()
    workflow["spec"]["workflowDefinition"]["steps"][0]["rollbackSpec"] = {
        "action": "custom",
        "parameters": {"password": "the one to undo"},
    }

    assert a_rollback(an_undo(), workflow=workflow) == ([{"password": "the one to undo"}], [])


def test_a_rollback_that_is_not_written_has_no_secret_to_fill_in() -> None:
    """Without a rollbackSpec in the object there is nothing to take the value from."""
    assert a_rollback(an_undo()) == ([], [("gone", "rollback")])


def test_what_was_derived_is_not_looked_for_in_the_workflow() -> None:
    """The executor reported a secret, and the object does not hold it: the person is told to write a rollbackSpec."""
    assert a_rollback(an_undo(derived=True)) == ([], [("invalid", "rollback")])


def test_a_secret_does_not_go_through_a_template() -> None:
    """A rendered value was redacted: the object holds the template only, so the command is refused with the reason."""
    world = a_world(a_secret_scene(msgspec.structs.replace(REDACTED, rendered=True)), workflow=with_secret())

    (refused,) = refusals(world)
    assert (refused.reason, world.created()) == ("invalid", [])
    assert "{{ }} template" in refused.message


def test_what_was_rendered_without_a_secret_is_created_as_it_is() -> None:
    """Only what redaction took out is missing; everything else is in the command."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, WANTED, a_create(1, rendered=True, parameters={"namespace": "shop"})))

    (made,) = a_world(scene).cluster.of(EXECUTIONS)
    assert made["spec"]["parameters"] == {"namespace": "shop"}


@pytest.mark.parametrize(
    ("step", "purpose", "expected"),
    [
        (3, "execute", {"password": "of step 3"}),
        (4, "execute", {"password": "first advice"}),
        (5, "execute", {"password": "second advice"}),
        (5, "dry_run", {"password": "second advice"}),
        (5, "rollback", {"password": "undo it"}),
        (6, "execute", None),
        (4, "rollback", None),
    ],
)
def test_steps_made_of_recommendations_have_their_secrets_too(
    step: int, purpose: str, expected: dict[str, str] | None
) -> None:
    """They have the numbers after the highest written one, in their order."""
    workflow = a_workflow(step_3={"password": "of step 3"})
    advised: list[dict[str, Any]] = [
        {"id": "a", "action": "custom", "parameters": {"password": "first advice"}},
        {
            "id": "b",
            "action": "custom",
            "parameters": {"password": "second advice"},
            "rollbackSpec": {"action": "custom", "parameters": {"password": "undo it"}},
        },
    ]
    workflow["spec"]["workflowDefinition"]["aiRecommendations"] = {"recommendations": advised}
    states = {"execute": "steps", "dry_run": "dry_runs", "rollback": "rollbacks"}
    row = a_step(step, "executing") if purpose == "execute" else a_side(step)
    state = msgspec.structs.replace(a_state(), **{states[purpose]: (row,)})
    command = a_create(step, purpose=purpose, parameters={"password": "[redacted:password]"})

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, state, command))

    made = [e["spec"]["parameters"] for e in a_world(scene, workflow=workflow).cluster.of(EXECUTIONS)]
    assert made == ([expected] if expected else [])


def test_a_dry_run_and_the_step_itself_are_two_executions() -> None:
    """The dry run has its own name, key and purpose."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, a_state(a_step(1), dry_runs=(a_side(1),)), a_create(1, purpose="dry_run")))
        await world.settled()
        await world.decide(a_decision(2, WANTED, a_create(1)))

    made = a_world(scene).cluster.of(EXECUTIONS)
    assert [(e["metadata"]["name"], e["spec"]["purpose"]) for e in made] == [
        (NAME, "execute"),
        (f"{NAME}-dryrun", "dry_run"),
    ]
    assert made[0]["spec"]["idempotencyKey"] != made[1]["spec"]["idempotencyKey"]


def test_a_refusal_that_quotes_a_secret_is_told_without_the_quote() -> None:
    """A webhook repeats the parameter in its refusal; the log gets the reason without its words."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", RefusedError(f"the value {SECRET} is not allowed", reason="forbidden"))
        await world.decide(a_decision(1, WANTED, REDACTED))

    world = a_world(scene, workflow=with_secret())

    assert [(r.reason, "withheld" in r.message) for r in refusals(world)] == [("forbidden", True)]
    assert SECRET not in everything(world)


def test_the_secret_of_another_workflow_of_the_same_name_is_not_taken() -> None:
    """The workflow was deleted and made again: its parameters are not those of the old command."""
    world = a_world(a_secret_scene(REDACTED), workflow=with_secret() | {"metadata": a_workflow("new")["metadata"]})

    assert ([r.reason for r in refusals(world)], world.created()) == (["gone"], [])


@pytest.mark.parametrize("after", [False, True])
def test_a_log_that_does_not_answer_delays_and_loses_nothing(after: bool) -> None:  # noqa: FBT001
    """The refusal is published once the log answers again, whether or not the first try got through."""

    async def scene(world: World) -> None:
        world.cluster.fail("create", RefusedError("no", reason="invalid"), times=5)
        log = world.processes[0].log
        if after:
            log.lose_answers = 1
        await world.decide(a_decision(1, WANTED, a_create(1)))
        if not after:
            log.unavailable = True
            await asyncio.sleep(20)
            log.unavailable = False

    assert [r.reason for r in refusals(a_world(scene))] == ["invalid"]
