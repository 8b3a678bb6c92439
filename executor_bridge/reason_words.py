"""Reasons as a sentence that a person at 3 am can act on: for a status and for `kubernaut explain`, once. Pure.

A command that would end the waiting stands last, without a full stop, so that it can be copied.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from executor_bridge import reasons
from executor_bridge.reasons import Reason
from executor_bridge.times import moment
from executor_bridge.wording import CAUSE, budget, command, cut, listed, names, retried, step_name
from schemas import durations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from executor_bridge.definition import Definition
    from schemas.messages import Decision

    _Clause = Callable[[list[Any], Decision, Definition], list[str]]

_ENDING: Final = {
    "timed_out": "which took too long",
    "cancelled": "which was cancelled",
    "skipped": "which is to be skipped",
}
_CLOSING: Final = {
    "": "the run fails",
    "failed": "the run fails",
    "rolled_back": "the run is rolled back",
    "cancelled": "the run is cancelled",
    "cancelled_rolled_back": "the run is rolled back and cancelled",
}
_OF: Final = {"execute": "", "dry_run": "the dry run of ", "rollback": "the rollback of "}
WHAT: Final = {"dry_run": "the dry run", "rollback": "the rollback"}
"""How an execution beside a step's own is called."""
_PHASES: Final = {
    "pending": "has not begun",
    "executing": "is executing",
    "waiting_retry": "waits for its next attempt",
    "completed": "has completed",
}


def sentence(found: Sequence[Reason], decision: Decision, words: Definition) -> str:
    """Return all reasons as one sentence, and how the run goes on then; empty without reasons."""
    clauses = [
        clause
        for kind, group in groupby((each for each in found if not isinstance(each, reasons.Closing)), type)
        for clause in _CLAUSES[kind](list(group), decision, words)
    ]
    closing = next((each for each in found if isinstance(each, reasons.Closing)), None)
    if not clauses:
        return f"Nothing, it will not run: {then(closing)}" if closing else ""
    text = "; ".join(clauses)
    end = "" if ": kubernaut " in clauses[-1] else "."
    return text[0].upper() + text[1:] + end + (f" Then {then(closing)}" if closing else "")


def clause(reason: Reason, decision: Decision, words: Definition) -> str:
    """Return one reason alone, as it stands in the sentence."""
    if isinstance(reason, reasons.Closing):
        return then(reason)
    return "; ".join(_CLAUSES[type(reason)]([reason], decision, words))


def then(closing: reasons.Closing) -> str:
    """Say how a run ends that starts no new step."""
    return f"{_CLOSING[closing.how]}: {closing.why}"


def _place(group: list[reasons.Place], _decision: Decision, _words: Definition) -> list[str]:
    first = f"next is the highest priority (this one is {group[0].priority}), then the oldest"
    return [f"a free place: as many workflows run already as maxActiveWorkflows allows; {first}"]


def _resume(group: list[reasons.Resume], decision: Decision, words: Definition) -> list[str]:
    running = group[0].meanwhile
    goes = "goes" if len(running) == 1 else "go"
    meanwhile = f" (meanwhile {names(running, words)} {goes} on to the end)" if running else ""
    return [f"somebody to resume it{meanwhile}: {command('resume', decision.workflow)}"]


def _freeze(group: list[reasons.Freeze], decision: Decision, _words: Definition) -> list[str]:
    frozen = group[0]
    by = f" by {frozen.by}" if frozen.by else ""
    why = f" ({frozen.because})" if frozen.because else ""
    if frozen.until:
        return [f"the end of the freeze{by}{why} at {moment(frozen.until, decision.now)}, or sooner: kubernaut thaw"]
    return [f"somebody to end the freeze{by}{why}: kubernaut thaw"]


def _results(group: list[reasons.Result], _decision: Decision, _words: Definition) -> list[str]:
    types = list(dict.fromkeys(each.type for each in group))
    return [f"the result of the {listed(types)} {'check' if len(types) == 1 else 'checks'}"]


def _approval(group: list[reasons.Approval], decision: Decision, _words: Definition) -> list[str]:
    asked = group[0]
    when = f" until {moment(asked.until, decision.now)}" if asked.until else ""
    early = " (the one that was written before the plan was made does not count)" if asked.early else ""
    ask = command("approve", decision.workflow)
    return [f"approval by somebody with the right to approve{when}{early}: {ask}"]


def _creations(group: list[reasons.Creation], _decision: Decision, words: Definition) -> list[str]:
    return [
        f"the KubernetesExecution of {_OF[purpose]}{names([each.step for each in each_], words)} to be created"
        for purpose, each_ in _by_purpose(group)
    ]


