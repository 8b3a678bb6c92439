"""Workflows of any shape: what a user might write, with the executor's behaviour in annotations. Drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.names import VERSION, WORKFLOW_GROUP, WORKFLOW_KIND

if TYPE_CHECKING:
    import random

NAMESPACE: Final = "shop"
DEPLOYMENTS: Final = ("web", "api")
NODES: Final = ("n1", "n2")

_ACTIONS: Final = {
    "scale_deployment": lambda rng: {"deployment": rng.choice(DEPLOYMENTS), "namespace": NAMESPACE, "replicas": 3},
    "restart_pod": lambda _: {"pod": "web-1", "namespace": NAMESPACE},
    "cordon_node": lambda rng: {"node": rng.choice(NODES)},
    "taint_node": lambda rng: {"node": rng.choice(NODES), "key": "k", "effect": "NoSchedule"},
    "notify_only": lambda _: {"message": "hello {{ variables.who }}"},
    "rotate_secrets": lambda _: {"secret": "s", "namespace": NAMESPACE},
}
_FATES: Final = (
    "fail:1",
    "fail:2",
    "fail",
    "fail-before:1",
    "fail-not-retryable",
    "reject",
    "hang",
    "stall:2s",
    "slow-end:4s",
    "garbage",
    "delete",
    "no-pre-image",
)


def a_workflow(rng: random.Random, name: str) -> dict[str, Any]:
    """Draw one."""
    count = rng.choice((1, 2, 3, 3, 4, 5))
    numbers = list(range(1, count + 1))
    strategy = _strategy(rng)
    steps = [_step(rng, number, numbers[: number - 1], strategy) for number in numbers]
    spec: dict[str, Any] = {
        "workflowDefinition": {"name": "d", "version": "1", "variables": {"who": "you", "go": "yes"}, "steps": steps},
        "executionStrategy": strategy,
    }
    if rng.random() < 0.3:
        spec["adaptiveOrchestration"] = {
            "optimizationEnabled": rng.random() < 0.5,
            "learningFromHistory": rng.random() < 0.7,
            "dynamicStepAdjustment": rng.random() < 0.5,
        }
    if rng.random() < 0.05:
        spec["control"] = {"paused": True}
    return {
        "apiVersion": f"{WORKFLOW_GROUP}/{VERSION}",
        "kind": WORKFLOW_KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": _fates(rng, numbers)},
        "spec": spec,
    }


def _strategy(rng: random.Random) -> dict[str, Any]:
    strategy: dict[str, Any] = {
        "rollbackStrategy": rng.choice(("automatic", "automatic", "manual", "none")),
        "parallelismLimit": rng.choice((1, 1, 2, 3, 5)),
        "priority": rng.choice(("low", "normal", "normal", "high", "critical")),
        "maxRetries": rng.choice((0, 0, 1, 2)),
        "workflowTimeout": rng.choice(("20s", "2m", "5m", "5m")),
        "ttlAfterFinished": rng.choice(("0s", "5s", "30s", "24h")),
        "monitoring": rng.choice(({"window": "0s"}, {"window": "0s"}, {"window": "5s", "timeout": "30s"})),
    }
    if rng.random() < 0.2:
        strategy["approvalRequired"] = True
    if rng.random() < 0.2:
        strategy["dryRunFirst"] = True
    if rng.random() < 0.25:
        kinds = rng.sample(("rbac", "capacity", "health", "network"), k=rng.randint(1, 3))
        strategy["safetyChecks"] = [{"type": kind, "required": kind in {"health", "network"}} for kind in kinds]
    return strategy


def _step(rng: random.Random, number: int, earlier: list[int], strategy: dict[str, Any]) -> dict[str, Any]:
    action = rng.choice(sorted(_ACTIONS))
    step: dict[str, Any] = {
        "stepNumber": number,
        "action": action,
        "parameters": _ACTIONS[action](rng),
        "dependsOn": sorted(rng.sample(earlier, k=rng.randint(0, min(2, len(earlier))))),
        "criticalStep": rng.random() < 0.7,
        "timeout": rng.choice(("4s", "15s", "60s")),
        "retryPolicy": {"initialDelay": rng.choice(("0s", "1s", "3s"))},
    }
    if rng.random() < 0.4:
        undo = rng.choice(sorted(_ACTIONS))
        step["rollbackSpec"] = {"action": undo, "parameters": _ACTIONS[undo](rng), "timeout": "10s"}
    if rng.random() < 0.15:
        step["runIf" if rng.random() < 0.5 else "skipIf"] = _expression(rng, step["dependsOn"])
    if rng.random() < 0.15:
        failures = ["fail", "retry", "skip", *(["rollback"] if strategy["rollbackStrategy"] != "none" else [])]
        where = rng.choice(("preConditions", "postConditions"))
        step[where] = [{"expression": _expression(rng, step["dependsOn"]), "onFailure": rng.choice(failures)}]
    return step


def _expression(rng: random.Random, before: list[int]) -> str:
    named = [f"steps[{number}].status == '{rng.choice(('completed', 'failed'))}'" for number in before]
    return rng.choice(["true", "false", "variables.go == 'yes'", *named])


def _fates(rng: random.Random, numbers: list[int]) -> dict[str, str]:
    found = {}
    for number in numbers:
        if rng.random() < 0.3:
            found[f"simulator.kubernaut.io/step-{number}"] = rng.choice(_FATES)
        if rng.random() < 0.1:
            found[f"simulator.kubernaut.io/step-{number}.rollback"] = rng.choice(_FATES)
        if rng.random() < 0.05:
            found[f"simulator.kubernaut.io/step-{number}.dry-run"] = rng.choice(("fail", "hang", "delete"))
    return found
