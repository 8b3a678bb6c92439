"""What the simulated executor has in hand: the newest version of each execution and when it is due. No I/O, no clock.

Holds nothing that a list of the cluster would not bring back.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Collection
from itertools import count
from typing import Final

from kubernaut.simulator.course import ENDS
from kubernaut.simulator.decide import Earlier
from kubernaut.simulator.execution import Execution

REMEMBERED: Final = 5000
"""Ended executions and idempotency keys that are remembered, so that late news and repeats change nothing."""
NEVER: Final = -1
"""Due time of what only news can wake."""


class _Place:
    __slots__ = ("due", "execution", "in_hand", "troubles")

    def __init__(self, execution: Execution, due: int) -> None:
        self.execution = execution
        self.due = due
        self.in_hand = False
        self.troubles = 0


class Board:
    """Executions that have not ended or that our finalizer keeps, by uid, and what is remembered of those that have."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._order = count()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._keys: OrderedDict[str, Earlier] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def take(self, execution: Execution, now: int) -> bool:
        """Take in a version from a list, a watch or an answer; whether it was news."""
        uid = execution.metadata.uid
        if uid in self._ended:
            return False
        place = self._places.get(uid)
        if place is not None and execution.version <= place.execution.version:
            return False
        if execution.phase in ENDS and not execution.held:
            self._end(execution)
            return True
        if place is None:
            place = self._places[uid] = _Place(execution, now)
        place.execution = execution
        self._plan(uid, place, now)
        return True

    def forget(self, uid: str) -> None:
        """Drop what is gone. What had not started frees its idempotency key: nothing was carried out."""
        place = self._places.pop(uid, None)
        if place is None or place.execution.phase == "executing":
            return
        key = place.execution.spec.idempotency_key
        if key in self._keys and self._keys[key].uid == uid:
            del self._keys[key]

    def keep_only(self, namespace: str | None, uids: Collection[str]) -> None:
        """Forget what a complete list of `namespace` (None: all) did not hold."""
        for uid in [uid for uid in self._places if uid not in uids]:
            if namespace in (None, self._places[uid].execution.metadata.namespace):
                self.forget(uid)

    def pick(self, now: int) -> Execution | None:
        """Hand out the longest due execution that nobody has in hand; None when there is none."""
        while self._heap and self._heap[0][0] <= now:
            due, _, uid = heapq.heappop(self._heap)
            place = self._places.get(uid)
            if place is not None and not place.in_hand and place.due == due:
                place.in_hand = True
                return place.execution
        return None

    def next_due(self) -> int | None:
        """When the next one may be due, in ms since 1970; None when nothing waits for a time."""
        return self._heap[0][0] if self._heap else None

    def put_back(self, uid: str, *, seen: int, due: int, now: int) -> None:
        """End having it in hand. Due at `due`, or now when a version newer than `seen` came in meanwhile."""
        place = self._places.get(uid)
        if place is None:
            return
        place.in_hand = False
        self._plan(uid, place, now if place.execution.version > seen else due)

    def trouble(self, uid: str) -> int:
        """Count a failed try; how many there were in a row."""
        place = self._places.get(uid)
        if place is None:
            return 1
        place.troubles += 1
        return place.troubles

    def calm(self, uid: str) -> None:
        """Forget earlier failed tries: one went well."""
        if uid in self._places:
            self._places[uid].troubles = 0

    def claim(self, key: str, uid: str) -> Earlier | None:
        """Claim an idempotency key for an execution; the one that had it before, if there was another."""
        earlier = self._keys.get(key)
        if earlier is None:
            self._remember(key, Earlier(uid, None))
            return None
        return None if earlier.uid == uid else earlier

    def _end(self, execution: Execution) -> None:
        uid, key = execution.metadata.uid, execution.spec.idempotency_key
        self._places.pop(uid, None)
        self._ended[uid] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        if key not in self._keys or self._keys[key].uid == uid:
            self._remember(key, Earlier(uid, execution.status))

    def _remember(self, key: str, earlier: Earlier) -> None:
        self._keys[key] = earlier
        if len(self._keys) > REMEMBERED:
            self._keys.popitem(last=False)

    def _plan(self, uid: str, place: _Place, due: int) -> None:
        place.due = due
        if due != NEVER and not place.in_hand:
            heapq.heappush(self._heap, (due, next(self._order), uid))
