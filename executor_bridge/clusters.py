"""The clusters that checks look at: this one, and each other by the kubeconfig that a person put under its name.

A name never is a path: what a workflow says must not choose a file of this machine. Other clusters say nothing about
the readiness of the bridge, and must never get a write but the questions of `checks.rights`.
"""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from executor_bridge.api import Api
from runtime.cluster import connect_to
from runtime.errors import KubernautError, SettingsError, UnavailableError
from runtime.health import Dependency
from runtime.ports import Cluster

LOGIN_SECONDS: Final = 10.0
"""Longest time that finding the credentials may take; an exec plugin that hangs is killed then."""
_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,252}")
_SUFFIX: Final = ".kubeconfig"


class UnknownClusterError(KubernautError):
    """No kubeconfig for a cluster of that name, or one that makes no sense; the message says what to do."""


class Connected(Cluster, Protocol):
    """A cluster whose connections can be closed."""

    async def close(self) -> None:
        """Close them."""
        ...


class _Other:
    """One other cluster: its kubeconfig as it was read last, and the connection made of it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.stamp: tuple[str, int, int] | None = None
        self.connected: Connected | None = None
        self.api: Api | None = None


class Clusters:
    """Connections by the name of the cluster, made when they are first asked for."""

    def __init__(
        self, own: Api, directory: str = "", connect: Callable[[str], Awaitable[Connected]] = connect_to
    ) -> None:
        """`own`: this cluster. `directory`: see `Settings.clusters_dir`. `connect` makes a client of a kubeconfig."""
        self._own = own
        self._directory = directory
        self._connect = connect
        self._others: dict[str, _Other] = {}

    async def of(self, name: str) -> Api:
        """Return the API of a cluster; the empty name is this one.

        Raises UnknownClusterError, or UnavailableError when the credentials do not come in time.
        """
        if not name:
            return self._own
        path, stamp = self._find(name)
        other = self._others.setdefault(name, _Other())
        async with other.lock:
            if other.api is None or other.stamp != stamp:
                other.api = await self._renew(other, path, name)
                other.stamp = stamp
            return other.api

    async def close(self) -> None:
        """Close the connections to other clusters."""
        for other in self._others.values():
            if other.connected is not None:
                await other.connected.close()

    def _find(self, name: str) -> tuple[Path, tuple[str, int, int]]:
        """Return the file of a cluster, and what changes when the file does."""
        if not self._directory:
            message = "KUBERNAUT_CLUSTERS_DIR of the executor bridge is not set, so no other cluster can be looked at"
            raise UnknownClusterError(f"{message}; set it to a directory that holds a kubeconfig named {name[:64]!r}")
        if _NAME.fullmatch(name) and ".." not in name:
            for path in (Path(self._directory, name), Path(self._directory, f"{name}{_SUFFIX}")):
                try:
                    found = path.stat()
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    return path, (str(path), found.st_mtime_ns, found.st_size)
        message = f"no cluster {name[:64]!r} is known to the executor bridge"
        raise UnknownClusterError(f"{message}; put its kubeconfig under that name into KUBERNAUT_CLUSTERS_DIR")

    async def _renew(self, other: _Other, path: Path, name: str) -> Api:
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                connected = await self._connect(str(path))
        except TimeoutError as error:
            raise UnavailableError(f"no credentials for cluster {name} within {LOGIN_SECONDS:.0f} s") from error
        except SettingsError as error:
            message = f"the kubeconfig of cluster {name} in KUBERNAUT_CLUSTERS_DIR makes no sense"
            raise UnknownClusterError(f"{message}: {str(error).partition('. Example:')[0]}") from error
        before, other.connected = other.connected, connected
        if before is not None:
            await before.close()
        return Api(connected, Dependency(f"cluster {name}"))
