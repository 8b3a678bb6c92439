"""Write a workflow's status: the newest decision in hand, never over a newer one, at most 5 a second (G7).

The resourceVersion of every write is one at which the status is known to be older: that of an answer whose sequence was
looked at, or the one that the decision itself took in, at which only earlier decisions can have been shown.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from executor_bridge.handlers.finalizers import Seen, seen_in
from executor_bridge.metrics import CONFLICTS, STATUS_SUPERSEDED, STATUS_WRITES
from executor_bridge.patience import persist
from executor_bridge.status import status_of
from runtime.errors import ConflictError, NotFoundError
from runtime.kinds import WORKFLOWS
from schemas.names import WORKFLOW_API, WORKFLOW_KIND

if TYPE_CHECKING:
    from executor_bridge.context import Context
    from executor_bridge.gather import Definitions
    from runtime.ports import Object
    from schemas.messages import Decision

KNOWN: Final = 16_384
"""Workflows whose resourceVersion is remembered, about a KB each: those of a long queue too. One that was forgotten
costs a refused write, a read and a second write, just when there is most to do."""

TRIES_AT_ONCE: Final = 4
"""Writes of a status before a pause. One of them gets through against somebody who writes 20 times a second."""


class _Shown:
    """What this process knows of one workflow's status."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        """Of the last answer."""
        self.sequence = 0
        """status.sequence in it."""
        self.phase = ""
        self.newest = 0
        """Version of the newest decision that was to be shown; when that failed, its message comes again."""
        self.not_before = 0.0
        self.lock = asyncio.Lock()
        """Of those who show, one after the other, pauses included."""
        self.writing = asyncio.Lock()
        """Of each single write to the object: two at once expect the same version, and one is refused."""
        self.newer = asyncio.Event()
        """A newer decision came than the one that is waiting."""


class Board:
    """Shows decisions. Those of one workflow in turn, workflows side by side."""

    def __init__(self, context: Context, definitions: Definitions) -> None:
        """`definitions`: names and actions of the steps."""
        self._context = context
        self._definitions = definitions
        self._known: OrderedDict[str, _Shown] = OrderedDict()

    def note(self, workflow_uid: str, answer: Object | None) -> None:
        """Take in an answer of the API server about a workflow, so that the next write needs no read."""
        if answer is None or answer["metadata"]["uid"] != workflow_uid:
            return
        shown, seen = self._of(workflow_uid), seen_in(answer)
        if shown.seen is None or seen.version > shown.seen.version:
            status = answer.get("status") or {}
            shown.seen, shown.sequence = seen, status.get("sequence") or 0

    def seen(self, workflow_uid: str) -> Seen | None:
        """What the last answer said of the workflow's finalizers; it may have changed since."""
        return self._of(workflow_uid).seen

    def writing(self, workflow_uid: str) -> asyncio.Lock:
        """Held while this process writes to the workflow; taken before a place among the calls, never after."""
        return self._of(workflow_uid).writing

    async def show(self, decision: Decision, until: float) -> bool:
        """Return once this decision, or a newer one, is shown or is on a message that is still in hand.

        True when this one was shown here. Raises TimeUpError, ForbiddenError, RefusedError.
        """
        shown = self._of(decision.workflow.uid)
        if decision.version < shown.newest:
            STATUS_SUPERSEDED.inc()
            return False
        shown.newest = decision.version
        shown.newer.set()
        async with shown.lock:
            return await self._show(shown, decision, until)

    async def _show(self, shown: _Shown, decision: Decision, until: float) -> bool:
        if not _superseded(shown, decision) and decision.state.phase == shown.phase:
            shown.newer.clear()
            await self._wait(shown)
        if _superseded(shown, decision):
            STATUS_SUPERSEDED.inc()
            return False
        definition = await persist(self._context.limits, until, lambda _tries: self._definitions.of(decision))
        status = msgspec.to_builtins(status_of(decision, definition))
        await persist(self._context.limits, until, lambda _tries: self._write(shown, decision, status))
        shown.phase = decision.state.phase
        shown.not_before = asyncio.get_running_loop().time() + self._context.limits.status_interval
        return True

    @staticmethod
    async def _wait(shown: _Shown) -> None:
        """Wait until a status may be written again, or until a newer decision takes the place of this one."""
        wait = shown.not_before - asyncio.get_running_loop().time()
        if wait > 0:
            try:
                async with asyncio.timeout(wait):
                    await shown.newer.wait()
            except TimeoutError:
                return

    async def _write(self, shown: _Shown, decision: Decision, status: Object) -> None:
        """Write it; after a conflict look and write again at once, for whoever writes often wins against pauses."""
        async with shown.writing, self._context.behind:
            for tries in range(TRIES_AT_ONCE):
                # Other work of this process may have noted a newer status meanwhile, and its resourceVersion with it.
                if _superseded(shown, decision):
                    STATUS_SUPERSEDED.inc()
                    return
                if (tries or not _version(shown, decision)) and not await self._look(shown, decision):
                    return
                try:
                    await self._replace(shown, decision, status)
                except NotFoundError:
                    return
                except ConflictError:
                    CONFLICTS.labels("status").inc()
                    if tries + 1 == TRIES_AT_ONCE:
                        raise
                else:
                    return

    async def _replace(self, shown: _Shown, decision: Decision, status: Object) -> None:
        workflow = decision.workflow
        body = _body(decision, _version(shown, decision), status)
        answer = await self._context.api.replace_status(WORKFLOWS, workflow.namespace, workflow.name, body)
        self.note(workflow.uid, answer)
        STATUS_WRITES.inc()

    async def _look(self, shown: _Shown, decision: Decision) -> bool:
        """Read the workflow; whether it is there and shows an older decision than this."""
        workflow = decision.workflow
        try:
            found = await self._context.api.get(WORKFLOWS, workflow.namespace, workflow.name)
        except NotFoundError:
            return False
        if found["metadata"]["uid"] != workflow.uid:
            return False
        self.note(workflow.uid, found)
        return not _superseded(shown, decision)

    def _of(self, workflow_uid: str) -> _Shown:
        shown = self._known.get(workflow_uid)
        if shown is None:
            shown = self._known[workflow_uid] = _Shown()
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(workflow_uid)
        return shown


def _superseded(shown: _Shown, decision: Decision) -> bool:
    return shown.sequence >= decision.version or shown.newest > decision.version


def _version(shown: _Shown, decision: Decision) -> int:
    return max(shown.seen.version if shown.seen else 0, decision.state.object_version)


def _body(decision: Decision, version: int, status: Object) -> Object:
    workflow = decision.workflow
    return {
        "apiVersion": WORKFLOW_API,
        "kind": WORKFLOW_KIND,
        "metadata": {
            "name": workflow.name,
            "namespace": workflow.namespace,
            "uid": workflow.uid,
            "resourceVersion": str(version),
        },
        "status": status,
    }
