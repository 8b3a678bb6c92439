"""Makes the spans of a run, each a function of what it is about: the same live, after a crash, a year later. Pure.

A span is made of a message, a command or an audit row. So `kubernaut trace` makes of the log what the services have
sent.

Must never hold parameters, variables or results of steps; what a cluster answered is redacted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from runtime.spans import (
    CLIENT,
    PRODUCER,
    Span,
    Value,
    attributes_of,
    command_span,
    context_in,
    run_span,
    span_of,
    told_command,
    trace_of,
)
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import (
    TYPE_OF,
    AlertFired,
    Cause,
    CheckReported,
    CommandRefused,
    Decision,
    ExecutionChanged,
    PublicEvent,
    QueueDecided,
    StatusChanged,
    TimerDue,
    WorkflowChanged,
    decode,
)
from schemas.names import ANNOTATION_TRACEPARENT, idempotency_key
from schemas.redaction import redact
from schemas.workflow_status import TERMINAL_PHASES

RULES: Final = 20
ERROR: Final = 256
"""Rules that a span names, and characters of an error."""
_MS: Final = 1_000_000
_PUBLIC: Final = ("io.kubernaut.workflow.", "io.kubernaut.step.")
_EVENT: Final = msgspec.json.Decoder(PublicEvent)
_ANY: Final = msgspec.json.Decoder()
_FOREIGN: Final = {TYPE_OF[QueueDecided], TYPE_OF[Decision]}
"""Causes that are spans of other traces: the queue of runs, and the run that this one runs again."""
_NO_MESSAGE_OF_OURS: Final = {TYPE_OF[TimerDue]: "wake-up", TYPE_OF[AlertFired]: "alert"}
"""Causes that nobody of us publishes as they come: the decision tells their spans, too."""


class _Seen(msgspec.Struct, frozen=True):
    """A message and when it was published."""

    event: Event
    trace: str
    began: int
    ended: int


def of_message(event: Event, began: int, ended: int) -> tuple[Span, ...]:
    """Return the spans that a message tells, published from `began` to `ended` (ns since 1970).

    None for one that is of no run, that carries no trace context or that cannot be read.
    """
    context = context_in(event.traceparent)
    if context is None or event.subject == subjects.decision(subjects.QUEUE):
        return ()
    try:
        body: Any = _EVENT.decode(event.data) if event.type.startswith(_PUBLIC) else decode(event.type, event.data)
    except (ValueError, msgspec.MsgspecError):
        return ()
    tell = _TELL.get(type(body))
    return tell(_Seen(event, context[0], began, ended), body) if tell else ()


def of_command(decision: Decision, index: int, decision_id: str, began: int, ended: int) -> Span:
    """Return the span of a command of a decision, carried out from `began` to `ended`: what it asked of the cluster."""
    uid, command = decision.workflow.uid, decision.commands[index]
    about = {
        name: getattr(command, name)
        for name in ("step", "attempt", "purpose", "action", "name", "check")
        if getattr(command, name, None)
    }
    return Span(
        trace=trace_of(uid),
        id=command_span(uid, command, f"{uid}/{decision.version}/{index}"),
        parent=span_of(decision_id),
        name=f"command {command.__struct_config__.tag}",
        service="bridge",
        kind=CLIENT,
        start=began,
        end=ended,
        attributes=attributes_of(uid, **about),
    )


def of_row(event: Event, began: int, ended: int) -> Span | None:
    """Return the span of the audit row of a message; None for a message without a trace of a run."""
    context = context_in(event.traceparent)
    if context is None or context[0] == trace_of(subjects.QUEUE):
        return None
    return Span(
        trace=context[0],
        id=span_of(f"audit/{event.id}"),
        parent=span_of(event.id),
        name="audit row",
        service="auditor",
        kind=CLIENT,
        start=began,
        end=ended,
        attributes={"kubernaut.message.id": event.id},
    )


def _span(seen: _Seen, name: str, parent: str, **more: Any) -> Span:
    event = seen.event
    fields: dict[str, Any] = {
        "service": event.source.rsplit("/", 1)[-1],
        "kind": PRODUCER,
        "start": seen.began,
        "end": seen.ended,
    }
    attributes = {"kubernaut.message.id": event.id, "kubernaut.message.type": event.type} | more.pop("attributes", {})
    return Span(
        trace=seen.trace, id=span_of(event.id), parent=parent, name=name, attributes=attributes, **(fields | more)
    )


def _workflow_changed(seen: _Seen, body: WorkflowChanged) -> tuple[Span, ...]:
    namespace, uid = seen.event.subject.split(".")[3:5]
    metadata = _object(body.object, "metadata")
    upstream = context_in(str(_dict(metadata.get("annotations")).get(ANNOTATION_TRACEPARENT, "")))
    about = {"namespace": namespace, "name": str(metadata.get("name", "")), "version": body.resource_version}
    name = "workflow deleted" if body.deleted else "workflow changed"
    links = (upstream,) if upstream else ()
    return (_span(seen, name, run_span(uid), attributes=attributes_of(uid, **about), links=links),)


def _status_changed(seen: _Seen, body: StatusChanged) -> tuple[Span, ...]:
    uid = seen.event.subject.split(".")[4]
    about: dict[str, Value] = {"phase": body.phase, "decision": body.sequence}
    return (_span(seen, "status seen", run_span(uid), attributes=attributes_of(uid, **about)),)


def _execution_changed(seen: _Seen, body: ExecutionChanged) -> tuple[Span, ...]:
    uid = seen.event.subject.split(".")[4]
    spec, status = _object(body.object, "spec"), _object(body.object, "status")
    key = str(spec.get("idempotencyKey", ""))
    about: dict[str, Value] = {"phase": "deleted" if body.deleted else str(status.get("phase") or "created")}
    about |= {name: spec[field] for name, field in _SPEC.items() if isinstance(spec.get(field), str | int)}
    parent = span_of(key) if key else run_span(uid)
    return (_span(seen, "execution changed", parent, attributes=attributes_of(uid, **about)),)


_SPEC: Final = {"step": "stepNumber", "attempt": "attempt", "purpose": "purpose", "action": "action"}


def _decided(seen: _Seen, body: Decision) -> tuple[Span, ...]:
    uid, began = body.workflow.uid, body.now * _MS
    own = [cause for cause in body.causes if cause.type not in _FOREIGN]
    links = tuple(_link(uid, cause) for cause in body.causes if cause is not (own[0] if own else None))
    rules = tuple(f"step {t.step}: {t.reason}" if t.step else t.reason for t in body.transitions[:RULES])
    about: dict[str, Value] = {
        "namespace": body.workflow.namespace,
        "name": body.workflow.name,
        "decision": body.version,
        "phase": body.state.phase,
        "rules": rules,
        "commands": len(body.commands),
    }
    parent = span_of(own[0].id) if own else run_span(uid)
    span = _span(seen, "decision", parent, start=began, attributes=attributes_of(uid, **about), links=links)
    told = [_cause(seen, uid, each, began) for each in own if each.type in _NO_MESSAGE_OF_OURS]
    return (span, *told, *_run(body))


def _link(uid: str, cause: Cause) -> tuple[str, str]:
    others = {TYPE_OF[QueueDecided]: subjects.QUEUE, TYPE_OF[Decision]: cause.id.partition("/")[0]}
    return trace_of(others.get(cause.type, uid)), span_of(cause.id)


def _cause(seen: _Seen, uid: str, cause: Cause, at: int) -> Span:
    return Span(
        trace=seen.trace,
        id=span_of(cause.id),
        parent=run_span(uid),
        name=_NO_MESSAGE_OF_OURS[cause.type],
        service="scheduler",
        start=at,
        end=at,
        attributes=attributes_of(uid),
    )


def _run(body: Decision) -> tuple[Span, ...]:
    """Return the span of the run itself, once it has ended; one that is rolled back afterwards has a second one."""
    over = [
        t for t in body.transitions if t.entity == "workflow" and t.after in TERMINAL_PHASES and t.after != t.before
    ]
    if not over:
        return ()
    uid, state = body.workflow.uid, body.state
    again = state.control.rollback
    about: dict[str, Value] = {
        "namespace": body.workflow.namespace,
        "name": body.workflow.name,
        "phase": state.phase,
        "outcome": state.outcome,
        "steps": len(state.steps),
    }
    began = (
        state.phase_times.get("rolling_back", body.now) if again else min(state.phase_times.values(), default=body.now)
    )
    return (
        Span(
            trace=trace_of(uid),
            id=span_of(f"{uid}/rollback") if again else run_span(uid),
            parent=run_span(uid) if again else "",
            name="rollback" if again else "run",
            service="scheduler",
            start=began * _MS,
            end=body.now * _MS,
            attributes=attributes_of(uid, **about),
            error=redact(state.failure_reason)[:ERROR] if state.phase == "failed" else "",
        ),
    )


def _refused(seen: _Seen, body: CommandRefused) -> tuple[Span, ...]:
    uid = body.workflow.uid
    key = idempotency_key(uid, body.step, body.attempt, body.purpose)
    parent = span_of(key) if body.command == "create_execution" else told_command(body.command_id)
    about: dict[str, Value] = {"command": body.command, "step": body.step, "reason": body.reason}
    error = redact(body.message)[:ERROR] or body.reason
    return (_span(seen, "command refused", parent, attributes=attributes_of(uid, **about), error=error),)


def _checked(seen: _Seen, body: CheckReported) -> tuple[Span, ...]:
    about: dict[str, Value] = {"check": body.check, "type": body.type, "passed": str(body.passed).lower()}
    return (_span(seen, "check", told_command(body.command_id), attributes=attributes_of(body.workflow.uid, **about)),)


def _announced(seen: _Seen, body: PublicEvent) -> tuple[Span, ...]:
    what = seen.event.type.removeprefix("io.kubernaut.").removesuffix(".v1")
    about: dict[str, Value] = {"reason": body.reason}
    if body.step is not None:
        about |= {"step": body.step.number, "attempt": body.step.attempt, "action": body.step.action}
    parent = span_of(seen.event.causation_id)
    attributes = attributes_of(body.workflow.uid, **about)
    return (_span(seen, f"event {what}", parent, service="announcer", start=body.time * _MS, attributes=attributes),)


def _object(raw: msgspec.Raw, field: str) -> dict[str, Any]:
    try:
        return _dict(_dict(_ANY.decode(raw)).get(field))
    except msgspec.MsgspecError:
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_TELL: Final[dict[type, Callable[[_Seen, Any], tuple[Span, ...]]]] = {
    WorkflowChanged: _workflow_changed,
    StatusChanged: _status_changed,
    ExecutionChanged: _execution_changed,
    Decision: _decided,
    CommandRefused: _refused,
    CheckReported: _checked,
    PublicEvent: _announced,
}
