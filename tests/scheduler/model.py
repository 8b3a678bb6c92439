"""A deliberately naive model of a run: what spec.md section 3 says, as slowly and as plainly as it can be written.

Knows nothing of the scheduler and shares no code with it. `ends` tells how a run must end where that is determined: no
person, no lost message, an executor that does to each attempt what its fate says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

IDEMPOTENT = {"scale_deployment": True, "restart_pod": False, "cordon_node": True, "notify_only": True}
"""Of the actions that the model's workflows have (spec.md section 6)."""

INVERSE = {"scale_deployment": "scale_deployment", "cordon_node": "uncordon_node"}
"""What undoes an action whose execution said what it was like before: only those do that end as `ok 0`."""
Word = str
"""What the executor makes of an attempt: one of `FATES`."""
FATES: Mapping[Word, tuple[bool, bool]] = {
    "ok 1": (False, False),
    "ok 0": (False, False),
    "broken": (True, False),
    "broken, nothing done": (True, True),
    "broken for ever": (False, False),
    "broken for ever, nothing done": (False, False),
    "no success": (True, False),
    "deleted": (True, False),
    "never ends": (True, False),
}
"""Whether an attempt that failed so may be tried again for an idempotent action, and for any other."""


class NoValueError(Exception):
    """An expression that gives neither true nor false."""

    def __init__(self, n: int | None) -> None:
        """`n`: what the result of the step has that asked."""
        super().__init__()
        self.n = n


@dataclass(frozen=True)
class Term:
    """An expression that the model can read."""

    kind: str
    """yes, no, variable, completed, failed or result."""
    step: int = 0

    @property
    def text(self) -> str:
        """The same in CEL."""
        return {
            "yes": "true",
            "no": "false",
            "variable": "variables.go == 'yes'",
            "completed": f"steps[{self.step}].status == 'completed'",
            "failed": f"steps[{self.step}].status == 'failed'",
            "result": f"steps[{self.step}].result.n == 1",
        }[self.kind]

    def holds(self, variables: Mapping[str, str], ends: Mapping[int, End]) -> bool:
        """Whether it is true, given how the steps have ended that it may name."""
        if self.kind == "variable":
            return variables["go"] == "yes"
        if self.kind in {"completed", "failed"}:
            return ends[self.step].phase == self.kind
        if self.kind == "result":
            n = ends[self.step].n
            if n is None:
                raise NoValueError(None)
            return n == 1
        return self.kind == "yes"


@dataclass(frozen=True)
class Asked:
    """A pre- or postcondition."""

    term: Term
    on_failure: str


@dataclass(frozen=True)
class ModelStep:
    """A step as the model sees it."""

    number: int
    after: frozenset[int]
    action: str = "scale_deployment"
    critical: bool = True
    retries: int = 0
    run_if: Term | None = None
    skip_if: Term | None = None
    before: tuple[Asked, ...] = ()
    behind: tuple[Asked, ...] = ()
    takes: int = 0
    """Step whose result is its parameter, of a step that scales; 0 for none."""
    undo: str = ""
    """Action of its rollbackSpec."""
    fates: tuple[Word, ...] = ()
    """Of its attempts in turn; all further ones are `ok 1`."""
    undo_fates: tuple[Word, ...] = ()


@dataclass(frozen=True)
class End:
    """How a step must end while nothing ends the run early."""

    phase: str
    retries: int = 0
    n: int | None = None
    """In its result."""
    passes: bool = False
    """Whether steps that depend on it run."""
    troubled: bool = False
    """Whether any attempt of it failed."""
    asks_rollback: bool = False


@dataclass(frozen=True)
class Tried:
    """What came of one try of a step."""

    n: int | None
    """In its result; None when it failed or did not begin."""
    unmet: Asked | None
    """The condition that did not hold."""
    again: bool
    """Whether it may be tried again."""
    begun: bool = True
    """Whether the executor had a hand in it."""


