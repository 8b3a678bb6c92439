"""Put our finalizer on an object and take it off, by uid and resourceVersion. Must never touch one that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from executor_bridge.metrics import CONFLICTS
from runtime.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError
from schemas.names import FINALIZER

if TYPE_CHECKING:
    from executor_bridge.context import Context
    from runtime.ports import Object, Resource


class Target(msgspec.Struct, frozen=True):
    """The object that is meant."""

    resource: Resource
    namespace: str
    name: str
    uid: str


class Seen(msgspec.Struct, frozen=True):
    """What is known of an object's finalizers."""

    version: int
    """resourceVersion at which they were so."""
    finalizers: tuple[str, ...]
    deleting: bool = False


def seen_in(found: Object) -> Seen:
    """Read what an answer of the API server says."""
    meta = found["metadata"]
    return Seen(int(meta["resourceVersion"]), tuple(meta.get("finalizers") or ()), "deletionTimestamp" in meta)


async def put_on(context: Context, target: Target, seen: Seen | None) -> Object | None:
    """Add it; None when the object is not there, is another one, is being deleted, or has it already.

    `seen` saves a read; it is believed only for a write, which proves it. Raises ConflictError when the object is not
    as it was seen: look again, with None.
    """
    if seen is None or seen.deleting or FINALIZER in seen.finalizers:
        seen = await _look(context, target)
    if seen is None or seen.deleting or FINALIZER in seen.finalizers:
        return None
    return await _write(context, target, seen, [*seen.finalizers, FINALIZER])


async def take_off(context: Context, target: Target, seen: Seen | None) -> Object | None:
    """Remove it; None when the object is not there, is another one, or does not have it. Raises as `put_on`."""
    if seen is None or FINALIZER not in seen.finalizers:
        seen = await _look(context, target)
    if seen is None or FINALIZER not in seen.finalizers:
        return None
    return await _write(context, target, seen, [each for each in seen.finalizers if each != FINALIZER])


async def take_off_alone(context: Context, target: Target) -> bool:
    """Remove it without a read where it is the only one; whether that was so, or the object is gone."""
    body = [
        {"op": "test", "path": "/metadata/uid", "value": target.uid},
        {"op": "test", "path": "/metadata/finalizers", "value": [FINALIZER]},
        {"op": "remove", "path": "/metadata/finalizers"},
    ]
    try:
        async with context.behind:
            await context.api.patch(target.resource, target.namespace, target.name, body, kind="json")
    except NotFoundError:
        return True
    except ForbiddenError:
        raise
    except RefusedError:
        return False
    return True


async def _look(context: Context, target: Target) -> Seen | None:
    try:
        async with context.behind:
            found = await context.api.get(target.resource, target.namespace, target.name)
    except NotFoundError:
        return None
    return seen_in(found) if found["metadata"]["uid"] == target.uid else None


async def _write(context: Context, target: Target, seen: Seen, finalizers: list[str]) -> Object | None:
    guard = {"uid": target.uid, "resourceVersion": str(seen.version)}
    body = {"metadata": {**guard, "finalizers": finalizers}}
    try:
        async with context.behind:
            return await context.api.patch(target.resource, target.namespace, target.name, body)
    except NotFoundError:
        return None
    except ConflictError:
        CONFLICTS.labels("finalizer").inc()
        raise
