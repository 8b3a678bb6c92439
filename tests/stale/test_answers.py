"""The API server refuses, asks to wait, answers nonsense, or answers are lost: asked little, done once, not lost."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from kubernaut.local.services import EXECUTOR_BRIDGE, WATCHER
from runtime.errors import KubernautError, NotFoundError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Resource
from schemas.names import FINALIZER
from schemas.workflow_status import TERMINAL_PHASES
from tests.e2e.world import NAMESPACE, a_step, a_workflow, ten_steps, until
from tests.stale.gate import WRITES
from tests.stale.objects import all_end_well, delete_in_the_foreground, runs
from tests.stale.staleness import PATIENCE

if TYPE_CHECKING:
    from runtime.ports import Object
    from schemas.rbac import Role
    from tests.stale.gate import Gate
    from tests.stale.staleness import Staleness

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]
NAMESPACES = Resource("", "v1", "namespaces")
POLICIES = Resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
BINDINGS = Resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
BAD_ANSWERS = (
    (502, "<html>Bad Gateway</html>", "text/html"),
    (200, "<html>Welcome</html>", "text/html"),
    (500, '{"kind":"Status","code":500,"message":"etcdserver: request timed out"}', "application/json"),
    (503, "", "text/plain"),
)


async def asked(gate: Gate, since: float, times: int) -> None:
    """Wait until a gate was asked so often."""

    async def often() -> bool:
        return len(gate.since(since)) >= times

    await until(often, f"the API server was asked {times} times", PATIENCE)


async def test_an_api_server_that_answers_nonsense_is_asked_a_few_times_a_minute(stale: Staleness) -> None:
    """(F9) A page with 502 and with 200, 500, 503 in turn: both services pause longer and longer, and are not ready."""
    names = await runs(stale, "nonsense", 3)
    answers = itertools.cycle(BAD_ANSWERS)

    def nonsense(_request: web.Request) -> web.Response:
        status, text, kind = next(answers)
        return web.Response(status=status, text=text, content_type=kind)

    began = time.monotonic()
    for gate in stale.gates.values():
        gate.faults.refuse = nonsense
    stale.watching.cut_watches()
    await asked(stale.watching, began, 8)
    await stale.is_unready("watcher", "[-]kubernetes/")
    await stale.is_unready("executor_bridge", "[-]kubernetes")
    minutes = (time.monotonic() - began) / 60
    by_the_watcher, by_the_bridge = (len(gate.since(began)) for gate in (stale.watching, stale.writing))
    for gate in stale.gates.values():
        gate.heal()

    assert by_the_watcher <= 2 * (6 + 10 * minutes)
    assert by_the_bridge <= 30 + 10 * minutes
    await all_end_well(stale, names)
    await stale.is_ready("watcher")
    await stale.is_ready("executor_bridge")


async def test_nothing_is_asked_while_the_api_server_wants_to_be_left_alone(stale: Staleness) -> None:
    """(F10) 429 with Retry-After: 7 to one request of each service: seven seconds of silence, and the work goes on."""
    names = await runs(stale, "wait", 3)
    refused: dict[str, float] = {}

    def throttle(name: str) -> Any:
        def refuse(_request: web.Request) -> web.Response:
            refused.setdefault(name, time.monotonic())
            return web.Response(status=429, headers={"Retry-After": "7"}, text="{}", content_type="application/json")

        return refuse

    for name, gate in stale.gates.items():
        gate.faults.refuse = throttle(name)
    stale.watching.cut_watches()

    async def both() -> bool:
        for name, gate in stale.gates.items():
            if name in refused:
                gate.faults.refuse = None
        return len(refused) == len(stale.gates)

    await until(both, "both services were told to wait", PATIENCE)
    await all_end_well(stale, names)
    for name, gate in stale.gates.items():
        on_its_way = 1.0  # what was sent before the answer came
        quiet = [each for each in gate.since(refused[name] + on_its_way) if each.at < refused[name] + 6.9]
        assert [] == quiet, name
        assert gate.since(refused[name] + 6.9)


async def test_writes_whose_answers_are_lost_are_done_once(stale: Staleness) -> None:
    """(F16) Two of three writes get through and their answers do not: what was made is found to be ours."""
    chance, lost = random.Random(16), Counter[str]()  # noqa: S311 - faults, not secrets

    def loses(request: web.Request) -> bool:
        if request.method in WRITES and chance.random() < 2 / 3:
            lost[request.method] += 1
            return True
        return False

    stale.writing.faults.loses = loses
    names = await stale.world.apply(*(a_workflow(f"lost-{n}", ten_steps()) for n in range(3)))
    await all_end_well(stale, names)

    assert min(lost["POST"], lost["PUT"]) >= 5


async def test_an_editor_who_writes_all_the_time_keeps_nothing_from_ending(stale: Staleness) -> None:
    """(F20) Each status meets a conflict now and then; the run ends, and nobody's words are lost."""
    (name,) = await stale.world.apply(
        a_workflow("edited", [a_step(1), a_step(2, 1), a_step(3, 2)], simulate={"all-steps": "take:1s"})
    )
    edits = 0

    async def ended() -> bool:
        nonlocal edits
        body = {"metadata": {"annotations": {"editor": str(edits + 1)}}}
        found = await stale.world.cluster.patch(WORKFLOWS, NAMESPACE, name, body)
        edits += 1
        return bool(found.get("status", {}).get("phase") == "completed")

    while not await ended():
        assert edits < 20 * 2 * PATIENCE, "the run does not end"
        await asyncio.sleep(0.05)
    await all_end_well(stale, [name], steps=3)
    found = await stale.world.get(name)
    assert (str(edits), "completed") == (found["metadata"]["annotations"]["editor"], found["status"]["phase"])
    assert edits >= 20


