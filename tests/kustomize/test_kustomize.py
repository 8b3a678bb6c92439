"""deploy/kustomize: current, whole, and taken by a real API server as it stands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kustomize.conftest import WAIT, Kubectl
from tests.kustomize.rendering import FOLDER, files
from tests.schemas.api import Api, kubectl_program
from tests.tools.build import BUILD_SECONDS
from tests.tools.charts import (
    Helm,
    held_to,
    kubeconform_program,
    objects,
    of_kind,
    rendered,
    write_kinds,
    wrong_kinds,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(BUILD_SECONDS + 300)]
OVERLAYS = ("base", "overlays/trying", "overlays/production", "overlays/namespaced")
SAMPLES = FOLDER.parent / "samples"
NAMESPACE = "kubernaut-system"
WITH_PODS = ("Deployment", "StatefulSet", "Job")


def kustomized(folder: Path) -> str:
    """What kustomize makes of a folder."""
    done = subprocess.run([kubectl_program(), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_files_are_what_the_chart_makes(helm: Helm) -> None:
    """Mended by `make kustomize`."""
    made = files(helm)

    assert made == {path: (FOLDER / path).read_text(encoding="utf-8") for path in made}


def test_the_base_is_the_chart(helm: Helm) -> None:
    """Every object, none more, none twice."""
    values = objects((FOLDER / "values.yaml").read_text(encoding="utf-8"))[0]
    chart = [_name(each) for each in objects(rendered(helm, values, namespace="kubernaut-system"))]

    assert sorted(chart) == sorted(_name(each) for each in objects(kustomized(FOLDER / "base")))


def _name(each: Mapping[str, Any]) -> tuple[str, str]:
    return (each["kind"], each["metadata"]["name"])


def test_for_some_namespaces_it_is_as_the_chart_has_it(helm: Helm) -> None:
    """No right beyond them but what cannot be had otherwise, and the same settings."""
    made = kustomized(FOLDER / "overlays/namespaced")
    values = objects((FOLDER / "values.yaml").read_text(encoding="utf-8"))[0]
    chart = rendered(helm, values | {"kubernetes": {"namespaces": ["shop", "payments"]}}, namespace="kubernaut-system")

    assert sorted(map(_name, objects(chart))) == sorted(map(_name, objects(made)))
    for name, deployment in of_kind(chart, "Deployment").items():
        assert _environment(deployment) == _environment(of_kind(made, "Deployment")[name])


def _environment(deployment: Mapping[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}


def test_the_example_of_production_changes_what_it_says() -> None:
    """Addresses, image, copies of streams, and an autoscaler in place of replicas; the addresses are not applied."""
    made = kustomized(FOLDER / "overlays/production")
    pods = [each["spec"]["template"]["spec"] for kind in ("Deployment", "Job") for each in of_kind(made, kind).values()]
    told = [each for pod in pods for container in pod["containers"] for each in container["env"]]
    databases = {each["value"].split("?")[0] for each in told if each["name"] == "DATABASE_URL"}

    assert {"registry.example/kubernaut-workflow:0.1.0"} == {
        each["image"] for pod in pods for each in pod["containers"]
    }
    assert {
        "postgresql://kubernaut_writer@audit-rw.postgresql.svc:5432/kubernaut",
        "postgresql://kubernaut_owner@audit-rw.postgresql.svc:5432/kubernaut",
    } == databases
    assert {"kubernaut-watcher": 3} == {
        name: each["spec"]["replicas"]
        for name, each in of_kind(made, "Deployment").items()
        if "replicas" in each["spec"]
    }
    assert ["--only", "streams", "--replicas", "3"] in [
        each["args"] for pod in pods for each in pod["containers"] if "args" in each
    ]
    assert "addresses" not in of_kind(made, "ConfigMap")


def test_the_other_autoscaler_fits_as_well(tmp_path: Path) -> None:
    """In an overlay that takes it in place of KEDA."""
    base, hpa = (os.path.relpath(FOLDER / each, tmp_path) for each in ("base", "components/hpa"))
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{base}]\ncomponents: [{hpa}]\n")
    made = kustomized(tmp_path)

    assert 3 == len(of_kind(made, "HorizontalPodAutoscaler"))
    assert {"kubernaut-watcher"} == {
        name for name, each in of_kind(made, "Deployment").items() if "replicas" in each["spec"]
    }


@pytest.fixture(scope="module")
def kinds(cluster: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schemas of all kinds of a server that has ours."""
    folder = tmp_path_factory.mktemp("kinds")
    cluster.install()
    write_kinds(cluster, folder)
    return folder


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_fits_the_schema_of_its_kind(overlay: str, kinds: Path) -> None:
    """Without a field that the server does not know."""
    assert [] == wrong_kinds(kubeconform_program(), kinds, kustomized(FOLDER / overlay))


