"""Traces of the real system: what the services send is what `kubernaut trace` makes of the log afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kubernaut.local.stack import StackOptions
from runtime.spans import run_span, trace_of
from tests.e2e.people import kubernaut
from tests.e2e.system import a_world
from tests.e2e.world import PATIENCE, World, a_step, a_workflow, until
from tests.trace.receiver import Collector, Told, a_collector, flat, told

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

UNDO = {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "undo"}}}
RUNS: dict[str, dict[str, Any]] = {
    "traced-simple": {"steps": [a_step(1), a_step(2, 1), a_step(3, 1), a_step(4, 2, 3)]},
    "traced-troubled": {
        "steps": [
            a_step(1, **UNDO),
            a_step(2, 1, maxRetries=1, retryPolicy={"initialDelay": "1s"}),
            a_step(3, 2, timeout="1s"),
        ],
        "simulate": {"step-2": "fail:1", "step-3": "hang"},
        "executionStrategy": {
            "rollbackStrategy": "automatic",
            "dryRunFirst": True,
            "safetyChecks": [{"type": "network", "description": "the API answers", "required": True}],
        },
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def collector() -> AsyncIterator[Collector]:
    """A collector."""
    async with a_collector() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A system of its own, that sends its traces there."""
    home: Path = tmp_path_factory.mktemp("traced")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with a_world(StackOptions(name="traced", home=home)) as found:
            yield found


async def made(world: World, name: str, *options: str) -> set[Told]:
    """What the command makes of it afterwards, without the times."""
    return {told(span) for span in flat(json.loads(await kubernaut(world, "trace", name, "-o", "otlp-json", *options)))}


async def trace(world: World, name: str) -> str:
    """The id of a run's trace."""
    return trace_of((await world.get(name))["metadata"]["uid"])


async def test_what_was_sent_is_what_is_made_afterwards(traced: World, collector: Collector) -> None:
    """The same spans, span by span: ids, parents, services, names, attributes; of log and audit alike."""
    names = await traced.apply(*(a_workflow(name, **fields) for name, fields in RUNS.items()))
    statuses = await traced.all_end(names)
    await traced.audit_is_complete()

    assert ["completed", "failed"] == [statuses[name]["phase"] for name in RUNS]
    for name in names:
        identity = await trace(traced, name)

        async def all_sent(name: str = name, identity: str = identity) -> bool:
            return collector.of(identity) == await made(traced, name)

        await until(all_sent, f"the collector has the trace of {name}", PATIENCE)
        assert await made(traced, name, "--audit") == collector.of(identity)


async def test_a_trace_is_whole_although_every_service_was_killed(traced: World, collector: Collector) -> None:
    """What a process could not tell any more its successor tells, or the log: never another span."""
    [name] = await traced.apply(a_workflow("traced-killed", [a_step(n, *range(max(n - 1, 1), n)) for n in range(1, 9)]))
    for service in ("scheduler", "executor_bridge", "watcher", "auditor"):
        await traced.stack.supervisor.kill(service)
    await traced.all_ready()
    await traced.all_end([name])
    await traced.audit_is_complete()
    uid = (await traced.get(name))["metadata"]["uid"]

    async def run_told() -> bool:
        return run_span(uid) in collector.spans

    await until(run_told, "the run itself is told", PATIENCE)
    live = collector.of(trace_of(uid))
    afterwards = await made(traced, name)
    assert live <= afterwards
    ids = {span for _, span, *_ in afterwards}
    assert {""} == {parent for _, _, parent, *_ in afterwards} - ids
