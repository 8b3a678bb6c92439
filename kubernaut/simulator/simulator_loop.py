"""The endless loops of the simulated executor: one watches, one hands out what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any, Final

import msgspec

from kubernaut.simulator import metrics
from kubernaut.simulator.apply import Clock, Executor
from kubernaut.simulator.board import Board
from kubernaut.simulator.execution import Execution, decode
from runtime.backoff import Backoff
from runtime.errors import KubernautError, UnavailableError
from runtime.health import Dependency
from runtime.kinds import EXECUTIONS
from runtime.ports import Cluster

SIDE_BY_SIDE: Final = 16
"""API calls in flight at once."""
SHORT_WATCH_MS: Final = 1000


class Watching:
    """Keeps the board in step with the cluster: list, watch, and list anew after any trouble."""

    def __init__(
        self, cluster: Cluster, board: Board, *, clock: Clock, news: asyncio.Event, health: Dependency, log: Any
    ) -> None:
        """`news` is set whenever the board may have something new to hand out."""
        self._cluster = cluster
        self._board = board
        self._clock = clock
        self._news = news
        self._health = health
        self._log = log

    async def watch_loop(self, namespace: str | None, listed: asyncio.Event) -> None:
        """Follow one namespace (None: all) for ever; `listed` is set once the first list is complete."""
        backoff = Backoff()
        while True:
            try:
                version = await self._list(namespace)
                self._health.ok()
                listed.set()
                backoff.reset()
                while True:
                    version = await self._watch_for_a_while(namespace, version, backoff)
            except KubernautError as error:
                self._health.failed(str(error))
                asked = error.retry_after if isinstance(error, UnavailableError) else None
                wait = max(asked or 0.0, backoff.next())
                self._log.warning("watch_ended", namespace=namespace, error=str(error), listing_again_in=round(wait, 3))
                await asyncio.sleep(wait)

    async def _watch_for_a_while(self, namespace: str | None, version: str, backoff: Backoff) -> str:
        """Watch once; wait after a watch that ended at once, because a server that does so would be asked on and on."""
        began = self._clock()
        version = await self._watch(namespace, version)
        if self._clock() - began < SHORT_WATCH_MS:
            await asyncio.sleep(backoff.next())
        else:
            backoff.reset()
        return version

    async def _list(self, namespace: str | None) -> str:
        metrics.RELISTED.inc()
        uids: set[str] = set()
        page = await self._cluster.list(EXECUTIONS, namespace)
        while True:
            for item in page.items:
                uid = self._take(item)
                if uid:
                    uids.add(uid)
            if not page.next_page:
                break
            page = await self._cluster.list(EXECUTIONS, namespace, next_page=page.next_page)
        self._board.keep_only(namespace, uids)
        self._news.set()
        return page.resource_version

    async def _watch(self, namespace: str | None, version: str) -> str:
        """Watch until the server ends the stream in order; the version to go on from."""
        async with aclosing(self._cluster.watch(EXECUTIONS, namespace, resource_version=version)) as events:
            async for event in events:
                if event.type == "DELETED":
                    self._board.forget(_uid_of(event.object))
                elif event.type != "BOOKMARK":
                    self._take(event.object)
                    self._news.set()
                version = _version_of(event.object) or version
        return version

    def _take(self, item: msgspec.Raw) -> str:
        try:
            execution = decode(item)
        except msgspec.MsgspecError as error:
            self._log.warning("execution_not_read", error=str(error))
            return _uid_of(item)
        self._board.take(execution, self._clock())
        return execution.metadata.uid


async def work_loop(
    board: Board, executor: Executor, *, clock: Clock, news: asyncio.Event, listed: Iterable[asyncio.Event]
) -> None:
    """Hand out what is due, for ever; at most `SIDE_BY_SIDE` are in hand at once.

    Starts once all is `listed`, so that every idempotency key that is in the cluster is known before one is used.
    """
    for complete in listed:
        await complete.wait()
    slots = asyncio.Semaphore(SIDE_BY_SIDE)

    async def work(picked: Execution) -> None:
        try:
            await executor.move_on(picked)
        finally:
            slots.release()
            news.set()

    async with asyncio.TaskGroup() as group:
        while True:
            await slots.acquire()
            while (execution := board.pick(clock())) is None:
                due = board.next_due()
                news.clear()
                await _either(news, None if due is None else max(0, due - clock()) / 1000)
            group.create_task(work(execution))


async def _either(news: asyncio.Event, seconds: float | None) -> None:
    """Wait for news, at most `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return


class _Named(msgspec.Struct, frozen=True, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Named = _Named()


_NAMES = msgspec.json.Decoder(_Object)


def _uid_of(item: msgspec.Raw) -> str:
    return _NAMES.decode(item).metadata.uid


def _version_of(item: msgspec.Raw) -> str:
    return _NAMES.decode(item).metadata.resource_version
