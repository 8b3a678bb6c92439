"""An API server that answers nobody is asked for all runs together, as seldom as for one (F9, F14)."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import msgspec
import pytest

from executor_bridge.api import Api
from executor_bridge.context import Limits
from executor_bridge.gate import Gate, ShutError
from executor_bridge.patience import TimeUpError, persist
from executor_bridge.silence import ENOUGH, FIRST, MOST, SPREAD, Silence
from runtime.errors import ConflictError, UnavailableError
from runtime.health import Dependency
from runtime.kinds import WORKFLOWS
from schemas.names import execution_name
from tests.executor_bridge.builders import WORKFLOW, a_create, a_decision, a_state, a_step, a_workflow
from tests.executor_bridge.virtual import run
from tests.executor_bridge.world import World
from tests.fakes.cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Object, Resource
    from schemas.messages import Decision
    from tests.fakes.cluster_objects import Verb

RUNS = 100
FEW = 15
A_MINUTE = 10
"""Most requests of a client that the API server refuses (reliability.md, F9)."""
IN_FLIGHT = 32 + 16
"""Most calls that have begun before the first of them fails: `context.CREATES`, `context.BEHIND`."""


class Server(FakeCluster):
    """Fails as it was told, and remembers when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: Exception | None = None
        self.hooked = ""
        """What is named so is refused by a webhook when it is to be made or its status written."""
        self.asked: list[float] = []

    def between(self, start: float, end: float) -> int:
        """How often it was asked in that time."""
        return sum(start < at <= end for at in self.asked)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""
        self._webhook(body["metadata"]["name"])
        return await super().create(resource, namespace, body)

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""
        self._webhook(name)
        return await super().replace_status(resource, namespace, name, body)

    def _webhook(self, name: str) -> None:
        if self.hooked and name.startswith(self.hooked):
            self.asked.append(asyncio.get_running_loop().time())
            raise UnavailableError("HTTP 500: failed calling webhook")

    def _enter(self, verb: Verb, resource: Resource, namespace: str, name: str) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        if self.refusal is not None:
            raise self.refusal
        super()._enter(verb, resource, namespace, name)


def a_run(world: World, name: str) -> Decision:
    """A decision to create the first execution of a workflow that is there."""
    body = a_workflow(uid=f"uid-of-{name}")
    body["metadata"]["name"] = name
    world.cluster.put(WORKFLOWS, body)
    command = msgspec.structs.replace(a_create(1, uid=f"uid-of-{name}"), name=execution_name(name, 1, 1, "execute"))
    workflow = msgspec.structs.replace(WORKFLOW, name=name, uid=f"uid-of-{name}")
    return a_decision(1, a_state(a_step(1, "executing")), command, workflow=workflow)


def executions(name: str, count: int) -> list[str]:
    """Names of the executions of so many runs."""
    return sorted(f"{name}-{number}-step-1" for number in range(count))


@pytest.mark.parametrize(
    ("latency", "most_at_first", "seconds"),
    [
        pytest.param(0.0, 3 * A_MINUTE, 180, id="it fails at once"),
        pytest.param(0.05, ENOUGH + IN_FLIGHT + A_MINUTE, 600, id="it fails after a moment"),
    ],
)
def test_a_hundred_runs_ask_a_server_that_answers_nobody_as_seldom_as_one(
    latency: float, most_at_first: int, seconds: int
) -> None:
    """Ten times a minute, and what was on its way; up to ten minutes later all is done within half a minute."""

    async def play() -> tuple[Server, World, list[bool]]:
        server = Server()
        world = World(cluster=server)
        await world.begin()
        world.start(pause=lambda: latency / 2)
        server.refusal = UnavailableError("HTTP 500")
        for number in range(RUNS):
            await world.decide(a_run(world, f"run-{number}"))
        await asyncio.sleep(seconds)
        ready = [world.processes[0].health.ready]
        server.refusal = None
        await asyncio.sleep(30)
        ready.append(world.processes[0].health.ready)
        await world.close()
        return server, world, ready

    server, world, ready = run(play())

    assert [False, True] == ready
    assert ENOUGH < server.between(-1, 60) <= most_at_first
    assert all(2 <= server.between(minute, minute + 60) <= A_MINUTE for minute in range(60, seconds, 60))
    assert executions("run", RUNS) == sorted(world.created())
    assert ["api_server_away", "api_server_back"] == [
        line["event"] for line in world.lines.kept if line["event"].startswith("api_server")
    ]


