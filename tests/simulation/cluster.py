"""The fake cluster with a journal: what was written, when and by whom. It is the truth that the oracle goes by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tests.fakes.cluster import FakeCluster
from tests.fakes.cluster_objects import copy_of
from tests.simulation.loop import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.clock import Clock
    from tests.fakes.cluster_objects import Change, Key, Object


class Write(msgspec.Struct, frozen=True):
    """One change of one object."""

    time: float
    """Seconds since 1970."""
    by: str
    what: Literal["ADDED", "MODIFIED", "DELETED"]
    key: Key
    body: Object


class JournalCluster(FakeCluster):
    """Garbage is collected by whoever calls `collect`, and later than at once."""

    def __init__(self, clock: Clock, told: Callable[[Write], None]) -> None:
        """`told`: gets every write as it happens."""
        self._clock = clock
        self._told = told
        super().__init__()
        self.collects_at_once = False
        self.swallowed = 0
        """Events that a watch has left out."""
        self.asked_at = 0.0
        """When the create was sent that takes effect now."""

    def time(self) -> float:
        """Seconds since 1970."""
        return self._clock.now()

    @property
    def now(self) -> str:
        """The time in whole seconds, as the API server writes it."""
        return datetime.fromtimestamp(int(self._clock.now()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @now.setter
    def now(self, _: str) -> None:
        """The clock tells it."""

    @property
    def history(self) -> list[Change]:
        """What watches read."""
        return self._history

    @property
    def compacted(self) -> int:
        """Version before which nothing is known any more."""
        return self._compacted

    async def changed(self) -> None:
        """Wait until there is more in the history, or somebody was woken."""
        await self._changed.wait()

    def nudge(self) -> None:
        """Wake every watch, to look around."""
        self._wake()

    def _record(self, what: Literal["ADDED", "MODIFIED", "DELETED"], key: Key, body: Any) -> None:
        super()._record(what, key, body)
        owner = OWNER.get(None)
        self._told(Write(self._clock.now(), owner.name if owner else "world", what, key, copy_of(body)))
