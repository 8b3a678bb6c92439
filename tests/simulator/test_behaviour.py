from __future__ import annotations

import pytest

from kubernaut.simulator.behaviour import SUCCEED, Behaviour, BehaviourError, behaviour_of

STEP = "simulator.kubernaut.io/step-3"
ALL = "simulator.kubernaut.io/all-steps"


def of(annotations: dict[str, str], *, attempt: int = 1, purpose: str = "execute") -> Behaviour:
    """Return the behaviour of step 3."""
    return behaviour_of(annotations, step=3, attempt=attempt, purpose=purpose)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("succeed", Behaviour("succeed", 0, STEP)),
        ("fail", Behaviour("fail", 0, STEP)),
        ("fail-before", Behaviour("fail-before", 0, STEP)),
        ("no-pre-image", Behaviour("no-pre-image", 0, STEP)),
        ("slow-end:3s", Behaviour("slow-end", 3, STEP)),
        (" fail ", Behaviour("fail", 0, STEP)),
        ("fail-not-retryable", Behaviour("fail-not-retryable", 0, STEP)),
        ("reject", Behaviour("reject", 0, STEP)),
        ("hang", Behaviour("hang", 0, STEP)),
        ("stall:1m30s", Behaviour("stall", 90, STEP)),
        ("take:250ms", Behaviour("take", 0.25, STEP)),
        ("garbage", Behaviour("garbage", 0, STEP)),
        ("delete", Behaviour("delete", 0, STEP)),
    ],
)
def test_each_form_is_read(text: str, expected: Behaviour) -> None:
    """Each form of the annotation gives its behaviour, with the annotation as its source."""
    assert expected == of({STEP: text})


@pytest.mark.parametrize("form", ["fail", "fail-before"])
@pytest.mark.parametrize(("attempt", "fails"), [(1, True), (2, True), (3, False)])
def test_a_number_of_failures_is_counted_by_attempts(form: str, attempt: int, *, fails: bool) -> None:
    """`fail:2` fails the first two attempts and lets the third succeed, and so does `fail-before:2`."""
    assert (form if fails else "succeed") == of({STEP: f"{form}:2"}, attempt=attempt).kind


def test_without_annotations_it_succeeds() -> None:
    """A workflow that says nothing has its steps succeed."""
    assert of({"other.io/step-3": "fail"}) == SUCCEED


def test_a_step_of_its_own_goes_before_all_steps() -> None:
    """The annotation of a step is stronger than the one for all steps."""
    assert of({STEP: "hang", ALL: "fail"}).kind == "hang"


def test_all_steps_holds_where_a_step_has_none_of_its_own() -> None:
    """The annotation for all steps reaches a step without one."""
    assert of({"simulator.kubernaut.io/step-4": "hang", ALL: "fail"}) == Behaviour("fail", 0, ALL)


@pytest.mark.parametrize("purpose", ["dry_run", "rollback"])
def test_a_failing_step_can_still_be_tried_dry_and_rolled_back(purpose: str) -> None:
    """What is asked of the real execution is not asked of its dry run or its rollback."""
    assert of({STEP: "fail", ALL: "fail"}, purpose=purpose) == SUCCEED


@pytest.mark.parametrize(("purpose", "suffix"), [("dry_run", ".dry-run"), ("rollback", ".rollback")])
def test_dry_runs_and_rollbacks_have_annotations_of_their_own(purpose: str, suffix: str) -> None:
    """A dry run and a rollback obey the step's annotation with their suffix."""
    assert of({STEP + suffix: "fail"}, purpose=purpose).kind == "fail"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fial",
        "fail:",
        "fail:many",
        "fail-before:",
        "stall",
        "stall:",
        "stall:soon",
        "take:5",
        "hang:5s",
        "slow-end",
    ],
)
def test_what_is_not_known_is_an_error_that_names_the_annotation(text: str) -> None:
    """A form that is not known is refused with the name of the annotation."""
    with pytest.raises(BehaviourError, match=r"annotation simulator\.kubernaut\.io/step-3"):
        of({STEP: text})
