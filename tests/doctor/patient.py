"""An installation that is examined, spoilt and mended by what people type."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubernaut.cli.doctor import installation
from kubernaut.doctor.checks import Part
from kubernaut.doctor.examine import examine
from kubernaut.doctor.finding import Finding
from kubernaut.doctor.judge import findings
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.local.nats import find_nats_server
from kubernaut.local.ports import LOOPBACK, PortPool
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ROOT = Path(__file__).parents[2]
_SECONDS = 240.0
"""A program takes a second of CPU to start, and machines of tests are busy."""
_ADDRESSES: dict[Part, str] = {"nats": "NATS_URL", "database": "DATABASE_URL", "cluster": "KUBECONFIG"}


class Patient:
    """Where it is, as its people have it in their environment."""

    def __init__(self, **addresses: str) -> None:
        known = {name: value for name, value in os.environ.items() if name not in _ADDRESSES.values()}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{known.get('PATH', '')}"
        self._known: list[Part] = [part for part, name in _ADDRESSES.items() if name in addresses]
        self._options: dict[str, Any] = {
            "nats_url": addresses.get("NATS_URL"),
            "database": addresses.get("DATABASE_URL"),
            "kubeconfig": addresses.get("KUBECONFIG"),
            "context": None,
            "subscribers": None,
            "stack": DEFAULT_NAME,
        }
        self._environment = known | {"PATH": programs} | addresses

    async def type(
        self, command: str, *, code: int | None = 0, settings: Mapping[str, str] | None = None, programs: Path = ROOT
    ) -> str:
        """Type commands into a shell, at the root of the repository; return what they print.

        `settings`: further variables; `programs`: a folder where more programs are.
        """
        path = f"{programs}{os.pathsep}{self._environment['PATH']}"
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-ec",
            command,
            cwd=ROOT,
            env=self._environment | {"PATH": path} | dict(settings or {}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
        assert code is None or process.returncode == code, f"{command}\n{output.decode()}"
        return output.decode()

    async def findings(self, *parts: Part, monitor: str | None = None, seconds: float = 10.0) -> list[Finding]:
        """Let the doctor look at these parts, or at those whose address there is; return everything it found."""
        where = installation(parts or tuple(self._known), self._options | {"monitor": monitor})
        return findings(await examine(where, seconds=seconds))

    async def wrong(self, check: str, about: str = "") -> Finding:
        """Return the one thing that is found wrong by a check, with its words."""
        found = [
            each
            for each in await self.findings()
            if each.id == check and each.severity in {"error", "warning"} and about in each.about
        ]
        assert len(found) == 1, found
        assert found[0].why
        assert found[0].mend
        return found[0]

    async def well(self, *checks: str, about: str = "") -> None:
        """See that these checks find all well."""
        found = [each for each in await self.findings() if each.id in checks and about in each.about]
        assert {"ok"} == {each.severity for each in found}, found
        assert set(checks) == {each.id for each in found}


@asynccontextmanager
async def a_nats_server(folder: Path, configuration: str) -> AsyncIterator[tuple[str, str]]:
    """Run a server of that configuration; give its address (without user) and that of its monitoring port."""
    pool = PortPool()
    port, monitor = pool.take(), pool.take()
    file = folder / "nats.conf"
    head = f"listen: {LOOPBACK}:{port}\nhttp: {LOOPBACK}:{monitor}\n"
    file.write_text(f"{head}{configuration}".replace("STORE", str(folder / "store")))
    process = await asyncio.create_subprocess_exec(
        str(find_nats_server()), "-c", str(file), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: _listens(port), seconds=30.0, what="nats-server does not come up")
        yield f"{LOOPBACK}:{port}", f"http://{LOOPBACK}:{monitor}"
    finally:
        process.kill()
        await process.wait()
        pool.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
