"""The `Cluster` port on the real Kubernetes API: JSON over HTTP, every call with a time limit, every error one of ours.

No generated models: an object is the JSON that the server sent. Must never retry a write by itself, for only the caller
knows how to find out whether it took effect; the one repeat is after a 401, which had none.
"""

from __future__ import annotations

import asyncio
import io
import random
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp
import msgspec

from runtime import cluster_errors, failpoints, metrics
from runtime.cluster_access import Access, log_in
from runtime.cluster_depth import cut
from runtime.cluster_lines import Lines, read_event
from runtime.errors import RefusedError, StreamBrokenError, UnavailableError
from runtime.failpoint_sites import effect_of_call
from runtime.ports import Object, Page, Patch, Resource, WatchEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    import structlog

    from runtime.settings import Settings

CALL_SECONDS: Final = 10.0
LIST_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 100.0
"""A watch that is silent for longer is dead: the server sends a bookmark about every 60 s (measured on 1.36)."""
WATCH_SECONDS: Final = (300, 600)
"""How long the server is asked to keep a watch up: drawn, so that those of many clients do not end at once."""
CONNECTIONS: Final = 100
LARGE: Final = 1024 * 1024
"""Bytes above which aiohttp wants a body as a file, to write it in pieces."""

_JSON: Final = "application/json"
_PATCHES: Final[dict[Patch, str]] = {"merge": "application/merge-patch+json", "json": "application/json-patch+json"}
_HEADERS: Final = {"Accept": _JSON, "Accept-Encoding": "identity", "User-Agent": "kubernaut"}
# Identity: the API server packs long answers with gzip, which costs both sides more than the bytes in a cluster. The
# user agent is also the field manager that the server notes for our writes.


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: tuple[msgspec.Raw, ...] | None = None


_LIST: Final = msgspec.json.Decoder(_List)
_OBJECT: Final[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])


async def _decode_list(body: bytes) -> _List:
    try:
        return _LIST.decode(body)
    except RecursionError:
        # One object of somebody is nested so deep; cutting takes a second for a large page, which is another thread's.
        return _LIST.decode(await asyncio.to_thread(cut, body))


async def connect(
    settings: Settings,
    *,
    draw: Callable[[], float] = random.random,
    log: structlog.typing.FilteringBoundLogger | None = None,
) -> ClusterClient:
    """Find the credentials and return a client; the API itself is first asked by the first call.

    `draw` gives numbers in [0, 1); `log` is told when the credentials become others, or cannot.
    Raises SettingsError, or UnavailableError when the credentials do not come in time.
    """
    return await connect_to(settings.kubeconfig, draw=draw, log=log)


async def connect_to(
    kubeconfig: str | None,
    *,
    draw: Callable[[], float] = random.random,
    log: structlog.typing.FilteringBoundLogger | None = None,
) -> ClusterClient:
    """Return a client of the cluster that a kubeconfig names (None: the pod's own). Otherwise as `connect`."""
    return ClusterClient(Access(await log_in(kubeconfig), lambda: log_in(kubeconfig), log=log), draw=draw)


