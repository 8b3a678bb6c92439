"""Which services the local stack runs, as data. It imports none of them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubernaut.local.errors import LocalStackError
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.process import ProcessSpec
from schemas import rbac
from schemas.rbac import Role


@dataclass(frozen=True)
class Service:
    """A program of this project that keeps the contract of services: settings by environment, /readyz, SIGTERM."""

    name: str
    module: str
    """Run as `python -m MODULE`."""
    code: Path | None = None
    """Where the module is, when it is not this version's; its libraries are those of this Python all the same."""
    role: Role | None = None
    """What it may do on the embedded Kubernetes API; None: all that the administrator may."""


WATCHER = Service("watcher", "watcher", role=rbac.WATCHER)
SCHEDULER = Service("scheduler", "scheduler", role=rbac.SCHEDULER)
EXECUTOR_BRIDGE = Service("executor_bridge", "executor_bridge", role=rbac.EXECUTOR_BRIDGE)
AUDITOR = Service("auditor", "auditor", role=rbac.AUDITOR)
EXECUTOR = Service("executor", "kubernaut.simulator", role=rbac.SIMULATOR)
SERVICES = (WATCHER, SCHEDULER, EXECUTOR_BRIDGE, AUDITOR, EXECUTOR)


def chosen(services: tuple[Service, ...], without: frozenset[str]) -> tuple[Service, ...]:
    """Return the services but those named; an unknown name is an error that lists the known ones."""
    check_names(services, without)
    return tuple(service for service in services if service.name not in without)


def check_names(services: tuple[Service, ...], names: frozenset[str]) -> None:
    """Refuse names that no service has."""
    known = {service.name for service in services}
    unknown = sorted(names - known)
    if unknown:
        message = f"there is no service {', '.join(map(repr, unknown))}; there are: {', '.join(sorted(known))}"
        raise LocalStackError(message)


def service_specs(
    service: Service,
    replicas: int,
    environment: Mapping[str, str],
    logs: Path,
    ports: PortPool,
) -> tuple[ProcessSpec, ...]:
    """Return how the replicas of a service are run: `name`, `name-2`, `name-3` ..., each with ports of its own."""
    return tuple(_spec(service, number, environment, logs, ports) for number in range(1, replicas + 1))


def _spec(service: Service, number: int, environment: Mapping[str, str], logs: Path, ports: PortPool) -> ProcessSpec:
    name = service.name if number == 1 else f"{service.name}-{number}"
    health, metrics = ports.take(), ports.take()
    return ProcessSpec(
        name=name,
        command=(sys.executable, *(("-P",) if service.code else ()), "-m", service.module),
        log=logs / f"{name}.log",
        environment={
            **environment,
            **({"PYTHONPATH": str(service.code)} if service.code else {}),
            "KUBERNAUT_BIND": LOOPBACK,
            "KUBERNAUT_HEALTH_PORT": str(health),
            "KUBERNAUT_METRICS_PORT": str(metrics),
        },
        ports={"health": health, "metrics": metrics},
        probe=HttpProbe(url=f"http://{LOOPBACK}:{health}/readyz"),
    )
