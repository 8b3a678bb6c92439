"""The services' event loop outlives a server that resets connections as soon as they are there."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

pytestmark = pytest.mark.real

REQUESTS = 5000
"""More than ten times as many as the loop without the mend has outlived."""
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets."""


@asynccontextmanager
async def a_resetting_server() -> AsyncIterator[int]:
    """Accept and reset, as what stands before an API server does when that goes away; its port."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        async def accept() -> None:
            while True:
                connection, _ = await loop.sock_accept(listening)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                connection.close()

        accepting = asyncio.create_task(accept())
        try:
            yield listening.getsockname()[1]
        finally:
            accepting.cancel()
            with suppress(asyncio.CancelledError):
                await accepting


async def test_connections_that_are_reset_at_once_end_no_process() -> None:
    """Each ends in the error that it is, none takes another's file descriptor, and none stays open."""
    async with a_resetting_server() as port:
        command = (sys.executable, "-m", "tests.runtime.knocking", str(port), str(REQUESTS))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()

    assert process.returncode == 0
    found = json.loads(output)
    assert {"ConnectionResetError"} == set(found["ends"])
    assert found["open"] < 2 * 16
