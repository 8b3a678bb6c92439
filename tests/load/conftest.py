"""One system for all load tests, each of the four services under a limit of memory."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio

from tests.load.loaded import MOST, Loaded, a_loaded_world, folder_of_nats
from tests.load.memory_limits import MIB
from tests.load.small_disk import CannotMountError, SmallDisk, small_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DISK: Final = 512 * MIB
"""Some five times what all tests together store."""


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Loaded, SmallDisk | str]]:
    """The system, with few places for runs, so that a little is beyond what it can do at once; and the disk of NATS.

    Where that disk could not be made small, the reason instead: only the test that fills it needs it.
    """
    home = tmp_path_factory.mktemp("load")
    with ExitStack() as disks:
        try:
            disk: SmallDisk | str = disks.enter_context(small_disk(folder_of_nats(home), DISK))
        except CannotMountError as error:
            disk = str(error)
        async with a_loaded_world(home, most=MOST, environment={"KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "25"}) as found:
            yield found, disk


@pytest.fixture(scope="package")
def loaded(system: tuple[Loaded, SmallDisk | str]) -> Loaded:
    """The system that all load tests share."""
    return system[0]


@pytest.fixture(scope="package")
def disk(system: tuple[Loaded, SmallDisk | str]) -> SmallDisk:
    """The disk of NATS."""
    if isinstance(system[1], str):
        pytest.fail(f"a full disk cannot be tried without the right to mount one: {system[1]}")
    return system[1]
