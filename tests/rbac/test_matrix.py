"""Every account, verb and resource of a real API server: allowed is what the table says, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from schemas.rbac import EXECUTOR_BRIDGE, SERVICES, SETUP, WATCHER, Role
from tests.rbac.discovery import NAMESPACE, everything
from tests.rbac.rules import EVERYBODY, allows, each
from tests.rbac.server import STRANGER, a_server

if TYPE_CHECKING:
    from tests.rbac.server import Attributes, Server

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
PATHS: Final = ("/metrics", "/logs", "/debug/pprof/", "/configz", "/healthz/etcd")
FEWEST: Final = 400
"""Questions: a server that tells less than this of itself was not asked rightly."""


async def answers(server: Server, account: str, asked: list[Attributes]) -> list[bool]:
    """Ask all of it."""
    return await asyncio.gather(*(server.may(account, attributes) for attributes in asked))


@pytest.mark.parametrize("role", SERVICES, ids=lambda role: str(role.name))
async def test_an_account_may_what_the_table_says_and_nothing_else(server: Server, role: Role) -> None:
    """Subresources, verbs of our own and those that lead to other rights included."""
    asked = await everything(server)

    found = await answers(server, role.full_name, asked)

    assert len(asked) > FEWEST
    wrong = [one for one, allowed in zip(asked, found, strict=True) if allowed != allows(role, one)]
    assert wrong == []


async def test_an_account_without_a_role_may_ask_about_itself_only(server: Server) -> None:
    """So nothing in the matrix is allowed by the cluster's own roles for everybody."""
    asked = await everything(server)

    found = await answers(server, STRANGER, asked)

    allowed = [(one["verb"], one["group"], one["resource"]) for one, yes in zip(asked, found, strict=True) if yes]
    assert sorted(EVERYBODY) == sorted(allowed)


@pytest.mark.parametrize("role", SERVICES, ids=lambda role: str(role.name))
async def test_every_right_of_the_table_is_granted(server: Server, role: Role) -> None:
    """Those on single objects, too, and in any namespace."""
    asked = [attributes | {"namespace": "some-other"} for _, attributes in each(role.rights)]

    found = await answers(server, role.full_name, asked)

    assert [] == [one for one, allowed in zip(asked, found, strict=True) if not allowed]


async def test_no_account_reads_what_the_api_server_says_of_itself(server: Server) -> None:
    """Paths that are no objects: its metrics, its profiles, its logs."""
    asked = [{"verb": "get", "path": path} for path in PATHS]

    allowed = {role.name: await answers(server, role.full_name, asked) for role in SERVICES}

    assert {role.name: [False] * len(PATHS) for role in SERVICES} == allowed


async def test_the_setup_may_change_two_definitions_by_name(server: Server) -> None:
    """Any other stays as it is, and even ours are not deleted."""
    definitions = {"group": "apiextensions.k8s.io", "resource": "customresourcedefinitions"}
    ours = "workflowexecutions.workflowexecution.kubernaut.io"
    asked = {
        "ours is patched": {"verb": "patch", "name": ours},
        "another is patched": {"verb": "patch", "name": "certificates.cert-manager.io"},
        "ours is deleted": {"verb": "delete", "name": ours},
        "all are read": {"verb": "list"},
    }

    found = {what: await server.may(SETUP.full_name, definitions | one) for what, one in asked.items()}

    assert {what: what == "ours is patched" for what in asked} == found


@pytest.mark.parametrize("role", SERVICES, ids=lambda role: str(role.name))
async def test_an_account_hears_the_same_when_it_asks_itself(server: Server, role: Role) -> None:
    """With its real token: that it is who the matrix asked about."""
    held = [attributes | {"namespace": NAMESPACE} for _, attributes in each(role.rights)]
    others = [
        {"verb": verb, "group": "", "resource": resource, "namespace": NAMESPACE}
        for verb, resource in (("get", "secrets"), ("create", "pods/exec"), ("create", "serviceaccounts/token"))
    ]

    found = await asyncio.gather(*(server.may_itself(role.full_name, one) for one in (*held, *others)))

    assert [True] * len(held) + [False] * len(others) == found


async def test_narrowed_to_a_namespace_nothing_is_left_elsewhere(kubeconfig: str) -> None:
    """Each role bound in one namespace, and in the cluster only what must be."""
    async with a_server(kubeconfig, narrowed_to="served") as server:
        served = f"served-{server.mark}"
        for role in (WATCHER, EXECUTOR_BRIDGE):
            wrong = [
                (role.name, place, attributes)
                for right, attributes in each(role.rights)
                for place in (served, "other", "")
                if await server.may(role.full_name, attributes | {"namespace": place})
                != (right.reach == "wide" or place == served)
            ]
            assert wrong == []
