"""A run as a tree of its steps, wave by wave, with states, durations and progress. Pure: now is an argument."""

from __future__ import annotations

from typing import Final

import msgspec
from rich.text import Text

from kubernaut.cli.times import elapsed
from kubernaut.cli.view import RunView, StepView

BAR: Final = 20
NAME_LIMIT: Final = 28
_STATE_WIDTH: Final = 9
"""Of executing and completed, the states that most steps have."""


class Look(msgspec.Struct, frozen=True):
    """The characters and colours of one state."""

    symbol: str
    ascii: str
    style: str


LOOKS: Final[dict[str, Look]] = {
    "pending": Look("○", ".", "dim"),
    "executing": Look("●", "*", "cyan"),
    "waiting_retry": Look("↻", "~", "yellow"),
    "completed": Look("✔", "+", "green"),
    "failed": Look("✘", "x", "red"),
    "skipped": Look("◌", "-", "dim yellow"),
    "cancelled": Look("◌", "-", "dim yellow"),
    "rolled_back": Look("↶", "<", "magenta"),
    "rolling_back": Look("↶", "<", "cyan"),
    "rollback_failed": Look("✘", "x", "red"),
}
PHASE_STYLES: Final = {
    "completed": "bold green",
    "failed": "bold red",
    "cancelled": "bold yellow",
    "rolling_back": "bold magenta",
}
_OUTCOME_STYLES: Final = {"success": "bold green", "partial_success": "bold yellow", "failed": "bold red"}
_UNKNOWN: Final = Look("?", "?", "dim")
_WRONG: Final = frozenset({"failed", "rollback_failed"})


class Drawing(msgspec.Struct, frozen=True):
    """The characters of the tree itself."""

    wave: str
    last_wave: str
    alone: str
    """After the wave's character: its only step, its first of several, one in the middle, the last."""
    first: str
    middle: str
    last: str
    trunk: str
    """What goes on below a wave, and below its steps."""
    done: str
    left: str


LINES: Final = Drawing("├", "└", "──", "─┬", " ├", " └", "│", "━", "─")
ASCII: Final = Drawing("|", "+", "--", "-+", " |", " +", "|", "#", "-")


def tree(view: RunView, now: int, *, plain: bool = False, brief: bool = False, narrow: bool = False) -> list[Text]:
    """Return the lines of a run at `now`, in ms since 1970.

    `plain`: with ASCII characters only. `brief`: only the steps that run or went wrong, for small terminals.
    `narrow`: without the actions, for trees side by side.
    """
    drawing = ASCII if plain else LINES
    lines = [heading(view, now, plain=plain)]
    if view.waiting_idle:
        lines.append(Text(f"{drawing.trunk}   waiting for: {view.waiting_idle}", "yellow"))
    widths = _widths(view, narrow=narrow)
    waves = [[step for step in wave if not brief or _stands_out(step)] for wave in view.waves]
    waves = [wave for wave in waves if wave]
    for number, wave in enumerate(waves):
        last = number == len(waves) - 1
        for place, step in enumerate(wave):
            branch, below = _branch(drawing, place, len(wave), last=last)
            lines.append(_line(step, now, branch, widths, plain=plain))
            if step.error:
                style = "red" if step.label in _WRONG else "yellow"
                lines.append(Text.assemble((f"{below:<9}", "dim"), (step.error, style)))
    errors = [error for error in (view.failure, *view.errors) if error]
    return lines + [Text(f"    {error}", "red") for error in errors]


def heading(view: RunView, now: int, *, plain: bool = False) -> Text:
    """Return the first line: name, phase, progress, outcome and duration."""
    line = Text(view.name, "bold")
    line.append("  ")
    line.append(view.phase or "not seen yet", PHASE_STYLES.get(view.phase, "bold cyan"))
    if view.outcome and view.outcome != view.phase:
        line.append(f" ({view.outcome})", _OUTCOME_STYLES.get(view.outcome, "bold yellow"))
    line.append("  ")
    line.append_text(_bar(view, ASCII if plain else LINES))
    line.append(f"  {view.progress}  {elapsed(view.seconds(now))}")
    return line


def look_of(state: str) -> Look:
    """Return how a step's state looks; a state that is not known has a look, too."""
    return LOOKS.get(state, _UNKNOWN)


def about(step: StepView) -> str:
    """Return why a step is as it is, in a few words; empty when there is nothing to say."""
    parts = [step.waits, step.reason if step.reason != step.label else ""]
    if step.state == "failed" and not step.critical:
        parts.append("not critical")
    if step.retries:
        parts.append(f"{step.retries} retries" if step.retries > 1 else "1 retry")
    return ", ".join(part for part in parts if part)


def _bar(view: RunView, drawing: Drawing) -> Text:
    done = BAR * view.done // view.total if view.total else 0
    style = "red" if view.phase == "failed" else "green"
    return Text.assemble((drawing.done * done, style), (drawing.left * (BAR - done), "dim"))


def _widths(view: RunView, *, narrow: bool) -> tuple[int, int, int]:
    """Return the widths of names, actions and states; 0 leaves the actions out."""
    names = max((min(len(step.name), NAME_LIMIT) for step in view.steps), default=0)
    actions = 0 if narrow else max((len(step.action) for step in view.steps), default=0)
    return names, actions, max((len(step.label) for step in view.steps), default=0)


def _stands_out(step: StepView) -> bool:
    return step.label in {"executing", "waiting_retry", "rolling_back", *_WRONG}


def _branch(drawing: Drawing, place: int, count: int, *, last: bool) -> tuple[str, str]:
    """Return what stands before a step and what stands before a line below it."""
    trunk = " " if last else drawing.trunk
    if place == 0:
        start = drawing.last_wave if last else drawing.wave
        branch = start + (drawing.alone if count == 1 else drawing.first)
    else:
        branch = trunk + (drawing.last if place == count - 1 else drawing.middle)
    return branch, trunk if place == count - 1 else f"{trunk} {drawing.trunk}"


def _line(step: StepView, now: int, branch: str, widths: tuple[int, int, int], *, plain: bool) -> Text:
    names, actions, states = widths
    look = look_of(step.label)
    line = Text(f"{branch} ", "dim")
    line.append(f"{look.ascii if plain else look.symbol} {step.number:>2} ", look.style)
    line.append(f"{_cut(step.name, plain=plain):<{names}}  ")
    if actions:
        line.append(f"{step.action:<{actions}}  ", "dim")
    line.append(f"{step.label:<{max(states, _STATE_WIDTH)}}", look.style)
    seconds = step.seconds(now)
    line.append(f"  {elapsed(seconds) if seconds is not None else '':>6}")
    line.append(f"  {about(step)}", "dim")
    line.rstrip()
    return line


def _cut(name: str, *, plain: bool) -> str:
    end = "..." if plain else "…"
    return name if len(name) <= NAME_LIMIT else name[: NAME_LIMIT - len(end)] + end
