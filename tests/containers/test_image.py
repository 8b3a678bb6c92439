"""The image, built for real: what it holds, and that its four commands run a workflow, confined as in a cluster."""

from __future__ import annotations

import asyncio
import json
import tarfile
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from kubernaut.local.ports import PortPool
from tests.containers.locks import locked
from tests.containers.product import CONFINED, IMAGE, container
from tests.e2e.world import a_workflow, assert_each_step_once, ten_steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.engine import Engine
    from tests.containers.product import Container, Product
    from tests.e2e.world import World

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800), pytest.mark.asyncio(loop_scope="session")]

SERVICES: Final = ("watcher", "scheduler", "executor_bridge", "auditor")
STOP_SECONDS: Final = 25.0
"""The default of KUBERNAUT_STOP_SECONDS: what ends later has ended hard."""
PACKAGES: Final = "opt/kubernaut/lib/python3.13/site-packages/"
LARGEST: Final = 260_000_000
"""Bytes that may be put upon the base; 188 million when this was written, half of it one client library."""


async def test_the_four_services_run_a_workflow_and_end_when_told_to(
    engine: Engine, product: Product, world: World, reachable: Path
) -> None:
    """With a read-only root, no /tmp, no capability, as user 65532; each is process 1 and hears SIGTERM itself."""
    assert IMAGE == product.image
    ports = PortPool()
    environment = {**world.stack.environment, "KUBECONFIG": "/kubeconfig", "KUBERNAUT_BIND": "127.0.0.1"}
    mounted = (f"--volume={reachable}:/kubeconfig:ro",)
    async with AsyncExitStack() as stack:
        running: dict[str, Container] = {}
        health = {name: ports.take() for name in SERVICES}
        for name in SERVICES:
            chosen = {"KUBERNAUT_HEALTH_PORT": str(health[name]), "KUBERNAUT_METRICS_PORT": "0", **environment}
            started = container(
                engine,
                f"kubernaut-test-{name}",
                *("python", "-m", name),
                logs=world.stack.logs,
                options=mounted,
                environment=chosen,
            )
            running[name] = await stack.enter_async_context(started)
        await asyncio.gather(*(running[name].ready(health[name]) for name in SERVICES))

        names = await world.apply(a_workflow("in-containers", ten_steps()))
        statuses = await world.all_end(names, 300)
        await world.audit_is_complete()
        ends = dict(
            zip(SERVICES, await asyncio.gather(*(each.told_to_stop() for each in running.values())), strict=True)
        )
    ports.close()

    assert_each_step_once(world, names, statuses)
    assert dict.fromkeys(SERVICES, 0) == {name: code for name, (code, _) in ends.items()}
    assert max(seconds for _, seconds in ends.values()) < STOP_SECONDS


async def test_a_helper_process_leaves_no_zombie(
    engine: Engine, product: Product, world: World, reachable: Path
) -> None:
    """A kubeconfig with a plugin is read by a child of the first process, which nobody else would bury."""
    assert IMAGE == product.image
    with_plugin = _with_plugin(reachable)
    ports = PortPool()
    health = ports.take()
    environment = {**world.stack.environment, "KUBECONFIG": "/kubeconfig", "KUBERNAUT_BIND": "127.0.0.1"}
    async with container(
        engine,
        "kubernaut-test-plugin",
        *("python", "-m", "watcher"),
        logs=world.stack.logs,
        options=(f"--volume={with_plugin}:/kubeconfig:ro", "--tmpfs=/tmp"),
        environment={"KUBERNAUT_HEALTH_PORT": str(health), "KUBERNAUT_METRICS_PORT": "0", **environment},
    ) as watcher:
        await watcher.ready(health)
        processes = await asyncio.to_thread(engine.run, "exec", watcher.name, "python", "-c", _PROCESSES)
        code, _ = await watcher.told_to_stop()
    ports.close()

    assert "1\n" == processes
    assert 0 == code


def _with_plugin(kubeconfig: Path) -> Path:
    """Return a kubeconfig beside this one whose token is printed by a program, one that is in the image."""
    config = json.loads(kubeconfig.read_text())
    version, user = "client.authentication.k8s.io/v1", config["users"][0]["user"]
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": user["token"]}}
    printing = ["-c", f"print({json.dumps(credential)!r})"]
    plugin = {"apiVersion": version, "interactiveMode": "Never", "command": "python", "args": printing}
    config["users"][0]["user"] = {"exec": plugin}
    file = kubeconfig.with_name("with-plugin")
    file.write_text(json.dumps(config))
    file.chmod(0o644)
    return file


_PROCESSES: Final = """
import os, pathlib
found = [int(each.name) for each in pathlib.Path('/proc').iterdir() if each.name.isdecimal()]
print(*sorted(set(found) - {os.getpid()}))
"""


