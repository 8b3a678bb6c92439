"""Checks by the bridge as a process, between a real nats-server and a real kube-apiserver with its controllers."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio
import structlog
import yaml

from runtime.errors import NotFoundError
from runtime.health import Dependency
from runtime.kinds import BY_KIND, NODES, QUOTAS, WORKFLOWS
from runtime.nats_log import NatsLog
from runtime.ports import Resource
from schemas import messages, subjects
from schemas.messages import CheckReported, CheckTarget, DeleteWorkflow, RunCheck, WorkflowRef
from schemas.run_state import CheckState
from schemas.subjects import AUDITOR, LOG
from tests.contracts.cluster_worlds import RealWorld
from tests.executor_bridge.builders import a_decision, a_state, a_step, a_workflow, change_of, on_the_log
from tests.executor_bridge.test_bridge_real import LIMIT_SECONDS, a_bridge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.ports import Object
    from schemas.messages import CheckType
    from tests.nats_server import NatsServer

pytestmark = pytest.mark.real
RBAC = "rbac.authorization.k8s.io"
IMAGE = "registry.invalid/none:1"
"""Pods of it never run, whatever the cluster has."""


class Bench:
    """A workflow on the API server, the log, and a bridge that carries out what the test decides."""

    def __init__(self, world: RealWorld, log: NatsLog) -> None:
        self.cluster = world.cluster
        self.namespace = world.namespace
        self.log = log
        self.workflow = WorkflowRef(namespace=world.namespace, name="checked", uid="")
        self._version = 0

    async def begin(self) -> None:
        """The workflow exists and is on the log."""
        body = a_workflow()
        body["metadata"] = {"name": "checked", "namespace": self.namespace}
        made = await self.cluster.create(WORKFLOWS, self.namespace, body)
        self.workflow = msgspec.structs.replace(self.workflow, uid=made["metadata"]["uid"])
        await self.log.publish(change_of(made))

    async def decide(self, state: Any, *commands: Any) -> int:
        """Say what is to be done; the sequence of the decision."""
        self._version += 1
        decision = a_decision(self._version, state, *commands, workflow=self.workflow)
        return (await self.log.publish(on_the_log(decision))).sequence

    async def check(self, kind: CheckType, *targets: CheckTarget) -> CheckReported:
        """Ask for a safety check and wait for what is told of it."""
        name = f"check-{self._version + 1}"
        state = a_state(a_step(1), phase="validating", held=False, checks=(CheckState(name, kind, required=True),))
        await self.decide(state, RunCheck(check=name, type=kind, targets=targets))
        return await self.told(name)

    async def told(self, name: str) -> CheckReported:
        """Wait for the result of a check."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                async for stored in self.log.scan(LOG.name, subjects.outcome(self.workflow.uid)):
                    body = messages.decode(stored.headers["ce-type"], stored.data)
                    assert isinstance(body, CheckReported), body
                    if body.check == name:
                        return body
                await asyncio.sleep(0.05)

    def to(self, action: str, *, cluster: str = "", **parameters: Any) -> CheckTarget:
        """What a step is about to do in the namespace of the test."""
        given = {"namespace": self.namespace} | parameters
        return CheckTarget(step=1, action=action, parameters=given, target_cluster=cluster)

    async def put(self, kind: str, name: str, **fields: Any) -> Object:
        """Create an object, and then its status: the API takes none with the object."""
        resource = BY_KIND.get(kind, QUOTAS)
        namespace = "" if kind == "Node" else self.namespace
        status = fields.pop("status", None)
        made = await self.cluster.create(resource, namespace, {"metadata": {"name": name}, **fields})
        if status is None:
            return made
        return await self.cluster.replace_status(resource, namespace, name, made | {"status": status})

    async def observed(self, name: str) -> None:
        """Wait until the controller has seen a deployment."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                found = await self.cluster.get(BY_KIND["Deployment"], self.namespace, name)
                if found.get("status", {}).get("observedGeneration"):
                    return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def a_bench(kubeconfig: str, nats: NatsServer, **environment: str) -> AsyncIterator[Bench]:
    """A bench with its bridge."""
    log = NatsLog(nats.url, "test", Dependency("nats"), structlog.get_logger())
    keep = asyncio.create_task(log.keep())
    await log.verified()
    async with RealWorld(kubeconfig) as world, a_bridge(nats, kubeconfig, **environment):
        bench = Bench(world, log)
        await bench.begin()
        yield bench
    await log.close()
    await keep


@pytest_asyncio.fixture
async def bench(kubeconfig: str, fresh_nats: NatsServer) -> AsyncIterator[Bench]:
    """A bridge that knows this cluster only."""
    async with a_bench(kubeconfig, fresh_nats) as made:
        yield made


def states(report: CheckReported) -> dict[str, str]:
    """Findings by what was looked at."""
    return {finding.subject: finding.state for finding in report.findings}


def a_template(cpu: str = "1") -> dict[str, Any]:
    """Spec of a workload without replicas."""
    container = {"name": "c", "image": IMAGE, "resources": {"requests": {"cpu": cpu}}}
    return {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container]}},
    }


async def test_the_api_server_says_whether_an_account_may(bench: Bench) -> None:
    """A Role of exactly one deployment's scale is enough for that step, and for no other."""
    namespace = bench.namespace
    rule = {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["web"]}
    meta = {"metadata": {"name": "scaler"}}
    account = {"kind": "ServiceAccount", "name": "scale-deployment-sa", "namespace": namespace}
    ref = {"apiGroup": RBAC, "kind": "Role", "name": "scaler"}
    await bench.cluster.create(Resource(RBAC, "v1", "roles"), namespace, meta | {"rules": [rule]})
    await bench.cluster.create(
        Resource(RBAC, "v1", "rolebindings"), namespace, meta | {"subjects": [account], "roleRef": ref}
    )
    target = bench.to("scale_deployment", deployment="web")
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:  # the authorizer's cache is a moment behind
            allowed = await bench.check("rbac", target)
            if allowed.passed:
                break

    denied = await bench.check(
        "rbac", bench.to("scale_deployment", deployment="api"), bench.to("cordon_node", node="n")
    )

    subject = f"ServiceAccount/{namespace}/scale-deployment-sa"
    assert states(allowed) == {subject: "passed"}
    assert states(denied) == {subject: "failed", f"ServiceAccount/{namespace}/cordon-node-sa": "failed"}
    assert f"may not patch deployments.apps/scale api in namespace {namespace}" in denied.message


