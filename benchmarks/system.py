"""The system that is measured: the local stack, the services in a namespace of their own, and clients to look at it.

The services watch one namespace, so that the floor works on the same API server, in another one, without being seen.
Each is itself at the API server, NATS and PostgreSQL, with its own rights; clients and floor are administrators.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import api, bus
from kubernaut.local.ports import PortPool
from kubernaut.local.process import ProcessSpec
from kubernaut.local.progress import Progress
from kubernaut.local.services import AUDITOR, EXECUTOR, EXECUTOR_BRIDGE, SCHEDULER, WATCHER, Service, service_specs
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.cluster import ClusterClient
from runtime.cluster import connect as connect_cluster
from runtime.errors import AlreadyExistsError
from runtime.ports import Resource
from runtime.settings import Settings

FOUR: Final = (WATCHER, SCHEDULER, EXECUTOR_BRIDGE, AUDITOR)
FIVE: Final = (*FOUR, EXECUTOR)
PRODUCT: Final = frozenset(service.name for service in FOUR)
SYSTEM_NAMESPACE: Final = "bench-system"
FLOOR_NAMESPACE: Final = "bench-floor"
API_SERVER: Final = frozenset({"etcd", "kube-apiserver", "kube-controller-manager"})
_NAMESPACES: Final = Resource("", "v1", "namespaces")
_PROFILED: Final = Path(__file__).with_name("profiled.py")


@dataclass(frozen=True, kw_only=True)
class System:
    """A running stack and the clients of the benchmark."""

    stack: LocalStack
    cluster: ClusterClient
    api: api.Api
    bus: bus.Bus

    def pids(self) -> Mapping[str, int]:
        """Return the processes that run now, by name."""
        members = self.stack.supervisor.members
        return {member.spec.name: pid for member in members if (pid := member.process.pid) is not None}

    def restarts(self) -> dict[str, int]:
        """Return the processes that ended and were started again, with how often: there should be none."""
        return {member.spec.name: member.restarts for member in self.stack.supervisor.members if member.restarts}


@asynccontextmanager
async def running(
    progress: Progress,
    services: Iterable[Service] = FIVE,
    *,
    environment: Mapping[str, str] | None = None,
    profiles: Path | None = None,
) -> AsyncGenerator[System, None]:
    """Start a stack with these services and end it afterwards. Its logs are kept, and told of, when something fails.

    `environment` is added to that of each service; with `profiles` each leaves its profile in that folder.
    """
    home = _new_home()
    stack = LocalStack(StackOptions(home=home, services=()), progress)
    try:
        async with stack, _connected(stack) as system:
            await start(system, services, environment=environment, profiles=profiles)
            yield system
    except Exception:
        progress.say(f"it failed; the logs of all processes are in {stack.logs}")
        raise
    except BaseException:  # somebody stopped it
        shutil.rmtree(home, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)


def _new_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="kubernaut-bench-"))
    home.chmod(0o755)  # PostgreSQL may have to run as another user
    return home


@asynccontextmanager
async def _connected(stack: LocalStack) -> AsyncGenerator[System, None]:
    kubeconfig, nats_url = str(stack.kubeconfig), stack.nats_url or ""
    cluster = await connect_cluster(Settings(nats_url=nats_url, kubeconfig=kubeconfig))
    view = await api.connect(kubeconfig)
    log = await bus.connect(nats_url)
    try:
        for name in (SYSTEM_NAMESPACE, FLOOR_NAMESPACE):
            await _make_namespace(cluster, name)
        yield System(stack=stack, cluster=cluster, api=view, bus=log)
    finally:
        await log.close()
        await view.close()
        await cluster.close()


async def _make_namespace(cluster: ClusterClient, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        await cluster.create(_NAMESPACES, "", body)
    except AlreadyExistsError:
        return


async def start(
    system: System,
    services: Iterable[Service],
    *,
    environment: Mapping[str, str] | None = None,
    profiles: Path | None = None,
) -> None:
    """Start services on a stack that runs, and return when they are ready."""
    supervisor, ports = system.stack.supervisor, PortPool()
    settings = {"KUBERNAUT_WATCH_NAMESPACES": SYSTEM_NAMESPACE, "KUBERNAUT_SIMULATOR_SCALE": "0"}
    names = []
    for service in services:
        given = system.stack.service_environment(service) | settings | dict(environment or {})
        for spec in service_specs(service, 1, given, system.stack.logs, ports):
            await supervisor.add(spec if profiles is None else _profiled(spec, service.module, profiles))
            names.append(spec.name)
    for name in names:
        await supervisor.wait_ready(name)
    ports.close()


def _profiled(spec: ProcessSpec, module: str, folder: Path) -> ProcessSpec:
    folder.mkdir(parents=True, exist_ok=True)
    return ProcessSpec(
        name=spec.name,
        command=(sys.executable, str(_PROFILED), str(folder.absolute() / f"{spec.name}.prof"), module),
        log=spec.log,
        environment=spec.environment,
        ports=spec.ports,
        probe=spec.probe,
    )
