"""As whom the services of a stack are there, by the words of the API server, NATS and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
import asyncpg
import nkeys

from kubernaut.local.services import AUDITOR, EXECUTOR, SERVICES
from runtime.cluster import connect_to
from runtime.nats_address import SEED_FILE
from runtime.nats_identity import read_seed
from runtime.ports import Resource
from schemas.rbac import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kubernaut.local.services import Service
    from kubernaut.local.stack import LocalStack

_SELF: Final = Resource("authentication.k8s.io", "v1", "selfsubjectreviews")
_WRITER: Final = "kubernaut_writer"
_SESSIONS: Final = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'kubernaut-auditor'"


async def not_themselves(stack: LocalStack, services: Iterable[Service] = SERVICES) -> list[str]:
    """Return a sentence for each of these services, all ready, that is anybody but itself: an administrator, say."""
    found = [await _at_kubernetes(stack, service) for service in services]
    on_nats = await _users_on_nats(stack)
    found += [_at_nats(stack, service, on_nats) for service in services if service.name != EXECUTOR.name]
    if AUDITOR in services:
        found.append(await _at_postgres(stack))
    return [sentence for sentence in found if sentence]


async def user_of(kubeconfig: str | Path) -> str:
    """Ask the API server whose a kubeconfig is."""
    cluster = await connect_to(str(kubeconfig))
    try:
        answer = await cluster.create(
            _SELF, "", {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        )
    finally:
        await cluster.close()
    return str(answer["status"]["userInfo"]["username"])


async def _at_kubernetes(stack: LocalStack, service: Service) -> str:
    assert service.role is not None
    user = await user_of(stack.supervisor[service.name].spec.environment["KUBECONFIG"])
    return _said(service.name, "the API server", user, f"system:serviceaccount:{NAMESPACE}:{service.role.full_name}")


def _at_nats(stack: LocalStack, service: Service, users: dict[str, set[str]]) -> str:
    assert service.role is not None
    seed = read_seed(stack.nats_login(service.role.name)[SEED_FILE])
    key = nkeys.from_seed(bytearray(seed.encode())).public_key.decode()
    return _said(service.name, "NATS", ", ".join(sorted(users.get(service.name, ()))), key)


async def _at_postgres(stack: LocalStack) -> str:
    connection = await asyncpg.connect(stack.database_url)
    try:
        users = [row["usename"] for row in await connection.fetch(_SESSIONS)]
    finally:
        await connection.close()
    return _said(AUDITOR.name, "PostgreSQL", ", ".join(sorted(users)), _WRITER)


async def _users_on_nats(stack: LocalStack) -> dict[str, set[str]]:
    """The users by the names of their connections: the public key of an NKey, or a name."""
    url = f"http://127.0.0.1:{stack.supervisor['nats'].spec.ports['monitor']}/connz?auth=true&limit=1024"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        connections = (await answer.json())["connections"]
    found: dict[str, set[str]] = {}
    for each in connections:
        found.setdefault(each.get("name", ""), set()).add(each.get("authorized_user", ""))
    return found


def _said(service: str, where: str, user: str, itself: str) -> str:
    return "" if user == itself else f"{service} is {user or 'nobody'} at {where}, not {itself}"
