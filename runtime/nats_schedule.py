"""Messages that the server publishes by itself at their time: the headers that ask for it. Pure.

Format: NATS ADR-51. What nats-server 2.15.1 does with them, tried:

- It looks for what is due 250 ms after it stored one at the earliest, and every 250 ms at most: so late one may be. A
  time in the past is due at once. Of 300 within 8 s the median was 0.14 s late and none more than 0.27 s. Rounded up to
  whole seconds, which the server hits within some ms, the median was 0.53 s and the worst 1.0 s: so nothing is rounded.
- What it publishes has our headers but `Nats-Msg-Id` and `Nats-Expected-*`, and `Nats-Scheduler` with the subject of
  the schedule. So it is an event with our id, and the server does not know it again when there are two.
- It stores that first and removes the schedule after: killed in between, it publishes once more after its restart.
- A schedule replaces the one on its subject. One that is refused, or seen as a duplicate by its id, replaces nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

FIRED_LIVES_SECONDS: Final = 3600
"""How long a message is kept once it was published at its time: who was away for longer has to look by himself."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def schedule_headers(at_ms: int, target: str) -> dict[str, str]:
    """Return the headers that make a message one that is published on `target` at `at_ms`, in ms since 1970."""
    at = (_EPOCH + dt.timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    return {
        "Nats-Schedule": f"@at {at}",
        "Nats-Schedule-Target": target,
        "Nats-Schedule-TTL": f"{FIRED_LIVES_SECONDS}s",
    }
