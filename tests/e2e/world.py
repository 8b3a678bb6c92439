"""The whole system on real parts, as a user sees it: applied with a client, judged by the API server's own words.

The truth is the API server's audit log, an own watch and the database; never the services' logs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec

from kubernaut.local.stack import LocalStack
from runtime.cluster import ClusterClient
from runtime.errors import ConflictError, GoneError, KubernautError, NotFoundError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Object, Resource
from schemas.execution import TERMINAL_PHASES as ENDED_EXECUTION
from schemas.names import VERSION, WORKFLOW_GROUP, WORKFLOW_KIND
from schemas.workflow_status import TERMINAL_PHASES
from tests.nats_server import administrator

NAMESPACE = "default"
PATIENCE = 180.0
"""Seconds for anything that takes a few on a quiet machine, where how long it takes is not the point."""
SERVICES = ("watcher", "scheduler", "executor_bridge", "auditor", "executor")
_SIDE_BY_SIDE = 16
"""Creations at once: each has ten seconds, also where it waits behind others."""


def a_step(number: int, *after: int, **fields: Any) -> dict[str, Any]:
    """A step that only tells somebody."""
    step = {"stepNumber": number, "action": "notify_only", "parameters": {"message": f"step {number}"}}
    return step | ({"dependsOn": list(after)} if after else {}) | fields


def ten_steps() -> list[dict[str, Any]]:
    """1, then 2 to 6 side by side, then 7, then 8 and 9, then 10."""
    fan_out = [a_step(n, 1) for n in range(2, 7)]
    return [a_step(1), *fan_out, a_step(7, 2, 3, 4, 5, 6), a_step(8, 7), a_step(9, 7), a_step(10, 8, 9)]


def a_workflow(
    name: str, steps: list[dict[str, Any]], *, simulate: dict[str, str] | None = None, **spec: Any
) -> Object:
    """A workflow object; `simulate` are annotations for the simulated executor, by step or `all-steps`.

    It is not monitored after its last step, unless its strategy says so.
    """
    spec["executionStrategy"] = {"monitoring": {"window": "0s"}} | spec.get("executionStrategy", {})
    annotations = {f"simulator.kubernaut.io/{key}": value for key, value in (simulate or {}).items()}
    definition = {"name": "end-to-end", "version": "1", "steps": steps} | spec.pop("definition", {})
    return {
        "apiVersion": f"{WORKFLOW_GROUP}/{VERSION}",
        "kind": WORKFLOW_KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"workflowDefinition": definition} | spec,
    }


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float) -> None:
    """Poll a condition; fail with its name when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.2)


