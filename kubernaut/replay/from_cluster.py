"""Reads what the cluster adds to a recorded run: Kubernetes Events about its objects. Reads only."""

from __future__ import annotations

from typing import Any

import msgspec

from kubernaut.replay.recording import Chain
from runtime.kinds import EVENTS
from runtime.ports import Cluster


async def cluster_events(cluster: Cluster, chain: Chain) -> list[dict[str, Any]]:
    """Return the Events about the workflow and its executions that still exist. Raises what a list raises."""
    wanted = {chain.recording.uid, *execution_uids(chain)}
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await cluster.list(EVENTS, chain.workflow.namespace, next_page=token)
        for raw in page.items:
            body = msgspec.json.decode(raw)
            if body.get("involvedObject", {}).get("uid") in wanted:
                body.get("metadata", {}).pop("managedFields", None)
                found.append(body)
        token = page.next_page
        if not token:
            return sorted(found, key=lambda body: (str(body.get("lastTimestamp")), body["metadata"]["name"]))


def execution_uids(chain: Chain) -> set[str]:
    """Return the uids of the executions that the run had."""
    subjects = (stored.subject for stored in chain.own_messages())
    return {subject.split(".")[5] for subject in subjects if subject.startswith("kubernaut.change.execution.")}
