"""A process that is run to its end."""

import sys
from pathlib import Path

import pytest

from kubernaut.local.errors import NotReadyError
from kubernaut.local.process import Process, ProcessSpec


def a_process(folder: Path, code: str) -> Process:
    """Return a process of Python code, with its log in a folder."""
    return Process(ProcessSpec(name="work", command=(sys.executable, "-S", "-c", code), log=folder / "work.log"))


async def test_a_process_that_does_its_work_is_waited_for(tmp_path: Path) -> None:
    """It returns when the work is done."""
    done = tmp_path / "done"

    await a_process(tmp_path, f"open({str(done)!r}, 'w').close()").run_to_end(60)

    assert done.exists()


async def test_a_process_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    """The error names the code and holds the last lines of its log."""
    with pytest.raises(NotReadyError, match=r"work failed with code 3\n +no such table"):
        await a_process(tmp_path, "import sys; print('no such table'); sys.exit(3)").run_to_end(60)


async def test_a_process_whose_time_is_up_is_killed(tmp_path: Path) -> None:
    """Nothing of it is left running."""
    process = a_process(tmp_path, "import signal; signal.pause()")

    with pytest.raises(NotReadyError, match=r"work did not end within 0\.2 s"):
        await process.run_to_end(0.2)

    assert process.pid is None
