"""A run followed without a terminal: one line for each change. Pure."""

from __future__ import annotations

from typing import Final

from kubernaut.cli.times import elapsed
from kubernaut.cli.tree import about
from kubernaut.cli.view import RunView, StepView

_ORDER: Final = ("completed", "rolled_back", "failed", "cancelled", "skipped", "waiting_retry", "executing", "pending")
"""One status write may tell several changes; what ended comes before what it made start."""


def changes(before: RunView | None, after: RunView) -> list[str]:
    """Return a line for each thing that is different between two views of one run; all of it when there was none."""
    lines = []
    if not after.has_ended and (before is None or before.phase != after.phase):
        lines.append(f"phase {after.phase or 'not seen yet'}")
    if after.waiting_idle and (before is None or before.waiting_idle != after.waiting_idle):
        lines.append(f"waiting for: {after.waiting_idle}")
    known = {} if before is None else {step.number: step for step in before.steps}
    moved = [step for step in after.steps if _moved(known.get(step.number), step)]
    lines += [_told(step) for step in sorted(moved, key=_rank)]
    if after.has_ended and (before is None or not before.has_ended):
        lines += _ending(after)
    return [f"{after.name}  {line}" for line in lines]


def _moved(before: StepView | None, after: StepView) -> bool:
    if before is None:
        return after.state != "pending"
    return (before.label, before.retries) != (after.label, after.retries)


def _rank(step: StepView) -> tuple[int, int]:
    return (_ORDER.index(step.state) if step.state in _ORDER else len(_ORDER), step.number)


def _told(step: StepView) -> str:
    line = f"step {step.number} {step.label}"
    if step.has_ended and step.label == step.state and step.started and step.ended:
        line += f" after {elapsed((step.ended - step.started) / 1000)}"
    line += f"  {step.name}" if step.name else ""
    line += f"  [{step.action}]"
    reasons = [part for part in (about(step), step.error) if part]
    return line + (f"  {': '.join(reasons)}" if reasons else "")


def _ending(view: RunView) -> list[str]:
    outcome = f" ({view.outcome})" if view.outcome and view.outcome != view.phase else ""
    lines = [f"{view.phase}{outcome}  {view.progress}  after {elapsed(view.seconds(view.ended))}"]
    return lines + [text for text in (view.failure, *view.errors) if text]
