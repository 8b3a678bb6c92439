"""`kubernaut lint` as a person types it: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.text import Text

from kubernaut.cli.linting.checking import check
from kubernaut.cli.linting.report import Report, lines
from kubernaut.cli.samples import sample
from tests.cli.linted import SOUND, changed, kubernaut

BAD = changed((14, "        action: x"))
WARNED = changed((16, "        dependsOn: [1, 1]"))


def a_file(folder: Path, text: str, name: str = "w.yaml") -> str:
    """Write a file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_sample_is_clean() -> None:
    """What people start from has no error."""
    folder = Path(str(sample("ten-steps.yaml"))).parent

    result = kubernaut("lint", str(folder))

    assert (0, "") == (
        result.exit_code,
        "".join(line for line in result.output.splitlines(True) if ": error: " in line),
    )


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        pytest.param(SOUND, [], 0, id="a sound file"),
        pytest.param(BAD, [], 1, id="an error"),
        pytest.param(WARNED, [], 0, id="a warning"),
        pytest.param(WARNED, ["--strict"], 1, id="a warning that counts"),
        pytest.param("kind: ConfigMap\n", [], 0, id="only objects of others"),
        pytest.param("", [], 1, id="an empty file"),
        pytest.param("# nothing\n---\n", [], 1, id="a file of comments"),
    ],
)
def test_the_exit_code_tells_whether_there_is_an_error(
    tmp_path: Path, text: str, options: list[str], code: int
) -> None:
    """Warnings count only when asked."""
    assert code == kubernaut("lint", a_file(tmp_path, text), *options).exit_code


def test_what_cannot_be_read_is_an_error_of_use(tmp_path: Path) -> None:
    """Files that are not there, no file at all, a folder without workflows."""
    a_file(tmp_path, "kind: ConfigMap\n")

    assert [2, 2, 2] == [
        kubernaut("lint", str(tmp_path / "none")).exit_code,
        kubernaut("lint").exit_code,
        kubernaut("lint", str(tmp_path)).exit_code,
    ]


def test_an_error_is_one_line_that_editors_can_follow(tmp_path: Path) -> None:
    """Without a terminal there is no colour and no excerpt."""
    file = a_file(tmp_path, BAD)

    told = kubernaut("lint", file).output.splitlines()

    assert told[0].startswith(f"{file}:14:17: error: spec.workflowDefinition.steps[1].action: unknown action 'x'")
    assert ["1 error, 0 warnings; 1 workflow in 1 file"] == told[1:]


def test_folders_are_searched_for_workflows(tmp_path: Path) -> None:
    """YAML files of any depth that speak of workflows, not hidden ones, in the order of their names."""
    a_file(tmp_path, BAD, "b/deep/two.yml")
    a_file(tmp_path, SOUND, "a.yaml")
    a_file(tmp_path, "{{ .Values }}", "chart.yaml")
    a_file(tmp_path, BAD, ".hidden/x.yaml")
    a_file(tmp_path, BAD, "notes.txt")

    told = kubernaut("lint", str(tmp_path)).output.splitlines()

    assert told[-1] == "1 error, 0 warnings; 2 workflows in 2 files"
    assert told[0].startswith(str(tmp_path / "b" / "deep" / "two.yml"))


def test_standard_input_is_read() -> None:
    """For pipes and editors."""
    result = kubernaut("lint", "-", typed=BAD)

    assert (1, "<stdin>:14:17") == (result.exit_code, result.output[:13])


def test_json_holds_everything(tmp_path: Path) -> None:
    """For programs: each finding with its file, place and path."""
    file, other = a_file(tmp_path, BAD), a_file(tmp_path, WARNED, "v.yaml")

    result = kubernaut("lint", "-o", "json", file, other)
    told = json.loads(result.output)

    assert (1, 2, 2, 1, 1) == (result.exit_code, *(told[key] for key in ("files", "workflows", "errors", "warnings")))
    assert [(file, 14, 17, "error"), (other, 16, 24, "warning")] == [
        (each["file"], each["line"], each["column"], each["severity"]) for each in told["findings"]
    ]


def shown(text: str) -> list[str]:
    """Return what a terminal shows of a text."""
    found = check(text)
    report = Report(file="w.yaml", text=text, findings=found.findings, workflows=1)
    return [line.plain for line in lines(report, excerpts=True)]


def test_a_terminal_shows_the_line_and_the_place() -> None:
    """All places of one line are marked at once."""
    told = shown(changed((16, "        dependsOn: [8, 1, 9]")))

    assert ["    16 |         dependsOn: [8, 1, 9]", "       |                     ^     ^"] == told[2:]


def test_marks_stand_below_wide_characters_and_in_long_lines() -> None:
    """Counted in columns of the terminal; of a long line only the surroundings are shown."""
    wide = shown(changed((15, "        parameters: {message: 日本, x: 1}")))
    long = shown(changed((15, f"        parameters: {{message: {'m' * 300}, x: 1}}")))

    assert [Text(line).cell_len for line in wide[2:3]] == [wide[1].index("x: 1") + 2 + 1]
    assert long[1][long[2].index("^")] == "x"
    assert len(long[1]) < 200


def test_a_line_with_a_secret_is_not_shown() -> None:
    """The finding is enough."""
    told = shown(changed((15, "        parameters: {mesage: 'password=hunter2hunter2'}")))

    assert told
    assert "hunter2" not in "".join(told)


def test_nothing_of_a_file_steers_the_terminal() -> None:
    """Escape sequences in keys and values come out as text."""
    told = shown(changed((7, '    "\\e[31mname": fix')))

    assert all(line.isprintable() for line in told)
