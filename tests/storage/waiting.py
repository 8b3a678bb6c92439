"""Waiting for the audit to hold the log as it is now, whatever was lost before."""

from __future__ import annotations

import msgspec

from schemas.subjects import LOG
from tests.e2e.world import World, until
from tests.nats_server import administrator


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
