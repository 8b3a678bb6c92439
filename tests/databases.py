"""Databases of a test's own on the server that all tests share."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from auditor.store import PostgresStore
from runtime.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def an_empty_database(server_url: str, purpose: str) -> AsyncIterator[str]:
    """Make one with nothing in it and give its address; it is gone at the end, whoever is still connected.

    `purpose`: what its name begins with.
    """
    name = f"{purpose}_{uuid.uuid4().hex}"
    server = await asyncpg.connect(server_url)
    await server.execute(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await server.close()


async def complaint(login: str) -> str:
    """What an auditor that starts now waits for; nothing when it is content."""
    store = PostgresStore(login)
    try:
        await store.tend()
    except UnavailableError as error:
        return str(error)
    finally:
        await store.close()
    return ""
