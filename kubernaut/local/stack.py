"""The local stack: NATS, PostgreSQL, a Kubernetes API and the services, begun together and ended together.

`kubernaut up`, the tests and the benchmarks all stand on this class. It decides nothing about workflows.
"""

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from kubernaut.local import kubernetes
from kubernaut.local.access import Access
from kubernaut.local.build import control_plane
from kubernaut.local.home import DEFAULT_NAME, Home, Lock
from kubernaut.local.kubernetes import Kubernetes
from kubernaut.local.nats import NatsServer
from kubernaut.local.ports import PortPool
from kubernaut.local.postgres import PostgresServer
from kubernaut.local.process import Process, ProcessSpec
from kubernaut.local.progress import Progress
from kubernaut.local.service_accounts import ServiceAccounts
from kubernaut.local.services import SERVICES, Service, check_names, chosen, service_specs
from kubernaut.local.state import StackState, clean_up, state_of, write_state
from kubernaut.local.supervisor import Supervisor
from schemas.rbac import Role

_INSTALL_SECONDS = 180.0
INSTALL_COMMAND = (sys.executable, "-m", "kubernaut.install", "--timeout", f"{_INSTALL_SECONDS - 10:g}")
_ROLES_COMMAND = (*INSTALL_COMMAND, "--only", "roles")
_LOGGER = logging.getLogger("kubernaut.local")


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What a stack consists of. By default all of it, each part embedded."""

    name: str = DEFAULT_NAME
    home: Path | None = None
    """Where its files are; KUBERNAUT_HOME or the user's own folders by default."""
    kubernetes: bool = True
    nats: bool = True
    postgres: bool = True
    kubeconfig: Path | None = None
    """A cluster of the user's, used instead of the embedded one."""
    nats_url: str | None = None
    database_url: str | None = None
    audit_log: bool = False
    """Whether the API server writes down every change and who made it."""
    services: tuple[Service, ...] = SERVICES
    without: frozenset[str] = frozenset()
    replicas: Mapping[str, int] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Further environment of single processes of services, by their names, such as `scheduler-2`."""
    install_command: tuple[str, ...] | None = INSTALL_COMMAND
    """Makes streams, resource definitions and tables, once the parts are ready."""

    @classmethod
    def only(cls, *parts: str, home: Path, audit_log: bool = False) -> Self:
        """Describe a stack of the parts named ("nats", "postgres", "kubernetes") and nothing else: no services."""
        return cls(
            home=home,
            kubernetes="kubernetes" in parts,
            nats="nats" in parts,
            postgres="postgres" in parts,
            audit_log=audit_log,
            services=(),
            install_command=None,
        )


class LocalStack:
    """A stack that runs from `start` to `close`, best used with `async with`; all its methods on one event loop.

    `progress` is told in short lines what is done.
    """

    def __init__(self, options: StackOptions, progress: Progress | None = None) -> None:
        self.options = options
        self.home = Home(options.name, options.home)
        self.access = Access(
            nats_url=options.nats_url,
            database_url=options.database_url,
            kubeconfig=options.kubeconfig.absolute() if options.kubeconfig is not None else None,
        )
        self.kubernetes_audit_log: Path | None = None
        self.supervisor = Supervisor(self._publish)
        self._progress = progress or Progress()
        self._ports = PortPool()
        self._lock: Lock | None = None
        self._phase = "starting"
        self._message = ""
        self._log_handler: logging.Handler | None = None
        check_names(options.services, frozenset(options.replicas))
        self._services = chosen(options.services, options.without)

    @property
    def logs(self) -> Path:
        """The folder with a log of each process."""
        return self.home.logs

    @property
    def nats_url(self) -> str | None:
        """Where NATS is, once it is ready."""
        return self.access.nats_url

    @property
    def database_url(self) -> str | None:
        """Where PostgreSQL is, once it is ready; with the administrator's password."""
        return self.access.database_url

    @property
    def kubeconfig(self) -> Path | None:
        """The administrator's way to the Kubernetes API, once that is ready."""
        return self.access.kubeconfig

    @property
    def environment(self) -> dict[str, str]:
        """What an administrator's client needs to find the parts."""
        return self.access.environment

    def environment_of(self, role: Role | None) -> dict[str, str]:
        """The same for a service with the rights of its role."""
        return self.access.environment_of(role)

    def service_environment(self, service: Service) -> dict[str, str]:
        """The same for one of the services, which is nobody but itself."""
        return self.access.service_environment(service)

    def nats_login(self, user: str) -> dict[str, str]:
        """What a process needs to be one of our users on the embedded NATS."""
        return self.access.nats_login(user)

    async def __aenter__(self) -> Self:
        """Start it all; nothing is left running when that fails."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it all."""
        await self.close()

    async def start(self) -> None:
        """Start the parts, install what they need, start the services; return when all are ready."""
        self._lock = self.home.lock()
        try:
            await asyncio.to_thread(self._clear)
            await self._start_parts()
            if self.options.install_command is not None:
                await self._install(self.options.install_command)
            await self._start_services()
            self._enter("ready", "all processes are ready")
        except BaseException as error:
            self._enter("failed", str(error) or type(error).__name__)
            await self.close()
            raise

    async def close(self) -> None:
        """End every process, services first, and delete everything but the logs."""
        if self._lock is None:
            return
        if self._phase != "failed":
            self._enter("stopping", "ending all processes")
        if self.access.accounts is not None:
            self.access.accounts.close()
        running = {member.spec.name for member in self.supervisor.members}
        parts = [
            [kubernetes.CONTROLLER_MANAGER],
            [kubernetes.API_SERVER],
            [kubernetes.ETCD, "nats", "postgres"],
        ]
        services = sorted(running - {name for group in parts for name in group})
        for group in [services, *parts]:
            await self.supervisor.stop_all(name for name in group if name in running)
        if self.access.postgres is not None:
            await asyncio.to_thread(self.access.postgres.remove)
        await asyncio.to_thread(shutil.rmtree, self.home.data, ignore_errors=True)
        for file in (self.home.kubeconfig, self.home.state_file):
            file.unlink(missing_ok=True)
        if self._log_handler is not None:
            _LOGGER.removeHandler(self._log_handler)
            self._log_handler.close()
        self._ports.close()
        self._lock.close()
        self._lock = None

    def _clear(self) -> None:
        left = clean_up(self.home)
        if left:
            self._progress.say(f"ended what a killed run had left: {', '.join(left)}")
        self.home.rotate_logs()
        self._log_handler = logging.FileHandler(self.logs / "supervisor.log")
        self._log_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        _LOGGER.addHandler(self._log_handler)
        self.home.data.mkdir(parents=True, exist_ok=True)
        self._publish()

    async def _start_parts(self) -> None:
        options = self.options
        try:
            async with asyncio.TaskGroup() as group:
                if options.nats and options.nats_url is None:
                    group.create_task(self._start_nats())
                if options.postgres and options.database_url is None:
                    group.create_task(self._start_postgres())
                if options.kubernetes and options.kubeconfig is None:
                    group.create_task(self._start_kubernetes())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _start_nats(self) -> None:
        self.access.nats = server = NatsServer(self.home.data / "nats", self.logs, self._ports)
        await self._run_part(server.prepare())
        self.access.nats_url = server.url

    async def _start_postgres(self) -> None:
        self.access.postgres = server = PostgresServer(self.home.data / "postgres", self.logs, self._ports)
        await self._run_part(await server.prepare())
        self.access.database_url = server.url
        if self.options.install_command is not None:
            await self._run_once("roles", _ROLES_COMMAND, server.roles)

    async def _start_kubernetes(self) -> None:
        programs = await control_plane(self._progress)
        cluster = Kubernetes(
            self.home.data / "kubernetes", self.logs, self._ports, programs, audit_log=self.options.audit_log
        )
        for spec in cluster.prepare():
            await self._run_part(spec)
        cluster.write_kubeconfig(self.home.kubeconfig)
        controller_manager = cluster.controller_manager(self.home.kubeconfig)
        if controller_manager is not None:
            await self._run_part(controller_manager)
        self.access.kubeconfig = self.home.kubeconfig
        self.kubernetes_audit_log = cluster.audit_log
        if self.options.install_command is not None or self._services:
            self.access.accounts = accounts = ServiceAccounts(self.home.kubeconfig, self.home.data / "accounts")
            await accounts.start()

    async def _run_part(self, spec: ProcessSpec) -> None:
        await self.supervisor.add(spec)
        await self.supervisor.wait_ready(spec.name)
        self._progress.say(f"{spec.name} is ready")

    async def _install(self, command: tuple[str, ...]) -> None:
        self._enter("starting", "installing streams, resource definitions and tables")
        await self._run_once("install", command, self.access.installer_environment())
        self._progress.say("streams, resource definitions and tables are installed")

    async def _run_once(self, name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        spec = ProcessSpec(name=name, command=command, log=self.logs / f"{name}.log", environment=environment)
        await Process(spec).run_to_end(_INSTALL_SECONDS)

    async def _start_services(self) -> None:
        names = []
        for service in self._services:
            replicas = self.options.replicas.get(service.name, 1)
            environment = self.service_environment(service)
            for spec in service_specs(service, replicas, environment, self.logs, self._ports):
                own = self.options.environments.get(spec.name, {})
                await self.supervisor.add(replace(spec, environment={**spec.environment, **own}))
                names.append(spec.name)
        for name in names:
            await self.supervisor.wait_ready(name)
            self._progress.say(f"{name} is ready")

    def _enter(self, phase: str, message: str) -> None:
        self._phase = phase
        self._message = message
        self._publish()

    def _publish(self) -> None:
        if self._lock is None:
            return
        folders = [self.home.data]
        if self.access.postgres is not None:
            folders.append(self.access.postgres.home)
        state = StackState(
            name=self.options.name,
            phase=self._phase,
            message=self._message,
            supervisor=os.getpid(),
            kubeconfig=None if self.kubeconfig is None else str(self.kubeconfig),
            nats_url=self.nats_url,
            database_url=self.database_url,
            logs=str(self.logs),
            folders=tuple(map(str, folders)),
            processes=tuple(map(state_of, self.supervisor.members)),
        )
        write_state(self.home, state)
