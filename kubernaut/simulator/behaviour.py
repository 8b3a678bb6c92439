"""How the simulated executor shall behave: read from annotations on the workflow. Pure.

`simulator.kubernaut.io/step-<n>` speaks of one step, `simulator.kubernaut.io/all-steps` of all that have none of their
own. Both are about real executions; a dry run or a rollback of step n obeys `step-<n>.dry-run` and `step-<n>.rollback`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from schemas import durations

PREFIX: Final = "simulator.kubernaut.io/"
ALL_STEPS: Final = f"{PREFIX}all-steps"
FORMS: Final = (
    "succeed, fail, fail:<times>, fail-before, fail-before:<times>, fail-not-retryable, reject, hang, "
    "stall:<duration>, take:<duration>, slow-end:<duration>, garbage, delete, no-pre-image"
)

Kind = Literal[
    "succeed",
    "fail",
    "fail-before",
    "fail-not-retryable",
    "reject",
    "hang",
    "stall",
    "take",
    "slow-end",
    "garbage",
    "delete",
    "no-pre-image",
]
_SIMPLE: Final[dict[str, Kind]] = {
    "succeed": "succeed",
    "fail": "fail",
    "fail-before": "fail-before",
    "fail-not-retryable": "fail-not-retryable",
    "reject": "reject",
    "hang": "hang",
    "garbage": "garbage",
    "delete": "delete",
    "no-pre-image": "no-pre-image",
}
_TIMED: Final[dict[str, Kind]] = {"stall": "stall", "take": "take", "slow-end": "slow-end"}
_COUNTED: Final[dict[str, Kind]] = {"fail": "fail", "fail-before": "fail-before"}
_SUFFIXES: Final = {"execute": "", "dry_run": ".dry-run", "rollback": ".rollback"}


class BehaviourError(ValueError):
    """An annotation asks for something that the simulator does not know."""


class Behaviour(msgspec.Struct, frozen=True):
    """What happens to one attempt of one step."""

    kind: Kind = "succeed"
    """succeed: in the typical time. fail: runs, then fails, may be retried. fail-not-retryable: the same, may not.

    fail-before: fails before anything was executed, may be retried. reject: refused in validating, nothing executed.
    hang: never ends. stall: ends well, `seconds` later. take: ends well after `seconds`. slow-end: never ends, and once
    it is deleted it stays `seconds` longer. garbage: an unknown phase and odd fields on the way. delete: deletes the
    execution half way. no-pre-image: ends well and does not tell what it was like before.
    """
    seconds: float = 0.0
    """Of stall, take and slow-end: real seconds, not scaled."""
    source: str = ""
    """Annotation that asked for it; empty when none did."""


SUCCEED: Final = Behaviour()


def behaviour_of(annotations: Mapping[str, str], *, step: int, attempt: int, purpose: str) -> Behaviour:
    """Return the behaviour of one attempt (from 1) of a step under the annotations of its workflow.

    Raises BehaviourError, naming the annotation and the known forms.
    """
    key = f"{PREFIX}step-{step}{_SUFFIXES.get(purpose, '')}"
    if key not in annotations and purpose == "execute":
        key = ALL_STEPS
    if key not in annotations:
        return SUCCEED
    return _parse(annotations[key].strip(), key, attempt)


def _parse(text: str, key: str, attempt: int) -> Behaviour:
    if text in _SIMPLE:
        return Behaviour(kind=_SIMPLE[text], source=key)
    word, _, value = text.partition(":")
    try:
        if word in _TIMED:
            return Behaviour(kind=_TIMED[word], seconds=durations.parse(value.strip()), source=key)
        if word in _COUNTED:
            return Behaviour(kind=_COUNTED[word] if attempt <= int(value) else "succeed", source=key)
    except ValueError as error:
        raise BehaviourError(f"annotation {key}: {text[:64]!r}: {error}") from error
    raise BehaviourError(f"annotation {key}: {text[:64]!r} is no behaviour of the simulator; use one of {FORMS}")
