"""A gate before an API server that knows what goes through it: HTTP answers, and watches line by line.

Services reach it without TLS, it reaches the server with. What it does not spoil it passes on as it is, the token of
who asks included. A test may move it to another server of the same store, and read from it what was asked and when.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Edit = Callable[[dict[str, Any], bytes], list[bytes]]
    """From an event of a watch and its line to the lines that get through."""
    Refuse = Callable[[web.Request], web.Response | None]

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ALONG = ("Accept", "Accept-Encoding", "Authorization", "Content-Type", "User-Agent")


class CutError(Exception):
    """The connection ends here."""


@dataclass(frozen=True)
class Server:
    """An API server, and how it is known."""

    url: str
    trust: ssl.SSLContext

    @classmethod
    def of(cls, kubeconfig: Path) -> Server:
        """Read a kubeconfig of the local stack."""
        content = yaml.safe_load(kubeconfig.read_text())
        cluster = content["clusters"][0]["cluster"]
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        return cls(cluster["server"], ssl.create_default_context(cadata=authority))


@dataclass
class Asked:
    """A request that came."""

    at: float
    method: str
    path: str
    is_watch: bool
    status: int = 0
    """What was answered; 0 while nothing is, or when the answer was kept back."""

    @property
    def wrote(self) -> bool:
        """Whether it asked to change something, and was told that this is done."""
        return self.method in WRITES and 200 <= self.status < 300


@dataclass
class Faults:
    """What is wrong at the moment; by default nothing."""

    refuse: Refuse | None = None
    """Answers a request itself."""
    loses: Callable[[web.Request], bool] | None = None
    """Whether a request gets through and its answer does not."""
    edit: Edit | None = None
    silent: frozenset[asyncio.Transport] = frozenset()
    """Watches that stay open and out of which nothing comes."""


class Gate:
    """The running gate."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.faults = Faults()
        self.asked: list[Asked] = []
        self.port = 0
        self._session: aiohttp.ClientSession
        self._watches: list[asyncio.Transport] = []
        self._speaks = asyncio.Event()

    @property
    def watches(self) -> int:
        """How many go through it now."""
        return len(self._watches)

    def kubeconfig(self, own: Path, file: Path) -> Path:
        """Write a service's own kubeconfig once more, so that it leads through the gate."""
        content = yaml.safe_load(own.read_text())
        content["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        file.write_text(yaml.safe_dump(content))
        return file

    def heal(self) -> None:
        """Nothing is wrong any more; what was kept back comes out."""
        self.faults = Faults()
        self._speaks.set()

    def silence(self) -> None:
        """Let the watches that go through it now stay open and tell nothing; new ones are well."""
        self.faults.silent = frozenset(self._watches)
        self._speaks.clear()

    def cut_watches(self) -> None:
        """Break the connections of all watches."""
        for transport in list(self._watches):
            transport.abort()

    def since(self, moment: float) -> list[Asked]:
        """What was asked after that time on the monotonic clock."""
        return [each for each in self.asked if each.at > moment]

    async def start(self) -> web.AppRunner:
        """Listen."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        application = web.Application(client_max_size=16 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return runner

    async def close(self) -> None:
        """Forget the server."""
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(time.monotonic(), request.method, request.path, "watch" in request.query)
        self.asked.append(asked)
        refusal = self.faults.refuse(request) if self.faults.refuse is not None else None
        if refusal is not None:
            asked.status = refusal.status
            return refusal
        loses = self.faults.loses is not None and self.faults.loses(request)
        try:
            return await self._pass_on(request, asked, loses=loses)
        except (aiohttp.ClientError, OSError, CutError):
            if request.transport is not None:
                request.transport.abort()
            raise

    async def _pass_on(self, request: web.Request, asked: Asked, *, loses: bool) -> web.StreamResponse:
        server = self.server
        headers = {name: request.headers[name] for name in _ALONG if name in request.headers}
        async with self._session.request(
            request.method,
            server.url + request.path_qs,
            headers=headers,
            data=await request.read() or None,
            ssl=server.trust,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            if asked.is_watch and answer.ok:
                asked.status = answer.status
                return await self._stream(request, answer)
            body = await answer.read()
            if loses:
                raise CutError
            asked.status = answer.status
            kept = {name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers}
            return web.Response(status=answer.status, body=body, headers=kept)

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        assert request.transport is not None
        self._watches.append(transport := request.transport)
        try:
            held = b""
            while chunk := await answer.content.readany():
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    if transport in self.faults.silent:
                        await self._speaks.wait()
                    await self._line(response, line + b"\n")
        finally:
            self._watches.remove(transport)
        return response

    async def _line(self, response: web.StreamResponse, line: bytes) -> None:
        edit = self.faults.edit
        for each in [line] if edit is None else edit(json.loads(line), line):
            await response.write(each)
            if not each.endswith(b"\n"):
                raise CutError


@asynccontextmanager
async def a_gate(server: Server) -> AsyncIterator[Gate]:
    """A gate that is open."""
    gate = Gate(server)
    runner = await gate.start()
    try:
        yield gate
    finally:
        gate.heal()
        gate.cut_watches()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await runner.cleanup()
        await gate.close()
