"""What `kubernaut audit query` finds: messages as a person asks for them. SELECTs only."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kubernaut.audit.reader import Reader, query
from schemas.subjects import LOG

PREFIX: Final = "io.kubernaut.log."
SUFFIX: Final = ".v1"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; None where it does not matter. Times are ms since 1970."""

    workflow: str | None = None
    """Name or uid."""
    namespace: str | None = None
    since: int | None = None
    until: int | None = None
    type: str | None = None
    """Such as decision or workflow-changed, or a whole CloudEvents type."""
    step: int | None = None
    what: str | None = None
    """A transition, such as approved or failed."""
    actor: str | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    sequence: int
    time_ms: int
    type: str
    namespace: str | None
    workflow: str | None
    workflow_uid: str | None
    step: int | None
    attempt: int | None
    action: str | None
    phase: str | None
    correlation_id: str | None
    event_id: str
    actor: str | None
    """Who: the approver, or the person that the message names."""
    reason: str | None
    transitions: list[str]
    """What a decision changed."""


async def find(reader: Reader, wanted: Wanted, *, after: int, most: int) -> list[Found]:
    """Return a page: at most so many messages after a sequence, in the order of the log."""
    kind = wanted.type
    if kind is not None and not kind.startswith("io."):
        kind = f"{PREFIX}{kind}{SUFFIX}"
    rows: list[Any] = await reader.fetch(
        query("find_messages"),
        LOG.name,
        after,
        most,
        wanted.workflow,
        wanted.namespace,
        wanted.since,
        wanted.until,
        kind,
        wanted.step,
        wanted.what,
        wanted.actor,
    )
    return [Found(**dict(row)) for row in rows]


def short(kind: str) -> str:
    """Return a type as people say it."""
    return kind.removeprefix(PREFIX).removesuffix(SUFFIX) if kind.startswith(PREFIX) else kind
