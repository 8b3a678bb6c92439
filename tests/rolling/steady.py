"""As many workflows as asked for, all the time: for each that has ended another one is applied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from runtime.errors import AlreadyExistsError, UnavailableError
from runtime.kinds import WORKFLOWS
from tests.e2e.world import a_step, a_workflow
from tests.simulation.workflows import NAMESPACE

if TYPE_CHECKING:
    from runtime.cluster import ClusterClient
    from tests.chaos.truth import Truth

STEPS: Final = (a_step(1), a_step(2, 1))
_PACE_SECONDS: Final = 0.05


class Steady:
    """Graphs of one step after the other, whose executor takes `take` for each and does well."""

    def __init__(self, cluster: ClusterClient, truth: Truth, *, many: int, take: str) -> None:
        self._cluster = cluster
        self._truth = truth
        self._many = many
        self._take = take
        self.names: list[str] = []
        """Of all that were applied."""

    async def keep(self, stop: asyncio.Event) -> None:
        """Keep so many running until `stop`."""
        while not stop.is_set():
            missing = self._many - self.running
            await asyncio.gather(*(self._apply(f"rolling-{len(self.names) + n}") for n in range(missing)))
            await asyncio.sleep(_PACE_SECONDS)

    @property
    def running(self) -> int:
        """How many were applied and have not ended."""
        return len(self.names) - sum(run.ended for run in self._truth.runs.values())

    async def _apply(self, name: str) -> None:
        """Apply one, however often it takes: by its name it is there once."""
        body = a_workflow(name, list(STEPS), simulate={"all-steps": f"take:{self._take}"})
        body["metadata"]["namespace"] = NAMESPACE
        self.names.append(name)
        while True:
            try:
                await self._cluster.create(WORKFLOWS, NAMESPACE, body)
            except AlreadyExistsError:  # the answer to the request before was lost
                return
            except UnavailableError:
                await asyncio.sleep(_PACE_SECONDS)
            else:
                return
