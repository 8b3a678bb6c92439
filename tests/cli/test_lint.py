"""Each kind of error at its line and column, all of them at once."""

from __future__ import annotations

import pytest

from kubernaut.cli.linting.checking import check
from kubernaut.cli.linting.files import decoded
from tests.cli.linted import SOUND, changed

WORKFLOW = "spec.workflowDefinition"
STEP = f"{WORKFLOW}.steps[1]"


def told(text: str, severity: str = "error") -> list[tuple[int, int, str, str]]:
    """Return line, column, path and message of everything of a severity."""
    findings = check(text).findings
    return [(each.at.line, each.at.column, each.path, each.message) for each in findings if each.severity == severity]


def test_a_sound_workflow_has_nothing_to_tell() -> None:
    """And it has a plan."""
    found = check(SOUND)

    assert ([], "leak") == (found.findings, found.workflows[0].name)
    assert found.workflows[0].plan is not None


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        pytest.param("a: [1,\nb: 2\n", 3, 1, "bracket is opened and never closed", id="a bracket that is not closed"),
        pytest.param("a: 'x\nb: 2\n", 3, 1, "quote is opened and never closed", id="a quote that is not closed"),
        pytest.param("a:\n\tb: 1\n", 2, 1, "indent with spaces", id="a tab"),
        pytest.param("a: b: c\n", 1, 5, "put text with a colon in quotes", id="a colon in a text"),
        pytest.param("a:\n  b: 1\n c: 2\n", 3, 2, "indentation", id="an indentation that fits nothing"),
        pytest.param("a: *no\n", 1, 4, "no anchor of that name", id="an alias of nothing"),
        pytest.param('a: "\\q"\n', 1, 6, "double it, or use single quotes", id="an escape that is none"),
        pytest.param('a: "\\UFFFFFFFF"\n', 1, 7, "this is no YAML", id="an escape that is no character"),
        pytest.param("a: \x07\n", 1, 4, "U+0007 is not allowed", id="a character that YAML forbids"),
        pytest.param("a: !!binary aGk=\n", 1, 4, "!!binary is no kind of value", id="a tag that JSON does not know"),
        pytest.param("a: .inf\n", 1, 4, ".inf is no number that JSON knows", id="infinity"),
        pytest.param("a: =\n", 1, 4, "put it in quotes", id="a bare equals sign"),
        pytest.param('a: "\\ud800"\n', 1, 4, "lone surrogate", id="half a character"),
        pytest.param("a: &x [*x]\n", 1, 4, "itself a part of", id="an alias of what it is in"),
        pytest.param("? [1]\n: 2\n", 1, 3, "cannot be a key", id="a list as a key"),
        pytest.param("a:\n  <<: 1\n", 2, 7, "<< takes an object", id="a merge of a number"),
        pytest.param("[" * 5000, 1, 1, "nested too deep", id="nesting without end"),
        pytest.param("just words\n", 1, 1, "expected a WorkflowExecution, found 'just words'", id="prose"),
        pytest.param("- 1\n", 1, 1, "expected a WorkflowExecution, found a list", id="a list"),
    ],
)
def test_what_is_no_yaml_is_told_where_it_is(text: str, line: int, column: int, words: str) -> None:
    """The first layer: line and column of the character where reading stopped, and what to do."""
    found = [(at_line, at_column) for at_line, at_column, _, message in told(text) if words in message]

    assert [(line, column)] == found


