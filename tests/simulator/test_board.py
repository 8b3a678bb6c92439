from __future__ import annotations

import msgspec

from kubernaut.simulator.board import NEVER, Board
from kubernaut.simulator.decide import Earlier
from kubernaut.simulator.execution import Execution
from tests.simulator.builders import an_execution


def version(number: int, phase: str = "", uid: str = "e-1", namespace: str = "shop") -> Execution:
    """Return a version of an execution."""
    execution = an_execution(phase, uid=uid)
    metadata = msgspec.structs.replace(execution.metadata, resource_version=str(number), namespace=namespace)
    return msgspec.structs.replace(execution, metadata=metadata)


def test_what_is_new_is_due_at_once_and_given_to_one_only() -> None:
    """An execution that came in is handed out once, until it is put back."""
    board = Board()
    board.take(version(1), 100)

    first, second = board.pick(100), board.pick(100)

    assert (first, second) == (version(1), None)


def test_old_news_changes_nothing() -> None:
    """A version that is not newer than the known one is dropped."""
    board = Board()
    board.take(version(5, "validated"), 0)

    assert board.take(version(5, "validating"), 0) is False
    assert board.take(version(4, "validating"), 0) is False
    assert board.pick(0) == version(5, "validated")


def test_one_put_back_waits_for_its_time() -> None:
    """What waits is not handed out before it is due."""
    board = Board()
    board.take(version(1), 0)
    board.pick(0)

    board.put_back("e-1", seen=1, due=50, now=10)

    assert (board.next_due(), board.pick(49), board.pick(50)) == (50, None, version(1))


def test_news_that_came_meanwhile_make_it_due_now() -> None:
    """A newer version that came in while one was in hand is looked at as soon as it is put back."""
    board = Board()
    board.take(version(1), 0)
    board.pick(0)
    board.take(version(2), 5)
    assert board.pick(9) is None, "it is in hand"

    board.put_back("e-1", seen=1, due=NEVER, now=10)

    assert board.pick(10) == version(2)


def test_what_hangs_is_woken_by_news_only() -> None:
    """One that is never due stays away until a newer version of it comes."""
    board = Board()
    board.take(version(1), 0)
    board.pick(0)
    board.put_back("e-1", seen=1, due=NEVER, now=0)
    assert board.pick(10**15) is None

    board.take(version(2), 7)

    assert board.pick(7) == version(2)


def test_what_has_ended_does_not_come_back() -> None:
    """Late news about an execution that ended are dropped, however new they claim to be."""
    board = Board()
    board.take(version(3, "completed"), 0)

    assert board.take(version(2, "executing"), 0) is False
    assert len(board) == 0


def test_what_a_list_does_not_hold_is_forgotten_in_its_namespace_only() -> None:
    """A complete list of one namespace says nothing about another."""
    board = Board()
    for uid, namespace in (("e-1", "shop"), ("e-2", "shop"), ("e-3", "bank")):
        board.take(version(1, uid=uid, namespace=namespace), 0)

    board.keep_only("shop", {"e-2"})

    assert len(board) == 2
    board.keep_only(None, {"e-3"})
    assert board.pick(0) == version(1, uid="e-3", namespace="bank")


def test_a_key_belongs_to_the_first_that_claims_it() -> None:
    """The same execution may claim its key again, another is told whose it is and how that ended."""
    board = Board()
    board.claim("key-1", "e-1")

    assert board.claim("key-1", "e-1") is None
    assert board.claim("key-1", "e-2") == Earlier("e-1", None)
    board.take(version(9, "completed"), 0)
    assert board.claim("key-1", "e-2") == Earlier("e-1", version(9, "completed").status)


def test_a_key_is_free_again_when_its_execution_went_before_it_started() -> None:
    """Nothing was carried out for an execution that was deleted while validated; for an executing one it may have."""
    free, taken = Board(), Board()
    free.take(version(1, "validated"), 0)
    taken.take(version(1, "executing"), 0)
    for board in (free, taken):
        board.claim("key-1", "e-1")
        board.forget("e-1")

    assert free.claim("key-1", "e-2") is None
    assert taken.claim("key-1", "e-2") == Earlier("e-1", None)
