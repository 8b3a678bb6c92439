"""Carries out what was decided for a simulated execution: one API call at most, then it goes back on the board.

Never begins anything by itself: what to do is decided in `decide`, from the object alone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from kubernaut.simulator import metrics
from kubernaut.simulator.board import NEVER, Board
from kubernaut.simulator.course import ENDS
from kubernaut.simulator.decide import Delete, Hold, Leave, Release, Wait, Write, decide, script_of
from kubernaut.simulator.execution import ENDING, Execution
from runtime.errors import ConflictError, KubernautError, NotFoundError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Cluster
from schemas.names import EXECUTION_API, EXECUTION_KIND

ANNOTATIONS_KEPT_MS: Final = 5000
"""How long a workflow's annotations are believed before they are read again."""
WORKFLOWS_KEPT: Final = 2000
FIRST_RETRY_MS: Final = 200
LONGEST_RETRY_MS: Final = 30_000

Clock = Callable[[], int]
"""Milliseconds since 1970."""


class Executor:
    """Moves executions on, one call at a time each."""

    def __init__(
        self, cluster: Cluster, board: Board, *, scale: float, typical: Mapping[str, float], clock: Clock, log: Any
    ) -> None:
        """`scale`: factor on the typical durations, 0 to end each execution at once. `typical`: seconds an action."""
        self._cluster = cluster
        self._board = board
        self._scale = scale
        self._typical = typical
        self._clock = clock
        self._log = log
        self._annotations: OrderedDict[str, tuple[int, Mapping[str, str]]] = OrderedDict()

    async def move_on(self, execution: Execution) -> None:
        """Do what is due for an execution that was picked from the board, and put it back there. Never raises ours."""
        uid = execution.metadata.uid
        seen, due = execution.version, NEVER
        try:
            after, due = await self._step(execution)
            self._board.calm(uid)
            if after is not None:
                self._board.take(after, due)
                seen = after.version
        except NotFoundError:
            self._board.forget(uid)
        except KubernautError as error:
            due = self._clock() + self._wait_after(uid, error)
            self._log.warning("execution_not_moved", execution=execution.metadata.name, error=str(error))
        finally:
            self._board.put_back(uid, seen=seen, due=due, now=self._clock())

    async def _step(self, execution: Execution) -> tuple[Execution | None, int]:
        """One decision and its effect: the version after it, if there is one, and when the next is due."""
        annotations = await self._annotations_of(execution)
        script = script_of(execution, annotations, scale=self._scale, typical=self._typical)
        now = self._clock()
        earlier = self._board.claim(execution.spec.idempotency_key, execution.metadata.uid)
        match decide(execution, script, earlier, now):
            case Wait(until):
                return None, until
            case Leave():
                return None, NEVER
            case Delete():
                meta = execution.metadata
                await self._cluster.delete(EXECUTIONS, meta.namespace, meta.name, uid=meta.uid)
                self._log.info("execution_deleted", execution=meta.name, because=script.behaviour.source)
                return None, NEVER
            case Hold():
                return await self._keep(execution, [*execution.metadata.finalizers, ENDING]), now
            case Release():
                rest = [one for one in execution.metadata.finalizers if one != ENDING]
                return await self._keep(execution, rest), now
            case Write(status):
                return await self._write(execution, status), now

    async def _write(self, execution: Execution, status: dict[str, Any]) -> Execution:
        meta = execution.metadata
        body = {
            "apiVersion": EXECUTION_API,
            "kind": EXECUTION_KIND,
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "status": status,
        }
        try:
            answer = await self._cluster.replace_status(EXECUTIONS, meta.namespace, meta.name, body)
        except ConflictError:
            return await self._read_again(execution)
        self._told(execution, status)
        return msgspec.convert(answer, Execution)

    async def _keep(self, execution: Execution, finalizers: list[str]) -> Execution:
        """Replace the finalizers; others' are in the list, and the version makes sure that none of them is lost."""
        meta = execution.metadata
        body = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": finalizers}}
        try:
            answer = await self._cluster.patch(EXECUTIONS, meta.namespace, meta.name, body)
        except ConflictError:
            return await self._read_again(execution)
        return msgspec.convert(answer, Execution)

    async def _read_again(self, execution: Execution) -> Execution:
        """Return the version that somebody else made meanwhile."""
        meta = execution.metadata
        answer = await self._cluster.get(EXECUTIONS, meta.namespace, meta.name)
        if answer["metadata"]["uid"] != meta.uid:
            raise NotFoundError(f"execution {meta.name} is another one now")
        return msgspec.convert(answer, Execution)

    def _told(self, execution: Execution, status: dict[str, Any]) -> None:
        phase = status["phase"]
        if phase in ENDS:
            metrics.ENDED.labels(phase, execution.spec.action if execution.spec.action in self._typical else "").inc()
        self._log.info(
            "execution_moved",
            execution=execution.metadata.name,
            namespace=execution.metadata.namespace,
            action=execution.spec.action,
            phase=phase,
            simulated=True,
        )

    async def _annotations_of(self, execution: Execution) -> Mapping[str, str]:
        """Annotations of the execution's workflow, read again when they are old; the last known when that one is gone.

        None when nobody has seen it: an executor that is started after that knows nothing of it.
        """
        parent, now = execution.spec.workflow_execution_ref, self._clock()
        kept = self._annotations.get(parent.uid)
        if kept is not None and now - kept[0] < ANNOTATIONS_KEPT_MS:
            return kept[1]
        found = {} if kept is None else kept[1]
        try:
            workflow = await self._cluster.get(WORKFLOWS, execution.metadata.namespace, parent.name)
            if workflow["metadata"].get("uid") == parent.uid:
                found = workflow["metadata"].get("annotations") or {}
        except NotFoundError:
            pass
        self._annotations[parent.uid] = (now, found)
        self._annotations.move_to_end(parent.uid)
        if len(self._annotations) > WORKFLOWS_KEPT:
            self._annotations.popitem(last=False)
        return found

    def _wait_after(self, uid: str, error: KubernautError) -> int:
        """Milliseconds to wait: what the API asked for, else doubled at each failure in a row."""
        if isinstance(error, UnavailableError) and error.retry_after is not None:
            return math.ceil(error.retry_after * 1000)
        return min(LONGEST_RETRY_MS, FIRST_RETRY_MS << min(self._board.trouble(uid), 10))