async def test_installing_is_a_command_of_the_image(
    engine: Engine, product: Product, world: World, reachable: Path
) -> None:
    """With streams, tables and definitions of this version there, it has nothing to do."""
    assert IMAGE == product.image
    async with container(
        engine,
        "kubernaut-test-install",
        *("python", "-m", "kubernaut.install"),
        logs=world.stack.logs,
        options=(f"--volume={reachable}:/kubeconfig:ro",),
        environment={**world.stack.environment, "KUBECONFIG": "/kubeconfig"},
    ) as install:
        code = await install.ended()
        told = install.log.read_text()

    assert (0, "nothing to do: streams, crds, migrations are as they must be\n") == (code, told)


async def test_the_command_line_is_in_the_image(engine: Engine, product: Product) -> None:
    """And the version that it tells is that of the labels."""
    told = engine.run("run", "--rm", *CONFINED, "--network=none", product.image, "kubernaut", "--version")
    labels = json.loads(engine.run("image", "inspect", "--format={{json .Config.Labels}}", product.image))

    assert f"kubernaut, version {labels['org.opencontainers.image.version']}\n" == told
    assert "Apache-2.0" == labels["org.opencontainers.image.licenses"]


async def test_the_image_says_how_it_is_run(engine: Engine, product: Product) -> None:
    """Nobody's user, no entry point between Kubernetes and the command, no secret among the variables."""
    config = json.loads(engine.run("image", "inspect", "--format={{json .Config}}", product.image))

    assert "65532:65532" == config["User"]
    assert not config.get("Entrypoint")
    assert ["kubernaut", "--help"] == config["Cmd"]
    assert {"8080/tcp", "9090/tcp"} == set(config["ExposedPorts"])
    assert {"PATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"} <= {
        variable.partition("=")[0] for variable in config["Env"]
    }
    assert not [variable for variable in config["Env"] if "PIP" in variable]


async def test_the_image_holds_what_the_lock_names_and_nothing_else(
    engine: Engine, product: Product, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No test, no package of development, no pip, no compiler; every module compiled; size within reason."""
    files = _files(engine, product, tmp_path)
    packages = {name.removeprefix(PACKAGES).split("/")[0] for name in files if name.startswith(PACKAGES)}
    information = [name.removesuffix(".dist-info") for name in packages if name.endswith(".dist-info")]
    installed = {canonicalize_name(name.rpartition("-")[0]) for name in information}
    sources = {name for name in files if name.startswith(PACKAGES) and name.endswith(".py")}
    compiled = {name for name in files if name.endswith(".cpython-313.pyc")}

    assert {*locked("runtime", python="3.13"), "kubernaut-workflow"} == installed
    assert not {"tests", "benchmarks", "localcluster", "docs"} & packages
    assert {"opt/kubernaut/bin/kubernaut", "opt/kubernaut/bin/python", "opt/kubernaut/bin/python3"} == {
        name for name in files if name.startswith("opt/kubernaut/bin/") and not name.endswith("/")
    }
    assert not {"pip", "setuptools", "wheel", "hatchling"} & packages
    assert not [name for name in files if name.startswith(("tools/", "wheels/", "src/", "root/.cache"))]
    assert len(sources) <= len(compiled)
    record_property("megabytes", round(product.added / 1e6))
    assert product.added < LARGEST, f"the image adds {product.added / 1e6:.0f} MB to its base"


async def test_the_bill_of_materials_is_true_and_valid(product: Product) -> None:
    """Each package of the lock with its hash, a licence and a version; by CycloneDX' own schema."""
    bill = product.bill
    hashes = locked("runtime", python="3.13")
    found = {part["name"].lower().replace("_", "-"): part for part in bill["components"]}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert set(hashes) == set(found)
    assert not {name: part for name, part in found.items() if part["hashes"][0]["content"] not in hashes[name]}
    assert not [name for name, part in found.items() if not part["licenses"] or not part["version"]]
    assert "kubernaut-workflow" == bill["metadata"]["component"]["name"]
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert [ref for ref in needs[bill["metadata"]["component"]["bom-ref"]] if ref.startswith("pkg:pypi/nats-py@")]


def _files(engine: Engine, product: Product, folder: Path) -> set[str]:
    """Return the names of all files of the image."""
    archive = folder / "image.tar"
    container_id = engine.run("create", product.image).strip()
    try:
        engine.run("export", f"--output={archive}", container_id)
    finally:
        engine.run("rm", container_id)
    with tarfile.open(archive) as opened:
        return {f"{member.name}/" if member.isdir() else member.name for member in opened}
