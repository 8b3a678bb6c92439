"""Gathers everything, each part beside the others. A part that does not answer, or has no address, is told as such."""

from __future__ import annotations

import asyncio
from importlib import metadata

import msgspec

from auditor.newest import Newest, newest
from kubernaut.cli.connection import Target
from kubernaut.doctor.facts import ClusterFacts, ConsumerFacts, DatabaseFacts, Facts, NatsFacts
from kubernaut.doctor.finding import Unlooked
from kubernaut.doctor.gather_cluster import gather_cluster
from kubernaut.doctor.gather_database import gather_database
from kubernaut.doctor.gather_nats import Addresses, gather_nats
from kubernaut.doctor.looking import looked
from schemas.subjects import AUDITOR, LOG


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look; None for a part that is not asked for, `Unlooked` where nobody said where it is."""

    nats: Addresses | Unlooked | None = None
    database: str | Unlooked | None = None
    cluster: Target | Unlooked | None = None


async def examine(installation: Installation, *, seconds: float) -> Facts:
    """Look at everything. `seconds`: longest time of one look."""
    database = asyncio.create_task(_database(installation.database, seconds))
    nats = asyncio.create_task(_nats(installation.nats, database, seconds))
    cluster = asyncio.create_task(_cluster(installation.cluster, seconds))
    log, audit = await nats, await database
    return Facts(
        nats=log,
        database=await _again(audit, log, installation.database, seconds),
        cluster=await cluster,
        own_version=metadata.version("kubernaut-workflow"),
    )


async def _database(where: str | Unlooked | None, seconds: float) -> DatabaseFacts | Unlooked | None:
    return await gather_database(where, seconds=2 * seconds) if isinstance(where, str) else where


async def _nats(
    where: Addresses | Unlooked | None, database: asyncio.Task[DatabaseFacts | Unlooked | None], seconds: float
) -> NatsFacts | Unlooked | None:
    if not isinstance(where, Addresses):
        return where

    async def audited() -> Newest | Unlooked:
        found = await asyncio.shield(database)
        return found.newest if isinstance(found, DatabaseFacts) else found or Unlooked("the audit was not asked for")

    return await gather_nats(where, audited, seconds=seconds)


async def _cluster(where: Target | Unlooked | None, seconds: float) -> ClusterFacts | Unlooked | None:
    return await gather_cluster(where, seconds=seconds) if isinstance(where, Target) else where


async def _again(
    audit: DatabaseFacts | Unlooked | None,
    log: NatsFacts | Unlooked | None,
    dsn: str | Unlooked | None,
    seconds: float,
) -> DatabaseFacts | Unlooked | None:
    """Look again at where the audit ends, when it seems to end before what was acknowledged.

    The log was looked at later, and rows are committed before they are acknowledged.
    """
    if not isinstance(audit, DatabaseFacts) or not isinstance(log, NatsFacts) or not isinstance(dsn, str):
        return audit
    auditor = log.consumers[AUDITOR.name]
    if not isinstance(auditor, ConsumerFacts) or not isinstance(audit.newest, Newest):
        return audit
    if audit.newest.sequence >= auditor.acknowledged:
        return audit
    return msgspec.structs.replace(audit, newest=await looked(newest(dsn, LOG.name), seconds))
