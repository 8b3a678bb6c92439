"""The two small HTTP servers of a process: health on one port, metrics on the other. Must never read a request body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from runtime.metrics import METRICS_ANSWERS
from runtime.metrics_reviews import PATH, Verdict

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry

    from runtime.health import Health

    Judge = Callable[[str], Awaitable[Verdict]]
    """Says of an Authorization header what whoever sent it is to be told."""

_LIVE: Final = ("/healthz", "/livez", "/health")
_READY: Final = ("/readyz", "/ready")
_LONGEST_REQUEST: Final = 4096
_REFUSALS: Final[dict[Verdict, dict[str, str]]] = {
    Verdict.UNKNOWN: {"WWW-Authenticate": "Bearer"},
    Verdict.FORBIDDEN: {},
    Verdict.CLOSED: {"Retry-After": "1"},
}
"""The headers of each; the text is always that of the status, for whoever is refused is to learn nothing."""


class Ports:
    """A running HTTP server; `port` is the one that it has, also where the kernel chose it."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        """Made by `serve_health` and `serve_metrics`."""
        self._runner = runner
        self.port = port

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()


async def serve_health(health: Health, bind: str, port: int) -> Ports:
    """Serve liveness and readiness without login. Raises OSError when the port is taken."""

    async def live(_request: web.Request) -> web.Response:
        turns = health.live(asyncio.get_running_loop().time())
        return web.Response(text="ok\n" if turns else "the event loop is stalled\n", status=200 if turns else 503)

    async def ready(request: web.Request) -> web.Response:
        is_ready = health.ready
        text = health.report() if "verbose" in request.query or not is_ready else "ready\n"
        return web.Response(text=text, status=200 if is_ready else 503)

    app = web.Application(client_max_size=_LONGEST_REQUEST)
    app.router.add_routes([web.get(path, live) for path in _LIVE])
    app.router.add_routes([web.get(path, ready) for path in _READY])
    return await _serve(app, bind, port)


async def serve_metrics(
    registry: CollectorRegistry,
    bind: str,
    port: int,
    *,
    judge: Judge | None = None,
    tls: ssl.SSLContext | None = None,
) -> Ports:
    """Serve `/metrics` in the format that the scraper asks for. Raises OSError when the port is taken.

    `judge`: None lets everybody read. `tls`: None serves in plain.
    """

    async def scrape(request: web.Request) -> web.Response:
        verdict = Verdict.ALLOWED if judge is None else await judge(request.headers.get("Authorization", ""))
        METRICS_ANSWERS.labels(str(verdict.value.value)).inc()
        if verdict is not Verdict.ALLOWED:
            status = verdict.value
            return web.Response(status=status, text=f"{status.phrase}\n", headers=_REFUSALS[verdict])
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application(client_max_size=_LONGEST_REQUEST)
    app.router.add_get(PATH, scrape)
    return await _serve(app, bind, port, tls)


async def _serve(app: web.Application, bind: str, port: int, tls: ssl.SSLContext | None = None) -> Ports:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return Ports(runner, int(runner.addresses[0][1]))
