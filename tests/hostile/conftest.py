"""One system for all hostile tests, apart from the other end-to-end tests: what is done to it here stays in its log."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kubernaut.local.stack import StackOptions
from tests.e2e.system import a_world
from tests.e2e.world import World


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def attacked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The system, one of each service."""
    home = tmp_path_factory.mktemp("attacked")
    async with a_world(StackOptions(name="hostile", home=home, audit_log=True)) as found:
        yield found
