"""From what the log holds of an object and what was seen of it now: the message that is missing, or none. Pure.

Per object, resourceVersions in the log strictly rise (G2): what is not newer than the log's is never published. Must
never look at a clock; the caller gives the floor that holds at the time of sending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from schemas import messages
from schemas.cloudevents import Event, traceparent
from schemas.messages import ExecutionChanged, StatusChanged, WorkflowChanged
from schemas.redaction import redact_json
from schemas.subjects import status_change
from schemas.workflow_status import TERMINAL_PHASES
from watcher import known
from watcher.known import Entry
from watcher.objects import Progress, Seen, fingerprint

if TYPE_CHECKING:
    from watcher.view import View

SOURCE: Final = "/kubernaut/watcher"


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was seen of one object, by a watch or a list."""

    seen: Seen
    deleted: bool = False
    synthesized: bool = False
    """A list has found the deletion: `seen` is the last version that the log has, under the version of the list."""
    version: int = 0
    """Version of the deletion, when it is not the object's own."""
    oversized: int = 0
    """Size of the whole message, which the log did not take."""
    further: bool = False
    """Its metadata were too large as well."""

    @property
    def at(self) -> int:
        """The resourceVersion that the message gets."""
        return self.version or self.seen.version


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish, and what is known once it is in the log."""

    event: Event
    expect: int
    """Sequence of the last message over all subjects of the object."""
    filter: str
    entry: Entry | None
    """With sequence 0; None after a tombstone."""


def message_for(
    view: View, entry: Entry | None, sighting: Sighting, *, floor: int, correlation: str = ""
) -> Message | None:
    """Return what to publish, None when the log has this version or a newer one.

    `entry` is what the log holds of the object. A deleted one is not asked about here: nothing follows a tombstone.
    `correlation` is that of the workflow that an execution belongs to, where it is known.
    """
    seen = sighting.seen
    if entry is not None and sighting.at <= entry.version:
        return None
    mark = digest = ""
    if view.of_workflows:
        mark, digest = _digests(entry, seen)
    status_only = view.of_workflows and entry is not None and entry.digest == digest and not sighting.deleted
    correlation = seen.correlation or (entry.correlation if entry else "") or correlation or seen.workflow
    progress = seen.progress() if view.of_workflows else Progress()
    ended = progress.phase in TERMINAL_PHASES
    body, subject = _body(view, sighting, progress if status_only else None)
    return Message(
        event=_event(view, sighting, body, subject, correlation=correlation, digest=digest, ended=ended, floor=floor),
        expect=entry.sequence if entry else 0,
        filter=view.last_of(seen.namespace, seen.workflow, seen.uid),
        entry=None if sighting.deleted else _entry(sighting, correlation, digest, mark, ended=ended),
    )


def _digests(entry: Entry | None, seen: Seen) -> tuple[str, str]:
    """Return the digests of the rest as it is and as it is redacted; the second costs more and goes into the log.

    The log must not hold a digest of what may have a secret in it: short secrets can be guessed.
    """
    rest = seen.rest()
    mark = fingerprint(rest)
    if entry is not None and entry.print == mark:
        return mark, entry.digest
    return mark, fingerprint(redact_json(rest))


def _body(view: View, sighting: Sighting, progress: Progress | None) -> tuple[messages.Body, str]:
    """Return body and subject; with `progress` only that is told, because nothing else changed."""
    seen, version = sighting.seen, str(sighting.at)
    if progress is not None:
        changed = StatusChanged(resource_version=version, phase=progress.phase, sequence=progress.sequence)
        return changed, status_change(seen.namespace, seen.uid)
    whole = seen.reduced(further=sighting.further) if sighting.oversized else seen.whole()
    body = (WorkflowChanged if view.of_workflows else ExecutionChanged)(
        resource_version=version,
        deleted=sighting.deleted,
        synthesized=sighting.synthesized,
        oversized=sighting.oversized,
        object=msgspec.Raw(redact_json(whole)),
    )
    return body, view.change(seen.namespace, seen.workflow, seen.uid)


def _event(
    view: View,
    sighting: Sighting,
    body: messages.Body,
    subject: str,
    *,
    correlation: str,
    digest: str,
    ended: bool,
    floor: int,
) -> Event:
    seen = sighting.seen
    event_id = f"{view.plural}/{seen.uid}/{'deleted' if sighting.deleted else sighting.at}"
    extensions = {known.UID[3:]: seen.uid, known.VERSION[3:]: str(sighting.at)}
    if digest:
        extensions[known.DIGEST[3:]] = digest
    if ended:
        extensions[known.ENDED[3:]] = "true"
    if sighting.deleted:
        extensions[known.DELETED[3:]] = "true"
    return Event(
        subject=subject,
        id=event_id,
        type=messages.TYPE_OF[type(body)],
        source=SOURCE,
        data=messages.encode(body),
        correlation_id=correlation,
        traceparent=traceparent(seen.workflow, event_id),
        extensions=extensions | claim(view, floor),
    )


def claim(view: View, floor: int) -> dict[str, str]:
    """Attributes that say: everything of this view up to `floor` is in the log. None without a floor."""
    if not floor:
        return {}
    return {known.FLOOR[3:]: str(floor), known.SHARD[3:]: view.shard, known.SCOPE[3:]: view.scope}


def _entry(sighting: Sighting, correlation: str, digest: str, mark: str, *, ended: bool) -> Entry:
    seen = sighting.seen
    return Entry(
        version=sighting.at,
        sequence=0,
        digest=digest,
        namespace=seen.namespace,
        workflow=seen.workflow,
        correlation=correlation,
        ended=ended,
        print=mark,
    )
