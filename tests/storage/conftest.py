"""One system for all tests of lost storage, which it survives one after the other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from kubernaut.local.stack import LocalStack, StackOptions
from runtime.cluster import connect
from runtime.settings import Settings
from tests.e2e.world import InFlight, World


@asynccontextmanager
async def a_system(options: StackOptions) -> AsyncIterator[World]:
    """Start a stack and the eyes on it; unlike `a_world`, without a look at the public events, which may be lost."""
    async with LocalStack(options) as stack:
        assert stack.nats_url
        cluster = await connect(Settings(nats_url=stack.nats_url, kubeconfig=str(stack.kubeconfig)))
        database = await asyncpg.connect(stack.database_url)
        watch = InFlight(cluster)
        following = asyncio.create_task(watch.follow())
        try:
            await asyncio.wait_for(watch.watching.wait(), 60)
            yield World(stack, cluster, database, watch)
            if following.done():
                following.result()  # says why the watch ended
        finally:
            following.cancel()
            await database.close()
            await cluster.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The system, one of each service."""
    home: Path = tmp_path_factory.mktemp("storage")
    async with a_system(StackOptions(name="storage", home=home, audit_log=True)) as found:
        yield found


async def run(world: World, *arguments: str) -> tuple[int, str]:
    """Run a program of ours as an operator does, `python -m …`; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env={**os.environ, **world.stack.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, said.decode()
