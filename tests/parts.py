"""Real NATS, PostgreSQL and Kubernetes for tests: by address, in containers, or embedded. Missing ones raise."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from kubernaut.local.stack import LocalStack, StackOptions

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

T = TypeVar("T")
_START_SECONDS = 900.0
"""The first start of the Kubernetes part builds it."""

NATS_IMAGE = os.environ.get("KUBERNAUT_TEST_NATS_IMAGE", "nats:2.15")
POSTGRES_IMAGE = os.environ.get("KUBERNAUT_TEST_POSTGRES_IMAGE", "pgvector/pgvector:pg18")
K3S_IMAGE = os.environ.get("KUBERNAUT_TEST_K3S_IMAGE", "rancher/k3s:v1.36.1-k3s1")


@contextmanager
def address_of(part: str, *, containers: bool, folder: Path) -> Iterator[str]:
    """Give the address of a part, "nats", "postgres" or "kubernetes" (then the path of a kubeconfig)."""
    variable = {"nats": "NATS_URL", "postgres": "DATABASE_URL", "kubernetes": "KUBECONFIG"}[part]
    if os.environ.get(variable):
        yield os.environ[variable]
    elif containers:
        with _container(part, folder) as address:
            yield address
    else:
        with _embedded(part, folder) as environment:
            yield environment[variable]


@contextmanager
def _embedded(part: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a part of the local stack, looked after on a loop of its own whatever loop a test has."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"stack {part}", daemon=True)
    thread.start()

    def wait(work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_START_SECONDS)

    async def make() -> LocalStack:
        return LocalStack(StackOptions.only(part, home=folder))

    stack = wait(make())
    try:
        wait(stack.start())
        yield stack.environment
    finally:
        wait(stack.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _container(part: str, folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # testcontainers warns of its own insides
        if part == "nats":
            from testcontainers.community.nats import NatsContainer  # noqa: PLC0415 - asked for by option only

            with NatsContainer(NATS_IMAGE, jetstream=True) as nats:
                yield nats.nats_uri()
        elif part == "postgres":
            from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

            with PostgresContainer(POSTGRES_IMAGE, driver=None, dbname="kubernaut") as postgres:
                yield postgres.get_connection_url()
        else:
            from testcontainers.community.k3s import K3SContainer  # noqa: PLC0415

            with K3SContainer(K3S_IMAGE) as k3s:
                file = folder / "kubeconfig"
                file.write_text(k3s.config_yaml())
                yield str(file)