class InFlight:
    """An own watch on executions: how many of each workflow were in flight at the API server, at the most."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._running: dict[str, set[str]] = defaultdict(set)
        self.most: Counter[str] = Counter()
        self.uids: dict[str, set[str]] = defaultdict(set)
        """Uids under which each execution was seen: more than one means that it was created again."""
        self.watching = asyncio.Event()
        """Set once nothing that is made from then on is missed."""

    async def follow(self) -> None:
        """Watch for ever; a cut is healed by watching on from the last version seen."""
        version = await self._list()
        while True:
            try:
                async for event in self._cluster.watch(EXECUTIONS, NAMESPACE, resource_version=version):
                    found = msgspec.json.decode(event.object)
                    version = found["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        self._note(found, gone=event.type == "DELETED")
            except GoneError:  # a server that was started again knows no version before that
                version = await self._list()
            except KubernautError:
                await asyncio.sleep(0.2)

    async def _list(self) -> str:
        """Note what is there; return the version to watch from."""
        while True:
            try:
                page = await self._cluster.list(EXECUTIONS, NAMESPACE)
            except KubernautError:  # an API server that has just come up
                await asyncio.sleep(0.2)
            else:
                break
        self._running.clear()
        for each in page.items:
            self._note(msgspec.json.decode(each), gone=False)
        self.watching.set()
        return page.resource_version

    def _note(self, execution: Object, *, gone: bool) -> None:
        owner = execution["spec"]["workflowExecutionRef"]["name"]
        name = execution["metadata"]["name"]
        self.uids[name].add(execution["metadata"]["uid"])
        if gone or execution.get("status", {}).get("phase") in ENDED_EXECUTION:
            self._running[owner].discard(name)
        else:
            self._running[owner].add(name)
            self.most[owner] = max(self.most[owner], len(self._running[owner]))


class World:
    """A running stack and the eyes on it."""

    def __init__(
        self, stack: LocalStack, cluster: ClusterClient, database: asyncpg.Connection, watch: InFlight
    ) -> None:
        self.stack = stack
        self.cluster = cluster
        self.database = database
        self.in_flight = watch

    async def apply(self, *workflows: Object) -> list[str]:
        """Create the workflows; return their names."""
        room = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def create(workflow: Object) -> str:
            async with room:
                return str((await self.cluster.create(WORKFLOWS, NAMESPACE, workflow))["metadata"]["name"])

        return await asyncio.gather(*map(create, workflows))

    async def get(self, name: str) -> Object:
        """Read a workflow."""
        return await self.cluster.get(WORKFLOWS, NAMESPACE, name)

    async def write_status(self, resource: Resource, name: str, status: Object) -> None:
        """Write a status over whatever is there, whoever else writes it too."""
        while True:
            found = await self.cluster.get(resource, NAMESPACE, name)
            try:
                await self.cluster.replace_status(resource, NAMESPACE, name, found | {"status": status})
            except ConflictError:
                continue
            return

    async def status(self, name: str) -> dict[str, Any]:
        """Read a workflow's status."""
        found: dict[str, Any] = (await self.get(name)).get("status", {})
        return found

    async def all_end(self, names: list[str], seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
        """Wait until all have ended; return their statuses."""
        statuses: dict[str, dict[str, Any]] = {}

        async def ended() -> bool:
            nonlocal statuses
            statuses = await self.statuses()
            return all(statuses.get(name, {}).get("phase") in TERMINAL_PHASES for name in names)

        await until(ended, f"{len(names)} workflows have ended", seconds)
        return {name: statuses[name] for name in names}

    async def under_way(self, names: list[str], enough: int | None = None) -> None:
        """Wait until so many of these runs, or all of them, are past their first step."""
        wanted = len(names) if enough is None else enough

        async def past_the_first() -> bool:
            statuses = await self.statuses()
            return bool(sum(statuses.get(name, {}).get("currentStep", 0) > 1 for name in names) >= wanted)

        await until(past_the_first, f"{wanted} of {len(names)} runs are past their first step", PATIENCE)

    async def carried_out(self, execution: str) -> None:
        """Wait until the executor is at work on an execution.

        The status of its workflow tells of what was only commanded; and whoever looks at an execution only after its
        workflow has gone cannot know that it was to hang.
        """

        async def at_work() -> bool:
            try:
                found = await self.cluster.get(EXECUTIONS, NAMESPACE, execution)
            except (NotFoundError, UnavailableError):
                return False
            return bool(found.get("status", {}).get("phase") == "executing")

        await until(at_work, f"{execution} is being carried out", PATIENCE)

    async def statuses(self) -> dict[str, dict[str, Any]]:
        """The status of every workflow, by name; empty while the API does not answer."""
        try:
            workflows = await self.all_of(WORKFLOWS)
        except KubernautError:
            return {}
        return {each["metadata"]["name"]: each.get("status", {}) for each in workflows}

    async def all_of(self, resource: Resource) -> list[Object]:
        """Every object of a kind, over all pages of the list."""
        found: list[Object] = []
        token = ""
        while True:
            page = await self.cluster.list(resource, NAMESPACE, next_page=token)
            found += [msgspec.json.decode(raw) for raw in page.items]
            token = page.next_page
            if not token:
                return found

    def creations(self, names: list[str]) -> Counter[str]:
        """How often each execution of these workflows was created.

        As the API server's audit log has it, and by the uids that were seen: a client that is killed while it waits for
        the answer leaves a creation that took place and that the audit log does not call a success.
        """
        assert self.stack.kubernetes_audit_log is not None
        wanted = tuple(f"{name}-step-" for name in names)
        counts: Counter[str] = Counter()
        for line in self.stack.kubernetes_audit_log.read_text().splitlines():
            entry = json.loads(line)
            target = entry.get("objectRef", {})
            created = entry["verb"] == "create" and entry.get("responseStatus", {}).get("code") == 201
            if created and entry["stage"] == "ResponseComplete" and target.get("resource") == EXECUTIONS.plural:
                name = target.get("name", "")
                if name.startswith(wanted):
                    counts[name] += 1
        for name, uids in self.in_flight.uids.items():
            if name.startswith(wanted):
                counts[name] = max(counts[name], len(uids))
        return counts

    async def messages_in_log(self) -> int:
        """How many messages the log holds; nothing is ever deleted from it."""
        return int((await self._log_state())["messages"])

    async def _log_state(self) -> dict[str, Any]:
        assert self.stack.nats_url is not None
        async with administrator(self.stack.nats_url) as connection:
            found: dict[str, Any] = json.loads(await connection.api("STREAM.INFO.KUBERNAUT"))["state"]
            return found

    async def audit_is_complete(self, seconds: float = PATIENCE) -> int:
        """Wait until there is exactly one row for each message of the log; return how many that are."""

        async def complete() -> bool:
            rows = await self.database.fetchval(
                "SELECT (SELECT count(*) FROM audit_message) + (SELECT count(*) FROM audit_repeat)"
            )
            repeats = await self.database.fetchval("SELECT count(*) FROM audit_repeat")
            distinct = await self.database.fetchval("SELECT count(DISTINCT stream_sequence) FROM audit_message")
            # The log moves by itself at times: by a checkpoint of the audit, once a minute.
            try:
                messages = await self.messages_in_log()
            except (KubernautError, TimeoutError):  # servers that elect a leader say nothing meanwhile
                return False
            return bool(rows == distinct == messages and repeats == 0)

        await until(complete, "one audit row for each message", seconds)
        return int(await self.database.fetchval("SELECT count(*) FROM audit_message"))

    async def dead_letters(self) -> int:
        """How many messages the audit holds that could not be handled."""
        query = "SELECT count(*) FROM audit_message WHERE subject LIKE 'kubernaut.deadletter.%'"
        return int(await self.database.fetchval(query))

    async def reconnect_database(self) -> None:
        """Connect anew after PostgreSQL was away."""

        async def connected() -> bool:
            try:
                self.database = await asyncpg.connect(self.stack.database_url)
            except (OSError, asyncpg.PostgresError):
                return False
            return True

        await until(connected, "PostgreSQL answers", PATIENCE)

    async def all_ready(self, seconds: float = PATIENCE) -> None:
        """Wait until every process of the stack is ready."""
        for member in self.stack.supervisor.members:
            await self.stack.supervisor.wait_ready(member.spec.name, seconds)


def assert_each_step_once(world: World, names: list[str], statuses: dict[str, dict[str, Any]], steps: int = 10) -> None:
    """Completed with success, every execution created exactly once, never more than five in flight."""
    assert {("completed", "success")} == {
        (status["phase"], status["workflowResult"]["outcome"]) for status in statuses.values()
    }
    expected = Counter({f"{name}-step-{step}": 1 for name in names for step in range(1, steps + 1)})
    assert expected == world.creations(names)
    assert max(world.in_flight.most[name] for name in names) <= 5