@dataclass
class Model:
    """A whole workflow."""

    steps: dict[int, ModelStep]
    variables: dict[str, str]
    strategy: str = "manual"
    checks: tuple[tuple[bool, bool], ...] = ()
    """Required, and passed."""
    dry_runs: dict[int, Word] | None = None
    _known: dict[int, End] = field(default_factory=dict)

    def refused(self) -> str:
        """Why nothing is executed at all; empty when it is."""
        if any(required and not passed for required, passed in self.checks):
            return "check_failed"
        for number, word in (self.dry_runs or {}).items():
            if not word.startswith("ok") and not self.steps[number].takes:
                return "dry_run_failed"
        return ""

    def end_of(self, number: int) -> End:
        """How a step ends."""
        if number not in self._known:
            ends = {other: self.end_of(other) for other in self.steps[number].after}
            self._known[number] = self._end(self.steps[number], ends)
        return self._known[number]

    def closers(self) -> list[ModelStep]:
        """The steps whose end ends the run."""
        return [s for s in self.steps.values() if self._closes(s, self.end_of(s.number))]

    def rolls_back(self) -> bool | None:
        """Whether the run is rolled back; None when that depends on who is first."""
        kinds = {self.strategy == "automatic" or self.end_of(s.number).asks_rollback for s in self.closers()}
        return None if len(kinds) > 1 else kinds == {True}

    def _closes(self, step: ModelStep, end: End) -> bool:
        return end.phase == "failed" and (step.critical or end.asks_rollback)

    def undo_of(self, step: ModelStep) -> str:
        """The action that undoes a completed step: its rollbackSpec's, or the inverse of its own; empty for none."""
        if step.undo or self.end_of(step.number).n != 0:
            return step.undo
        if step.takes and self.end_of(step.takes).n == 1:
            return ""  # it was scaled to what it was
        return INVERSE.get(step.action, "")

    def undone(self, step: ModelStep) -> bool:
        """Whether undoing the step succeeds."""
        idempotent = {**IDEMPOTENT, "uncordon_node": True}[self.undo_of(step)]
        for tries in range(step.retries + 1):
            word = step.undo_fates[tries] if tries < len(step.undo_fates) else "ok 1"
            if word.startswith("ok"):
                return True
            if not FATES[word][0 if idempotent else 1]:
                return False
        return False

    def _end(self, step: ModelStep, ends: dict[int, End]) -> End:
        try:
            if step.run_if is not None:
                if not step.run_if.holds(self.variables, ends):
                    return End("skipped", passes=True)
            elif not all(end.passes for end in ends.values()):
                return End("skipped", passes=False)
            if step.skip_if is not None and step.skip_if.holds(self.variables, ends):
                return End("skipped", passes=True)
        except NoValueError:
            return End("failed", troubled=True)
        return self._try(step, ends)

    def _try(self, step: ModelStep, ends: dict[int, End]) -> End:
        attempts = 0
        for retries in range(step.retries + 1):
            try:
                tried = self._attempt(step, ends, attempts)
            except NoValueError as error:
                return End("failed", retries, error.n, troubled=True)
            attempts += tried.begun
            if tried.n is not None and tried.unmet is None:
                return End("completed", retries, tried.n, passes=True, troubled=retries > 0)
            if tried.unmet is not None and tried.unmet.on_failure == "skip":
                return End("skipped", retries, tried.n, passes=True, troubled=True)
            if not tried.again or retries == step.retries:
                asks = tried.unmet is not None and tried.unmet.on_failure == "rollback"
                return End("failed", retries, tried.n, troubled=True, asks_rollback=asks)
        raise AssertionError("the last attempt decides")

    def _attempt(self, step: ModelStep, ends: dict[int, End], place: int) -> Tried:
        unmet = self._unmet(step.before, ends)
        if unmet is not None:
            return Tried(None, unmet, again=unmet.on_failure == "retry", begun=False)
        if step.takes and ends[step.takes].n is None:
            raise NoValueError(None)
        word = step.fates[place] if place < len(step.fates) else "ok 1"
        if not word.startswith("ok"):
            return Tried(None, None, again=FATES[word][0 if IDEMPOTENT[step.action] else 1])
        n = int(word[-1])
        try:
            unmet = self._unmet(step.behind, ends | {step.number: End("completed", n=n)})
        except NoValueError:
            raise NoValueError(n) from None
        again = unmet is not None and unmet.on_failure == "retry" and IDEMPOTENT[step.action]
        return Tried(n, unmet, again=again)

    def _unmet(self, conditions: tuple[Asked, ...], ends: dict[int, End]) -> Asked | None:
        return next((each for each in conditions if not each.term.holds(self.variables, ends)), None)


def written(step: ModelStep, **more: Any) -> dict[str, Any]:
    """The step as a user writes it."""
    fields: dict[str, Any] = {
        "stepNumber": step.number,
        "dependsOn": sorted(step.after),
        "action": step.action,
        "parameters": PARAMETERS[step.action],
        "criticalStep": step.critical,
        "maxRetries": step.retries,
    }
    if step.takes:
        fields["parameters"] = fields["parameters"] | {"replicas": f"{{{{ steps[{step.takes}].result.n }}}}"}
    for name, term in (("runIf", step.run_if), ("skipIf", step.skip_if)):
        if term is not None:
            fields[name] = term.text
    for name, conditions in (("preConditions", step.before), ("postConditions", step.behind)):
        if conditions:
            fields[name] = [{"expression": c.term.text, "onFailure": c.on_failure} for c in conditions]
    if step.undo:
        fields["rollbackSpec"] = {"action": step.undo, "parameters": PARAMETERS[step.undo]}
    return fields | more


PARAMETERS: Mapping[str, dict[str, Any]] = {
    "scale_deployment": {"deployment": "checkout", "namespace": "shop", "replicas": 3},
    "restart_pod": {"pod": "checkout-1", "namespace": "shop"},
    "cordon_node": {"node": "node-1"},
    "notify_only": {"message": "done"},
}
