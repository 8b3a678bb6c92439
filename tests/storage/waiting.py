"""Waiting for runs to be under way, and for the audit to hold the log as it is now, whatever was lost before."""

from __future__ import annotations

import msgspec

from schemas.subjects import LOG
from tests.e2e.world import World, a_workflow, ten_steps, until
from tests.nats_server import administrator

RUNS = 4


async def under_way(world: World, prefix: str) -> list[str]:
    """Apply a few runs whose steps take a while; return when each is past its first step."""
    names = await world.apply(
        *(a_workflow(f"{prefix}-{n}", ten_steps(), simulate={"all-steps": "take:2s"}) for n in range(RUNS))
    )
    await world.under_way(names)
    return names


async def the_audit_holds_the_log(world: World) -> None:
    """One row for each message that the log has now, those that were brought back included."""

    async def complete() -> bool:
        async with administrator(world.stack.nats_url or "") as connection:
            state = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))["state"]
        rows = await world.database.fetchval(
            "SELECT count(*) FROM audit_accounted WHERE stream_sequence BETWEEN $1 AND $2",
            state["first_seq"],
            state["last_seq"],
        )
        return bool(rows == state["messages"])

    await until(complete, "one audit row for each message of the new log", 120)
