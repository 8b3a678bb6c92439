"""A plan as lines for a terminal: what holds for the run, then its steps wave by wave. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from rich.text import Text

from kubernaut.cli.graphs.labels import cut, one_line, width
from kubernaut.cli.planned import PlannedStep, PlanView, Undo, seconds
from kubernaut.cli.tree import ASCII, LINES, Drawing

_NAME_WIDTH: Final = 32
_PATH_SHOWN: Final = 12


class _Marks(msgspec.Struct, frozen=True):
    drawing: Drawing
    path: str
    """Marks a step of the longest path."""
    arrow: str
    back: str
    """Marks a step that can be undone."""


_UNICODE: Final = _Marks(LINES, "◆", "→", "↶")
_PLAIN: Final = _Marks(ASCII, "*", "->", "<")


def tree(view: PlanView, *, plain: bool = False) -> list[Text]:
    """Return the lines of a plan; `plain`: with ASCII characters only, but for names."""
    marks = _PLAIN if plain else _UNICODE
    lines = [Text.assemble((one_line(view.name), "bold"), (f"  {_definition(view)}", "dim"))]
    facts = dict(_facts(view, marks))
    indent = max(map(len, facts)) + 2
    lines += [Text.assemble((f"  {name:<{indent}}", "dim"), value) for name, value in facts.items()]
    lines.append(Text())
    known = {step.number: step for step in view.steps}
    columns = _Columns.of(view.steps)
    for place, wave in enumerate(view.waves):
        last = place == len(view.waves) - 1
        for index, number in enumerate(wave):
            branch = _branch(marks.drawing, index, len(wave), last=last)
            lines.append(_line(known[number], branch, columns, marks))
    lines += [Text(), _legend(view, marks)]
    return lines


def _definition(view: PlanView) -> str:
    return f"{one_line(view.definition)} {one_line(view.version)}"


def _facts(view: PlanView, marks: _Marks) -> Iterator[tuple[str, str]]:
    count = len(view.steps)
    waves = f"{count} step{'s' * (count != 1)} in {len(view.waves)} wave{'s' * (len(view.waves) != 1)}"
    order = "longest remaining path first" if view.longest_path_first else "lowest number first"
    yield "order", f"{view.strategy}: {waves}, at most {view.parallelism_limit} at once, {order}"
    yield "estimate", f"{seconds(view.estimated_seconds)} by typical durations"
    yield "longest path", f"{_path(view, marks)}  ({seconds(view.critical_path_seconds)})"
    yield "before", _before(view)
    yield "limits", f"{seconds(view.workflow_timeout_seconds)} for the run; {_spread(view, 'timeout')} for an attempt"
    yield "retries", _spread(view, "retries")
    yield "rollback", _rollback(view)
    yield "after", _after(view)


def _path(view: PlanView, marks: _Marks) -> str:
    path = [str(number) for number in view.critical_path]
    if len(path) > _PATH_SHOWN:
        path = [*path[: _PATH_SHOWN - 2], "...", path[-1]]
    return f" {marks.arrow} ".join(path)


def _before(view: PlanView) -> str:
    checks = f"safety checks ({', '.join(view.safety_checks)})" if view.safety_checks else ""
    dry_run = "a dry run of every step" if view.dry_run_first else ""
    approval = "an approval" if view.approval_required else ""
    asked = [part for part in (checks, dry_run, approval) if part]
    return f"{', then '.join(asked)}; at most 5m in all" if asked else "nothing: it starts at once"


def _spread(view: PlanView, what: str) -> str:
    """One value when it holds for all steps, else the range."""
    values = [step.retries if what == "retries" else step.timeout_seconds for step in view.steps]
    told = [str(value) if what == "retries" else seconds(value) for value in (min(values), max(values))]
    spread = told[0] if told[0] == told[1] else f"{told[0]} to {told[1]}"
    return "none" if what == "retries" and not max(values) else spread


def _rollback(view: PlanView) -> str:
    kinds = [step.rollback for step in view.steps]
    parts = [
        f"{kinds.count(Undo.SPEC.value)} by rollbackSpec",
        f"{kinds.count(Undo.DERIVED.value)} by the inverse of the action",
        f"{kinds.count(Undo.NOTHING.value)} change nothing",
        f"{kinds.count(Undo.NONE.value)} cannot be undone",
    ]
    if view.rollback_strategy == "none":
        return "none"
    told = ", ".join(part for part in parts if not part.startswith("0 "))
    strategy = {"automatic": "automatic after a critical failure", "manual": "when asked for"}
    return f"{strategy.get(view.rollback_strategy, view.rollback_strategy)}: {told}"


def _after(view: PlanView) -> str:
    kept = f"kept for {seconds(view.kept_seconds)}"
    if not view.monitoring_window_seconds:
        return f"no monitoring; {kept}"
    window, limit = seconds(view.monitoring_window_seconds), seconds(view.monitoring_timeout_seconds)
    return f"targets must be healthy for {window}, within {limit}; {kept}"


class _Columns(msgspec.Struct, frozen=True):
    """Widths of what stands in columns."""

    number: int
    name: int
    action: int

    @classmethod
    def of(cls, steps: tuple[PlannedStep, ...]) -> _Columns:
        """Return what fits these steps."""
        return cls(
            number=max(len(str(step.number)) for step in steps),
            name=int(max(width(cut(one_line(step.name), _NAME_WIDTH)) for step in steps)),
            action=max(len(step.action) for step in steps),
        )


def _branch(drawing: Drawing, place: int, count: int, *, last: bool) -> str:
    """Return what stands before a step."""
    if place == 0:
        return (drawing.last_wave if last else drawing.wave) + (drawing.alone if count == 1 else drawing.first)
    return (" " if last else drawing.trunk) + (drawing.last if place == count - 1 else drawing.middle)


def _line(step: PlannedStep, branch: str, columns: _Columns, marks: _Marks) -> Text:
    name = cut(one_line(step.name), _NAME_WIDTH)
    line = Text(f"{branch} ", "dim")
    line.append(f"{marks.path if step.on_critical_path else ' '} ", "bold yellow")
    line.append(f"{step.number:>{columns.number}} ", "bold")
    line.append(name + " " * int(columns.name - width(name) + 2))
    line.append(f"{step.action:<{columns.action}}  ", "cyan")
    line.append(f"{seconds(step.typical_seconds):>6}  ")
    line.append(", ".join(_remarks(step, marks)), "dim")
    line.rstrip()
    return line


def _remarks(step: PlannedStep, marks: _Marks) -> Iterator[str]:
    if step.needs:
        yield f"after {', '.join(map(str, step.needs[:6]))}{f' and {len(step.needs) - 6} more' * (len(step.needs) > 6)}"  # noqa: PLR2004
    if step.cluster:
        yield f"in {one_line(step.cluster)}"
    if step.conditional:
        yield "conditional"
    if step.retries:
        yield f"{step.retries} retr{'y' if step.retries == 1 else 'ies'}"
    if not step.critical:
        yield "not critical"
    if step.recommended:
        yield "recommended"
    if step.rollback in {Undo.SPEC.value, Undo.DERIVED.value}:
        yield f"{marks.back} {step.rollback_action or 'inverse'}"


def _legend(view: PlanView, marks: _Marks) -> Text:
    parts = [f"{marks.path} longest path"]
    if any(step.rollback in {Undo.SPEC.value, Undo.DERIVED.value} for step in view.steps):
        parts.append(f"{marks.back} how it is undone")
    return Text("  ".join(parts), "dim")
