"""`kubernaut recover` as the user that is made for it, on a server with the chart's users; others are told why not."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from auditor.migrations import migrate
from kubernaut.install import install
from runtime.errors import NotFoundError
from schemas.nats_users import OPERATOR, READER, RECOVERY, SETUP
from schemas.subjects import LOG
from tests.databases import an_empty_database
from tests.nats_users.server import Lines, kept
from tests.nats_users.test_deployed import SECONDS, Deployed, connected, running

pytestmark = pytest.mark.real
_LOST = f"lost: stream {LOG.name} is not there"


class Lost:
    """A system of which nothing but the log is gone; and a person's commands on it."""

    def __init__(self, nats: Deployed, others: dict[str, str]) -> None:
        self.nats = nats
        self._others = others

    async def recover(self, user: str, *options: str) -> tuple[int, str]:
        """Run the program as a user of NATS; return its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kubernaut", "recover", *options),
            env=os.environ | self._others | self.nats.environment(user),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(120):
            said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def is_there(self) -> bool:
        """Whether there is a log."""
        async with connected(self.nats.address(RECOVERY), RECOVERY) as connection:
            try:
                await connection.api(f"STREAM.INFO.{LOG.name}")
            except NotFoundError:
                return False
        return True


@asynccontextmanager
async def a_lost_log(folder: Path, database_url: str, kubeconfig: str) -> AsyncIterator[Lost]:
    """The deployed server, installed as `setup`, its log removed."""
    async with an_empty_database(database_url, "recover") as audit, running(folder) as nats:
        await migrate(audit)
        await install({"KUBECONFIG": kubeconfig}, ("crds",), replicas=1, seconds=SECONDS)
        await install(nats.environment(SETUP), ("streams",), replicas=1, seconds=SECONDS)
        async with connected(nats.address(RECOVERY), RECOVERY) as connection:
            await connection.request("kubernaut.operation.test", b"{}", seconds=SECONDS)
            async with kept(nats.address("watcher"), "watcher", Lines()):  # which notes how far the log goes
                await connection.api(f"STREAM.DELETE.{LOG.name}")
        yield Lost(nats, {"KUBECONFIG": kubeconfig, "DATABASE_URL": audit})


async def test_the_user_recovery_may_do_all_of_it_and_services_go_on(
    tmp_path: Path, database_url: str, kubeconfig: str
) -> None:
    """It looks, it makes the log anew, it finds nothing lost any more; the server refuses it nothing."""
    async with a_lost_log(tmp_path, database_url, kubeconfig) as lost:
        looked = await lost.recover(RECOVERY)
        done = await lost.recover(RECOVERY, "--accept-loss")
        again = await lost.recover(RECOVERY)
        async with kept(lost.nats.address("watcher"), "watcher", Lines()) as log:
            first = await log.last(LOG.name, ">")

    assert (3, True) == (looked[0], _LOST in looked[1]), looked[1]
    assert (0, True) == (done[0], f"made stream {LOG.name} anew" in done[1]), done[1]
    assert (0, True) == (again[0], "nothing was lost" in again[1]), again[1]
    assert first is not None
    assert "kubernaut.operation.recover" == first.subject
    assert [] == lost.nats.refusals


@pytest.mark.parametrize("user", [OPERATOR, READER])
async def test_another_user_is_told_which_one_it_takes(
    tmp_path: Path, database_url: str, kubeconfig: str, user: str
) -> None:
    """And has changed nothing."""
    async with a_lost_log(tmp_path, database_url, kubeconfig) as lost:
        code, said = await lost.recover(user, "--accept-loss")

        assert (1, True) == (code, "give the seed of NATS' user recovery" in said), said
        assert "Traceback" not in said
        assert not await lost.is_there()
