"""Nothing that a file may hold makes lint raise, and every finding is at a place of the file."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubernaut.cli.linting.checking import check
from kubernaut.cli.linting.documents import lines_of, read
from kubernaut.cli.linting.files import decoded
from kubernaut.cli.linting.report import Report, as_json, lines, summary
from tests.cli.linted import SOUND

PIECES = st.sampled_from(
    [
        "a",
        ": ",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "&x ",
        "*x",
        "<<",
        "!!int ",
        "|",
        ">",
        "#",
        "---\n",
        "...\n",
        "\t",
        "=",
        "~",
        "0x",
        ".nan",
        "kind: WorkflowExecution\n",
        "spec:\n",
        "\ud800",
        "\x85",
        "\u2028",
        "%YAML 9\n",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def tell(text: str) -> None:
    """Check a text and render everything that is found."""
    found = check(text)
    report = Report(file="f.yaml", text=text, findings=found.findings, workflows=len(found.workflows))
    for line in [*lines(report, excerpts=True), summary([report])]:
        assert line.plain.replace("·", "").isprintable()
    json.dumps(as_json([report])).encode()
    last = len(lines_of(text))
    assert all(1 <= each.at.line <= last and each.at.column >= 1 for each in found.findings)
    assert all((each.plan is None) or not each.plan.errors for each in found.workflows)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=80) | st.lists(PIECES, max_size=25).map("".join))
@example(text="a: &a [*a]\n")
@example(text="? {}\n")
@example(text="kind: WorkflowExecution\napiVersion: workflowexecution.kubernaut.io/v1")
def test_any_text_is_told_about(text: str) -> None:
    """Pieces of YAML in any order, and text that is nothing at all."""
    tell(text)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_told_about(raw: bytes) -> None:
    """What is no UTF-8 is one more finding."""
    text, findings = decoded(raw)

    tell(text)
    assert all(each.at.line <= len(lines_of(text)) for each in findings)


@st.composite
def broken_workflows(draw: st.DrawFn) -> str:
    """The sound workflow with any value in the place of any field."""
    body = yaml.safe_load(SOUND)
    node, way = body, []
    while isinstance(node, dict | list) and node and (not way or draw(st.booleans())):
        way.append(draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node))))))
        node = node[way[-1]]
    inner = body
    for key in way[:-1]:
        inner = inner[key]
    if way:
        inner[way[-1]] = draw(VALUES)
    text: str = yaml.safe_dump(body, allow_unicode=draw(st.booleans()), default_flow_style=draw(st.booleans()))
    return text


@settings(max_examples=300, deadline=None)
@given(text=broken_workflows())
def test_any_value_in_any_place_is_told_about(text: str) -> None:
    """Whatever stands where something else should."""
    tell(text)


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(st.text(min_size=1, max_size=8), VALUES, min_size=1, max_size=4))
def test_values_are_read_as_they_were_written(value: dict[str, Any]) -> None:
    """What JSON can hold comes out as it went in."""
    text = json.dumps(value, allow_nan=False) if _finite(value) else "{}"
    expected = json.loads(text)

    found, findings = read(text.replace("\x7f", "\\u007f"))

    if not findings:
        assert [expected] == [each.value for each in found]


def _finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(_finite(each) for each in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or value - value == 0
