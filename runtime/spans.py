"""What a span of a run is, and its ids, which anybody can make: so nobody has to hand a span to anybody. Pure.

One trace a run, its id made of the workflow's uid. A span's id is made of the id of the message that it is (as in that
message's `ce-traceparent`), of the command that it carries out, or of the row that it stores.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.messages import CreateExecution
from schemas.names import digest, idempotency_key

INTERNAL, CLIENT, PRODUCER = 1, 3, 4
"""Kinds of spans, as OTLP numbers them."""
_PARTS: Final = 4
"""Of a W3C trace context: version, trace, span, flags."""

Value = str | int | tuple[str, ...]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span. Times are ns since 1970."""

    trace: str
    """32 hexadecimal digits."""
    id: str
    """16 of them."""
    parent: str = ""
    """Empty for the run itself."""
    name: str
    service: str
    kind: int = INTERNAL
    start: int
    end: int
    attributes: dict[str, Value] = {}
    links: tuple[tuple[str, str], ...] = ()
    """Trace and span."""
    error: str = ""
    """Empty unless it failed."""


def trace_of(workflow_uid: str) -> str:
    """Return the id of the trace of a run."""
    return digest("trace", workflow_uid)


def span_of(identity: str) -> str:
    """Return the id of the span of a message, command or row."""
    return digest("span", identity, characters=16)


def run_span(workflow_uid: str) -> str:
    """Return the id of the span of the run itself."""
    return span_of(f"{workflow_uid}/run")


def command_span(workflow_uid: str, command: Any, command_id: str) -> str:
    """Return the id of the span of a command: that of a create is known by its execution's idempotency key."""
    if isinstance(command, CreateExecution):
        key = idempotency_key(workflow_uid, command.step, command.attempt, command.purpose)
        return span_of(key)
    return told_command(command_id)


def told_command(command_id: str) -> str:
    """Return the id of the span of a command that is known by its id, which a public event may have as well."""
    return span_of(f"command/{command_id}")


def attributes_of(workflow_uid: str, **about: Value) -> dict[str, Value]:
    """Return the attributes that name a workflow and say something about it."""
    return {"kubernaut.workflow.uid": workflow_uid} | {f"kubernaut.{name}": value for name, value in about.items()}


def context_in(traceparent: str) -> tuple[str, str] | None:
    """Return the trace and the span that a trace context names.

    None for what is no trace context: anybody may write a header, and ids must be right.
    """
    parts = traceparent.split("-")
    return (parts[1], parts[2]) if len(parts) == _PARTS and _is_context(parts) else None


def _is_context(parts: list[str]) -> bool:
    lengths = (32, 16)
    return all(
        len(text) == length and set(text) <= set("0123456789abcdef") and text.strip("0")
        for text, length in zip(parts[1:3], lengths, strict=True)
    )