@pytest.mark.parametrize(
    ("change", "line", "column", "path", "words"),
    [
        pytest.param((2, "kind: WorkflowExecutions"), 2, 7, "kind", "write WorkflowExecution", id="another kind"),
        pytest.param((2, "# no kind"), 1, 1, "kind", "missing; write WorkflowExecution", id="no kind"),
        pytest.param((1, "apiVersion: v1"), 1, 13, "apiVersion", "is 'v1'; write work", id="a version of others"),
        pytest.param(
            (1, "apiVersion: workflowexecution.kubernaut.io/v2"),
            1,
            13,
            "apiVersion",
            "write workflowexecution.kub",
            id="a version that is not there",
        ),
        pytest.param((1, ""), 2, 1, "apiVersion", "missing", id="no version"),
        pytest.param((4, "  namespace: a"), 3, 1, "metadata.name", "missing; write a name", id="no name"),
        pytest.param((4, "  name: Big_Leak"), 4, 9, "metadata.name", "is not a name; use lower-case", id="a bad name"),
        pytest.param(
            (4, "  name: a\n  labels: {on: 'a b'}"), 5, 16, "metadata.labels.true", "text like", id="a bad label"
        ),
        pytest.param(
            (4, "  name: a\n  annotations: {x: yes}"),
            5,
            20,
            "metadata.annotations.x",
            'put it in quotes: "yes"',
            id="a boolean where text must be",
        ),
        pytest.param((7, "    # no name"), 6, 3, f"{WORKFLOW}.name", "missing; write text", id="a missing field"),
        pytest.param((7, "    nane: fix"), 7, 5, f"{WORKFLOW}.nane", "did you mean name?", id="a slip of a field"),
        pytest.param(
            (7, "    name: fix\n    x: 1"), 8, 5, f"{WORKFLOW}.x", "the fields are name", id="an unknown field"
        ),
        pytest.param(
            (7, "    name:"), 7, 5, f"{WORKFLOW}.name", "it has no value; write", id="a field without a value"
        ),
        pytest.param((7, "    name: ''"), 7, 11, f"{WORKFLOW}.name", "it is empty", id="an empty text"),
        pytest.param(
            (8, "    version: 1.10"), 8, 14, f"{WORKFLOW}.version", 'quotes: "1.10"', id="a number as version"
        ),
        pytest.param(
            (8, f"    version: {'x' * 65}"),
            8,
            14,
            f"{WORKFLOW}.version",
            "65 characters long; at most 64",
            id="a long text",
        ),
        pytest.param(
            (16, "        dependsOn: 1"),
            16,
            20,
            f"{STEP}.dependsOn",
            "must be a list (lines that begin with `-`), is 1; write [1]",
            id="a number as list",
        ),
        pytest.param(
            (15, "        parameters: [1]"), 15, 21, f"{STEP}.parameters", "must be an object", id="a list as object"
        ),
        pytest.param(
            (15, "        timeout: 30"), 15, 18, f"{STEP}.timeout", "30s is seconds", id="a duration without unit"
        ),
        pytest.param(
            (15, "        timeout: 5 min"), 15, 18, f"{STEP}.timeout", "is not a duration; write", id="no duration"
        ),
        pytest.param(
            (16, '        maxRetries: "3"'),
            16,
            21,
            f"{STEP}.maxRetries",
            "take the quotes away: 3",
            id="a number in quotes",
        ),
        pytest.param(
            (16, "        maxRetries: 11"), 16, 21, f"{STEP}.maxRetries", "must be 0 to 10, is 11", id="a limit"
        ),
        pytest.param(
            (16, "        maxRetries: 1.5"), 16, 21, f"{STEP}.maxRetries", "a whole number", id="half a retry"
        ),
        pytest.param(
            (16, "        criticalStep: 'no'"),
            16,
            23,
            f"{STEP}.criticalStep",
            "take the quotes away: no",
            id="a boolean in quotes",
        ),
        pytest.param(
            (18, "    rollbackStrategy: automatc"),
            18,
            23,
            "spec.executionStrategy.rollbackStrategy",
            "did you mean automatic?",
            id="a slip of a choice",
        ),
        pytest.param((13, "      - stepNumber: 0"), 13, 21, f"{STEP}.stepNumber", "must be 1 to", id="the step 0"),
        pytest.param((13, "      - name: x"), 13, 9, f"{STEP}.stepNumber", "missing; write a whole", id="no number"),
        pytest.param((18, "  {}: 1"), 18, 3, "spec", "cannot be a key", id="an object as key"),
    ],
)
def test_a_shape_that_is_wrong_is_told_at_its_field(
    change: tuple[int, str], line: int, column: int, path: str, words: str
) -> None:
    """The second layer: the schema of the object, with the value as it was written and what to write."""
    assert [(line, column, path)] == [
        (at, col, where) for at, col, where, said in told(changed(change)) if words in said
    ]


