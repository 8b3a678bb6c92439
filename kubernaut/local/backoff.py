"""When a process that ended is started again. It looks at no clock."""

from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
HEALTHY_SECONDS = 60.0


@dataclass(frozen=True)
class BackOff:
    """How often in a row a process ended before it had been healthy for long."""

    failures: int = 0

    def after_exit(self, ready_for_seconds: float) -> tuple[float, "BackOff"]:
        """Return how many seconds to wait before the next start, and the state after it."""
        failures = 0 if ready_for_seconds >= HEALTHY_SECONDS else self.failures
        # The exponent is bounded so that a process that never starts does not make ever larger numbers.
        delay = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(failures, 10))
        return delay, BackOff(failures + 1)
