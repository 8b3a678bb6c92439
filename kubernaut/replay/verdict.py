"""Whether recorded decisions are made again as they were, by this version or by another, and in words what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from kubernaut.replay.again import Again, few_collections, make_again
from kubernaut.replay.other_code import Answer, OtherCode, checkout
from kubernaut.replay.recording import Chain, Made
from scheduler.difference import Difference, differences
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
        return _judged(chain, [_tried(each) for each in make_again(chain)], effects=effects)

    with few_collections():
        yield decide_again


class _Tried(msgspec.Struct, frozen=True):
    """A decision as it was recorded and as it is made now, both as the version that is asked writes them."""

    made: Made
    recorded: bytes
    now: bytes | None
    """None: it decides nothing."""
    error: str


def _tried(again: Again) -> _Tried:
    if again.same:
        return _Tried(again.made, b"", b"", "")
    now = encode(again.decision) if again.decision is not None else None
    return _Tried(again.made, encode(again.made.decision), now, again.error)


@contextmanager
def judge_with(code: str) -> Iterator[Judge]:
    """Give the judge that is another version, a path or a git revision. Raises OtherCodeError."""
    with checkout(code) as folder, OtherCode(folder) as other:

        def decide_again(chain: Chain, *, effects: bool) -> Judged:
            answers = other.ask(chain)
            return _judged(chain, [_answered(made, answers) for made in chain.made], effects=effects)

        yield decide_again


def _answered(made: Made, answers: Mapping[int, Answer]) -> _Tried:
    answer = answers.get(made.stored.sequence)
    if answer is None:
        return _Tried(made, b"", None, "it was not answered")
    now = answer.decision.encode() if answer.decision is not None else None
    return _Tried(made, answer.recorded.encode() or made.stored.data, now, answer.error)


def _judged(chain: Chain, tried: Sequence[_Tried], *, effects: bool) -> Judged:
    different, untried, same = [], [], 0
    for each in tried:
        if each.error:
            untried.append((each.made, each.error))
            continue
        found = tuple(one for one in differences(each.recorded, each.now) if not effects or one.kind != "state")
        if found:
            different.append(Different(each.made, found))
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