async def test_rights_that_are_taken_away_and_given_back(stale: Staleness) -> None:
    """(F22) Without them both services are not ready and say why; no process ends, no work is lost."""
    cluster = stale.world.cluster
    names = await runs(stale, "rights", 3, take="2s")
    pids = {name: stale.world.stack.supervisor[name].process.pid for name in stale.gates}

    taken = [await unbound(stale, service.role) for service in (WATCHER, EXECUTOR_BRIDGE) if service.role]
    stale.watching.cut_watches()
    await stale.is_unready("watcher", "needs get, list and watch")
    await stale.is_unready("executor_bridge", "cannot")
    began = time.monotonic()
    for binding in taken:
        await cluster.create(ROLE_BINDINGS, "", binding)

    await all_end_well(stale, names)
    for service in stale.gates:
        await stale.is_ready(service)
    assert pids == {name: stale.world.stack.supervisor[name].process.pid for name in stale.gates}
    assert time.monotonic() - began < PATIENCE


async def unbound(stale: Staleness, role: Role) -> Object:
    """Take the rights of a service's account away; return the binding that gives them back."""
    found = await stale.world.cluster.get(ROLE_BINDINGS, "", role.full_name)
    await stale.world.cluster.delete(ROLE_BINDINGS, "", role.full_name, uid=found["metadata"]["uid"])
    return {"metadata": {"name": role.full_name}, "roleRef": found["roleRef"], "subjects": found["subjects"]}


async def test_an_execution_that_admission_refuses_fails_its_step_with_the_reason(stale: Staleness) -> None:
    """(F23) What is denied once is denied again: it is asked once, and the run says why it failed."""
    cluster, name = stale.world.cluster, "refused-by-policy"
    rule = {
        "apiGroups": [EXECUTIONS.group],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": [EXECUTIONS.plural],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [
            {
                "expression": f"object.spec.workflowExecutionRef.name != '{name}'",
                "reason": "Forbidden",
                "message": "not on a Tuesday",
            }
        ],
    }
    policy = await cluster.create(POLICIES, "", {"metadata": {"name": name}, "spec": spec})
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    bound = await cluster.create(BINDINGS, "", binding)
    await in_force(stale, name)

    began = time.monotonic()
    await stale.world.apply(a_workflow(name, [a_step(1)]))
    status = (await stale.world.all_end([name], PATIENCE))[name]
    await cluster.delete(BINDINGS, "", name, uid=bound["metadata"]["uid"])
    await cluster.delete(POLICIES, "", name, uid=policy["metadata"]["uid"])

    assert "failed" == status["phase"]
    assert "not on a Tuesday" in str(status["stepStatuses"])
    refused = [each for each in stale.writing.since(began) if each.method == "POST" and each.status == 403]
    assert 1 == len(refused)


