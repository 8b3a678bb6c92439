"""`python -m benchmarks.sharding`: what it would bring, and cost, to spread the log over several streams by workflow.

The product has one stream and one order. This is the measure of the plan past that (docs/scaling.md): messages as large
as decisions, each expecting the one before on its subject as the scheduler's do, in 1, 2, 4 or 8 streams on a real
nats-server with `sync_interval: always`, published and consumed at once; then all of it read back in one order.
"""

from __future__ import annotations

import asyncio
import heapq
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import click
import msgspec

from benchmarks import machine
from benchmarks.usage import MIB, look, own_cpu, spent
from kubernaut.cli.connection import quiet_logger
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.health import Dependency
from runtime.nats_connection import Connection
from runtime.nats_headers import to_block
from runtime.nats_scan import scan
from runtime.ports import Stored

SHARDS: Final = (1, 2, 4, 8)
BODY: Final = b'{"state":"' + b"x" * 1480 + b'"}'
"""As large as a decision of a ten-step run (benchmarks/README.md)."""
WRITERS: Final = 64
"""Workflows that are written to at once; each waits for its answer before it writes again."""
EMPTY: Final = 32
_BATCH: Final = 256
_SERVER: Final = "nats"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One number of streams."""

    shards: int
    messages: int
    seconds: float
    """Until the last was consumed and acknowledged."""
    server_cpu: float
    client_cpu: float
    memory_mib: float
    """Of the server, after it."""
    read_seconds: float
    """All of it read back, in one order over all streams."""


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[Connection, int]]:
    """Run a server of its own; give a connection and the number of its process."""
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(LocalStack(StackOptions.only(_SERVER, home=folder)))
        pid = local.supervisor[_SERVER].process.pid
        assert local.nats_url is not None  # noqa: S101 - it is this part
        assert pid is not None  # noqa: S101 - it is ready
        connection = Connection(local.nats_url, "benchmark", Dependency("nats"), quiet_logger())
        keeping = asyncio.create_task(connection.keep())
        await asyncio.wait_for(connection.wait(), 10.0)
        try:
            yield connection, pid
        finally:
            await connection.close()
            await keeping


async def measure(shards: int, messages: int, folder: Path) -> Measured:
    """Publish and consume `messages` in so many streams."""
    async with server(folder) as (connection, pid):
        for shard in range(shards):
            await _make(connection, shard)
        before, own, start = look({_SERVER: pid}), own_cpu(), time.perf_counter()
        per_writer = messages // WRITERS
        tasks = [_write(connection, writer, shards, per_writer) for writer in range(WRITERS)]
        counted = [0] * shards
        wanted = [0] * shards
        for writer in range(WRITERS):
            wanted[shard_of(_uid(writer), shards)] += per_writer
        await asyncio.gather(*tasks, *(_consume(connection, shard, wanted[shard], counted) for shard in range(shards)))
        seconds, after = time.perf_counter() - start, look({_SERVER: pid})
        client_cpu = own_cpu() - own
        start = time.perf_counter()
        found = await _read_all(connection, shards)
        read_seconds = time.perf_counter() - start
        assert found == sum(counted) == per_writer * WRITERS  # noqa: S101 - else the figures mean nothing
        return Measured(
            shards=shards,
            messages=found,
            seconds=seconds,
            server_cpu=spent(before, after)[_SERVER],
            client_cpu=client_cpu,
            memory_mib=look({_SERVER: pid})[_SERVER].memory / MIB,
            read_seconds=read_seconds,
        )


async def memory_of_empty(folder: Path) -> float:
    """Return the bytes that the server takes for one more stream with a consumer that stands by."""
    async with server(folder) as (connection, pid):
        await _make(connection, 0)
        before = look({_SERVER: pid})[_SERVER].memory
        for shard in range(1, EMPTY + 1):
            await _make(connection, shard)
        return (look({_SERVER: pid})[_SERVER].memory - before) / EMPTY


def _uid(writer: int) -> str:
    return f"workflow-{writer:04d}"


def shard_of(uid: str, shards: int) -> int:
    """The same in every process; a hash that a later version may not change."""
    return crc32(uid.encode()) % shards


async def _make(connection: Connection, shard: int) -> None:
    name = f"SHARD_{shard}"
    config: dict[str, Any] = {
        "name": name,
        "subjects": [f"bench.{shard}.>"],
        "storage": "file",
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
    }
    await connection.api(f"STREAM.CREATE.{name}", config)
    consumer = {"durable_name": "reader", "name": "reader", "ack_policy": "explicit", "max_ack_pending": 5000}
    await connection.api(
        f"CONSUMER.CREATE.{name}.reader", {"stream_name": name, "config": consumer, "action": "create"}
    )


async def _write(connection: Connection, writer: int, shards: int, count: int) -> None:
    uid = _uid(writer)
    subject, last = f"bench.{shard_of(uid, shards)}.{uid}", 0
    for number in range(count):
        headers = {"Nats-Msg-Id": f"{uid}/{number}", "Nats-Expected-Last-Subject-Sequence": str(last)}
        reply = await connection.request(subject, BODY, headers=to_block(headers), seconds=60.0)
        answer = msgspec.json.decode(reply.data)
        last = answer["seq"]


async def _consume(connection: Connection, shard: int, wanted: int, counted: list[int]) -> None:
    """Take and acknowledge all of a stream, by a pull that stands open."""
    done, inbox = asyncio.Event(), connection.new_inbox()
    ask = f"$JS.API.CONSUMER.MSG.NEXT.SHARD_{shard}.reader"
    request = msgspec.json.encode({"batch": _BATCH, "expires": 30_000_000_000})
    left = _BATCH

    def take(_subject: str, reply: str, _headers: bytes, _data: bytes) -> None:
        nonlocal left
        if not reply.startswith("$JS.ACK."):
            return
        connection.send(reply, b"+ACK")
        counted[shard] += 1
        left -= 1
        if left == 0:
            left = _BATCH
            connection.send(ask, request, reply=inbox)
        if counted[shard] >= wanted:
            done.set()

    if wanted:
        connection.listen(inbox, take)
        connection.send(ask, request, reply=inbox)
        await done.wait()
        connection.unlisten(inbox)


async def _read_all(connection: Connection, shards: int) -> int:
    """Merge all streams by the time of the broker, as a replay or the audit of one order over all would have to."""
    readings = [scan(connection, f"SHARD_{shard}", ">", last_per_subject=False, start=1) for shard in range(shards)]
    async with AsyncExitStack() as stack:
        for reading in readings:
            await stack.enter_async_context(aclosing(reading))
        return await _merged(readings)


async def _merged(readings: list[AsyncGenerator[Stored, None]]) -> int:
    heap: list[tuple[int, int, int]] = []
    for place, reading in enumerate(readings):
        if (first := await anext(reading, None)) is not None:
            heap.append((first.time_ms, place, first.sequence))
    heapq.heapify(heap)
    found = 0
    while heap:
        _, place, _ = heap[0]
        found += 1
        following = await anext(readings[place], None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following.time_ms, place, following.sequence))
    return found


@click.command()
@click.option("--messages", default=6400, show_default=True, help="Messages for each number of streams.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the one with the median time counts.")
def main(messages: int, rounds: int) -> None:
    """Measure and print a table for docs/scaling.md."""
    click.echo(msgspec.json.format(msgspec.json.encode(machine.look()), indent=2).decode())
    click.echo(
        "| streams | messages/s | server CPU a message | client CPU a message | memory | read back in one order |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for shards in SHARDS:
        found = [asyncio.run(_in_a_folder(shards, messages)) for _ in range(rounds)]
        click.echo(_row(sorted(found, key=lambda each: each.seconds)[rounds // 2]))
    with tempfile.TemporaryDirectory(prefix="kubernaut-sharding-") as folder:
        click.echo(
            f"one more empty stream with a consumer: {asyncio.run(memory_of_empty(Path(folder))) / 1024:.0f} KiB"
        )


async def _in_a_folder(shards: int, messages: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="kubernaut-sharding-") as folder:
        return await measure(shards, messages, Path(folder))


def _row(found: Measured) -> str:
    rate, count = found.messages / found.seconds, found.messages
    return (
        f"| {found.shards} | {rate:,.0f} | {found.server_cpu / count * 1e6:.0f} µs | "
        f"{found.client_cpu / count * 1e6:.0f} µs | {found.memory_mib:.0f} MiB | {found.read_seconds:.2f} s |"
    )


if __name__ == "__main__":
    main()
