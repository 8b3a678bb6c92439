"""Three nats-servers, of which one that is behind answers about the log: nobody takes that for a loss (F30, F35)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import structlog

from auditor.newest import Newest
from kubernaut.install_streams import install_streams, stream_config
from kubernaut.install_vouch import note_of
from kubernaut.recovery.losses import sure_losses
from runtime import continuity
from runtime.continuity import STANDS_SECONDS, Seen
from runtime.errors import KubernautError, NotFoundError, UnavailableError
from runtime.nats_connection import Connection
from runtime.nats_continuity import Continuity, StorageRegressedError, remember
from runtime.nats_leader import info_of, message_of
from schemas.subjects import LOG, STORAGE_STREAM, STREAMS, watch_story
from tests.e2e.world import until
from tests.nats_cluster.cluster import NAMES, Cluster
from tests.nats_server import administrator

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

COPIES = 3
STORY = watch_story("stale")
MUCH = secrets.token_bytes(1024 * 1024)
"""Some of these are more than waits on the way to a server that stands still, so that it does not have them later."""
SAID_SECONDS = 60.0
"""How soon a real loss must be said."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The three, with the streams."""
    async with Cluster(tmp_path_factory.mktemp("stale")) as cluster:
        async with administrator(cluster.url) as connection:
            await install_streams(connection, replicas=COPIES)
        yield cluster


def a_service(connection: Connection) -> Continuity:
    """What a service that starts now knows of the streams."""
    return Continuity(connection, "test", structlog.get_logger(), lambda: None)


async def everything(connection: Connection) -> dict[str, Seen]:
    """What the leaders say of the streams."""
    return {stream.name: (await info_of(connection, stream.name)).seen for stream in STREAMS}


async def look(service: Continuity, connection: Connection, **last: int) -> None:
    """Have a service look at the streams, of which some are said to end elsewhere than they do."""
    before = await service.recollect()
    seen = await everything(connection)
    await service.judge(
        before, seen | {name: msgspec.structs.replace(seen[name], last=end) for name, end in last.items()}
    )


async def first_said(service: Continuity, connection: Connection) -> str:
    """Have it look until the streams are led again, and say what it then says of a loss."""
    while True:
        try:
            await look(service, connection)
        except UnavailableError as error:
            if "no leader" not in str(error):
                return str(error)
        await asyncio.sleep(0.1)


async def look_until_sure(service: Continuity, connection: Connection) -> None:
    """Have it look each second, as often as it is in doubt; it must act on nothing meanwhile."""
    while True:
        with contextlib.suppress(UnavailableError):
            await look(service, connection)
        assert service.closed
        await asyncio.sleep(1.0)


async def store(connection: Connection, count: int, body: bytes = b"{}") -> int:
    """Store messages in the log, once it takes any; return the last one's sequence."""
    sequence = 0

    async def is_stored() -> bool:
        nonlocal sequence
        try:
            reply = await connection.request(STORY, body)
        except UnavailableError:
            return False
        sequence = json.loads(reply.data).get("seq", 0)
        return bool(sequence)

    for _ in range(count):
        await until(is_stored, "the log takes a message", 60)
    return sequence


async def test_a_server_that_is_behind_answers_for_a_log_without_a_leader_and_is_not_listened_to(
    servers: Cluster,
) -> None:
    """It answers with its own end of the log; whoever asks for the leader's waits."""
    leader = await servers.leader(LOG.name)
    behind = next(name for name in NAMES if name != leader)
    ahead = [name for name in NAMES if name != behind]
    servers.servers[behind].pause()
    async with administrator(servers.urls[NAMES.index(leader)]) as connection:
        end = await store(connection, 40, MUCH)
    for name in ahead:
        servers.servers[name].pause()
    servers.servers[behind].resume()
    try:
        async with administrator(servers.urls[NAMES.index(behind)]) as connection:
            found: dict[str, Any] = {}

            async def answers_alone() -> bool:
                try:
                    found.update(json.loads(await connection.api(f"STREAM.INFO.{LOG.name}")))
                except UnavailableError:
                    return False
                return not found["cluster"].get("leader")

            await until(answers_alone, "the one that is behind answers by itself", 120)
            assert found["state"]["last_seq"] < end
            with pytest.raises(UnavailableError, match="stream KUBERNAUT has no leader"):
                await info_of(connection, LOG.name)
    finally:
        for name in ahead:
            servers.servers[name].resume()

    async with administrator(servers.url) as connection:

        async def is_led() -> bool:
            try:
                return (await info_of(connection, LOG.name)).state.last_seq >= end
            except KubernautError:
                return False

        await until(is_led, "the log has a leader, with all that was in it", 120)


