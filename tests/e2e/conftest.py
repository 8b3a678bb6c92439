"""One system for all end-to-end tests: real etcd, kube-apiserver, nats-server, PostgreSQL, the four services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from kubernaut.local.stack import LocalStack, StackOptions
from runtime.cluster import connect
from runtime.settings import Settings

pytest.register_assert_rewrite("tests.e2e.world")

from tests.e2e.world import InFlight, World  # noqa: E402 - after its assertions were made to speak


@asynccontextmanager
async def a_world(options: StackOptions) -> AsyncIterator[World]:
    """Start a stack and the eyes on it; end all of it."""
    async with LocalStack(options) as stack:
        assert stack.nats_url
        cluster = await connect(Settings(nats_url=stack.nats_url, kubeconfig=str(stack.kubeconfig)))
        database = await asyncpg.connect(stack.database_url)
        watch = InFlight(cluster)
        following = asyncio.create_task(watch.follow())
        try:
            yield World(stack, cluster, database, watch)
        finally:
            following.cancel()
            await database.close()
            await cluster.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The system, one of each service."""
    home: Path = tmp_path_factory.mktemp("system")
    async with a_world(StackOptions(name="e2e", home=home, audit_log=True)) as found:
        yield found
