"""A plan as a Mermaid flowchart, for Markdown pages. Pure."""

from __future__ import annotations

import re
from typing import Final

from kubernaut.cli.graphs.labels import headline, one_line, subtitle, title
from kubernaut.cli.graphs.layout import shown
from kubernaut.cli.planned import PlanView

_PLAIN: Final = re.compile(r"[ ,.:_/()=+-]")


def mermaid(view: PlanView) -> str:
    """Return the text of a flowchart from left to right, the longest path emphasized.

    Without the edges that others imply: Mermaid draws no chart of more than 500.
    """
    steps = [
        f'  s{step.number}["{_quoted(title(step))}<br>{_quoted(subtitle(step))}"]'
        + (":::critical" if step.on_critical_path else "")
        for step in view.steps
    ]
    edges = shown(view.waves, view.edges(), view.critical_edges())
    emphasized = [str(place) for place, edge in enumerate(edges) if edge in view.critical_edges()]
    lines = [
        f"%% {one_line(view.name)} - {headline(view)}",
        "flowchart LR",
        "  classDef default fill:#ffffff,stroke:#94a3b8,color:#0f172a",
        "  classDef critical fill:#fff7ed,stroke:#ea580c,stroke-width:2px,color:#0f172a",
        *steps,
        *(f"  s{source} --> s{target}" for source, target in edges),
    ]
    if emphasized:
        lines.append(f"  linkStyle {','.join(emphasized)} stroke:#ea580c,stroke-width:3px")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A text in quotes, where Mermaid reads entities that begin with # and HTML."""
    return "".join(c if c.isalnum() or _PLAIN.match(c) else f"#{ord(c)};" for c in text)
