"""Everything of one run: the servers, which outlive the processes, and the processes, which come and go."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING, Any, Final

from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Resource
from tests.auditor.fake_store import Database
from tests.fakes.broker import Broker
from tests.fakes.clock import START
from tests.simulation import people
from tests.simulation.cluster import JournalCluster, Write
from tests.simulation.counters import Counters
from tests.simulation.loop import OWNER
from tests.simulation.oracle import Oracle
from tests.simulation.processes import Process
from tests.simulation.roots import ROOTS
from tests.simulation.workflows import DEPLOYMENTS, NAMESPACE, NODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Object, Stored
    from tests.fakes.broker import Durable, Out
    from tests.simulation.loop import SimLoop
    from tests.simulation.scenario import Scenario

COLLECTED_WITHIN: Final = 3.0
BOOKMARKS: Final = 60.0
WATCHES_LAST: Final = 400.0
REAPED_WITHIN: Final = 100


class BrokenError(AssertionError):
    """A guarantee does not hold; the message names it."""


class SimClock:
    """The broker's time; what it does at a time, it does by itself, whoever asked for it."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """See `Clock.now`."""
        return START + self._loop.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """See `Clock.call_at`."""
        self._loop.call_at(when - START, callback, context=self._loop.world_context)


class SimBroker(Broker):
    """A broker that tells what it stores."""

    def __init__(
        self, clock: SimClock, told: Callable[[Stored], None], acknowledged: Callable[[str, Stored], None]
    ) -> None:
        self._told = told
        self._acknowledged = acknowledged
        super().__init__(clock)

    def done(self, durable: Durable, out: Out) -> None:
        """See `Broker.done`."""
        self._acknowledged(durable.consumer.name, out.message)
        super().done(durable, out)

    def _append(self, stream: str, subject: str, headers: dict[str, str], data: bytes) -> int:
        sequence = len(self.streams.get(stream, ())) + 1
        messages = self.streams.setdefault(stream, [])
        pumped = super()._append(stream, subject, headers, data)
        message = messages[sequence - 1]
        assert message is not None
        self._told(message)
        return pumped


