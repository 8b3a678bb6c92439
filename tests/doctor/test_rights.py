"""Which accounts are asked about, what of, and what gives them their rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubernaut.doctor.gather_cluster import served
from kubernaut.doctor.gather_rights import NEVER, accounts_of, grant, question
from schemas.rbac import EXECUTOR_BRIDGE, SERVICES, WATCHER
from tests.doctor.builders import a_run

KUSTOMIZE = Path(__file__).parents[2] / "deploy" / "kustomize"


def a_deployment(component: str, **settings: str) -> dict[str, Any]:
    """Return a Deployment of a service."""
    env = [{"name": name, "value": value} for name, value in settings.items()]
    return {
        "metadata": {"namespace": "ops", "labels": {"app.kubernetes.io/component": component}},
        "spec": {"template": {"spec": {"serviceAccountName": f"our-{component}", "containers": [{"env": env}]}}},
    }


def needs(body: dict[str, Any]) -> set[str]:
    """Return what the account of a Deployment is asked to have."""
    (account,) = accounts_of([body])
    return {right.resource for right in account.rights}


def test_the_account_is_that_of_the_pod() -> None:
    """Whatever it is called; other Deployments are none of ours."""
    found = accounts_of([a_deployment("watcher"), a_deployment("grafana")])

    assert ["system:serviceaccount:ops:our-watcher"] == [each.user for each in found]


def test_reviews_are_needed_where_they_are_asked_for() -> None:
    """For the metrics port only where it asks who reads; the bridge's check asks in any case."""
    assert "tokenreviews" not in needs(a_deployment("watcher"))
    assert "tokenreviews" in needs(a_deployment("watcher", KUBERNAUT_METRICS_AUDIENCE="kubernaut"))
    assert "subjectaccessreviews" in needs(a_deployment("executor-bridge"))
    assert set() == needs(a_deployment("scheduler"))


def test_a_narrowed_service_is_asked_about_in_its_namespaces() -> None:
    """And gets its rights there, what is in no namespace apart."""
    (account,) = accounts_of([a_deployment("executor-bridge", KUBERNAUT_WATCH_NAMESPACES="shop, pay")])

    command = grant(account)

    assert ("shop", "pay") == account.namespaces
    assert 2 == command.count("kubectl create rolebinding")
    assert f"--clusterrole {EXECUTOR_BRIDGE.full_name}-cluster" in command


def test_runs_of_namespaces_that_nobody_serves_are_left_alone() -> None:
    """Nobody is to take them in; without a Deployment that says which, all are looked at."""
    runs = [a_run(name="shop/a"), a_run(name="other/b")]
    narrowed = [a_deployment("watcher", KUBERNAUT_WATCH_NAMESPACES="shop")]

    assert runs[:1] == served(runs, narrowed)
    assert runs == served(runs, [a_deployment("watcher")]) == served(runs, [])


def test_a_subresource_is_asked_for_as_one() -> None:
    """`workflowexecutions/status` is no resource of that name."""
    right = next(each for each in EXECUTOR_BRIDGE.rights if each.resource.endswith("/status"))

    asked = question("system:serviceaccount:ops:x", right, "update", "")["spec"]["resourceAttributes"]

    assert ("workflowexecutions", "status", "update") == (asked["resource"], asked["subresource"], asked["verb"])
    assert "namespace" not in asked


@pytest.mark.parametrize("role", SERVICES, ids=lambda role: role.name)
def test_no_service_needs_what_none_may_have(role: Any) -> None:
    """Else the doctor would ask for it and complain of it."""
    never = {(right.group, right.resource, verb) for right in NEVER for verb in right.verbs}

    assert set() == never & {(right.group, right.resource, verb) for right in role.rights for verb in right.verbs}


def test_what_is_deployed_is_known_for_ours() -> None:
    """All four services of the rendered manifests are found by their labels."""
    bodies = [
        body
        for file in sorted(KUSTOMIZE.rglob("*.yaml"))
        for body in yaml.safe_load_all(file.read_text())
        if isinstance(body, dict) and body.get("kind") == "Deployment" and "template" in (body.get("spec") or {})
    ]
    found = accounts_of([each | {"metadata": each["metadata"] | {"namespace": "ops"}} for each in bodies])

    assert {"watcher", "scheduler", "executor-bridge", "auditor"} == {each.role.name for each in found}
    assert WATCHER.full_name in {each.user.rpartition(":")[2] for each in found}
