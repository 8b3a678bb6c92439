"""Scheduled messages of the fake broker: what `runtime.nats_schedule` says of the server, in the clock's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.nats_schedule import FIRED_LIVES_SECONDS
from schemas.cloudevents import MESSAGE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.ports import Stored
    from tests.fakes.broker import Broker

SOONEST_SECONDS: Final = 0.25
"""The server does not look any sooner."""


class Timers:
    """Publishes what was scheduled at its time, while the broker is up."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._overdue: list[tuple[Stored, str]] = []

    def begin(self, schedule: Stored, at_ms: int, target: str) -> None:
        """Wait for the time of a schedule that was stored."""
        # A microsecond more, because a float of seconds since 1970 may be a little less than the millisecond meant.
        when = max(at_ms / 1000 + 1e-6, self._broker.clock.now() + SOONEST_SECONDS)
        self._broker.clock.call_at(when, lambda: self._due(schedule, target))

    def catch_up(self) -> None:
        """Publish what came due while the broker was down."""
        overdue, self._overdue = self._overdue, []
        for schedule, target in overdue:
            self._due(schedule, target)

    def _due(self, schedule: Stored, target: str) -> None:
        if not self._broker.up:
            self._overdue.append((schedule, target))
        elif self._broker.holds(schedule):  # it was neither replaced nor purged
            headers = _fired(schedule.headers) | {"Nats-Scheduler": schedule.subject, "Nats-Schedule-Next": "purge"}
            sequence = self._broker.put(schedule.stream, target, headers, schedule.data)
            self._broker.purge(schedule.stream, schedule.subject)
            self._broker.clock.call_at(
                self._broker.clock.now() + FIRED_LIVES_SECONDS, lambda: self._broker.remove(schedule.stream, sequence)
            )


def _fired(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name != MESSAGE_ID and not name.startswith(("Nats-Schedule", "Nats-Expected-"))
    }
