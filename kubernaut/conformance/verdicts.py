"""What a consumer did, judged: one function a behaviour, from what was played and the lines that it wrote. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kubernaut.conformance.story import Message

Line = dict[str, Any]
KINDS: Final = ("event", "unknown", "unreadable", "gap")
SHOWN: Final = 3


class Verdict(msgspec.Struct, frozen=True):
    """Whether a consumer shows a behaviour; `detail` says what is wrong, empty when it passed."""

    behaviour: str
    expected: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.detail


EXPECTED: Final = {
    "late-joiner": "started after the events were told, it processes all of them from the first on",
    "order": "the events of one workflow are processed in the order of their ordinals",
    "follow": "it goes on with events that are told while it runs",
    "duplicates": "an event that is in the stream twice is processed once",
    "unknown-minor": "an event with a field and an attribute that it does not know is processed like any other",
    "unknown-type": "an event of a type that it does not know is told as unknown, and it goes on",
    "gap": "ordinals that retention dropped are told as a gap, before the event after them",
    "poison": "a message that is no event is told as unreadable, and it goes on",
    "redelivery": "killed before it acknowledged, it loses nothing",
    "durable": "started again, it goes on where it stopped and not from the first event",
}


def verdict(behaviour: str, detail: str) -> Verdict:
    """Return a verdict with what is expected in words."""
    return Verdict(behaviour, EXPECTED[behaviour], detail)


def parse(text: str) -> Line:
    """Return a line that a consumer wrote. Raises ValueError that says what is wrong with it."""
    try:
        line = json.loads(text)
    except ValueError as error:
        raise ValueError(f"a line is no JSON: {text[:80]!r}") from error
    if not isinstance(line, dict) or line.get("kind") not in KINDS:
        raise ValueError(f"a line has no kind among {', '.join(KINDS)}: {text[:80]!r}")
    return line


def ids_of(lines: Sequence[Line]) -> list[str]:
    """Ids of the events that were processed, in order; not of what was only shown as repeated."""
    return [str(line.get("id")) for line in lines if line["kind"] == "event" and not line.get("repeated")]


def all_processed(told: Sequence[Message], lines: Sequence[Line]) -> str:
    """Every event has a line."""
    found = set(ids_of(lines))
    return _listed("not processed", [message.id for message in told if message.id not in found])


def in_order(told: Sequence[Message], lines: Sequence[Line]) -> str:
    """Per workflow, the first line of each event comes in the order of ordinals."""
    places = {message.id: message for message in told}
    orders: dict[str, list[int]] = defaultdict(list)
    for one in dict.fromkeys(ids_of(lines)):
        if one in places:
            orders[places[one].workflow].append(places[one].ordinal)
    wrong = [f"{uid}: {order}" for uid, order in orders.items() if order != sorted(order)]
    return _listed("out of order", wrong)


def each_once(told: Sequence[Message], lines: Sequence[Line]) -> str:
    """No event has two lines."""
    counts = Counter(ids_of(lines))
    return _listed("processed more than once", [one.id for one in told if counts[one.id] > 1])


def told_as(kind: str, messages: Sequence[tuple[int, Message]], lines: Sequence[Line]) -> str:
    """Each of these messages, by its place in the stream, has a line of that kind."""
    found = {line.get("sequence"): line["kind"] for line in lines if line["kind"] != "gap"}
    wrong = [
        f"sequence {sequence} as {found.get(sequence, 'nothing')}"
        for sequence, _ in messages
        if found.get(sequence) != kind
    ]
    return _listed(f"not told as {kind}", wrong)


def gap_told(workflow: str, missing: tuple[int, int], after: str, lines: Sequence[Line]) -> str:
    """A line tells the missing ordinals of a workflow, before the line of the event with the id `after`."""
    for line in lines:
        if line["kind"] == "gap" and line.get("workflowUid") == workflow:
            told = (line.get("first"), line.get("last"))
            return "" if told == missing else f"the gap of {workflow} is {missing}, not {told}"
        if line.get("id") == after:
            break
    return f"no gap {missing} of {workflow} before {after}"


def not_from_the_first(told: Sequence[Message], before: Sequence[Line], after: Sequence[Line]) -> str:
    """What was processed first, long before the end, does not come again."""
    first = told[0].id
    if first in ids_of(before) and first in ids_of(after):
        return f"{first}, the first event, was processed again after the restart"
    return ""


def _listed(what: str, wrong: Sequence[str]) -> str:
    if not wrong:
        return ""
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return f"{what}: {', '.join(wrong[:SHOWN])}{more}"
