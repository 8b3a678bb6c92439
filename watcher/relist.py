"""A list against the log: what the log has not got, and what it has got that is not there any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from schemas.messages import ExecutionChanged, WorkflowChanged, decode
from schemas.subjects import LOG
from watcher import metrics
from watcher.changes import Sighting
from watcher.objects import Seen, UnreadableError, read, version_of

if TYPE_CHECKING:
    import structlog

    from watcher.known import Entry, Known
    from watcher.parts import Parts
    from watcher.view import View

PAGE: Final = 500
"""Objects a page, as client-go asks for."""


class Newer(msgspec.Struct, frozen=True):
    """A version that the log has not got, and its size in bytes."""

    seen: Seen
    size: int


class Listed(msgspec.Struct, kw_only=True):
    """What a list says."""

    version: int = 0
    uids: set[str] = msgspec.field(default_factory=set)
    newer: list[Newer] = msgspec.field(default_factory=list)
    """Of a page while the list is under way; of all pages where nobody takes them."""


async def compare(parts: Parts, *, hand_over: bool) -> Listed:
    """List all objects of a view at one version, and compare them with what is known.

    With `hand_over`, what is newer goes to the publisher page by page, so that memory holds one page; else it is
    collected. Raises what `Cluster.list` raises.
    """
    view = parts.view
    listed, token = Listed(), ""
    while True:
        page = await parts.cluster.list(view.resource, view.namespace, limit=PAGE, next_page=token)
        listed.version = listed.version or version_of(page.resource_version)
        for raw in page.items:
            seen = readable(view, raw, parts.say)
            if seen is not None and view.owns(seen.uid):
                listed.uids.add(seen.uid)
                if is_news(parts.known, seen):
                    listed.newer.append(Newer(seen, memoryview(raw).nbytes))
        if hand_over:
            for newer in listed.newer:
                await parts.publisher.offer(Sighting(seen=newer.seen), size=newer.size, ticketed=False)
            listed.newer.clear()
        token = page.next_page
        if not token:
            return listed


def is_news(known: Known, seen: Seen) -> bool:
    """Whether the log has neither this version nor a newer one, nor the tombstone."""
    entry = known.get(seen.uid)
    return not known.is_gone(seen.uid) and (entry is None or entry.version < seen.version)


def readable(view: View, raw: msgspec.Raw, say: structlog.typing.FilteringBoundLogger) -> Seen | None:
    """Read an object; None, counted and told, for one that is none: it must not stop the others."""
    try:
        return read(view.plural, raw)
    except UnreadableError as error:
        metrics.UNREADABLE.labels(view.plural).inc()
        say.error("unreadable", resource=view.plural, reason=str(error))
        return None


async def bury(parts: Parts, uid: str, version: int) -> None:
    """Hand over the tombstone of an object that a list of `version` has not got, with its last version in the log.

    Raises UnavailableError.
    """
    view = parts.view
    entry = parts.known.get(uid)
    if entry is None:
        return
    last = await parts.log.last(LOG.name, view.change(entry.namespace, entry.workflow, uid))
    oversized, seen = 0, None
    if last is not None:
        try:
            body = decode(last.headers.get("ce-type", ""), last.data)
        except (ValueError, msgspec.MsgspecError):
            body = None  # not our message: what is known of the object is all there is to bury
        if isinstance(body, WorkflowChanged | ExecutionChanged):
            oversized, seen = body.oversized, readable(view, body.object, parts.say)
    seen = _under(entry, uid, seen)
    sighting = Sighting(seen=seen, deleted=True, synthesized=True, version=version, oversized=oversized)
    await parts.publisher.offer(sighting, size=0, ticketed=False)


def _under(entry: Entry, uid: str, seen: Seen | None) -> Seen:
    """Return what was last known under the subject that the log has it under; its uid only when that is all."""
    if seen is None:
        meta = {"uid": msgspec.Raw(msgspec.json.encode(uid))}
        return Seen(
            uid=uid,
            version=entry.version,
            namespace=entry.namespace,
            workflow=entry.workflow,
            correlation=entry.correlation,
            parts={},
            meta=meta,
        )
    return msgspec.structs.replace(seen, uid=uid, namespace=entry.namespace, workflow=entry.workflow)