@pytest.mark.parametrize(
    ("change", "line", "column", "path", "words"),
    [
        pytest.param(
            (16, "        dependsOn: [1, 9]"),
            16,
            24,
            f"{STEP}.dependsOn[1]",
            "no step 9",
            id="a step that is not there",
        ),
        pytest.param(
            (16, "        dependsOn:\n          - 1\n          - 9"),
            18,
            13,
            f"{STEP}.dependsOn[1]",
            "no step 9",
            id="in a block",
        ),
        pytest.param(
            (13, "      - stepNumber: 1"), 9, 5, f"{WORKFLOW}.steps", "step number 1 is used by", id="a number twice"
        ),
        pytest.param((16, "        dependsOn: [2]"), 9, 5, f"{WORKFLOW}.steps", "in a cycle: 2 -> 2", id="a cycle"),
        pytest.param(
            (14, "        action: notify_onyl"),
            14,
            17,
            f"{STEP}.action",
            "did you mean notify_only?",
            id="a slip of an action",
        ),
        pytest.param(
            (15, "        parameters: {mesage: hi}"),
            15,
            22,
            f"{STEP}.parameters.mesage",
            "did you mean message?",
            id="a slip of a parameter",
        ),
        pytest.param(
            (15, "        parameters: {}"), 15, 21, f"{STEP}.parameters.message", "missing", id="a missing parameter"
        ),
        pytest.param((15, "        # none"), 13, 9, f"{STEP}.parameters.message", "missing", id="missing parameters"),
        pytest.param(
            (15, "        parameters: {message: 1}"),
            15,
            31,
            f"{STEP}.parameters.message",
            "must be",
            id="a parameter of another type",
        ),
        pytest.param(
            (15, "        parameters: {message: hi, 'a.b [c': 1}"),
            15,
            35,
            f"{STEP}.parameters.'a.b [c'",
            "unknown parameter",
            id="an odd key",
        ),
        pytest.param(
            (17, "    dependencies: {'2': [1, 7]}"),
            17,
            29,
            f"{WORKFLOW}.dependencies['2'][1]",
            "no step 7",
            id="in dependencies",
        ),
        pytest.param(
            (17, "    dependencies: {9: [1]}"),
            17,
            20,
            f"{WORKFLOW}.dependencies['9']",
            "names no step",
            id="a key of dependencies",
        ),
        pytest.param(
            (17, "    dependencies: {'02': [1]}"),
            17,
            20,
            f"{WORKFLOW}.dependencies['02']",
            'as it is: "2"',
            id="a key with a zero",
        ),
        pytest.param(
            (16, "        runIf: variables.x == '1'"),
            16,
            25,
            f"{STEP}.runIf",
            "no variable x",
            id="a variable that is not there",
        ),
        pytest.param(
            (16, "        runIf: true &&"), 16, 23, f"{STEP}.runIf", "expression", id="an expression that is none"
        ),
        pytest.param((16, "        timeout: 0s"), 16, 18, f"{STEP}.timeout", "must be more than 0", id="no time"),
    ],
)
def test_a_broken_rule_is_told_at_its_field(
    change: tuple[int, str], line: int, column: int, path: str, words: str
) -> None:
    """The third layer: what the scheduler's planning refuses, at the place of the path that it names."""
    lines = [change, (18, "")] if change[0] == 17 else [change]

    found = [(at, col, where) for at, col, where, said in told(changed(*lines)) if words in said]

    assert [(line, column, path)] == found


def test_a_workflow_without_steps_is_told_once() -> None:
    """Not by each layer."""
    lines = SOUND.splitlines()
    text = "\n".join([*lines[:8], "    steps: []", *lines[16:]])

    assert [(9, 12, f"{WORKFLOW}.steps")] == [each[:3] for each in told(text)]


