"""What the in-memory API is made of: history, faults, and what it does to JSON objects. Pure."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from runtime.errors import RefusedError
from runtime.ports import Resource, WatchEvent

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace, name."""
Verb = Literal["list", "watch", "get", "create", "replace_status", "patch", "delete", "version"]


class Change(msgspec.Struct, frozen=True):
    """One entry of the history that watches read."""

    version: int
    plural: str
    namespace: str
    event: WatchEvent

    def concerns(self, resource: Resource, namespace: str | None, start: int) -> bool:
        """Whether a watch of that resource and namespace from `start` tells it."""
        if self.plural != resource.plural:
            return False
        if self.event.type == "BOOKMARK":
            return self.version >= start
        return self.version > start and namespace in {None, self.namespace}


class Fault(msgspec.Struct, frozen=True):
    """An error that a call answers with; `after` it has taken effect, as when the answer is lost."""

    verb: Verb
    error: Exception
    after: bool = False


Json = TypeVar("Json")


def copy_of(value: Json) -> Json:
    """Copy of a JSON value that shares nothing with it."""
    copied: Json = msgspec.json.decode(msgspec.json.encode(value))
    return copied


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, whatever the order of their keys."""
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def without(body: Object, *fields: str) -> Object:
    """Copy of an object without some top-level fields."""
    return copy_of({name: value for name, value in body.items() if name not in fields})


def at(body: Any, *path: str) -> Any:
    """Value at a path, or None."""
    for name in path:
        if not isinstance(body, dict) or name not in body:
            return None
        body = body[name]
    return body


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` changed by a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return copy_of(patch)
    result = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def json_patch(body: Object, operations: list[dict[str, Any]]) -> Object:
    """Return a copy changed by a JSON patch (RFC 6902).

    Raises RefusedError, as the API server answers, when a `test` fails or a path is not there.
    """
    document: Any = {"": copy_of(body)}
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")]
        try:
            _apply(_walk(document, parents), last, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = f"the server rejected our request due to an error in our request: {operation['path']}"
            raise RefusedError(message, reason="invalid") from error
    return document[""]  # type: ignore[no-any-return]


def _walk(document: Any, parents: list[str]) -> Any:
    for part in parents:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _apply(parent: Any, last: str, operation: dict[str, Any]) -> None:
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if operation["op"] == "add":
            parent.insert(index, copy_of(operation["value"]))
            return
        key: Any = index
    else:
        key = last
    match operation["op"]:
        case "add":
            parent[key] = copy_of(operation["value"])
        case "replace":
            _ = parent[key]
            parent[key] = copy_of(operation["value"])
        case "remove":
            del parent[key]
        case "test":
            if not same(parent[key], operation["value"]):
                raise ValueError(operation["path"])
        case other:
            raise ValueError(other)