async def in_force(stale: Staleness, name: str) -> None:
    """Wait until the policy is: that takes a moment after it was made."""
    body = {
        "apiVersion": f"{EXECUTIONS.group}/{EXECUTIONS.version}",
        "kind": "KubernetesExecution",
        "metadata": {"name": "probe-of-the-policy", "namespace": NAMESPACE},
        "spec": {
            "workflowExecutionRef": {"name": name, "namespace": NAMESPACE, "uid": "nobody"},
            "stepNumber": 1,
            "action": "notify_only",
            "parameters": {"message": "hello"},
            "idempotencyKey": "probe",
        },
    }

    async def denied() -> bool:
        try:
            made = await stale.world.cluster.create(EXECUTIONS, NAMESPACE, body)
        except KubernautError as error:
            return "Tuesday" in str(error)
        await stale.world.cluster.delete(EXECUTIONS, NAMESPACE, made["metadata"]["name"], uid=made["metadata"]["uid"])
        return False

    await until(denied, "the policy is in force", PATIENCE)


async def test_a_namespace_that_is_deleted_in_mid_run_goes(stale: Staleness) -> None:
    """(F26) Our finalizer holds it no longer than it takes to write down what became of the run."""
    cluster, name = stale.world.cluster, "going"
    made = await cluster.create(NAMESPACES, "", {"metadata": {"name": name}})
    body: Object = a_workflow("in-mid-run", ten_steps(), simulate={"all-steps": "take:2s"})
    body["metadata"]["namespace"] = name
    uid = (await cluster.create(WORKFLOWS, name, body))["metadata"]["uid"]

    async def under_way() -> bool:
        found = await cluster.get(WORKFLOWS, name, "in-mid-run")
        return bool(found.get("status", {}).get("currentStep", 0) > 1)

    await until(under_way, "the run is past its first step", 2 * PATIENCE)
    await cluster.delete(NAMESPACES, "", name, uid=made["metadata"]["uid"])

    async def gone() -> bool:
        try:
            await cluster.get(NAMESPACES, "", name)
        except NotFoundError:
            return True
        return False

    await until(gone, "the namespace is gone", 2 * PATIENCE)
    assert await written_down(stale, uid) in {"cancelled", "failed"}  # what is deleted first is not for us to say


async def test_a_workflow_that_is_deleted_in_the_foreground_in_mid_run_goes(stale: Staleness) -> None:
    """(F26) It waits for all that it owns, of which we hold what must not be done twice; the run ends as cancelled."""
    name = "in-the-foreground"
    steps = [*ten_steps(), a_step(11, action="custom", parameters={"actionType": "probe", "config": {}})]
    await stale.world.apply(a_workflow(name, steps, simulate={"all-steps": "take:2s", "step-11": "hang"}))
    uid = (await stale.world.get(name))["metadata"]["uid"]

    async def under_way() -> bool:
        executions = {each["metadata"]["name"]: each for each in await stale.world.all_of(EXECUTIONS)}
        held = executions.get(f"{name}-step-11", {}).get("metadata", {}).get("finalizers", [])
        return f"{name}-step-2" in executions and FINALIZER in held

    await until(under_way, "the run is past its first step, and one is held", PATIENCE)
    await delete_in_the_foreground(stale, WORKFLOWS, name, uid)

    async def gone() -> bool:
        left = await stale.world.all_of(WORKFLOWS) + await stale.world.all_of(EXECUTIONS)
        return not [each for each in left if each["metadata"]["name"].startswith(name)]

    await until(gone, "the workflow and its executions are gone", 2 * PATIENCE)
    assert "cancelled" == await written_down(stale, uid)
    assert {1} == set(stale.world.creations([name]).values())


async def written_down(stale: Staleness, uid: str) -> str:
    """Wait for the tombstone in the log and for the final row of the audit; return how the run ended."""
    assert (await stale.log_is_true())[uid][-1][1]
    found: list[str] = []

    async def there() -> bool:
        query = "SELECT phase FROM workflow_run WHERE workflow_uid = $1"
        found[:] = [row["phase"] for row in await stale.world.database.fetch(query, uid)]
        return bool(found) and found[0] in TERMINAL_PHASES

    await until(there, "the audit has the final row", PATIENCE)
    return found[0]
