"""The queue of runs as a pure decision: whose turn it is, and that nobody is lost or passed over."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.queueing import RANKS, Release, Request, decide_queue, needs_refill
from schemas.messages import Cause, QueueDecided, encode
from schemas.queue_state import QueueEntry, QueueState
from schemas.workflow import Priority

NOW = 1_700_000_000_000
"""An arbitrary broker time in ms."""
LIMIT = 2
ROOM = 3


def an_entry(uid: str, priority: Priority = "normal", age: int = 0) -> QueueEntry:
    """A run that was created `age` seconds before the others."""
    return QueueEntry(RANKS[priority], NOW - 1000 * age, uid)


A, B, C, D = (an_entry(uid, age=9 - place) for place, uid in enumerate("abcd"))
"""In the order of their turn."""
OTHERS = True
"""More wait than are named."""


def asks(entry: QueueEntry) -> Request:
    """The run asks for a place."""
    return Request(entry, Cause(f"{entry.uid} asks", 1, "test"))


def leaves(uid: str) -> Release:
    """The run has ended."""
    return Release(uid, Cause(f"{uid} leaves", 2, "test"))


def a_queue(active: str = "", *waiting: QueueEntry, overflow: bool = False) -> QueueDecided:
    """A decision after which these have a place and those wait."""
    state = QueueState(limit=LIMIT, active=tuple(active), waiting=waiting, overflow=overflow)
    return QueueDecided(version=7, now=NOW, causes=(), state=state)


def decided(
    before: QueueDecided | None,
    *happened: Request | Release,
    refill: Sequence[QueueEntry] | None = None,
    limit: int = LIMIT,
    room: int = ROOM,
) -> QueueDecided | None:
    """Decide on what happened, where two may run and three can be named."""
    requests = [each for each in happened if isinstance(each, Request)]
    releases = [each for each in happened if isinstance(each, Release)]
    return decide_queue(before, requests, releases, refill, limit=limit, now=NOW, room=room)


def shown(found: QueueDecided | None) -> tuple[str, str, str, bool]:
    """Who was admitted, who runs, who waits, and whether there are others."""
    assert found is not None
    waiting = "".join(entry.uid for entry in found.state.waiting)
    return "".join(found.admitted), "".join(found.state.active), waiting, found.state.overflow


@pytest.mark.parametrize(
    ("before", "happened", "expected"),
    [
        pytest.param(None, [asks(A)], ("a", "a", "", False), id="the first has a place at once"),
        pytest.param(None, [asks(C), asks(A), asks(B)], ("ab", "ab", "c", False), id="of three, the first two in turn"),
        pytest.param(a_queue("xy"), [asks(C)], ("", "xy", "c", False), id="who finds no place waits"),
        pytest.param(a_queue("xy", A, B), [leaves("x")], ("a", "ya", "b", False), id="a free place goes to the first"),
        pytest.param(a_queue("xy", B), [leaves("x"), asks(A)], ("a", "ya", "b", False), id="even if just come"),
        pytest.param(a_queue("xy", A, B), [leaves("a")], ("", "xy", "b", False), id="who waits may leave the line"),
        pytest.param(
            a_queue("xy"), [asks(A), leaves("a"), asks(B)], ("", "xy", "b", False), id="leaving outdoes asking"
        ),
        pytest.param(
            a_queue("xyz", A), [leaves("x")], ("", "yz", "a", False), id="over a lowered limit nobody gets in"
        ),
        pytest.param(a_queue("x", A), [], ("a", "xa", "", False), id="a raised limit lets those in who wait"),
        pytest.param(
            a_queue("xy", A, C, D), [asks(B)], ("", "xy", "abc", OTHERS), id="a better one pushes the last out"
        ),
        pytest.param(a_queue("xy", A, B, C), [asks(D)], ("", "xy", "abc", OTHERS), id="a worse one is not named"),
        pytest.param(
            a_queue("xy", A, C, overflow=True),
            [asks(D)],
            ("", "xy", "ac", OTHERS),
            id="where others may stand in between nobody is named last",
        ),
        pytest.param(
            a_queue("xy", A, C, overflow=True), [asks(B)], ("", "xy", "abc", OTHERS), id="but before the last one is"
        ),
        pytest.param(
            a_queue("x", overflow=True), [asks(A)], ("", "x", "", OTHERS), id="with nobody named nobody gets in"
        ),
    ],
)
def test_whose_turn_it_is(
    before: QueueDecided | None, happened: list[Request | Release], expected: tuple[str, str, str, bool]
) -> None:
    """Priority, then age; at most the limit; who is not named comes after all who are."""
    assert expected == shown(decided(before, *happened))


@pytest.mark.parametrize(
    ("refill", "expected"),
    [
        pytest.param([B, C], ("a", "xa", "bc", False), id="all that were found can be named: there are no others"),
        pytest.param([], ("a", "xa", "", False), id="nobody was found"),
        pytest.param([A, B], ("a", "xa", "b", False), id="one that is named already is not named twice"),
        pytest.param(
            [B, C, D, an_entry("e")], ("a", "xa", "bcd", OTHERS), id="one more than fits says that there are others"
        ),
    ],
)
def test_a_refill_names_those_who_come_next(refill: list[QueueEntry], expected: tuple[str, str, str, bool]) -> None:
    """From the runs that the log shows as queued; places go to the first of all of them."""
    assert expected == shown(decided(a_queue("x", A, overflow=True), refill=refill))


def test_places_that_take_all_that_were_read_leave_the_others_unnamed() -> None:
    """Four were read of many; all four get in, and still there are others."""
    refill = [A, B, C, D]

    assert ("abcd", "abcd", "", OTHERS) == shown(decided(a_queue(overflow=True), refill=refill, limit=10))


def test_priority_goes_before_age() -> None:
    """Each of these is older than every one of a higher priority."""
    ages: dict[Priority, int] = {"critical": 0, "high": 10, "normal": 20, "low": 30}
    happened = [asks(an_entry(priority, priority, age)) for priority, age in ages.items()]

    found = decided(None, *reversed(happened), limit=4)

    assert found is not None
    assert tuple(ages) == found.admitted


def test_of_two_requests_of_one_run_the_first_is_taken() -> None:
    """The causes stay in the order in which they came."""
    changed = Request(an_entry("a", "low"), Cause("a asks again", 2, "test"))

    found = decided(a_queue("xy"), asks(B), asks(A), changed)

    assert found is not None
    assert ["b asks", "a asks"] == [cause.id for cause in found.causes]
    assert (A, B) == found.state.waiting


def test_a_limit_that_changes_nothing_else_is_no_decision() -> None:
    """It is in the next one."""
    assert decided(a_queue("x"), limit=LIMIT + 1) is None


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        pytest.param([A, B, C], False, id="as many as can be named"),
        pytest.param([A, B, C, D], OTHERS, id="one more"),
    ],
)
@pytest.mark.parametrize("read", [False, True], ids=["who asks", "who is read"])
def test_others_are_out_of_sight_only_where_not_all_can_be_named(
    waiting: list[QueueEntry], *, read: bool, expected: bool
) -> None:
    """Three can be."""
    found = (
        decided(a_queue("xy", overflow=True), refill=waiting)
        if read
        else decided(a_queue("xy"), *(asks(entry) for entry in waiting))
    )

    assert ("", "xy", "abc", expected) == shown(found)


@pytest.mark.parametrize(("named", "room", "expected"), [(1, 3, True), (2, 4, False), (1, 2, False), (2, 5, True)])
def test_the_log_is_read_when_less_than_half_as_many_are_named_as_can_be(
    named: int, room: int, *, expected: bool
) -> None:
    """And only where there are others."""
    waiting = (A, B)[:named]

    assert expected == needs_refill(QueueState(waiting=waiting, overflow=True), room=room)
    assert not needs_refill(QueueState(waiting=waiting), room=room)


@pytest.mark.parametrize(
    "repeated",
    [
        pytest.param(asks(an_entry("x")), id="one with a place asks again"),
        pytest.param(asks(A), id="one that waits asks again"),
        pytest.param(leaves("stranger"), id="one leaves that is not known"),
    ],
)
def test_a_repeat_changes_nothing(repeated: Request | Release) -> None:
    """No decision at all."""
    assert decided(a_queue("xy", A, B), repeated) is None


def test_one_that_is_not_named_makes_a_decision_each_time_it_asks() -> None:
    """So that a refill that has not seen it in the log is not the next decision and says that there are no others."""
    first = decided(a_queue("xy", A, B, C), asks(D))
    again = decided(first, asks(D))

    assert first is not None
    assert again is not None
    assert (8, 9, first.state) == (first.version, again.version, again.state)


def test_a_decision_names_its_causes_and_who_left() -> None:
    """Releases first; what changed nothing is no cause. Versions count from 1 without a gap."""
    found = decided(a_queue("xy", A), leaves("y"), leaves("stranger"), asks(A), asks(B), leaves("a"))

    assert found is not None
    assert ["y leaves", "a leaves", "b asks"] == [cause.id for cause in found.causes]
    assert ("y", "a") == found.left
    assert 8 == found.version


def test_the_time_that_the_queue_knows_never_goes_back() -> None:
    """A message that is older than the last decision, or one without a time, changes nothing about it."""
    found = decide_queue(a_queue(), [asks(A)], [], None, limit=LIMIT, now=NOW - 1)
    later = decide_queue(found, [asks(B)], [], None, limit=LIMIT, now=NOW + 1)

    assert found is not None
    assert later is not None
    assert (NOW, NOW + 1) == (found.now, later.now)


Step = tuple[str, int]


class Everyone:
    """The naive model: everybody who has asked and not left, and the chain of decisions about them."""

    def __init__(self) -> None:
        self.chain: list[QueueDecided] = []
        self.entries: dict[str, QueueEntry] = {}
        self.running: list[str] = []

    @property
    def last(self) -> QueueDecided | None:
        """The newest decision."""
        return self.chain[-1] if self.chain else None

    @property
    def waiting(self) -> list[QueueEntry]:
        """Everyone who waits, best first."""
        return sorted(entry for uid, entry in self.entries.items() if uid not in self.running)

    def meet(self, happened: list[Request | Release], limit: int, refill: list[QueueEntry] | None = None) -> None:
        """Decide, and hold the decision to the model."""
        self.entries |= {each.entry.uid: each.entry for each in happened if isinstance(each, Request)}
        for each in happened:
            if isinstance(each, Release):
                self.entries.pop(each.uid, None)
        before = len(self.running)
        self.running = [uid for uid in self.running if uid in self.entries]
        found = decided(self.last, *happened, refill=refill, limit=limit)
        if found is not None:
            assert len(self.chain) + 1 == found.version
            assert [entry.uid for entry in self.waiting[: len(found.admitted)]] == list(found.admitted)
            self.running += found.admitted
            self.chain.append(found)
        assert len(self.running) <= max(limit, before)
        self.check()

    def check(self) -> None:
        """Everyone has a place, is named or is known to be out of sight, behind all who are named."""
        state = self.last.state if self.last else QueueState()
        named = list(state.waiting)
        assert tuple(self.running) == state.active
        assert len(named) <= ROOM
        assert self.waiting[: len(named)] == named
        assert state.overflow or len(named) == len(self.waiting)

    def read_on(self, limit: int) -> None:
        """What the desk does after each decision."""
        while self.last is not None and needs_refill(self.last.state, room=ROOM):
            named = set(self.last.state.waiting)
            self.meet([], limit, [entry for entry in self.waiting if entry not in named][: ROOM + 1])


GROUPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(["asks", "leaves"]), st.integers(0, 15)), min_size=1, max_size=6),
        st.integers(1, 4),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(turns=st.permutations(range(16)), ranks=st.lists(st.integers(0, 3), min_size=16, max_size=16), groups=GROUPS)
def test_the_best_of_everyone_is_next_and_nobody_is_lost(
    turns: list[int], ranks: list[int], groups: list[tuple[list[Step], int]]
) -> None:
    """Any runs asking and leaving in any order and any number of times, in any groups, under a limit that moves."""
    entries = [QueueEntry(ranks[number], turns[number], f"run-{number}") for number in range(16)]
    model = Everyone()

    for steps, limit in groups:
        model.meet([asks(entries[n]) if what == "asks" else leaves(f"run-{n}") for what, n in steps], limit)
        model.read_on(limit)
        assert not model.waiting or len(model.running) >= limit, "a place is free although somebody waits"


@settings(max_examples=100, deadline=None)
@given(groups=GROUPS)
def test_the_same_inputs_give_the_same_bytes(groups: list[tuple[list[Step], int]]) -> None:
    """In any process: twice over, the chains are equal byte for byte."""

    def chain() -> list[bytes]:
        found: list[QueueDecided] = []
        for steps, limit in groups:
            happened = [asks(an_entry(str(n))) if what == "asks" else leaves(str(n)) for what, n in steps]
            decision = decided(found[-1] if found else None, *happened, limit=limit)
            found += [decision] if decision else []
        return [encode(each) for each in found]

    assert chain() == chain()
