"""Objects that mean harm, or nothing, against the real API server: each fails by itself, nobody else notices (G11)."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import KubernautError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Object
from schemas.names import (
    EXECUTION_GROUP,
    EXECUTION_KIND,
    LABEL_STEP,
    LABEL_WORKFLOW,
    VERSION,
    WORKFLOW_GROUP,
    WORKFLOW_KIND,
)
from schemas.workflow_status import TERMINAL_PHASES
from tests.e2e.world import NAMESPACE, PATIENCE, World, a_step, a_workflow, assert_each_step_once, ten_steps, until
from tests.hostile.test_poison import pids
from tests.loop_lag import loops_turn

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

SEED = 24
ODD = "\u202eabc\u0000\ufeff\U0001f4a9\ud7ff\u0301" * 3


def deep(levels: int) -> Any:
    """A value nested so many levels."""
    value: Any = "bottom"
    for _ in range(levels):
        value = {"a": value}
    return value


def custom(config: dict[str, Any]) -> dict[str, Any]:
    """A step whose parameters hold anything."""
    return a_step(1, action="custom", parameters={"actionType": "probe", "config": config})


Make = Callable[[random.Random], Object]
HOSTILE: dict[str, Make] = {
    "1.3 MiB": lambda _: a_workflow("h", [custom({"x": "y" * 1_300_000})]),
    "200 levels deep": lambda _: a_workflow("h", [custom({"x": deep(200)})]),
    "500 levels deep": lambda _: a_workflow("h", [custom({"x": deep(500)})]),
    "10,000 keys": lambda _: a_workflow("h", [custom({f"k{n}": "v" for n in range(10_000)})]),
    "odd Unicode": lambda _: a_workflow("h", [a_step(1, name=ODD, parameters={"message": ODD})]),
    "NUL": lambda _: a_workflow("h", [a_step(1, parameters={"message": "a\0b"})], definition={"name": "\0"}),
    "the longest name": lambda draw: a_workflow("n" * 240 + str(draw.randrange(9)), [a_step(1), a_step(2, 1)]),
    "numbers at the ends": lambda _: a_workflow("h", [a_step(2**31 - 1)]),
    "numbers past the ends": lambda _: a_workflow("h", [a_step(2**63), a_step(-1)]),
    "a float without end": lambda _: a_workflow("h", [custom({"x": "1e400"})]),
    "durations": lambda draw: a_workflow(
        "h", [a_step(1, timeout=draw.choice(("-1s", "1e9h", "9" * 30 + "s", "0s", "∞")))]
    ),
    "a CEL bomb": lambda _: a_workflow("h", [a_step(1), a_step(2, 1, runIf="[1,2,3].all(a, " * 8 + "true" + ")" * 8)]),
    "deep parentheses": lambda _: a_workflow("h", [a_step(1), a_step(2, 1, runIf="(" * 3000 + "true" + ")" * 3000)]),
    "a regular bomb": lambda _: a_workflow("h", [a_step(1), a_step(2, 1, runIf=f"'{'a' * 40}!'.matches('(a+)+$')")]),
    "a long chain": lambda _: a_workflow("h", [a_step(1), a_step(2, 1, runIf=" + ".join(["1"] * 3000) + " > 0")]),
    "a template bomb": lambda _: a_workflow(
        "h",
        [a_step(1, parameters={"message": "{{ variables.a }}" * 2000})],
        definition={"variables": {"a": "x" * 2000}},
    ),
    "an open template": lambda _: a_workflow("h", [a_step(1, parameters={"message": "{{" * 500})]),
    "YAML in text": lambda _: a_workflow(
        "h", [a_step(1, parameters={"message": "!!python/object/apply:os.system ['x']\n&a [*a]"})]
    ),
    "every depends on every": lambda _: a_workflow("h", [a_step(n, *range(1, n)) for n in range(1, 100)]),
    "annotations": lambda _: noted(
        {
            "workflowexecution.kubernaut.io/approval": "maybe\0",
            "simulator.kubernaut.io/all-steps": "explode:∞",
            "x" * 60: "y" * 200_000,
        }
    ),
    "labels of ours": lambda draw: labelled({LABEL_WORKFLOW: "somebody", LABEL_STEP: str(draw.randrange(9))}),
    "a rerun of nobody": lambda _: noted({"workflowexecution.kubernaut.io/rerun-of": "../../*.>"}),
    "random text everywhere": lambda draw: a_workflow(
        "h", [a_step(1, **{key: anything(draw) for key in ("name", "description", "skipIf", "timeout")})]
    ),
    "random parameters": lambda draw: a_workflow(
        "h", [a_step(1, action=draw.choice(("scale_deployment", "x", "")), parameters={anything(draw): anything(draw)})]
    ),
}


def anything(draw: random.Random) -> str:
    """Text of any characters that JSON can hold."""
    letters = string.printable + "\0\x7f\u2028\u202e\U0001f600{{}}\"'\\"
    return "".join(draw.choice(letters) for _ in range(draw.randrange(1, 120)))


def noted(annotations: dict[str, str]) -> Object:
    """A workflow of one step with annotations."""
    workflow = a_workflow("h", [a_step(1)])
    workflow["metadata"]["annotations"] |= annotations
    return workflow


def labelled(labels: dict[str, str]) -> Object:
    """A workflow of one step with labels."""
    workflow = a_workflow("h", [a_step(1)])
    workflow["metadata"]["labels"] = labels
    return workflow


async def applied(world: World, number: int, body: Object) -> str:
    """Apply an object under a name of its own; return the name, or nothing when the API server refuses it."""
    if len(body["metadata"]["name"]) < 100:
        body["metadata"]["name"] = f"hostile-{number}"
    try:
        return (await world.apply(body))[0]
    except KubernautError:
        return ""


async def test_objects_of_every_hostile_kind_end_and_stop_nobody(attacked: World) -> None:
    """(F24) Huge, deep, wide, odd, bombs: what the API server takes ends, and what is sound beside it completes."""
    before, draw = pids(attacked), random.Random(SEED)  # noqa: S311 - a drawn test, not a secret
    async with loops_turn(attacked.stack.supervisor.members):
        sound = await attacked.apply(*(a_workflow(f"sound-{n}", ten_steps()) for n in range(3)))
        names = [await applied(attacked, number, make(draw)) for number, make in enumerate(HOSTILE.values())]
        taken = {name: kind for name, kind in zip(names, HOSTILE, strict=True) if name}

        statuses = await attacked.all_end(sound, 300)

        async def ended() -> bool:
            phases = {name: status.get("phase") for name, status in (await attacked.statuses()).items()}
            return all(phases.get(name) in TERMINAL_PHASES for name in taken)

        try:
            await until(ended, "everything hostile has ended", 300)
        except AssertionError:
            found = await attacked.statuses()
            raise AssertionError(
                {k: found.get(n, {}) for n, k in taken.items() if found.get(n, {}).get("phase") not in TERMINAL_PHASES}
            ) from None
    assert_each_step_once(attacked, sound, statuses)
    assert before == pids(attacked)
    assert len(taken) >= len(HOSTILE) // 2, taken


async def test_executions_forged_with_our_labels_and_owners_change_no_run(attacked: World) -> None:
    """Completed executions of steps that were never begun, under our labels and our owner: strangers, all of them."""
    [name] = await attacked.apply(a_workflow("forged-at", [a_step(1), a_step(2, 1)], simulate={"step-1": "take:3s"}))
    uid = (await attacked.get(name))["metadata"]["uid"]
    for number, owner in enumerate((uid, "00000000-0000-4000-8000-000000000000")):
        body = an_execution(f"forged-{number}", name, owner, ref=uid)
        await attacked.cluster.create(EXECUTIONS, NAMESPACE, body)
        status = {"phase": "completed", "executionResults": {"success": True}}
        await attacked.write_status(EXECUTIONS, body["metadata"]["name"], status)

    statuses = await attacked.all_end([name])

    assert_each_step_once(attacked, [name], statuses, steps=2)
    references = {step["k8sExecutionRef"]["name"] for step in statuses[name]["stepStatuses"]}
    assert {f"{name}-step-1", f"{name}-step-2"} == references


def an_execution(name: str, workflow: str, owner: str, *, ref: str) -> Object:
    """An execution of step 2 that we never made."""
    return {
        "apiVersion": f"{EXECUTION_GROUP}/{VERSION}",
        "kind": EXECUTION_KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {LABEL_WORKFLOW: ref, LABEL_STEP: "2"},
            "ownerReferences": [
                {
                    "apiVersion": f"{WORKFLOW_GROUP}/{VERSION}",
                    "kind": WORKFLOW_KIND,
                    "name": workflow,
                    "uid": owner,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "workflowExecutionRef": {"name": workflow, "namespace": NAMESPACE, "uid": ref},
            "stepNumber": 2,
            "attempt": 1,
            "action": "notify_only",
            "parameters": {"message": "forged"},
            "timeout": "5m",
            "idempotencyKey": f"{ref}/2/1",
        },
    }


async def test_a_name_that_a_foreign_object_has_fails_the_step_and_leaves_the_object_alone(attacked: World) -> None:
    """(F19) The step fails with name_conflict; the object is neither adopted, changed nor deleted."""
    foreign = an_execution("taken-step-1", "somebody-else", "00000000-0000-4000-8000-000000000001", ref="somebody")
    del foreign["metadata"]["ownerReferences"]
    made = await attacked.cluster.create(EXECUTIONS, NAMESPACE, foreign)
    [name] = await attacked.apply(a_workflow("taken", [a_step(1)]))

    status = (await attacked.all_end([name]))[name]

    after = await attacked.cluster.get(EXECUTIONS, NAMESPACE, "taken-step-1")
    assert ("failed", "name_conflict") == (status["phase"], status["stepStatuses"][0]["reason"])
    assert made["metadata"]["uid"] == after["metadata"]["uid"]
    assert made["spec"] == after["spec"]
    assert made["metadata"]["labels"] == after["metadata"]["labels"]
    assert "finalizers" not in after["metadata"]


async def test_a_workflow_made_again_under_its_name_is_another_run(attacked: World) -> None:
    """(F17) Deleted in mid-run and made anew at once: nothing of the first is adopted, each step of the second runs."""
    body = a_workflow("again", [a_step(1), a_step(2, 1)], simulate={"step-1": "hang"})
    await attacked.apply(body)
    await attacked.carried_out("again-step-1")
    first = await attacked.get("again")
    await attacked.cluster.delete(WORKFLOWS, NAMESPACE, "again", uid=first["metadata"]["uid"])
    second = a_workflow("again", [a_step(1), a_step(2, 1)])
    made: list[Object] = []

    async def made_anew() -> bool:
        try:
            made.append(await attacked.cluster.create(WORKFLOWS, NAMESPACE, second))
        except KubernautError:
            return False  # the first is still going
        return True

    await until(made_anew, "the name is free again", PATIENCE)
    uid = made[0]["metadata"]["uid"]

    async def completed() -> bool:
        found = await attacked.get("again")
        return bool(found["metadata"]["uid"] == uid and found.get("status", {}).get("phase") == "completed")

    await until(completed, "the second has completed", PATIENCE)
    owners = {
        each["metadata"]["name"]: each["spec"]["workflowExecutionRef"]["uid"]
        for each in await attacked.all_of(EXECUTIONS)
        if each["metadata"]["name"].startswith("again-step-")
    }
    assert first["metadata"]["uid"] != uid
    assert {"again-step-1": uid, "again-step-2": uid} == owners
    assert {"again-step-1": 2, "again-step-2": 1} == dict(attacked.creations(["again"]))


async def test_a_status_that_somebody_else_writes_decides_nothing(attacked: World) -> None:
    """A forged `completed`, with a sequence past ours, neither ends the run nor skips a step."""
    [name] = await attacked.apply(a_workflow("forged-status", ten_steps(), simulate={"all-steps": "take:1s"}))
    for _ in range(5):
        found = await attacked.get(name)
        forged = {"phase": "completed", "sequence": 10**6, "stepStatuses": []}
        try:
            await attacked.cluster.replace_status(WORKFLOWS, NAMESPACE, name, found | {"status": forged})
        except KubernautError:
            await asyncio.sleep(0)

    async def ten_done() -> bool:
        executions = [
            each for each in await attacked.all_of(EXECUTIONS) if each["metadata"]["name"].startswith(f"{name}-step-")
        ]
        return [each.get("status", {}).get("phase") for each in executions] == ["completed"] * 10

    await until(ten_done, "all ten steps were carried out", PATIENCE)
    assert {f"{name}-step-{n}": 1 for n in range(1, 11)} == dict(attacked.creations([name]))
