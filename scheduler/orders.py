"""What a step's execution is to do, with every `{{ }}` in its parameters replaced. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from scheduler import commanding
from scheduler.draft import Draft
from scheduler.scope import scope_of
from scheduler.templates import render, steps_in
from schemas.actions import check, has_template
from schemas.texts import texts
from schemas.workflow import Step

PARAMETERS_LIMIT: Final = 32 * 1024
"""Bytes of a step's parameters once every `{{ }}` is replaced: the same as for those that are written out."""


def order_of(draft: Draft, planned: Step) -> commanding.Order:
    """Return what a step's execution is to do. Raises ExpressionError, or ValueError for what does not fit."""
    timeout = draft.plan.timeouts[planned.step_number]
    if not holds_template(planned.parameters):
        return commanding.Order(action=planned.action, parameters=planned.parameters, timeout_ms=timeout)
    parameters = rendered(draft, planned.action, planned.parameters)
    return commanding.Order(action=planned.action, parameters=parameters, timeout_ms=timeout, rendered=True)


def rendered(draft: Draft, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with every `{{ }}` replaced. Raises as `order_of`."""
    found = render(parameters, scope_of(draft, steps_in(parameters)))
    errors = check(action, found)
    size = len(msgspec.json.encode(found))
    if size > PARAMETERS_LIMIT:
        errors = (f"the parameters have {size} bytes, more than {PARAMETERS_LIMIT}", *errors)
    if errors:
        raise ValueError(f"once its expressions are replaced: {'; '.join(errors)}")
    return found


def holds_template(parameters: dict[str, Any]) -> bool:
    """Whether anything in the parameters is to be replaced."""
    return any(has_template(text) for text in texts(parameters))
