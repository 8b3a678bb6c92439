"""The event loop of the services: uvloop, mended where it ends the process. Knows nothing of what runs on it.

uvloop, 0.23 as well, lets a socket that it was given be closed twice when the other side resets the connection at once:
what has its number by then is another connection's, and libuv aborts the process when it finds that one closed. An API
server that goes away under work resets many at a time (issues 645 and 738 of uvloop, 10506 of aiohttp, 5130 of libuv).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop; None where there is no uvloop, as on Windows: the plain one does."""
    try:
        from uvloop import Loop  # noqa: PLC0415 - see above
    except ImportError:
        return None

    class Mended(Loop):
        async def create_connection(self, *args: Any, sock: socket.socket | None = None, **more: Any) -> Any:
            """See `asyncio.loop.create_connection`; the socket given is the transport's alone, however it ends."""
            if sock is None:
                return await super().create_connection(*args, **more)
            try:
                return await super().create_connection(*args, sock=sock, **more)
            finally:
                sock.detach()

    return Mended
