"""Where the contract of the cluster is tried: on the fake, and on a real kube-apiserver with its controllers."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Protocol, Self

from kubernaut.install_crds import install_crds
from runtime.cluster import ClusterClient, connect
from runtime.errors import AlreadyExistsError
from runtime.ports import Resource
from runtime.settings import read
from tests.fakes.cluster import FakeCluster

if TYPE_CHECKING:
    from runtime.ports import Cluster

NAMESPACES = Resource("", "v1", "namespaces")


class World(Protocol):
    """An API server."""

    @property
    def cluster(self) -> Cluster:
        """The port."""
        ...

    @property
    def namespace(self) -> str:
        """A namespace of the test's own."""
        ...

    def forget(self) -> str:
        """Return a resourceVersion that the server has forgotten."""
        ...

    def collect(self) -> None:
        """Have the garbage collector look now, where it does not by itself."""
        ...


class FakeWorld:
    """The fake."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cluster.missing_namespaces.add("missing")
        self.namespace = "shop"

    def forget(self) -> str:
        """See `World.forget`."""
        before = str(self.cluster.newest)
        self.cluster.skip_versions(1)
        self.cluster.compact()
        return before

    def collect(self) -> None:
        """See `World.collect`."""
        self.cluster.collect()


class RealWorld:
    """A real one, with both resource definitions."""

    cluster: ClusterClient

    def __init__(self, kubeconfig: str) -> None:
        self._settings = read({"KUBECONFIG": kubeconfig, "NATS_URL": "nats://nowhere"})
        self.namespace = f"test-{uuid.uuid4().hex[:12]}"

    async def __aenter__(self) -> Self:
        """Connect, make the definitions and the namespace."""
        self.cluster = await connect(self._settings)
        async with asyncio.timeout(60):
            await install_crds(self.cluster)
        try:
            await self.cluster.create(NAMESPACES, "", {"metadata": {"name": self.namespace}})
        except AlreadyExistsError as error:
            raise AssertionError(self.namespace) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the namespace go, with all that is in it."""
        found = await self.cluster.get(NAMESPACES, "", self.namespace)
        await self.cluster.delete(NAMESPACES, "", self.namespace, uid=found["metadata"]["uid"])
        await self.cluster.close()

    def forget(self) -> str:
        """See `World.forget`: the watch cache of a resource begins when the resource was defined, and 1 was before."""
        return "1"

    def collect(self) -> None:
        """See `World.collect`: it does by itself."""
