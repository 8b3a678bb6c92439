"""The workflows that are run: WorkflowExecution objects as plain JSON values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.names import VERSION, WORKFLOW_GROUP, WORKFLOW_KIND

WORKFLOW_API: Final = f"{WORKFLOW_GROUP}/{VERSION}"
TEN_STEPS: Final[Mapping[int, tuple[int, ...]]] = {
    1: (),
    **dict.fromkeys(range(2, 7), (1,)),
    7: (2, 3, 4, 5, 6),
    8: (7,),
    9: (7,),
    10: (8, 9),
}
"""1 → 2…6 → 7 → 8, 9 → 10: the graph of design.md section 6, as the dependencies of each step."""
WIDEST: Final = 10
"""The highest parallelism limit there is."""


def chain(steps: int) -> Mapping[int, tuple[int, ...]]:
    """Return a graph in which each step waits for the one before."""
    return {number: (number - 1,) if number > 1 else () for number in range(1, steps + 1)}


def fan(steps: int) -> Mapping[int, tuple[int, ...]]:
    """Return a graph of a first step and all others side by side after it."""
    return {1: (), **dict.fromkeys(range(2, steps + 1), (1,))}


def workflow(
    name: str,
    graph: Mapping[int, Iterable[int]],
    *,
    namespace: str = "default",
    limit: int = 5,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a workflow of steps that do nothing but say so; `limit` steps are in flight at once.

    It is not monitored after its last step, because the floor is not.
    """
    steps = [
        {
            "stepNumber": number,
            "name": f"step {number}",
            "action": "notify_only",
            "parameters": {"message": f"step {number}"},
            "dependsOn": list(before),
        }
        for number, before in graph.items()
    ]
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": WORKFLOW_API,
        "kind": WORKFLOW_KIND,
        "metadata": metadata,
        "spec": {
            "workflowDefinition": {"name": name, "version": "1", "steps": steps},
            "executionStrategy": {"parallelismLimit": limit, "monitoring": {"window": "0s"}},
        },
    }
