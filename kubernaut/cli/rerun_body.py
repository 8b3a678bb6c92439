"""A new run from a finished one: the same spec, without what is done already. Pure.

Must never carry over an approval or what people said to the old run: the new one asks for its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from kubernaut.cli.manifests import TOKEN_LENGTH
from kubernaut.cli.steering import Body, SteeringError, part, phase_of
from scheduler import graph
from scheduler.recommend import expand
from scheduler.rules import edges
from schemas.names import (
    ANNOTATION_RERUN_FROM,
    ANNOTATION_RERUN_OF,
    NAME_LIMIT,
    REQUEST_GROUP,
    REQUEST_KIND,
)
from schemas.workflow import WorkflowSpec
from schemas.workflow_status import TERMINAL_PHASES

MARK: Final = "-rerun-"
_NOT_DONE: Final = "dependency_failed"
"""The one reason of a skipped step for which it does not count as completed for its dependents."""


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to create."""

    body: dict[str, Any]
    again: tuple[int, ...]
    """The steps that run again."""
    kept: tuple[int, ...]
    """The steps whose results it takes over."""


def rerun_of(body: Body, *, start: int, name: str) -> Rerun:
    """Return the run that runs `body` again; `start`: the step to begin with, 0 for all that is not done.

    Raises SteeringError when it has not ended, or there is nothing to run.
    """
    metadata = part(body, "metadata")
    old, namespace = str(metadata.get("name", "")), str(metadata.get("namespace", ""))
    if phase_of(body) not in TERMINAL_PHASES:
        raise SteeringError(
            f"{old} has not ended (phase {phase_of(body) or 'not seen yet'}); only a finished run is run again. "
            f"`kubernaut retry {old} STEP -n {namespace}` tries a step of it again"
        )
    before = _edges(body, old)
    done = _done(body)
    if start and start not in before:
        raise SteeringError(f"{old} has no step {start}; the steps are {_listed(before)}")
    if not start and done.keys() >= before.keys():
        raise SteeringError(
            f"every step of {old} was done, so that nothing is left to run; to run from one of them all the same: "
            f"`kubernaut rerun {old} -n {namespace} --from STEP`, with STEP one of {_listed(before)}"
        )
    chosen = {start} if start else before.keys() - done.keys()
    again = _with_dependents(before, chosen) | (before.keys() - done.keys())
    kept = sorted(done.keys() & (before.keys() - again))
    return Rerun(
        body=_body(body, name, min(chosen), [_skip(number, f"{done[number]} in {old}") for number in kept]),
        again=tuple(sorted(again)),
        kept=tuple(kept),
    )


def next_name(old: str, token: str) -> str:
    """Return a name for the run after `old`, itself the first or a later one."""
    head, mark, tail = old.rpartition(MARK)
    first = head if mark and len(tail) == TOKEN_LENGTH else old
    return f"{first[: NAME_LIMIT - len(MARK) - len(token)].rstrip('.-')}{MARK}{token}"


def _edges(body: Body, old: str) -> dict[int, frozenset[int]]:
    """Return what each step depends on, those that recommendations became included."""
    try:
        return edges(expand(msgspec.convert(part(body, "spec"), WorkflowSpec)))
    except (msgspec.ValidationError, ValueError) as error:
        raise SteeringError(
            f"the spec of {old} cannot be read: {error}; correct it in a file and `kubernaut run` it"
        ) from error


def _done(body: Body) -> dict[int, str]:
    """Return the steps that need not run again, each with how it ended: what let their dependents run."""
    told = (one for one in part(body, "status").get("stepStatuses") or () if isinstance(one, Mapping))
    return {
        one.get("stepNumber", 0): str(one.get("status"))
        for one in told
        if one.get("status") == "completed" or (one.get("status") == "skipped" and one.get("reason") != _NOT_DONE)
    }


def _with_dependents(before: graph.Graph, chosen: Iterable[int]) -> set[int]:
    after = graph.dependents(before)
    found, waiting = set(chosen), list(chosen)
    while waiting:
        fresh = [number for number in after[waiting.pop()] if number not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _skip(number: int, reason: str) -> dict[str, Any]:
    return {"stepNumber": number, "operation": "skip", "reason": reason}


def _body(body: Body, name: str, start: int, skips: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = part(body, "metadata")
    owners = [owner for owner in metadata.get("ownerReferences") or () if _is_request(owner)]
    spec = {field: value for field, value in part(body, "spec").items() if field != "control"}
    annotations = {ANNOTATION_RERUN_OF: str(metadata.get("uid", "")), ANNOTATION_RERUN_FROM: str(start)}
    made: dict[str, Any] = {"name": name, "namespace": metadata.get("namespace", ""), "annotations": annotations}
    if metadata.get("labels"):
        made["labels"] = dict(metadata["labels"])
    if owners:
        made["ownerReferences"] = owners
    return {
        "apiVersion": body.get("apiVersion"),
        "kind": body.get("kind"),
        "metadata": made,
        "spec": spec | ({"control": {"overrides": skips}} if skips else {}),
    }


def _is_request(owner: Mapping[str, Any]) -> bool:
    group = str(owner.get("apiVersion", "")).partition("/")[0]
    return owner.get("kind") == REQUEST_KIND and group == REQUEST_GROUP


def _listed(numbers: Iterable[int]) -> str:
    shown = sorted(numbers)
    return ", ".join(map(str, shown[:12])) + (" …" if len(shown) > 12 else "")  # noqa: PLR2004 - what one can still read
