"""What came of a request, read from the status: taken in, refused with the reason, or not told yet. Pure.

The scheduler forgets a refusal once the same operation is accepted. So one that stands in a status of the request's
generation is the answer; an approval has no generation, and there what stood before is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from kubernaut.cli.steering import Asked, Body, condition_of, part, phase_of
from schemas.workflow_status import TERMINAL_PHASES

_CONDITIONS: Final = {"pause": "Paused", "rollback": "RolledBack", "approve": "Approved", "reject": "Approved"}
"""Requests whose refusal has a condition of its own, where the run has it; else Reconciling tells it."""
_REFUSAL: Final = re.compile(r"(?:^|;? )([a-z]+(?:-\d+)?) was refused: ")
_BEFORE_DECISION: Final = ("", "queued", "planning", "validating")


class Verdict(msgspec.Struct, frozen=True):
    """What came of a request."""

    refused: bool
    text: str


def verdict_of(asked: Asked, before: Body, after: Body) -> Verdict | None:
    """Return what came of a request; None when the status does not tell yet.

    `before`: the object as it was when it was asked; `after`: as it is now, with the generation of the request or a
    later one.
    """
    if asked.verb in {"approve", "reject"}:
        return _decided(asked, before, after)
    if _observed(after) < part(after, "metadata").get("generation", 0):
        return None
    if asked.verb in {"pause", "resume"}:
        return _paused(asked, after)
    refusal = _refusal(asked, after)
    return Verdict(refused=bool(refusal), text=refusal or _taken_in(asked, after))


def last_word(asked: Asked, after: Body) -> Verdict | None:
    """Return what is to be said once the time is up: a refusal that stands there all the same, or None."""
    refusal = _refusal(asked, after) if asked.verb in {"approve", "reject"} else ""
    return Verdict(refused=True, text=refusal) if refusal else None


def standing(after: Body) -> str:
    """Return how the run stands, in a few words."""
    status = part(after, "status")
    words = [f"phase {phase_of(after)}" if phase_of(after) else "not taken up yet"]
    if status.get("progress"):
        words.append(f"{status['progress']} steps have ended")
    if status.get("waitingFor"):
        words.append(f"waits for: {status['waitingFor']}")
    return ", ".join(words)


def _observed(body: Body) -> int:
    observed = part(body, "status").get("observedGeneration", 0)
    return observed if isinstance(observed, int) else 0


def _paused(asked: Asked, after: Body) -> Verdict:
    """The condition tells; the refusal of an earlier pause says nothing about resuming."""
    is_paused = condition_of(after, "Paused").get("status") == "True"
    if asked.verb == "resume":
        return Verdict(
            refused=is_paused, text=str(condition_of(after, "Paused").get("message")) if is_paused else "resumed"
        )
    refusal = "" if is_paused else _refusal(asked, after)
    return Verdict(refused=bool(refusal), text=refusal or "paused: no new step starts; steps in flight finish")


def _decided(asked: Asked, before: Body, after: Body) -> Verdict | None:
    """Annotations do not change the generation: the status itself tells, or a condition that is not as it was."""
    results, phase = part(after, "status", "validationResults"), phase_of(after)
    approved = bool(results.get("approvalReceived"))
    by = results.get("approvedBy") or asked.user
    if approved:
        return Verdict(refused=asked.verb == "reject", text=f"approved by {by}")
    if phase in TERMINAL_PHASES:
        why = part(after, "status").get("failureReason") or f"phase {phase}"
        return Verdict(refused=asked.verb == "approve", text=f"the run has ended as {phase}: {why}")
    refusal = _refusal(asked, after)
    if refusal and condition_of(before, "Approved") != condition_of(after, "Approved"):
        return Verdict(refused=True, text=refusal)
    if phase not in _BEFORE_DECISION:
        return Verdict(refused=asked.verb == "reject", text=f"the run goes on, phase {phase}")
    return None


def _refusal(asked: Asked, body: Body) -> str:
    """Return the reason of a refusal of that request; empty when there is none."""
    own = condition_of(body, _CONDITIONS.get(asked.verb, ""))
    if own.get("status") == "False" and own.get("reason") == "Refused":
        return str(own.get("message", ""))
    texts = (str(one.get("message", "")) for one in (own, condition_of(body, "Reconciling")))
    return next((why for text in texts for name, why in _refusals(text) if name == _operation(asked)), "")


def _operation(asked: Asked) -> str:
    """Return what the sentence of a refusal calls the request."""
    if asked.step:
        return f"{asked.verb}-{asked.step}"
    return "approval" if asked.verb in {"approve", "reject"} else asked.verb


def _refusals(text: str) -> Iterator[tuple[str, str]]:
    """Return each operation that a sentence calls refused, with the reason, which goes on to the next one."""
    found = list(_REFUSAL.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    for one, end in zip(found, ends, strict=False):
        yield one[1], text[one.end() : end]


def _step(body: Body, number: int) -> Body:
    told = part(body, "status").get("stepStatuses") or ()
    return next((one for one in told if isinstance(one, dict) and one.get("stepNumber") == number), {})


def _taken_in(asked: Asked, after: Body) -> str:
    """Say what the request has come to so far."""
    phase, step = phase_of(after), _step(after, asked.step)
    now = f"; it is {step['status']} now" if step.get("status") else ""
    match asked.verb:
        case "cancel" if phase in TERMINAL_PHASES:
            return f"the run has ended as {phase}"
        case "cancel":
            return f"is being cancelled ({_CANCELS.get(asked.mode, asked.mode)})"
        case "skip" if step.get("status") == "skipped":
            return f"step {asked.step} is skipped"
        case "skip":
            return f"step {asked.step} will be skipped{now}"
        case "retry":
            return f"step {asked.step} is tried again{now}"
        case _:
            return "the rollback has begun" if phase == "rolling_back" else "the rollback was taken in"


_CANCELS: Final = {
    "stop": "steps in flight end by themselves, no new one starts",
    "rollback": "steps in flight are ended, then what was done is rolled back",
    "terminate": "steps in flight are ended now",
}