class World:
    """Servers and processes."""

    def __init__(self, loop: SimLoop, scenario: Scenario) -> None:
        self.loop = loop
        self.scenario = scenario
        self.clock = SimClock(loop)
        self.trace: list[tuple[float, str, str]] = []
        self.oracle = Oracle(self)
        self.broker = SimBroker(self.clock, self._stored, self.oracle.acknowledged)
        self.cluster = JournalCluster(self.clock, self._written)
        self.database = Database()
        self.counters = Counters()
        self.processes: dict[str, Process] = {}
        """The living, by slot."""
        self.died: list[Process] = []
        self.lives: dict[str, int] = {}
        self.failure: asyncio.Future[None] = loop.create_future()
        self.last_write = 0.0
        """When somebody other than a user wrote to the cluster last, by the loop's clock."""
        self._draw = random.Random(f"world/{scenario.number}")  # noqa: S311 - no secret
        self._collecting = False
        self.over = False
        self.healed = False
        """No fault happens any more, and nobody pauses anything."""
        self.healed_at = 0.0
        """Seconds since 1970."""
        self.skews: dict[str, float] = {}
        """By how many seconds the clock of a replica's machine is off."""
        self.applying: set[str] = set()
        """Names under which a workflow is to be applied again."""

    def wall(self) -> float:
        """Seconds since 1970 by the clock of whoever runs now."""
        owner = OWNER.get(None)
        return owner.wall() if isinstance(owner, Process) else self.clock.now()

    def wall_ns(self) -> int:
        """Return the same in nanoseconds, to the millisecond."""
        return int(self.wall() * 1000) * 1_000_000

    def milliseconds(self) -> int:
        """The time, in ms since 1970."""
        return int(self.clock.now() * 1000)

    # Telling

    def say(self, who: str, what: str, fields: dict[str, Any] | None = None) -> None:
        """Add a line to the trace."""
        if self.over:
            return
        words = " ".join(f"{name}={value}" for name, value in (fields or {}).items() if value not in ("", None))
        self.trace.append((round(self.loop.time(), 4), who, f"{what} {words}".rstrip()))

    def broken(self, guarantee: str, message: str) -> None:
        """End the run: a guarantee does not hold."""
        self.say("oracle", f"{guarantee}: {message}")
        if not self.failure.done():
            self.failure.set_exception(BrokenError(f"{guarantee}: {message}"))

    def digest(self) -> str:
        """What differs between any two traces."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()

    def _stored(self, message: Stored) -> None:
        self.say(
            "log",
            f"{message.stream}/{message.sequence} {message.subject} {hashlib.sha256(message.data).hexdigest()[:8]}",
        )
        self.oracle.stored(message)

    def _written(self, write: Write) -> None:
        plural, namespace, name = write.key
        status = write.body.get("status") or {}
        shown = f"{status.get('phase', '')} {status.get('sequence', '')}".strip()
        self.say(
            write.by, f"{write.what} {plural} {namespace}/{name} v{write.body['metadata']['resourceVersion']} {shown}"
        )
        if write.by != "world":
            self.last_write = self.loop.time()
        self.oracle.written(write)
        if write.what == "DELETED" or write.body["metadata"].get("ownerReferences"):
            self._collect_later()

    # The garbage collector

    def _collect_later(self) -> None:
        if not self._collecting:
            self._collecting = True
            delay = self._draw.uniform(0.0, COLLECTED_WITHIN)
            self.loop.call_later(delay, self._collect, context=self.loop.world_context)

    def _collect(self) -> None:
        self._collecting = False
        self.cluster.collect()

    # The servers' own rhythm

    async def rhythm(self) -> None:
        """Send bookmarks, and end each watch in its time."""
        ended = 0.0
        while True:
            await asyncio.sleep(BOOKMARKS)
            for resource in (WORKFLOWS, EXECUTIONS):
                self.cluster.send_bookmark(resource)
            if self.loop.time() - ended > WATCHES_LAST:
                ended = self.loop.time()
                for process in self.processes.values():
                    process.cuts, process.cut_roughly = process.cuts + 1, False
                self.cluster.nudge()

    def furnish(self) -> None:
        """Put into the cluster what steps are about."""
        for name in DEPLOYMENTS:
            self.set_health(name, well=True)
        for name in NODES:
            body: Object = {
                "metadata": {"name": name, "namespace": ""},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"},
                },
            }
            self.cluster.put(Resource("", "v1", "nodes"), body)
        pod: Object = {"metadata": {"name": "web-1", "namespace": NAMESPACE}, "status": {"phase": "Running"}}
        self.cluster.put(Resource("", "v1", "pods"), pod)

    def apply_when_free(self, name: str, body: Object) -> None:
        """Apply a workflow once no other has its name."""
        self.applying.add(name)
        if any(one["metadata"]["name"] == name for one in self.cluster.of(WORKFLOWS)):
            self.loop.call_later(0.05, self.apply_when_free, name, body, context=self.loop.world_context)
        else:
            self.applying.discard(name)
            self.cluster.put(WORKFLOWS, body)
            if self.healed:
                people.let_go_on(self)

    def set_health(self, deployment: str, *, well: bool) -> None:
        """Let a deployment be well or not."""
        body: Object = {
            "metadata": {"name": deployment, "namespace": NAMESPACE},
            "spec": {"replicas": 3},
            "status": {"availableReplicas": 3 if well else 1, "observedGeneration": 1000},
        }
        self.cluster.put(Resource("apps", "v1", "deployments"), body)

    # Processes

    def start_all(self) -> None:
        """Start all replicas of all services."""
        for kind, many in self.scenario.replicas.items():
            for place in range(many):
                self.start(f"{kind}-{place}")

    def start(self, slot: str) -> None:
        """Start a replica that does not run."""
        if slot in self.processes:
            return
        kind = slot.rpartition("-")[0]
        life = self.lives[slot] = self.lives.get(slot, 0) + 1
        process = Process(self, kind, slot, life)
        self.processes[slot] = process
        self.loop.adopt(process)
        self.say("world", f"starts {process.name}")
        self.loop.create_task(process.live(ROOTS[kind]), context=process.context())

    def kill(self, process: Process) -> None:
        """Kill -9: not one step more, and what was in hand comes to others in time."""
        if process.dead:
            return
        self.say("world", f"kills {process.name}")
        process.dead = process.held = True
        process.log.crash()
        self.died.append(process)
        if self.processes.get(process.slot) is process:
            del self.processes[process.slot]

    async def stop(self, process: Process, patience: float = 25.0) -> None:
        """SIGTERM, and kill -9 when it takes longer than it may."""
        self.say("world", f"stops {process.name}")
        process.service.stopping.set()
        until = self.loop.time() + patience
        while process.tasks and not process.dead and self.loop.time() < until:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.1)
        self.kill(process)

    def freeze(self, process: Process) -> None:
        """SIGSTOP."""
        self.say("world", f"freezes {process.name}")
        process.held = True
        process.log.froze()

    def thaw(self, process: Process) -> None:
        """SIGCONT, if it still lives."""
        if not process.dead and process.held:
            self.say("world", f"thaws {process.name}")
            process.held = False
            process.log.thawed()

    async def bury_all(self) -> None:
        """Let go of everything, so that the loop can close: nothing of it takes effect any more."""
        self.over = True
        for process in list(self.processes.values()):
            self.kill(process)
        for process in self.died:
            process.reaped = True
            process.held = False
        for _ in range(REAPED_WITHIN):
            tasks = [task for process in self.died for task in process.tasks]
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.sleep(1.0)  # no time passes while anybody can go on
        raise AssertionError(f"they do not end: {list(self.loop.waiting())}")
