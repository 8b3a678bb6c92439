"""What a version of an execution is read into: who it is and how it ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.inputs import Execution
from schemas.execution import KNOWN_PHASES
from tests.scheduler.executions import read, seen

GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def test_an_execution_that_was_just_created_tells_who_it_is_and_nothing_else() -> None:
    """Its status comes later. Where nothing is said, trying again may help and something may have been done."""
    expected = Execution(
        name="leak-step-3",
        uid="u-3-2",
        version=7,
        step=3,
        attempt=2,
        key="k-3-2",
        ending="",
        deleting=False,
        gone=False,
        known_phase=True,
        purpose="execute",
        reason="",
        error="",
        retryable=True,
        executed=True,
        result=None,
        affected=0,
        touched=None,
        pre_image=None,
        findings=(),
    )
    assert [expected, expected] == [seen(), seen({})]


def test_a_version_that_is_no_number_comes_before_every_other() -> None:
    """Versions are ordered as numbers; Kubernetes has never given another."""
    assert [12, 0] == [seen(version="12").version, seen(version="seven").version]


def test_an_object_that_does_not_say_what_it_is_cannot_be_read() -> None:
    """Whoever reads it puts it aside."""
    with pytest.raises(msgspec.MsgspecError):
        read(b'{"metadata":{"name":"leak-step-3"},"spec":{},"status":{"phase":"completed"}}')


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({"phase": "executing", "failure": {"reason": "Slow"}}, ("", "", ""), id="what goes on has not"),
        pytest.param({"phase": "completed"}, ("completed", "", ""), id="completed, without a word"),
        pytest.param(
            {"phase": "completed", "executionResults": {}}, ("completed", "", ""), id="completed, success not named"
        ),
        pytest.param(
            {"phase": "completed", "executionResults": {"success": True}}, ("completed", "", ""), id="with success"
        ),
        pytest.param(
            {"phase": "completed", "executionResults": {"success": False}},
            ("failed", "unsuccessful", "the executor reported the action as completed without success"),
            id="completed without success",
        ),
        pytest.param(
            {"phase": "completed", "executionResults": {"success": False}, "failure": {"reason": "Slow"}},
            ("failed", "Slow", "the executor gave no message"),
            id="completed without success, for a reason",
        ),
        pytest.param(
            {"phase": "failed"}, ("failed", "failed", "the executor gave no reason"), id="failed, without a word"
        ),
        pytest.param(
            {"phase": "failed", "failure": {}},
            ("failed", "failed", "the executor gave no message"),
            id="failed, and what it says is empty",
        ),
        pytest.param(
            {"phase": "failed", "failure": {"reason": "Slow", "message": "it took too long"}},
            ("failed", "Slow", "it took too long"),
            id="failed, for a reason",
        ),
    ],
)
@pytest.mark.parametrize("deleted", [False, True], ids=["there", "gone"])
def test_how_an_execution_ended(status: dict[str, Any], expected: tuple[str, str, str], deleted: bool) -> None:  # noqa: FBT001
    """The executor's word first; one that is gone without it was deleted."""
    found = seen(status, deleted=deleted)

    if deleted and not expected[0]:
        expected = ("deleted", "deleted", "the KubernetesExecution was deleted before it had ended")
    assert (*expected, deleted) == (found.ending, found.reason, found.error, found.gone)


def test_one_that_is_being_deleted_has_not_ended() -> None:
    """It may still end by itself while a finalizer holds it."""
    found = seen({"phase": "executing"}, metadata=GOING)

    assert (True, False, "") == (found.deleting, found.gone, found.ending)


@pytest.mark.parametrize(
    ("status", "known"),
    [
        *(pytest.param({"phase": phase}, True, id=phase) for phase in sorted(KNOWN_PHASES)),
        pytest.param({}, True, id="none yet"),
        pytest.param({"phase": "meditating"}, False, id="one that nobody knows"),
        pytest.param({"phase": 7}, False, id="one that is no text"),
        pytest.param("completed", False, id="a status that is no object"),
    ],
)
def test_a_phase_that_is_not_known_is_told_apart(status: Any, known: bool) -> None:  # noqa: FBT001
    """So that it can be counted: the executor may be newer than this."""
    assert known == seen(status).known_phase


@pytest.mark.parametrize("status", [None, "completed", 7, ["completed"], {"phase": 7}], ids=repr)
@pytest.mark.parametrize("purpose", ["execute", "dry_run", "rollback"])
def test_the_end_of_an_execution_is_read_whatever_its_status_is(purpose: str, status: Any) -> None:
    """The executor is another product; nothing that it writes may keep a step from ending."""
    found = seen(status, purpose=purpose, deleted=True)

    assert ("deleted", False, ()) == (found.ending, found.known_phase, found.findings)


def test_what_an_executor_says_of_a_failure_is_kept_to_a_length() -> None:
    """128 characters of its reason, 1024 of its message."""
    found = seen({"phase": "failed", "failure": {"reason": "r" * 129, "message": "m" * 1025}})

    assert ("r" * 128, "m" * 1024) == (found.reason, found.error)


@pytest.mark.parametrize(("said", "expected"), [(None, True), (True, True), (False, False)])
@pytest.mark.parametrize("what", ["retryable", "executed"])
def test_only_a_clear_no_says_that_nothing_was_done_or_that_it_is_hopeless(
    what: str,
    said: bool | None,  # noqa: FBT001
    expected: bool,  # noqa: FBT001
) -> None:
    """Each by itself."""
    found = seen({"phase": "failed", "failure": {what: said}})

    other = "executed" if what == "retryable" else "retryable"
    assert (expected, True) == (getattr(found, what), getattr(found, other))
