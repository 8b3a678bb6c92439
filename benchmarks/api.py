"""What the benchmark asks the API server beyond the services' own client: its count of requests, and who has ended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, get_args

import aiohttp
import msgspec

from runtime.cluster_access import Access, log_in
from runtime.cluster_lines import Lines, read_event
from runtime.kinds import EVENTS, EXECUTIONS, WORKFLOWS
from schemas.workflow_status import TERMINAL_PHASES, Phase

_REQUESTS: Final = "apiserver_request_total{"
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_RESOURCES: Final = frozenset({WORKFLOWS.plural, EXECUTIONS.plural, EVENTS.plural})
_READS: Final = frozenset({"GET", "LIST", "WATCH"})
_SECONDS: Final = 30.0
_NAMES_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_ENDED: Final = ",".join(f"status.phase!={phase}" for phase in ("", *get_args(Phase)) if phase not in TERMINAL_PHASES)


class Requests(msgspec.Struct, frozen=True):
    """Requests for the two kinds and Kubernetes Events, counted by the API server since it started.

    By `VERB resource` or `VERB resource/subresource`.
    """

    writes: Counter[str]
    """That took effect."""
    refused: Counter[str]
    """Writes that did not, most often because of a conflict."""
    reads: Counter[str]

    def __sub__(self, before: Requests) -> Requests:
        """Return what came since `before`."""
        return Requests(self.writes - before.writes, self.refused - before.refused, self.reads - before.reads)


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: _Meta


_NAMED: Final = msgspec.json.Decoder(_Named)


class Api:
    """The administrator's view of an API server. Close it at the end."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=access.context), trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def requests(self) -> Requests:
        """Return the count of requests so far. Costs the API server some ms: never ask while something is measured."""
        return parse_requests(await self._text("/metrics"))

    async def version(self) -> str:
        """Return which Kubernetes it is."""
        return str(msgspec.json.decode(await self._text("/version"))["gitVersion"])

    async def ended(self, namespace: str) -> AsyncGenerator[str, None]:
        """Name each workflow of a namespace once its phase is final, those that are so now first.

        The server sends nothing else, so that looking costs next to nothing. Names come again when the server has
        ended a watch, which it does when it lacks the CPU to serve it.
        """
        while True:
            async with aclosing(self._ended_until_cut(namespace)) as names:
                async for name in names:
                    yield name

    async def _ended_until_cut(self, namespace: str) -> AsyncGenerator[str, None]:
        path = f"/apis/{WORKFLOWS.group}/{WORKFLOWS.version}/namespaces/{namespace}/{WORKFLOWS.plural}"
        query = {"watch": "1", "fieldSelector": _ENDED, "timeoutSeconds": "1800"}
        headers = await self._access.headers() | {"Accept": _NAMES_ONLY}
        lines = Lines()
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS)
        async with self._session.get(
            self._access.login.host + path, params=query, headers=headers, timeout=limits
        ) as answer:
            answer.raise_for_status()
            while chunk := await answer.content.readany():
                for event in map(read_event, lines.feed(chunk)):
                    if event.type == "ADDED":
                        yield _NAMED.decode(event.object).metadata.name

    async def _text(self, path: str) -> str:
        limits = aiohttp.ClientTimeout(total=_SECONDS)
        headers = await self._access.headers()
        async with self._session.get(self._access.login.host + path, headers=headers, timeout=limits) as answer:
            answer.raise_for_status()
            return await answer.text()


async def connect(kubeconfig: str) -> Api:
    """Find the credentials and return the view."""
    return Api(Access(await log_in(kubeconfig), lambda: log_in(kubeconfig)))


def parse_requests(text: str) -> Requests:
    """Read the count out of the text that the API server's /metrics gives."""
    found = Requests(Counter(), Counter(), Counter())
    for line in text.splitlines():
        if not line.startswith(_REQUESTS):
            continue
        labels = dict(_LABEL.findall(line))
        if labels["resource"] not in _RESOURCES:
            continue
        subresource = f"/{labels['subresource']}" if labels.get("subresource") else ""
        kind = f"{labels['verb']} {labels['resource']}{subresource}"
        count = int(float(line.rpartition(" ")[2]))
        if labels["verb"] in _READS:
            found.reads[kind] += count
        elif labels["code"].startswith("2"):
            found.writes[kind] += count
        else:
            found.refused[kind] += count
    return found
