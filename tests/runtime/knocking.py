"""A program on the services' loop: it asks a server over TLS so many times, 16 at once, and prints how that ended.

Arguments: port, requests. Prints as JSON how often each error came, and how many file descriptors are open at the end.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from pathlib import Path

import aiohttp

from runtime.event_loop import loop_factory

SIDE_BY_SIDE = 16


def files() -> int:
    """How many file descriptors are open."""
    return len([*Path("/proc/self/fd").iterdir()])


async def knock(port: int, requests: int) -> None:
    """Ask until it was asked so often."""
    found: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> None:
            while found.total() < requests:
                try:
                    async with session.get(f"https://127.0.0.1:{port}/") as answer:
                        found[str(answer.status)] += 1
                except aiohttp.ClientOSError as error:
                    found[type(error.__cause__ or error).__name__] += 1

        await asyncio.gather(*(ask() for _ in range(SIDE_BY_SIDE)))
    sys.stdout.write(json.dumps({"ends": found, "open": files()}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(knock(int(sys.argv[1]), int(sys.argv[2])))