def test_a_field_that_no_kind_has_is_found(kinds: Path) -> None:
    """The check above can fail: in our own kinds, in the server's and in those of others."""
    made = kustomized(FOLDER / "overlays/production")
    for once, wrong in (
        ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
        ("minReplicaCount:", "minReplicas:"),
        ("podSelector:", "podsSelector:"),
    ):
        assert wrong_kinds(kubeconform_program(), kinds, made.replace(once, wrong)), once


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_restricted_namespace_takes_it_for_real(overlay: str, cluster: Api, kubectl: Kubectl, tmp_path: Path) -> None:
    """First as a dry run, then for real, then again without a change; its pods pass the pod security standard."""
    for other in ("shop", "payments"):
        cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
    made = kustomized(FOLDER / overlay)
    file = tmp_path / "made.yaml"
    file.write_text(made)
    apply = ("apply", "--server-side", "--force-conflicts", "--validate=strict", f"--filename={file}")
    kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", WAIT)  # of the test before
    with held_to("restricted", cluster, NAMESPACE):
        kubectl(*apply, "--dry-run=server")
        kubectl(*apply)
        before = _generations(kubectl, file)
        kubectl(*apply)

        assert before == _generations(kubectl, file)
        for pod in _pods(made):
            answer = cluster.call("POST", f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All&fieldValidation=Strict", pod)
            assert answer.code == 201, answer.message
        kubectl("delete", f"--filename={file}", "--wait=false", "--ignore-not-found")


def _generations(kubectl: Kubectl, file: Path) -> str:
    return kubectl("get", f"--filename={file}", "--output=jsonpath={.items[*].metadata.generation}")


def _pods(manifests: str) -> Iterator[dict[str, Any]]:
    """Pods as the controllers would make them; a claim of a StatefulSet stands for its volume."""
    for kind in WITH_PODS:
        for name, each in of_kind(manifests, kind).items():
            template = each["spec"]["template"]
            claims = [claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", ())]
            volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
            spec = template["spec"] | {"volumes": [*template["spec"]["volumes"], *volumes]}
            yield {"metadata": template["metadata"] | {"name": name[:60]}, "spec": spec}


def test_a_pod_that_is_less_careful_is_refused(cluster: Api) -> None:
    """The namespace of the test above does hold its pods to the standard."""
    pod = next(_pods(kustomized(FOLDER / "base")))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    with held_to("restricted", cluster, "careless") as name:
        answer = cluster.call("POST", f"/api/v1/namespaces/{name}/pods?dryRun=All", pod)

    assert (403, True) == (answer.code, "violates PodSecurity" in answer.message)


@pytest.mark.parametrize("sample", ["certificates.yaml", "postgresql.yaml"])
def test_the_samples_for_other_operators_fit_their_definitions(sample: str, cluster: Api, kubectl: Kubectl) -> None:
    """Strictly, by a dry run."""
    told = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", f"-f{SAMPLES / sample}")

    assert len(objects((SAMPLES / sample).read_text(encoding="utf-8"))) == len(told.splitlines())


def test_the_sample_values_are_values_of_the_chart(helm: Helm, kinds: Path) -> None:
    """Rendered, and every object fits."""
    values = objects((SAMPLES / "values.yaml").read_text(encoding="utf-8"))[0]

    assert [] == wrong_kinds(kubeconform_program(), kinds, rendered(helm, values))
