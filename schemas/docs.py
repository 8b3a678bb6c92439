"""Words of the contracts for `kubectl explain` and JSON Schemas: the string under a field in the source is its doc.

Must never change what a field is; it only finds out what is said about it.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

import msgspec


@cache
def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the documentation of each field by its Python name, those of base classes included."""
    docs: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base.__module__ in sys.modules:
            docs.update(_module_docs(base.__module__).get(base.__qualname__, {}))
    return docs


def struct_doc(struct: type[msgspec.Struct]) -> str:
    """Return what is said about a whole struct, on one line."""
    return " ".join((struct.__doc__ or "").split())


@cache
def _module_docs(module: str) -> dict[str, dict[str, str]]:
    try:
        source = inspect.getsource(sys.modules[module])
    except (OSError, TypeError):
        return {}
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return {node.name: _class_docs(node) for node in classes}


def _class_docs(node: ast.ClassDef) -> dict[str, str]:
    docs = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[name] = " ".join(text.split())
    return docs
