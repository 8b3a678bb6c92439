import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from kubernaut.local.errors import AlreadyRunningError, NotReadyError
from kubernaut.local.home import Home
from kubernaut.local.ports import LOOPBACK
from kubernaut.local.process import descendants, is_alive
from kubernaut.local.services import Service
from kubernaut.local.stack import LocalStack, StackOptions
from kubernaut.local.state import clean_up, read_state
from tests.local.waiting import until, until_sync

pytestmark = pytest.mark.real

TINY = Service("tiny", "tests.local.tiny_service")
INSTALLED = (sys.executable, "-c", "import os; print('installed into', os.environ['NATS_URL'])")
NOT_INSTALLED = (sys.executable, "-c", "import sys; sys.exit('the schema is from the future')")


def options(home: Path, *, install: tuple[str, ...] = INSTALLED, replicas: int = 1) -> StackOptions:
    """Describe a stack of NATS and a tiny service."""
    return StackOptions(
        home=home,
        kubernetes=False,
        postgres=False,
        services=(TINY,),
        replicas={"tiny": replicas},
        install_command=install,
    )


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[list[int]]:
    """Run a stack in another process, kill that with SIGKILL, and give the ids of all processes that it had."""
    command = [sys.executable, "-m", "tests.local.stack_in_a_process", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        family = descendants(supervisor.pid)
        supervisor.kill()
    yield family
    clean_up(Home(root=tmp_path))


def test_no_process_outlives_a_supervisor_that_is_killed(killed: list[int]) -> None:
    """The two servers and the server processes of PostgreSQL end by themselves."""
    until_sync(lambda: not any(map(is_alive, killed)), f"all of {killed} are gone")

    assert len(killed) > 2


async def test_a_stack_starts_again_after_it_was_killed(killed: list[int], tmp_path: Path) -> None:
    """What the killed one left is deleted, its data outside of the home included."""
    left = read_state(Home(root=tmp_path))
    assert left is not None
    before = [Path(folder) for folder in left.folders]
    marks = [folder / "left-by-the-killed-one" for folder in before if folder.exists()]
    for mark in marks:
        mark.touch()

    async with LocalStack(StackOptions.only("nats", "postgres", home=tmp_path)) as stack:
        after = [mark for mark in marks if mark.exists()]
        answering = [stack.supervisor[name].state for name in ("nats", "postgres")]

    assert (True, [], ["ready", "ready"]) == (len(marks) > 0, after, answering)


def test_what_a_killed_supervisor_could_not_end_is_ended_by_the_next_command(tmp_path: Path) -> None:
    """A frozen PostgreSQL does not see the signal that its dead parent leaves it."""
    command = [sys.executable, "-m", "tests.local.stack_in_a_process", str(tmp_path)]
    home = Home(root=tmp_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        family = descendants(supervisor.pid)
        state = read_state(home)
        assert state is not None
        postgres = next(process.pid for process in state.processes if process.name == "postgres") or 0
        os.kill(postgres, signal.SIGSTOP)
        supervisor.kill()
    was_left = is_alive(postgres)

    ended = clean_up(home)

    assert (True, True) == (was_left, "postgres" in ended)
    assert [pid for pid in family if is_alive(pid)] == []


async def test_a_second_stack_of_the_same_name_is_refused(tmp_path: Path) -> None:
    """The error says how to end the first, which goes on."""
    async with LocalStack(options(tmp_path)) as first:
        with pytest.raises(AlreadyRunningError, match="kubernaut down"):
            await LocalStack(options(tmp_path)).start()

        assert first.supervisor["nats"].state == "ready"


async def test_a_service_that_dies_is_started_again(tmp_path: Path) -> None:
    """It is the service's own end, not one that we asked for."""
    async with LocalStack(options(tmp_path, replicas=2)) as stack:
        port = stack.supervisor["tiny-2"].spec.ports["health"]
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://{LOOPBACK}:{port}/exit")
        await until(lambda: stack.supervisor["tiny-2"].restarts == 1, "the second replica is started again")
        await stack.supervisor.wait_ready("tiny-2")

        restarts = {member.spec.name: member.restarts for member in stack.supervisor.members}

    assert {"nats": 0, "tiny": 0, "tiny-2": 1} == restarts


async def test_what_the_services_need_is_installed_before_they_start(tmp_path: Path) -> None:
    """The installer is told where the parts are."""
    async with LocalStack(options(tmp_path)) as stack:
        told = (stack.logs / "install.log").read_text()

    assert f"installed into {stack.nats_url}\n" == told


async def test_a_stack_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    """The error ends with what the installer wrote; NATS is gone again."""
    stack = LocalStack(options(tmp_path, install=NOT_INSTALLED))

    with pytest.raises(NotReadyError, match=r"install failed with code 1\n.*the schema is from the future"):
        await stack.start()

    assert (None, False) == (stack.supervisor["nats"].process.pid, Home(root=tmp_path).is_running())


async def test_the_logs_of_the_run_before_are_kept(tmp_path: Path) -> None:
    """The log of a run that failed is still there after the next start."""
    for _ in range(2):
        async with LocalStack(options(tmp_path)) as stack:
            logs = stack.logs

    assert ["nats.log", "nats.log"] == [(folder / "nats.log").name for folder in logs.parent.glob("logs*")]
