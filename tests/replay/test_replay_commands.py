from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kubernaut.__main__ import main
from kubernaut.cli.times import clock_time
from kubernaut.replay.bundle_file import read, write
from kubernaut.replay.recording import Chain
from tests.replay.builders import CORPUS, a_recording, without

FILE = str(CORPUS / "stuck-drain.ndjson.gz")
MADE = Chain(a_recording("stuck-drain")).made
SECONDS = 60.0


def run(*arguments: str) -> Result:
    """What the command line answers, without any server."""
    environment = {"NATS_URL": "", "DATABASE_URL": "", "KUBECONFIG": "", "KUBERNAUT_HOME": "/nonexistent"}
    return CliRunner(env=environment).invoke(main, list(arguments))


def test_a_bundle_is_listed_without_any_server() -> None:
    """One line a decision where there is no terminal."""
    result = run("replay", FILE)

    assert 0 == result.exit_code, result.output
    assert "default/stuck-drain" in result.output.splitlines()[0]
    assert len(MADE) + 1 == len(result.output.splitlines())


@pytest.mark.parametrize("which", ["sequence", "time"])
def test_at_shows_one_moment(which: str) -> None:
    """By sequence and by time."""
    stored = MADE[4].stored
    at = str(stored.sequence) if which == "sequence" else clock_time(stored.time_ms)

    result = run("replay", FILE, "--at", at)

    assert f"decision 5 of {len(MADE)}: version 5" in result.output
    assert "timers" in result.output


def test_a_moment_before_the_first_decision_is_refused_in_words() -> None:
    """With where it begins."""
    result = run("replay", FILE, "--at", "1")

    assert 1 == result.exit_code
    assert "nothing was decided at 1 yet" in result.output


def test_step_shows_every_moment() -> None:
    """In order."""
    result = run("replay", FILE, "--step")

    assert len(MADE) == result.output.count(f" of {len(MADE)}: version ")


def test_at_a_pace_each_line_comes_in_its_time() -> None:
    """A thousand times as fast."""
    result = run("replay", FILE, "--pace", "1000x")

    assert len(MADE) + 1 == len(result.output.splitlines())
    assert 2 == run("replay", FILE, "--pace", "fast").exit_code


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals")
def test_on_a_terminal_keys_step_forward_and_back() -> None:
    """A real one: it begins at the end, g goes to the first, the arrows step, q ends it."""
    import pty  # noqa: PLC0415 - not on every system

    main_end, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kubernaut", "replay", FILE],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "80"},
        cwd=Path(__file__).parents[2],
    )
    os.close(other_end)
    try:
        assert f"decision {len(MADE)} of {len(MADE)}" in screen(main_end)
        for key, shown in (("g", 1), ("\x1b[C", 2), ("n", 3), ("\x1b[D", 2)):
            type_(main_end, key)
            assert f"decision {shown} of {len(MADE)}" in screen(main_end)
        type_(main_end, "q")
        assert 0 == process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(main_end)


def type_(terminal: int, key: str) -> None:
    """Press a key once the program waits for one: what is typed before is thrown away by the terminal."""
    import termios  # noqa: PLC0415 - not on every system

    deadline = time.monotonic() + SECONDS
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(terminal, key.encode())


def screen(terminal: int) -> str:
    """What is printed until a key is waited for."""
    text = ""
    while "q: quit" not in text:
        ready, _, _ = select.select([terminal], [], [], SECONDS)
        assert ready, text
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


def test_a_folder_of_recorded_runs_is_checked_and_the_exit_code_guards_a_release() -> None:
    """0 when every decision is as it was."""
    result = run("replay", str(CORPUS), "--check")

    assert 0 == result.exit_code, result.output
    assert ", 0 otherwise" in result.output.splitlines()[-1]


def test_a_decision_that_cannot_be_made_again_is_no_success(tmp_path: Path) -> None:
    """What was not compared guards nothing."""
    recording = a_recording("stuck-drain")
    cause = MADE[1].decision.causes[0].sequence
    (tmp_path / "run.ndjson").write_bytes(write(without(recording, cause), packed=False))

    result = run("replay", str(tmp_path), "--check")

    assert 1 == result.exit_code
    assert f"cannot be made again: message {cause}" in result.output


def test_no_run_at_all_is_no_success(tmp_path: Path) -> None:
    """An empty folder must not let a release pass."""
    assert 1 == run("replay", str(tmp_path), "--check").exit_code


def test_without_a_log_a_name_is_refused_with_what_to_do() -> None:
    """And no traceback."""
    result = run("replay", "stuck-drain")

    assert 1 == result.exit_code
    assert "no event log" in result.output


def test_a_bundle_can_be_written_again_in_another_form(tmp_path: Path) -> None:
    """Unpacked, from a bundle."""
    place = tmp_path / "again.ndjson"

    result = run("bundle", FILE, "-o", str(place))

    assert 0 == result.exit_code, result.output
    assert a_recording("stuck-drain") == read(place.read_bytes())


def test_a_run_becomes_a_test_that_passes_and_fails_for_another_run(tmp_path: Path) -> None:
    """By pytest in a process of its own, with nothing but this package."""
    place = tmp_path / "test_stuck_drain.py"
    assert 0 == run("bundle", FILE, "--as-test", "-o", str(place)).exit_code
    text = place.read_text(encoding="utf-8")
    place.with_name("test_other.py").write_text(
        text.replace(f"assert {len(MADE)} ==", "assert 12345 =="), encoding="utf-8"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 failed, 1 passed" in done.stdout
