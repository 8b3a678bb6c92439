"""A trace for people: a tree of spans, each with when it began, how long it took and who did it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubernaut.cli.times import clock_time
from runtime.spans import Span

_SHOWN = ("step", "attempt", "purpose", "action", "phase", "outcome", "decision", "rules", "reason", "check", "passed")
"""Attributes that are shown, in this order."""
_NS = 1_000_000
DEEPEST = 20
"""Levels that are indented: every decision is a child of what led to it, so that a long run is a deep tree."""


def lines(spans: Sequence[Span], *, rows: bool = False) -> Iterator[str]:
    """Yield the lines of a trace; `rows`: with those of the audit."""
    shown = [span for span in spans if rows or span.service != "auditor"]
    if not shown:
        return
    first = min(span.start for span in shown)
    yield f"trace {shown[0].trace}, {len(spans)} spans, from {clock_time(first // _NS)}"
    known = {span.id for span in shown}
    children: dict[str, list[Span]] = {}
    for span in shown:
        children.setdefault(span.parent if span.parent in known else "", []).append(span)
    waiting = [(span, 0) for span in reversed(children.get("", []))]
    while waiting:
        span, depth = waiting.pop()
        yield _line(span, depth, first)
        waiting += [(child, depth + 1) for child in reversed(children.get(span.id, []))]


def _line(span: Span, depth: int, first: int) -> str:
    offset, took = (span.start - first) / _NS, (span.end - span.start) / _NS
    told = [_told(name, span) for name in _SHOWN if f"kubernaut.{name}" in span.attributes]
    error = f"  ERROR {span.error}" if span.error else ""
    about = "  " + " ".join(told) if told else ""
    return f"{offset:>9.0f} ms {took:>7.0f} ms  {'  ' * min(depth, DEEPEST)}{span.service}: {span.name}{about}{error}"


def _told(name: str, span: Span) -> str:
    value = span.attributes[f"kubernaut.{name}"]
    return f"{name}={', '.join(value) if isinstance(value, tuple) else value}"
