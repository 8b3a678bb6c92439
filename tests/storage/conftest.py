"""One system for all tests of lost storage, which it survives one after the other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kubernaut.local.stack import StackOptions
from tests.e2e.system import a_system
from tests.e2e.world import World


@pytest_asyncio.fixture(scope="package", loop_scope="session")
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
