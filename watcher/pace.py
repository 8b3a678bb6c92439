"""How long to wait before something is tried again. Pure: the caller has the clock and draws the numbers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from runtime.backoff import Backoff
from runtime.errors import ForbiddenError, GoneError, NotFoundError, StreamBrokenError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.view import View

FIRST: Final = 0.8
MOST: Final = 30.0
HEALTHY: Final = 120.0
"""Seconds of watching after which trouble starts from the beginning. These are client-go's numbers (reflector.go)."""
LOG_MOST: Final = 5.0
"""Longest wait before the log is asked again: nothing but a try tells that it is back."""
TRUE: Final = 10.0
"""Seconds after which a watch was one, however it ended."""


class Pace:
    """Waits of 0.8 to 30 s, doubled from one to the next, each drawn from the upper half of its bound."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        """`draw` gives numbers in [0, 1)."""
        # Never near 0, as full jitter may be: an API server that answers with errors at once is asked at most about
        # eight times in the first minute.
        self._backoff = Backoff(first=2 * FIRST, most=MOST, draw=lambda: 0.5 + draw() / 2)
        self._watched = False

    def wait(self, lasted: float, error: Exception | None) -> float:
        """Seconds to wait after a watch that lasted so many seconds and ended with `error`, or in order."""
        if lasted >= HEALTHY:
            self._backoff.reset()
            if error is None:
                return 0.0
        self._watched = self._watched or lasted >= TRUE
        if self._watched and isinstance(error, GoneError):
            # An API server that was away is there again and says what to do. Once: a list that is gone by the time that
            # its watch begins must not be asked for without a pause.
            self._backoff.reset()
            self._watched = False
        asked = error.retry_after if isinstance(error, UnavailableError) else None
        return max(self._backoff.next(), asked or 0.0)


def reason_of(error: Exception | None) -> str:
    """Return one word for metrics: why a watch ended."""
    names = {
        GoneError: "gone",
        StreamBrokenError: "broken",
        UnavailableError: "unavailable",
        ForbiddenError: "forbidden",
        NotFoundError: "not_found",
    }
    return "ended" if error is None else names.get(type(error), "refused")


def advice(view: View, error: Exception) -> str:
    """Say for a person what keeps a view from being watched, and what to do about it."""
    if isinstance(error, NotFoundError):
        return f"the API server does not know {view.plural}.{view.resource.group}: install the CRDs ({error})"
    if isinstance(error, ForbiddenError):
        where = f"in namespace {view.namespace}" if view.namespace else "in all namespaces"
        return f"no rights: the service account needs get, list and watch on {view.plural} {where} ({error})"
    return str(error)
