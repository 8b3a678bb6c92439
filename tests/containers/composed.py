"""compose.yaml, brought up under a name of its own with the images of the tests, and taken down again."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from kubernaut.local.nats import find_nats_server
from kubernaut.local.ports import PortPool
from tests.containers.engine import RUN_SECONDS, Engine, call
from tests.containers.product import IMAGE, ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.containers.bases import Bases

SERVICES: Final = ("watcher", "scheduler", "executor-bridge", "auditor")
FILES: Final = ("compose.yaml", "deploy/compose/host-network.yaml")
"""The API server of the tests listens on the loopback address only."""
_OWN_NETWORK: Final = "tests/containers/own-network.yaml"


class Composed:
    """A project of compose: how it is called, where its services answer."""

    def __init__(self, engine: Engine, environment: dict[str, str], ports: dict[str, int]) -> None:
        self.engine = engine
        self.name = f"kubernaut-test-{secrets.token_hex(4)}"
        self.ports = ports
        """Health port of each service."""
        self._environment = environment
        program = ("docker", "compose") if engine.program == "docker" else (sys.executable, "-m", "podman_compose")
        files = FILES if engine.pulls else (*FILES, _OWN_NETWORK)
        self._command = (*program, "--project-name", self.name, *(f"--file={ROOT / file}" for file in files))

    async def run(self, *arguments: str) -> str:
        """Run one command of compose and return what it printed."""
        return await asyncio.to_thread(call, *self._command, *arguments, environment=self._environment, folder=ROOT)

    def containers(self) -> dict[str, str]:
        """Return the container of each service, ended ones too."""
        label = f"label=com.docker.compose.project={self.name}"
        written = '{{.Label "com.docker.compose.service"}} {{.Names}}'
        if self.engine.program == "podman":
            written = '{{index .Labels "com.docker.compose.service"}} {{.Names}}'
        listed = self.engine.run("ps", "--all", "--filter", label, "--format", written)
        return dict(line.split() for line in listed.splitlines())

    def left(self) -> list[str]:
        """Return containers, volumes and networks that have its name."""
        kinds = (
            ("ps", "--all", "--format={{.Names}}"),
            *((k, "ls", "--format={{.Name}}") for k in ("volume", "network")),
        )
        found = [name for kind in kinds for name in self.engine.run(*kind).splitlines()]
        return [name for name in found if name.startswith(self.name)]

    async def is_healthy(self, container: str) -> bool:
        """Ask as the engine does: podman does so by itself only where there is systemd."""
        if self.engine.program == "docker":
            told = await asyncio.to_thread(self.engine.run, "inspect", "--format={{.State.Health.Status}}", container)
            return told.strip() == "healthy"
        asked = ["podman", "healthcheck", "run", container]
        done = await asyncio.to_thread(
            subprocess.run, asked, env=self.engine.environment, capture_output=True, check=False, timeout=RUN_SECONDS
        )
        return done.returncode == 0


def compose_nats_image(engine: Engine, images: Bases, folder: Path) -> str:
    """Return an image of nats-server that holds what the health check calls, as the public one on Alpine does."""
    if engine.pulls:
        return f"{images.nats}-alpine"
    context = folder / "nats-compose"
    shutil.copytree(ROOT / "tests/containers/images/nats-compose", context)
    shutil.copy2(find_nats_server(), context / "nats-server")
    return engine.build("localhost/kubernaut-tests/nats-compose:test", context, f"--build-arg=BASE={images.builder}")


@asynccontextmanager
async def composed(engine: Engine, images: Bases, kubeconfig: Path, folder: Path) -> AsyncIterator[Composed]:
    """Give the project, not yet up; whatever is left of it at the end is deleted."""
    pool = PortPool()
    ports = {service: pool.take() for service in SERVICES}
    health = {f"{name.upper().replace('-', '_')}_HEALTH_PORT": str(port) for name, port in ports.items()}
    metrics = {f"{name.upper().replace('-', '_')}_METRICS_PORT": str(pool.take()) for name in SERVICES}
    environment = {
        **engine.environment,
        **health,
        **metrics,
        "KUBERNAUT_IMAGE": IMAGE,
        "NATS_IMAGE": compose_nats_image(engine, images, folder),
        "POSTGRES_IMAGE": images.postgres,
        "KUBERNAUT_PASSWORD": f"kubernaut-{secrets.token_hex(16)}",
        "KUBERNAUT_KUBECONFIG": str(kubeconfig),
        "KUBERNAUT_HOST_ADDRESS": "127.0.0.1",
        "KUBERNAUT_NATS_PORT": str(pool.take()),
        "KUBERNAUT_POSTGRES_PORT": str(pool.take()),
    }
    project = Composed(engine, environment, ports)
    try:
        yield project
    finally:
        await project.run("down", "--volumes", "--timeout", "1")
        pool.close()
