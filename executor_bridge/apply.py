"""Carries out decisions: creates, other executions, the status, then the workflow itself; acknowledges after all of it.

Must never raise: what cannot be done now is given back, what never can be is told, what makes no sense is buried.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from executor_bridge import commands, decide, gather, metrics
from executor_bridge.context import Context, Order
from executor_bridge.handlers.show_status import Board
from executor_bridge.handlers.tell_events import tell_events
from executor_bridge.kube_events import events_of
from executor_bridge.patience import TimeUpError, persist
from runtime.deadletters import bury
from runtime.errors import ForbiddenError, RefusedError
from runtime.keyed import KeyedWork
from runtime.ports import Delivery
from schemas.cloudevents import traceparent
from schemas.messages import (
    TYPE_OF,
    Command,
    CreateExecution,
    Decision,
    DeleteWorkflow,
    HoldWorkflow,
    QueueDecided,
    ReleaseWorkflow,
    RunCheck,
)
from schemas.subjects import BRIDGE
from schemas.workflow_status import TERMINAL_PHASES

SIDE_BY_SIDE: Final = 64
FAILURES: Final = 5
"""How often a message may end in an error that nobody thought of before it is buried."""
_REMEMBERED: Final = 10_000
_LAST: Final = 2
_BESIDE: Final = 3
"""Ranks of commands: 0 and 1 before the status, then those after it, and those that nothing waits for."""


class InHand(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was taken from the log and is not acknowledged yet."""

    delivery: Delivery
    decision: Decision
    until: float
    """When it must be given back, on the loop's clock."""
    again: bool
    """Whether this process or another may have worked on it before."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the log said of a workflow, once for all of its decisions in hand."""

    newest: Decision
    looked_at: float
    """When it was asked, on the loop's clock."""


