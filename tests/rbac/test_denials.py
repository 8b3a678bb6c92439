"""Real attempts with real tokens: what an account that was taken over could not do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from runtime.kinds import EXECUTIONS, WORKFLOWS
from schemas.names import EXECUTION_GROUP, WORKFLOW_GROUP
from schemas.rbac import AUDITOR, EXECUTOR_BRIDGE, SCHEDULER, SERVICES, SETUP, SIMULATOR, WATCHER, Role
from tests.rbac.server import RBAC, Server
from tests.schemas.builders import a_step, a_workflow, an_execution

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
MERGE: Final = "application/merge-patch+json"
CORE: Final = "/api/v1/namespaces/{home}"
ALL_WORKFLOWS: Final = f"/apis/{WORKFLOW_GROUP}/v1/namespaces/{{home}}/{WORKFLOWS.plural}"
ALL_EXECUTIONS: Final = f"/apis/{EXECUTION_GROUP}/v1/namespaces/{{home}}/{EXECUTIONS.plural}"
WORKFLOW: Final = f"{ALL_WORKFLOWS}/victim"
EXECUTION: Final = f"{ALL_EXECUTIONS}/victim"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMIN: Final = {
    "metadata": {"name": "mine"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}],
}
POD: Final = {"metadata": {"name": "mine"}, "spec": {"containers": [{"name": "mine", "image": "mine"}]}}
Attempt = tuple[Role, str, str, Any]

ATTEMPTS: Final[dict[str, Attempt]] = {
    "the watcher writes a status": (WATCHER, "PATCH", f"{WORKFLOW}/status", {"status": {"phase": "completed"}}),
    "the watcher approves": (WATCHER, "PATCH", WORKFLOW, {"metadata": {"annotations": {"a": "b"}}}),
    "the watcher creates an execution": (WATCHER, "POST", ALL_EXECUTIONS, an_execution("mine")),
    "the watcher lists pods": (WATCHER, "GET", f"{CORE}/pods", None),
    "the scheduler lists pods": (SCHEDULER, "GET", f"{CORE}/pods", None),
    "the scheduler reads a workflow": (SCHEDULER, "GET", WORKFLOW, None),
    "the scheduler creates an execution": (SCHEDULER, "POST", ALL_EXECUTIONS, an_execution("mine")),
    "the bridge reads a secret": (EXECUTOR_BRIDGE, "GET", f"{CORE}/secrets/victim", None),
    "the bridge lists secrets": (EXECUTOR_BRIDGE, "GET", "/api/v1/secrets", None),
    "the bridge replaces a workflow": (EXECUTOR_BRIDGE, "PUT", WORKFLOW, a_workflow("victim", [a_step(1)])),
    "the bridge creates a workflow": (EXECUTOR_BRIDGE, "POST", ALL_WORKFLOWS, a_workflow("mine", [a_step(1)])),
    "the bridge lists workflows": (EXECUTOR_BRIDGE, "GET", ALL_WORKFLOWS, None),
    "the bridge ends an execution": (EXECUTOR_BRIDGE, "PATCH", f"{EXECUTION}/status", {"status": {}}),
    "the bridge deletes all executions": (EXECUTOR_BRIDGE, "DELETE", ALL_EXECUTIONS, None),
    "the bridge opens a shell": (EXECUTOR_BRIDGE, "POST", f"{CORE}/pods/victim/exec?command=sh", None),
    "the bridge starts a pod": (EXECUTOR_BRIDGE, "POST", f"{CORE}/pods", POD),
    "the bridge deletes a pod": (EXECUTOR_BRIDGE, "DELETE", f"{CORE}/pods/victim", None),
    "the bridge changes a node": (EXECUTOR_BRIDGE, "PATCH", "/api/v1/nodes/victim", {"spec": {"unschedulable": True}}),
    "the bridge makes itself an administrator": (EXECUTOR_BRIDGE, "POST", f"{RBAC}/clusterrolebindings", ADMIN),
    "the bridge makes a token": (EXECUTOR_BRIDGE, "POST", f"{CORE}/serviceaccounts/default/token", {"spec": {}}),
    "the auditor reads a workflow": (AUDITOR, "GET", WORKFLOW, None),
    "the auditor reads a config map": (AUDITOR, "GET", f"{CORE}/configmaps/kube-root-ca.crt", None),
    "the auditor reads the namespace": (AUDITOR, "GET", CORE, None),
    "the setup deletes our definition": (SETUP, "DELETE", f"{DEFINITIONS}/{WORKFLOWS.plural}.{WORKFLOW_GROUP}", None),
    "the setup reads a workflow": (SETUP, "GET", WORKFLOW, None),
    "the simulator writes a workflow": (SIMULATOR, "PATCH", WORKFLOW, {"metadata": {"annotations": {"a": "b"}}}),
    "the simulator creates an execution": (SIMULATOR, "POST", ALL_EXECUTIONS, an_execution("mine")),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def victims(server: Server) -> AsyncIterator[Server]:
    """Give the server with things that are worth an attempt."""
    where = {"home": server.home}
    for path, body in (
        (ALL_WORKFLOWS, a_workflow("victim", [a_step(1)])),
        (ALL_EXECUTIONS, an_execution("victim")),
        (f"{CORE}/secrets", {"metadata": {"name": "victim"}, "stringData": {"password": "x"}}),
    ):
        await server.done("POST", path.format(**where), body)
    yield server


@pytest.mark.parametrize("what", ATTEMPTS)
async def test_an_attempt_is_refused(victims: Server, what: str) -> None:
    """By the API server's authorizer, in its words, and with nothing changed."""
    role, method, path, body = ATTEMPTS[what]
    kind = MERGE if method == "PATCH" else "application/json"

    code, answer = await victims.call(method, path.format(home=victims.home), body, account=role.full_name, kind=kind)

    user = f'User "system:serviceaccount:{victims.home}:{role.full_name}" cannot '
    assert (403, True) == (code, user in answer["message"]), answer


