"""Turns a contract's msgspec struct into a structural schema, as a CustomResourceDefinition holds it. Pure.

What the API server lets through by such a schema, msgspec decodes to the struct; tests hold the two to that.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import inspect

from schemas.docs import field_docs, struct_doc

Schema = dict[str, Any]
Extras = dict[type[msgspec.Struct], Schema]
"""What is added to the schema of a struct; under `properties`, to that of a field by its name in JSON."""

ANYTHING: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}
"""Any JSON value. CEL compares such values in depth, so that a rule of immutability sees a change in them."""
_LIMITS: Final = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minimum": "ge",
    "maximum": "le",
}


def schema_of(struct: type[msgspec.Struct], extras: Extras) -> Schema:
    """Return the structural schema of a struct, with documentation, limits and what `extras` adds."""
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        message = f"{struct!r} is not a struct"
        raise TypeError(message)
    docs = field_docs(struct)
    extra = dict(extras.get(struct, {}))
    more = extra.pop("properties", {})
    properties = {}
    for field in info.fields:
        schema = _schema(field.type, extras)
        if text := _words(docs.get(field.name, ""), field):
            schema = {"description": text, **{k: v for k, v in schema.items() if k != "description"}}
        properties[field.encode_name] = schema | more.get(field.encode_name, {})
    required = [field.encode_name for field in info.fields if field.required]
    schema = {"description": struct_doc(struct), "type": "object", "properties": properties}
    return schema | ({"required": required} if required else {}) | extra


def _words(text: str, field: inspect.Field) -> str:
    """Documentation of a field, with its default where the type knows one and the text does not say it."""
    default = field.default
    if isinstance(default, bool):
        told = {True: "true", False: "false"}[default]
    elif isinstance(default, int | float | str) and default not in {"", 0}:
        told = str(default)
    else:
        return text
    return text if not text or "Default:" in text else f"{text} Default: {told}."


def _schema(kind: inspect.Type, extras: Extras) -> Schema:  # noqa: C901, PLR0911 - one flat table, a row a type
    match kind:
        case inspect.Metadata():
            # Not its format: under a string with one, the server lets lists through unseen (kube-openapi, type.go).
            return _schema(kind.type, extras)
        case inspect.UnionType():
            (only,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
            return _schema(only, extras)
        case inspect.StructType():
            return schema_of(kind.cls, extras)
        case inspect.LiteralType():
            return {"type": "string", "enum": list(kind.values)}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.StrType():
            return {"type": "string"} | _limits(kind)
        case inspect.IntType():
            return {"type": "integer", "format": "int64"} | _limits(kind)
        case inspect.FloatType():
            return {"type": "number", "format": "double"} | _limits(kind)
        case inspect.ListType() | inspect.VarTupleType():
            ends = {"minItems": kind.min_length, "maxItems": kind.max_length}
            schema: Schema = {"type": "array", "items": _schema(kind.item_type, extras)}
            return schema | {name: end for name, end in ends.items() if end is not None}
        case inspect.DictType():
            most = {} if kind.max_length is None else {"maxProperties": kind.max_length}
            return {"type": "object", "additionalProperties": _schema(kind.value_type, extras)} | most
        case inspect.AnyType():
            # Without nullable the server drops a null without a word.
            return ANYTHING | {"nullable": True}
    message = f"no structural schema is known for {kind!r}; add it to schemas.structural"
    raise TypeError(message)


def _limits(kind: inspect.StrType | inspect.IntType | inspect.FloatType) -> Schema:
    limits = {name: getattr(kind, attribute, None) for name, attribute in _LIMITS.items()}
    return {name: limit for name, limit in limits.items() if limit is not None}
