import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from kubernaut.local.kubernetes import API_SERVER
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.cluster import connect_to
from runtime.ports import Resource
from tests.local.kubectl import kubectl
from tests.local.waiting import LIMIT_SECONDS, until

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Give a stack of a Kubernetes API alone, shared by the tests of this file."""
    home = tmp_path_factory.mktemp("kubernetes")
    async with LocalStack(StackOptions.only("kubernetes", home=home, audit_log=True)) as stack:
        yield stack


async def test_the_controllers_are_real(stack: LocalStack) -> None:
    """A deployment gets its replica set and that its pods."""
    await kubectl(stack.kubeconfig, "create", "deployment", "web", "--image=web", "--replicas=2")
    async with asyncio.timeout(LIMIT_SECONDS):
        while (await kubectl(stack.kubeconfig, "get", "pods", "-l", "app=web", "-o", "name")).count("pod/web") != 2:
            pass  # each question takes a while by itself

    owner = await kubectl(
        stack.kubeconfig, "get", "pods", "-o", "jsonpath={.items[0].metadata.ownerReferences[0].kind}"
    )

    assert owner == "ReplicaSet"


async def test_the_version_is_one_that_clients_can_read(stack: LocalStack) -> None:
    """Kubernetes stamps it when it is built; kubectl fails at a server without."""
    version = json.loads(await kubectl(stack.kubeconfig, "version", "-o", "json"))

    assert version["serverVersion"]["gitVersion"].startswith("v1.")


async def test_rights_are_enforced(stack: LocalStack) -> None:
    """The administrator may do everything, somebody without rights nothing."""
    nobody = ("--as=nobody", "--as-group=system:authenticated")

    answers = [
        await kubectl(stack.kubeconfig, "auth", "can-i", "delete", "secrets"),
        await kubectl(stack.kubeconfig, "auth", "can-i", "get", "pods", *nobody, expected_code=1),
    ]

    assert answers == ["yes", "no"]


async def test_a_wrong_token_is_refused(stack: LocalStack, tmp_path: Path) -> None:
    """The port is open to every user of this machine; the kubeconfig is not."""
    content = yaml.safe_load((stack.kubeconfig or tmp_path).read_text())
    content["users"][0]["user"]["token"] = "guessed"  # noqa: S105 - and wrong
    other = tmp_path / "kubeconfig"
    other.write_text(yaml.safe_dump(content))

    told = await kubectl(other, "get", "pods", expected_code=1)

    assert "must be logged in" in told or "Unauthorized" in told
    assert (stack.kubeconfig or tmp_path).stat().st_mode & 0o077 == 0


async def test_the_audit_log_holds_each_create_once(stack: LocalStack) -> None:
    """Counting effects there does not depend on what we say about ourselves."""
    for number in range(3):
        await kubectl(stack.kubeconfig, "create", "configmap", f"counted-{number}")
    log = stack.kubernetes_audit_log or Path("absent")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    created = sorted(
        entry["objectRef"]["name"]
        for entry in entries
        if entry["verb"] == "create" and entry["objectRef"].get("name", "").startswith("counted-")
    )

    assert created == ["counted-0", "counted-1", "counted-2"]


def was_restarted(stack: LocalStack, name: str) -> bool:
    """Tell whether a process was started again at least once."""
    return stack.supervisor[name].restarts > 0


async def test_objects_outlive_kill_9_of_etcd_and_of_the_server(stack: LocalStack) -> None:
    """Both come back on the same ports with the same data."""
    await kubectl(stack.kubeconfig, "create", "configmap", "kept")

    for name in ("etcd", "kube-apiserver"):
        await stack.supervisor.kill(name)
        await until(partial(was_restarted, stack, name), f"{name} starts again")
        await stack.supervisor.wait_ready(name)

    assert await kubectl(stack.kubeconfig, "get", "configmap", "kept", "-o", "name") == "configmap/kept"


async def test_the_server_ends_in_order_although_somebody_watches(stack: LocalStack) -> None:
    """It is told to, ends the watches and then itself: nothing waits until its time is up and kills it."""
    await kubectl(stack.kubeconfig, "create", "configmap", "watched")
    cluster = await connect_to(str(stack.kubeconfig))
    try:
        async with aclosing(cluster.watch(Resource("", "v1", "configmaps"), None, resource_version="0")) as events:
            await anext(events)
            await stack.supervisor.stop(API_SERVER)
    finally:
        await cluster.close()
    code = stack.supervisor[API_SERVER].process.exit_code
    await stack.supervisor.start(API_SERVER)
    await stack.supervisor.wait_ready(API_SERVER)

    assert code == 0
