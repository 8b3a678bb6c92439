"""The whole system under the policies as they are shipped: what its services write, none of it is refused."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from kubernaut.local.stack import StackOptions
from runtime.kinds import WORKFLOWS
from schemas.names import (
    ANNOTATION_ALLOWED_ACTIONS,
    ANNOTATION_APPROVAL_REQUIRED,
    ANNOTATION_CREATED_BY,
    ANNOTATION_FOUR_EYES,
)
from tests.admission.gate import succeeded
from tests.admission.manifests import FOLDER, ROLES
from tests.admission.people import MERGE, kubeconfig_for
from tests.e2e.people import kubectl, kubernaut, waits_until
from tests.e2e.system import a_world
from tests.e2e.world import NAMESPACE, World, a_step, a_workflow, until
from tests.schemas.api import WORKFLOWS as PATH
from tests.schemas.api import Api, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
ASKED: Final = {
    ANNOTATION_ALLOWED_ACTIONS: "notify_only",
    ANNOTATION_APPROVAL_REQUIRED: "true",
    ANNOTATION_FOUR_EYES: "true",
}
STRATEGY: Final[dict[str, Any]] = {"approvalRequired": True, "dryRunFirst": True, "rollbackStrategy": "automatic"}
UNDO: Final = {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "back"}}}
FAILURE: Final = "validation.policy.admission.k8s.io/validation_failure"
"""What the API server notes in its audit log of a request that a policy refused."""


@asynccontextmanager
async def a_guarded_world(folder: Path) -> AsyncIterator[World]:
    """Give a system with all policies in force, installed as docs/admission.md says."""
    async with a_world(StackOptions(name="admission", home=folder, audit_log=True)) as world:
        assert world.stack.kubeconfig
        with serving(str(world.stack.kubeconfig)) as admin:
            path = f"/api/v1/namespaces/{NAMESPACE}"
            succeeded(admin.call("PATCH", path, {"metadata": {"annotations": ASKED}}, kind=MERGE))
            await kubectl(world, "apply", "-f", str(FOLDER))
            for file in ("approval", "actions", "creator"):

                async def holds(file: str = file) -> bool:
                    return _in_force(admin, file)

                await until(holds, f"{file}.yaml is in force", 60)
        yield world


def _in_force(admin: Api, file: str) -> bool:
    strategy = {} if file == "approval" else STRATEGY
    action = "cordon_node" if file == "actions" else "notify_only"
    body = a_workflow("probe", [a_step(1, action=action)], executionStrategy=strategy)
    answer = admin.call("POST", f"{PATH.format(NAMESPACE)}?dryRun=All", body)
    if file == "creator":
        return ANNOTATION_CREATED_BY in answer.object["metadata"].get("annotations", {})
    return f"'{file}.workflow" in answer.message


async def an_approver(world: World, folder: Path) -> str:
    """Let an account be an approver; return its kubeconfig."""
    await kubectl(world, "apply", "-f", str(ROLES / "kubernaut-approver.yaml"))
    await kubectl(world, "create", "serviceaccount", "alice")
    role = ["--clusterrole=kubernaut-approver", f"--serviceaccount={NAMESPACE}:alice"]
    await kubectl(world, "create", "rolebinding", "approvers", *role)
    token = (await kubectl(world, "create", "token", "alice")).strip()
    return kubeconfig_for(str(world.stack.kubeconfig), folder, "alice", token)


def refused_by_policies(world: World) -> list[tuple[str, str, str]]:
    """Who was refused what, as the API server's audit log has it; tries are left out."""
    assert world.stack.kubernetes_audit_log is not None
    lines = world.stack.kubernetes_audit_log.read_text().splitlines()
    found = [entry for entry in map(json.loads, lines) if FAILURE in entry.get("annotations", {})]
    return [
        (entry["user"]["username"], entry["verb"], entry["objectRef"].get("name", ""))
        for entry in found
        if "dryRun" not in entry["requestURI"]
    ]


async def test_runs_go_their_whole_way_under_the_policies(tmp_path: Path) -> None:
    """Dry runs, approvals by a second person, steps, a rollback, a deletion: and of all writes one is refused.

    Each service with its own rights and no others.
    """
    good = a_workflow("good", [a_step(1, **UNDO), a_step(2, 1)], executionStrategy=STRATEGY)
    bad = a_workflow("bad", [a_step(1, **UNDO), a_step(2, 1)], simulate={"step-2": "fail"}, executionStrategy=STRATEGY)
    async with a_guarded_world(tmp_path / "system") as world:
        alice = await an_approver(world, tmp_path)
        await world.apply(good, bad)
        for name in ("good", "bad"):
            await waits_until(world, name, "condition Approved.status", "Unknown")
            await waits_until(world, name, "validationResults.dryRunResults.overallSuccess", expected=True)

        own = await kubernaut(world, "approve", "good", "--yes", expected_code=1)
        for name in ("good", "bad"):
            await kubernaut(world, "approve", name, "--yes", "--kubeconfig", alice)
        ended = await world.all_end(["good", "bad"], 300)
        await world.cluster.delete(WORKFLOWS, NAMESPACE, "good", uid=(await world.get("good"))["metadata"]["uid"])
        await until(lambda: _gone(world, "good"), "the deleted run is gone", 300)

        assert "this namespace asks for four eyes" in own
        assert {"good": "completed", "bad": "failed"} == {name: one["phase"] for name, one in ended.items()}
        assert "rolled_back" in {step["status"] for step in ended["bad"]["stepStatuses"]}
        assert ended["good"]["validationResults"]["approvedBy"] == f"system:serviceaccount:{NAMESPACE}:alice"
        assert [("admin", "patch", "good")] == await asyncio.to_thread(refused_by_policies, world)


async def _gone(world: World, name: str) -> bool:
    return name not in {each["metadata"]["name"] for each in await world.all_of(WORKFLOWS)}
