"""helm for the tests of the chart, with and without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schemas.api import Api, serving
from tests.tools.build import BUILD_SECONDS
from tests.tools.charts import Helm, helm_program, write_kinds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first builds helm."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS + 300), append=False)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Only renders: it knows no cluster."""
    return Helm(helm_program(), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="package")
def installer(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Installs into the cluster of the tests."""
    return Helm(helm_program(), tmp_path_factory.mktemp("helm-installer"), kubeconfig)


@pytest.fixture(scope="package")
def api(kubeconfig: str) -> Iterator[Api]:
    """A client of an administrator."""
    with serving(kubeconfig) as made:
        yield made


@pytest.fixture(scope="package")
def kinds(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the JSON Schema of every kind that the cluster of the tests has."""
    folder = tmp_path_factory.mktemp("kinds")
    api.install()
    write_kinds(api, folder)
    return folder
