"""A report for people: what is waited for, each reason with its proof, and the story of a step. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor_bridge.reasons import Place, Slot
from kubernaut.explain.proofs import Proof
from kubernaut.explain.report import Report, StepReport, Why


def lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report."""
    where = f"{report.workflow.namespace}/{report.workflow.name}"
    outcome = f" ({report.outcome})" if report.outcome and report.outcome != report.phase else ""
    yield f"{where} is {report.phase}{outcome} as of decision {report.version} (#{report.sequence}, {report.time})"
    yield from (f"note: {note}" for note in report.notes)
    alone = len(report.steps) == 1 and bool(report.steps[0].story)
    if report.waiting_for and not alone:
        yield f"waits for: {report.waiting_for}"
        about_run = [why for why in report.reasons if not report.steps or not hasattr(why.reason, "step")]
        yield from _reasons(about_run, alone=False)
    for step in report.steps:
        yield ""
        yield from _step(step)


def _step(step: StepReport) -> Iterator[str]:
    label = step.name or step.action
    why = f" ({step.reason})" if step.reason else ""
    yield f"step {step.step}" + (f" ({label})" if label else "") + f" is {step.phase}{why}"
    if step.waiting_for:
        yield f"waits for: {step.waiting_for}"
        yield from _reasons(step.reasons, alone=len(step.reasons) == 1)
    if step.story:
        yield "what happened:"
        for proof in step.story:
            yield from _proof(proof, "  ")


def _reasons(found: Sequence[Why], *, alone: bool) -> Iterator[str]:
    """Yield each reason with its proof; one that is `alone` is told already."""
    for why in found:
        kind = why.reason.__struct_config__.tag
        yield f"  {kind}" if alone else f"  {kind}: {why.text}"
        if isinstance(why.reason, Slot):
            yield f"      places are held by {_steps(why.reason.holders) or 'nobody'}"
            if why.reason.before:
                yield f"      before it: {_steps(why.reason.before)}"
        if isinstance(why.reason, Place) and why.reason.position:
            before = f"; before it: {', '.join(why.reason.before)}" if why.reason.before else ""
            yield f"      place {why.reason.position} in the queue{before}"
        for proof in why.proofs:
            yield from _proof(proof, "      ")


def _steps(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"step {number}" for number in numbers)


def _proof(proof: Proof, indent: str) -> Iterator[str]:
    yield f"{indent}{_line(proof)}"
    for cause in proof.because:
        yield f"{indent}    because of {_line(cause)}"


def _line(proof: Proof) -> str:
    by = f" by {proof.by}" if proof.by else ""
    return f"#{proof.sequence} {proof.time or '(no time)'}{by}: {proof.says} [{proof.id}]"
