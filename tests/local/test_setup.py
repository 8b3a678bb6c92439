import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap() -> ModuleType:
    """Load the script, which is in no package."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_machine(folder: Path, *, python: str) -> dict[str, str]:
    """Make a PATH with no Python but one that tells this version."""
    for program in ("sh", "dirname"):
        (folder / program).symlink_to(Path("/bin") / program if program == "sh" else "/usr/bin/dirname")
    fake = folder / "python3"
    fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {python}"\n[ "$1" = --version ]\n')
    fake.chmod(0o755)
    return {"PATH": str(folder)}


def test_a_python_that_is_too_old_is_named_with_what_to_do(tmp_path: Path) -> None:
    """The version that was found is in the error, and how to give another."""
    environment = a_machine(tmp_path, python="3.9.2")

    done = subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "bootstrap"], env=environment, capture_output=True, text=True, check=False
    )

    assert (1, True, True) == (done.returncode, "3.9.2" in done.stderr, "PYTHON=" in done.stderr)


def test_a_python_without_venv_is_told_which_package_is_missing(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's Python comes without, and its own error is a riddle to newcomers."""
    monkeypatch.setattr(bootstrap, "_has", lambda _: False)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit, match=r"apt install python3\.\d+-venv"):
        bootstrap._venv_command()  # noqa: SLF001 - its only door is a run of pip


@pytest.mark.parametrize("tool", ["virtualenv", "uv"])
def test_a_python_without_venv_uses_another_tool_that_is_there(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: str
) -> None:
    """Either can make what is needed, pip included."""
    program = tmp_path / tool
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(bootstrap, "_has", lambda _: False)
    monkeypatch.setenv("PATH", str(tmp_path))

    command = bootstrap._venv_command()  # noqa: SLF001 - its only door is a run of pip

    assert (str(program), str(ROOT / ".venv")) == (command[0], command[-1])


def test_the_command_runs_from_a_folder_with_spaces_and_through_a_link(bootstrap: ModuleType, tmp_path: Path) -> None:
    """It is linked as kubectl-kubernaut, and people have odd folders."""
    folder = tmp_path / "my files" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(ROOT / ".venv" / "bin" / "python")
    (tmp_path / "greeting.py").write_text("def main(prog_name):\n    print('hello from', prog_name)\n")
    command = folder / "greet"
    command.write_text(bootstrap.COMMAND.format(module="greeting", function="main", name="greet"))
    command.chmod(0o755)
    link = tmp_path / "kubectl-greet"
    link.symlink_to(command)

    said = subprocess.run(
        [link], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )

    assert said.stdout == "hello from greet\n"
