"""What a subscriber asks for, checked and turned into what the server understands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from schemas import subjects
from schemas.subjects import SUBSCRIBER_ACK_WAIT_SECONDS, Consumer

Start = Literal["beginning", "new"] | int | datetime
UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DURABLE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBJECT: Final = re.compile(r"(workflow|step|\*)\.(\*|[a-z_]+)")
_SECOND: Final = 1_000_000_000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription."""

    durable: str
    filters: tuple[str, ...]
    whole: bool
    """Whether every event of a workflow is asked for."""
    name: str = ""
    """Only events of workflows of that name; the server knows uids only."""

    @property
    def consumer(self) -> Consumer:
        """The durable; one message in hand, because more lose the order when they come again."""
        return Consumer(
            stream=subjects.EVENT_STREAM.name,
            name=self.durable,
            filters=self.filters,
            ack_wait_seconds=SUBSCRIBER_ACK_WAIT_SECONDS,
            max_ack_pending=1,
        )


def wanted(durable: str, only: Iterable[str], namespace: str | None, workflow: str | None) -> Wanted:
    """Return the subscription. `only`: such as `workflow.failed` or `step.*`; `workflow`: uid or name.

    Raises ValueError that says what to write instead.
    """
    if not _DURABLE.fullmatch(durable):
        raise ValueError(f"{durable!r} cannot name a durable consumer: use 1 to 64 of a-z, A-Z, 0-9, '-' and '_'")
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        raise ValueError(f"{namespace!r} is no name of a namespace")
    if isinstance(only, str):
        raise ValueError(f"subjects are a list: [{only!r}]")  # noqa: TRY004 - what is wrong is how it is written
    chosen = tuple(only) or ("*.*",)
    filters = []
    for each in chosen:
        found = _SUBJECT.fullmatch(each)
        if found is None:
            raise ValueError(f"{each!r} chooses no events: write workflow.failed, step.* or the like")
        entity: Any = found[1]
        uid = workflow if workflow is not None and UID.fullmatch(workflow) else "*"
        filters.append(subjects.event(namespace or "*", uid, entity, found[2]))
    name = workflow if workflow is not None and not UID.fullmatch(workflow) else ""
    return Wanted(durable=durable, filters=tuple(filters), whole="*.*" in chosen, name=name)


def delivery_policy(start: Start) -> dict[str, Any]:
    """Return where a new durable begins, as JetStream says it. Raises ValueError."""
    match start:
        case "beginning":
            return {"deliver_policy": "all"}
        case "new":
            return {"deliver_policy": "new"}
        case datetime():
            if start.tzinfo is None:
                raise ValueError(f"{start} is no moment without its time zone")
            moment = start.astimezone(UTC).isoformat().replace("+00:00", "Z")
            return {"deliver_policy": "by_start_time", "opt_start_time": moment}
        case int() if start >= 1 and not isinstance(start, bool):
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
    raise ValueError(f"{start!r} is no beginning: 'beginning', 'new', a sequence from 1 on, or a datetime")


def consumer_config(one: Wanted, start: Start) -> dict[str, Any]:
    """Return what the server must hold of a new durable."""
    consumer = one.consumer
    return {
        "name": consumer.name,
        "durable_name": consumer.name,
        "filter_subjects": list(consumer.filters),
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": consumer.ack_wait_seconds * _SECOND,
        "max_ack_pending": consumer.max_ack_pending,
        "max_deliver": consumer.max_deliver,
        **delivery_policy(start),
    }
