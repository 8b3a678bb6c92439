"""Whether the process lives and whether it can make progress. Must never make liveness depend on another program."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from runtime import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STALL_SECONDS: Final = 5.0
"""A loop that wakes later than this is stalled."""
_REMEMBER_SECONDS: Final = 10.0
"""How long a stall that is over still shows, so that one probe sees it and three do not."""
_FATAL_SECONDS: Final = 30.0
_FATAL_STALLS: Final = 3
_TICK_SECONDS: Final = 1.0


class StalledError(RuntimeError):
    """The event loop hardly turns; only a restart helps."""


class Dependency:
    """What the process needs from one other program; not well until it says so for the first time."""

    def __init__(self, name: str) -> None:
        """`name`: as `/readyz?verbose` shows it."""
        self.name = name
        self.well = False
        self.detail = "not reached yet"
        self._shown = metrics.DEPENDENCY_READY.labels(name)

    def ok(self, detail: str = "") -> None:
        """Say that it works."""
        self.well = True
        self._shown.set(1)
        self.detail = detail

    def failed(self, reason: str) -> None:
        """Say that it does not, and why, for the person who looks at `/readyz?verbose`."""
        self.well = False
        self._shown.set(0)
        self.detail = reason


class Health:
    """The dependencies of a process and the pulse of its event loop."""

    def __init__(self) -> None:
        """Start without dependencies: not ready until the first one is there and well."""
        self._dependencies: dict[str, Dependency] = {}
        self._stalled_at: float | None = None
        self.stopping = False

    def dependency(self, name: str) -> Dependency:
        """Return the dependency of that name; the same one for the same name."""
        return self._dependencies.setdefault(name, Dependency(name))

    @property
    def ready(self) -> bool:
        """Whether everything that it needs is well; False while it stops."""
        return not self.stopping and bool(self._dependencies) and all(d.well for d in self._dependencies.values())

    def live(self, now: float) -> bool:
        """Whether the loop turns, at `now` on the loop's clock."""
        return self._stalled_at is None or now - self._stalled_at > _REMEMBER_SECONDS

    def report(self) -> str:
        """One line a dependency, in the form of the Kubernetes components: `[+]nats ok`."""
        lines = [
            f"[{'+' if d.well else '-'}]{d.name} {'ok' if d.well else 'failed'}{f': {d.detail}' if d.detail else ''}"
            for d in self._dependencies.values()
        ]
        if self.stopping:
            lines.append("[-]shutdown in progress")
        return "\n".join([*lines, "ready" if self.ready else "not ready", ""])

    def woke(self, late: float, now: float) -> None:
        """Take in that the loop woke `late` seconds after it should have, at `now`."""
        metrics.LOOP_LAG.set(late)
        if late > STALL_SECONDS:
            self._stalled_at = now


async def watch_loop(
    health: Health,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Measure how late the loop wakes, for ever. Raises StalledError when it was stalled for half a minute on end.

    One long pause is no reason to end: a process that was frozen (SIGSTOP) and goes on is well again.
    """
    now = clock or asyncio.get_running_loop().time
    stalls, stalled_for = 0, 0.0
    while True:
        before = now()
        await sleep(_TICK_SECONDS)
        late = now() - before - _TICK_SECONDS
        health.woke(late, now())
        if late <= STALL_SECONDS:
            stalls, stalled_for = 0, 0.0
            continue
        stalls, stalled_for = stalls + 1, stalled_for + late
        if stalls >= _FATAL_STALLS and stalled_for > _FATAL_SECONDS:
            message = f"the event loop woke {stalls} times in a row more than {STALL_SECONDS} s late: it is blocked"
            raise StalledError(message)
