from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kubernaut.cli.manifests import Manifest, ManifestError, named, read
from kubernaut.cli.samples import sample
from schemas.actions import check
from tests.cli.builders import a_workflow

HEAD = "apiVersion: workflowexecution.kubernaut.io/v1\nkind: WorkflowExecution\n"
SAMPLES = sorted(file.stem for file in Path(str(sample("ten-steps.yaml"))).parent.glob("*.yaml"))


def tokens() -> Callable[[], str]:
    """Return a source of endings: t1, t2 and so on."""
    numbers = itertools.count(1)
    return lambda: f"t{next(numbers)}"


def names(*metadata: dict[str, str], name: str | None = None, generate: bool = False) -> list[str]:
    """Return the names that workflows with this metadata get."""
    manifests = [Manifest({"metadata": one}, "f.yaml:1") for one in metadata]
    return [body["metadata"]["name"] for body in named(manifests, name=name, generate=generate, token=tokens())]


def test_several_documents_are_read_with_their_lines() -> None:
    """Every document is a workflow; empty ones are left out; each knows where it stands."""
    text = f"---\n# nothing\n---\n{HEAD}metadata: {{name: one}}\n---\n{HEAD}metadata: {{name: two}}\n"

    manifests = read(text, "f.yaml")

    found = [(one.body["metadata"]["name"], one.where) for one in manifests]
    assert found == [("one", "f.yaml:4"), ("two", "f.yaml:8")]


def test_times_stay_what_was_written() -> None:
    """YAML would make a date of it, which is no JSON."""
    [manifest] = read(f"{HEAD}spec: {{at: 2026-01-01T00:00:00Z}}", "f.yaml")

    assert manifest.body["spec"] == {"at": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [1,\nb: 2\n", r"f.yaml:\d:\d: this is no YAML", id="broken YAML is placed"),
        pytest.param("a: !!python/object:os.system {}", r"f.yaml:1:4: this is no YAML", id="a tag for objects"),
        pytest.param("a: \x07", "this is no YAML", id="a character that YAML forbids"),
        pytest.param("[" * 5000, "this is no YAML", id="nesting without end"),
        pytest.param("", "holds no workflow", id="an empty file"),
        pytest.param("just words", r"f.yaml:1: expected a WorkflowExecution, found the text", id="prose"),
        pytest.param("- 1", r"f.yaml:1: expected a WorkflowExecution, found a list", id="a list"),
        pytest.param("kind: Pod", r"kind is 'Pod', not 'WorkflowExecution'.*kubectl apply", id="another kind"),
        pytest.param("kind: WorkflowExecution\napiVersion: v1", "apiVersion is 'v1'; write", id="another version"),
        pytest.param("kind: List\nitems: []", "a List; write its items", id="a List"),
        pytest.param(f"{HEAD}metadata: leak", "metadata is the text 'leak'", id="metadata that is none"),
    ],
)
def test_what_is_no_workflow_is_refused_with_its_place(text: str, message: str) -> None:
    """Each error names the file, the line where there is one, and what to do."""
    with pytest.raises(ManifestError, match=message):
        read(text, "f.yaml")


@pytest.mark.parametrize(
    ("expected", "metadata", "options"),
    [
        (["leak"], {"name": "leak"}, {}),
        (["other"], {"name": "leak"}, {"name": "other"}),
        (["leak-t1"], {"name": "leak"}, {"generate": True}),
        (["other-t1"], {"name": "leak"}, {"name": "other", "generate": True}),
        (["leak-t1"], {"generateName": "leak-"}, {}),
        (["leak-t1"], {"generateName": "leak-"}, {"generate": True}),
        (["other"], {"generateName": "leak-"}, {"name": "other"}),
    ],
)
def test_a_name_is_chosen(expected: list[str], metadata: dict[str, str], options: dict[str, str]) -> None:
    """The option goes before the file; a generated name ends with a token."""
    assert expected == names(metadata, **options)  # type: ignore[arg-type]


def test_each_of_several_gets_its_own_ending() -> None:
    """Two workflows of one file do not share a token."""
    assert names({"name": "a"}, {"name": "b"}, generate=True) == ["a-t1", "b-t2"]


def test_a_long_name_still_fits_with_its_ending() -> None:
    """A generated name is never longer than Kubernetes takes."""
    assert len(names({"name": "x" * 253}, generate=True)[0]) <= 253


def test_one_name_cannot_be_given_to_two() -> None:
    """`--name` with several workflows is refused."""
    with pytest.raises(ManifestError, match="--name can name one workflow and there are 2"):
        names({"name": "a"}, {"name": "b"}, name="c")


def test_a_workflow_without_a_name_is_refused() -> None:
    """Without a name and without the option there is nothing to call it."""
    with pytest.raises(ManifestError, match=r"f.yaml:1: the workflow has no metadata.name; write one"):
        names({})


def test_nothing_else_of_the_object_is_changed() -> None:
    """Only the name is set; the rest is what the file says."""
    body = a_workflow()

    [made] = named([Manifest(body, "f.yaml:1")], name="other", generate=False, token=tokens())

    assert made == body | {"metadata": body["metadata"] | {"name": "other"}}


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_holds_workflows_with_sound_parameters(name: str) -> None:
    """The samples can be read, and every step's parameters are what its action takes."""
    definitions = [
        one.body["spec"]["workflowDefinition"] for one in read(sample(f"{name}.yaml").read_text(encoding="utf-8"), name)
    ]
    steps = [step for definition in definitions for step in definition.get("steps", ())]

    errors = [error for step in steps for error in check(step["action"], step["parameters"])]

    assert errors == []


def test_a_sample_that_is_not_there_is_named() -> None:
    """A broken installation says what is missing."""
    with pytest.raises(ManifestError, match=r"no sample nothing\.yaml"):
        sample("nothing.yaml")


def test_yaml_is_read_as_the_standard_reader_does() -> None:
    """Apart from times the values are those of PyYAML's safe loader."""
    text = f"{HEAD}spec: {{a: yes, b: 1e3, c: '1', d: [~, 0x10], e: {{f: 1.5}}}}"

    assert read(text, "f.yaml")[0].body == yaml.safe_load(text)
