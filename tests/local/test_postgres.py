import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from kubernaut.local import postgres
from kubernaut.local.process import descendants
from kubernaut.local.stack import LocalStack, StackOptions
from tests.local.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Give a stack of a PostgreSQL server alone, shared by the tests of this file."""
    async with LocalStack(StackOptions.only("postgres", home=tmp_path_factory.mktemp("postgres"))) as stack:
        yield stack


def owner_of(path: Path) -> int:
    """Return the number of the user whose a file is."""
    return path.stat().st_uid


def existing(paths: list[Path]) -> list[Path]:
    """Return those that are there."""
    return [path for path in paths if path.exists()]


def state_of(pid: int) -> str:
    """Return the letter by which the kernel tells what a process does, "gone" for one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


async def ask(stack: LocalStack, question: str) -> object:
    """Return the one value that answers a question."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_committed_rows_outlive_kill_9_of_the_server(stack: LocalStack) -> None:
    """It comes back on the same port with the same rows."""
    await ask(stack, "CREATE TABLE rows AS SELECT generate_series(1, 1000) AS number")

    await stack.supervisor.kill("postgres")
    await until(lambda: stack.supervisor["postgres"].restarts == 1, "it is started again")
    await stack.supervisor.wait_ready("postgres")

    assert await ask(stack, "SELECT count(*) FROM rows") == 1000


async def test_the_server_checks_its_pages_and_does_not_run_as_root(stack: LocalStack) -> None:
    """It is asked, and its process is looked at."""
    pid = stack.supervisor["postgres"].process.pid

    assert ("on", False) == (await ask(stack, "SHOW data_checksums"), owner_of(Path(f"/proc/{pid}")) == 0)


async def test_a_wrong_password_is_refused(stack: LocalStack) -> None:
    """Other users of this machine reach the port, too."""
    dsn = (stack.database_url or "").replace("kubernaut:", "kubernaut:not-", 1)

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn)


async def test_a_frozen_server_stops_all_its_processes_and_goes_on(stack: LocalStack) -> None:
    """Its sessions are children in process groups of their own, which a signal to the server alone would miss."""
    pid = stack.supervisor["postgres"].process.pid or 0
    family = [pid, *descendants(pid)]
    stack.supervisor.pause("postgres")

    def frozen() -> bool:
        return state_of(pid) == "T" and {state_of(member) for member in family} <= {"T", "Z", "gone"}

    await until(frozen, "all of it that has not ended is frozen")
    stack.supervisor.resume("postgres")

    assert await ask(stack, "SELECT 1") == 1


async def test_nothing_is_left_of_the_data_when_the_stack_has_ended(tmp_path: Path) -> None:
    """Run as root, its data are outside of the stack's own folder, where its user can enter."""
    async with LocalStack(StackOptions.only("postgres", home=tmp_path)) as stack:
        data = Path(str(await ask(stack, "SHOW data_directory")))

    home = data.parent
    assert [] == existing([data, home, home.with_name(f"{home.name}.lock")])


async def test_it_runs_from_a_folder_that_its_user_may_not_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root with a checkout below /root is the usual case: the programs are copied to where their user reaches them."""
    monkeypatch.setattr(postgres, "is_reachable", lambda _: False)

    async with LocalStack(StackOptions.only("postgres", home=tmp_path)) as stack:
        program = stack.supervisor["postgres"].spec.command[0]
        # Needs a library and a file of the copy.
        answer = await ask(stack, "CREATE EXTENSION vector") or await ask(stack, "SELECT '[3,4]'::vector <-> '[0,0]'")

    copied = not program.startswith(str(postgres.find_installation()))
    assert (os.geteuid() == 0, 5.0) == (copied, answer)