class ClusterClient:
    """`runtime.ports.Cluster` over HTTP. Close it at the end. An empty namespace is none, for what is cluster-wide."""

    def __init__(
        self, access: Access, *, draw: Callable[[], float] = random.random, silence: float = SILENCE_SECONDS
    ) -> None:
        """`draw` gives numbers in [0, 1); `silence` is the longest pause of a watch in seconds."""
        self._access = access
        self._draw = draw
        self._silence = silence
        self._session: aiohttp.ClientSession | None = None
        self._session_of = -1

    async def close(self) -> None:
        """Close the connections; running watches end with an error."""
        if self._session is not None:
            await self._session.close()

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """See `Cluster.list`."""
        query = {"limit": str(limit)} | ({"continue": next_page} if next_page else {})
        body = await self._call("list", _path(resource, namespace), query=query, seconds=LIST_SECONDS)
        try:
            page = await _decode_list(body)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"list {resource.plural}: the answer is no list of objects: {error}") from error
        return Page(
            resource_version=page.metadata.resource_version,
            items=page.items or (),
            next_page=page.metadata.continue_,
        )

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`. A connection that is cut between two lines is UnavailableError: nothing was spoilt."""
        shortest, longest = WATCH_SECONDS
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(round(shortest + self._draw() * (longest - shortest))),
        }
        what = f"watch {resource.plural}"
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._silence)
        lines = Lines()
        try:
            async with self._request("watch", "GET", _path(resource, namespace), query, limits=limits) as answer:
                if answer.content_type != _JSON:
                    raise StreamBrokenError(f"{what}: the answer is {answer.content_type}, not {_JSON}")
                while chunk := await answer.content.readany():
                    for line in lines.feed(chunk):
                        yield read_event(line)
        except aiohttp.SocketTimeoutError as error:
            raise StreamBrokenError(f"{what}: silent for {self._silence:.0f} s") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if lines.within:
                raise StreamBrokenError(f"{what}: cut within a line: {error!r}") from error
            raise UnavailableError(f"{what}: {error!r}") from error
        if lines.within:
            raise StreamBrokenError(f"{what}: the last line is cut")

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        return await self._object("get", _path(resource, namespace, name))

    async def version(self) -> Object:
        """See `Cluster.version`."""
        return await self._object("version", "/version")

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""
        return await self._object("create", _path(resource, namespace), method="POST", body=body)

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""
        path = f"{_path(resource, namespace, name)}/status"
        return await self._object("replace_status", path, method="PUT", body=body)

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """See `Cluster.patch`."""
        path = _path(resource, namespace, name)
        return await self._object("patch", path, method="PATCH", body=body, content=_PATCHES[kind])

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """See `Cluster.delete`. What the object owns is deleted after it, in the background."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        await self._call("delete", _path(resource, namespace, name), method="DELETE", body=options)

    async def _object(
        self, verb: str, path: str, *, method: str = "GET", body: Any = None, content: str = _JSON
    ) -> Object:
        answer = await self._call(verb, path, method=method, body=body, content=content)
        try:
            return _OBJECT.decode(answer)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"{verb} {path}: the answer is no object: {error}") from error
        except RecursionError as error:
            raise RefusedError(f"{verb} {path}: the object is nested too deep to be read", reason="invalid") from error

    async def _call(self, verb: str, path: str, **rest: Any) -> bytes:
        points = failpoints.armed()
        if points is not None and (effect := effect_of_call(verb, path)):
            return await points.around(effect, lambda: self._answer(verb, path, **rest))
        return await self._answer(verb, path, **rest)

    async def _answer(
        self,
        verb: str,
        path: str,
        *,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = _JSON,
        seconds: float = CALL_SECONDS,
    ) -> bytes:
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._request(verb, method, path, query, limits=limits, data=data, content=content) as answer:
                return await answer.read()
        except TimeoutError as error:
            raise UnavailableError(f"{verb} {path}: no answer within {seconds:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, aiohttp.ClientSSLError):
                await self._access.renew(self._access.login)  # the CA may have been replaced
            raise UnavailableError(f"{verb} {path}: {error!r}") from error

    @asynccontextmanager
    async def _request(
        self,
        verb: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        limits: aiohttp.ClientTimeout,
        data: bytes | None = None,
        content: str = _JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield an answer that is a success; renew the credentials once where they are refused."""
        renewed = False
        while True:
            headers = await self._access.headers()
            login = self._access.login
            if data is not None:
                headers["Content-Type"] = content
            async with (await self._connected()).request(
                method,
                login.host + path,
                params=query,
                data=io.BytesIO(data) if data is not None and len(data) > LARGE else data,
                headers=headers,
                timeout=limits,
                allow_redirects=False,
                proxy=login.proxy or None,
                server_hostname=login.server_name or None,
            ) as answer:
                if answer.ok:
                    yield answer
                    return
                metrics.API_REFUSALS.labels(verb, str(answer.status)).inc()
                if answer.status != HTTPStatus.UNAUTHORIZED or renewed or not await self._access.renew(login):
                    retry_after = answer.headers.get("Retry-After", "")
                    said = await answer.read()
                    raise cluster_errors.of_answer(answer.status, said, what=f"{verb} {path}", retry_after=retry_after)
            renewed = True

    async def _connected(self) -> aiohttp.ClientSession:
        """Return the session; a new one once the host or the certificates are others."""
        if self._session is None or self._session_of != self._access.changed:
            before, self._session_of = self._session, self._access.changed
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._access.context)
            self._session = aiohttp.ClientSession(connector=connector, headers=_HEADERS, trust_env=False)
            if before is not None:
                await before.close()
        return self._session


def _path(resource: Resource, namespace: str | None, name: str = "") -> str:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{inside}/{resource.plural}" + (f"/{quote(name, safe='')}" if name else "")
