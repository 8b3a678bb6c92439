import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kubernaut.local.errors import LocalStackError, NotReadyError
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import HttpProbe, Probe
from kubernaut.local.process import Process, ProcessSpec, descendants, is_alive
from kubernaut.local.supervisor import State, Supervisor
from tests.local.waiting import until

SLEEP = "import time; time.sleep(600)"
PARENT_OF_ONE = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"


@pytest_asyncio.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    """Give a supervisor whose processes are all killed at the end."""
    supervisor = Supervisor()
    yield supervisor
    for member in supervisor.members:
        await supervisor.kill(member.spec.name, stay_down=True)


READY_WHILE_THERE = """
import http.server, pathlib
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path({file!r}).exists() else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Answer).serve_forever()
"""


def a_process(
    folder: Path, code: str, *, name: str = "tiny", probe: Probe | None = None, stop: float = 5
) -> ProcessSpec:
    """Describe a Python process that runs `code`."""
    command = (sys.executable, "-c", code)
    log = folder / f"{name}.log"
    if probe is None:
        return ProcessSpec(name=name, command=command, log=log, stop_seconds=stop)
    return ProcessSpec(name=name, command=command, log=log, stop_seconds=stop, probe=probe)


async def test_a_process_that_is_killed_comes_back(supervisor: Supervisor, tmp_path: Path) -> None:
    """It has another id, and the restart is counted."""
    await supervisor.add(a_process(tmp_path, SLEEP))
    await supervisor.wait_ready("tiny")
    first = supervisor["tiny"].process.pid

    await supervisor.kill("tiny")
    await until(lambda: supervisor["tiny"].restarts == 1, "it is started again")
    await supervisor.wait_ready("tiny")

    assert supervisor["tiny"].process.pid not in (None, first)


async def test_a_process_that_keeps_ending_is_started_with_growing_pauses(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """The third start comes 1.5 s after the first: 0.5 s and 1 s of pause."""
    await supervisor.add(a_process(tmp_path, "import sys; sys.exit(4)"))
    began = asyncio.get_running_loop().time()
    await until(lambda: supervisor["tiny"].restarts == 2, "it is started a third time")

    assert asyncio.get_running_loop().time() - began >= 1.5


async def test_what_never_gets_ready_is_named_with_its_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    """The error holds the name, the exit code, what it wrote last and where its log is."""
    ports = PortPool()
    probe = HttpProbe(url=f"http://{LOOPBACK}:{ports.take()}/readyz")
    await supervisor.add(a_process(tmp_path, "import sys; sys.exit('no such key: COLOUR')", probe=probe))

    with pytest.raises(NotReadyError) as caught:
        await supervisor.wait_ready("tiny")

    ports.close()
    told = str(caught.value)
    expected = ("tiny failed 3 times", "it ended with code 1", "no such key: COLOUR", str(tmp_path / "tiny.log"))
    assert [part for part in expected if part not in told] == []


async def test_a_silent_process_is_not_ready_when_the_time_is_up(supervisor: Supervisor, tmp_path: Path) -> None:
    """The error says what the probe met."""
    ports = PortPool()
    probe = HttpProbe(url=f"http://{LOOPBACK}:{ports.take()}/readyz")
    await supervisor.add(a_process(tmp_path, SLEEP, probe=probe))

    with pytest.raises(NotReadyError, match=r"tiny was not ready after 0\.5 s: Cannot connect"):
        await supervisor.wait_ready("tiny", seconds=0.5)

    ports.close()


async def test_what_was_ready_once_is_asked_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """A service that cannot go on just now is not ready, whatever it said when it started."""
    well = tmp_path / "well"
    well.touch()
    ports = PortPool()
    port = ports.take()
    code = READY_WHILE_THERE.format(port=port, file=str(well))
    ports.close()
    await supervisor.add(a_process(tmp_path, code, probe=HttpProbe(url=f"http://{LOOPBACK}:{port}/")))
    await supervisor.wait_ready("tiny")

    well.unlink()
    with pytest.raises(NotReadyError, match=r"tiny was not ready after 0\.5 s: it answers 503"):
        await supervisor.wait_ready("tiny", seconds=0.5)

    well.touch()
    await supervisor.wait_ready("tiny")


async def test_a_process_that_was_stopped_stays_down_until_it_is_started(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """Stopping is final, dying is not."""
    await supervisor.add(a_process(tmp_path, SLEEP))
    await supervisor.wait_ready("tiny")
    await supervisor.stop("tiny")
    down = supervisor["tiny"].state

    await supervisor.start("tiny")
    await supervisor.wait_ready("tiny")

    assert (State.DOWN, 0) == (down, supervisor["tiny"].restarts)


async def test_a_process_that_is_deaf_to_its_stop_signal_is_killed(tmp_path: Path) -> None:
    """Stopping takes its time limit and no longer."""
    process = Process(a_process(tmp_path, DEAF, stop=0.3))
    await process.start()
    await until(lambda: "deaf" in (tmp_path / "tiny.log").read_text(), "it has become deaf")

    await process.stop()

    assert process.exit_code == -signal.SIGKILL


async def test_killing_a_process_kills_what_it_started(tmp_path: Path) -> None:
    """No grandchild is left when `kill` returns."""
    process = Process(a_process(tmp_path, PARENT_OF_ONE))
    await process.start()
    pid = process.pid or 0
    await until(lambda: bool(descendants(pid)), "it has a child")
    family = [pid, *descendants(pid)]

    await process.kill()

    assert [member for member in family if is_alive(member)] == []


async def test_a_frozen_process_does_nothing_and_can_still_be_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    """SIGTERM alone would wait for ever at a stopped process."""
    await supervisor.add(a_process(tmp_path, SLEEP))
    await supervisor.wait_ready("tiny")
    pid = supervisor["tiny"].process.pid or 0
    supervisor.pause("tiny")
    await until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T", "it is frozen")

    await supervisor.stop("tiny")

    assert supervisor["tiny"].process.exit_code == -signal.SIGTERM


async def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    """The log names the path, so the error does."""
    process = Process(ProcessSpec(name="tiny", command=(str(tmp_path / "absent"),), log=tmp_path / "tiny.log"))
    await process.start()
    await process.wait()

    with pytest.raises(NotReadyError, match="absent could not be started: No such file or directory"):
        await process.wait_ready(10)


async def test_a_process_that_cannot_be_started_is_tried_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """Its log cannot be opened at first; nobody has to do anything once it can."""
    (tmp_path / "logs").touch()
    await supervisor.add(a_process(tmp_path / "logs", SLEEP))
    await until(lambda: supervisor["tiny"].exits > 0, "the first start has failed")
    (tmp_path / "logs").unlink()

    await supervisor.wait_ready("tiny")

    assert supervisor["tiny"].process.pid is not None


async def test_an_unknown_name_is_answered_with_the_known_ones(supervisor: Supervisor, tmp_path: Path) -> None:
    """Who mistypes sees the names."""
    await supervisor.add(a_process(tmp_path, SLEEP))

    with pytest.raises(LocalStackError, match="no process named 'tini' in this stack; there are: tiny"):
        await supervisor.kill("tini")
