"""Checks carried out on a cluster, and the end of a finished workflow: what is told, and what never is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import ForbiddenError, GoneError, NotFoundError, RefusedError, UnavailableError
from runtime.kinds import BY_KIND, QUOTAS, WORKFLOWS
from runtime.ports import Resource
from schemas import messages
from schemas.messages import CheckReported, CheckTarget, DeleteWorkflow, RunCheck
from schemas.run_state import CheckState, MonitorState, RunState
from schemas.subjects import AUDITOR
from tests.executor_bridge.builders import UID, WORKFLOW, a_decision, a_state
from tests.executor_bridge.test_bridge_creates import a_world, refusals
from tests.executor_bridge.world import World
from tests.fakes.cluster import FakeCluster

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.ports import Object
    from schemas.messages import CheckType

RBAC = "rbac.authorization.k8s.io"
WEB = CheckTarget(step=1, action="scale_deployment", parameters={"deployment": "web", "namespace": "shop"})


def validating(*open_checks: str) -> RunState:
    """A run that waits for its checks."""
    checks = tuple(CheckState(name, "health", required=True) for name in open_checks or ("check-1",))
    return a_state(phase="validating", checks=checks)


def watching(looks: int) -> RunState:
    """A run that watches what it has changed."""
    return a_state(phase="monitoring", monitor=MonitorState(looks=looks))


def retiring(looks: int = 1) -> RunState:
    """A finished run whose time to live is over."""
    return a_state(phase="completed", held=False, audit_looks=looks, ended_at=1)


def to(action: str, *, cluster: str = "", **parameters: Any) -> CheckTarget:
    """What a step is about to do."""
    return CheckTarget(step=1, action=action, parameters={"namespace": "shop"} | parameters, target_cluster=cluster)


def changed(resource: str, cluster: str = "") -> CheckTarget:
    """A thing that a step has changed."""
    return CheckTarget(resource=resource, target_cluster=cluster)


def told(world: World) -> list[CheckReported]:
    """What the log was told of checks."""
    bodies = [messages.decode(m.headers["ce-type"], m.data) for m in world.log.stored("kubernaut.outcome.>")]
    return [body for body in bodies if isinstance(body, CheckReported)]


def states(report: CheckReported) -> dict[str, str]:
    """Findings by what was looked at."""
    return {finding.subject: finding.state for finding in report.findings}


def checked(kind: CheckType, *targets: CheckTarget, **scene: Any) -> CheckReported:
    """Play a check to its end and return what was told of it; see `play`."""
    return play(kind, *targets, **scene)[0]


def play(
    kind: CheckType,
    *targets: CheckTarget,
    objects: tuple[tuple[Resource, Object], ...] = (),
    prepare: Any = None,
    clusters_dir: str = "",
) -> tuple[CheckReported, World]:
    """Carry out a check on a cluster with these objects; `prepare` sets up the world, `clusters_dir` is the setting."""
    name, state = ("monitor-1", watching(1)) if kind == "monitor" else ("check-1", validating())

    async def scene(world: World) -> None:
        for resource, body in objects:
            world.cluster.put(resource, body)
        if prepare:
            prepare(world)
        await world.decide(a_decision(1, state, RunCheck(check=name, type=kind, targets=targets)))

    world = a_world(scene, clusters_dir=clusters_dir)
    (report,) = told(world)
    assert refusals(world) == []
    return report, world


def an_object(kind: str, name: str, namespace: str = "shop", **fields: Any) -> tuple[Resource, Object]:
    """An object of the cluster."""
    return BY_KIND[kind], {"metadata": {"name": name, "namespace": namespace}, **fields}


def a_deployment(name: str = "web", *, replicas: int = 2, available: int = 2) -> tuple[Resource, Object]:
    """A Deployment whose pods ask for a core each."""
    container = {"resources": {"requests": {"cpu": "1"}}}
    spec = {"replicas": replicas, "template": {"spec": {"containers": [container]}}}
    status = {"observedGeneration": 1, "availableReplicas": available}
    return an_object("Deployment", name, spec=spec, status=status)


def a_node(name: str, cpu: str = "4", *, ready: str = "True", **spec: Any) -> tuple[Resource, Object]:
    """A node."""
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "100"},
    }
    return an_object("Node", name, "", spec=spec, status=status)


def a_pod(name: str, cpu: str, node: str, phase: str = "Running") -> tuple[Resource, Object]:
    """A pod on a node."""
    spec = {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": cpu}}}]}
    return an_object("Pod", name, spec=spec, status={"phase": phase})


def a_grant(account: str, resource: str, verb: str = "patch") -> tuple[tuple[Resource, Object], ...]:
    """A Role and its binding in the namespace of the workflow."""
    rules = [{"verbs": [verb], "apiGroups": ["*"], "resources": [resource]}]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "shop"}
    meta = {"name": account, "namespace": "shop"}
    return (
        (Resource(RBAC, "v1", "roles"), {"metadata": meta, "rules": rules}),
        (
            Resource(RBAC, "v1", "rolebindings"),
            {"metadata": meta, "subjects": [subject], "roleRef": {"kind": "Role", "name": account}},
        ),
    )


def test_a_check_is_told_once_with_what_it_was_made_of() -> None:
    """The result is an outcome with the command's id, its causes and the figures that the verdict stands on."""

    async def scene(world: World) -> None:
        world.cluster.put(*a_deployment(available=1))
        world.processes[0].log.lose_acks = 1
        await world.decide(a_decision(1, validating(), RunCheck(check="check-1", type="health", targets=(WEB,))))

    world = a_world(scene)
    (stored,) = world.log.stored("kubernaut.outcome.>")

    assert (stored.subject, stored.headers["ce-id"]) == (f"kubernaut.outcome.{UID}", f"{UID}/1/0/checked")
    assert (stored.headers["ce-causationid"], stored.headers["ce-correlationid"]) == (f"{UID}/1", "web-is-down")
    (report,) = told(world)
    assert report == CheckReported(
        workflow=WORKFLOW,
        command_id=f"{UID}/1/0",
        check="check-1",
        type="health",
        passed=False,
        message="Deployment/shop/web: 1 of 2 pods are available",
        findings=(
            messages.CheckFinding(subject="Deployment/shop/web", state="failed", message="1 of 2 pods are available"),
        ),
        inputs={"Deployment/shop/web": "1 of 2 available, generation 1, observed 1"},
    )


