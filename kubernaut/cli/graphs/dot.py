"""A plan in the DOT language of Graphviz. Pure."""

from __future__ import annotations

from kubernaut.cli.graphs.labels import headline, one_line, subtitle, title
from kubernaut.cli.planned import PlannedStep, PlanView


def dot(view: PlanView) -> str:
    """Return the text of a directed graph from left to right, the longest path emphasized."""
    critical = view.critical_edges()
    lines = [
        f"digraph {_quoted(one_line(view.name))} {{",
        "  graph [",
        f"    label={_quoted(one_line(view.name), headline(view))}, labelloc=t, fontname=Helvetica,",
        '    rankdir=LR, bgcolor="#f8fafc", nodesep=0.25, ranksep=0.7',
        "  ];",
        '  node [shape=box, style="rounded,filled", fillcolor=white, color="#94a3b8"];',
        "  node [fontname=Helvetica, fontsize=11];",
        '  edge [color="#94a3b8", arrowsize=0.7];',
        *(f"  {_node(step)};" for step in view.steps),
        *(f"  {source} -> {target}{_look((source, target) in critical)};" for source, target in view.edges()),
        "}",
    ]
    return "\n".join(lines)


def _node(step: PlannedStep) -> str:
    look = ', color="#ea580c", fillcolor="#fff7ed", penwidth=2' if step.on_critical_path else ""
    return f"{step.number} [label={_quoted(title(step), subtitle(step))}{look}]"


def _look(critical: bool) -> str:  # noqa: FBT001 - one of two looks
    return ' [color="#ea580c", penwidth=2.5]' if critical else ""


def _quoted(*lines: str) -> str:
    """Lines as one string of DOT, which reads escapes and HTML entities in it."""
    escaped = [line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(escaped) + '"'