def _ends(group: list[reasons.End], decision: Decision, words: Definition) -> list[str]:
    return [
        f"the end of {_OF[purpose]}{names([each.step for each in each_], words)}{_latest(each_, decision)}"
        for purpose, each_ in _by_purpose(group)
    ]


def _latest(group: list[reasons.End], decision: Decision) -> str:
    """Say by when the only one in flight must have ended."""
    until = group[0].until if len(group) == 1 else 0
    return f", at the latest at {moment(until, decision.now)}" if until else ""


def _commanded_ends(group: list[reasons.CommandedEnd], _decision: Decision, words: Definition) -> list[str]:
    return [
        f"the end of {_OF[each.purpose]}{step_name(each.step, words)}, {_ENDING.get(each.why, each.why)}"
        for each in group
    ]


def _retries(group: list[reasons.Retry], decision: Decision, words: Definition) -> list[str]:
    return [
        retried(
            each.retries,
            budget(each.step, decision.state, words),
            step_name(each.step, words),
            what=WHAT.get(each.purpose, ""),
            when=moment(each.until, decision.now) if each.until else "",
            why=each.error,
        )
        for each in group
    ]


def _slots(group: list[reasons.Slot], _decision: Decision, words: Definition) -> list[str]:
    which = names([each.step for each in group], words)
    return [f"a free place for {which}: at most {group[0].limit} may be in flight"]


def _dependencies(group: list[reasons.Dependency], _decision: Decision, words: Definition) -> list[str]:
    return [
        f"the end of {_OF[each.purpose]}{step_name(each.step, words)}, which {_PHASES.get(each.phase, each.phase)}"
        for each in group
    ]


def _dry_runs(group: list[reasons.DryRun], _decision: Decision, words: Definition) -> list[str]:
    return [f"the end of the dry run of {names([each.step for each in group], words)}"]


def _conditions(group: list[reasons.Condition], _decision: Decision, _words: Definition) -> list[str]:
    return [
        f"its {each.what}, not decided yet" + (f": {cut(each.expression, CAUSE)}" if each.expression else "")
        for each in group
    ]


def _doomed(group: list[reasons.Doomed], _decision: Decision, words: Definition) -> list[str]:
    which = names([each.step for each in group], words)
    return [f"it will be skipped then, because {which} did not complete"]


def _skipped(_group: list[reasons.Skipped], _decision: Decision, _words: Definition) -> list[str]:
    return ["it is skipped then, as a person asked for"]


def _health(group: list[reasons.Health], decision: Decision, _words: Definition) -> list[str]:
    seen, now = group[0], decision.now
    window = durations.render(seen.window)
    limit = f"; at {moment(seen.given_up, now)} it is given up" if seen.given_up else ""
    if not seen.looked:
        return [f"the first look at what the steps have changed, which must stay healthy for {window}{limit}"]
    if seen.until:
        until = moment(seen.until, now)
        if not seen.judged:
            return [f"no alert to fire until {until}; nothing was changed whose health can be looked at"]
        return [f"the targets to stay healthy until {until}; now {seen.healthy} of {seen.judged} are"]
    told = f"; now: {cut(seen.message, CAUSE)}" if seen.message else ""
    return [f"the targets to become healthy and stay so for {window}{limit}{told}"]


def _expiry(group: list[reasons.Expiry], decision: Decision, _words: Definition) -> list[str]:
    when = moment(group[0].until, decision.now)
    if group[0].asked:
        return [f"the audit to hold all of the run, before its object is deleted; it is asked again at {when}"]
    return [f"its deletion at {when}, once the audit holds all of it"]


def _by_purpose(group: list[Any]) -> list[tuple[str, list[Any]]]:
    return [(purpose, list(each)) for purpose, each in groupby(group, lambda reason: reason.purpose)]


_CLAUSES: Final[dict[type[Reason], _Clause]] = {
    reasons.Place: _place,
    reasons.Resume: _resume,
    reasons.Result: _results,
    reasons.Approval: _approval,
    reasons.Creation: _creations,
    reasons.End: _ends,
    reasons.CommandedEnd: _commanded_ends,
    reasons.Retry: _retries,
    reasons.Slot: _slots,
    reasons.Dependency: _dependencies,
    reasons.DryRun: _dry_runs,
    reasons.Condition: _conditions,
    reasons.Doomed: _doomed,
    reasons.Skipped: _skipped,
    reasons.Freeze: _freeze,
    reasons.Health: _health,
    reasons.Expiry: _expiry,
}
