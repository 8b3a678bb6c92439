"""What the sweep knows: the earliest timer of each run, which are late, and how often each was tried."""

from __future__ import annotations

import msgspec
import pytest

from scheduler.timer_index import Overdue, TimerIndex

NOW = 1_700_000_000_000
LATE = NOW - 60_000


def a_decision(due_at: int | None, phase: str = "executing", **fields: object) -> bytes:
    """A decision after which a run has this timer, as far as the index reads it."""
    timers = {} if due_at is None else {"workflow": due_at, "later": due_at + 1000}
    return msgspec.json.encode({"state": {"phase": phase, "timers": timers} | fields})


def an_index(remembered: int = 100, **due: int) -> TimerIndex:
    """An index of runs with these timers."""
    index = TimerIndex(remembered)
    for uid, due_at in due.items():
        index.take(uid, a_decision(due_at))
    return index


def sent(index: TimerIndex, now: int = NOW) -> list[Overdue]:
    """One round of the sweep, in which every wake-up is sent."""
    found = index.begin_round(now)
    for each in found:
        index.tried(each.workflow_uid)
    return found


@pytest.mark.parametrize(("age", "late"), [(5000, False), (5001, True)])
def test_a_wake_up_is_lost_after_five_seconds(age: int, *, late: bool) -> None:
    """Until then it may be on its way, or be worked on."""
    assert late == bool(sent(an_index(a=NOW - age)))


def test_those_due_first_are_woken_first() -> None:
    """Of one moment in the order of their uids, however they were met."""
    index = an_index(c=LATE, a=LATE + 2, d=LATE + 1, b=LATE + 1)

    assert [("c", LATE), ("b", LATE + 1), ("d", LATE + 1), ("a", LATE + 2)] == [
        (each.workflow_uid, each.due_at) for each in sent(index)
    ]


def test_those_that_are_not_due_stand_in_nobody_s_way() -> None:
    """Whichever run was met first."""
    assert ["late"] == [each.workflow_uid for each in sent(an_index(early=NOW, late=LATE))]


def test_one_that_nothing_comes_of_is_tried_in_ever_fewer_rounds() -> None:
    """In the next one, then after 1, 3, 7 and at most 15 rounds."""
    index = an_index(a=LATE)

    rounds = [number for number in range(60) if sent(index)]

    assert [0, 1, 3, 7, 15, 31, 47] == rounds


@pytest.mark.parametrize(
    "anew",
    [
        pytest.param([a_decision(None), a_decision(LATE)], id="it had no timer in between"),
        pytest.param([a_decision(LATE + 1)], id="its timer is another one"),
    ],
)
def test_a_new_timer_has_not_been_tried(anew: list[bytes]) -> None:
    """It is tried at once, and counts from 0."""
    index = an_index(a=LATE)
    for _ in range(3):
        sent(index)

    for decision in anew:
        index.take("a", decision)

    assert [0] == [each.tries for each in sent(index)]


def test_the_same_timer_in_a_new_decision_has_been_tried() -> None:
    """Decisions that do not move it do not start the tries anew."""
    index = an_index(a=LATE)
    sent(index)

    index.take("a", a_decision(LATE))

    assert [1] == [each.tries for each in sent(index)]


def test_of_more_runs_than_are_remembered_the_half_that_is_due_first_is_kept() -> None:
    """With how often each was tried; and it is known from when on the others may be due."""
    index = an_index(4, a=LATE, b=LATE + 1)
    sent(index)
    index.take("c", a_decision(LATE + 3))
    index.take("d", a_decision(LATE + 4))
    assert 4 == len(index)

    index.take("e", a_decision(LATE + 2))

    assert [("a", 1), ("b", 1)] == [(each.workflow_uid, each.tries) for each in sent(index)]
    assert (False, True) == (index.incomplete(LATE + 1), index.incomplete(LATE + 2))
    index.take("f", a_decision(LATE + 2))
    assert 2 == len(index)


@pytest.mark.parametrize(
    ("decision", "over"),
    [
        pytest.param(a_decision(LATE), False, id="it runs"),
        pytest.param(a_decision(LATE, phase="completed"), True, id="it has ended and waits for its deletion"),
        pytest.param(a_decision(LATE, gone=True), True, id="its object is gone"),
    ],
)
def test_a_run_that_is_over_is_told(decision: bytes, *, over: bool) -> None:
    """One that is gone has no timer any more."""
    index = TimerIndex()

    assert over == index.take("a", decision)
    assert (None if b"gone" in decision else LATE) == index.due_at("a")


@pytest.mark.parametrize("due_at", [0, 2**53])
def test_a_timer_may_be_any_time_that_json_can_hold(due_at: int) -> None:
    """Also the first and the last of them."""
    index = TimerIndex()

    index.take("a", a_decision(None, timers={"workflow": due_at}))

    assert due_at == index.due_at("a")


@pytest.mark.parametrize("due_at", [-1, 2**53 + 1])
def test_a_decision_with_any_other_time_is_none(due_at: int) -> None:
    """It is somebody else's, and what is known of the run stays."""
    index = an_index(a=LATE)

    with pytest.raises(msgspec.ValidationError):
        index.take("a", a_decision(None, timers={"workflow": due_at}))

    assert LATE == index.due_at("a")


def test_a_decision_without_timers_has_none() -> None:
    """An encoder may leave out what is empty."""
    index = an_index(a=LATE)

    over = index.take("a", msgspec.json.encode({"state": {"phase": "executing"}}))

    assert (False, None) == (over, index.due_at("a"))
