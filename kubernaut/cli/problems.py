"""Errors of the API and of our own as people read them: what is wrong, where, and what to do next. Pure."""

from __future__ import annotations

import re
from typing import Final

from runtime.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    KubernautError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

_INVALID: Final = re.compile(r"^.*? is invalid: ", re.DOTALL)
_FIELD: Final = re.compile(r"(?:^|, )(?=(?:spec|metadata|status|<nil>)[.\[:]?)")
_INDEX: Final = re.compile(r"\[[^\]]*\]")
_NAMESPACE: Final = re.compile(r'namespaces "([^"]+)" not found')
_REQUEST: Final = re.compile(r"^\w+ /\S+: HTTP \d+: ")
_ONCE: Final = {
    "control.cancel is given once": "somebody has cancelled the run already; a cancel cannot be changed or taken back",
    "control.rollback is given once": "somebody has asked for the rollback already; it cannot be changed or taken back",
    "control.overrides is append only": "somebody else gave his word on a step at the same time; try again",
    "control.overrides: Too many": "256 skips and retries were given already, and a run takes no more; cancel it",
}
"""What the rules of the resource definition mean to the person who steers."""
_UNKNOWN_KIND: Final = "could not find the requested resource"


def explain(error: KubernautError, what: str) -> str:
    """Return the text for an error of the API; `what` names the thing that was asked for, such as `run memory-leak`."""
    text = str(error)
    match error:
        case AlreadyExistsError():
            said = (
                "a workflow of that name exists already; follow it with `kubernaut watch`, "
                "or start another with --generate-name or --name"
            )
        case NotFoundError():
            said = _missing(text)
        case ForbiddenError():
            said = f"the cluster does not allow it to you: {text}"
        case RefusedError():
            said = refused(text)
        case UnavailableError():
            said = f"the Kubernetes API does not answer: {text}; `kubernaut status` shows a local stack"
        case _:
            said = text
    return f"{what}: {said}"


def explain_change(error: KubernautError, what: str) -> str:
    """Return the text for an error of the API where a run was to be steered, such as `cancel memory-leak`."""
    text = str(error)
    if isinstance(error, ConflictError):
        return f"{what}: somebody else changed the run at every try, nothing was written; try again"
    if isinstance(error, RefusedError) and not isinstance(error, ForbiddenError):
        said = next((sentence for words, sentence in _ONCE.items() if words in text), "")
        return f"{what}: {said or f'the cluster refused it, nothing was changed: {_plainly(text)}'}"
    return explain(error, what)


def _plainly(text: str) -> str:
    """Return what the server said without the request and the name of the object before it."""
    return _INVALID.sub("", _REQUEST.sub("", text, count=1), count=1).strip()


def _missing(text: str) -> str:
    if found := _NAMESPACE.search(text):
        return f"there is no namespace {found[1]!r}; make it with `kubectl create namespace {found[1]}`"
    if _UNKNOWN_KIND in text or "page not found" in text:
        return "the cluster does not know workflows; install the resource definitions (deploy/crds)"
    return "there is no such workflow; `kubernaut list -A` shows all"


def refused(text: str) -> str:
    """Return a refusal with one line a field, and for each where its documentation is."""
    if not _INVALID.search(text):
        return f"the cluster refused it: {text}"
    fields = _INVALID.sub("", text, count=1).strip()
    if fields.startswith("[") and fields.endswith("]"):
        fields = fields[1:-1]
    lines = ["the cluster refused it, nothing was started:"]
    documented = []
    for part in _FIELD.split(fields):
        if not part.strip() or part.startswith("<nil>"):
            continue  # the second only says that more rules are checked once these errors are gone
        lines.append(f"  {part.strip()}")
        path = _INDEX.sub("", part.split(":", 1)[0]).strip()
        if path.startswith("spec") and path not in documented:
            documented.append(path)
    lines += [f"what is allowed: kubectl explain workflowexecution.{path}" for path in documented[:3]]
    return "\n".join(lines)
