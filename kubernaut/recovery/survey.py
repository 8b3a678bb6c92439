"""What is still known after the log was lost: by the cluster, by the audit, by what is left of the log. Reads only."""

from __future__ import annotations

from collections import defaultdict
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from auditor.last_of_runs import last_of_runs
from auditor.newest import newest
from kubernaut.recovery.losses import seen_of, sure_losses
from kubernaut.recovery.verdicts import Kept, Verdict, judge
from runtime.errors import KubernautError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.nats_scan import scan
from schemas.cloudevents import Event, MalformedError, from_message
from schemas.messages import TYPE_OF, Decision, WorkflowChanged
from schemas.subjects import DECISIONS, LOG, QUEUE, WORKFLOW_CHANGES, decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.nats_connection import Connection
    from runtime.ports import Cluster, Object, Resource

_DECISION: Final = TYPE_OF[Decision]
_DECISIONS: Final = msgspec.json.Decoder(Decision)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known before anything is changed."""

    losses: dict[str, str]
    """By stream: what shows that it lost something. Empty when nothing was lost."""
    highest: int
    """Highest sequence that the log is known to have had."""
    audited: int
    """Highest one that the audit holds."""
    noted: int
    """Sequence of the note of what is remembered of the log; 0 without one. A newer one is of somebody at work."""
    verdicts: list[Verdict]
    kept: dict[str, Kept]
    """By workflow uid, of those that go on."""
    unread: str = ""
    """Why what is left of the log could not be read; empty when it was."""


async def look(connection: Connection, cluster: Cluster, database: str, tell: Callable[[str], None]) -> Found:
    """Look at everything; `tell` is told what is waited for.

    Raises UnavailableError or RefusedError when one of the three cannot be asked.
    """
    audited = await newest(database, LOG.name)
    lost = await sure_losses(connection, audited, tell)
    workflows = await _all(cluster, WORKFLOWS)
    executions: dict[str, list[Object]] = defaultdict(list)
    for each in await _all(cluster, EXECUTIONS):
        executions[((each.get("spec") or {}).get("workflowExecutionRef") or {}).get("uid", "")].append(each)
    events = await last_of_runs(database, [each["metadata"]["uid"] for each in workflows])
    unread = ""
    try:
        events += await _left(connection)
    except KubernautError as error:
        unread = str(error)
    kept = _newest(events)
    verdicts = [
        judge(each, executions[each["metadata"]["uid"]], kept.get(each["metadata"]["uid"])) for each in workflows
    ]
    going = {each.uid for each in verdicts if each.fate == "goes on"}
    return Found(
        losses=lost.reasons,
        highest=lost.highest,
        audited=audited.sequence,
        noted=lost.noted,
        verdicts=verdicts,
        kept={uid: each for uid, each in kept.items() if uid in going},
        unread=unread,
    )


async def _all(cluster: Cluster, resource: Resource) -> list[Object]:
    found: list[Object] = []
    token = ""
    while True:
        page = await cluster.list(resource, None, next_page=token)
        found += [msgspec.json.decode(raw) for raw in page.items]
        token = page.next_page
        if not token:
            return found


async def _left(connection: Connection) -> list[Event]:
    """Read the last decisions and objects from what is left of the log; nothing where there is none."""
    if await seen_of(connection, LOG.name) is None:
        return []
    found: list[Event] = []
    for subject in (DECISIONS, WORKFLOW_CHANGES):
        reading = scan(connection, LOG.name, subject, last_per_subject=True, start=1)
        async with aclosing(reading) as messages:
            async for message in messages:
                try:
                    found.append(from_message(message.subject, dict(message.headers), message.data))
                except MalformedError:
                    continue
    return found


def _newest(events: list[Event]) -> dict[str, Kept]:
    """Return the newest decision of each run, with the newest version of its object."""
    decisions: dict[str, tuple[Decision, Event]] = {}
    definitions: dict[str, tuple[int, Event]] = {}
    for event in events:
        uid = event.subject.rsplit(".", 1)[1]
        if event.type == TYPE_OF[WorkflowChanged]:
            version = _number(event.extensions.get("version"))
            if version > definitions.get(uid, (0, event))[0]:
                definitions[uid] = (version, event)
        elif event.type == _DECISION and event.subject != decision(QUEUE):
            try:
                read = _DECISIONS.decode(event.data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if uid not in decisions or read.version > decisions[uid][0].version:
                decisions[uid] = (read, event)
    return {
        uid: Kept(event=event, decision=read, definition=definitions[uid][1] if uid in definitions else None)
        for uid, (read, event) in decisions.items()
    }


def _number(text: Any) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
