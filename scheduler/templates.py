"""`{{ expression }}` in parameters: checked in planning, replaced when a step starts. Pure and total.

What comes out is never looked through for expressions again: a result that holds `{{ }}` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from scheduler import expressions
from scheduler.expressions import Budget, ExpressionError, Scope, evaluate, problem
from schemas.parameter_check import has_template
from schemas.texts import texts

DEEPEST: Final = 64
"""Objects and lists within each other, in parameters that hold an expression."""
MOST_CHARACTERS: Final = 32 * 1024
"""That all expressions of one set of parameters give together."""

_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class _Rendering:
    """One rendering: the scope, and what is left of what it may cost."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.budget = Budget()
        self.characters = MOST_CHARACTERS

    def value_of(self, expression: str, path: str) -> Any:
        """Return the value of one expression, and pay for it."""
        try:
            value = evaluate(expression.strip(), self.scope, self.budget)
        except ExpressionError as error:
            raise ExpressionError(f"{path}: {error}") from None
        self.characters -= len(_text(value))
        if self.characters < 0:
            raise ExpressionError(f"{path}: the expressions give more than {MOST_CHARACTERS} characters together")
        return value


def render(parameters: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """Return the parameters with every `{{ expression }}` replaced by its value; the same object when there is none.

    A text that is one expression and nothing else becomes the value with its type; within other text the value is put
    in as text, lists and maps as JSON. Raises ExpressionError with the path of the parameter.
    """
    if not has_template(parameters):
        return parameters
    rendering = _Rendering(scope)
    return {key: _rendered(f"parameters.{key[:64]}", value, rendering, 1) for key, value in parameters.items()}


def steps_in(parameters: dict[str, Any]) -> frozenset[int] | None:
    """Return the numbers of the steps that the expressions can look at; None when they may look at any."""
    found: set[int] = set()
    for text in texts(parameters):
        for expression in expressions_in(text):
            steps = expressions.steps_in(expression.strip())
            if steps is None:
                return None
            found |= steps
    return frozenset(found)


def problems(
    parameters: dict[str, Any], steps: frozenset[int] | None = None, variables: frozenset[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the path, such as `parameters.config.to`, and what is wrong with each expression."""
    if not has_template(parameters):
        return
    waiting: list[tuple[str, Any, int]] = [("parameters", parameters, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if isinstance(value, str):
            for expression in expressions_in(value):
                if wrong := problem(expression, steps=steps, boolean=False, variables=variables):
                    yield path, wrong
        elif isinstance(value, dict | list) and depth == DEEPEST:
            yield path[:200], f"beside expressions, values may be nested {DEEPEST} levels deep; make it flatter"
        elif isinstance(value, dict):
            if any(has_template(key) for key in value):
                yield path, "a {{ }} in the name of a parameter is not replaced; write the name itself"
            waiting.extend((f"{path}.{key[:64]}", inner, depth + 1) for key, inner in reversed(value.items()))
        elif isinstance(value, list):
            places = reversed(range(len(value)))
            waiting.extend((f"{path}[{place}]", value[place], depth + 1) for place in places)


def expressions_in(text: str) -> list[str]:
    """Return the expressions in a text, in order."""
    return [found.strip() for found in _TEMPLATE.findall(text)] if "{{" in text else []


def _rendered(path: str, value: Any, rendering: _Rendering, depth: int) -> Any:
    if isinstance(value, str):
        return _rendered_text(path, value, rendering) if "{{" in value else value
    if isinstance(value, dict | list) and depth == DEEPEST:
        raise ExpressionError(f"{path[:200]}: values beside expressions may be nested {DEEPEST} levels deep")
    if isinstance(value, dict):
        return {key: _rendered(f"{path}.{key[:64]}", inner, rendering, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rendered(f"{path}[{place}]", inner, rendering, depth + 1) for place, inner in enumerate(value)]
    return value


def _rendered_text(path: str, text: str, rendering: _Rendering) -> Any:
    whole = _TEMPLATE.fullmatch(text.strip())
    if whole is not None and "}}" not in whole[1]:
        made = rendering.value_of(whole[1], path)
    else:
        made = _TEMPLATE.sub(lambda found: _text(rendering.value_of(found[1], path)), text)
    if has_template(made):
        raise ExpressionError(f"{path}: what the expression gives holds {{{{ }}}} itself, which would not be replaced")
    return made


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
