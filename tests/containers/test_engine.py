"""The engine that tests make for themselves: nothing is left of it, and tests without one are left out aloud."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from kubernaut.local.process import is_alive
from tests.containers.bases import nats_image
from tests.containers.engine import VARIABLE
from tests.containers.podman import api

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.containers.engine import Engine

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = ("tests/containers/test_engine.py", "tests/containers/test_fixtures.py")
KILLED: Final = """
from tests.containers.podman import own_podman
from tests.containers.test_engine import a_container

with own_podman() as engine:
    print(*a_container(engine), flush=True)
    input()
"""


def a_container(engine: Engine) -> tuple[int, Path]:
    """Run a container; return the number of its process and the folder of the engine."""
    engine.run("run", "--detach", "--name=one", nats_image(engine))
    return int(engine.run("inspect", "--format={{.State.Pid}}", "one")), Path(engine.environment["TMPDIR"])


def assert_nothing_is_left(process: int, folder: Path) -> None:
    """No process, neither the container's nor one that is called with a file of it; no file, no mount."""
    assert not is_alive(process)
    assert [] == [each for each in Path("/proc").glob("[0-9]*") if str(folder) in _command(each)]
    assert not folder.exists()
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:  # it has ended
        return ""


@pytest.mark.real
@pytest.mark.timeout(600)
def test_nothing_is_left_of_an_engine_in_which_a_test_failed(
    own_engine: Callable[[], AbstractContextManager[Engine]],
) -> None:
    """A container that still runs is ended and deleted with the rest; so is what waits after an API's command in it."""

    def fail(engine: Engine, found: list[tuple[int, Path]]) -> None:
        found.append(a_container(engine))
        assert is_alive(found[0][0])
        with api(engine) as environment:
            engine.run("--url", environment["DOCKER_HOST"], "exec", "one", "/nats-server", "--version")
        raise ZeroDivisionError

    found: list[tuple[int, Path]] = []
    with pytest.raises(ZeroDivisionError), own_engine() as engine:
        fail(engine, found)

    assert_nothing_is_left(*found[0])


@pytest.mark.real
@pytest.mark.timeout(600)
def test_what_a_killed_run_left_is_deleted_by_the_next(
    own_engine: Callable[[], AbstractContextManager[Engine]],
) -> None:
    """Its container runs on after kill -9; whoever makes an engine next ends it."""
    child = subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    process, folder = child.stdout.readline().decode().split()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert is_alive(int(process))

    with own_engine():
        assert_nothing_is_left(int(process), Path(folder))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("wanted", "found"), [("0", False), ("1", True)], ids=["not wanted", "demanded"])
def test_tests_that_need_an_engine_are_left_out_aloud_or_demanded(wanted: str, found: bool) -> None:  # noqa: FBT001
    """Left out, they are no skips, and a line says so; demanded, they are there whatever the machine has."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *FILES],
        cwd=ROOT,
        env={**os.environ, VARIABLE: wanted},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert found == ("test_parts_in_containers_pass_the_same_tests" in done.stdout)
    assert found != ("are left out: no engine" in done.stdout)
