"""`pytest --containers`: the parts that tests stand on come from containers, by testcontainers, and are gone after it.

Each runs in a pytest of its own, whose environment names the engine; none is set here.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.containers.bases import kubernetes_image
from tests.containers.podman import api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.containers.bases import Bases
    from tests.containers.engine import Engine

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

ROOT: Final = Path(__file__).resolve().parents[2]
CHILD_SECONDS: Final = 900.0
_STORE: Final = "tests/auditor/test_store_contract.py"
OURS: Final = frozenset({"NATS_URL", "DATABASE_URL", "KUBECONFIG", "PYTEST_ADDOPTS"})
"""Addresses, with which no container would be used, and how this pytest is run: with its `--basetemp` the child would
empty the folder that this one works in."""


@pytest.fixture(scope="module")
def contained(engine: Engine, images: Bases) -> Iterator[dict[str, str]]:
    """The environment of a pytest that finds the engine and has its parts from these images."""
    with api(engine) as environment:
        yield {name: value for name, value in environment.items() if name not in OURS} | {
            "KUBERNAUT_TEST_NATS_IMAGE": images.nats,
            "KUBERNAUT_TEST_POSTGRES_IMAGE": images.postgres,
            "KUBERNAUT_TEST_KUBERNETES_IMAGE": kubernetes_image(engine),
        }


async def a_pytest(environment: dict[str, str], *tests: str) -> tuple[int, str]:
    """Run tests with `--containers`; return the exit code and what was said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "--containers", "-p", "no:cacheprovider", *tests),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(CHILD_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


def left(engine: Engine) -> str:
    """Containers of testcontainers that are still there."""
    return engine.run("ps", "--all", "--quiet", "--filter", "label=org.testcontainers=true")


async def test_parts_in_containers_pass_the_same_tests(engine: Engine, contained: dict[str, str]) -> None:
    """The services on all three, the audit's store, the installer: they pass as on embedded parts; nothing is left."""
    code, said = await a_pytest(
        contained,
        "tests/containers/system_on_fixtures.py",
        _STORE,
        "tests/install/test_install.py::test_all_parts_on_real_servers",
    )

    assert 0 == code, said
    assert "" == left(engine)


async def test_without_its_image_a_part_is_missing_and_no_other_takes_its_place(contained: dict[str, str]) -> None:
    """So what passes with `--containers` has passed on containers."""
    nothing = contained | {"KUBERNAUT_TEST_POSTGRES_IMAGE": "localhost/kubernaut-tests/nothing:test"}

    code, said = await a_pytest(nothing, _STORE, "-k", "postgresql", "--exitfirst")

    assert 1 == code, said
    assert "kubernaut-tests/nothing" in said
