"""Spans as OTLP/HTTP JSON. Pure.

Source: opentelemetry-proto 1.7, trace service; ids are hexadecimal and 64-bit numbers are text, as its JSON form says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from runtime.spans import Span, Value

SCOPE: Final = "kubernaut"
_OK, _ERROR = 0, 2
"""Codes of a status: unset, and error."""


def body_of(spans: Iterable[Span]) -> dict[str, Any]:
    """Return what is posted to `/v1/traces`: the spans of each service together."""
    services: dict[str, list[Span]] = {}
    for span in spans:
        services.setdefault(span.service, []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute("service.name", f"kubernaut-{service}")]},
                "scopeSpans": [{"scope": {"name": SCOPE}, "spans": [_span(each) for each in found]}],
            }
            for service, found in services.items()
        ]
    }


def _span(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": span.trace,
        "spanId": span.id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(max(span.end, span.start)),
        "attributes": [_attribute(name, value) for name, value in span.attributes.items()],
        "status": {"code": _ERROR, "message": span.error} if span.error else {"code": _OK},
    }
    if span.parent:
        found["parentSpanId"] = span.parent
    if span.links:
        found["links"] = [{"traceId": trace, "spanId": other} for trace, other in span.links]
    return found


def _attribute(name: str, value: Value) -> dict[str, Any]:
    return {"key": name, "value": _value(value)}


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}
