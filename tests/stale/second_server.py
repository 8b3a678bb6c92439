"""A second kube-apiserver on the store of the first; its way to etcd can be frozen, so that it knows only the past."""

from __future__ import annotations

import dataclasses
import secrets
import ssl
from typing import TYPE_CHECKING

from kubernaut.local.kubernetes import API_SERVER, ETCD
from kubernaut.local.ports import LOOPBACK
from kubernaut.local.probes import HttpProbe
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
        self._token = secrets.token_urlsafe(32)
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
        """Its certificate, made by itself; not that of the first. It takes another token, too."""
        return self._folder / "apiserver.crt"

    @property
    def server(self) -> Server:
        """The administrator's way into it."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return Server(self.url, self._token, trust)

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
            "--audit-log-path": str(self._folder / "audit.log"),
        }
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f'{self._token},admin,admin,"system:masters"\n')
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
