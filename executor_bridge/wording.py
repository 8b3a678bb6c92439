"""How steps, lists and retries are named in a sentence, everywhere the same. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from executor_bridge.definition import Definition, StepWords
from executor_bridge.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.messages import Decision, WorkflowRef
    from schemas.run_state import RunState, SideState, StepState

NAMED: Final = 5
"""How many things are named in one sentence."""
CAUSE: Final = 300
"""Characters of an error that a sentence quotes; the step's own status has all of it."""
NO_WORDS: Final = Definition(steps={})


def words_of(number: int, words: Definition) -> StepWords:
    """Return what a step is called; only its number when nothing is known of it."""
    return words.steps.get(number) or StepWords(number)


def step_name(number: int, words: Definition) -> str:
    """Return `step 4 (restart it)`: the name, else the action, else the number alone."""
    known = words_of(number, words)
    label = known.name or known.action
    return f"step {number} ({label})" if label else f"step {number}"


def step_names(steps: Iterable[StepState | SideState], words: Definition) -> str:
    """Return the names of steps as `a, b and c`; of many, the first ones and how many more there are."""
    return names([step.number for step in steps], words)


def names(numbers: Sequence[int], words: Definition) -> str:
    """Return the same of step numbers."""
    more = [f"{len(numbers) - NAMED} more"] if len(numbers) > NAMED else []
    return listed([*(step_name(number, words) for number in numbers[:NAMED]), *more])


def listed(parts: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def camel(word: str) -> str:
    """Return a word of ours as Kubernetes writes reasons: `rolling_back` gives `RollingBack`."""
    return "".join(part[:1].upper() + part[1:] for part in word.split("_"))


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters; one that was cut ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def command(verb: str, workflow: WorkflowRef) -> str:
    """Return what a person types: `kubernaut approve restart-web -n shop`."""
    return f"kubernaut {verb} {workflow.name} -n {workflow.namespace}"


def retry(
    one: StepState | SideState, decision: Decision, words: Definition, *, timer: str = "step", what: str = ""
) -> str:
    """Return `retry 2 of 3 of step 4 (restart it) at 10:03:12Z, after: <error>`.

    Of a dry run or a rollback, `timer` is the prefix of its timers and `what` how it is called. A retry whose time has
    come and that waits for its turn has no time any more.
    """
    due = decision.state.timers.get(f"{timer}:{one.number}", 0)
    when = moment(due, decision.now) if due else ""
    name, most = step_name(one.number, words), budget(one.number, decision.state, words)
    return retried(one.retries, most, name, what=what, when=when, why=one.error or one.reason)


def retried(retries: int, most: int, name: str, *, what: str = "", when: str = "", why: str = "") -> str:
    """Return the same, of its parts."""
    which = f"{what} of {name}" if what else name
    text = f"retry {retries} of {max(most, retries)} of {which}" + (f" at {when}" if when else "")
    return text + (f", after: {cut(why, CAUSE)}" if why else "")


def budget(number: int, state: RunState, words: Definition) -> int:
    """Return how often a step may be tried again, with what was adjusted."""
    moved = [one.retries for one in state.adjustments if one.step == number and one.retries >= 0]
    return moved[-1] if moved else words_of(number, words).retries
