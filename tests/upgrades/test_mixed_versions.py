"""Services of the last release and of this version side by side, then one after the other, up and down again (F55)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from kubernaut.local.services import AUDITOR, EXECUTOR, EXECUTOR_BRIDGE, SCHEDULER, WATCHER
from kubernaut.local.stack import StackOptions
from tests.e2e.system import a_world
from tests.e2e.world import World, a_step, a_workflow, assert_each_step_once, ten_steps
from tests.upgrades.releases import code_of, releases

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

SHARED = (WATCHER, SCHEDULER, EXECUTOR_BRIDGE, AUDITOR)
NEW = tuple(service.name for service in SHARED)
OLD = tuple(f"{name}_before" for name in NEW)
RUNS = 12
UNDO = {
    "rollbackSpec": {"action": "scale_deployment", "parameters": {"deployment": "a", "namespace": "b", "replicas": 1}}
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One of each service of each version."""
    code = code_of(releases()[-1], tmp_path_factory.mktemp("code"))
    before = tuple(replace(service, name=f"{service.name}_before", code=code) for service in SHARED)
    options = StackOptions(
        name="mixed", home=tmp_path_factory.mktemp("mixed"), audit_log=True, services=(*SHARED, *before, EXECUTOR)
    )
    async with a_world(options) as world:
        yield world


def workflows(prefix: str) -> list[dict[str, Any]]:
    """Ten-step graphs whose steps take a while, with a retry and a rollback among them."""
    return [a_workflow(f"{prefix}-{n}", ten_steps(), simulate={"all-steps": "take:1s"}) for n in range(RUNS)]


async def only(world: World, *names: str) -> None:
    """Stop the services of one version, in the middle of everything; those named are running afterwards."""
    supervisor = world.stack.supervisor
    for name in names:
        await supervisor.start(name)
    for name in {*NEW, *OLD} - {*names}:
        await supervisor.kill(name, stay_down=True)


async def test_both_versions_share_the_work(mixed: World) -> None:
    """Whichever takes a message, the run ends, each step once; nothing is left over, nothing is dead."""
    names = await mixed.apply(*workflows("side-by-side"))
    [undone] = await mixed.apply(
        a_workflow(
            "undone",
            [a_step(1, maxRetries=1, **UNDO), a_step(2, 1)],
            simulate={"step-1": "fail:1", "step-2": "fail-not-retryable"},
            executionStrategy={"rollbackStrategy": "automatic"},
        )
    )

    statuses = await mixed.all_end(names, 240)
    end = (await mixed.all_end([undone], 60))[undone]

    assert_each_step_once(mixed, names, statuses)
    assert ["rolled_back", "failed"] == [step["status"] for step in end["stepStatuses"]]
    await mixed.audit_is_complete()
    assert 0 == await mixed.dead_letters()


async def test_runs_go_on_through_an_upgrade_and_back(mixed: World) -> None:
    """Begun by both, carried on by the last release alone, then by this version alone, then by that release again."""
    names = await mixed.apply(*workflows("through"))
    await mixed.under_way(names)
    await only(mixed, *OLD)
    more = await mixed.apply(*workflows("before"))
    await mixed.under_way(more)
    await only(mixed, *NEW)
    last = await mixed.apply(*workflows("after"))
    await mixed.under_way(last)
    await only(mixed, *OLD)

    statuses = await mixed.all_end(names + more + last, 240)
    for name in NEW:
        await mixed.stack.supervisor.start(name)

    assert_each_step_once(mixed, names + more + last, statuses)
    await mixed.all_ready()
    await mixed.audit_is_complete()
    assert 0 == await mixed.dead_letters()
