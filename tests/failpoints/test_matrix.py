"""Every effect of every service once, with what happens there drawn, on real servers and real processes (F1, F2, F3).

The whole matrix is `python -m tests.failpoints`.
"""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from runtime.failpoint_sites import EFFECTS
from tests.failpoints.cells import drawn
from tests.failpoints.lane import Matrix, lanes

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="session")]

SEED = int(os.environ.get("KUBERNAUT_FAILPOINTS_SEED", "1"))


async def test_nothing_is_lost_and_nothing_twice_whatever_dies_at_whatever_effect(matrix: Matrix) -> None:
    """Every run ends as it does without faults, each execution created once, one audit row for each message."""
    sys.stdout.write(f"KUBERNAUT_FAILPOINTS_SEED={SEED}\n")
    cells = drawn(SEED)

    async with asyncio.TaskGroup() as group:
        for lane in lanes(cells):
            group.create_task(matrix.lane(lane))
    await matrix.finish()

    assert len(cells) == len([result for result in matrix.results if result.fired])


async def test_the_effects_that_take_place_are_those_of_the_table(matrix: Matrix) -> None:
    """No service has an effect that is not in it, and none in it is of no service."""
    passed = {site.rpartition(".")[0] for site in matrix.passed()}

    assert {f"{service}.{effect}" for service, effects in EFFECTS.items() for effect in effects} == passed
