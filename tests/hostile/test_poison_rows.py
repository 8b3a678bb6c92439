"""Rows that PostgreSQL will not take, in a batch of five hundred: the others are stored as they are (F48, G9)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import subjects
from tests.e2e.world import World, until
from tests.hostile.poison import Poison
from tests.hostile.test_poison import put
from tests.nats_server import administrator

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

ROWS = 500
BAD = {
    100: b'{"a":"\\u0000"}',
    200: b'{"a":"\\ud800"}',
    300: b'{"a":1e400000}',
    400: b'{"\xff":1}',
}
"""By their place in the batch: what jsonb does not hold, or what is no JSON."""


async def test_one_bad_row_costs_no_other_its_place(attacked: World) -> None:
    """Every message has its row; the bad ones are kept as the bytes that they are, whatever PostgreSQL says of them."""
    subject = subjects.watch_story("f48")
    await attacked.stack.supervisor.stop("auditor")
    async with administrator(str(attacked.stack.nats_url)) as connection:
        for number in range(ROWS):
            data = BAD.get(number, json.dumps({"row": number}).encode())
            await put(connection, Poison(kind="row", subject=subject, data=data, buried_by=()))
    await attacked.stack.supervisor.start("auditor")

    async def stored() -> list[Any]:
        query = "SELECT raw, body IS NULL AS bare FROM audit_message WHERE subject = $1 ORDER BY stream_sequence"
        return list(await attacked.database.fetch(query, subject))

    async def quarantined() -> list[bytes]:
        return [bytes(row["raw"]) for row in await attacked.database.fetch("SELECT raw FROM audit_quarantine")]

    async def all_there() -> bool:
        return len(await stored()) + len(await quarantined()) == ROWS

    await until(all_there, "a row for each message", 120)
    whole = [bytes(row["raw"]) for row in await stored() if not row["bare"]]
    bare = [bytes(row["raw"]) for row in await stored() if row["bare"]] + await quarantined()
    assert [json.dumps({"row": n}).encode() for n in range(ROWS) if n not in BAD] == whole
    assert sorted(BAD.values()) == sorted(bare)
    await attacked.all_ready()
