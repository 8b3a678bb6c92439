"""Whether recorded decisions are made again as they were, by this version or by another, and in words what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from kubernaut.replay.again import make_again
from kubernaut.replay.difference import Difference, differences
from kubernaut.replay.other_code import OtherCode, checkout
from kubernaut.replay.recording import Chain, Made
from schemas.messages import WorkflowRef, encode


class Different(msgspec.Struct, frozen=True):
    """One recorded decision that is made otherwise now."""

    made: Made
    differences: tuple[Difference, ...]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of deciding one run again."""

    workflow: WorkflowRef
    same: int
    different: tuple[Different, ...] = ()
    untried: tuple[tuple[Made, str], ...] = ()
    """Decisions that could not be made again, each with the reason."""

    @property
    def wrong(self) -> bool:
        """Whether a release must not go out by it: something differs, or could not be compared."""
        return bool(self.different or self.untried)


class Judge(Protocol):
    """Decides a run again."""

    def __call__(self, chain: Chain, *, effects: bool) -> Judged:
        """`effects`: only commands, rules and refusals count, not the state that a decision carries."""
        ...


@contextmanager
def judge() -> Iterator[Judge]:
    """Give the judge that is this version."""

    def decide_again(chain: Chain, *, effects: bool) -> Judged:
        answers = (
            (each.made, encode(each.decision) if each.decision is not None and not each.same else None, each)
            for each in make_again(chain)
        )
        tried = [(made, made.stored.data if again.same else raw, again.error) for made, raw, again in answers]
        return _judged(chain, tried, effects=effects)

    yield decide_again


@contextmanager
def judge_with(code: str) -> Iterator[Judge]:
    """Give the judge that is another version, a path or a git revision. Raises OtherCodeError."""
    with checkout(code) as folder, OtherCode(folder) as other:

        def decide_again(chain: Chain, *, effects: bool) -> Judged:
            answers = other.ask(chain)
            tried = []
            for made in chain.made:
                answer = answers.get(made.stored.sequence)
                raw = answer.decision.encode() if answer is not None and answer.decision is not None else None
                tried.append((made, raw, "it was not answered" if answer is None else answer.error))
            return _judged(chain, tried, effects=effects)

        yield decide_again


def _judged(chain: Chain, tried: Sequence[tuple[Made, bytes | None, str]], *, effects: bool) -> Judged:
    different, untried, same = [], [], 0
    for made, raw, error in tried:
        if error:
            untried.append((made, error))
            continue
        found = tuple(each for each in differences(made.stored.data, raw) if not effects or each.kind != "state")
        if found:
            different.append(Different(made, found))
        else:
            same += 1
    return Judged(workflow=chain.workflow, same=same, different=tuple(different), untried=tuple(untried))


def told(judged: Judged) -> list[str]:
    """Return what to say of one run: one line when all is as it was."""
    ref = judged.workflow
    name = f"{ref.namespace}/{ref.name} {ref.uid}"
    if not judged.wrong:
        return [f"{name}: {judged.same} decisions as they were"]
    lines = [f"{name}: {judged.same} decisions as they were, {len(judged.different)} otherwise"]
    state_only = 0
    for each in judged.different:
        only = all(one.kind == "state" for one in each.differences)
        state_only += only
        if only and state_only > 1:
            continue
        lines.append(f"  version {each.made.decision.version} at sequence {each.made.stored.sequence}")
        lines += [f"    {one.text}{f'  [{one.rule}]' if one.rule else ''}" for one in each.differences]
    if state_only > 1:
        lines.append(f"  {state_only - 1} decisions more differ in the state only; --effects leaves those out")
    for made, reason in judged.untried:
        lines.append(
            f"  version {made.decision.version} at sequence {made.stored.sequence} cannot be made again: {reason}"
        )
    return lines


def summary(found: Sequence[Judged], code: str | None) -> str:
    """Return one line about all runs."""
    same = sum(each.same for each in found)
    different = sum(len(each.different) for each in found)
    untried = sum(len(each.untried) for each in found)
    by = f"by {code}" if code else "by this version"
    if not found:
        return "no recorded run was found"
    told_ = f"{same} as they were, {different} otherwise" + (f", {untried} could not be made again" if untried else "")
    return f"{len(found)} runs, {same + different + untried} decisions {by}: {told_}"
