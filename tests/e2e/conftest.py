"""One system for all end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kubernaut.local.stack import StackOptions
from tests.e2e.system import a_world
from tests.e2e.world import World


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The system, one of each service."""
    home: Path = tmp_path_factory.mktemp("system")
    async with a_world(StackOptions(name="e2e", home=home, audit_log=True)) as found:
        yield found
