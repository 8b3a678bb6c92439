"""What is to be otherwise, such as `parallelism=3` or `delay.action.drain_node=2x`: read and applied. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from kubernaut.replay.recording import RecordingError
from scheduler.plan import Plan
from schemas import durations
from schemas.actions import ACTIONS
from schemas.workflow import PARALLELISM_LIMIT, RETRIES_LIMIT

EXAMPLES: Final = (
    "parallelism=3, retries=2, retries.step.4=0, timeout.step.4=30s, timeout.workflow=10m, order=longest,"
    " delay.action.drain_node=2x, delay.step.4=30s, delay.all=1.5x, maxActive=2"
)
_FACTOR: Final = re.compile(r"\d{1,4}(\.\d{1,3})?x")


class ChangeError(RecordingError):
    """A change that nobody understands or that fits no run."""


class Delay(msgspec.Struct, frozen=True):
    """How long attempts take: a multiple of what they took, or a time of their own."""

    factor: float = 1.0
    fixed_ms: int = 0
    """0: `factor` counts."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is to be otherwise."""

    parallelism: int = 0
    """0: as it was."""
    longest_first: bool | None = None
    retries: int = -1
    """-1: as it was."""
    step_retries: dict[int, int] = {}
    step_timeouts: dict[int, int] = {}
    """In ms."""
    workflow_ms: int = 0
    delays: dict[str, Delay] = {}
    """By `step.4`, `action.drain_node` or `all`; the first that fits counts."""
    max_active: int = 0

    def delay(self, step: int, action: str) -> Delay:
        """Return how long attempts of a step take."""
        for name in (f"step.{step}", f"action.{action}", "all"):
            if name in self.delays:
                return self.delays[name]
        return Delay()


def read_changes(texts: Iterable[str]) -> Changes:
    """Read changes, each `NAME=VALUE`; several may stand in one text. Raises ChangeError."""
    found = Changes()
    for text in texts:
        for part in text.split():
            name, equals, value = part.partition("=")
            if not equals or not value:
                raise ChangeError(f"{part!r} is no change; write NAME=VALUE, such as {EXAMPLES}")
            found = _with(found, name, value)
    return found


def _with(found: Changes, name: str, value: str) -> Changes:
    word, _, rest = name.partition(".")
    reader = _READERS.get((word, rest.partition(".")[0]))
    if reader is None:
        raise ChangeError(f"{name!r} cannot be changed; what can: {EXAMPLES}")
    try:
        return msgspec.structs.replace(found, **reader(found, rest, value))
    except ValueError as error:
        raise ChangeError(f"{name}={value}: {error}") from None


def _number(value: str, least: int, most: int) -> int:
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        message = f"give a number from {least} to {most}"
        raise ValueError(message)
    return int(value)


def _step(rest: str) -> int:
    number = rest.partition(".")[2]
    if not number.isascii() or not number.isdigit():
        message = "name a step by its number, such as step.4"
        raise ValueError(message)
    return int(number)


def _ms(value: str) -> int:
    return round(durations.parse(value) * 1000)


def _delay(rest: str, value: str) -> dict[str, Delay]:
    word, _, which = rest.partition(".")
    if word == "action" and which not in ACTIONS:
        message = f"no action is called {which!r}"
        raise ValueError(message)
    if word == "step":
        _step(rest)
    if _FACTOR.fullmatch(value):
        return {rest: Delay(factor=float(value[:-1]))}
    return {rest: Delay(fixed_ms=max(_ms(value), 1))}


def _order(value: str) -> bool:
    if value not in {"longest", "lowest"}:
        message = "give longest (the longest remaining path first) or lowest (the lowest number first)"
        raise ValueError(message)
    return value == "longest"


_Reader = Callable[[Changes, str, str], Mapping[str, Any]]
_READERS: Final[dict[tuple[str, str], _Reader]] = {
    ("parallelism", ""): lambda _, __, value: {"parallelism": _number(value, 1, PARALLELISM_LIMIT)},
    ("order", ""): lambda _, __, value: {"longest_first": _order(value)},
    ("retries", ""): lambda _, __, value: {"retries": _number(value, 0, RETRIES_LIMIT)},
    ("retries", "step"): lambda found, rest, value: {
        "step_retries": {**found.step_retries, _step(rest): _number(value, 0, RETRIES_LIMIT)}
    },
    ("timeout", "step"): lambda found, rest, value: {"step_timeouts": {**found.step_timeouts, _step(rest): _ms(value)}},
    ("timeout", "workflow"): lambda _, __, value: {"workflow_ms": _ms(value)},
    ("maxActive", ""): lambda _, __, value: {"max_active": _number(value, 1, 10_000)},
    **{
        ("delay", word): lambda found, rest, value: {"delays": {**found.delays, **_delay(rest, value)}}
        for word in ("step", "action", "all")
    },
}


def apply(plan: Plan, changes: Changes) -> Plan:
    """Return the plan with what is otherwise. Raises ChangeError for a step that it does not have."""
    numbers = {step.step_number for step in plan.steps}
    named = {*changes.step_retries, *changes.step_timeouts}
    named |= {int(name[5:]) for name in changes.delays if name.startswith("step.")}
    if unknown := sorted(named - numbers):
        have = ", ".join(map(str, sorted(numbers))) or "none"
        raise ChangeError(f"{plan.definition.ref.name} has no step {unknown[0]}; it has {have}")
    budgets = dict.fromkeys(plan.budgets, changes.retries) if changes.retries >= 0 else plan.budgets
    return msgspec.structs.replace(
        plan,
        limit=changes.parallelism or plan.limit,
        longest_first=plan.longest_first if changes.longest_first is None else changes.longest_first,
        budgets=budgets | changes.step_retries,
        timeouts=plan.timeouts | changes.step_timeouts,
        workflow_ms=changes.workflow_ms or plan.workflow_ms,
    )
