"""What the chart makes, given to a real API server that holds pods to the level `restricted`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.chart.releases import EVERYTHING, MINIMAL, SERVICES, SETS, TRYING, Manifest, Values, namespaced
from tests.chart.values import over
from tests.eventually import eventually
from tests.schemas.api import CRDS, Api, kubectl_program
from tests.tools.charts import CHART, Helm, held_to, kubeconform_program, objects, rendered, wrong_kinds

pytestmark = pytest.mark.real
SECONDS: Final = 300.0
OURS: Final = "app.kubernetes.io/instance=kubernaut"


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace that takes only pods of the level `restricted`."""
    with held_to("restricted", api, f"chart-{uuid4().hex[:8]}") as made:
        yield made


@pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())
def test_every_object_fits_the_schemas_of_the_server(helm: Helm, kinds: Path, values: Values) -> None:
    """Held strictly against what the API server itself tells of its kinds."""
    assert [] == wrong_kinds(kubeconform_program(), kinds, rendered(helm, values))


@pytest.mark.parametrize("values", [MINIMAL, TRYING, EVERYTHING], ids=["minimal", "for trying", "everything"])
def test_the_server_would_take_every_object_and_warns_of_none(
    helm: Helm, kubeconfig: str, namespace: str, values: Values
) -> None:
    """Applied on the server's side with strict fields, without storing it."""
    manifests = rendered(helm, over(values, {"crds": {"install": False}}), namespace=namespace)

    done = _kubectl(kubeconfig, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", manifests)

    assert (0, "") == (done.returncode, done.stderr)
    assert len(objects(manifests)) == len(done.stdout.splitlines())


@pytest.mark.parametrize("values", [MINIMAL, TRYING, EVERYTHING], ids=["minimal", "for trying", "everything"])
def test_every_pod_is_let_in(helm: Helm, api: Api, namespace: str, values: Values) -> None:
    """Those of Deployments, jobs and StatefulSets, as their controllers would make them, and no careless one."""
    made = objects(rendered(helm, values, namespace=namespace))
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"

    refused = {name: answer.message for name, pod in _pods(made) if (answer := api.call("POST", path, pod)).code != 201}

    assert {} == refused
    careless = {"metadata": {"name": "careless"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    assert "violates PodSecurity" in api.call("POST", path, careless).message


def _pods(made: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in made:
        if each["kind"] in ("Deployment", "Job", "StatefulSet"):
            template, name = each["spec"]["template"], each["metadata"]["name"]
            for claim in each["spec"].get("volumeClaimTemplates", ()):
                template["spec"].setdefault("volumes", []).append({"name": claim["metadata"]["name"], "emptyDir": {}})
            priority = {"priorityClassName": "", **template["spec"]}
            yield name, {"metadata": {**template["metadata"], "name": name}, "spec": priority}


async def test_a_release_lives_its_life(installer: Helm, api: Api, kubeconfig: str, namespace: str) -> None:
    """Installed, upgraded to the same without a change, upgraded, rolled back, gone: only the definitions stay."""
    first = over(MINIMAL, {"crds": {"install": True}})
    _helm(installer, "install", namespace, first)
    await eventually(lambda: _all_pods_are_made(api, namespace), seconds=SECONDS)
    before = _specs(kubeconfig, namespace)

    _helm(installer, "upgrade", namespace, first)
    same = _specs(kubeconfig, namespace)
    _helm(installer, "upgrade", namespace, over(first, {"logLevel": "debug", "services": {"auditor": {"replicas": 3}}}))
    other = _specs(kubeconfig, namespace)
    installer.run("rollback", "kubernaut", "--namespace", namespace)
    back = _specs(kubeconfig, namespace)

    assert before == same
    assert {f"Deployment/kubernaut-{service}" for service in SERVICES} == {
        name for name in before.keys() | other.keys() if before.get(name) != other.get(name)
    }
    assert before == back

    installer.run("uninstall", "kubernaut", "--namespace", namespace)
    await eventually(lambda: not _whatever_is_ours(kubeconfig), seconds=SECONDS)
    assert {"kubernetesexecutions", "workflowexecutions"} <= {
        each["spec"]["names"]["plural"] for each in api.call("GET", CRDS).object["items"]
    }


async def test_in_its_namespaces_and_in_no_other(installer: Helm, api: Api, kubeconfig: str, namespace: str) -> None:
    """The real authorizer lets the accounts of a release for one namespace work there, and nowhere else."""
    with held_to("restricted", api, f"chart-shop-{uuid4().hex[:8]}") as shop:
        wanted = {("watcher", "list", shop), ("executor-bridge", "patch", shop)}

        def allowed() -> set[tuple[str, str, str]]:
            return {
                (account, verb, where)
                for account, verb in (("watcher", "list"), ("executor-bridge", "patch"), ("scheduler", "get"))
                for where in (shop, namespace, "")
                if _may(api, f"{namespace}:kubernaut-{account}", verb, where)
            }

        _helm(installer, "install", namespace, over(MINIMAL, {"kubernetes": {"namespaces": [shop]}}))
        try:
            await eventually(lambda: wanted <= allowed(), seconds=SECONDS)  # in force a moment after they were given
            found = allowed()
        finally:
            installer.run("uninstall", "kubernaut", "--namespace", namespace)

    assert wanted == found
    await eventually(lambda: not _whatever_is_ours(kubeconfig), seconds=SECONDS)


async def test_all_that_it_can_do_is_installed_at_once(
    installer: Helm, api: Api, kubeconfig: str, namespace: str
) -> None:
    """Also where the metrics are for those who may; and nothing of it is left."""
    with held_to("restricted", api, f"chart-shop-{uuid4().hex[:8]}") as shop:
        _helm(installer, "install", namespace, namespaced(shop))
        await eventually(lambda: _all_pods_are_made(api, namespace), seconds=SECONDS)
        installer.run("uninstall", "kubernaut", "--namespace", namespace)

    await eventually(lambda: not _whatever_is_ours(kubeconfig), seconds=SECONDS)


def _helm(installer: Helm, command: str, namespace: str, values: Values) -> None:
    """The definitions may be there already, made by other tests; no pod ever runs, so there is nothing to wait for."""
    given = ("kubernaut", CHART, "--namespace", namespace, "--take-ownership", "--values", "-")
    installer.run(command, *given, stdin=json.dumps(values))


def _all_pods_are_made(api: Api, namespace: str) -> bool:
    """Whether the controllers have made every pod that is asked for: the level of the namespace refused none."""
    sets = api.call("GET", f"/apis/apps/v1/namespaces/{namespace}/replicasets").object["items"]
    jobs = api.call("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs").object["items"]
    replicas = [each["status"]["replicas"] == each["spec"]["replicas"] for each in sets]
    return len(sets) == len(SERVICES) and all(replicas) and all(each["status"].get("active") for each in jobs)


def _specs(kubeconfig: str, namespace: str) -> dict[str, Any]:
    """What each object of the release is to be, by kind and name, with the uid, which is another when it is new."""
    kinds = "deployment,job,service,serviceaccount,networkpolicy,poddisruptionbudget,clusterrole,clusterrolebinding"
    done = _kubectl(kubeconfig, "--namespace", namespace, "get", kinds, "--selector", OURS, "--output", "json")
    return {
        f"{each['kind']}/{each['metadata']['name']}": (
            each["metadata"]["uid"],
            each["metadata"]["labels"],
            {key: value for key, value in each.items() if key not in ("metadata", "status")},
        )
        for each in json.loads(done.stdout)["items"]
    }


def _whatever_is_ours(kubeconfig: str) -> list[str]:
    """Name everything in the cluster that has the label of the release, but what is to stay and its Events."""
    resources = _kubectl(kubeconfig, "api-resources", "--verbs=list", "--output=name").stdout.split()
    asked = ",".join(each for each in resources if not each.startswith(("events", "customresourcedefinitions")))
    found = _kubectl(kubeconfig, "get", asked, "--all-namespaces", "--selector", OURS, "--output=name")
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


def _may(api: Api, account: str, verb: str, namespace: str) -> bool:
    review: Mapping[str, Any] = {
        "spec": {
            "user": f"system:serviceaccount:{account}",
            "resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": "workflowexecution.kubernaut.io",
                "resource": "workflowexecutions",
            },
        }
    }
    answer = api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer.object["status"]["allowed"])


def _kubectl(kubeconfig: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl; what follows `-` in the arguments goes to its input."""
    command, given = (arguments[:-1], arguments[-1]) if "-" in arguments else (arguments, None)
    return subprocess.run(
        [kubectl_program(), f"--kubeconfig={kubeconfig}", *command],
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
