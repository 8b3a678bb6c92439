"""Stands between a process and its server, and cuts the connection in place of a command that the process sends."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_CHUNK = 64 * 1024
_SSL_REQUEST = 80877103
"""Code of the one message of PostgreSQL after which another without a type comes."""


class Scissors(Protocol):
    """Looks at what a process sends, one connection after the other."""

    def begin(self) -> None:
        """A connection begins."""
        ...

    def look(self, data: bytes) -> bool:
        """Take in what comes next; whether to cut here, with nothing of it handed on."""
        ...


class AtText:
    """Cuts where a text is sent, also one that comes in two pieces."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._tail = b""

    def begin(self) -> None:
        """See `Scissors.begin`."""
        self._tail = b""

    def look(self, data: bytes) -> bool:
        """See `Scissors.look`."""
        together = self._tail + data
        self._tail = together[1 - len(self._text) :]
        return self._text in together


class AtStatement:
    """Cuts in place of PostgreSQL's statement after so many, if any; `passed` counts them."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.passed = 0
        self.begin()

    def begin(self) -> None:
        """See `Scissors.begin`."""
        self._typed = False
        self._data = b""

    def look(self, data: bytes) -> bool:
        """See `Scissors.look`."""
        self._data += data
        while (message := self._next()) is not None:
            if not self._typed:
                self._typed = int.from_bytes(message[4:8], "big") != _SSL_REQUEST
            elif message[:1] in (b"Q", b"E"):  # Query, Execute
                if self.passed == self._most:
                    return True
                self.passed += 1
        return False

    def _next(self) -> bytes | None:
        """Take the next whole message."""
        start = 1 if self._typed else 0
        size = start + int.from_bytes(self._data[start : start + 4], "big")
        if len(self._data) < max(start + 4, size):
            return None
        message, self._data = self._data[:size], self._data[size:]
        return message


@asynccontextmanager
async def a_relay(address: str, scissors: Scissors, struck: Callable[[], object] = lambda: None) -> AsyncIterator[str]:
    """Relay to the server of an address and give the address of the relay; `struck` is called at the cut."""
    parts = urlsplit(address)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        scissors.begin()
        there, onward = await asyncio.open_connection(parts.hostname, parts.port)
        back = asyncio.create_task(_copy(there, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(_CHUNK):
                    if scissors.look(data):
                        struck()
                        return
                    onward.write(data)
                    await onward.drain()
        finally:
            back.cancel()
            for each in (onward, writer):
                each.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    login, at, _ = parts.netloc.rpartition("@")
    here = f"{login}{at}127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield urlunsplit(parts._replace(netloc=here))
    finally:
        server.close()
        for each in tuple(running):
            each.cancel()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    target.transport.abort()
