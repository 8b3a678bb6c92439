"""Asks the Kubernetes API: definitions, runs, policies, Deployments. Reads only; reviews are questions, not stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubernaut.cli.connection import Target, cluster_at
from kubernaut.cli.steering_write import SELF_REVIEWS
from kubernaut.cli.times import milliseconds
from kubernaut.doctor.facts import ClusterFacts, Json, PolicyFacts, RunFacts, ServiceFacts
from kubernaut.doctor.finding import Unlooked
from kubernaut.doctor.gather_rights import accounts_of, gather_rights
from kubernaut.doctor.looking import looked
from runtime.errors import NotFoundError
from runtime.kinds import BY_KIND, CRDS, WORKFLOWS
from runtime.ports import Cluster, Resource
from schemas import durations
from schemas.crds import execution_crd, workflow_crd
from schemas.names import FINALIZER, REQUEST_KIND, WORKFLOW_GROUP
from schemas.rbac import WATCHER

POLICIES: Final = Resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
BINDINGS: Final = Resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
DEPLOYMENTS: Final = BY_KIND["Deployment"]
PART_OF: Final = "app.kubernetes.io/part-of"
PRODUCT: Final = "kubernaut-workflow"
_OURS: Final = ".kubernaut.io"
_KEPT_SECONDS: Final = 24 * 3600.0
"""Default of ttlAfterFinished."""


async def gather_cluster(target: Target, *, seconds: float) -> ClusterFacts | Unlooked:
    """Look at a cluster. `seconds`: a look."""

    async def connected() -> ClusterFacts:
        async with cluster_at(target) as cluster:
            return await _ask(cluster, seconds)

    return await looked(connected(), 6 * seconds)


async def _ask(cluster: Cluster, seconds: float) -> ClusterFacts:
    version = await asyncio.wait_for(cluster.version(), seconds)
    wanted = [definition["metadata"]["name"] for definition in (workflow_crd(), execution_crd())]
    who, runs, policies, deployments = await asyncio.gather(
        looked(_who(cluster), seconds),
        looked(_runs(cluster), 2 * seconds),
        looked(_policies(cluster), seconds),
        looked(_deployments(cluster), seconds),
    )
    definitions = await asyncio.gather(*(looked(_definition(cluster, name), seconds) for name in wanted))
    ours = deployments if isinstance(deployments, Unlooked) else [_service(each) for each in deployments]
    user, now, ahead = (who, time.time(), who) if isinstance(who, Unlooked) else who
    return ClusterFacts(
        version=version,
        user=user,
        now=now,
        ahead_seconds=ahead,
        definitions=dict(zip(wanted, definitions, strict=True)),
        runs=runs if isinstance(runs, Unlooked) else served(runs, deployments),
        policies=policies,
        services=ours,
        rights=await looked(
            gather_rights(cluster, [] if isinstance(deployments, Unlooked) else deployments), 2 * seconds
        ),
    )


def served(runs: list[RunFacts], deployments: Sequence[Json] | Unlooked) -> list[RunFacts]:
    """Return the runs in namespaces that a watcher of ours serves; all where none says which. Pure."""
    accounts = [] if isinstance(deployments, Unlooked) else accounts_of(deployments)
    watched = {name for each in accounts if each.role is WATCHER for name in each.namespaces}
    return [each for each in runs if not watched or "" in watched or each.name.partition("/")[0] in watched]


async def _who(cluster: Cluster) -> tuple[str, float, float | Unlooked]:
    """Return who we are to the server, and its time: the review carries when it was made, in whole seconds."""
    before = time.time()
    question = {"apiVersion": f"{SELF_REVIEWS.group}/{SELF_REVIEWS.version}", "kind": "SelfSubjectReview"}
    answer = await cluster.create(SELF_REVIEWS, "", question)
    user = str(((answer.get("status") or {}).get("userInfo") or {}).get("username", ""))
    made = milliseconds((answer.get("metadata") or {}).get("creationTimestamp"))
    if not made:
        return user, time.time(), Unlooked("the server did not tell its time")
    middle = made / 1000 + 0.5
    return user, middle, middle - (before + time.time()) / 2


async def _definition(cluster: Cluster, name: str) -> Json | None:
    try:
        return await cluster.get(CRDS, "", name)
    except NotFoundError:
        return None


async def _everything(cluster: Cluster, resource: Resource) -> AsyncIterator[Json]:
    token = ""
    while True:
        page = await cluster.list(resource, None, next_page=token)
        for raw in page.items:
            yield msgspec.json.decode(raw)
        token = page.next_page
        if not token:
            return


async def _runs(cluster: Cluster) -> list[RunFacts]:
    return [run_facts(each) async for each in _everything(cluster, WORKFLOWS)]


def run_facts(body: Json) -> RunFacts:
    """Return what of a WorkflowExecution is looked at."""
    metadata, spec, status = _part(body, "metadata"), _part(body, "spec"), _part(body, "status")
    created = _seconds(metadata.get("creationTimestamp"))
    return RunFacts(
        name=f"{metadata.get('namespace')}/{metadata.get('name')}",
        created=created,
        changed=max((_written(metadata.get("managedFields"))), default=created),
        generation=metadata.get("generation", 0),
        observed=status.get("observedGeneration", 0),
        phase=status.get("phase", ""),
        ended=_seconds(status.get("completionTime")),
        kept_seconds=_duration(_part(spec, "executionStrategy").get("ttlAfterFinished")),
        owned=any(each.get("kind") == REQUEST_KIND for each in metadata.get("ownerReferences") or ()),
        deleted=_seconds(metadata.get("deletionTimestamp")),
        finalizer=FINALIZER in (metadata.get("finalizers") or ()),
    )


def _written(fields: Any) -> Iterable[float]:
    """Return when something other than the status was written, as the server noted it."""
    return (_seconds(each.get("time")) for each in fields or () if each.get("subresource") != "status")


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def _seconds(text: Any) -> float:
    return milliseconds(text) / 1000 if isinstance(text, str) else 0.0


def _duration(text: Any) -> float:
    try:
        return durations.parse(text) if isinstance(text, str) else _KEPT_SECONDS
    except ValueError:
        return _KEPT_SECONDS


async def _policies(cluster: Cluster) -> list[PolicyFacts]:
    bound = {_part(each, "spec").get("policyName") async for each in _everything(cluster, BINDINGS)}
    return [
        PolicyFacts(
            name=(name := each["metadata"]["name"]),
            bound=name in bound,
            warnings=tuple(
                str(one.get("warning", ""))
                for one in _part(_part(each, "status"), "typeChecking").get("expressionWarnings") or ()
            ),
        )
        async for each in _everything(cluster, POLICIES)
        if each["metadata"]["name"].endswith((WORKFLOW_GROUP, _OURS))
    ]


async def _deployments(cluster: Cluster) -> list[Json]:
    return [
        each
        async for each in _everything(cluster, DEPLOYMENTS)
        if (each["metadata"].get("labels") or {}).get(PART_OF) == PRODUCT
    ]


def _service(body: Json) -> ServiceFacts:
    metadata, spec, status = body["metadata"], body["spec"], _part(body, "status")
    labels = metadata.get("labels") or {}
    return ServiceFacts(
        name=f"{metadata['namespace']}/{metadata['name']}",
        service=labels.get("app.kubernetes.io/component", ""),
        version=labels.get("app.kubernetes.io/version", ""),
        wanted=spec.get("replicas", 1),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        current=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
    )
