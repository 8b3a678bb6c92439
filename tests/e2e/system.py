"""A whole system and the eyes on it: real etcd, kube-apiserver, nats-server, PostgreSQL, the four services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import asyncpg

from kubernaut.local.stack import LocalStack, StackOptions
from runtime.cluster import connect
from runtime.nats_scan import scan
from runtime.settings import Settings
from schemas.subjects import EVENT_STREAM, EVENTS
from tests.e2e.world import InFlight, World
from tests.last_words import kept_in
from tests.nats_server import administrator
from tests.public_events import check_public
from tests.refusals import nats_refusals, refusals


@asynccontextmanager
async def a_world(options: StackOptions) -> AsyncIterator[World]:
    """Start a stack and the eyes on it, hold its public events against what is promised, end all of it."""
    async with a_system(options) as world:
        yield world
        assert world.stack.nats_url
        await public_events_are_as_promised(world.stack.nats_url)


@asynccontextmanager
async def a_system(options: StackOptions) -> AsyncIterator[World]:
    """Start a stack and the eyes on it; without a look at the public events, which may be lost where storage is.

    At the end the API server and NATS, where they are the stack's, must have refused nothing to the services: each has
    its own rights only.
    """
    async with LocalStack(options) as stack:
        assert stack.nats_url
        cluster = await connect(Settings(nats_url=stack.nats_url, kubeconfig=str(stack.kubeconfig)))
        database = await asyncpg.connect(stack.database_url)
        watch = InFlight(cluster)
        following = asyncio.create_task(watch.follow())
        try:
            await asyncio.wait_for(watch.watching.wait(), 60)
            with kept_in(stack.logs):
                yield World(stack, cluster, database, watch)
            if following.done():
                following.result()  # says why the watch ended
            if options.nats_url is None:  # a server of somebody else has its log elsewhere
                assert [] == nats_refusals(stack.logs)
            if stack.kubernetes_audit_log is not None:
                assert await asyncio.to_thread(refusals, stack.kubernetes_audit_log) == []
        finally:
            following.cancel()
            await database.close()
            await cluster.close()


async def public_events_are_as_promised(nats_url: str) -> None:
    """Every event that the system told fits the schemas, and each run's follow one another without a gap."""
    ordinals: dict[str, int] = {}
    async with (
        administrator(nats_url) as connection,
        aclosing(scan(connection, EVENT_STREAM.name, EVENTS, last_per_subject=False, start=1)) as events,
    ):
        async for event in events:
            check_public(event.subject, event.headers, event.data)
            uid, ordinal = event.subject.split(".")[3], int(event.headers["ce-ordinal"])
            assert ordinal == ordinals.get(uid, -1) + 1, f"event {event.sequence} of {uid}"
            ordinals[uid] = ordinal
