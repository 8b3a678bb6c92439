"""CloudEvents 1.0 over NATS in binary mode: attributes in `ce-` headers, the data as the payload. Pure.

Source: CloudEvents 1.0.2 and its NATS protocol binding 1.0.2. `ce-id` equals the deduplication id (`Nats-Msg-Id`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.names import digest

MESSAGE_ID: Final = "Nats-Msg-Id"
JSON: Final = "application/json"
SPEC_VERSION: Final = "1.0"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One message to publish or as it was read: where it goes, who it is, what led to it, what it says."""

    subject: str
    """NATS subject."""
    id: str
    """Deterministic: the same fact or decision always has the same id."""
    type: str
    source: str
    """Who says it, such as `/kubernaut/watcher`."""
    data: bytes
    correlation_id: str = ""
    """Name of the RemediationRequest, else uid of the workflow."""
    causation_id: str = ""
    """Id of the message that led to this one."""
    traceparent: str = ""
    extensions: dict[str, str] = {}
    """Further attributes; names in lower case without the `ce-`."""


class MalformedError(ValueError):
    """The message is no CloudEvent in binary mode."""


_ATTRIBUTES: Final = {
    "ce-correlationid": "correlation_id",
    "ce-causationid": "causation_id",
    "ce-traceparent": "traceparent",
}
_REQUIRED: Final = frozenset({"ce-id", "ce-type", "ce-source", "ce-specversion"})


def to_headers(event: Event) -> dict[str, str]:
    """Return the NATS headers of an event; a new dict at each call, because nats-py changes what it is given."""
    headers = {
        MESSAGE_ID: event.id,
        "ce-specversion": SPEC_VERSION,
        "ce-id": event.id,
        "ce-type": event.type,
        "ce-source": event.source,
        "content-type": JSON,
    }
    for header, attribute in _ATTRIBUTES.items():
        value = getattr(event, attribute)
        if value:
            headers[header] = value
    for name, value in event.extensions.items():
        headers[f"ce-{name}"] = value
    return headers


def from_message(subject: str, headers: dict[str, str] | None, data: bytes) -> Event:
    """Read an event from a NATS message.

    Raises MalformedError, naming what is missing, when the message is no CloudEvent of version 1.0.
    """
    headers = headers or {}
    missing = sorted(_REQUIRED - headers.keys())
    if missing:
        message = f"not a CloudEvent in binary mode: no header {', '.join(missing)}"
        raise MalformedError(message)
    if headers["ce-specversion"] != SPEC_VERSION:
        message = f"CloudEvents version {headers['ce-specversion']!r} is not {SPEC_VERSION}"
        raise MalformedError(message)
    known = _REQUIRED | _ATTRIBUTES.keys()
    return Event(
        subject=subject,
        id=headers["ce-id"],
        type=headers["ce-type"],
        source=headers["ce-source"],
        data=data,
        correlation_id=headers.get("ce-correlationid", ""),
        causation_id=headers.get("ce-causationid", ""),
        traceparent=headers.get("ce-traceparent", ""),
        extensions={n[3:]: v for n, v in headers.items() if n.startswith("ce-") and n not in known},
    )


def traceparent(workflow_uid: str, event_id: str) -> str:
    """W3C trace context of an event: one trace a workflow, one span an event, the same in any process."""
    return f"00-{digest('trace', workflow_uid)}-{digest('span', event_id, characters=16)}-01"
