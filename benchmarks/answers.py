"""How long services take to say that they live and are ready, while something else keeps them busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import aiohttp

_ASK_SECONDS: Final = 0.25
_ANSWER_SECONDS: Final = 10.0
"""An answer that takes longer counts as this long; the probes of a Deployment give up far earlier."""


class Answers:
    """What was answered so far."""

    def __init__(self, readiness_urls: Iterable[str]) -> None:
        """`readiness_urls`: of the services to ask, ending in /readyz; each is asked for its liveness as well."""
        self._urls = [asked for url in readiness_urls for asked in (url, url.replace("/readyz", "/livez"))]
        self.seconds: list[float] = []
        self.bad = 0

    async def ask_loop(self) -> None:
        """Ask all of them now and then, for ever."""
        limits = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=limits, trust_env=False) as session:
            while True:
                for url in self._urls:
                    await self._ask(session, url)
                await asyncio.sleep(_ASK_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> None:
        began = time.perf_counter()
        try:
            async with session.get(url) as answer:
                await answer.read()
                good = answer.ok
        except (aiohttp.ClientError, TimeoutError):
            good = False
        self.seconds.append(time.perf_counter() - began)
        self.bad += not good