class Bridge:
    """Carries out the decisions that it is given; those of one workflow are taken together."""

    def __init__(self, context: Context) -> None:
        """`context`: the ports and limits."""
        self._context = context
        self._board = Board(context, gather.Definitions(context.log))
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[str, int] = {}
        self._newest_taken = 0
        self.work = KeyedWork(self._together, side_by_side=SIDE_BY_SIDE)

    async def take(self, delivery: Delivery) -> None:
        """Take a message in hand; the queue of runs asks nothing of the cluster, and what is no decision is buried."""
        if delivery.message.headers.get("ce-type", "") == TYPE_OF[QueueDecided]:
            await delivery.ack()
            return
        try:
            decision = gather.read_decision(delivery.message)
        except gather.UnreadableError as error:
            await self._bury(delivery, str(error))
            return
        until = asyncio.get_running_loop().time() + self._context.limits.hand
        again = self._came_before(delivery)
        self.work.add(decision.workflow.uid, InHand(delivery=delivery, decision=decision, until=until, again=again))

    def _came_before(self, delivery: Delivery) -> bool:
        """Whether a message may have been worked on, by this process or another.

        New ones come in the log's order: one that does not is of a consumer that somebody has made anew.
        """
        sequence, newest = delivery.message.sequence, self._newest_taken
        self._newest_taken = max(sequence, newest)
        return delivery.again or sequence <= newest

    async def finished(self, seconds: float) -> None:
        """Let what is in hand end for `seconds`; give back the rest."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            async with asyncio.timeout_at(until):
                await self.work.finished()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            self._context.logger.info("given_back", messages=self.work.pending + len(self._tasks))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    async def _together(self, uid: str, items: list[InHand]) -> None:
        """Find out once, for all waiting decisions of a workflow, what is still wanted; then carry them out."""
        looked_at = asyncio.get_running_loop().time()
        try:
            newest = await self._newest(uid, items)
        except TimeUpError:
            for item in items:
                await item.delivery.nak(self._context.limits.give_back)
            return
        except gather.UnreadableError as error:
            for item in items:
                await self._bury(item.delivery, f"what the workflow still wants cannot be known: {error}")
            return
        known = Known(newest=newest, looked_at=looked_at)
        for item in items:
            task = asyncio.get_running_loop().create_task(self._carry_out(item, known))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _newest(self, uid: str, items: list[InHand]) -> Decision:
        newest = max((item.decision for item in items), key=_version)
        if not any(decide.needs_last_decision(item.decision.commands) for item in items):
            return newest
        until = min(item.until for item in items)
        limits, log = self._context.limits, self._context.log
        last = await persist(limits, until, lambda _tries: gather.last_decision(log, uid))
        return newest if last is None else max(newest, last, key=_version)

    async def _carry_out(self, item: InHand, known: Known) -> None:
        try:
            done = await self._effects(item, known)
        except asyncio.CancelledError:
            await item.delivery.nak()
            raise
        except Exception as error:  # noqa: BLE001 - a message that nobody thought of must not stop the others (G11)
            await self._unforeseen(item, error)
        else:
            if done:
                await item.delivery.ack()
            else:
                await item.delivery.nak(self._context.limits.give_back)

    async def _effects(self, item: InHand, known: Known) -> bool:
        """Carry out a decision; whether all of it is done.

        Creates are on a step's way, so they go first. The workflow's finalizer and its end come after the status, whose
        answer saves a read. A stuck command holds up the rest only for a moment, and a check, which takes its time,
        holds up nothing.
        """
        decision, moment = item.decision, self._context.limits.creates_first
        by_rank: list[list[int]] = [[], [], [], []]
        for index, command in enumerate(decision.commands):
            by_rank[_rank(command)].append(index)
        tasks: list[asyncio.Task[bool]] = []
        async with asyncio.TaskGroup() as group:

            def start(indexes: list[int]) -> list[asyncio.Task[bool]]:
                begun = [group.create_task(self._command(item, index, known)) for index in indexes]
                tasks.extend(begun)
                return begun

            start(by_rank[_BESIDE])
            for indexes in by_rank[:_LAST]:
                if begun := start(indexes):
                    await asyncio.wait(begun, timeout=moment)
            if events := events_of(decision):
                group.create_task(tell_events(self._context, events, item.until))
            shown = await self._status(item, known.newest)
            start(by_rank[_LAST])
        return shown and all(task.result() for task in tasks)

    async def _command(self, item: InHand, index: int, known: Known) -> bool:
        headers = item.delivery.message.headers
        cause = headers.get("ce-id", "")
        order = Order(
            decision=item.decision,
            index=index,
            cause=cause,
            sequence=item.delivery.message.sequence,
            correlation_id=item.decision.correlation_id,
            traceparent=headers.get("ce-traceparent") or traceparent(item.decision.workflow.uid, cause),
            until=item.until,
            looked_at=known.looked_at,
            again=item.again,
        )
        began, tracer = time.time_ns(), self._context.tracer
        done = await commands.carry_out(self._context, self._board, order, known.newest)
        if done and tracer is not None:
            tracer.command(item.decision, index, cause, began)
        return done

    async def _status(self, item: InHand, newest: Decision) -> bool:
        """Show the decision, unless a newer one is on the log, whose own message shows it; False to try again later."""
        decision, context = item.decision, self._context
        work = f"{decision.workflow.uid}/{decision.version}/status"
        right = f"status in {decision.workflow.namespace}"
        if decision.state.gone or decision.version < newest.version:
            if not decision.state.gone:
                metrics.STATUS_SUPERSEDED.inc()
            context.forbidden.settled(work)
            return True
        try:
            if await self._board.show(decision, item.until):
                context.forbidden.granted(right)
        except TimeUpError as error:
            context.logger.warning("status_delayed", workflow=decision.workflow.uid, error=str(error))
            return False
        except ForbiddenError as error:
            final = decision.state.phase in TERMINAL_PHASES
            limit = context.limits.forbidden_end if final else context.limits.forbidden
            if context.forbidden.hopeful(work, right, asyncio.get_running_loop().time(), limit, str(error)):
                return False
            self._lost(decision, error)
        except RefusedError as error:
            self._lost(decision, error)
        context.forbidden.settled(work)
        return True

    def _lost(self, decision: Decision, error: RefusedError) -> None:
        metrics.STATUS_LOST.inc()
        self._context.logger.error(
            "status_refused", workflow=decision.workflow.uid, version=decision.version, error=str(error)
        )

    async def _unforeseen(self, item: InHand, error: Exception) -> None:
        message = item.delivery.message
        key = f"{message.subject}/{item.decision.version}"
        self._context.logger.error(
            "unforeseen_error", workflow=item.decision.workflow.uid, sequence=message.sequence, exc_info=error
        )
        self._failures[key] = count = self._failures.pop(key, 0) + 1
        if len(self._failures) > _REMEMBERED:
            del self._failures[next(iter(self._failures))]
        if count >= FAILURES:
            first = _first(error)
            await self._bury(item.delivery, f"{count} times {type(first).__name__}: {first}")
        else:
            await item.delivery.nak(self._context.limits.give_back)

    async def _bury(self, delivery: Delivery, error: str) -> None:
        self._context.logger.error("message_buried", sequence=delivery.message.sequence, error=error)
        await bury(self._context.log, delivery, consumer=BRIDGE.name, error=error)


def _version(decision: Decision) -> int:
    return decision.version


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _rank(command: Command) -> int:
    if isinstance(command, CreateExecution):
        return 0
    if isinstance(command, RunCheck):
        return _BESIDE
    return _LAST if isinstance(command, HoldWorkflow | ReleaseWorkflow | DeleteWorkflow) else 1
