"""Makes every decision of a recorded run again and holds it against the recorded one, byte for byte. Pure.

A decision that an earlier release wrote is held against as this one writes the same values: a field that was added
since, and that has its default, is no difference.

Each is made from the recorded decision before it, not from the one made again: so a difference is told where it arises
and is not repeated by all that follow.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from kubernaut.replay.recording import Chain, Made
from scheduler.plan import Plan
from scheduler.redecide import MissingError, begins, inputs_of, learned_of, plan_of, redecide
from schemas.messages import Decision, encode

_COLLECT_AFTER: Final = 100_000
"""Objects more before the garbage collector looks for cycles; a decision leaves none."""


@contextmanager
def few_collections() -> Iterator[None]:
    """Let the garbage collector look seldom while many decisions are made again: a sixth of the time is its own."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """What came of deciding one recorded decision again."""

    made: Made
    decision: Decision | None = None
    """None: nothing is decided now, or `error` says why it could not be tried."""
    same: bool = False
    """Byte for byte, as this version writes it."""
    error: str = ""
    """Why there is nothing to compare: a message is missing, or deciding raised."""


def make_again(chain: Chain) -> Iterator[Again]:
    """Make all decisions of a run again, in order."""
    learned = learned_of([each.decision for each in chain.made])
    plans: dict[int, Plan] = {}
    before: Decision | None = None
    for made in chain.made:
        recorded = made.decision
        try:
            check_before(before, recorded)
            sequence = recorded.state.definition_sequence
            if sequence not in plans:
                plans[sequence] = plan_of(recorded, learned, chain.at.get)
            decision = redecide(plans[sequence], before, inputs_of(recorded, chain.at.get))
        except (MissingError, ValueError, msgspec.MsgspecError) as error:
            yield Again(made=made, error=str(error))
        else:
            yield Again(made=made, decision=decision, same=decision is not None and _same(made, decision))
        before = recorded


def _same(made: Made, decision: Decision) -> bool:
    raw = encode(decision)
    return raw == made.stored.data or raw == encode(made.decision)


def check_before(before: Decision | None, recorded: Decision) -> None:
    """Raise MissingError when there is no decision before one that is not the first of its run."""
    if before is None and not begins(recorded):
        raise MissingError(f"decision {recorded.version - 1}, the one before, is not there")
