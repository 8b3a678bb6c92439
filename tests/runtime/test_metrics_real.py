"""Who may read the metrics, by real tokens of real ServiceAccounts on a real API server."""

from __future__ import annotations

import asyncio
import signal
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
import structlog

from runtime.cluster import connect_to
from runtime.cluster_access import log_in
from runtime.metrics_guard import Guard
from runtime.metrics_memory import ALLOWED_SECONDS
from tests.contracts.cluster_worlds import RealWorld
from tests.fakes.clock import ManualClock
from tests.runtime.accounts import DELEGATOR, LIMIT_SECONDS, REVIEW, SCRAPE, Accounts
from tests.runtime.certificates import make_pair
from tests.runtime.processes import tiny_service
from tests.stale.pipe import a_pipe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from runtime.metrics_guard import Reviewer

pytestmark = pytest.mark.real
AUDIENCE = "kubernaut-metrics"


@pytest_asyncio.fixture
async def accounts(kubeconfig: str) -> AsyncIterator[Accounts]:
    """`service` may ask for reviews, `prometheus` may read, `stranger` may neither."""
    async with RealWorld(kubeconfig) as world:
        made = Accounts(world)
        try:
            await made.make("service", "prometheus", "stranger")
            await made.bind(DELEGATOR, "service", REVIEW)
            await made.bind(made.reader, "prometheus", SCRAPE)
            yield made
        finally:
            await made.clean()


class Door:
    """A guard that asks the API server as one account; its clock is moved by hand."""

    def __init__(self, kubeconfig: str, seconds: float) -> None:
        self.clock = ManualClock()
        self._lines = structlog.testing.LogCapture()
        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[self._lines])

        async def connect() -> Reviewer:
            return await connect_to(kubeconfig)

        self.guard = Guard(AUDIENCE, connect, log, clock=self.clock.now, seconds=seconds)

    @property
    def reasons(self) -> list[str]:
        """Why it was closed."""
        return [line["reason"] for line in self._lines.entries if line["event"] == "metrics_closed"]

    async def knock(self, token: str) -> int:
        """Return the status that whoever has that token is told."""
        return (await self.guard.judge(f"Bearer {token}")).value.value

    async def tells(self, token: str, status: int) -> bool:
        """Knock minute after minute until that is the answer; the API server takes changes in with a delay."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while await self.knock(token) != status:
                self.clock.advance(ALLOWED_SECONDS)
                await asyncio.sleep(0.1)
        return True


@asynccontextmanager
async def a_door(kubeconfig: str, *, seconds: float = LIMIT_SECONDS) -> AsyncIterator[Door]:
    """Give one; `seconds`: how long a review may take."""
    door = Door(kubeconfig, seconds)
    yield door
    await door.guard.close()


def asking(session: aiohttp.ClientSession, port: int, trust: ssl.SSLContext) -> Callable[[str], Awaitable[int]]:
    """Give what asks a metrics port with a token and returns the status; again where the API server was too slow."""

    async def ask(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                async with session.get(f"https://127.0.0.1:{port}/metrics", ssl=trust, headers=headers) as answer:
                    text = await answer.text()
                assert (answer.status == 200) is ("process_resident_memory_bytes" in text)
                if answer.status != 503:
                    return answer.status
                await asyncio.sleep(0.1)

    return ask


async def test_a_process_lets_in_who_may_read_and_nobody_else(
    accounts: Accounts, kubeconfig: str, tmp_path: Path
) -> None:
    """(F58) 401 without a token, with a bad one and with one for the API server; 403 without the right; 200 with it.

    A hundred scrapes at once are answered, too. Health needs neither token nor TLS. No line holds a token.
    """
    make_pair(tmp_path / "tls")
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "tls.crt"))
    tokens = {
        "none": "",
        "bad": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "for the API server": await accounts.token("prometheus"),
        "for others": await accounts.token("prometheus", "others"),
        "without the right": await accounts.token("stranger", AUDIENCE),
        "with the right": await accounts.token("prometheus", AUDIENCE, "others"),
    }
    async with (
        tiny_service(
            "waits",
            KUBECONFIG=await accounts.kubeconfig("service", kubeconfig, tmp_path),
            KUBERNAUT_METRICS_AUDIENCE=AUDIENCE,
            KUBERNAUT_METRICS_TLS_DIR=str(tmp_path / "tls"),
        ) as running,
        aiohttp.ClientSession() as session,
    ):
        ports = await running.line("serving")
        ask = asking(session, ports["metrics_port"], trust)
        many = await asyncio.gather(*(ask(tokens["with the right"]) for _ in range(100)))
        found = {name: await ask(token) for name, token in tokens.items()}
        async with session.get(f"http://127.0.0.1:{ports['health_port']}/readyz") as answer:
            health = answer.status
        running.process.send_signal(signal.SIGTERM)
        await running.end()

    assert {
        "none": 401,
        "bad": 401,
        "for the API server": 401,
        "for others": 401,
        "without the right": 403,
        "with the right": 200,
    } == found
    assert ({200}, 200) == (set(many), health)
    assert [] == [name for name, token in tokens.items() if token and token in str(running.lines)]


async def test_what_is_taken_away_ends_when_the_yes_ends(accounts: Accounts, kubeconfig: str, tmp_path: Path) -> None:
    """(F58) The right, given back again; then the account itself."""
    token = await accounts.token("prometheus", AUDIENCE)
    async with a_door(await accounts.kubeconfig("service", kubeconfig, tmp_path)) as door:
        assert await door.knock(token) == 200

        await accounts.unbind("prometheus")
        assert await door.knock(token) == 200
        assert await door.tells(token, 403)

        await accounts.bind(accounts.reader, "prometheus", SCRAPE)
        assert await door.tells(token, 200)

        await accounts.delete("prometheus")
        assert await door.tells(token, 401)


async def test_a_service_that_may_not_ask_lets_nobody_in(accounts: Accounts, kubeconfig: str, tmp_path: Path) -> None:
    """(F58) It says which right it lacks."""
    token = await accounts.token("prometheus", AUDIENCE)
    async with a_door(await accounts.kubeconfig("stranger", kubeconfig, tmp_path)) as door:
        assert await door.knock(token) == 503
        assert ["the account of this service may not create tokenreviews"] == door.reasons


async def test_while_the_api_server_is_away_only_a_yes_that_holds_lets_in(
    accounts: Accounts, kubeconfig: str, tmp_path: Path
) -> None:
    """(F58) Cut off, and then silent with its connections up; it goes on by itself once the way is free."""
    token, new = await accounts.token("prometheus", AUDIENCE), await accounts.token("prometheus", AUDIENCE, "x")
    port = urlsplit((await log_in(kubeconfig)).host).port
    assert port is not None
    async with (
        a_pipe(port) as pipe,
        a_door(await accounts.kubeconfig("service", kubeconfig, tmp_path, port=pipe.port), seconds=3.0) as door,
    ):
        assert await door.tells(token, 200)
        pipe.target = 1
        pipe.cut()
        cut = [await door.knock(token), await door.knock(new)]
        door.clock.advance(ALLOWED_SECONDS)
        cut.append(await door.knock(token))
        pipe.target = port
        assert await door.tells(token, 200)

        pipe.freeze()
        silent = [await door.knock(token), await door.knock(new)]
        pipe.thaw()
        assert await door.tells(new, 200)

    assert ([200, 503, 503], [200, 503]) == (cut, silent)
