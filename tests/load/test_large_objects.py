"""Objects and messages as large as may be, larger than may be, and one object that changes without a pause."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runtime.errors import KubernautError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.nats_scan import scan
from schemas.subjects import LOG, any_workflow_change
from tests.e2e.world import NAMESPACE, a_step, a_workflow, assert_each_step_once, until
from tests.loop_lag import loops_turn
from tests.nats_server import administrator

if TYPE_CHECKING:
    from runtime.ports import Stored
    from tests.load.loaded import Loaded

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

STEPS = 256
SKIPPED = {"runIf": "false"}
UPDATES = 1000
AT_A_TIME = 2


def a_large_workflow(name: str, size: int) -> dict[str, Any]:
    """A workflow of about `size` bytes: as many steps as may be, of which two are carried out."""
    each = size // STEPS
    steps = [a_step(n, **({} if n in (1, STEPS) else SKIPPED)) for n in range(1, STEPS + 1)]
    for step in steps:
        left = each - len(msgspec.json.encode(step)) - 40
        step["parameters"] = {"message": "m" * min(4096, left)}
        step["description"] = "d" * max(0, min(1024, left - 4096))
        step["name"] = "n" * max(0, min(250, left - 4096 - 1024))
    return a_workflow(name, steps)


async def test_a_workflow_of_1_4_mib_runs_like_any_other(loaded: Loaded) -> None:
    """(F24) All of its steps are carried out or skipped, and no service is killed for its memory or stands still."""
    body = a_large_workflow("large", 1400 * 1024)
    size, before = len(msgspec.json.encode(body)), loaded.restarts()

    async with loops_turn(loaded.world.stack.supervisor.members):
        names = await loaded.world.apply(body)
        status = (await loaded.world.all_end(names, 300))["large"]

    assert 1300 * 1024 < size < 1450 * 1024
    assert "completed" == status["phase"]
    assert {f"large-step-{n}": 1 for n in (1, STEPS)} == loaded.world.creations(names)
    assert before == loaded.restarts()
    await loaded.world.audit_is_complete(120)


async def test_a_workflow_of_1_6_mib_is_refused_by_the_api_server_in_its_own_words(loaded: Loaded) -> None:
    """(F24) It is larger than etcd takes: whoever applies it is told, and nothing of it reaches us."""
    body = a_large_workflow("too-large", 1400 * 1024)
    body["metadata"]["annotations"] = {"example.org/note": "x" * 200 * 1024}

    with pytest.raises(KubernautError, match="too large"):
        await loaded.world.apply(body)


async def test_an_executor_may_write_a_status_of_1_4_mib(loaded: Loaded) -> None:
    """(F24) The run takes in how the step ended, whatever else is in there."""
    names = await loaded.world.apply(a_workflow("large-status", [a_step(1), a_step(2, 1)], simulate={"step-1": "hang"}))
    execution = await until_there(loaded, "large-status-step-1")
    status = {"phase": "completed", "executionResults": {"success": True, "warnings": ["w" * 1000] * 1400}}

    patch = {"metadata": {"uid": execution["metadata"]["uid"]}, "status": status}
    async with loops_turn(loaded.world.stack.supervisor.members):
        await loaded.world.cluster.patch(EXECUTIONS, NAMESPACE, "large-status-step-1/status", patch)
        statuses = await loaded.world.all_end(names, 300)

    assert_each_step_once(loaded.world, names, statuses, steps=2)
    await loaded.world.audit_is_complete(120)


async def until_there(loaded: Loaded, name: str) -> dict[str, Any]:
    """Wait for an execution that is being carried out; return it."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = [each for each in await loaded.world.all_of(EXECUTIONS) if each["metadata"]["name"] == name]
        return bool(found) and found[0].get("status", {}).get("phase") == "executing"

    await until(there, f"{name} is being carried out", 120)
    return found[0]


async def test_an_object_that_changes_1000_times_is_told_in_order_and_as_it_is_in_the_end(loaded: Loaded) -> None:
    """(F25) Versions rise, the last one in the log is the API server's, and others get through meanwhile."""
    await loaded.world.apply(a_workflow("restless", [a_step(1)], simulate={"all-steps": "hang"}))
    uid = (await until_there(loaded, "restless-step-1"))["spec"]["workflowExecutionRef"]["uid"]
    room = asyncio.Semaphore(AT_A_TIME)

    async def update(number: int) -> None:
        async with room:
            await patched(loaded, "restless", {"metadata": {"annotations": {"example.org/count": str(number)}}})

    updates = asyncio.gather(*(update(number) for number in range(UPDATES)))
    names = await loaded.world.apply(*(a_workflow(f"beside-{n}", [a_step(1)]) for n in range(5)))
    statuses = await loaded.world.all_end(names, 240)
    await updates

    async def told() -> bool:
        newest = (await loaded.world.get("restless"))["metadata"]["resourceVersion"]
        return bool(newest == (await versions(loaded, uid))[-1])

    await until(told, "the log has the last version", 120)
    found = list(map(int, await versions(loaded, uid)))
    assert sorted(set(found)) == found
    assert_each_step_once(loaded.world, names, statuses, steps=1)
    cancel = {"spec": {"control": {"cancel": {"mode": "terminate", "reason": "enough"}}}}
    await patched(loaded, "restless", cancel)
    await loaded.world.all_end(["restless"], 120)


async def patched(loaded: Loaded, name: str, patch: dict[str, Any]) -> None:
    """Patch a workflow, however long the API server takes."""
    while True:
        try:
            await loaded.world.cluster.patch(WORKFLOWS, NAMESPACE, name, patch)
        except UnavailableError:  # the machine is busy: ask again
            await asyncio.sleep(0.2)
        else:
            return


async def versions(loaded: Loaded, uid: str) -> list[str]:
    """Versions of a workflow in the log, in the order of the log."""
    found: list[Stored] = []
    async with administrator(loaded.world.stack.nats_url or "") as connection:
        subject = any_workflow_change(NAMESPACE, uid)
        async with aclosing(scan(connection, LOG.name, subject, last_per_subject=False, start=1)) as messages:
            found = [each async for each in messages]
    return [each.headers["ce-version"] for each in found]
