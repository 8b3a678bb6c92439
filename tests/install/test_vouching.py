"""Where others make streams and consumers, the installer waits for them and vouches, and does nothing else."""

from __future__ import annotations

import msgspec
import pytest

from kubernaut.install_streams import (
    consumer_config,
    install_streams,
    stream_config,
    vouch_once_made,
)
from kubernaut.install_vouch import record_of
from runtime.errors import RefusedError, UnavailableError
from runtime.nats_connection import Connection
from schemas.chart_files import nack_specs
from schemas.subjects import CONSUMERS, EVENT_STREAM, LOG, STREAMS
from tests.nats_server import NatsServer, administrator

pytestmark = pytest.mark.real
LAST = CONSUMERS[-1]


async def made_by_somebody(connection: Connection) -> None:
    """Make all streams and consumers anew, and vouch for none."""
    for stream in STREAMS:
        await connection.api(f"STREAM.DELETE.{stream.name}")
    await install_streams(connection, vouching=False)


async def test_the_streams_are_vouched_for_and_nothing_else_is_done(fresh_nats: NatsServer) -> None:
    """Services act on them from then on."""
    async with administrator(fresh_nats.url) as connection:
        await made_by_somebody(connection)

        done = await vouch_once_made(connection)

        records = [await record_of(connection, stream.name) for stream in (LOG, EVENT_STREAM)]
        again = await install_streams(connection)
    assert [f"vouched for stream {stream.name}" for stream in (LOG, EVENT_STREAM)] == done
    assert all(records)
    assert [] == again


async def test_what_is_missing_is_waited_for(fresh_nats: NatsServer) -> None:
    """By its name; the program asks again until its time is up."""
    async with administrator(fresh_nats.url) as connection:
        await made_by_somebody(connection)
        await connection.api(f"CONSUMER.DELETE.{LAST.stream}.{LAST.name}")

        with pytest.raises(UnavailableError, match=f"{LAST.name} is not there yet"):
            await vouch_once_made(connection)


async def test_what_is_not_as_it_must_be_is_named_and_left(fresh_nats: NatsServer) -> None:
    """Two that both change a stream would undo each other's work."""
    async with administrator(fresh_nats.url) as connection:
        await made_by_somebody(connection)
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))
        theirs = info["config"] | {"discard": "old"}
        await connection.api(f"STREAM.UPDATE.{LOG.name}", theirs)

        with pytest.raises(RefusedError, match=f"stream {LOG.name} is not as it must be in discard"):
            await vouch_once_made(connection)

        after = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))["config"]
    assert theirs == after


async def test_a_log_that_ends_before_the_audit_is_not_vouched_for(fresh_nats: NatsServer) -> None:
    """NATS lost everything, and the controller made it all anew: runs would start without their memory."""
    async with administrator(fresh_nats.url) as connection:
        await made_by_somebody(connection)

        with pytest.raises(RefusedError, match="ends at 0, and the audit holds 7"):
            await vouch_once_made(connection, audited=7)

        assert await record_of(connection, LOG.name) is None


def test_nack_is_told_what_the_installer_makes() -> None:
    """The two ways differ in words only."""
    words = {
        "maxAge": ("max_age", nanoseconds),
        "duplicateWindow": ("duplicate_window", nanoseconds),
        "ackWait": ("ack_wait", nanoseconds),
        "maxMsgsPerSubject": ("max_msgs_per_subject", lambda value: value),
        "durableName": ("durable_name", str),
        "filterSubjects": ("filter_subjects", list),
        "allowRollup": ("allow_rollup_hdrs", bool),
    }

    def told(spec: dict[str, object]) -> dict[str, object]:
        named = {key: words.get(key, (snake(key), lambda value: value)) for key in spec}
        return {name: read(spec[key]) for key, (name, read) in named.items()}

    specs = nack_specs()
    for stream in STREAMS:
        made = told(specs["streams"][stream.name])
        wanted = stream_config(stream)
        assert wanted == {key: made[key] for key in wanted}
        unset = {key: value for key, value in made.items() if key not in wanted}
        assert {"prevent_delete": True} == {k: v for k, v in unset.items() if v not in (False, -1)}
    for consumer in CONSUMERS:
        made = told(specs["consumers"][consumer.name])
        wanted = consumer_config(consumer)
        wanted.pop("name")
        assert wanted == {"filter_subjects": []} | {key: made[key] for key in wanted if key in made}


def snake(name: str) -> str:
    """`denyDelete` as `deny_delete`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def nanoseconds(duration: object) -> int:
    """`720h` and `10s` as NATS counts."""
    text = str(duration)
    return int(text[:-1]) * {"h": 3600, "s": 1}[text[-1]] * 1_000_000_000 if text else 0
