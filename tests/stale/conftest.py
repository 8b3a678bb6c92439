"""One system for all tests here; before each its services are begun anew behind gates that spoil nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.stale.staleness", "tests.stale.objects")

from tests.stale.staleness import Staleness, a_stale_world  # noqa: E402 - after its assertions were made to speak

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stale.second_server import SecondServer


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def one_system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Staleness]:
    """The system."""
    async with a_stale_world(tmp_path_factory.mktemp("stale")) as stale:
        yield stale


@pytest_asyncio.fixture(loop_scope="session")
async def stale(one_system: Staleness) -> Staleness:
    """The system, well."""
    await one_system.healed()
    return one_system


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def second(one_system: Staleness) -> SecondServer:
    """The second API server, which only some tests need."""
    await one_system.second.start()
    return one_system.second
