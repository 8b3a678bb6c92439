"""A small OpenTelemetry collector: takes OTLP/HTTP as JSON and keeps what it got."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Told = tuple[str, str, str, str, str, str]
"""Trace, span, parent, service, name, and attributes with links, as text."""


class Collector:
    """What was received, by the id of the span."""

    def __init__(self) -> None:
        self.spans: dict[str, dict[str, Any]] = {}
        self.headers: list[dict[str, str]] = []
        self.refuse = False
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        """Take one batch."""
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.refuse:
            return web.Response(status=503)
        for span in flat(await request.json()):
            self.spans[span["spanId"]] = span
        return web.json_response({})

    def of(self, trace: str) -> set[Told]:
        """The spans of one trace, without their times."""
        return {told(span) for span in self.spans.values() if span["traceId"] == trace}


def flat(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every span of a body, each with its service."""
    found = []
    for resource in body["resourceSpans"]:
        (service,) = (each["value"]["stringValue"] for each in resource["resource"]["attributes"])
        found += [span | {"service": service} for scope in resource["scopeSpans"] for span in scope["spans"]]
    return found


def told(span: dict[str, Any]) -> Told:
    """What of a span must be the same whenever and by whomever it is made: all but its times."""
    rest = {"attributes": span["attributes"], "links": span.get("links", []), "status": span["status"]}
    parent = span.get("parentSpanId", "")
    return span["traceId"], span["spanId"], parent, span["service"], span["name"], f"{span['kind']} {rest}"


@asynccontextmanager
async def a_collector() -> AsyncIterator[Collector]:
    """Run one on a free port."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}"
    try:
        yield collector
    finally:
        await runner.cleanup()
