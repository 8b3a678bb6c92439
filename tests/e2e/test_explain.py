"""`kubernaut explain` on the real system: a run in each kind of waiting, its sentence the one in the status."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.people import kubernaut, waits_until
from tests.e2e.world import PATIENCE, World, a_step, a_workflow, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

AGAIN = {"maxRetries": 10, "retryPolicy": {"initialDelay": "5m"}}
RUNS: dict[str, dict[str, Any]] = {
    "waits-busy": {
        "steps": [a_step(1), a_step(2), a_step(3), a_step(4, 1, runIf="steps[1].status == 'completed'")],
        "simulate": {"all-steps": "hang"},
        "executionStrategy": {"parallelismLimit": 2},
    },
    "waits-approval": {"steps": [a_step(1)], "executionStrategy": {"approvalRequired": True}},
    "waits-paused": {"steps": [a_step(1), a_step(2, 1)], "simulate": {"step-1": "hang"}},
    "waits-retry": {"steps": [a_step(1, **AGAIN), a_step(2, 1)], "simulate": {"step-1": "fail"}},
    "waits-closing": {"steps": [a_step(1), a_step(2), a_step(3, 2)], "simulate": {"step-1": "fail", "step-2": "hang"}},
    "waits-quiet": {"steps": [a_step(1)], "executionStrategy": {"monitoring": {"window": "5m", "timeout": "9m"}}},
    "waits-deletion": {"steps": [a_step(1)]},
}
EXPECTED: dict[str, tuple[str, dict[int, list[str]]]] = {
    "waits-busy": (
        "The end of step 1 (notify_only) and step 2 (notify_only); a free place for step 3 (notify_only): at most 2",
        # Step 3 takes the place that step 1 gives back.
        {1: ["end"], 2: ["end"], 3: ["limit"], 4: ["dependency", "limit", "condition"]},
    ),
    "waits-approval": ("Approval by somebody with the right to approve until", {1: ["approval"]}),
    "waits-paused": ("Somebody to resume it (meanwhile step 1", {1: ["end"], 2: ["dependency", "pause"]}),
    "waits-retry": ("Retry ", {1: ["retry"], 2: ["dependency"]}),
    "waits-closing": ("The end of step 2 (notify_only), at the latest at", {2: ["end"], 3: ["closing"]}),
    "waits-quiet": ("No alert to fire until", {}),
    "waits-deletion": ("Its deletion at", {}),
}


async def explained(world: World, name: str, *more: str) -> dict[str, Any]:
    """What the command says as JSON."""
    found: dict[str, Any] = json.loads(await kubernaut(world, "explain", name, "-o", "json", *more))
    return found


def kinds(report: dict[str, Any]) -> dict[int, list[str]]:
    """The kinds of the reasons of each step that has not ended."""
    return {step["step"]: [why["reason"]["kind"] for why in step["reasons"]] for step in report["steps"]}


async def settled(world: World, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is explained and the status, both of the same decision and of the kind of waiting that is expected."""
    found: list[dict[str, Any]] = []
    sentence, steps = EXPECTED[name]

    async def same() -> bool:
        report, status = await explained(world, name), await world.status(name)
        found[:] = [report, status]
        begins = report.get("waitingFor", "").startswith(sentence)
        return begins and kinds(report) == steps and status.get("sequence") == report["version"]

    await until(same, f"{name} waits for: {sentence} {steps}", PATIENCE)
    return found[0], found[1]


async def test_the_sentence_of_explain_is_that_of_the_status_in_each_kind_of_waiting(world: World) -> None:
    """With every reason proven by messages, whose sequences are in the log before that of the decision."""
    await world.apply(*(a_workflow(name, **fields) for name, fields in RUNS.items()))
    await waits_until(world, "waits-paused", "step 1.status", "executing")
    await kubernaut(world, "pause", "waits-paused")

    for name in RUNS:
        report, status = await settled(world, name)

        assert status["waitingFor"] == report["waitingFor"]
        for why in [*report["reasons"], *(why for step in report["steps"] for why in step["reasons"])]:
            assert why["proofs"]
            assert all(proof["id"] and proof["time"] for proof in why["proofs"])
            assert all(proof["sequence"] <= report["sequence"] for proof in why["proofs"] if proof["by"] == "scheduler")
    told = await kubernaut(world, "explain", "waits-busy", "--step", "1")
    assert "what happened:" in told
    assert "rule commanded" in told
    await _end(world, *(name for name in RUNS if name != "waits-deletion"))


async def test_a_freeze_is_told_with_what_it_holds_back(world: World) -> None:
    """Neither the check nor the creation comes before the thaw; the status cannot say so, it stands still as well."""
    await kubernaut(world, "freeze", "--reason", "incident 4711")
    try:
        checks = [{"type": "network", "description": "the API answers", "required": True}]
        created = a_workflow("frozen-create", [a_step(1)])
        checked = a_workflow("frozen-check", [a_step(1)], executionStrategy={"safetyChecks": checks})
        await world.apply(created, checked)
        expected = {"frozen-create": ["creation", "freeze"], "frozen-check": ["check", "freeze"]}
        for name, reasons in expected.items():

            async def told(name: str = name, reasons: list[str] = reasons) -> bool:
                try:
                    return kinds(await explained(world, name)).get(1) == reasons
                except AssertionError:  # the log does not know it yet
                    return False

            await until(told, f"{name} waits for {reasons}", PATIENCE)
        [step] = (await explained(world, "frozen-create"))["steps"]
        assert step["waitingFor"].endswith("(incident 4711): kubernaut thaw")
    finally:
        await kubernaut(world, "thaw")
    statuses = await world.all_end(list(expected))
    assert {"completed"} == {status["phase"] for status in statuses.values()}


async def _end(world: World, *names: str) -> None:
    """Leave nothing in flight behind for the tests that come."""
    await asyncio.gather(*(kubernaut(world, "cancel", name, "--mode", "terminate") for name in names))
    await world.all_end(list(names))
