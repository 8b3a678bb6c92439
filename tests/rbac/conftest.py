"""One API server with the shipped roles in force for all tests of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.rbac.server import Server, a_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def server(kubeconfig: str) -> AsyncIterator[Server]:
    """Accounts with their roles in the whole cluster."""
    async with a_server(kubeconfig) as made:
        yield made
