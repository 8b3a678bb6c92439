"""Objects that only a test touches, and runs of many steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import yaml

from runtime.errors import NotFoundError
from runtime.kinds import EXECUTIONS
from tests.e2e.world import NAMESPACE, a_workflow, assert_each_step_once, ten_steps, until
from tests.stale.staleness import PATIENCE
from tests.watcher.builders import an_execution

if TYPE_CHECKING:
    from runtime.ports import Object, Resource
    from tests.stale.staleness import Staleness


async def an_object(stale: Staleness, name: str) -> str:
    """Make an execution of no workflow, which the executor ends and nobody touches then; return its uid."""
    made = await stale.world.cluster.create(EXECUTIONS, NAMESPACE, an_execution(name, NAMESPACE, workflow_uid=name))

    async def ended() -> bool:
        return bool((await read(stale, name)).get("status", {}).get("phase") == "completed")

    await until(ended, f"{name} has ended", PATIENCE)
    await stale.log_is_true()
    return str(made["metadata"]["uid"])


async def read(stale: Staleness, name: str) -> Object:
    """Read an execution from the store."""
    return await stale.world.cluster.get(EXECUTIONS, NAMESPACE, name)


async def change(stale: Staleness, name: str, value: str) -> int:
    """Change a label; return the version that this made."""
    body = {"metadata": {"labels": {"round": value}}}
    changed = await stale.world.cluster.patch(EXECUTIONS, NAMESPACE, name, body)
    return int(changed["metadata"]["resourceVersion"])


async def delete(stale: Staleness, name: str, uid: str) -> None:
    """Delete an execution, and see it go."""
    await stale.world.cluster.delete(EXECUTIONS, NAMESPACE, name, uid=uid)

    async def gone() -> bool:
        try:
            await read(stale, name)
        except NotFoundError:
            return True
        return False

    await until(gone, f"{name} is gone", PATIENCE)


async def delete_in_the_foreground(stale: Staleness, resource: Resource, name: str, uid: str) -> None:
    """Delete an object so that it goes after all that it owns, as `kubectl delete --cascade=foreground` does."""
    kubeconfig = stale.world.stack.kubeconfig
    assert kubeconfig is not None
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    path = f"/apis/{resource.group}/{resource.version}/namespaces/{NAMESPACE}/{resource.plural}/{name}"
    options = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.delete(stale.first.url + path, json=options, ssl=stale.first.trust) as answer,
    ):
        assert answer.ok, await answer.text()


async def runs(stale: Staleness, prefix: str, count: int, take: str = "1s") -> list[str]:
    """Apply ten-step graphs whose steps take a while; return when all have begun."""
    bodies = [a_workflow(f"{prefix}-{n}", ten_steps(), simulate={"all-steps": f"take:{take}"}) for n in range(count)]
    names = await stale.world.apply(*bodies)

    async def begun() -> bool:
        statuses = await stale.world.statuses()
        return all(statuses.get(name, {}).get("phase") == "executing" for name in names)

    await until(begun, f"{count} runs have begun", PATIENCE)
    return names


async def all_end_well(stale: Staleness, names: list[str], steps: int = 10) -> None:
    """Each step of each was executed once, and the log is true."""
    assert_each_step_once(stale.world, names, await stale.world.all_end(names, 2 * PATIENCE), steps)
    await stale.log_is_true()