async def test_real_things_are_well_or_not(bench: Bench) -> None:
    """Deployments by their real controller, a stateful set and a node by the status that they have, and what is not."""
    await bench.put("Deployment", "none", spec=a_template() | {"replicas": 0})
    await bench.put("Deployment", "never", spec=a_template() | {"replicas": 2})
    for name in ("none", "never"):
        await bench.observed(name)
    counts = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    await bench.put("StatefulSet", "db", spec=a_template() | {"replicas": 1, "serviceName": "db"}, status=counts)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await bench.put("PersistentVolumeClaim", "data", spec=claim)
    await bench.put("NetworkPolicy", "deny", spec={"podSelector": {}})
    limits = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}, "maxReplicas": 2}
    await bench.put("HorizontalPodAutoscaler", "scaler", spec=limits)
    node = f"node-{bench.namespace}"
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    made = await bench.put("Node", node, spec={"unschedulable": True}, status=ready)
    try:
        report = await bench.check(
            "health",
            bench.to("scale_deployment", deployment="none"),
            bench.to("scale_deployment", deployment="never"),
            bench.to("scale_deployment", deployment="missing"),
            bench.to("scale_statefulset", statefulset="db"),
            bench.to("expand_pvc", pvc="data"),
            bench.to("update_network_policy", networkpolicy="deny"),
            bench.to("update_hpa", hpa="scaler"),
            bench.to("cordon_node", node=node),
            bench.to("rotate_secrets", secret="key"),  # noqa: S106 - the name of one
            bench.to("audit_logs", timeRange="1h"),
        )
    finally:
        await bench.cluster.delete(NODES, "", node, uid=made["metadata"]["uid"])

    namespace = bench.namespace
    assert states(report) == {
        f"Deployment/{namespace}/none": "passed",
        f"Deployment/{namespace}/never": "failed",
        f"Deployment/{namespace}/missing": "failed",
        f"StatefulSet/{namespace}/db": "passed",
        f"PersistentVolumeClaim/{namespace}/data": "failed",
        f"NetworkPolicy/{namespace}/deny": "passed",
        f"HorizontalPodAutoscaler/{namespace}/scaler": "passed",
        f"Node//{node}": "passed",
        f"Secret/{namespace}/key": "unknown",
        f"Namespace//{namespace}": "passed",
    }
    assert f"Deployment/{namespace}/never: 0 of 2 pods are available" in report.message


