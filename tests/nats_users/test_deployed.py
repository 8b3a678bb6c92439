"""`deploy/nats/example.conf` as it stands, with keys: setup and people do their work under their own rights."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from kubernaut.cli.consumer_pause import jetstream_at, look, pause, resume
from kubernaut.cli.dead_letters_desk import read
from kubernaut.cli.events import log_at
from kubernaut.cli.freeze_fact import frozen_event, publish
from kubernaut.install import install
from kubernaut.local.nats import find_nats_server
from kubernaut.local.ports import PortPool
from kubernaut.nats_seeds import make_seeds, seed_file
from runtime.errors import UnavailableError
from runtime.health import Dependency
from runtime.nats_address import SEED_FILE, nats_address
from runtime.nats_connection import Connection
from schemas.nats_users import OPERATOR, READER, RECOVERY, SETUP, variable
from schemas.subjects import LOG
from tests.eventually import eventually

DEPLOY = Path(__file__).parents[2] / "deploy" / "nats"
PASSWORDS = {"ADMIN_PASSWORD": "a", "MY_TEAM_PASSWORD": "m"}
SECONDS = 60.0
pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


class Deployed:
    """The server, by what one of its users is told."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url

    def environment(self, user: str) -> dict[str, str]:
        """What a process of that user is given."""
        return {"NATS_URL": self._url, SEED_FILE: str(seed_file(self._folder / "seeds", user))}

    def address(self, user: str) -> str:
        """Where that user connects."""
        return nats_address(self.environment(user))

    @property
    def refusals(self) -> list[str]:
        """What the server refused to anybody."""
        return [line for line in (self._folder / "log").read_text().splitlines() if " Violation - " in line]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployed]:
    """It runs, and `setup` has made the streams and consumers."""
    async with running(tmp_path_factory.mktemp("deployed")) as found:
        made = await install(found.environment(SETUP), ("streams", "shadow"), replicas=1, seconds=SECONDS)
        assert "made stream KUBERNAUT" in made
        yield found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Deployed]:
    """Run the deployed files with keys of their own, as the server's environment has them."""
    for file in DEPLOY.glob("*.conf"):
        (folder / file.name).write_text(file.read_text())
    keys = {variable(user): key for user, key in make_seeds(folder / "seeds").items()}
    ports = PortPool()
    port = ports.take()
    process = await asyncio.create_subprocess_exec(
        *(str(find_nats_server()), "-c", "example.conf", "-a", "127.0.0.1", "-p", str(port), "-l", "log"),
        cwd=folder,
        env=os.environ | PASSWORDS | keys,
    )
    try:
        yield Deployed(folder, f"nats://127.0.0.1:{port}")
    finally:
        process.terminate()
        await process.wait()
        ports.close()


async def test_setup_may_be_run_again(deployed: Deployed) -> None:
    """It finds everything, and is refused nothing."""
    again = await install(deployed.environment(SETUP), ("streams", "shadow"), replicas=1, seconds=SECONDS)

    assert ([], []) == (again, deployed.refusals)


async def test_an_operator_freezes_thaws_and_reads(deployed: Deployed) -> None:
    """With the note of who did it, and the message in the log; and reads as a reader by the same seed."""
    address = deployed.address(OPERATOR)
    async with jetstream_at(address, user=OPERATOR) as api:
        frozen, trouble = await pause(api, seconds=None, by="me", reason="test")
        told = await publish(api, frozen_event(frozen, "me"))
        thawed = await resume(api)
    async with log_at(address) as log:
        last = await log.last(LOG.name, ">")

    assert ("me", "", "", False) == (frozen.by, trouble, told, thawed.paused)
    assert last is not None
    assert [] == deployed.refusals


@pytest.mark.parametrize("user", [OPERATOR, READER])
async def test_dead_letters_are_read_by_who_acts_and_by_who_only_reads(deployed: Deployed, user: str) -> None:
    """By a consumer under a name of its own."""
    async with log_at(deployed.address(user), user=user) as log:
        letters = await read(log)
    async with jetstream_at(deployed.address(user)) as api:
        state = await look(api)

    assert ([], False) == (letters, state.paused)
    assert [] == deployed.refusals


async def test_recovery_makes_the_log_anew(deployed: Deployed) -> None:
    """It alone may delete it; the installer's own rights do for the rest."""
    async with connected(deployed.address(RECOVERY), RECOVERY) as connection:
        await connection.api(f"STREAM.DELETE.{LOG.name}")
        await connection.api(f"STREAM.CREATE.{LOG.name}", {"name": LOG.name, "subjects": list(LOG.subjects)})

    assert [] == deployed.refusals


async def test_what_a_reader_may_not_fails_at_once_with_the_subject(deployed: Deployed) -> None:
    """The server never answers what it refuses; it is not waited for, and told in one line of the log."""
    lines = structlog.testing.LogCapture()
    async with connected(deployed.address(READER), READER, lines) as connection:
        with pytest.raises(UnavailableError, match=r"NATS refused kubernaut\.decision\.u: permissions violation"):
            await connection.request("kubernaut.decision.u", b"{}", seconds=600)
        with pytest.raises(UnavailableError):
            await connection.request("kubernaut.decision.u", b"{}", seconds=600)

    denied = [each for each in lines.entries if each["event"] == "nats_permission_denied"]
    assert [(READER, "error")] == [(each["user"], each["log_level"]) for each in denied]
    await eventually(lambda: len(deployed.refusals) == 2, seconds=SECONDS)


@asynccontextmanager
async def connected(
    url: str, user: str, lines: structlog.testing.LogCapture | None = None
) -> AsyncIterator[Connection]:
    """A connection as a user."""
    logger = structlog.wrap_logger(structlog.ReturnLogger(), processors=[lines or structlog.testing.LogCapture()])
    connection = Connection(url, user, Dependency("nats"), logger)
    keeping = asyncio.create_task(connection.keep())
    try:
        await asyncio.wait_for(connection.wait(), SECONDS)
        yield connection
    finally:
        await connection.close()
        await keeping