def test_a_check_that_nobody_waits_for_any_more_asks_nothing() -> None:
    """A look of before, which comes again, is void: no read, no outcome."""

    async def scene(world: World) -> None:
        look = RunCheck(check="monitor-1", type="monitor", targets=(changed("Deployment/shop/web"),))
        await world.decide(a_decision(1, watching(2), look))

    world = a_world(scene)

    assert (told(world), [call for call in world.cluster.calls if call[1] == "deployments"]) == ([], [])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (WEB, {"Deployment/shop/web": "passed"}),
        (to("scale_deployment", deployment="api"), {"Deployment/shop/api": "failed"}),
        (to("restart_pod", pod="web-1"), {"Pod/shop/web-1": "passed"}),
        (to("cordon_node", node="n1"), {"Node//n1": "passed"}),
        (to("rotate_secrets", secret="key"), {"Secret/shop/key": "unknown"}),  # noqa: S106 - the name of one
        (to("scale_deployment", deployment="{{ variables.d }}"), {"Deployment/shop/{{ variables.d }}": "unknown"}),
        (to("scale_deployment", deployment=".."), {"Deployment/shop/..": "unknown"}),
        (to("scale_deployment", deployment="web", namespace=""), {"Deployment//web": "unknown"}),
        (to("notify_only", message="hello"), {}),
        (to("custom"), {}),
        (to("an_action_of_tomorrow"), {}),
    ],
    ids=[
        "available",
        "not there",
        "a pod",
        "a node",
        "a secret is never read",
        "a template",
        "a path",
        "no namespace",
        "nothing in the cluster",
        "the executor's own",
        "an action that is not known here",
    ],
)
def test_health_looks_at_what_the_steps_are_about(target: CheckTarget, expected: dict[str, str]) -> None:
    """Each target is read; what cannot be known before the step runs is not judged."""
    report = checked("health", target, objects=(a_deployment(), a_pod("web-1", "1", "n1"), a_node("n1")))

    assert states(report) == expected
    assert report.passed is ("failed" not in expected.values())