async def test_a_real_quota_and_a_real_node_say_what_there_is_room_for(bench: Bench) -> None:
    """Two pods of a core each: too many for the quota, few for the node; two thousand are too many for both."""
    await bench.put("Deployment", "web", spec=a_template() | {"replicas": 0})
    hard = {"requests.cpu": "1"}
    await bench.put("ResourceQuota", "small", spec={"hard": hard}, status={"hard": hard, "used": {"requests.cpu": "0"}})
    node = f"node-{bench.namespace}"
    room = {"cpu": "1000", "memory": "1Ti", "pods": "5000"}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": room, "capacity": room}
    made = await bench.put("Node", node, spec={}, status=status)
    try:
        one, two, many = [
            await bench.check("capacity", bench.to("scale_deployment", deployment="web", replicas=replicas))
            for replicas in (1, 2, 2000)
        ]
    finally:
        await bench.cluster.delete(NODES, "", node, uid=made["metadata"]["uid"])

    quota = f"ResourceQuota/{bench.namespace}/small"
    assert states(one) == {quota: "passed", "Nodes": "passed"}
    assert states(two) == {quota: "failed", "Nodes": "passed"}
    assert states(many) == {quota: "failed", "Nodes": "failed"}
    assert two.inputs[f"{quota} requests.cpu"] == "hard 1, used 0, asked 2"


async def test_target_clusters_answer_or_do_not(kubeconfig: str, fresh_nats: NatsServer, tmp_path: Path) -> None:
    """One by its kubeconfig answers and is looked into; one that refuses, one that is silent and one unknown do not."""
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        for name, listener in (("east", None), ("west.kubeconfig", closed), ("south", silent)):
            with open(kubeconfig, encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - a small file of the test's
                config = yaml.safe_load(file)
            if listener is not None:
                config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{listener.getsockname()[1]}"
            (tmp_path / name).write_text(yaml.safe_dump(config), encoding="utf-8")
        async with a_bench(kubeconfig, fresh_nats, KUBERNAUT_CLUSTERS_DIR=str(tmp_path)) as bench:
            await bench.put("Deployment", "none", spec=a_template() | {"replicas": 0})
            await bench.observed("none")
            report = await bench.check(
                "network", *[bench.to("custom", cluster=name) for name in ("", "east", "west", "south", "north")]
            )
            there = await bench.check("health", bench.to("scale_deployment", cluster="east", deployment="none"))

    assert states(report) == {
        "this cluster": "passed",
        "Cluster/east": "passed",
        "Cluster/west": "failed",
        "Cluster/south": "failed",
        "Cluster/north": "failed",
    }
    assert report.inputs["this cluster"] == report.inputs["Cluster/east"]
    assert states(there) == {f"Deployment/{bench.namespace}/none in cluster east": "passed"}


async def audit_everything(log: NatsLog) -> None:
    """Acknowledge as the auditor does."""
    async with aclosing(log.consume(AUDITOR, in_hand=10)) as deliveries:
        async for delivery in deliveries:
            await delivery.ack()


async def test_a_finished_run_is_deleted_once_the_audit_holds_it(bench: Bench) -> None:
    """Until the auditor's consumer has acknowledged the question the answer is no; then yes, and the object goes."""

    async def ask(looks: int) -> CheckReported:
        state = a_state(phase="completed", held=False, audit_looks=looks, ended_at=1)
        await bench.decide(state, RunCheck(check=f"audit-{looks}", type="audit"))
        return await bench.told(f"audit-{looks}")

    early = await ask(1)
    auditor = asyncio.create_task(audit_everything(bench.log))
    looks = 1
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:  # the auditor is a moment behind
            looks += 1
            if (await ask(looks)).passed:
                break
        await bench.decide(a_state(phase="completed", held=False, audit_looks=looks, ended_at=1), DeleteWorkflow())
        while True:
            try:
                await bench.cluster.get(WORKFLOWS, bench.namespace, "checked")
            except NotFoundError:
                break
            await asyncio.sleep(0.05)
    auditor.cancel()
    await asyncio.wait({auditor})

    assert (early.passed, early.inputs["acknowledged"]) == (False, "0")
