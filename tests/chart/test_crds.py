"""The resource definitions come with the release, grow with it and stay behind it; the objects never notice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.crds import execution_crd, workflow_crd
from tests.chart.releases import MINIMAL
from tests.parts import address_of
from tests.schemas.api import CRDS, WORKFLOWS, Api, serving
from tests.schemas.builders import a_full_workflow
from tests.tools.charts import CHART, Helm, helm_program
from tests.upgrades.releases import code_of, releases

pytestmark = pytest.mark.real
NAMESPACE = "kubernaut"
DEFINITIONS = (workflow_crd(), execution_crd())


class Cluster:
    """A cluster of these tests' own: definitions are for all of a cluster."""

    def __init__(self, api: Api, helm: Helm, folder: Path) -> None:
        self.api = api
        self.helm = helm
        self.folder = folder

    def deploy(self, chart: Path) -> None:
        """Install or upgrade the release, and wait until what it defines is served."""
        arguments = ("upgrade", "--install", "kubernaut", chart, "--namespace", NAMESPACE, "--create-namespace")
        self.helm.run(*arguments, "--values", "-", stdin=json.dumps(MINIMAL))
        for definition in DEFINITIONS:
            self.api.wait_served(definition)

    def definition(self, name: str) -> dict[str, Any]:
        """One as the server has it."""
        found: dict[str, Any] = self.api.call("GET", f"{CRDS}/{name}").object
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Nothing is installed yet."""
    folder = tmp_path_factory.mktemp("crds")
    with (
        address_of("kubernetes", containers=False, folder=folder / "kubernetes") as kubeconfig,
        serving(kubeconfig) as api,
    ):
        api.make_namespace("objects")
        yield Cluster(api, Helm(helm_program(), folder / "helm", kubeconfig), folder)


def chart_of(release: str, folder: Path) -> Path:
    """Return the chart as it would be with the definitions of a release, before they had columns to print."""
    code = code_of(release, folder / "code")
    told = "import json; from schemas.crds import *; print(json.dumps([workflow_crd(), execution_crd()]))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=code, env={"PYTHONPATH": str(code)}, capture_output=True, check=True
    )
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    for file, definition in zip(("workflowexecutions", "kubernetesexecutions"), json.loads(done.stdout), strict=True):
        for version in definition["spec"]["versions"]:
            version["additionalPrinterColumns"] = []
        definition["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
        (chart / "files" / "crds" / f"{file}.yaml").write_text(yaml.safe_dump(definition), encoding="utf-8")
    return chart


def test_an_upgrade_of_the_release_upgrades_the_definitions_and_no_object_notices(cluster: Cluster) -> None:
    """From the last release to this version, back, and forward again; then the release goes and all else stays."""
    older = chart_of(releases()[-1], cluster.folder)
    cluster.deploy(older)
    made = cluster.api.call("POST", WORKFLOWS, a_full_workflow("kept"))
    assert made.code == 201, made.message
    name = made.object["metadata"]["name"]

    for chart, columns in ((CHART, True), (older, False), (CHART, True)):
        cluster.deploy(chart)

        for wanted in DEFINITIONS:
            found = cluster.definition(wanted["metadata"]["name"])
            assert columns is bool(found["spec"]["versions"][0].get("additionalPrinterColumns"))
            assert ["v1"] == found["status"]["storedVersions"]
        same_again = cluster.api.call("GET", f"{WORKFLOWS}/{name}").object
        assert made.object["spec"] == same_again["spec"]
        written = cluster.api.call("PUT", f"{WORKFLOWS}/{name}?dryRun=All&fieldValidation=Strict", same_again)
        assert written.code == 200, written.message

    cluster.helm.run("uninstall", "kubernaut", "--namespace", NAMESPACE)
    assert all("spec" in cluster.definition(each["metadata"]["name"]) for each in DEFINITIONS)
    assert name == cluster.api.call("GET", f"{WORKFLOWS}/{name}").object["metadata"]["name"]


def test_definitions_that_are_there_already_are_taken_over_once(cluster: Cluster) -> None:
    """As the installer makes them; without the word Helm says that they are somebody else's."""
    cluster.api.install()
    arguments = ("upgrade", "--install", "other", CHART, "--namespace", NAMESPACE, "--create-namespace")
    values = json.dumps({**MINIMAL, "rbac": {"create": False}})

    refused = cluster.helm.tried(*arguments, "--values", "-", stdin=values)
    cluster.helm.run(*arguments, "--take-ownership", "--values", "-", stdin=values)
    cluster.helm.run(*arguments, "--values", "-", stdin=values)

    assert "invalid ownership metadata" in refused.stderr