def test_errors_of_all_layers_are_told_together() -> None:
    """One slip hides no other: what is wrong in the shape is left out for the rules."""
    text = changed(
        (8, "    version: 1"),
        (11, "        action: cordon_nod"),
        (15, "        parameters: {message: hi}\n        parameters: {message: hi}"),
        (16, "        dependsOn: [7]"),
    )

    assert [
        (8, 14, f"{WORKFLOW}.version"),
        (11, 17, f"{WORKFLOW}.steps[0].action"),
        (16, 9, f"{STEP}.parameters"),
        (17, 21, f"{STEP}.dependsOn[0]"),
    ] == [each[:3] for each in told(text)]


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        pytest.param((10, "      - stepNumber: x"), [f"{WORKFLOW}.steps[0].stepNumber"], id="a number hides who it is"),
        pytest.param((14, "        action: 7"), [f"{STEP}.action"], id="an action hides what it needs"),
        pytest.param((15, "        parameters: x"), [f"{STEP}.parameters"], id="parameters hide what is missing"),
        pytest.param(
            (14, "        acton: notify_only"), [f"{STEP}.acton"], id="a slip of a required field is one error"
        ),
    ],
)
def test_what_only_follows_from_an_error_is_not_told(change: tuple[int, str], paths: list[str]) -> None:
    """Nobody wants to read that step 1 is missing because its number is no number."""
    assert paths == [path for _, _, path, _ in told(changed(change))]


def test_a_broken_document_does_not_hide_the_next() -> None:
    """Reading goes on behind the next line of ---."""
    text = "a: [1\n---\n" + changed((18, "    parallelismLimit: 0")) + "---\nb: 'x\n"

    assert [(2, 1), (20, 23), (23, 1)] == [each[:2] for each in told(text)]


def test_several_documents_are_all_checked() -> None:
    """Each at its own lines; what is nothing of ours is skipped with a note."""
    text = f"{SOUND}---\nkind: ConfigMap\napiVersion: v1\n---\n{changed((14, '        action: x'))}"

    found = check(text)

    assert [None, None] != [each.plan for each in found.workflows]
    assert [(20, "note"), (36, "error")] == [(each.at.line, each.severity) for each in found.findings]


def test_the_items_of_a_list_are_checked() -> None:
    """As kubectl takes them."""
    indented = changed((14, "        action: x")).replace("\n", "\n    ").rstrip()

    assert [(16, 21)] == [each[:2] for each in told(f"kind: List\nitems:\n  - {indented}\n")]


def test_anchors_and_merges_are_followed() -> None:
    """An error in a merged value is told where it is written."""
    step = "      - &base\n        stepNumber: 1\n        action: cordon_node\n        parameters: {node: A}"
    text = changed((10, step), (11, ""), (12, ""), (13, "      - <<: *base\n        stepNumber: 2"), (14, ""), (15, ""))

    assert [(13, 28, f"{WORKFLOW}.steps[0].parameters.node"), (13, 28, f"{STEP}.parameters.node")] == [
        each[:3] for each in told(text)
    ]


def test_aliases_that_multiply_are_stopped() -> None:
    """A small file cannot take all memory."""
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )

    assert ["more than 200000 values"] == [message[:23] for *_, message in told(bomb)]


@pytest.mark.parametrize(
    ("written", "column"),
    [
        pytest.param("size(variables.none) > 1", 16 + 14, id="without quotes"),
        pytest.param("'size(variables.none) > 1'", 16 + 15, id="in quotes"),
        pytest.param('"1 < size(variables.none) \\x26& true"', 16, id="with escapes, where counting would be wrong"),
        pytest.param(">-\n          size(variables.none) > 1", 16, id="in a block"),
    ],
)
def test_an_expression_is_pointed_into(written: str, column: int) -> None:
    """The column is that in the file, where it can be known; else that of the whole expression."""
    [found] = told(changed((16, f"        runIf: {written}")))

    assert (16, column, f"{STEP}.runIf") == found[:3]


def test_a_secret_is_never_shown() -> None:
    """Neither as a value nor in what to write instead."""
    text = changed((15, "        parameters: {message: hi}\n        timeout: ghp_abcdefghijklmnopqrstuvwxyz0123456789"))

    [(*_, message)] = told(text)

    assert "ghp_" not in message


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        pytest.param(b"a: \xff\n", 1, 4, id="in the first line"),
        pytest.param("ä: 1\nb: ".encode() + b"\xfe", 2, 4, id="behind wider characters"),
        pytest.param(b"\xef\xbb\xbfa: \xff", 1, 4, id="behind a byte order mark"),
    ],
)
def test_bytes_that_are_no_utf8_are_placed(raw: bytes, line: int, column: int) -> None:
    """With the first of them; the rest of the file is read."""
    text, [finding] = decoded(raw)

    assert (line, column) == finding.at
    assert "\ufffd" in text
