"""A plan as an SVG picture: waves from left to right, the longest path emphasized. Pure; needs no other program.

Every text of a user is escaped and cut to its box; the whole of it is in the tooltip. No parameter is ever shown: it
may be secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from kubernaut.cli.graphs.labels import cut, ems, headline, one_line, subtitle, title
from kubernaut.cli.graphs.layout import BOX_HEIGHT, BOX_WIDTH, Box, Layout, Span, layout
from kubernaut.cli.planned import PlannedStep, PlanView, seconds

_MARGIN: Final = 36.0
_HEAD: Final = 118.0
_FOOT: Final = 64.0
_LEAST_WIDTH: Final = 560.0
_NAME_SIZE: Final = 13.0
"""Font size of names, as in the style."""
_ACTION_COLUMNS: Final = 27
_TITLE_COLUMNS: Final = 60

_STYLE: Final = """\
text { font-family: Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #0f172a }
.title { font-size: 20px; font-weight: 600 }
.head { font-size: 13px; fill: #475569 }
.wave { font-size: 11px; font-weight: 600; fill: #64748b; letter-spacing: .06em }
.band { fill: #eef2f7 }
.box { fill: #ffffff; stroke: #cbd5e1 }
.name { font-size: 13px; font-weight: 600 }
.action { font-size: 11px; fill: #64748b }
.time { font-size: 11px; fill: #334155; text-anchor: end }
.badge { fill: #e2e8f0 }
.number { font-size: 12px; font-weight: 600; fill: #334155; text-anchor: middle }
.edge { fill: none; stroke: #94a3b8; stroke-width: 1.4 }
.tip { fill: #94a3b8 }
.path.box { fill: #fff7ed; stroke: #ea580c; stroke-width: 2 }
.path.badge { fill: #ea580c }
.path.number { fill: #ffffff }
.path.edge { stroke: #ea580c; stroke-width: 2.6 }
.path.tip { fill: #ea580c }
.optional { stroke-dasharray: 5 4 }
.sample { fill: #ffffff; stroke: #94a3b8 }"""


def svg(view: PlanView) -> str:
    """Return the picture of a plan."""
    placed = layout(view.waves, view.edges(), view.critical_edges())
    width = max(placed.width + 2 * _MARGIN, _LEAST_WIDTH)
    height = placed.height + _HEAD + _FOOT
    left = (width - placed.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {_size(width, height)} role="img" aria-labelledby="title">',
        f'<title id="title">{_text(view.name)}: {_text(headline(view))}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:g}" height="{height:g}" fill="#f8fafc"/>',
        *_head(view),
        f'<g transform="translate({left:g} {_HEAD:g})">',
        *_waves(view, placed),
        *_edges(view, placed),
        *_boxes(view, placed),
        "</g>",
        *_foot(view, placed, height - 20),
        "</svg>",
    ]
    return "\n".join(parts)


def _size(width: float, height: float) -> str:
    return f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'


def _head(view: PlanView) -> Iterator[str]:
    named = cut(one_line(view.name), _TITLE_COLUMNS)
    yield f'<text class="title" x="{_MARGIN:g}" y="44">{_text(named)}</text>'
    yield f'<text class="head" x="{_MARGIN:g}" y="66">{_text(headline(view))}</text>'


def _waves(view: PlanView, placed: Layout) -> Iterator[str]:
    """A quiet band behind each wave, and its number above."""
    for place, (left, right) in enumerate(placed.columns, start=1):
        middle = (left + right) / 2
        yield (
            f'<rect class="band" x="{left - 14:g}" y="-34" width="{right - left + 28:g}"'
            f' height="{placed.height + 48:g}" rx="12"/>'
        )
        count = len(view.waves[place - 1])
        told = f"WAVE {place}" + (f" · {count} STEPS" if count > 1 else "")
        yield f'<text class="wave" x="{middle:g}" y="-14" text-anchor="middle">{told}</text>'


def _edges(view: PlanView, placed: Layout) -> Iterator[str]:
    critical = view.critical_edges()
    for edge in sorted(placed.routes, key=lambda each: (each in critical, each)):
        spans = placed.routes[edge]
        kind = "path " if edge in critical else ""
        end = spans[-1]
        yield f'<path class="{kind}edge" d="{_curve(spans)}"/>'
        yield f'<path class="{kind}tip" d="M{end.start:g} {end.y:g}l-8 -4.5v9z"/>'


def _curve(spans: tuple[Span, ...]) -> str:
    """A line that is level in the spans and bends between them; it ends where the arrow's tip begins."""
    spans = (*spans[:-1], Span(spans[-1].start - 6, spans[-1].start - 6, spans[-1].y))
    parts = [f"M{spans[0].start:g} {spans[0].y:g}"]
    for before, after in pairwise(spans):
        if before.end > before.start:
            parts.append(f"H{before.end:g}")
        middle = (before.end + after.start) / 2
        parts.append(f"C{middle:g} {before.y:g} {middle:g} {after.y:g} {after.start:g} {after.y:g}")
    return "".join(parts)


def _boxes(view: PlanView, placed: Layout) -> Iterator[str]:
    known = {step.number: step for step in view.steps}
    for box in placed.boxes:
        yield from _box(known[box.number], box)


def _box(step: PlannedStep, box: Box) -> Iterator[str]:
    path = "path " if step.on_critical_path else ""
    look = f"{path}box" + ("" if step.critical else " optional")
    badge = max(26.0, 10 + 8.0 * len(str(step.number)))
    text = 20 + badge
    room = (BOX_WIDTH - text - 12) / _NAME_SIZE
    name = cut(one_line(step.name) or step.action, room, ems)
    yield f'<g transform="translate({box.x:g} {box.y:g})"><title>{_text(_tooltip(step))}</title>'
    yield f'<rect class="{look}" width="{BOX_WIDTH:g}" height="{BOX_HEIGHT:g}" rx="9"/>'
    yield f'<rect class="{path}badge" x="11" y="{BOX_HEIGHT / 2 - 13:g}" width="{badge:g}" height="26" rx="13"/>'
    yield f'<text class="{path}number" x="{11 + badge / 2:g}" y="{BOX_HEIGHT / 2 + 4.3:g}">{step.number}</text>'
    yield f'<text class="name" x="{text:g}" y="23">{_text(name)}</text>'
    yield f'<text class="action" x="{text:g}" y="41">{_text(cut(step.action, _ACTION_COLUMNS))}</text>'
    yield f'<text class="time" x="{BOX_WIDTH - 12:g}" y="41">{seconds(step.typical_seconds)}</text></g>'


def _tooltip(step: PlannedStep) -> str:
    parts = [
        title(step),
        subtitle(step),
        f"after {', '.join(map(str, step.needs))}" if step.needs else "",
        "" if step.critical else "not critical",
        "conditional" if step.conditional else "",
        f"{step.retries} retries" if step.retries else "",
    ]
    return "\n".join(part for part in parts if part)


def _foot(view: PlanView, placed: Layout, y: float) -> Iterator[str]:
    path = f"longest path, {seconds(view.critical_path_seconds)}"
    x = _MARGIN
    yield f'<path class="path edge" d="M{x:g} {y - 4:g}h28"/><text class="head" x="{x + 38:g}" y="{y:g}">{path}</text>'
    x += 38 + 7.2 * len(path) + 24
    if any(not step.critical for step in view.steps):
        yield f'<rect class="sample optional" x="{x:g}" y="{y - 12:g}" width="28" height="16" rx="4"/>'
        yield f'<text class="head" x="{x + 38:g}" y="{y:g}">not critical</text>'
        x += 38 + 7.2 * 12 + 24
    if placed.implied:
        count = (
            f"{placed.implied} dependencies that others imply are"
            if placed.implied > 1
            else "1 dependency that others imply is"
        )
        yield f'<text class="head" x="{x:g}" y="{y:g}">{count} not drawn</text>'


def _text(text: str) -> str:
    """A text that is valid in XML, whatever it holds."""
    allowed = "".join(c if c in "\t\n" or _is_xml(ord(c)) else "\ufffd" for c in text)
    return escape(allowed)


def _is_xml(code: int) -> bool:
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000  # noqa: PLR2004 - XML 1.0, 2.2
