"""The power of the broker's machine is cut: what was acknowledged is there, because each write is synced (F28)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubernaut.install_streams import install_streams
from runtime.errors import NotFoundError, UnavailableError
from runtime.nats_publish import Publisher
from runtime.nats_stored import from_api
from schemas.cloudevents import Event
from schemas.subjects import LOG
from tests.nats_server import administrator
from tests.storage.machine import Machine

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

MESSAGES = 300


async def acknowledged_and_lost(machine: Machine) -> tuple[int, int]:
    """Publish, keep a journal of what was acknowledged, cut the power; return how many that were, and are not there."""
    await machine.start()
    journal: list[tuple[int, str]] = []
    async with administrator(machine.url) as connection:
        await install_streams(connection)

        async def nobody(_stream: str, _subject: str) -> None:
            return None

        publisher = Publisher(connection, nobody)
        for number in range(MESSAGES):
            event = Event(subject="kubernaut.outcome.u1", id=f"e/{number}", type="t", source="/test", data=b"{}")
            published = await publisher.publish(event, None, None)
            journal.append((published.sequence, event.id))
    await machine.cut()
    async with administrator(machine.url) as connection:
        lost = 0
        for sequence, event_id in journal:
            try:
                answer = await connection.api(f"STREAM.MSG.GET.{LOG.name}", {"seq": sequence})
            except (NotFoundError, UnavailableError):  # the stream may be gone as a whole, with an error of its own
                lost += 1
            else:
                lost += from_api(LOG.name, answer).headers["ce-id"] != event_id
    return len(journal), lost


async def test_with_each_write_synced_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    """As the product configures its server (F28)."""
    machine = Machine(tmp_path, synced=True)
    try:
        acknowledged, lost = await acknowledged_and_lost(machine)
    finally:
        await machine.end()

    assert (MESSAGES, 0) == (acknowledged, lost)


async def test_with_the_servers_own_default_acknowledged_messages_are_lost(tmp_path: Path) -> None:
    """So the cut is one: without `sync_interval: always` the same test finds losses (F28)."""
    machine = Machine(tmp_path, synced=False)
    try:
        acknowledged, lost = await acknowledged_and_lost(machine)
    finally:
        await machine.end()

    assert MESSAGES == acknowledged
    assert lost > 0
