"""What the finished steps in the audit show of each action, as the message that the scheduler reads. Pure.

The same facts are the same message with the same id, whoever makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, Learned, encode
from schemas.names import digest
from schemas.run_state import LearnedAction

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCE: Final = "/kubernaut/auditor"
MOST_STEPS: Final = 500
"""Finished steps of an action that are looked at, the newest first: what was true a year ago may not be true now."""
_DIGITS: Final = 4
"""Of a success rate: one in ten thousand is finer than 500 steps can tell."""
_TYPE: Final = TYPE_OF[Learned]
_DECODER: Final = msgspec.json.Decoder(Learned)


class ActionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest finished steps of one action show. The fields have the names of the statement's columns."""

    action: str
    executions: int
    """Retries included."""
    succeeded: int
    p50_ms: int
    """From the command to the end of a step's last execution."""
    p95_ms: int
    newest_ms: int
    """When the newest of the steps ended, in ms since 1970."""


def learned(facts: Iterable[ActionFacts]) -> Learned:
    """Return what is learned from the facts; of nothing, nothing."""
    by_action = {one.action: one for one in facts if one.executions > 0}
    return Learned(
        until=max((one.newest_ms for one in by_action.values()), default=0),
        actions={name: _figures(by_action[name]) for name in sorted(by_action)},
    )


def is_news(made: Learned, known: bytes | None) -> bool:
    """Tell whether `made` is to replace the body `known` of the message in the bucket (None: there is none).

    What was made of older steps never replaces what was made of newer ones; what cannot be read is replaced.
    """
    if not made.actions:
        return False
    try:
        before = _DECODER.decode(known or b"")
    except (msgspec.DecodeError, RecursionError):
        return True
    return made.until >= before.until and made.actions != before.actions


def event(body: Learned) -> Event:
    """Return the message that tells it."""
    data = encode(body)
    return Event(subject=subjects.LEARNED, id=f"learned/{digest(data.decode())}", type=_TYPE, source=SOURCE, data=data)


def _figures(facts: ActionFacts) -> LearnedAction:
    return LearnedAction(
        runs=facts.executions,
        success_rate=round(min(facts.succeeded / facts.executions, 1.0), _DIGITS),
        p50=facts.p50_ms / 1000,
        p95=facts.p95_ms / 1000,
    )