def test_one_run_alone_asks_no_more_than_ten_times_a_minute() -> None:
    """Once it is clear that the server answers nobody."""

    async def play() -> Server:
        server = Server()
        world = World(cluster=server)
        await world.begin()
        world.start()
        server.refusal = UnavailableError("connection refused")
        await world.decide(a_run(world, "run"))
        await asyncio.sleep(600)
        await world.close()
        return server

    server = run(play())

    assert server.between(-1, 60) <= ENOUGH + IN_FLIGHT
    assert all(2 <= server.between(minute, minute + 60) <= A_MINUTE for minute in range(60, 600, 60))


def test_a_webhook_that_fails_keeps_no_other_run_waiting() -> None:
    """A hundred runs meet it, in writes and nowhere else; what shuts the gate then is opened by a read, at once."""

    async def play() -> list[float]:
        server = Server()
        world = World(cluster=server)
        server.hooked = "hooked"
        await world.begin()
        world.start(pause=lambda: 0.005)
        now = asyncio.get_running_loop().time
        for number in range(RUNS):
            await world.decide(a_run(world, f"hooked-{number}"))
        waited = []
        for number in range(FEW):
            began = now()
            await world.decide(a_run(world, f"free-{number}"))
            await world.until(lambda name=f"free-{number}-step-1": name in world.created())  # type: ignore[misc]
            waited.append(now() - began)
            await asyncio.sleep(1)
        assert world.ended()
        server.hooked = ""
        await asyncio.sleep(30)
        assert sorted(executions("hooked", RUNS) + executions("free", FEW)) == sorted(world.created())
        await world.close()
        return waited

    assert [] == [seconds for seconds in run(play()) if seconds > 1]


def test_what_asks_to_wait_is_not_tried_before_its_time() -> None:
    """429 with Retry-After: 7 to all: the trial keeps to it, too (F10)."""

    async def play() -> Server:
        server = Server()
        world = World(cluster=server)
        await world.begin()
        world.start(pause=lambda: 0.001)
        server.refusal = UnavailableError("HTTP 429", retry_after=7.0)
        for number in range(FEW):
            await world.decide(a_run(world, f"run-{number}"))
        await asyncio.sleep(120)
        server.refusal = None
        await asyncio.sleep(30)
        assert executions("run", FEW) == sorted(world.created())
        await world.close()
        return server

    asked = run(play()).asked

    first = asked[0]
    assert [] == [at for at in asked if first + 1 < at < first + 7]
    later = [at for at in asked if first + 30 < at < 120]
    assert later
    assert all(after - before >= 7 for before, after in itertools.pairwise(later))


def test_the_end_of_the_service_waits_no_longer_before_a_shut_gate() -> None:
    """What is in hand is given back at the time that was allowed."""

    async def play() -> tuple[float, int]:
        server = Server()
        world = World(cluster=server)
        await world.begin()
        process = world.start()
        server.refusal = UnavailableError("HTTP 500")
        for number in range(RUNS):
            await world.decide(a_run(world, f"run-{number}"))
        await asyncio.sleep(20)
        began = asyncio.get_running_loop().time()
        await process.terminate(5.0)
        took = asyncio.get_running_loop().time() - began
        server.refusal = None
        world.start()
        await asyncio.sleep(1)
        await world.close()
        return took, len(world.created())

    took, created = run(play())

    assert took <= 5.1
    assert RUNS == created


