"""The pages of a service, read as Prometheus and the kubelet read them."""

from __future__ import annotations

import aiohttp


async def page(port: int, path: str) -> tuple[int, str]:
    """Read a page of a service on this machine; (0, "") while nobody answers."""
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}{path}") as got,
        ):
            return got.status, await got.text()
    except (aiohttp.ClientError, TimeoutError):
        return 0, ""
