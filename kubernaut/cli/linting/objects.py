"""Which documents of a file are workflows, and what to say about the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubernaut.cli.linting.located import Finding, Located, place_of
from schemas.names import WORKFLOW_API, WORKFLOW_GROUP, WORKFLOW_KIND
from schemas.parameter_check import did_you_mean, shown


def workflows(document: Located) -> Iterator[Located | Finding]:
    """Return the workflows of a document, those in a List too, and a finding for what is none."""
    value = document.value
    if not isinstance(value, dict):
        yield Finding(at=document.at, message=f"expected a {WORKFLOW_KIND}, found {shown('', value)}")
        return
    items = document.inner.get("items")
    if value.get("kind") == "List" and items is not None and isinstance(items.value, list):
        yield _note(document, "a List; `kubernaut run` wants its items as documents with --- between them")
        for item in items.inner.values():
            yield from workflows(item)
    elif _is_workflow(value):
        yield document
    else:
        yield _other(document)


def _is_workflow(value: dict[str, Any]) -> bool:
    return value.get("kind") == WORKFLOW_KIND and _group(value) in {WORKFLOW_GROUP, ""}


def _group(value: dict[str, Any]) -> str:
    return str(value.get("apiVersion") or "").partition("/")[0]


def _other(document: Located) -> Finding:
    value = document.value
    kind, at = value.get("kind"), place_of(document, "kind")
    if kind == WORKFLOW_KIND:
        version = place_of(document, "apiVersion")
        said = f"is {shown('', value.get('apiVersion'))}; write {WORKFLOW_API}"
        return Finding(at=version, path="apiVersion", message=said)
    if _group(value) == WORKFLOW_GROUP or _looks_like_one(value):
        words = "missing" if kind is None else f"is {shown('', kind)}"
        near = "" if kind is None else did_you_mean(str(kind), [WORKFLOW_KIND])
        return Finding(
            at=at, path="kind", message=f"{words}; write {WORKFLOW_KIND}{near and '; it seems to be a slip'}"
        )
    if isinstance(kind, str) and did_you_mean(kind, [WORKFLOW_KIND]) and not value.get("apiVersion"):
        return Finding(at=at, path="kind", message=f"is {shown('', kind)}; write {WORKFLOW_KIND}")
    named = kind if isinstance(kind, str) and kind.isidentifier() else shown("", kind)
    what = "what has no kind" if kind is None else f"kind {named}"
    return _note(document, f"{what} is skipped: only {WORKFLOW_KIND} objects are looked at")


def _looks_like_one(value: dict[str, Any]) -> bool:
    spec = value.get("spec")
    return isinstance(spec, dict) and "workflowDefinition" in spec


def _note(document: Located, message: str) -> Finding:
    return Finding(severity="note", at=document.at, message=message)