def test_secrets_are_not_even_asked_for() -> None:
    """No call names them."""
    _, world = play("health", to("rotate_secrets", secret="key"))  # noqa: S106 - the name of one

    assert {plural for _, plural, _, _ in world.cluster.calls} <= {"workflowexecutions", "events"}


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (changed("Deployment/shop/web"), "passed"),
        (changed("Deployment/shop/gone"), "failed"),
        (changed("Pod/shop/gone"), "unknown"),
        (changed("Queue/shop/orders"), "unknown"),
        (changed("what is this"), "unknown"),
        (changed(""), "unknown"),
        (changed("Node//n1"), "passed"),
        (changed("Node/shop/n1"), "passed"),
        (changed("Deployment/shop/web", "east"), "unknown"),
        (changed("Deployment/shop/../../secrets"), "unknown"),
    ],
    ids=[
        "well",
        "not there",
        "a pod that was replaced",
        "a kind that is not known",
        "nonsense",
        "nothing",
        "a node",
        "a node with a namespace",
        "a cluster that only the executor knows",
        "a path",
    ],
)
def test_monitoring_looks_at_what_the_steps_changed(target: CheckTarget, state: str) -> None:
    """A thing that went is not well, but a pod is replaced all the time; what cannot be judged fails nothing."""
    report = checked("monitor", target, objects=(a_deployment(), a_node("n1")))

    assert [finding.state for finding in report.findings] == [state]
    assert report.passed is (state != "failed")


def test_a_right_that_is_missing_fails_nothing_and_is_named() -> None:
    """A read that is forbidden is a finding with the right to grant; the command is neither refused nor repeated."""

    def prepare(world: World) -> None:
        world.cluster.fail("get", ForbiddenError("no", reason="forbidden"))

    report = checked("health", WEB, prepare=prepare)

    assert (report.passed, states(report)) == (True, {"Deployment/shop/web": "unknown"})
    assert "get deployments.apps in namespace shop; grant it that" in report.message


def test_what_the_server_does_not_even_take_fails_nothing() -> None:
    """A name that the server calls invalid is not judged."""

    def prepare(world: World) -> None:
        world.cluster.fail("get", RefusedError("no such thing", reason="invalid"))

    assert states(checked("health", WEB, prepare=prepare)) == {"Deployment/shop/web": "unknown"}


def test_an_outage_delays_a_check_and_loses_nothing() -> None:
    """The API is away for longer than a message is kept: it is given back, and the check is told once afterwards."""

    async def scene(world: World) -> None:
        world.cluster.put(*a_deployment())
        world.cluster.fail("get", UnavailableError("connection refused"), times=100_000)
        await world.decide(a_decision(1, validating(), RunCheck(check="check-1", type="health", targets=(WEB,))))
        await asyncio.sleep(70)
        assert (told(world), world.ended()) == ([], set())
        world.cluster._faults.clear()  # noqa: SLF001 - the fake's faults end at once

    world = a_world(scene)

    assert [report.passed for report in told(world)] == [True]
    assert "command_delayed" in {line["event"] for line in world.lines.kept}


def test_a_slow_check_holds_up_neither_the_status_nor_other_commands() -> None:
    """While the API does not answer reads of the target, the phase is shown."""

    async def scene(world: World) -> None:
        world.cluster.fail("version", UnavailableError("no"), times=5)
        check = RunCheck(check="check-1", type="network", targets=(WEB,))
        await world.decide(a_decision(1, validating(), check))
        await world.until(world.statuses, seconds=0.3)
        assert told(world) == []

    assert [report.passed for report in told(a_world(scene))] == [True]


def test_many_targets_are_looked_at_a_few_at_a_time_and_not_without_end() -> None:
    """Of 100 targets 64 are read, 8 side by side, and the rest is said to be left out."""
    targets = [to("scale_deployment", deployment=f"d-{n}") for n in range(100)]
    most = [0, 0]

    def prepare(world: World) -> None:
        get = world.cluster.get

        async def slow(resource: Resource, namespace: str, name: str) -> Object:
            if resource.plural != "deployments":
                return await get(resource, namespace, name)
            most[0] += 1
            most[1] = max(most)
            await asyncio.sleep(0.1)
            most[0] -= 1
            return await get(resource, namespace, name)

        world.cluster.get = slow  # type: ignore[method-assign]

    report, world = play("health", *targets, *targets, prepare=prepare)

    assert len([call for call in world.cluster.calls if call[1] == "deployments"]) == 64
    assert (most[1], len(report.findings)) == (8, 65)
    assert states(report)["36 more"] == "unknown"


