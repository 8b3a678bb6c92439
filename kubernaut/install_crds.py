"""Makes the two resource definitions on a Kubernetes API, or brings them up to date, and waits for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from runtime.errors import AlreadyExistsError, RefusedError
from runtime.kinds import CRDS
from schemas.crds import execution_crd, workflow_crd

if TYPE_CHECKING:
    from runtime.ports import Cluster, Object

_POLL_SECONDS: Final = 0.1
_CLUSTER_WIDE: Final = ""


async def install_crds(cluster: Cluster) -> list[str]:
    """Make or update both and return a line for each that was not as it is now; returns once both are established.

    Has no time limit of its own for the waiting. Raises what the port raises, and RefusedError when the names are taken
    by another definition.
    """
    done = []
    for definition in (workflow_crd(), execution_crd()):
        done += await _install(cluster, definition)
    return done


async def _install(cluster: Cluster, definition: Object) -> list[str]:
    name = definition["metadata"]["name"]
    try:
        found = await cluster.create(CRDS, _CLUSTER_WIDE, definition)
        done = [f"made resource definition {name}"]
    except AlreadyExistsError:
        before = await cluster.get(CRDS, _CLUSTER_WIDE, name)
        # A merge patch replaces lists as a whole: the versions are then ours, and what the server added stays.
        found = await cluster.patch(CRDS, _CLUSTER_WIDE, name, {"spec": definition["spec"]})
        changed = found["metadata"]["generation"] != before["metadata"]["generation"]
        done = [f"changed resource definition {name}"] if changed else []
    while not _established(found):
        await asyncio.sleep(_POLL_SECONDS)
        found = await cluster.get(CRDS, _CLUSTER_WIDE, name)
    return done


def _established(definition: Object) -> bool:
    conditions = {c["type"]: c for c in definition.get("status", {}).get("conditions") or ()}
    names = conditions.get("NamesAccepted")
    if names is not None and names["status"] == "False":
        message = f"the names of {definition['metadata']['name']} are taken: {names.get('message', '')}"
        raise RefusedError(message, reason="names_taken")
    established = conditions.get("Established")
    return established is not None and established["status"] == "True"
