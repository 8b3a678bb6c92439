"""What the log says about the audit: its checkpoints, how far it goes, and what its messages' records are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from auditor import chain
from auditor.records import leaf
from auditor.rows import read
from runtime.errors import NotFoundError
from runtime.ports import Log
from schemas.messages import AuditSealed
from schemas.subjects import AUDITOR, CHECKPOINTS, LOG

PAUSE_SECONDS: Final = 0.2
_ALL: Final = ">"


class Witness(msgspec.Struct, frozen=True):
    """What the log held at one moment."""

    log: Log
    first: int
    """Oldest sequence that retention has left; 1 past the last one when nothing is."""
    last: int
    acknowledged: int
    """Up to here the auditor said that it had everything."""
    checkpoints: dict[int, AuditSealed]
    """By number, as far as the log still holds them."""
    broken: tuple[int, ...]
    """Sequences of messages on the checkpoints' subject that are none."""


async def witness(log: Log, *, patience: float) -> Witness:
    """Read it; the auditor gets `patience` seconds to catch up with what the log holds now."""
    last = await _last(log)
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    acknowledged = await _acknowledged(log)
    while acknowledged < last and loop.time() < until:
        await asyncio.sleep(PAUSE_SECONDS)
        acknowledged = await _acknowledged(log)
    checkpoints, broken = {}, []
    async with aclosing(log.scan(LOG.name, CHECKPOINTS)) as messages:
        async for message in messages:
            body = chain.read(message.data)
            if body is None or body.number in checkpoints:
                broken.append(message.sequence)
            else:
                checkpoints[body.number] = body
    return Witness(log, await _first(log) or last + 1, last, acknowledged, checkpoints, tuple(broken))


async def leaves(log: Log, first: int, last: int) -> AsyncGenerator[tuple[int, bytes], None]:
    """Yield the digests of the records of a range, as far as the log holds them."""
    async with aclosing(log.scan(LOG.name, _ALL, start=first)) as messages:
        async for message in messages:
            if message.sequence > last:
                return
            yield message.sequence, leaf(read(message).record)


async def _first(log: Log) -> int:
    async with aclosing(log.scan(LOG.name, _ALL)) as messages:
        async for message in messages:
            return message.sequence
    return 0


async def _last(log: Log) -> int:
    last = await log.last(LOG.name, _ALL)
    return last.sequence if last else 0


async def _acknowledged(log: Log) -> int:
    try:
        return await log.acknowledged(AUDITOR)
    except NotFoundError:
        return 0
