"""What only a real kube-apiserver can show: how it words denials, what it takes, and that the client understands it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

from runtime.cluster import ClusterClient
from runtime.cluster_access import Access, log_in
from runtime.errors import ForbiddenError, RefusedError
from runtime.kinds import WORKFLOWS
from runtime.ports import Resource
from tests.contracts.cluster_worlds import NAMESPACES, RealWorld
from tests.watcher.builders import a_workflow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.cluster_plain import Login

pytestmark = pytest.mark.real
POLICIES = Resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
BINDINGS = Resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
MIB = 1024 * 1024
LEVELS = 3000


@pytest_asyncio.fixture
async def world(kubeconfig: str) -> AsyncIterator[RealWorld]:
    """The API server and a namespace of the test's own."""
    async with RealWorld(kubeconfig) as real:
        yield real


async def test_missing_rights_are_told_from_a_denial(world: RealWorld, kubeconfig: str) -> None:
    """Whom the API server does not know or who has no rights gets ForbiddenError, which may be tried again."""
    login = await log_in(kubeconfig)
    nobody = msgspec.structs.replace(login, certificate="", key="", authorization="")

    async def again() -> Login:
        return nobody

    client = ClusterClient(Access(nobody, again))
    with pytest.raises(ForbiddenError):
        await client.list(WORKFLOWS, world.namespace)
    await client.close()


async def refused(world: RealWorld, body: dict[str, Any]) -> str:
    """Reason for which the API server refuses to create, once it does."""
    async with asyncio.timeout(30):
        while True:
            body["metadata"]["name"] += "x"
            try:
                await world.cluster.create(WORKFLOWS, world.namespace, body)
            except RefusedError as error:
                return "no rights" if isinstance(error, ForbiddenError) else error.reason
            await asyncio.sleep(0.1)  # a policy is in force a moment after it was made


@pytest.mark.parametrize(("reason", "expected"), [("Forbidden", "forbidden"), ("Invalid", "invalid")])
async def test_what_a_policy_denies_is_refused(world: RealWorld, reason: str, expected: str) -> None:
    """A ValidatingAdmissionPolicy denies with 403 or 422: either way it is no matter of rights."""
    name = f"{world.namespace}-{expected}"
    rule = {"apiGroups": [WORKFLOWS.group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], **here},
        "validations": [{"expression": "false", "reason": reason, "message": "no"}],
    }
    policy = await world.cluster.create(POLICIES, "", {"metadata": {"name": name}, "spec": spec})
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    bound = await world.cluster.create(BINDINGS, "", binding)

    found = await refused(world, a_workflow("w", world.namespace))

    await world.cluster.delete(BINDINGS, "", name, uid=bound["metadata"]["uid"])
    await world.cluster.delete(POLICIES, "", name, uid=policy["metadata"]["uid"])
    assert found == expected


async def test_a_namespace_that_is_going_takes_nothing(world: RealWorld) -> None:
    """Creating in a namespace that is being deleted is refused for good."""
    name = f"{world.namespace}-going"
    made = await world.cluster.create(NAMESPACES, "", {"metadata": {"name": name}})
    held = a_workflow("held", name, finalizers=["kubernaut.io/hold"])
    await world.cluster.create(WORKFLOWS, name, held)
    await world.cluster.delete(NAMESPACES, "", name, uid=made["metadata"]["uid"])

    with pytest.raises(RefusedError) as error:
        await world.cluster.create(WORKFLOWS, name, a_workflow("late", name))

    await world.cluster.patch(WORKFLOWS, name, "held", {"metadata": {"finalizers": None}})
    assert not isinstance(error.value, ForbiddenError)
    assert error.value.reason == "forbidden"


async def test_large_and_deep_objects_are_watched_and_listed(world: RealWorld) -> None:
    """1.4 MiB and 3,000 levels come through lists and watches; what is larger than etcd takes is refused."""
    start = (await world.cluster.list(WORKFLOWS, world.namespace)).resource_version
    large = a_workflow("large", world.namespace)
    large["spec"]["workflowDefinition"]["steps"][0]["parameters"] = {str(n): "x" * 4000 for n in range(350)}
    deep = a_workflow("deep", world.namespace)
    nested = b'{"a":' * LEVELS + b"1" + b"}" * LEVELS
    deep["spec"]["workflowDefinition"]["steps"][0]["parameters"] = msgspec.Raw(nested)
    await world.cluster.create(WORKFLOWS, world.namespace, large)
    with pytest.raises(RefusedError, match="too deep"):
        await world.cluster.create(WORKFLOWS, world.namespace, deep)
    seen = []
    async with (
        asyncio.timeout(30),
        aclosing(world.cluster.watch(WORKFLOWS, world.namespace, resource_version=start)) as events,
    ):
        async for event in events:
            seen.append((msgspec.json.decode(event.object)["metadata"]["name"], memoryview(event.object).nbytes))
            if len(seen) == 2:
                break
    large["metadata"]["name"] = "larger"
    large["spec"]["workflowDefinition"]["steps"][0]["parameters"] = {str(n): "x" * 4000 for n in range(450)}

    with pytest.raises(RefusedError) as error:
        await world.cluster.create(WORKFLOWS, world.namespace, large)

    listed = await world.cluster.list(WORKFLOWS, world.namespace)
    assert [name for name, _ in seen] == ["large", "deep"]
    assert len(listed.items) == 2
    assert seen[0][1] > 1.3 * MIB
    assert error.value.reason == "invalid"