@pytest.mark.parametrize("role", SERVICES, ids=lambda role: str(role.name))
@pytest.mark.parametrize("other", ["admin", "system:serviceaccount:kube-system:generic-garbage-collector"])
async def test_nobody_becomes_somebody_else(victims: Server, role: Role, other: str) -> None:
    """Neither an administrator nor an account that may delete everything."""
    path = WORKFLOW.format(home=victims.home)

    code, answer = await victims.call("GET", path, account=role.full_name, Impersonate_User=other)

    assert (403, True) == (code, " cannot impersonate" in answer["message"]), answer["message"]


async def test_the_bridge_cannot_change_what_a_workflow_is(victims: Server) -> None:
    """It may patch one, for its finalizer; the resource definition holds the rest, whoever writes."""
    body = {"spec": {"workflowDefinition": {"name": "another"}}}

    code, answer = await victims.call(
        "PATCH", WORKFLOW.format(home=victims.home), body, account=EXECUTOR_BRIDGE.full_name, kind=MERGE
    )

    assert (422, True) == (code, "immutable" in answer["message"]), answer


async def test_the_same_attempts_succeed_with_the_right(victims: Server) -> None:
    """So that what was refused was refused for the right that is missing, and not for a path that leads nowhere."""
    where = {"home": victims.home}
    bridge, watcher = EXECUTOR_BRIDGE.full_name, WATCHER.full_name
    held = await victims.call("GET", WORKFLOW.format(**where), account=bridge)

    listed = await victims.call("GET", ALL_WORKFLOWS.format(**where), account=watcher)
    told = await victims.call("PUT", f"{WORKFLOW}/status".format(**where), held[1], account=bridge)
    created = await victims.call(
        "POST", ALL_EXECUTIONS.format(**where), _owned(an_execution("made"), held[1]), account=bridge
    )
    gone = await victims.call("DELETE", f"{ALL_EXECUTIONS}/made".format(**where), account=bridge)

    answers = [held, listed, told, created, gone]
    assert [200, 200, 200, 201, 200] == [code for code, _ in answers], answers


def _owned(execution: dict[str, Any], workflow: dict[str, Any]) -> dict[str, Any]:
    owner = {name: workflow[name] for name in ("apiVersion", "kind")}
    owner |= {name: workflow["metadata"][name] for name in ("name", "uid")}
    execution["metadata"]["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    return execution
