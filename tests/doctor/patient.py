"""An installation that is examined, spoilt and mended by what people type."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubernaut.local.nats import find_nats_server
from kubernaut.local.ports import LOOPBACK, PortPool
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
_SECONDS = 120.0
_ADDRESSES = ("NATS_URL", "DATABASE_URL", "KUBECONFIG")


class Patient:
    """Where it is, as its people have it in their environment."""

    def __init__(self, **addresses: str) -> None:
        known = {name: value for name, value in os.environ.items() if name not in _ADDRESSES}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{known.get('PATH', '')}"
        self._environment = known | {"PATH": programs} | addresses

    async def type(self, command: str, *, code: int | None = 0) -> str:
        """Type a command into a shell, at the root of the repository; return what it prints."""
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            cwd=ROOT,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
        assert code is None or process.returncode == code, f"{command}\n{output.decode()}"
        return output.decode()

    async def findings(self, *arguments: str) -> list[dict[str, Any]]:
        """Let the doctor look; return everything it found."""
        text = await self.type(f"kubernaut doctor -o json {' '.join(arguments)}", code=None)
        try:
            found: list[dict[str, Any]] = json.loads(text)["findings"]
        except json.JSONDecodeError:
            raise AssertionError(text) from None
        return found

    async def wrong(self, check: str, *arguments: str, about: str = "") -> dict[str, Any]:
        """Return the one thing that is found wrong by a check, with its words."""
        found = [
            each
            for each in await self.findings(*arguments)
            if each["id"] == check and each["severity"] in {"error", "warning"} and about in each["about"]
        ]
        assert len(found) == 1, found
        assert found[0]["why"]
        assert found[0]["mend"]
        return found[0]

    async def well(self, check: str, *arguments: str, about: str = "") -> None:
        """See that a check finds all well."""
        found = [each for each in await self.findings(*arguments) if each["id"] == check and about in each["about"]]
        assert {"ok"} == {each["severity"] for each in found}, found


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