def test_the_api_server_says_what_an_account_may() -> None:
    """Of two actions one account has its right: the other is named with what it lacks."""
    report = checked(
        "rbac",
        WEB,
        to("restart_pod", pod="web-1"),
        to("restart_pod", pod="web-2"),
        to("notify_only", message="x"),
        to("custom"),
        objects=a_grant("scale-deployment-sa", "deployments/scale"),
    )

    assert states(report) == {
        "ServiceAccount/shop/scale-deployment-sa": "passed",
        "ServiceAccount/shop/restart-pod-sa": "failed",
    }
    assert "restart-pod-sa in namespace shop may not delete pods web-1 in namespace shop" in report.message
    assert (
        report.inputs["ServiceAccount/shop/scale-deployment-sa patch deployments.apps/scale web in namespace shop"]
        == "allowed"
    )


def test_rights_in_a_namespace_that_is_not_known_yet_are_not_judged() -> None:
    """Asking for all namespaces would fail a run that needs one."""
    report = checked("rbac", to("restart_pod", pod="web-1", namespace="{{ variables.ns }}"))

    assert (report.passed, set(states(report).values())) == (True, {"unknown"})


def test_who_may_not_ask_for_rights_fails_nothing() -> None:
    """The bridge itself lacks the right to ask: that is said."""

    def prepare(world: World) -> None:
        world.cluster.fail("create", ForbiddenError("no", reason="forbidden"))

    report = checked("rbac", WEB, prepare=prepare)

    assert report.passed
    assert "create subjectaccessreviews.authorization.k8s.io" in report.message


MORE = to("scale_deployment", deployment="web", replicas=4)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param((a_node("n1"),), {"Nodes": "passed"}, id="an empty node of four cores"),
        pytest.param((a_node("n1"), a_pod("a", "3", "n1")), {"Nodes": "failed"}, id="one core is left"),
        pytest.param((a_node("n1"), a_pod("a", "3", "n1", "Succeeded")), {"Nodes": "passed"}, id="a pod that ended"),
        pytest.param((a_node("n1"), a_pod("a", "3", "n2")), {"Nodes": "passed"}, id="a pod elsewhere"),
        pytest.param((a_node("n1"), a_pod("a", "3", "", "Pending")), {"Nodes": "failed"}, id="a pod that waits"),
        pytest.param((a_node("n1", unschedulable=True),), {"Nodes": "failed"}, id="a cordoned node"),
        pytest.param((a_node("n1", ready="False"),), {"Nodes": "failed"}, id="a node that is not ready"),
        pytest.param((), {"Nodes": "failed"}, id="no node"),
        pytest.param(
            (
                a_node("n1"),
                (QUOTAS, {"metadata": {"name": "q", "namespace": "shop"}, "status": {"hard": {"cpu": "1"}}}),
            ),
            {"ResourceQuota/shop/q": "failed", "Nodes": "passed"},
            id="a quota",
        ),
    ],
)
def test_two_more_pods_need_room(objects: tuple[tuple[Resource, Object], ...], expected: dict[str, str]) -> None:
    """Each asks for a core: the quota must allow it and a node must have it."""
    report = checked("capacity", MORE, objects=(a_deployment(), *objects))

    assert states(report) == expected
    assert report.passed is ("failed" not in expected.values())
    assert report.inputs["step 1: Deployment/shop/web"] == "asks for pods 2, requests.cpu 2"


def test_a_step_that_asks_for_nothing_passes_without_a_node() -> None:
    """Nothing has to fit anywhere, and pods are not even listed."""
    report, world = play("capacity", to("restart_pod", pod="web-1"))

    assert (report.passed, states(report)) == (True, {"Nodes": "unknown"})
    assert not [call for call in world.cluster.calls if call[1] == "pods"]


def test_what_is_to_grow_must_exist() -> None:
    """A deployment that is not there cannot be scaled."""
    assert states(checked("capacity", MORE, objects=(a_node("n1"),)))["Deployment/shop/web"] == "failed"


