"""Faults F41 and F42: a user that is taken away, keys and certificates that change or run out, under a real service."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from kubernaut.nats_seeds import make_seeds, seed_file
from runtime.errors import SettingsError
from runtime.health import Dependency
from runtime.nats_log import NatsLog
from schemas.nats_users import USERS, permissions
from schemas.subjects import AUDITOR, FREEZES
from tests.eventually import eventually
from tests.nats_server import administrator
from tests.nats_users.server import SECONDS, Lines, Server, kept, running
from tests.runtime.certificates import Authority

pytestmark = pytest.mark.real
_AUDITOR = next(user for user in USERS if user.name == "auditor")


class Reading:
    """What the auditor's consumer has been given, each message acknowledged, and how often."""

    def __init__(self) -> None:
        self.came: Counter[int] = Counter()

    async def follow(self, log: NatsLog) -> None:
        """Take one message after the other, for ever."""
        async with aclosing(log.consume(AUDITOR, in_hand=16)) as deliveries:
            async for delivery in deliveries:
                self.came[delivery.message.sequence] += 1
                await delivery.ack()


@asynccontextmanager
async def reading(log: NatsLog) -> AsyncIterator[Reading]:
    """Read until the end of the block."""
    found = Reading()
    task = asyncio.create_task(found.follow(log))
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait({task})


async def write(url: str, first: int, count: int) -> None:
    """Publish as an administrator, and know that it is stored."""
    async with administrator(url) as connection:
        for number in range(first, first + count):
            await connection.request(FREEZES, b'{"number": %d}' % number, seconds=SECONDS)


async def test_f41_a_user_that_is_taken_away_is_unready_with_the_reason_and_goes_on_with_a_new_key(
    tmp_path: Path,
) -> None:
    """F41: nothing is lost, and the reason names what the server said."""
    health, lines = Dependency("nats"), Lines()
    async with (
        running(tmp_path / "nats") as server,
        kept(server.address("auditor"), "auditor", lines, health) as log,
        reading(log) as found,
    ):
        await write(server.url, 1, 20)
        await eventually(lambda: len(found.came) == 20, seconds=SECONDS)
        await server.change(lambda configuration: _without(configuration, server, "auditor"))
        await eventually(lambda: "uthorization" in health.detail, seconds=SECONDS)
        await write(server.url, 21, 20)

        new = make_seeds(tmp_path / "new")["auditor"]
        await server.change(lambda configuration: _with(configuration, new))
        shutil.copy(seed_file(tmp_path / "new", "auditor"), server.seed("auditor"))
        await eventually(lambda: len(found.came) == 40, seconds=SECONDS)

    assert set(range(1, 41)) == set(found.came)


async def test_a_key_that_is_replaced_while_the_old_one_still_holds_interrupts_nothing(tmp_path: Path) -> None:
    """A new connection is made before the old one is let go: each message comes once, and none a second time."""
    lines = Lines()
    async with running(tmp_path / "nats") as server:
        new = make_seeds(tmp_path / "new")["auditor"]
        await server.change(lambda configuration: _with(configuration, new))
        async with kept(server.address("auditor"), "auditor", lines) as log, reading(log) as found:
            writing = asyncio.create_task(write(server.url, 1, 2000))
            await eventually(lambda: len(found.came) > 20, seconds=SECONDS)
            shutil.copy(seed_file(tmp_path / "new", "auditor"), server.seed("auditor"))
            await eventually(lambda: _said(lines, "nats_identity_replaced"), seconds=SECONDS)
            await writing
            await eventually(lambda: len(found.came) == 2000, seconds=SECONDS)
            assert await log.last("KUBERNAUT", FREEZES) is not None

    assert {1} == set(found.came.values())
    assert not _said(lines, "nats_unavailable")


async def test_files_that_do_not_get_through_leave_the_connection_as_it_is(tmp_path: Path) -> None:
    """It is told once, without the seed, and what worked goes on working."""
    lines = Lines()
    async with running(tmp_path / "nats") as server:
        strange = make_seeds(tmp_path / "strange") and seed_file(tmp_path / "strange", "auditor")
        async with kept(server.address("auditor"), "auditor", lines) as log:
            shutil.copy(strange, server.seed("auditor"))
            await eventually(lambda: _said(lines, "nats_identity_refused"), seconds=SECONDS)
            last = await log.last("KUBERNAUT", ">")

    assert last is None
    assert not _said(lines, "nats_unavailable")
    assert strange.read_text().strip() not in str(lines.entries)


async def test_a_seed_that_is_half_written_gone_or_empty_is_told_and_the_old_one_serves_until_it_is_whole(
    tmp_path: Path,
) -> None:
    """Whenever it is looked at while somebody writes it: no message is lost or comes twice, and no seed gets out."""
    lines = Lines()
    async with running(tmp_path / "nats") as server:
        new = make_seeds(tmp_path / "new")["auditor"]
        await server.change(lambda configuration: _with(configuration, new))
        whole, seed = seed_file(tmp_path / "new", "auditor").read_text(), server.seed("auditor")
        async with kept(server.address("auditor"), "auditor", lines) as log, reading(log) as found:
            for number, content in enumerate((whole[:40], None, "")):
                if content is None:
                    seed.unlink()
                else:
                    seed.write_text(content)
                await eventually(partial(_told_more_than, lines, number), seconds=SECONDS)
                await write(server.url, 10 * number, 10)
            seed.write_text(whole)
            await eventually(lambda: _said(lines, "nats_identity_replaced"), seconds=SECONDS)
            await write(server.url, 30, 10)
            await eventually(lambda: len(found.came) == 40, seconds=SECONDS)

    assert {1} == set(found.came.values())
    assert not _said(lines, "nats_unavailable")
    assert ["holds no seed", "cannot be read", "holds no seed"] == [
        next(words for words in ("holds no seed", "cannot be read") if words in each) for each in _refusals(lines)
    ]
    assert whole[4:40] not in str(lines.entries)


