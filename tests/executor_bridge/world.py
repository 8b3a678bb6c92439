"""A log and a cluster with bridges on them that can be killed at any call of a port, before or after its effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from executor_bridge.api import Api
from executor_bridge.apply import Bridge
from executor_bridge.bridge_loop import forget, pull, reopen
from executor_bridge.clusters import Clusters
from executor_bridge.context import Context, Limits
from executor_bridge.forbidden import Forbidden
from executor_bridge.gate import Gate
from runtime.errors import SettingsError
from runtime.health import Health
from runtime.kinds import ACCESS_REVIEWS, EXECUTIONS, WORKFLOWS
from tests.executor_bridge.builders import WORKFLOW, a_workflow, change_of, on_the_log
from tests.fakes.cluster import FakeCluster
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from runtime.ports import Delivery, Object, Page, Patch, Published, Resource, Stored
    from schemas.cloudevents import Event
    from schemas.messages import Decision
    from schemas.subjects import Consumer
    from tests.fakes.broker import Broker

T = TypeVar("T")
_FOR_EVER = 1e9


class Calls:
    """Counts the calls of one process on its ports, takes its time for each, and stops it for good at one of them."""

    def __init__(self, kill_at: int = 0, *, pause: Callable[[], float] = lambda: 0.0) -> None:
        """`kill_at`: 2 n - 1 is before the effect of the n-th call, 2 n is after it; 0 is never."""
        self.count = 0
        self.names: list[str] = []
        self.killed = asyncio.Event()
        self._kill_at = kill_at
        self._pause = pause

    async def around(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call unless the process is dead."""
        await self._point(name)
        result = await call()
        await self._point(name)
        return result

    async def _point(self, name: str) -> None:
        if self.killed.is_set():
            await asyncio.sleep(_FOR_EVER)
        self.count += 1
        self.names.append(name)
        if self.count == self._kill_at:
            self.killed.set()
            await asyncio.sleep(_FOR_EVER)
        await asyncio.sleep(self._pause())


class PortCluster:
    """The cluster as one process sees it."""

    def __init__(self, cluster: FakeCluster, calls: Calls, told: Callable[[str, Object], None]) -> None:
        self._cluster = cluster
        self._calls = calls
        self._told = told

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        return await self._calls.around("get", lambda: self._cluster.get(resource, namespace, name))

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """See `Cluster.list`."""
        return await self._calls.around(
            "list", lambda: self._cluster.list(resource, namespace, limit=limit, next_page=next_page)
        )

    async def version(self) -> Object:
        """See `Cluster.version`."""
        return await self._calls.around("version", self._cluster.version)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""

        async def act() -> Object:
            made = await self._cluster.create(resource, namespace, body)
            if resource == ACCESS_REVIEWS:
                return made
            self._told(f"create {resource.plural}", made)
            return made

        return await self._calls.around("create", act)

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""

        async def act() -> Object:
            made = await self._cluster.replace_status(resource, namespace, name, body)
            self._told("replace_status", made)
            return made

        return await self._calls.around("replace_status", act)

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """See `Cluster.patch`."""
        return await self._calls.around(
            "patch", lambda: self._cluster.patch(resource, namespace, name, body, kind=kind)
        )

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """See `Cluster.delete`."""

        async def act() -> None:
            await self._cluster.delete(resource, namespace, name, uid=uid)
            self._told(f"delete {resource.plural}", {"metadata": {"name": name}})

        await self._calls.around("delete", act)


class Closable:
    """The connection to another cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def close(self) -> None:
        """Nothing is open."""


class PortDelivery:
    """A delivery whose acknowledgement is a call of its own."""

    def __init__(self, inner: Delivery, calls: Calls) -> None:
        self._inner = inner
        self._calls = calls
        self.message = inner.message
        self.again = inner.again

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        await self._calls.around("ack", self._inner.ack)

    async def nak(self, delay: float = 0.0) -> None:
        """See `Delivery.nak`."""
        await self._calls.around("nak", lambda: self._inner.nak(delay))

    async def term(self) -> None:
        """See `Delivery.term`."""
        await self._calls.around("term", self._inner.term)


class PortLog:
    """The log as one process sees it."""

    def __init__(self, log: FakeLog, calls: Calls) -> None:
        self._log = log
        self._calls = calls

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """See `Log.publish`."""
        return await self._calls.around(
            "publish", lambda: self._log.publish(event, expect=expect, expect_filter=expect_filter)
        )

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See `Log.last`."""
        return await self._calls.around("last", lambda: self._log.last(stream, subject))

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """See `Log.get`."""
        return await self._calls.around("read", lambda: self._log.get(stream, sequence))

    def scan(
        self, stream: str, subject: str, *, last_per_subject: bool = False, start: int = 1
    ) -> AsyncGenerator[Stored, None]:
        """See `Log.scan`."""
        return self._log.scan(stream, subject, last_per_subject=last_per_subject, start=start)

    async def acknowledged(self, consumer: Consumer) -> int:
        """See `Log.acknowledged`."""
        return await self._calls.around("acknowledged", lambda: self._log.acknowledged(consumer))

    async def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """See `Log.consume`."""
        async for delivery in self._log.consume(consumer, in_hand=in_hand):
            yield PortDelivery(delivery, self._calls)


