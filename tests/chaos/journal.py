"""Every version of our two kinds as etcd itself keeps them, in the one order that there is. Asks no service and no API.

etcd holds each write until it is compacted, so whatever is killed, and etcd too, the journal goes on where it was: what
an API server that was killed had no time to write into its audit log is in here all the same.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from schemas.names import EXECUTION_GROUP, WORKFLOW_GROUP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PREFIXES: Final = (f"/registry/{WORKFLOW_GROUP}/", f"/registry/{EXECUTION_GROUP}/")
_AGAIN_SECONDS: Final = 0.2
_SILENT_SECONDS: Final = 30.0
"""A frozen etcd says nothing; asking anew loses nothing."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One write: what an object is from then on."""

    revision: int
    key: str
    body: dict[str, Any] | None
    """None: it is gone."""


class Compacted(RuntimeError):  # noqa: N818 - the fact's name
    """What came in between is not known any more: nothing can be proven by this journal."""


class Journal:
    """Follows etcd over its JSON gateway and hands each change to `told`, in order, each once."""

    def __init__(self, url: str, told: Callable[[Change], None]) -> None:
        """`url`: where etcd's clients connect."""
        self._url = url
        self._told = told
        self._next = 1
        self.watching = asyncio.Event()
        """Set once nothing that is written from then on is missed."""

    @property
    def revision(self) -> int:
        """The last one that was told."""
        return self._next - 1

    async def follow(self) -> None:
        """Follow for ever. Raises Compacted."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    await self._read(session)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        """One watch on both kinds: they stand side by side, and one watch keeps their order."""
        ask = {
            "key": _text(min(PREFIXES)),
            "range_end": _text(max(PREFIXES)[:-1] + "0"),
            "start_revision": str(self._next),
        }
        async with session.post(f"{self._url}/v3/watch", json={"create_request": ask}) as answer:
            answer.raise_for_status()
            async for line in _lines(answer.content):
                result = msgspec.json.decode(line).get("result") or {}
                if result.get("compact_revision"):
                    message = f"etcd has dropped what came before {result['compact_revision']}, told is {self.revision}"
                    raise Compacted(message)
                self.watching.set()
                for event in result.get("events", ()):
                    self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        kept = event["kv"]
        key, revision = base64.b64decode(kept["key"]).decode(), int(kept["mod_revision"])
        self._next = revision + 1
        if key.startswith(PREFIXES):
            gone = event.get("type") == "DELETE"
            body = None if gone else msgspec.json.decode(base64.b64decode(kept["value"]))
            self._told(Change(revision=revision, key=key, body=body))


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: aiohttp's own reader gives up on long ones."""
    left = b""
    async for chunk in content.iter_any():
        *whole, left = (left + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