async def test_a_connection_that_breaks_while_the_seed_is_half_written_waits_for_the_whole_one(tmp_path: Path) -> None:
    """So does who starts meanwhile, as a process that ends with the reason and is started again."""
    health, lines = Dependency("nats"), Lines()
    async with (
        running(tmp_path / "nats") as server,
        kept(server.address("auditor"), "auditor", lines, health) as log,
        reading(log) as found,
    ):
        await write(server.url, 1, 10)
        seed = server.seed("auditor")
        whole = seed.read_text()
        seed.write_text(whole[:40])
        with pytest.raises(SettingsError, match="holds no seed"):
            NatsLog(server.address("auditor"), "auditor", Dependency("nats"), structlog.get_logger())
        await server.stack.supervisor.kill("nats")
        await eventually(lambda: "holds no seed" in health.detail, seconds=60)
        await server.stack.supervisor.wait_ready("nats")
        await write(server.url, 11, 10)
        assert "holds no seed" in health.detail
        seed.write_text(whole)
        await eventually(lambda: health.well, seconds=60)
        await eventually(lambda: len(found.came) == 20, seconds=60)

    assert set(range(1, 21)) == set(found.came)


async def test_f42_a_certificate_that_ran_out_is_the_reason_and_a_new_one_heals(tmp_path: Path) -> None:
    """F42: the connection that there is outlives it; a new one is refused until the certificate is replaced."""
    pairs, health, lines = tmp_path / "pairs", Dependency("nats"), Lines()
    pairs.mkdir()
    client = mounted(pairs)
    async with running(tmp_path / "nats") as server:
        await server.change(lambda configuration: configuration.update(_tls(pairs / "good")))
        await server.stack.supervisor.restart("nats")
        address = f"{server.address('auditor')}&tls_dir={client}"
        async with kept(address, "auditor", lines, health) as log, reading(log) as found:
            tls = f"{server.url.replace('nats://', 'tls://')}?tls_dir={client}"
            await write(tls, 1, 10)
            await server.change(lambda configuration: configuration.update(_tls(pairs / "old")))
            await server.stack.supervisor.kill("nats")
            await eventually(lambda: "certificate has expired" in health.detail, seconds=60)
            await server.change(lambda configuration: configuration.update(_tls(pairs / "next")))
            await eventually(lambda: health.well, seconds=SECONDS)
            await write(tls, 11, 10)
            await eventually(lambda: len(found.came) == 20, seconds=SECONDS)

    assert set(range(1, 21)) == set(found.came)


async def test_a_server_without_tls_is_told_nothing_where_tls_was_asked_for(tmp_path: Path) -> None:
    """Not who this is, either: in plain, anybody on the way could be the server."""
    pairs, lines, health = tmp_path / "pairs", Lines(), Dependency("nats")
    pairs.mkdir()
    client = mounted(pairs)
    async with running(tmp_path / "nats") as server:
        with pytest.raises(TimeoutError):
            async with (
                asyncio.timeout(5),
                kept(f"{server.address('auditor')}&tls_dir={client}", "auditor", lines, health),
            ):
                pass

    assert "does not offer TLS" in health.detail


async def test_a_server_whose_tls_comes_first_is_reached_by_saying_so(tmp_path: Path) -> None:
    """It says nothing before the handshake; the client's certificate is asked for as well."""
    pairs, lines = tmp_path / "pairs", Lines()
    pairs.mkdir()
    client = mounted(pairs)
    async with running(tmp_path / "nats") as server:
        await server.change(lambda configuration: configuration.update(_tls(pairs / "good", handshake_first=True)))
        await server.stack.supervisor.restart("nats")
        address = f"{server.address('auditor')}&tls_dir={client}&tls_first=true"
        async with kept(address, "auditor", lines) as log:
            found = await log.last("KUBERNAUT", ">")

    assert found is None
    assert _said(lines, "nats_connected")


def mounted(folder: Path) -> Path:
    """Make certificates for a server, now, ran out, and next, and return what a client has mounted."""
    authority = Authority()
    for name in ("good", "old", "next", "client"):
        authority.issue(folder / name, expired=name == "old")
    return folder / "client"


def _tls(pair: Path, **more: bool) -> dict[str, Any]:
    files = {"cert_file": str(pair / "tls.crt"), "key_file": str(pair / "tls.key"), "ca_file": str(pair / "ca.crt")}
    return {"tls": {**files, "verify": True, "timeout": 10, **more}}


def _without(configuration: dict[str, Any], server: Server, user: str) -> None:
    key = make_seeds(server.seed(user).parent)[user]
    users = configuration["authorization"]["users"]
    configuration["authorization"]["users"] = [each for each in users if each.get("nkey") != key]


def _with(configuration: dict[str, Any], key: str) -> None:
    configuration["authorization"]["users"].append({"nkey": key, "permissions": permissions(_AUDITOR)})


def _refusals(lines: Lines) -> list[str]:
    return [str(each["reason"]) for each in lines.entries if each["event"] == "nats_identity_refused"]


def _told_more_than(lines: Lines, times: int) -> bool:
    return len(_refusals(lines)) > times


def _said(lines: Lines, event: str) -> bool:
    return any(each["event"] == event for each in lines.entries)
