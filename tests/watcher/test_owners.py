"""What is deleted with its workflow is told after it, whichever watch comes first; other deletions are told at once."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from runtime.errors import ForbiddenError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from schemas.cloudevents import Event
from schemas.subjects import workflow_change
from tests.eventually import eventually
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog
from tests.watcher.builders import a_workflow, an_execution, owned_by
from tests.watcher.harness import SAY, Watcher, changes
from watcher.api import Api
from watcher.changes import Sighting
from watcher.objects import read
from watcher.owners import Owners
from watcher.view import View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.ports import Object

OF_EXECUTIONS = View(resource=EXECUTIONS)


class World:
    """A workflow and its execution, both on the log; only the executions are watched on."""

    def __init__(self, stack: AsyncExitStack, cluster: FakeCluster, log: FakeLog, workflow: Object) -> None:
        self.cluster = cluster
        self.log = log
        self.workflow: str = workflow["metadata"]["uid"]
        self.of_executions: Watcher
        self._stack = stack

    def asked(self) -> bool:
        """Whether the API server was asked for the workflow."""
        return ("get", WORKFLOWS.plural, "shop", "w") in self.cluster.calls

    def ends(self) -> list[str]:
        """Uids of what the log says to be gone, or the workflow's when it says that it is about to be; in order."""
        ends = [m for m in changes(self.log) if "ce-deleted" in m.headers or b"deletionTimestamp" in m.data]
        return ["workflow" if m.headers["ce-uid"] == self.workflow else "execution" for m in ends]

    async def watch_executions(self) -> None:
        """Watch executions, anew."""
        self.of_executions = await self._stack.enter_async_context(Watcher(self.cluster, self.log, OF_EXECUTIONS))

    async def watch_workflows(self) -> None:
        """Let the other watch come."""
        await self._stack.enter_async_context(Watcher(self.cluster, self.log, name="another"))


@asynccontextmanager
async def a_world(*, finalizers: tuple[str, ...] = ()) -> AsyncIterator[World]:
    """A watcher of executions that has told one, of a workflow that is on the log as well."""
    cluster, log = FakeCluster(), FakeLog()
    workflow = cluster.put(WORKFLOWS, a_workflow("w", finalizers=list(finalizers)))
    uid = workflow["metadata"]["uid"]
    cluster.put(EXECUTIONS, an_execution("w-step-1", workflow_uid=uid, **owned_by(workflow)))
    async with Watcher(cluster, log, name="before"):
        await eventually(lambda: changes(log, uid))
    async with AsyncExitStack() as stack:
        world = World(stack, cluster, log, workflow)
        await world.watch_executions()
        await eventually(lambda: len(changes(log)) == 2)
        yield world


async def test_what_went_with_its_workflow_is_told_after_it() -> None:
    """The watch of executions is first, and waits: a run fails of no execution that its workflow took along."""
    async with a_world() as world:
        world.cluster.remove(WORKFLOWS, "shop", "w")
        await eventually(world.asked)
        assert [] == world.ends()

        await world.watch_workflows()
        await eventually(lambda: len(world.ends()) == 2)

        assert ["workflow", "execution"] == world.ends()


async def test_that_a_workflow_is_about_to_go_is_told_first() -> None:
    """Deleted in the foreground, a workflow goes after what it owns: its deletion began before all the same."""
    async with a_world(finalizers=("foregroundDeletion",)) as world:
        world.cluster.remove(WORKFLOWS, "shop", "w")
        world.cluster.remove(EXECUTIONS, "shop", "w-step-1")
        await eventually(world.asked)
        assert [] == world.ends()

        await world.watch_workflows()
        await eventually(lambda: len(world.ends()) == 2)

        assert ["workflow", "execution"] == world.ends()


async def test_a_tombstone_waits_as_a_deletion_does() -> None:
    """A list finds both gone after a restart: they are told in order."""
    async with a_world() as world:
        await world.of_executions.kill()
        world.cluster.remove(WORKFLOWS, "shop", "w")
        world.cluster.compact()
        await world.watch_executions()
        await eventually(world.asked)
        assert [] == world.ends()

        await world.watch_workflows()
        await eventually(lambda: len(world.ends()) == 2)

        assert ["workflow", "execution"] == world.ends()


async def test_an_execution_that_somebody_deletes_is_told_at_once() -> None:
    """Its workflow is there: nothing is waited for."""
    async with a_world() as world:
        world.cluster.remove(EXECUTIONS, "shop", "w-step-1")

        await eventually(lambda: ["execution"] == world.ends())


async def test_one_that_had_ended_is_told_at_once() -> None:
    """How it ended is known, so it does not matter what went first; the API server is not asked."""
    async with a_world() as world:
        world.cluster.set_status(EXECUTIONS, "shop", "w-step-1", phase="completed")
        world.cluster.remove(WORKFLOWS, "shop", "w")

        await eventually(lambda: ["execution"] == world.ends())
        assert not world.asked()


async def test_a_server_that_does_not_answer_is_asked_again() -> None:
    """What cannot be known now is not guessed."""
    async with a_world() as world:
        world.cluster.fail("get", UnavailableError("503"), times=2)
        world.cluster.remove(EXECUTIONS, "shop", "w-step-1")

        await eventually(lambda: ["execution"] == world.ends())
        assert 3 == world.cluster.calls.count(("get", WORKFLOWS.plural, "shop", "w"))


async def test_without_the_right_to_ask_it_is_told_as_it_is() -> None:
    """A missing right keeps nothing back."""
    async with a_world() as world:
        world.cluster.fail("get", ForbiddenError("may not get"))
        world.cluster.remove(WORKFLOWS, "shop", "w")

        await eventually(lambda: ["execution"] == world.ends())


async def test_nothing_is_kept_back_for_ever() -> None:
    """The watch of workflows does not come: the execution's end is told after a while."""
    async with a_world() as world:
        gone = await world.cluster.get(EXECUTIONS, "shop", "w-step-1")
        world.cluster.remove(WORKFLOWS, "shop", "w")
        owners = Owners(Api(world.cluster), world.log, SAY, most=0.05)

        await owners.first(Sighting(seen=read(EXECUTIONS.plural, msgspec.Raw(msgspec.json.encode(gone))), deleted=True))

        assert [] == world.ends()


async def test_a_stray_message_in_the_workflows_place_keeps_nothing_back() -> None:
    """Where the last word about the workflow is none of ours, no end of it will stand there."""
    async with a_world() as world:
        stray = Event(subject=workflow_change("shop", world.workflow), id="s", type="stray", source="/x", data=b"?")
        await world.log.publish(stray)
        world.cluster.remove(WORKFLOWS, "shop", "w")

        await eventually(lambda: "execution" in world.ends())