def test_what_is_to_move_must_fit_onto_its_node() -> None:
    """The node that was named is too small, whatever others have."""
    move = to("migrate_workload", workload="deployment/web", targetNode="small")
    report = checked("capacity", move, objects=(a_deployment(), a_node("small", "1"), a_node("large", "64")))

    assert states(report) == {"Node//small": "failed"}


def test_a_list_is_read_to_its_end_and_anew_when_it_is_too_old() -> None:
    """Pods of more than one page are summed up; a page that the server forgot is asked for again from the start."""
    pods = tuple(a_pod(f"p-{n}", "1m", "n1") for n in range(1200))

    report = checked("capacity", MORE, objects=(a_deployment(), a_node("n1", "3"), *pods))
    assert report.inputs["requests.cpu"] == "free 1.8, asked 2"

    def prepare(world: World) -> None:
        world.cluster.fail("list", GoneError("too old"))

    assert checked("capacity", MORE, objects=(a_deployment(), a_node("n1")), prepare=prepare).passed


def test_lists_that_may_not_be_read_fail_nothing() -> None:
    """Without the right to list nodes, the quotas still count."""

    def prepare(world: World) -> None:
        world.cluster.fail("list", ForbiddenError("no", reason="forbidden"), times=2)

    report = checked("capacity", MORE, objects=(a_deployment(),), prepare=prepare)

    assert (report.passed, states(report)) == (True, {"ResourceQuota/shop": "unknown", "Nodes": "unknown"})
    assert "list resourcequotas in namespace shop" in report.message
    assert "list nodes" in report.message


def elsewhere(tmp_path: Path, *names: str) -> Any:
    """Set up other clusters with a kubeconfig each."""

    def prepare(world: World) -> None:
        for name in names:
            path = tmp_path / name
            path.write_text("a kubeconfig", encoding="utf-8")
            world.others[str(path)] = FakeCluster()

    return prepare


def test_each_target_cluster_must_answer(tmp_path: Path) -> None:
    """The own cluster and those that are known answer; one without a kubeconfig fails with what to do."""
    here, east, west = (to("restart_pod", pod="w", cluster=name) for name in ("", "east", "west"))
    report = checked(
        "network", here, east, west, prepare=elsewhere(tmp_path, "east.kubeconfig"), clusters_dir=str(tmp_path)
    )

    assert states(report) == {"this cluster": "passed", "Cluster/east": "passed", "Cluster/west": "failed"}
    assert report.inputs == {"this cluster": "v1.36.3-fake", "Cluster/east": "v1.36.3-fake"}
    assert "put its kubeconfig under that name into KUBERNAUT_CLUSTERS_DIR" in report.message


def test_another_cluster_that_is_away_is_a_finding_within_seconds(tmp_path: Path) -> None:
    """It costs the bridge neither its readiness nor its patience, also when eighty things are to be looked at there."""
    targets = tuple(to("scale_deployment", cluster="east", deployment=f"d-{n}") for n in range(80))

    async def scene(world: World) -> None:
        elsewhere(tmp_path, "east")(world)
        (other,) = world.others.values()
        other.fail("get", UnavailableError("no route to host"), times=100_000)
        before = asyncio.get_running_loop().time()
        await world.decide(a_decision(1, validating(), RunCheck(check="check-1", type="health", targets=targets)))
        await world.until(lambda: told(world))
        assert world.processes[0].health.ready
        assert asyncio.get_running_loop().time() - before < 15

    (report,) = told(a_world(scene, clusters_dir=str(tmp_path)))

    assert (report.passed, report.findings[0].state) == (False, "failed")
    assert "cluster east does not answer" in report.message


def test_an_answer_that_is_a_refusal_is_an_answer(tmp_path: Path) -> None:
    """A cluster that does not tell its version answers all the same; one that refuses the credentials is of no use."""
    target = to("restart_pod", pod="w", cluster="east")

    def refusing(reason: str) -> Any:
        def prepare(world: World) -> None:
            elsewhere(tmp_path, "east")(world)
            (other,) = world.others.values()
            other.fail("version", ForbiddenError("no", reason=reason))

        return prepare

    forbidden = checked("network", target, prepare=refusing("forbidden"), clusters_dir=str(tmp_path))
    unknown = checked("network", target, prepare=refusing("unauthorized"), clusters_dir=str(tmp_path))

    assert (forbidden.passed, unknown.passed) == (True, False)
    assert "does not accept the credentials" in unknown.message


