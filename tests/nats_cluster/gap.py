"""How long no publish is taken after the leader of the log was killed: the servers' election, and what comes after it.

The election is the servers' own: a follower waits 4 to 9 s for a word of its leader (nats-server 2.15, raft.go), and no
setting changes that.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final, NamedTuple

from runtime.errors import UnavailableError
from runtime.nats_publish import Publisher
from schemas.cloudevents import Event
from schemas.subjects import LOG, watch_story
from tests.nats_cluster.cluster import NAMES, Cluster
from tests.nats_server import administrator

_ELECTED: Final = f"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.{LOG.name}"
_ELECTION_SECONDS: Final = 60.0
_TURN_SECONDS: Final = 0.02


class Gap(NamedTuple):
    """Its parts, in seconds."""

    election: float
    """From the kill until the servers tell that they have another leader."""
    after: float
    """From then until a publish is acknowledged; what the machine stood still is not in it."""


class Turns:
    """A clock that goes only while this process has its turns."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_TURN_SECONDS)
            self.seconds += _TURN_SECONDS

    def end(self) -> None:
        """Stop."""
        self._counting.cancel()


async def kill(servers: Cluster, leader: str) -> Gap:
    """Kill the leader of the log and publish by one that stays, as the services do, until that is acknowledged."""
    stays = next(url for name, url in zip(NAMES, servers.urls, strict=True) if name != leader)
    turns, elected = Turns(), asyncio.get_running_loop().create_future()

    def hear(*_: object) -> None:
        if not elected.done():
            elected.set_result((time.monotonic(), turns.seconds))

    async with administrator(stays) as connection:
        connection.listen(_ELECTED, hear)
        await connection.api("INFO")  # its answer comes after the server knows who listens
        began = time.monotonic()
        await servers.servers[leader].kill()
        await _publish(Publisher(connection, _nobody))
        taken = turns.seconds
        at, turn = await asyncio.wait_for(elected, _ELECTION_SECONDS)
    turns.end()
    return Gap(election=at - began, after=taken - turn)


async def _publish(publisher: Publisher) -> None:
    event = Event(subject=watch_story("gap"), id="gap/1", type="t", source="/test", data=b"{}")
    while True:
        with suppress(UnavailableError):
            await publisher.publish(event, None, None)
            return


async def _nobody(_stream: str, _subject: str) -> None:
    return None
