"""One system for all load tests, each of the four services under a limit of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.load.loaded import MOST, Loaded, a_loaded_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def loaded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Loaded]:
    """The system, with few places for runs, so that a little is beyond what it can do at once."""
    home = tmp_path_factory.mktemp("load")
    environment = {"KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "25"}
    async with a_loaded_world(home, most=MOST, environment=environment) as found:
        yield found
