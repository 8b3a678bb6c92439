import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubernaut.__main__ import main
from kubernaut.cli.stack import parse_names, parse_replicas
from kubernaut.local.daemon import start_detached
from kubernaut.local.errors import LocalStackError
from kubernaut.local.home import HOME_VARIABLE, Home
from kubernaut.local.process import is_alive
from kubernaut.local.progress import PlainProgress
from kubernaut.local.state import read_state
from tests.local.test_stack import NOT_INSTALLED, options


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Let all commands of a test use a home of its own, where nothing runs after it."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    home = Home()
    yield home
    CliRunner().invoke(main, ["down"])


@pytest.mark.real
def test_a_stack_in_the_background_is_shown_pointed_to_and_ended(home: Home) -> None:
    """`status`, `env` and `down` work on what `up --detach` left behind."""
    start_detached(options(home.state.parent), PlainProgress(io.StringIO()))
    state = read_state(home)
    assert state is not None

    status = CliRunner().invoke(main, ["status", "-o", "json"])
    env = CliRunner().invoke(main, ["env"])
    down = CliRunner().invoke(main, ["down"])

    shown = {row["name"]: (row["health"], row["restarts"]) for row in json.loads(status.stdout)["processes"]}
    assert shown == {"nats": ("ready", 0), "tiny": ("ready", 0)}
    assert env.stdout == f"export NATS_URL={state.nats_url}\n"
    assert (0, "ended") == (down.exit_code, "ended" if "has ended" in down.stdout else down.output)
    assert [process.name for process in state.processes if process.pid and is_alive(process.pid)] == []
    assert not is_alive(state.supervisor)
    assert (False, True) == (home.data.exists(), (home.logs / "tiny.log").exists())


@pytest.mark.real
def test_the_background_supervisor_outlives_who_started_it_and_holds_none_of_its_pipes(home: Home) -> None:
    """A shell's `out=$(kubernaut up --detach)` must come back."""
    code = (
        "import io; from pathlib import Path; from kubernaut.local.daemon import start_detached;"
        "from kubernaut.local.progress import PlainProgress; from tests.local.test_stack import options;"
        f"start_detached(options(Path({str(home.state.parent)!r})), PlainProgress(io.StringIO())); print('up')"
    )
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=False)

    assert (0, "up\n", True) == (started.returncode, started.stdout, home.is_running())


@pytest.mark.real
def test_a_background_start_that_fails_says_why(home: Home) -> None:
    """The reason of the other process is the error of this one."""
    with pytest.raises(LocalStackError, match="the schema is from the future"):
        start_detached(options(home.state.parent, install=NOT_INSTALLED), PlainProgress(io.StringIO()))

    assert not home.is_running()


@pytest.mark.real
def test_a_second_up_says_that_one_is_running(home: Home) -> None:
    """It tells how to end the first, and leaves it alone."""
    start_detached(options(home.state.parent), PlainProgress(io.StringIO()))

    second = CliRunner().invoke(main, ["up", "--detach"])

    assert (1, True, True) == (second.exit_code, "kubernaut down" in second.output, home.is_running())


@pytest.mark.parametrize("command", ["status", "env"])
def test_a_question_about_what_does_not_run_says_how_to_start_it(home: Home, command: str) -> None:
    """The exit code is not 0, so that scripts notice."""
    answer = CliRunner().invoke(main, [command])

    assert (1, True) == (answer.exit_code, "kubernaut up" in answer.output)


def test_down_of_what_does_not_run_is_no_failure(home: Home) -> None:
    """Ending twice is as good as once."""
    answer = CliRunner().invoke(main, ["down"])

    assert (0, "nothing named 'default' is running\n") == (answer.exit_code, answer.output)


def test_help_is_shown_without_importing_what_the_commands_need() -> None:
    """Help and completion must answer at once."""
    code = (
        "import sys; from kubernaut.__main__ import main\n"
        "try: main(['--help'])\n"
        "finally: print(sorted({'aiohttp', 'asyncpg', 'nats', 'rich', 'kubernetes_asyncio'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == answer.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(("scheduler=2",), {"scheduler": 2}, id="one"),
        pytest.param(("scheduler=2,auditor=3",), {"scheduler": 2, "auditor": 3}, id="several in one option"),
        pytest.param(("scheduler=2", "auditor=3"), {"scheduler": 2, "auditor": 3}, id="several options"),
        pytest.param(("executor-bridge=2",), {"executor_bridge": 2}, id="a dash for an underscore"),
        pytest.param((), {}, id="none"),
    ],
)
def test_replicas_are_read(given: tuple[str, ...], expected: dict[str, int]) -> None:
    """As people write them."""
    assert expected == parse_replicas(given)


@pytest.mark.parametrize("given", ["scheduler", "scheduler=", "scheduler=0", "scheduler=two", "scheduler=-1", "=2"])
def test_wrong_replicas_are_refused_with_an_example(given: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(LocalStackError, match="as in scheduler=2"):
        parse_replicas((given,))


def test_names_to_leave_out_are_read() -> None:
    """By comma, by repeated option, with dashes."""
    assert parse_names(("executor,auditor", "executor-bridge")) == {"executor", "auditor", "executor_bridge"}


@pytest.mark.parametrize("option", ["--without=planner", "--replicas=planner=2"])
def test_an_unknown_service_is_refused_before_anything_starts(home: Home, option: str) -> None:
    """The answer lists the services that there are."""
    answer = CliRunner().invoke(main, ["up", option])

    assert (1, True) == (answer.exit_code, "'planner'; there are: auditor, executor," in answer.output)
    assert not home.state.exists()
