"""PostgreSQL loses rows that it had committed: it is said, nothing is written beside the hole, a command fills it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.e2e.world import World, a_workflow, ten_steps, until
from tests.storage.conftest import run
from tests.storage.pages import page
from tests.storage.waiting import the_audit_holds_the_log

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]


async def test_an_older_copy_of_the_database_is_never_written_to(system: World) -> None:
    """PostgreSQL is restored from a copy: the auditor says that rows are gone, and the way back fills them in."""
    supervisor, names = system.stack.supervisor, await system.apply(a_workflow("copy-0", ten_steps()))
    await system.all_end(names, 240)
    await supervisor.stop("postgres")
    assert system.stack.access.postgres is not None
    data = system.stack.access.postgres.home / "data"
    await _copy(data, data.with_name("older"))
    await supervisor.start("postgres")
    await system.reconnect_database()
    names = await system.apply(a_workflow("copy-1", ten_steps()))
    await system.all_end(names, 240)
    await the_audit_holds_the_log(system)
    held = await system.database.fetchval("SELECT max(stream_sequence) FROM audit_accounted")

    await supervisor.stop("postgres")
    shutil.rmtree(data)
    data.with_name("older").rename(data)
    await supervisor.start("postgres")
    await system.reconnect_database()
    port = supervisor["auditor"].process.spec.ports["health"]

    async def said() -> bool:
        return "rows of the audit are gone" in (await page(port, "/readyz?verbose"))[1]

    await until(said, "the auditor says that rows are gone", 120)
    assert held > await system.database.fetchval("SELECT max(stream_sequence) FROM audit_accounted")
    code, text = await run(system, "kubernaut", "audit", "rebuild")
    assert code == 0, text
    await system.all_ready(120)
    await the_audit_holds_the_log(system)
    names = await system.apply(a_workflow("copy-2", ten_steps()))
    assert "completed" == (await system.all_end(names, 240))[names[0]]["phase"]


async def _copy(source: Path, target: Path) -> None:
    """Copy a folder with its owners."""
    process = await asyncio.create_subprocess_exec("cp", "-a", str(source), str(target))
    assert await process.wait() == 0
