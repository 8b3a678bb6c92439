"""What is kept of what an executor reports: the result, what it changed, what it was like before, what it foresees."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.scheduler.executions import completed, seen

POD = {"kind": "Pod", "namespace": "shop", "name": "a"}


def imaged(image: Any) -> Any:
    """What is kept of what it was like before."""
    return seen({"phase": "executing", "rollbackInformation": {"preImage": image}}).pre_image


def test_the_result_of_an_execution_is_all_that_it_reported() -> None:
    """Fields that nobody here knows as well."""
    results = {"success": True, "scaleResult": {"from": 1, "to": 3}}

    assert results == completed(**results).result


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"phase": "completed"}, id="none was reported"),
        pytest.param({"phase": "completed", "executionResults": None}, id="it is null"),
        pytest.param({"phase": "executing", "executionResults": {"n": 1}}, id="it has not ended"),
        pytest.param({"phase": "failed", "executionResults": {"n": 1}}, id="it failed"),
    ],
)
def test_an_execution_that_did_not_complete_or_reports_nothing_has_no_result(status: dict[str, Any]) -> None:
    """Expressions see null."""
    assert seen(status).result is None


@pytest.mark.parametrize(("size", "kept"), [(1024, True), (1025, False)])
def test_a_result_is_kept_whole_up_to_a_kibibyte(size: int, kept: bool) -> None:  # noqa: FBT001
    """Of a longer one, that there is one and how long it is."""
    results = {"text": "x" * (size - len('{"text":""}'))}

    assert (results if kept else {"shortened": True, "bytes": size}) == completed(**results).result


def named(name: str, **fields: Any) -> dict[str, Any]:
    """A pod that was changed."""
    return POD | {"name": name} | fields


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param((), None, id="nothing was said"),
        pytest.param((POD,), ("Pod/shop/a",), id="as it was said"),
        pytest.param(({"kind": "Node", "namespace": "x", "name": "n"},), ("Node//n",), id="a kind in no namespace"),
        pytest.param(({"kind": "Pod", "name": "a"},), ("Pod//a",), id="no namespace was said"),
        pytest.param((named("a", simulated=True),), (), id="it was only simulated"),
        pytest.param((named("a", simulated=False),), ("Pod/shop/a",), id="it was not only simulated"),
        pytest.param((named("a", simulated=True), named("b")), ("Pod/shop/b",), id="only one was simulated"),
        pytest.param(("text", POD), ("Pod/shop/a",), id="an entry that is no object"),
        pytest.param((named(""), POD), ("Pod/shop/a",), id="a name that is empty"),
        pytest.param((named("a", kind=7), named("b", namespace=7), {"kind": "Pod"}), (), id="what is no thing"),
        pytest.param((named("n" * 256),), (f"Pod/shop/{'n' * 256}",), id="as long a name as any"),
        pytest.param((named("n" * 257),), (), id="a longer name than any"),
        pytest.param(
            tuple(named(str(number)) for number in range(17)),
            tuple(f"Pod/shop/{number}" for number in range(16)),
            id="more than anybody can watch",
        ),
    ],
)
def test_what_an_execution_has_changed(entries: tuple[Any, ...], expected: tuple[str, ...] | None) -> None:
    """Each as `Kind/namespace/name`; all entries are counted as affected."""
    found = completed(resourcesAffected=list(entries))

    assert (expected, len(entries)) == (found.touched, found.affected)


@pytest.mark.parametrize(("size", "kept"), [(1024, True), (1025, False)])
def test_what_it_was_like_before_is_kept_up_to_a_kibibyte(size: int, kept: bool) -> None:  # noqa: FBT001
    """A part of it would undo only a part."""
    image = {"text": "x" * (size - len('{"text":""}'))}

    assert (image if kept else None) == imaged(image)


@pytest.mark.parametrize("information", [None, "text", {}, {"preImage": None}, {"preImage": "text"}, {"preImage": [1]}])
def test_what_it_was_like_before_must_be_an_object(information: Any) -> None:
    """Nothing can be undone from anything else."""
    assert seen({"phase": "completed", "rollbackInformation": information}).pre_image is None


FORESEEN = {"resourceChanges": ["replicas 2 -> 3"], "potentialIssues": ["quota is near"], "warnings": ["slow"]}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param(FORESEEN, ("replicas 2 -> 3", "!quota is near", "!slow"), id="changes, then what may go wrong"),
        pytest.param({"resourceChanges": ["a"]}, ("a",), id="only changes"),
        pytest.param({"potentialIssues": ["a"]}, ("!a",), id="only what may go wrong"),
        pytest.param({"warnings": ["a"]}, ("!a",), id="only warnings"),
        pytest.param({}, (), id="nothing"),
        pytest.param(
            {"resourceChanges": "ab", "potentialIssues": {"a": 1}, "warnings": ["c"]}, ("!c",), id="what is no list"
        ),
        pytest.param(
            {"resourceChanges": [7, "a"], "potentialIssues": [None, "b"], "warnings": [{}, "c"]},
            ("a", "!b", "!c"),
            id="what is no text",
        ),
        pytest.param({"resourceChanges": ["x" * 257]}, ("x" * 256,), id="no more than 256 characters of each"),
        pytest.param({"potentialIssues": ["x" * 257]}, (f"!{'x' * 255}",), id="the mark counted"),
        pytest.param({"resourceChanges": ["a"] * 17}, ("a",) * 16, id="no more than 16"),
        pytest.param({"resourceChanges": ["a"] * 15, "warnings": ["b"] * 2}, (*["a"] * 15, "!b"), id="of both"),
    ],
)
def test_what_a_dry_run_foresees(results: dict[str, Any], expected: tuple[str, ...]) -> None:
    """For the people who approve the run."""
    assert expected == completed(purpose="dry_run", **results).findings


@pytest.mark.parametrize(
    ("status", "purpose"),
    [
        pytest.param({"phase": "completed", "executionResults": FORESEEN}, "execute", id="what is carried out"),
        pytest.param({"phase": "executing", "executionResults": FORESEEN}, "dry_run", id="before its end"),
        pytest.param({"phase": "completed"}, "dry_run", id="a dry run that reports nothing"),
        pytest.param({"phase": "completed", "executionResults": None}, "dry_run", id="that reports null"),
    ],
)
def test_nothing_is_foreseen_by(status: dict[str, Any], purpose: str) -> None:
    """Only the end of a dry run foresees."""
    assert () == seen(status, purpose=purpose).findings


@pytest.mark.parametrize("purpose", ["execute", "dry_run"])
def test_results_with_a_number_that_no_computer_holds_are_left_out(purpose: str) -> None:
    """The end counts all the same."""
    status = msgspec.Raw(b'{"phase":"completed","executionResults":{"success":true,"n":1e999}}')

    found = seen(status, purpose=purpose)

    assert ("completed", None, ()) == (found.ending, found.result, found.findings)
