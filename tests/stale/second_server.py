"""A second kube-apiserver on the store of the first; its way to etcd can be frozen, so that it knows only the past.

Both sign with one key, as the servers of one control plane do: the services come to it with the tokens that they have.
"""

from __future__ import annotations

import dataclasses
import secrets
import ssl
from typing import TYPE_CHECKING

from kubernaut.local.kubernetes import API_SERVER, ETCD
from kubernaut.local.ports import LOOPBACK
from kubernaut.local.probes import HttpProbe
from schemas.rbac import EXECUTOR_BRIDGE, NAMESPACE
from tests.stale.gate import Server

if TYPE_CHECKING:
    from pathlib import Path

    from kubernaut.local.ports import PortPool
    from kubernaut.local.process import ProcessSpec
    from kubernaut.local.stack import LocalStack

NAME = "kube-apiserver-2"


class SecondServer:
    """How it is run, and where."""

    def __init__(self, stack: LocalStack, ports: PortPool, etcd: int) -> None:
        """`etcd`: port of the way to the store."""
        self._stack = stack
        self._folder = stack.logs.parent / NAME
        self._port = ports.take()
        self.token = secrets.token_urlsafe(32)
        """Of the bridge, and known to this server alone."""
        self.etcd = etcd

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{LOOPBACK}:{self._port}"

    @property
    def port(self) -> int:
        """The port of that."""
        return self._port

    @property
    def certificate(self) -> Path:
        """Its certificate, made by itself; not that of the first."""
        return self._folder / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        """Who asked it for what."""
        return self._folder / "audit.log"

    @property
    def server(self) -> Server:
        """What a gate must know of it."""
        return Server(self.url, ssl.create_default_context(cafile=str(self.certificate)))

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await self._stack.supervisor.add(self._spec(self._stack.supervisor[API_SERVER].spec))
        await self._stack.supervisor.wait_ready(NAME)

    def _spec(self, first: ProcessSpec) -> ProcessSpec:
        self._folder.mkdir(parents=True, exist_ok=True)
        changed = {
            "--etcd-servers": f"http://{LOOPBACK}:{self.etcd}",
            "--secure-port": str(self._port),
            "--cert-dir": str(self._folder),
            "--audit-log-path": str(self.audit_log),
        }
        tokens = self._folder / "tokens.csv"
        account = f"system:serviceaccount:{NAMESPACE}:{EXECUTOR_BRIDGE.full_name}"
        groups = f"system:serviceaccounts,system:serviceaccounts:{NAMESPACE}"
        tokens.write_text(f'{self.token},{account},bridge,"{groups}"\n')
        changed["--token-auth-file"] = str(tokens)
        command = []
        for part in first.command:
            flag, equals, _value = part.partition("=")
            command.append(f"{flag}={changed[flag]}" if equals and flag in changed else part)
        return dataclasses.replace(
            first,
            name=NAME,
            command=tuple(command),
            log=first.log.with_name(f"{NAME}.log"),
            ports={"api": self._port},
            probe=HttpProbe(url=f"{self.url}/readyz", ca_file=str(self.certificate)),
        )


def etcd_port(stack: LocalStack) -> int:
    """Where etcd listens for its clients."""
    return int(stack.supervisor[ETCD].spec.ports["client"])
