"""One system for all tests of failpoints on real servers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.failpoints.lane import Matrix, Result, a_matrix


def told(result: Result) -> None:
    """Show with a failure which cells came before it."""
    sys.stdout.write(f"{result.seconds:5.1f} s  {result.cell.order}\n")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def matrix(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Matrix]:
    """A system in which every kind of run has ended well once."""
    async with a_matrix(tmp_path_factory.mktemp("failpoints"), told) as found:
        yield found
