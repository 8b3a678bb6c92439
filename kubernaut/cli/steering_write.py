"""Writes a request to the object and waits until the status tells what came of it. Decides nothing.

Every write is bound to the version that was looked at: a run that moved on in between is looked at again.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from kubernaut.cli.steering import Asked, SteeringError, change_for
from kubernaut.cli.verdicts import Verdict, last_word, verdict_of
from runtime.backoff import Backoff
from runtime.errors import ConflictError, KubernautError, NotFoundError, UnavailableError
from runtime.kinds import WORKFLOWS
from runtime.ports import Cluster, Object, Resource

SELF_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "selfsubjectreviews")
"""Cluster-wide, never stored: the answer says who asks."""
TRIES: Final = 8
"""A run writes its status at most five times a second: eight tries in a row never all fall between."""
LOOK_SECONDS: Final = 0.1


async def who_am_i(cluster: Cluster) -> str:
    """Return the name by which the API server knows the caller. Raises SteeringError when it does not say."""
    question = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await cluster.create(SELF_REVIEWS, "", question)
    except NotFoundError as error:
        raise SteeringError("the cluster cannot say who you are: it is older than Kubernetes 1.28") from error
    name = answer.get("status", {}).get("userInfo", {}).get("username")
    if not name:
        raise SteeringError("the cluster does not say who you are, so that an approval could not name you")
    return str(name)


async def read(cluster: Cluster, namespace: str, name: str) -> Object:
    """Read a workflow."""
    return await cluster.get(WORKFLOWS, namespace, name)


async def write(
    cluster: Cluster, namespace: str, name: str, asked: Asked, *, uid: str = "", backoff: Backoff | None = None
) -> tuple[Object, Object]:
    """Write a request to the object and return it as it was before and as it was stored.

    `uid`: of the run that the person looked at. Raises SteeringError, ConflictError when the object changed at every
    try, or any other error of the API; after UnavailableError it looks whether the write took effect.
    """
    pauses = backoff or Backoff(first=0.1, most=1.0)
    patch: dict[str, Any] | None = None
    before: Object = {}
    trouble: KubernautError | None = None
    for _ in range(TRIES):
        try:
            body = await read(cluster, namespace, name)
            if uid and body["metadata"]["uid"] != uid:
                raise SteeringError(f"{name} is another run now than the one that you have looked at; nothing was done")
            uid = body["metadata"]["uid"]
            if patch is not None and isinstance(trouble, UnavailableError) and _holds(body, patch):
                return before, body
            before, patch = body, change_for(body, asked)
            return before, await cluster.patch(WORKFLOWS, namespace, name, _guarded(patch, body))
        except (ConflictError, UnavailableError) as error:
            if patch is None:
                raise  # nothing was written yet
            trouble = error
        await asyncio.sleep(pauses.next())
    if isinstance(trouble, ConflictError):
        raise trouble
    raise UnavailableError(f"{trouble}. It may have been written all the same: look before you try again")


async def settle(
    cluster: Cluster, asked: Asked, before: Object, written: Object, *, seconds: float
) -> tuple[Verdict | None, Object]:
    """Look at the run until its status tells what came of the request, for `seconds` at most; None when it does not."""
    meta = written["metadata"]
    seen, loop = written, asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        verdict = verdict_of(asked, before, seen)
        if verdict is not None:
            return verdict, seen
        if loop.time() >= deadline:
            return last_word(asked, seen), seen
        await asyncio.sleep(LOOK_SECONDS)
        try:
            found = await read(cluster, meta["namespace"], meta["name"])
        except UnavailableError:
            continue
        except NotFoundError:
            return Verdict(refused=True, text="the run was deleted"), seen
        if found["metadata"]["uid"] != meta["uid"]:
            return Verdict(refused=True, text="the run was deleted; another has its name now"), seen
        seen = found


def _guarded(patch: dict[str, Any], body: Object) -> dict[str, Any]:
    found = body["metadata"]
    guards = {"uid": found["uid"], "resourceVersion": found["resourceVersion"]}
    return patch | {"metadata": {**patch.get("metadata", {}), **guards}}


def _holds(body: Any, patch: Any) -> bool:
    """Whether a merge patch would change nothing."""
    if not isinstance(patch, dict):
        return bool(body == patch)
    if not isinstance(body, dict):
        return False
    return all(name not in body if value is None else _holds(body.get(name), value) for name, value in patch.items())
