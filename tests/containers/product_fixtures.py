"""What the tests of the image and of compose.yaml share: the image, and a system whose services are not running yet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import yaml

from kubernaut.local.services import EXECUTOR
from kubernaut.local.stack import StackOptions
from tests.containers.product import Product, build_product
from tests.e2e.system import a_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.containers.bases import Bases
    from tests.containers.engine import Engine
    from tests.e2e.world import World


@pytest.fixture(scope="session")
def product(engine: Engine, images: Bases, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """The image, built once."""
    return build_product(engine, images, tmp_path_factory.mktemp("product"))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """NATS, PostgreSQL, a Kubernetes API and the simulated executor on this machine; the four services are to come."""
    home: Path = tmp_path_factory.mktemp("containers")
    async with a_world(StackOptions(name="containers", home=home, services=(EXECUTOR,), audit_log=True)) as found:
        yield found


@pytest.fixture
def reachable(world: World, tmp_path: Path) -> Path:
    """The kubeconfig of that API, as a file that the user of a container can read."""
    assert world.stack.kubeconfig is not None
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(yaml.safe_load(world.stack.kubeconfig.read_text())))
    file.chmod(0o644)
    return file
