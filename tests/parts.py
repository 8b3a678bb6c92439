"""Real NATS, PostgreSQL and Kubernetes for tests: by address, in containers, or embedded. Missing ones raise."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from kubernaut.local.nats import MAX_PAYLOAD_BYTES
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
KUBERNETES_IMAGE = os.environ.get("KUBERNAUT_TEST_KUBERNETES_IMAGE", "")
"""Instead of K3s: an image that serves the API at 6443, keeps /kubeconfig and says "kubernetes is ready"."""
_NATS_SETTINGS = {
    "port": 4222,
    "http": 8222,
    "max_payload": MAX_PAYLOAD_BYTES,
    "jetstream": {"sync_interval": "always"},
}
_API_PORT = 6443


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

            settings = json.dumps(_NATS_SETTINGS).encode()
            container = NatsContainer(NATS_IMAGE).with_copy_into_container(settings, "/kubernaut.conf")
            with container.with_command("--config /kubernaut.conf") as nats:
                yield nats.nats_uri()
        elif part == "postgres":
            from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

            with PostgresContainer(POSTGRES_IMAGE, driver=None, dbname="kubernaut") as postgres:
                yield postgres.get_connection_url()
        elif KUBERNETES_IMAGE:
            with _kubernetes_image() as content:
                yield _written(content, folder)
        else:
            from testcontainers.community.k3s import K3SContainer  # noqa: PLC0415

            with K3SContainer(K3S_IMAGE) as k3s:
                yield _written(k3s.config_yaml(), folder)


@contextmanager
def _kubernetes_image() -> Iterator[str]:
    """Run KUBERNETES_IMAGE and give the content of a kubeconfig for it."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - asked for by option only
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    ready = LogMessageWaitStrategy("kubernetes is ready").with_startup_timeout(600)
    with DockerContainer(KUBERNETES_IMAGE).with_exposed_ports(_API_PORT).waiting_for(ready) as container:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(_API_PORT)}"
        content: str = container.exec(["cat", "/kubeconfig"]).output.decode()
        yield content.replace(f"127.0.0.1:{_API_PORT}", address)


def _written(kubeconfig: str, folder: Path) -> str:
    file = folder / "kubeconfig"
    file.write_text(kubeconfig)
    return str(file)