def the_audit(*, acknowledged: bool) -> tuple[CheckReported, World]:
    """Ask for the audit of a finished run."""

    async def scene(world: World) -> None:
        durable = world.broker.durable(AUDITOR)
        await world.decide(a_decision(1, retiring(), RunCheck(check="audit-1", type="audit")))
        if acknowledged:
            durable.next = 3

    world = a_world(scene)
    (report,) = told(world)
    return report, world


def test_the_audit_holds_a_run_once_it_has_acknowledged_the_question() -> None:
    """Everything before the decision is in the database then."""
    report, _ = the_audit(acknowledged=True)

    assert (report.passed, report.inputs["decision"]) == (True, "2")


def test_an_auditor_that_is_a_moment_behind_is_waited_for() -> None:
    """It reads the very same message as we do, and writes it down before it acknowledges."""

    async def scene(world: World) -> None:
        durable = world.broker.durable(AUDITOR)
        asyncio.get_running_loop().call_later(0.5, setattr, durable, "next", 3)
        await world.decide(a_decision(1, retiring(), RunCheck(check="audit-1", type="audit")))

    assert [True] == [report.passed for report in told(a_world(scene))]


def test_an_audit_that_lags_is_told_with_how_far_it_is() -> None:
    """The object must not be deleted yet."""
    report, _ = the_audit(acknowledged=False)

    assert not report.passed
    assert report.inputs == {"decision": "2", "acknowledged": "0"}
    assert "is the auditor well?" in report.message


def test_without_an_auditor_nothing_is_ever_called_audited() -> None:
    """Its consumer does not exist: that is a result, not an error."""

    async def scene(world: World) -> None:
        async def none(_: object) -> int:
            raise NotFoundError("consumer not found")

        world.processes[0].log.acknowledged = none  # type: ignore[method-assign]
        await world.decide(a_decision(1, retiring(), RunCheck(check="audit-1", type="audit")))

    assert [report.passed for report in told(a_world(scene))] == [False]


def test_a_finished_workflow_is_deleted_by_its_uid() -> None:
    """It is gone afterwards, once, also when the message comes again."""

    async def scene(world: World) -> None:
        world.processes[0].log.lose_acks = 1
        await world.decide(a_decision(1, retiring(), DeleteWorkflow()))

    world = a_world(scene)

    assert (world.cluster.of(WORKFLOWS), refusals(world)) == ([], [])


@pytest.mark.parametrize(
    "last",
    [a_state(audit_looks=1), a_state(phase="completed", held=False)],
    ids=["the run goes on", "nobody asked for the audit"],
)
def test_a_workflow_that_has_not_ended_and_been_audited_is_never_deleted(last: RunState) -> None:
    """Whatever message says so."""

    async def scene(world: World) -> None:
        await world.decide(a_decision(1, last, DeleteWorkflow()))

    assert len(a_world(scene).cluster.of(WORKFLOWS)) == 1


def test_another_workflow_of_the_same_name_is_not_deleted() -> None:
    """The one that is meant is gone, and somebody made it again."""

    async def scene(world: World) -> None:
        world.cluster.remove(WORKFLOWS, "shop", WORKFLOW.name)
        again = {"metadata": {"name": WORKFLOW.name, "namespace": "shop", "uid": "another"}, "spec": {}}
        world.cluster.put(WORKFLOWS, again)
        await world.decide(a_decision(1, retiring(), DeleteWorkflow()))

    world = a_world(scene)

    assert [w["metadata"]["uid"] for w in world.cluster.of(WORKFLOWS)] == ["another"]
    assert refusals(world) == []


def test_the_queue_of_runs_is_passed_over() -> None:
    """Its decisions are on the bridge's subjects and ask nothing of the cluster: they are neither buried nor kept."""

    async def scene(world: World) -> None:
        kind = messages.TYPE_OF[messages.QueueDecided]
        sequence = world.broker.put("KUBERNAUT", "kubernaut.decision.queue", {"ce-type": kind}, b"{}")
        await world.until(lambda: sequence in world.processes[0].log.acked)

    world = a_world(scene)

    assert (world.log.stored("kubernaut.deadletter.>"), world.cluster.calls) == ([], [])
