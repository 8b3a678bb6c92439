"""The Kubernetes API as the handlers use it: one place that spares it for all of them and tells health.

Must never repeat a call: only the caller knows how to find out whether a write took effect.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from executor_bridge.gate import Gate, ShutError
from runtime.errors import KubernautError, UnavailableError

if TYPE_CHECKING:
    from runtime.health import Dependency
    from runtime.ports import Cluster, Object, Page, Patch, Resource

T = TypeVar("T")

_LONGEST_PAUSE: Final = 60.0
"""Seconds; a server that asks for more is asked again after this."""

_SHORTEST_SLEEP: Final = 0.001
"""Seconds; a rest that is smaller than the clock's step would be slept through again and again."""


class Api:
    """The calls of `runtime.ports.Cluster` that the bridge makes."""

    def __init__(self, cluster: Cluster, reachable: Dependency, gate: Gate | None = None) -> None:
        """`reachable`: the dependency that says whether the API answers; without a `gate` it is always asked."""
        self._cluster = cluster
        self._reachable = reachable
        self._gate = gate or Gate(enough=math.inf)
        self._free_at = 0.0
        self.answered_at = float("-inf")
        """When the API answered last, on the loop's clock."""

    @property
    def rests(self) -> bool:
        """Whether a call would wait now, because the server wants to be left alone."""
        return self._rest() > 0

    async def ready(self, *, trial: bool = False) -> None:
        """Return once a call would not wait. Raises ShutError while the gate is shut, unless it is for a `trial`."""
        while True:
            if self._gate.is_shut and not trial:
                raise ShutError(self._gate, self._reachable.detail)
            if (wait := self._rest()) <= 0:
                return
            await asyncio.sleep(max(wait, _SHORTEST_SLEEP))  # another call may move the time on meanwhile

    def _rest(self) -> float:
        return self._free_at - asyncio.get_running_loop().time()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        return await self._ask(lambda: self._cluster.get(resource, namespace, name))

    async def trial(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`; asked although the gate may be shut."""
        return await self._ask(lambda: self._cluster.get(resource, namespace, name), trial=True)

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """See `Cluster.list`."""
        return await self._ask(lambda: self._cluster.list(resource, namespace, limit=limit, next_page=next_page))

    async def version(self) -> Object:
        """See `Cluster.version`."""
        return await self._ask(self._cluster.version)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""
        return await self._ask(lambda: self._cluster.create(resource, namespace, body))

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""
        return await self._ask(lambda: self._cluster.replace_status(resource, namespace, name, body))

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """See `Cluster.patch`."""
        return await self._ask(lambda: self._cluster.patch(resource, namespace, name, body, kind=kind))

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """See `Cluster.delete`."""
        await self._ask(lambda: self._cluster.delete(resource, namespace, name, uid=uid))

    async def _ask(self, call: Callable[[], Awaitable[T]], *, trial: bool = False) -> T:
        now = asyncio.get_running_loop().time
        await self.ready(trial=trial)
        try:
            answer = await call()
        except UnavailableError as error:
            self._gate.unanswered(now())
            self._reachable.failed(str(error))
            if error.retry_after:
                self._free_at = max(self._free_at, now() + min(error.retry_after, _LONGEST_PAUSE))
            raise
        except KubernautError:
            self._answered(now())
            raise
        self._answered(now())
        return answer

    def _answered(self, now: float) -> None:
        self.answered_at = now
        self._gate.answered(now)
        self._reachable.ok()
