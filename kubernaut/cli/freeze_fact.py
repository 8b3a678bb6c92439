"""Tells the log that somebody froze or thawed all effects, so that the audit holds who did it and why.

Comes after the deed and never stands in its way: a log that does not take it, or a person without the right to publish
there, must not keep anybody from freezing.
"""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from kubernaut.cli.freeze_lines import Frozen
from kubernaut.operation_facts import event as fact
from runtime.errors import KubernautError
from runtime.nats_headers import to_block
from runtime.nats_requests import Reply
from schemas.cloudevents import Event, to_headers
from schemas.messages import EffectsFrozen, EffectsThawed
from schemas.subjects import FREEZES


class Requests(Protocol):
    """A connection to NATS."""

    async def request(self, subject: str, data: bytes, *, headers: bytes = b"", seconds: float = 2.0) -> Reply:
        """Send a request and return the answer."""
        ...


def frozen_event(frozen: Frozen, by: str) -> Event:
    """Return the message about a freeze; `frozen`: as it is now."""
    body = EffectsFrozen(by=by, reason=frozen.reason, until=frozen.until)
    return fact(FREEZES, body, f"freeze/{frozen.since or time.time_ns()}")


def thawed_event(before: Frozen, by: str) -> Event:
    """Return the message about a thaw; `before`: as it was."""
    body = EffectsThawed(by=by, frozen_by=before.by, waiting=before.queue)
    return fact(FREEZES, body, f"thaw/{before.since or time.time_ns()}")


async def publish(connection: Requests, event: Event) -> str:
    """Put it into the log; return why that failed, empty when it did not."""
    try:
        reply = await connection.request(event.subject, event.data, headers=to_block(to_headers(event)))
        error = msgspec.json.decode(reply.data, type=_Answer).error
    except (KubernautError, msgspec.MsgspecError) as failure:
        return str(failure)
    return error.description if error else ""


class _Error(msgspec.Struct):
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None
