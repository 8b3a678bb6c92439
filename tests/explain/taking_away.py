"""Taking reasons away: the fact that removes each, fed to the real `decide`. And runs that got anywhere, by chance."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from executor_bridge import reasons as kinds
from executor_bridge.reasons import Reason
from scheduler.graph import waves
from scheduler.inputs import Fact, Place
from schemas.execution import Purpose
from schemas.messages import RunCheck, TimerDue
from tests.scheduler.builders import UID, Run, a_step, a_workflow, definition_of

BOOLEANS = st.booleans()
ROUNDS = 12


class Steered(Run):
    """A run whose control grows as people ask for more."""

    control: dict[str, Any] = {}

    def fork(self) -> Steered:
        """The same run, to try what would come of something."""
        other = copy.copy(self)
        other.decisions = list(self.decisions)
        other.wakes = []
        return other

    def wants(self, **control: Any) -> Fact:
        """A newer version of the object that asks for more."""
        self.control = self.control | control
        self.version += 1
        metadata = self.workflow["metadata"]
        changed = metadata | {"resourceVersion": str(self.version), "generation": metadata["generation"] + 1}
        self.workflow = self.workflow | {
            "metadata": changed,
            "spec": self.workflow["spec"] | {"control": self.control},
        }
        return definition_of(self.workflow, sequence=self.version)

    def skips(self, numbers: Iterable[int]) -> list[Fact]:
        """A person skips steps."""
        fresh = [{"stepNumber": number, "operation": "skip"} for number in numbers]
        return [self.wants(overrides=[*self.control.get("overrides", []), *fresh])] if fresh else []

    def executing(self, number: int, purpose: Purpose = "execute") -> bool:
        """Whether an execution of that purpose is in flight."""
        rows: Any = {"execute": self.state.steps, "dry_run": self.state.dry_runs, "rollback": self.state.rollbacks}
        return any(row.number == number and row.phase == "executing" for row in rows[purpose])


def take_away(run: Steered, found: Iterable[Reason]) -> None:
    """Feed the run the facts that take these reasons away; what is about one step only, all at once."""
    every = list(found)
    if any(isinstance(each, kinds.Place) for each in every):
        run.take(Place(admitted=True))
    if any(isinstance(each, kinds.Resume) for each in every):
        run.take(run.wants(paused=False))
    for each in every:
        asked = [c for c in run.commands() if isinstance(c, RunCheck)]
        if isinstance(each, kinds.Result) and any(command.check == each.check for command in asked):
            run.report(each.check)
    _end_dry_runs(run, {each.step for each in every if isinstance(each, kinds.DryRun)})
    if any(isinstance(each, kinds.Approval) for each in every):
        run.say("approved")
    skipped = [each.step for each in every if isinstance(each, kinds.Dependency) and not _in_flight(run, each)]
    if facts := [*run.skips(_latest_first(run, skipped)), *(fact for each in every for fact in _facts(run, each))]:
        run.take(*facts)


def _latest_first(run: Steered, numbers: list[int]) -> list[int]:
    """So that none is decided, because those before it have ended, before its own turn comes."""
    wave = {number: place for place, of in enumerate(waves(run.plan.before)) for number in of}
    return sorted(numbers, key=lambda number: -wave[number])


def _in_flight(run: Steered, reason: kinds.Dependency) -> bool:
    """Whether it ends by its execution; otherwise a person skips it, which counts as completed."""
    return reason.purpose == "rollback" or run.executing(reason.step)


def _facts(run: Steered, reason: Reason) -> list[Fact]:
    match reason:
        case kinds.Dependency() if run.executing(reason.step, reason.purpose):
            return [run.execution(reason.step, "completed", purpose=reason.purpose)]
        case kinds.End() | kinds.Creation() | kinds.CommandedEnd():
            return [run.execution(reason.step, "completed", purpose=reason.purpose)]
        case kinds.Slot():
            purpose: Purpose = "rollback" if run.state.phase == "rolling_back" else "execute"
            return [run.execution(number, "completed", purpose=purpose) for number in reason.holders]
        case kinds.Retry():
            run.time = max(run.time, reason.until)
            return [TimerDue(workflow_uid=UID, due_at=reason.until)]
        case _:
            return []


def _end_dry_runs(run: Steered, numbers: set[int]) -> None:
    for _ in range(len(numbers)):
        ending = [number for number in sorted(numbers) if run.executing(number, "dry_run")]
        if not ending:
            return
        run.take(*(run.execution(number, "completed", purpose="dry_run") for number in ending))


TERMS = ("completed", "failed", "skipped")


@st.composite
def workflows(pick: st.DrawFn) -> dict[str, Any]:
    """Any graph with any limit; conditions that can be decided whatever comes, nothing that ends the run by itself."""
    count = pick(st.integers(2, 6))
    numbers = list(range(1, count + 1))
    if pick(BOOLEANS):
        numbers.reverse()
    steps = []
    for place, number in enumerate(numbers):
        after = sorted(pick(st.sets(st.sampled_from(numbers[:place]), max_size=3))) if place else []
        fields: dict[str, Any] = {"maxRetries": pick(st.integers(0, 2)), "criticalStep": pick(st.integers(0, 4)) == 0}
        for name in ("runIf", "skipIf"):
            if after and pick(st.integers(0, 3)) == 0:
                fields[name] = f"steps[{pick(st.sampled_from(after))}].status == '{pick(st.sampled_from(TERMS))}'"
        if pick(BOOLEANS):
            fields["rollbackSpec"] = {"action": "notify_only", "parameters": {"message": "undone"}}
        steps.append(a_step(number, after=tuple(after), timeout="1h", **fields))
    seldom = pick(st.integers(0, 4)) == 0
    checks = [{"type": "rbac", "required": True}, {"type": "health", "required": pick(BOOLEANS)}] if seldom else []
    strategy = {
        "parallelismLimit": pick(st.integers(1, 4)),
        "safetyChecks": checks,
        "dryRunFirst": seldom and pick(BOOLEANS),
        "approvalRequired": seldom and pick(BOOLEANS),
        "rollbackStrategy": pick(st.sampled_from(["automatic", "manual"])),
        "workflowTimeout": "8h",
    }
    adaptive = {"optimizationEnabled": pick(BOOLEANS)}
    return a_workflow(*steps, executionStrategy=strategy, adaptiveOrchestration=adaptive)


MOVES = (
    *("see", "complete", "complete", "fail") * 3,
    *("wait", "pause", "resume", "skip", "retry", "end", "check", "say", "admit", "late"),
)


@st.composite
def runs(pick: st.DrawFn) -> Steered:
    """A run of any workflow that got anywhere."""
    run = Steered(pick(workflows()), admitted=pick(st.integers(0, 8)) > 0, tick=1)
    for _ in range(pick(st.integers(0, 20))):
        _move(run, pick(st.sampled_from(MOVES)), pick)
    return run


def _move(run: Steered, move: str, pick: st.DrawFn) -> None:
    if move in {"see", "complete", "fail"}:
        _execute(run, {"see": "executing", "complete": "completed", "fail": "failed"}[move], pick)
    elif move in {"pause", "resume", "skip", "retry", "end", "say"}:
        _ask(run, move, pick)
    elif move == "wait":
        run.wait(pick(st.sampled_from([0.2, 1.0, 4.0])))
    elif move == "admit":
        run.take(Place(admitted=True))
    elif move == "check" and (open_ := [check.id for check in run.state.checks if check.passed is None]):
        run.report(pick(st.sampled_from(open_)))
    elif move == "late" and (due := [name for name in run.state.timers if name.startswith("step:")]):
        run.wait_for(pick(st.sampled_from(sorted(due))))


def _execute(run: Steered, phase: str, pick: st.DrawFn) -> None:
    state = run.state
    rows: dict[Purpose, Any] = {"execute": state.steps, "dry_run": state.dry_runs, "rollback": state.rollbacks}
    flying = [(purpose, row.number) for purpose, of in rows.items() for row in of if row.phase == "executing"]
    if flying:
        purpose, number = pick(st.sampled_from(flying))
        run.take(run.execution(number, phase, purpose=purpose))


def _ask(run: Steered, what: str, pick: st.DrawFn) -> None:
    number = pick(st.sampled_from(sorted(run.plan.place)))
    if what in {"pause", "resume"}:
        run.take(run.wants(paused=what == "pause"))
    elif what == "skip":
        run.take(*run.skips([number]))
    elif what == "retry":
        asked = {"stepNumber": number, "operation": "retry"}
        run.take(run.wants(overrides=[*run.control.get("overrides", []), asked]))
    elif what == "end" and pick(st.integers(0, 2)) == 0:
        run.take(run.wants(cancel={"mode": pick(st.sampled_from(["stop", "rollback", "rollback", "terminate"]))}))
    elif what == "say" and run.state.phase == "validating":
        run.say("approved")
