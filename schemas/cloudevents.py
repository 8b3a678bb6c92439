"""CloudEvents 1.0 over NATS in binary mode: attributes in `ce-` headers, the data as the payload. Pure.

Source: CloudEvents 1.0.2; its NATS protocol binding 1.0.3-wip, the first that has the binary mode (1.0.2 is from before
NATS had headers). `ce-id` equals the deduplication id (`Nats-Msg-Id`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from schemas.header_values import decoded, encoded
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
_KNOWN: Final = _REQUIRED | _ATTRIBUTES.keys() | {"ce-datacontenttype"}
_STRUCTURED: Final = "application/cloudevents"


def to_headers(event: Event) -> dict[str, str]:
    """Return the NATS headers of an event; a new dict at each call, because nats-py changes what it is given.

    The type of the data stands twice: as the attribute, as the binding says, and as `content-type` for readers that
    know no CloudEvents and for those of the HTTP binding's rule.
    """
    headers = {
        MESSAGE_ID: event.id,
        "ce-specversion": SPEC_VERSION,
        "ce-id": encoded(event.id),
        "ce-type": encoded(event.type),
        "ce-source": encoded(event.source),
        "ce-datacontenttype": JSON,
        "content-type": JSON,
    }
    for header, attribute in _ATTRIBUTES.items():
        value = getattr(event, attribute)
        if value:
            headers[header] = encoded(value)
    for name, value in event.extensions.items():
        headers[f"ce-{name}"] = encoded(value)
    return headers


def from_message(subject: str, headers: Mapping[str, str] | None, data: bytes) -> Event:
    """Read an event from a NATS message.

    Raises MalformedError, naming what is missing or wrong, when the message is no CloudEvent of version 1.0 in binary
    mode.
    """
    found = attributes(headers or {})
    missing = sorted(name for name in _REQUIRED if not found.get(name))
    if missing:
        message = f"not a CloudEvent in binary mode: no header {', '.join(missing)}"
        raise MalformedError(message)
    if found["ce-specversion"] != SPEC_VERSION:
        message = f"CloudEvents version {found['ce-specversion']!r} is not {SPEC_VERSION}"
        raise MalformedError(message)
    return Event(
        subject=subject,
        id=found["ce-id"],
        type=found["ce-type"],
        source=found["ce-source"],
        data=data,
        correlation_id=found.get("ce-correlationid", ""),
        causation_id=found.get("ce-causationid", ""),
        traceparent=found.get("ce-traceparent", ""),
        extensions={name[3:]: value for name, value in found.items() if name not in _KNOWN},
    )


def attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that are in the headers of a message, decoded, by `ce-` and their name in lower case.

    Raises MalformedError for one that is no UTF-8, and for the structured mode, which has them in its payload.
    """
    found: dict[str, str] = {}
    for header, value in headers.items():
        name = header.lower()
        if name.startswith("ce-"):
            try:
                found[name] = decoded(value)
            except ValueError as error:
                raise MalformedError(f"header {header} is encoded, but not as UTF-8: {value}") from error
        elif name == "content-type" and value.lower().startswith(_STRUCTURED):
            raise MalformedError("a CloudEvent in structured mode; only the binary mode is read here")
    return found


def attribute(headers: Mapping[str, str], name: str) -> str:
    """Return one attribute, `name` with its `ce-`: decoded, or as it stands where it cannot be; empty for none."""
    value = headers.get(name, "")
    try:
        return decoded(value)
    except ValueError:
        return value


def traceparent(workflow_uid: str, event_id: str) -> str:
    """W3C trace context of an event: one trace a workflow, one span an event, the same in any process."""
    return f"00-{digest('trace', workflow_uid)}-{digest('span', event_id, characters=16)}-01"