class Lines:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line, whatever its level."""
        self.kept.append({"event": event, **fields})

    warning = error = info


class Process:
    """One bridge."""

    def __init__(self, world: World, calls: Calls, limits: Limits) -> None:
        self.calls = calls
        self.stopped = False
        self.health = Health()
        self.log = FakeLog(world.broker)
        log = PortLog(self.log, calls)
        cluster = PortCluster(world.cluster, calls, world.told)
        gate, reachable = Gate(), self.health.dependency("kubernetes")
        api = Api(cluster, reachable, gate)  # type: ignore[arg-type]
        forbidden = Forbidden(self.health.dependency("rights"))
        clusters = Clusters(api, world.clusters_dir, world.connect)
        context = Context(log, api, forbidden, world.lines, limits, clusters=clusters)  # type: ignore[arg-type]
        self.bridge = Bridge(context)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.bridge.work.run()),
            loop.create_task(pull(log, self.bridge)),  # type: ignore[arg-type]
            loop.create_task(forget(forbidden, limits.probe)),
            loop.create_task(reopen(api, gate, reachable, "default", world.lines)),  # type: ignore[arg-type]
        ]

    def pull_no_more(self) -> None:
        """Leave what comes to others."""
        self._tasks[1].cancel()

    async def terminate(self, seconds: float) -> None:
        """End as SIGTERM does: pull no more, finish what is in hand, give back the rest."""
        self.pull_no_more()
        await self.bridge.finished(seconds)
        await self.stop()

    async def die(self) -> None:
        """End as kill -9 does: nothing that it still wanted to do takes effect."""
        self.calls.killed.set()
        self.log.crash()
        await self.stop()

    async def stop(self) -> None:
        """Let go of the tasks, so that the loop can close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bridge.finished(0.0)
        self.stopped = True


class World:
    """The servers that outlive the bridges, and what took effect on them."""

    def __init__(self, workflow: Object | None = None, cluster: FakeCluster | None = None) -> None:
        self.cluster = cluster or FakeCluster()
        self.log = FakeLog()
        self.effects: list[tuple[str, str, int]] = []
        """What took effect: verb, name, and for statuses the sequence."""
        self.workflow = self.cluster.put(WORKFLOWS, workflow or a_workflow())
        self.processes: list[Process] = []
        self.lines = Lines()
        self.clusters_dir = ""
        self.others: dict[str, FakeCluster] = {}
        """Other clusters, by the path of their kubeconfig."""

    @property
    def broker(self) -> Broker:
        """The server."""
        return self.log.broker

    def told(self, what: str, made: Object) -> None:
        """Take in an effect."""
        sequence = (made.get("status") or {}).get("sequence", 0)
        self.effects.append((what, made["metadata"]["name"], sequence))

    async def connect(self, kubeconfig: str) -> Any:
        """Connect to another cluster, as a bridge does; one that is not there makes no sense."""
        await asyncio.sleep(0)
        if kubeconfig not in self.others:
            raise SettingsError(f"KUBECONFIG={kubeconfig}: no such context. Example: KUBECONFIG=~/.kube/config")
        return Closable(self.others[kubeconfig])

    async def begin(self) -> None:
        """The watcher's message about the workflow is on the log."""
        await self.log.publish(change_of(self.workflow))

    def start(
        self, kill_at: int = 0, *, limits: Limits | None = None, pause: Callable[[], float] = lambda: 0.0
    ) -> Process:
        """Start a bridge."""
        process = Process(self, Calls(kill_at, pause=pause), limits or Limits())
        self.processes.append(process)
        return process

    async def decide(self, decision: Decision) -> None:
        """The scheduler's message is on the log."""
        await self.log.publish(on_the_log(decision))

    async def until(self, holds: Callable[[], object], seconds: float = 200.0) -> None:
        """Wait in virtual time until something holds; fail with the effects so far when it does not."""
        end = asyncio.get_running_loop().time() + seconds
        while not holds():
            assert asyncio.get_running_loop().time() < end, f"it never came; effects so far: {self.effects}"
            await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Wait until every decision on the log was acknowledged or buried by somebody."""
        decisions = {m.sequence for m in self.log.stored("kubernaut.decision.>")}
        await self.until(lambda: decisions <= self.ended())

    def ended(self) -> set[int]:
        """Sequences that somebody acknowledged or buried."""
        return {s for process in self.processes for s in (*process.log.acked, *process.log.terminated)}

    async def close(self) -> None:
        """End every process."""
        for process in self.processes:
            if not process.stopped:
                await process.die()

    def execution(self, name: str) -> Object | None:
        """The execution of that name."""
        return next((e for e in self.cluster.of(EXECUTIONS) if e["metadata"]["name"] == name), None)

    def status(self) -> Object:
        """The status that a user sees."""
        (found,) = [w for w in self.cluster.of(WORKFLOWS) if w["metadata"]["name"] == WORKFLOW.name]
        return found.get("status") or {}

    def statuses(self) -> list[int]:
        """Sequences of the statuses that were written, in order."""
        return [sequence for what, _, sequence in self.effects if what == "replace_status"]

    def created(self) -> list[str]:
        """Names of the executions that were created, in order."""
        return [name for what, name, _ in self.effects if what == "create kubernetesexecutions"]
