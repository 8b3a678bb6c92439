"""A cluster of these tests' own: definitions and policies are for all of a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts import address_of
from tests.schemas.api import Api, kubectl_program, serving
from tests.tools.charts import Helm, helm_program
from tests.tools.definitions import ALL, definitions

SECONDS = 600.0
WAIT = "--timeout=540s"
Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Only renders."""
    return Helm(helm_program(), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="package")
def own_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of an administrator."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with address_of("kubernetes", containers=False, folder=folder) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="package")
def kubectl(own_kubeconfig: str) -> Kubectl:
    """Runs kubectl, with the namespaces that the manifests name; returns what it prints."""

    def run(*arguments: str | Path) -> str:
        command = [kubectl_program(), f"--kubeconfig={own_kubeconfig}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="package")
def cluster(own_kubeconfig: str, kubectl: Kubectl) -> Iterator[Api]:
    """With the definitions of KEDA, the Prometheus operator, cert-manager and CloudNativePG."""
    kubectl("apply", "--server-side", *(f"--filename={file}" for source in ALL for file in definitions(source)))
    kubectl("wait", "--for=condition=Established", "crd", "--all", WAIT)
    with serving(own_kubeconfig) as api:
        yield api
