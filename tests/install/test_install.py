"""The installer as a program, on real servers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import nats
import pytest
from nats.js.errors import KeyNotFoundError

from kubernaut.install import TERMINATED
from kubernaut.install_streams import install_streams
from runtime.errors import RefusedError
from schemas.subjects import CONSUMERS, LEARNED_STREAM, LOG, STREAMS, Consumer, watch_story
from tests.eventually import eventually
from tests.nats_server import administrator

if TYPE_CHECKING:
    from tests.nats_server import NatsServer


async def install(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the program; return exit code, output and error output."""
    process = await started(*arguments, **environment)
    async with asyncio.timeout(240.0):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def started(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Start the program with no address but those that are given."""
    clean = {k: v for k, v in os.environ.items() if k not in ("NATS_URL", "DATABASE_URL", "KUBECONFIG")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kubernaut.install",
        *arguments,
        env=clean | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.real
async def test_streams_and_consumers_are_made_once(fresh_nats: NatsServer) -> None:
    """The first run makes what is missing, the second one finds everything as it must be."""
    async with administrator(fresh_nats.url) as connection:
        for stream in STREAMS:
            await connection.api(f"STREAM.DELETE.{stream.name}")

    first = await install("--only", "streams", NATS_URL=fresh_nats.url)
    second = await install("--only", "streams", NATS_URL=fresh_nats.url)

    made = [f"made stream {s.name}" for s in STREAMS] + [f"made consumer {c.name} of {c.stream}" for c in CONSUMERS]
    assert (0, made) == (first[0], first[1].splitlines())
    assert (0, "nothing to do: streams are as they must be\n") == second[:2]


@pytest.mark.real
async def test_an_update_keeps_what_the_operator_set(fresh_nats: NatsServer) -> None:
    """Limits, descriptions and fields that this version does not know stay when others are changed."""
    subject = f"STREAM.INFO.{LOG.name}"
    async with administrator(fresh_nats.url) as connection:
        info = msgspec.json.decode(await connection.api(subject))
        mine = info["config"] | {"discard": "old", "description": "mine", "max_bytes": 10_000_000}
        await connection.api(f"STREAM.UPDATE.{LOG.name}", mine)

        done = await install_streams(connection)

        after = msgspec.json.decode(await connection.api(subject))["config"]
    assert [f"changed discard of stream {LOG.name}"] == done
    assert mine | {"discard": "new"} == after


@pytest.mark.real
async def test_a_destructive_difference_is_refused_and_nothing_is_changed(fresh_nats: NatsServer) -> None:
    """A stream that holds more than ours is named, with exit code 1, and stays as it was."""
    async with administrator(fresh_nats.url) as connection:
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))
        theirs = info["config"] | {"subjects": [*LOG.subjects, "theirs.>"]}
        await connection.api(f"STREAM.UPDATE.{LOG.name}", theirs)

        code, _, errors = await install("--only", "streams", NATS_URL=fresh_nats.url)

        after = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))["config"]
    assert (1, theirs["subjects"]) == (code, after["subjects"])
    assert "theirs.>" in errors


@pytest.mark.real
async def test_a_consumer_that_is_past_what_it_was_to_read_is_named_and_left_as_it_is(fresh_nats: NatsServer) -> None:
    """(F37) Where nothing was stored yet of what it is to read from now on, as with a newer version, it is changed."""
    less = Consumer(stream=LOG.name, name="less", filters=("kubernaut.outcome.>",))
    more = msgspec.structs.replace(less, filters=("kubernaut.outcome.>", "kubernaut.signal.>"))
    everything = msgspec.structs.replace(less, filters=())
    named = f"{LOG.name}.{less.name}"
    async with administrator(fresh_nats.url) as connection, await nats.connect(fresh_nats.url) as client:
        await install_streams(connection, consumers=(less,))
        await connection.request("kubernaut.outcome.u1", b"{}", seconds=30.0)
        reader = await client.jetstream().pull_subscribe_bind(less.name, stream=LOG.name)
        await reader.fetch(1)  # and it is not acknowledged

        done = await install_streams(connection, consumers=(more,))
        await connection.request(watch_story("pods"), b"{}", seconds=30.0)
        with pytest.raises(RefusedError, match="did not read >, and may be past messages"):
            await install_streams(connection, consumers=(everything,))
        config = msgspec.json.decode(await connection.api(f"CONSUMER.INFO.{named}"))["config"] | {"max_deliver": 1}
        body = {"stream_name": LOG.name, "config": config, "action": "update"}
        await connection.api(f"CONSUMER.CREATE.{named}", body)
        with pytest.raises(RefusedError, match="may have given up on 1 messages"):
            await install_streams(connection, consumers=(more,))

        after = msgspec.json.decode(await connection.api(f"CONSUMER.INFO.{named}"))["config"]
    assert [f"changed filter_subjects of consumer less of {LOG.name}"] == done
    assert config == after


@pytest.mark.real
async def test_what_was_learned_is_a_bucket_for_any_client(fresh_nats: NatsServer) -> None:
    """NATS's own client reads, writes, deletes and purges keys, and finds the latest version only."""
    async with await nats.connect(fresh_nats.url) as client:
        bucket = await client.jetstream().key_value("KUBERNAUT_LEARNED")
        await bucket.put("actions", b"1")
        await bucket.put("actions", b"2")

        assert b"2" == (await bucket.get("actions")).value
        assert 1 == (await bucket.status()).values
        await bucket.delete("actions")
        await bucket.put("other", b"3")
        await bucket.purge("other")
        with pytest.raises(KeyNotFoundError):
            await bucket.get("actions")


@pytest.mark.real
async def test_a_bucket_that_a_client_made_is_taken_over(fresh_nats: NatsServer) -> None:
    """Whoever made the bucket first, its keys stay."""
    async with administrator(fresh_nats.url) as connection, await nats.connect(fresh_nats.url) as client:
        await connection.api(f"STREAM.DELETE.{LEARNED_STREAM.name}")
        bucket = await client.jetstream().create_key_value(bucket="KUBERNAUT_LEARNED")
        await bucket.put("actions", b"1")

        done = await install_streams(connection)

        assert [f"changed allow_direct, duplicate_window of stream {LEARNED_STREAM.name}"] == done
        assert b"1" == (await bucket.get("actions")).value


@pytest.mark.real
async def test_servers_that_come_up_late_are_waited_for(fresh_nats: NatsServer) -> None:
    """Started before its server, the installer waits and then does its work."""
    await fresh_nats.kill()
    waiting = asyncio.create_task(install("--only", "streams", NATS_URL=fresh_nats.url))
    await fresh_nats.start()

    assert (0, "nothing to do: streams are as they must be\n") == (await waiting)[:2]


async def test_a_server_that_never_comes_is_said() -> None:
    """After the time limit the error says what was not installed and why."""
    code, _, errors = await install("--only", "streams", "--timeout", "3", NATS_URL="nats://me:s3cret@127.0.0.1:1")

    assert code == 1
    assert "could not install the streams within 3 s: NATS (127.0.0.1:1): cannot connect" in errors
    assert "s3cret" not in errors


async def test_it_ends_when_it_is_told_to_while_it_waits() -> None:
    """By a handler of its own, since nothing else ends process 1 of a container but a kill; the code says so."""
    process = await started("--only", "streams", NATS_URL="nats://127.0.0.1:1")
    await eventually(lambda: _catches(process.pid, signal.SIGTERM), seconds=60.0)
    process.terminate()
    async with asyncio.timeout(30.0):
        output, errors = await process.communicate()

    assert (TERMINATED, b"") == (process.returncode, output)
    assert b"told to end; what was made stays" in errors


def _catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(("part", "variable"), [("streams", "NATS_URL"), ("migrations", "DATABASE_URL")])
async def test_a_missing_address_is_named(part: str, variable: str) -> None:
    """A part without its address fails at once and names the variable."""
    code, _, errors = await install("--only", part)

    assert code == 1
    assert f"{variable} is not set" in errors


@pytest.mark.real
async def test_all_parts_on_real_servers(fresh_nats: NatsServer, kubeconfig: str, database_url: str) -> None:
    """Streams, resource definitions and tables are installed, and a second run finds nothing to do."""
    addresses = {"NATS_URL": fresh_nats.url, "KUBECONFIG": kubeconfig, "DATABASE_URL": database_url}

    first = await install(**addresses)
    second = await install(**addresses)

    assert (0, 0) == (first[0], second[0]), first[2] + second[2]
    assert "nothing to do: streams, crds, migrations are as they must be\n" == second[1]
