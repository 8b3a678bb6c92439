"""A tiny HTTP server that speaks as an API server, or as what stands before a broken one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from runtime.cluster import ClusterClient
from runtime.cluster_access import Access
from runtime.cluster_plain import Login

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers each request with what the test put there; remembers the requests."""

    def __init__(self) -> None:
        self.answer: Answer
        self.requests: list[web.Request] = []
        self.logins = 0
        self.client: ClusterClient

    def answers(self, text: str, *, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        """Answer every request so."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(text=text, status=status, content_type=kind, headers=headers)

        self.answer = answer

    def streams(self, *chunks: bytes, then: str = "end") -> None:
        """Answer every request with chunks and then `end` in order, `cut` the connection, or `hang`."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            for chunk in chunks:
                await response.write(chunk)
            if then == "hang":
                await asyncio.Event().wait()
            if then == "cut":
                assert request.transport is not None
                request.transport.abort()
            return response

        self.answer = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append(request)
        return await self.answer(request)


@asynccontextmanager
async def serving(*, silence: float = 100.0) -> AsyncIterator[Server]:
    """Give a server and a client that is connected to it; `silence` as for the client, in seconds."""
    server = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]

    async def again() -> Login:
        server.logins += 1
        return Login(host=f"http://{host}:{port}", authorization=f"Bearer token-{server.logins}")

    time = 0.0

    def clock() -> float:
        nonlocal time
        time += 60.0
        return time

    access = Access(Login(host=f"http://{host}:{port}", authorization="Bearer token-0"), again, clock=clock)
    server.client = ClusterClient(access, draw=lambda: 0.5, silence=silence)
    try:
        yield server
    finally:
        await server.client.close()
        await runner.cleanup()
