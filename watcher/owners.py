"""Keeps the end of an execution that went with its workflow behind the end of the workflow, as it was in the cluster.

Each resource has a watch of its own: after a restart, or when one of them is slow, what happened second may be read
first. A run would then fail of executions that were deleted, where in truth its workflow was. Must keep back nothing
but the deletions of executions that had not ended, and none of them for ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from runtime.backoff import Backoff
from runtime.errors import KubernautError, NotFoundError, UnavailableError
from runtime.kinds import WORKFLOWS
from schemas.messages import WorkflowChanged, decode
from schemas.subjects import LOG, workflow_change
from schemas.workflow_status import TERMINAL_PHASES
from watcher.known import DELETED
from watcher.objects import is_deleting, read, workflow_name

if TYPE_CHECKING:
    import structlog

    from runtime.ports import Log, Stored
    from watcher.api import Api
    from watcher.changes import Sighting
    from watcher.objects import Seen

KEPT_SECONDS: Final = 30.0
"""How long a deletion is kept back at most: the watch of workflows may be away for longer, and runs have timeouts."""
_LOOK: Final = 0.05
"""First bound, in seconds, of the pause before the log or the API server is asked again."""


class Owners:
    """What the deletion of an execution waits for."""

    def __init__(
        self, cluster: Api, log: Log, say: structlog.typing.FilteringBoundLogger, *, most: float = KEPT_SECONDS
    ) -> None:
        """`say` is the service's logger; `most`: seconds for which a deletion is kept back at most."""
        self._cluster = cluster
        self._log = log
        self._say = say
        self._most = most

    async def first(self, sighting: Sighting) -> None:
        """Return once the log may be told: at once, unless the workflow went first and the log does not say so yet."""
        seen = sighting.seen
        name = workflow_name(seen)
        if not sighting.deleted or not name or seen.progress().phase in TERMINAL_PHASES:
            return
        try:
            async with asyncio.timeout(self._most):
                await self._until_told(seen, name)
        except TimeoutError:
            self._say.warning("told_before_its_workflow", execution=seen.uid, workflow=seen.workflow)

    async def _until_told(self, seen: Seen, name: str) -> None:
        backoff, goes = Backoff(first=_LOOK, most=1.0), False
        while True:
            try:
                last = await self._log.last(LOG.name, workflow_change(seen.namespace, seen.workflow))
                if last is None or _tells_its_end(last):
                    return
                goes = goes or await self._goes(seen, name)
                if not goes:
                    return
            except UnavailableError:
                pass  # what cannot be asked now is asked again
            await asyncio.sleep(backoff.next())

    async def _goes(self, seen: Seen, name: str) -> bool:
        """Whether the workflow is gone, or about to be. Raises UnavailableError."""
        try:
            meta = (await self._cluster.get(WORKFLOWS, seen.namespace, name))["metadata"]
        except NotFoundError:
            return True
        except UnavailableError:
            raise
        except KubernautError as error:  # without the right to ask, it is told as it is
            self._say.warning("workflow_not_asked", workflow=seen.workflow, reason=str(error))
            return False
        return meta["uid"] != seen.workflow or "deletionTimestamp" in meta


def _tells_its_end(last: Stored) -> bool:
    """Whether the last that the log has of a workflow is its deletion, or that it is being deleted."""
    if DELETED in last.headers:
        return True
    try:
        body = decode(last.headers.get("ce-type", ""), last.data)
        return not isinstance(body, WorkflowChanged) or is_deleting(read(WORKFLOWS.plural, body.object))
    except (ValueError, msgspec.MsgspecError):
        return True  # none of our messages: no word of its end will stand there
