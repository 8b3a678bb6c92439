"""The ports: what services need from the log and the cluster. Real adapters and in-memory fakes keep the same contract.

Names no library. Every call has a time limit of its own; errors are those of `runtime.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Protocol

import msgspec

from schemas.cloudevents import Event
from schemas.subjects import Consumer


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the stream holds it."""

    stream: str
    sequence: int
    time_ms: int
    """When the broker stored it, in ms since 1970."""
    subject: str
    headers: Mapping[str, str]
    data: bytes


class Published(msgspec.Struct, frozen=True):
    """Where an event is in the stream."""

    sequence: int
    duplicate: bool = False
    """It was there already, with the same id."""


class Delivery(Protocol):
    """A message in hand. Exactly one of ack, nak and term ends it; doing so twice is harmless."""

    @property
    def message(self) -> Stored:
        """The message."""
        ...

    @property
    def again(self) -> bool:
        """Whether somebody may have been given it before, whatever has become of them.

        By the server's count; and as a server that is killed forgets that, also where it was there already when this
        process connected.
        """
        ...

    async def ack(self) -> None:
        """The effect is durable. May be lost; then the message comes again."""
        ...

    async def nak(self, delay: float = 0.0) -> None:
        """Give it back, to be delivered again after `delay` seconds. For trouble of infrastructure only."""
        ...

    async def term(self) -> None:
        """Never deliver it again to this consumer. Copy it to the dead letters first."""
        ...


class Log(Protocol):
    """The event log."""

    async def publish(self, event: Event, *, expect: int | None = None, expect_filter: str | None = None) -> Published:
        """Store an event and return once the server has it.

        `expect`: sequence that the last message of the subject (or of `expect_filter`, which may hold wildcards and
        must match the subject) must have, 0 for none. Retries what is safe to retry, with the same id. Raises
        ConflictError when somebody else was first, TooLargeError, or UnavailableError when the fate is unknown after
        the time limit. An event that turns out to be stored already, by its id, is a success with `duplicate`.
        """
        ...

    async def schedule(self, event: Event, *, at_ms: int, target: str) -> None:
        """Store an event that the server publishes on `target`, of the same stream, at `at_ms` (ms since 1970).

        Never early; late by up to 250 ms, and by as long as the server is down. A time in the past is due at once. What
        is published has the event's id and is kept for an hour; it may come twice when the server is killed. An event
        on the same subject replaces the one before. Retries and raises as `publish` does, and RefusedError for what can
        never be published. An event that was scheduled in the last ten minutes, by its id, is a success and not
        scheduled again, also when it was published meanwhile.
        """
        ...

    async def now(self) -> int:
        """The time at the server that publishes what was scheduled, in ms since 1970. Raises UnavailableError."""
        ...

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The last message of a subject (wildcards allowed), read from the stream's leader; None when there is none."""
        ...

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """The message with that sequence; None when it is not there."""
        ...

    def scan(
        self,
        stream: str,
        subject: str,
        *,
        last_per_subject: bool = False,
        start: int = 1,
        headers_only: bool = False,
    ) -> AsyncGenerator[Stored, None]:
        """All messages of a subject filter that are stored now, in order of sequence; ends at the current end.

        `last_per_subject`: only the last message of each subject. `headers_only`: without bodies, which are not sent.
        """
        ...

    async def acknowledged(self, consumer: Consumer) -> int:
        """The highest sequence up to which a durable consumer has acknowledged everything that it reads.

        What its filters leave out counts as acknowledged. May lag behind, never run ahead. Raises NotFoundError when
        there is no such consumer.
        """
        ...

    def consume(self, consumer: Consumer, *, in_hand: int) -> AsyncGenerator[Delivery, None]:
        """Messages for a durable consumer, for ever; at most `in_hand` are out and not ended at a time.

        While a message is in hand the adapter tells the server so (in-progress), up to 45 s. Survives restarts of the
        server, and waits, the service being unready, while the consumer does not exist. Closing the iterator gives back
        what was fetched and not yet handed out.
        """
        ...


Patch = Literal["merge", "json"]


class Resource(msgspec.Struct, frozen=True):
    """A kind of object on the API: group (empty for core), version, plural."""

    group: str
    version: str
    plural: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list."""

    resource_version: str
    items: tuple[msgspec.Raw, ...]
    """Objects as JSON."""
    next_page: str = ""
    """Token of the next page; empty at the end."""


class WatchEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a watch. ERROR never gets here: it is raised as GoneError, UnavailableError or StreamBrokenError."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: msgspec.Raw


Object = dict[str, Any]
"""A Kubernetes object as plain JSON values."""


class Cluster(Protocol):
    """The Kubernetes API. `namespace` None is the whole cluster."""

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """One page of a consistent list (resourceVersion unset: the newest data, not a cache)."""
        ...

    def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `resource_version`, bookmarks included, until the server ends the stream in order.

        Raises GoneError (410, as status or as event), UnavailableError (with retry_after), StreamBrokenError (silence
        past the limit, a truncated line, something that is no event), ForbiddenError.
        """
        ...

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Read one object from the newest data. Raises NotFoundError."""
        ...

    async def version(self) -> Object:
        """What the API server says of its version: the cheapest sign that it answers. Nearly anybody may ask."""
        ...

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create. Raises AlreadyExistsError, RefusedError, ForbiddenError, NotFoundError (no such namespace).

        Raises UnavailableError when the fate is unknown.
        """
        ...

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """Replace the status of the object whose uid and resourceVersion are in `body`. Raises ConflictError."""
        ...

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """Patch. Raises ConflictError when the body holds an older resourceVersion or another uid."""
        ...

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with that uid. NotFoundError when it is gone, ConflictError when another has its name."""
        ...
