"""The installer dies at each of its effects, or runs twice at once: run again, everything is as it must be (F1, F2)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog

from kubernaut.install_streams import install_streams, stream_config
from runtime.errors import NotFoundError
from runtime.nats_continuity import Continuity
from runtime.nats_leader import info_of
from schemas.nats_users import SETUP
from schemas.subjects import CONSUMERS, EVENT_STREAM, LOG, SCHEDULER, STREAMS
from tests.dying import DiedError, Life, a_process
from tests.eventually import eventually
from tests.install.test_install import install, started
from tests.nats_server import NatsServer, administrator
from tests.relay import AtText, a_relay
from tests.storage.damage import store_below

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.nats_connection import Connection

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

_RECORDS = [f"$KV.KUBERNAUT_STORAGE.{each.name}" for each in (LOG, EVENT_STREAM)]
NEW = [
    *(f"STREAM.CREATE.{each.name}" for each in STREAMS),
    *_RECORDS,
    *(f"CONSUMER.CREATE.{each.stream}.{each.name}" for each in CONSUMERS),
]
CHANGED = [f"STREAM.UPDATE.{LOG.name}", *_RECORDS, f"CONSUMER.CREATE.{LOG.name}.{SCHEDULER.name}"]
"""What it does where nothing is there, and where an older version was installed; in order."""


async def nothing_is_there(connection: Connection, folder: Path) -> None:
    """Remove every stream, with its files: the server puts them aside and deletes them later, one stream at a time."""
    for stream in STREAMS:
        with contextlib.suppress(NotFoundError):
            await connection.api(f"STREAM.DELETE.{stream.name}")
    await eventually(lambda: not [*store_below(folder).glob("jetstream/*/streams/.*")], seconds=60.0)


async def an_older_version_is_there(connection: Connection, folder: Path) -> None:
    """Install, and change what a version before might have had otherwise."""
    await nothing_is_there(connection, folder)
    await install_streams(connection)
    await connection.api(f"STREAM.UPDATE.{LOG.name}", stream_config(LOG) | {"max_age": 3600 * 1_000_000_000})
    subject = f"CONSUMER.INFO.{LOG.name}.{SCHEDULER.name}"
    found = msgspec.json.decode(await connection.api(subject))["config"]
    body = {"stream_name": LOG.name, "config": found | {"ack_wait": 1_000_000_000}, "action": "update"}
    await connection.api(f"CONSUMER.CREATE.{LOG.name}.{SCHEDULER.name}", body)


async def a_service_opens(connection: Connection) -> None:
    """Have a service that starts now look at the streams. Raises what it would tell."""
    service = Continuity(connection, "test", structlog.get_logger(), lambda: None, remembers=False)
    before = await service.recollect()
    await service.judge(before, {s.name: (await info_of(connection, s.name)).seen for s in STREAMS})


@pytest.mark.parametrize(
    ("before", "effects"),
    [(nothing_is_there, NEW), (an_older_version_is_there, CHANGED)],
    ids=["new", "an upgrade"],
)
async def test_wherever_it_dies_the_next_run_does_the_rest_and_no_service_opens_before(
    fresh_nats: NatsServer, tmp_path: Path, before: object, effects: list[str]
) -> None:
    """In place of each effect; no effect is left out, since one run that lives does them all."""
    assert callable(before)
    async with administrator(fresh_nats.url) as connection:
        for number in range(len(effects) + 1):
            await before(connection, tmp_path)
            life = Life(number)
            async with a_process(fresh_nats.url, SETUP, life) as dying:
                with pytest.raises(DiedError) if number < len(effects) else contextlib.nullcontext():
                    await install_streams(dying)
            assert effects[:number] == life.done
            if effects is NEW and number <= NEW.index(_RECORDS[-1]):
                with pytest.raises(NotFoundError):
                    await a_service_opens(connection)

            await install_streams(connection)

            assert [] == await install_streams(connection)
            await a_service_opens(connection)


async def test_two_at_once_make_each_thing_and_refuse_nothing(fresh_nats: NatsServer, tmp_path: Path) -> None:
    """Side by side, and one that begins while the other is at its n-th effect."""
    async with administrator(fresh_nats.url) as one, administrator(fresh_nats.url) as other:
        for turn in range(4):
            await nothing_is_there(one, tmp_path)

            async def late(turn: int = turn) -> list[str]:
                for _ in range(turn):
                    await other.api("INFO")
                return await install_streams(other)

            lines = await asyncio.gather(install_streams(one), late())

            made = {f"made stream {each.name}" for each in STREAMS}
            made |= {f"made consumer {each.name} of {each.stream}" for each in CONSUMERS}
            assert made == {*lines[0], *lines[1]}
            assert [] == await install_streams(one)
            await a_service_opens(one)


@pytest.mark.parametrize(
    "command", [f"STREAM.CREATE.{EVENT_STREAM.name} ", f"CONSUMER.CREATE.{LOG.name}.{CONSUMERS[-1].name} "]
)
async def test_the_program_is_killed_and_the_next_one_does_the_rest(
    fresh_nats: NatsServer, tmp_path: Path, command: str
) -> None:
    """SIGKILL at the moment at which it would have sent this; what was made before is left as it is."""
    async with administrator(fresh_nats.url) as connection:
        await nothing_is_there(connection, tmp_path)
    processes: list[asyncio.subprocess.Process] = []

    def kill() -> None:
        processes[0].kill()

    async with a_relay(fresh_nats.url, AtText(command.encode()), kill) as relay:
        processes.append(await started("--only", "streams", NATS_URL=relay))
        async with asyncio.timeout(120):
            await processes[0].communicate()

    code, said, errors = await install("--only", "streams", NATS_URL=fresh_nats.url)

    assert (-signal.SIGKILL, 0) == (processes[0].returncode, code), errors
    assert f"made consumer {CONSUMERS[-1].name} of {LOG.name}" in said.splitlines()
    assert f"made stream {LOG.name}" not in said.splitlines()