async def test_a_loss_that_another_answer_takes_back_stops_nobody(servers: Cluster) -> None:
    """As one who led, was cut off, and does not know yet that another leads."""
    async with administrator(servers.url) as connection:
        service = a_service(connection)
        end = await store(connection, 5)
        await look(service, connection)
        assert not service.closed

        with pytest.raises(UnavailableError, match="lost its end"):
            await look(service, connection, **{LOG.name: end - 4})
        assert "until that is sure" in service.closed
        with pytest.raises(UnavailableError, match="until that is sure"):
            await service.opened()

        await look(service, connection)
        assert not service.closed
        halted = {"last_by_subj": continuity.key(continuity.HALT)}
        assert await message_of(connection, STORAGE_STREAM.name, halted) is None


async def remember_more(connection: Connection, end: int) -> None:
    """Remember that the log went that far."""
    record, _ = await note_of(connection, LOG.name)
    assert record is not None
    await remember(connection, LOG.name, msgspec.structs.replace(record, last=end))


async def test_recovery_is_shown_no_loss_that_another_answer_takes_back(servers: Cluster) -> None:
    """What is remembered goes before what the first answer shows; the one after it shows all."""
    async with administrator(servers.url) as connection:
        end = await store(connection, 1)
        await remember_more(connection, end + 3)
        told = asyncio.Queue[str]()
        looking = asyncio.create_task(sure_losses(connection, Newest(), told.put_nowait))
        assert f"lost its end: its last sequence was {end + 3} and is {end}: looking for 25 s" in await told.get()
        assert end + 3 == await store(connection, 3)

        found = await looking

        assert ({}, end + 3, True) == (found.reasons, found.highest, told.empty())


async def test_recovery_tells_a_loss_of_a_log_with_copies_once_it_is_sure(servers: Cluster) -> None:
    """As the services believe it."""
    async with administrator(servers.url) as connection:
        end = await store(connection, 1)
        await remember_more(connection, end + 1)
        begun = asyncio.get_running_loop().time()

        found = await sure_losses(connection, Newest(), print)

        assert asyncio.get_running_loop().time() - begun >= STANDS_SECONDS
        assert [LOG.name] == list(found.reasons)
        assert end + 1 == await store(connection, 1)  # for those who use the servers next


async def test_a_log_with_copies_that_was_made_anew_is_said_within_a_minute(servers: Cluster) -> None:
    """Every answer shows it, so it is believed; before that nobody acts on it either."""
    async with administrator(servers.url) as connection:
        service = a_service(connection)
        await store(connection, 5)
        await look(service, connection)
        await connection.api(f"STREAM.DELETE.{LOG.name}")
        config = stream_config(LOG) | {"num_replicas": COPIES}

        async def is_made() -> bool:
            try:
                await connection.api(f"STREAM.CREATE.{LOG.name}", config)
            except (UnavailableError, NotFoundError):
                return False
            return True

        await until(is_made, "the log is made anew", 60)
        assert "until that is sure" in await first_said(service, connection)

        with pytest.raises(StorageRegressedError, match="was made anew"):
            await asyncio.wait_for(look_until_sure(service, connection), SAID_SECONDS)
