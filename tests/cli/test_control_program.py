"""The program under its names: kubernaut, a plugin of kubectl, and what kubectl asks for completions."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kubernaut.__main__ import COMMANDS, main
from kubernaut.cli.completion import completions_for_kubectl
from kubernaut.cli.help_texts import called_as, completes_for_kubectl
from tests.schemas.api import kubectl_program

PROGRAM = Path(sys.executable).parent / "kubernaut"
STEERING = ("approve", "reject", "pause", "resume", "cancel", "skip", "retry", "rollback", "rerun", "freeze", "thaw")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("/usr/bin/kubernaut", "kubernaut"),
        ("kubectl-kubernaut", "kubectl kubernaut"),
        ("/home/a/bin/kubectl-kubernaut", "kubectl kubernaut"),
        ("kubectl-kubernaut.exe", "kubectl kubernaut"),
        ("/opt/kubernaut/__main__.py", "kubernaut"),
        ("pytest", "kubernaut"),
        ("", "kubernaut"),
    ],
)
def test_it_is_called_as_it_was_started(argument: str, expected: str) -> None:
    """Only the name of the link counts."""
    assert expected == called_as(argument)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("/bin/kubectl_complete-kubernaut", True), ("kubectl-kubernaut", False), ("kubernaut", False)],
)
def test_completions_are_asked_for_by_name(argument: str, *, expected: bool) -> None:
    """The name is kubectl's."""
    assert expected == completes_for_kubectl(argument)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["canc"], ["cancel\tEnd a run early.", ":4"]),
        (["cancel", "leak", "--mode", "t"], ["terminate", ":4"]),
        (["run", ""], [":0"]),
        (["nothing"], [":4"]),
    ],
    ids=["a command", "a value", "a file", "nothing"],
)
def test_completions_are_given_as_kubectl_reads_them(words: list[str], expected: list[str]) -> None:
    """One a line with its help, then whether files are welcome."""
    assert expected == completions_for_kubectl(main, words).splitlines()


def test_without_a_word_every_command_is_given() -> None:
    """An empty line is completed as an empty word is."""
    found = completions_for_kubectl(main, []).splitlines()

    assert [line.partition("\t")[0] for line in found[:-1]] == list(COMMANDS)


@pytest.fixture
def path(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which the program is linked as kubectl finds it."""
    for name in ("kubectl-kubernaut", "kubectl_complete-kubernaut"):
        (tmp_path / name).symlink_to(PROGRAM)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def output(environment: dict[str, str], *words: str) -> str:
    """Return what a program prints."""
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.real
def test_the_real_kubectl_finds_the_plugin(path: dict[str, str]) -> None:
    """Usage, examples and completions speak of `kubectl kubernaut`."""
    usage = output(path, kubectl_program(), "kubernaut", "pause", "--help")
    plain = output(path, str(PROGRAM), "pause", "--help")
    completions = output(path, kubectl_program(), "__complete", "kubernaut", "re")

    assert usage.startswith("Usage: kubectl kubernaut pause [OPTIONS] NAME")
    assert "  kubectl kubernaut pause node-drain\n" in usage
    assert plain.startswith("Usage: kubernaut pause [OPTIONS] NAME")
    assert "  kubernaut pause node-drain\n" in plain
    offered = {line.split("\t")[0] for line in completions.splitlines()[:-1]}
    assert {"recover", "reject", "replay", "resume", "retry", "rerun"} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell: str) -> None:
    """The line in docs/command-line.md prints a script that asks the program itself."""
    printed = output(os.environ | {"_KUBERNAUT_COMPLETE": f"{shell}_source"}, str(PROGRAM))

    assert f"_KUBERNAUT_COMPLETE={shell}_complete" in printed


def test_the_shell_is_given_commands() -> None:
    """What the script asks for a word that was begun."""
    asked = {"_KUBERNAUT_COMPLETE": "bash_complete", "COMP_WORDS": "kubernaut fr", "COMP_CWORD": "1"}

    assert output(os.environ | asked, str(PROGRAM)).strip() == "plain,freeze"


@pytest.mark.parametrize("name", STEERING)
def test_every_command_has_examples_that_are_commands(name: str) -> None:
    """A line that cannot be typed is worse than none; the words are checked against the command's own parameters."""
    command = main.get_command(main.make_context("kubernaut", [], resilient_parsing=True), name)

    assert command is not None
    examples = [line for line, _ in command.examples]  # type: ignore[attr-defined]
    assert examples
    for line in examples:
        words = shlex.split(line)
        assert words[0] == name
        command.make_context(name, words[1:]).close()
