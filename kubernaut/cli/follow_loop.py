"""Follows runs in the cluster until each has ended or is gone: get, watch, and get again after any trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from kubernaut.cli.view import RunView, view_of
from runtime.backoff import Backoff
from runtime.errors import ForbiddenError, KubernautError, NotFoundError
from runtime.kinds import WORKFLOWS
from runtime.ports import Cluster


class Run(msgspec.Struct, frozen=True):
    """One run to follow."""

    namespace: str
    name: str
    uid: str


class Follower:
    """Who is told; methods of a display. Must not block."""

    def seen(self, view: RunView) -> None:
        """Take in a version of a run, newer than the one before or equal to it."""

    def gone(self, run: Run) -> None:
        """Take in that a run was deleted before it ended."""

    def trouble(self, message: str) -> None:
        """Take in that the cluster cannot be read now; empty when it can again."""


async def follow(cluster: Cluster, runs: Sequence[Run], follower: Follower) -> None:
    """Tell `follower` of every version of the runs; return when all have ended or are gone.

    Raises ForbiddenError; any other trouble is told and waited out.
    """
    namespaces: dict[str, dict[str, Run]] = {}
    for run in runs:
        namespaces.setdefault(run.namespace, {})[run.uid] = run
    try:
        async with asyncio.TaskGroup() as group:
            for namespace, open_ in namespaces.items():
                group.create_task(_Following(cluster, namespace, open_, follower).loop())
    except* ForbiddenError as errors:
        raise errors.exceptions[0] from None


class _Following:
    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        open_: dict[str, Run],
        follower: Follower,
        backoff: Backoff | None = None,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._open = open_
        self._follower = follower
        self._backoff = backoff or Backoff()
        self._newest: dict[str, int] = {}

    async def loop(self) -> None:
        while self._open:
            try:
                version = await self._read()
                self._follower.trouble("")
                self._backoff.reset()
                while self._open:
                    version = await self._watch(version)
            except ForbiddenError:
                raise
            except KubernautError as error:
                self._follower.trouble(str(error))
                await asyncio.sleep(self._backoff.next())

    async def _read(self) -> str:
        """Read every open run as it is now; the version to watch from, which is not newer than what was read."""
        page = await self._cluster.list(WORKFLOWS, self._namespace, limit=1)
        for run in list(self._open.values()):
            try:
                body = await self._cluster.get(WORKFLOWS, run.namespace, run.name)
            except NotFoundError:
                self._gone(run)
                continue
            if body["metadata"].get("uid") == run.uid:
                self._take(body)
            else:
                self._gone(run)
        return page.resource_version

    async def _watch(self, version: str) -> str:
        events = self._cluster.watch(WORKFLOWS, self._namespace, resource_version=version)
        async with aclosing(events):
            async for event in events:
                body: dict[str, Any] = msgspec.json.decode(event.object)
                version = body["metadata"].get("resourceVersion", version)
                run = self._open.get(body["metadata"].get("uid", ""))
                if run is None:
                    continue
                self._take(body)
                if event.type == "DELETED" and run.uid in self._open:
                    self._gone(run)
                if not self._open:
                    break
        return version

    def _take(self, body: dict[str, Any]) -> None:
        view = view_of(body)
        version = _number(body)
        if version < self._newest.get(view.uid, 0):
            return  # the watch starts before what was read, and repeats what led there
        self._newest[view.uid] = version
        self._follower.seen(view)
        if view.has_ended:
            self._open.pop(view.uid, None)

    def _gone(self, run: Run) -> None:
        del self._open[run.uid]
        self._follower.gone(run)


def _number(body: dict[str, Any]) -> int:
    """The resourceVersion; versions of one object may be compared as numbers (Kubernetes 1.35, KEP-5504)."""
    version = str(body["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0