def shut(draw: Callable[[], float] = lambda: 0.0) -> Gate:
    """A gate that was shut at 0."""
    gate = Gate(draw)
    for _ in range(ENOUGH):
        gate.unanswered(0.0)
    return gate


def test_work_is_given_back_in_time_although_the_gate_is_shut() -> None:
    """Its own time limit holds."""

    async def play() -> tuple[float, int]:
        gate, tries = shut(), 0

        async def act(_tries: int) -> None:
            nonlocal tries
            tries += 1
            raise ShutError(gate, "HTTP 500")

        with pytest.raises(TimeUpError, match="HTTP 500"):
            await persist(Limits(), 40.0, act)
        return asyncio.get_running_loop().time(), tries

    assert (40.0, 1) == run(play())


def test_those_who_waited_begin_one_after_the_other() -> None:
    """All within a second of the first answer."""

    async def play() -> list[float]:
        draws = iter(number / RUNS for number in range(RUNS))
        gate, begun = shut(lambda: next(draws)), []

        async def wait() -> None:
            assert await gate.opened(100.0)
            begun.append(asyncio.get_running_loop().time())

        async with asyncio.TaskGroup() as group:
            for _ in range(RUNS):
                group.create_task(wait())
            await asyncio.sleep(10)
            gate.answered(10.0)
        return begun

    begun = run(play())

    assert RUNS == len(set(begun))
    assert 10.0 == min(begun)
    assert 10.0 + 0.9 * SPREAD <= max(begun) <= 10.0 + SPREAD


def test_somebody_else_was_first_is_an_answer() -> None:
    """Conflicts shut nothing, and end what a run of failures had begun."""

    async def play() -> bool:
        server = Server()
        gate = Gate()
        api = Api(server, Dependency("kubernetes"), gate)
        answers: list[Exception] = [UnavailableError("HTTP 500")] * (ENOUGH - 1)
        for refusal in [*answers, ConflictError("409"), *answers]:
            server.refusal = refusal
            with pytest.raises(type(refusal)):
                await api.version()
        before = gate.is_shut
        server.refusal = UnavailableError("HTTP 500")
        with pytest.raises(UnavailableError):
            await api.version()
        return not before and gate.is_shut

    assert run(play())


def test_a_silence_lasts_from_so_many_calls_in_a_row_to_the_first_answer() -> None:
    """One that is answered begins the count anew."""
    silence, lasted = Silence(), []
    for answered in [*[False] * (ENOUGH - 1), True, *[False] * ENOUGH, True]:
        (silence.answered if answered else silence.unanswered)(0.0)
        lasted.append(silence.lasts)

    assert [False] * (2 * ENOUGH - 1) + [True, False] == lasted


@pytest.mark.parametrize("drawn", [0.0, 0.999])
def test_trials_become_seldom(drawn: float) -> None:
    """From about a second to 6 - 10 s; after an answer from the beginning."""
    silence = Silence(lambda: drawn)
    pauses = [silence.pause() for _ in range(6)]
    for _ in range(ENOUGH):
        silence.unanswered(0.0)
    silence.answered(1.0)

    assert FIRST <= pauses[0] <= 2 * FIRST
    assert pauses == sorted(pauses)
    assert 60 / A_MINUTE <= pauses[-1] <= MOST
    assert pauses[0] == silence.pause()


@pytest.mark.parametrize(
    ("lasted", "turn"),
    [
        pytest.param(0.004, 0.002, id="a webhook that fails: a moment"),
        pytest.param(600.0, SPREAD / 2, id="an outage: a second"),
    ],
)
def test_nobody_waits_longer_for_his_turn_than_the_silence_lasted(lasted: float, turn: float) -> None:
    """Nor longer than a second."""
    silence = Silence(lambda: 0.5)
    for _ in range(ENOUGH + 5):
        silence.unanswered(7.0)
    silence.answered(7.0 + lasted)

    assert pytest.approx(turn) == silence.turn()
