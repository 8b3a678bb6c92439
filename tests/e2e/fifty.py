"""Fifty ten-step runs, to be disturbed in the middle."""

from __future__ import annotations

from typing import Any

from tests.e2e.world import World, a_workflow, ten_steps

RUNS = 50


async def fifty_runs(world: World, prefix: str, take: str, **fields: Any) -> list[str]:
    """Apply fifty ten-step graphs whose steps take a while; return when they are well under way.

    `fields`: of each step, beside those that it has.
    """
    steps = [step | fields for step in ten_steps()]
    names = await world.apply(
        *(a_workflow(f"{prefix}-{n}", steps, simulate={"all-steps": f"take:{take}"}) for n in range(RUNS))
    )
    await world.under_way(names, enough=RUNS // 2)
    return names
