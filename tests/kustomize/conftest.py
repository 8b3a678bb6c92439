"""A cluster of these tests' own: definitions and policies are for all of a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts import address_of
from tests.schemas.api import Api, serving
from tests.tools.charts import Helm, helm_program
from tests.tools.definitions import ALL, definitions


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Only renders."""
    return Helm(helm_program(), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With the definitions of KEDA, the Prometheus operator, cert-manager and CloudNativePG, and none of ours."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with address_of("kubernetes", containers=False, folder=folder) as kubeconfig, serving(kubeconfig) as api:
        files = [f"--filename={file}" for source in ALL for file in definitions(source)]
        api.namespace = "default"
        api.kubectl("apply", "--server-side", *files)
        api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield api
