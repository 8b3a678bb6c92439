"""The table and the files that are made of it, without a server."""

from __future__ import annotations

from typing import Final

import pytest
import yaml

from runtime import kinds
from runtime.ports import Resource
from schemas import rbac
from schemas.rbac import EXECUTOR_BRIDGE, PEOPLE, SERVICES, SETUP, Right, Role, roles_of
from tests.rbac.server import FOLDER

ROLES: Final = (*SERVICES, *PEOPLE)
FORBIDDEN: Final = frozenset(
    {
        "secrets",
        "configmaps",
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/ephemeralcontainers",
        "nodes/proxy",
        "pods/proxy",
        "services/proxy",
        "serviceaccounts/token",
        "certificatesigningrequests",
        "roles",
        "clusterroles",
        "rolebindings",
        "clusterrolebindings",
    }
)
"""Whoever holds one of them can take more rights than were given (Kubernetes: RBAC good practices)."""
VERBS: Final = frozenset({"escalate", "bind", "impersonate", "deletecollection", "*"})


def rights_of(roles: tuple[Role, ...]) -> list[tuple[Role, Right]]:
    """Return every row."""
    return [(role, right) for role in roles for right in role.rights]


def test_nobody_has_a_right_that_leads_to_others() -> None:
    """Neither a wildcard, a secret, a shell in a pod, nor the right to give rights or to be somebody else."""
    led = [
        (role.name, right)
        for role, right in rights_of(ROLES)
        if right.resource in FORBIDDEN
        or VERBS & set(right.verbs)
        or any("*" in value for value in (right.group, right.resource, *right.names, *right.paths))
    ]

    assert led == []


def test_every_right_has_a_reason_and_is_said_once() -> None:
    """Verbs of one thing may stand in two rows for two reasons, but none of them twice."""
    single = [
        (role.name, right.group, right.resource, right.paths, verb)
        for role, right in rights_of(ROLES)
        for verb in right.verbs
    ]

    assert [] == [role.name for role, right in rights_of(ROLES) if not right.why]
    assert len(single) == len(set(single))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: str(role.name))
def test_the_file_of_a_role_says_what_the_table_says(role: Role) -> None:
    """Comments beside the rules are for people."""
    shipped = tuple(yaml.safe_load_all((FOLDER / f"{role.full_name}.yaml").read_text("utf-8")))

    assert roles_of(role) == shipped


def test_every_kind_that_the_services_know_has_its_row() -> None:
    """A kind that is added to a check needs a right, or its check can never judge it."""
    named = [*vars(kinds).values(), *kinds.BY_KIND.values()]
    known = {(each.group, each.plural) for each in named if isinstance(each, Resource)}
    rows = {(right.group, right.resource) for role in SERVICES for right in role.rights}

    assert set() == known - rows


def test_what_is_in_no_namespace_is_said_to_be_wide() -> None:
    """Else an installation for some namespaces would lack it without a word."""
    in_none = {kinds.NODES, kinds.CRDS, kinds.ACCESS_REVIEWS, kinds.TOKEN_REVIEWS}

    wide = {(right.group, right.resource) for _, right in rights_of(SERVICES) if right.reach == "wide"}

    assert {(each.group, each.plural) for each in in_none} == wide


def test_only_what_is_a_part_has_a_second_role() -> None:
    """So that whoever binds `kubernaut-<service>` in the cluster has bound all of it."""
    counts = {role.name: len(roles_of(role)) for role in SERVICES}

    expected = {"watcher": 2, "scheduler": 1, "executor-bridge": 2, "auditor": 1, "setup": 1, "simulator": 2}
    assert expected == counts


def test_the_setup_touches_our_definitions_alone() -> None:
    """But for the first time, which cannot be limited."""
    unnamed = [right.verbs for right in SETUP.rights if not right.names]

    assert [("create",)] == unnamed


def test_the_bridge_alone_may_record() -> None:
    """Of the services; of people, who comes back after a loss."""
    may = {role.name for role, right in rights_of(ROLES) if rbac.RECORD in right.verbs}

    assert {EXECUTOR_BRIDGE.name, rbac.RECOVERER.name} == may
