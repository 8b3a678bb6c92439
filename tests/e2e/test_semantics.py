"""What a run promises beyond one sample: limits, order, timers and retention, through kills, on real parts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from kubernaut.local.stack import StackOptions
from runtime.kinds import EXECUTIONS, WORKFLOWS
from tests.e2e.people import fact, kubectl, kubernaut, waits_until
from tests.e2e.system import a_world
from tests.e2e.world import NAMESPACE, PATIENCE, World, a_step, a_workflow, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

UNDO = {"rollbackSpec": {"action": "notify_only", "parameters": {"message": "undo"}}}
REQUEST = "remediation.kubernaut.io"
RANKS = {"critical": 0, "high": 1, "normal": 2, "low": 3}


def order_of_creation(world: World, run: str) -> list[str]:
    """Names of the executions of a run in the order in which the API server created them, by its own audit log."""
    assert world.stack.kubernetes_audit_log is not None
    found = []
    for line in world.stack.kubernetes_audit_log.read_text().splitlines():
        entry = json.loads(line)
        target = entry.get("objectRef", {})
        created = entry["verb"] == "create" and entry.get("responseStatus", {}).get("code") == 201
        if created and entry["stage"] == "ResponseComplete" and target.get("name", "").startswith(f"{run}-step-"):
            found.append((entry["stageTimestamp"], target["name"]))
    return [name for _, name in sorted(found)]


async def gone(world: World, *names: str, seconds: float = PATIENCE) -> None:
    """Wait until these workflows do not exist any more."""

    async def none_left() -> bool:
        return not set(names) & {each["metadata"]["name"] for each in await world.all_of(WORKFLOWS)}

    await until(none_left, f"{', '.join(names)} are gone", seconds)


async def test_the_limit_holds_in_dry_runs_retries_and_rollbacks(world: World) -> None:
    """Twelve steps side by side, each tried twice, three at a time, all of them undone by the failure of the last."""
    steps = [a_step(n, maxRetries=1, retryPolicy={"initialDelay": "100ms"}, **UNDO) for n in range(1, 13)]
    last = a_step(13, *range(1, 13))
    strategy = {"parallelismLimit": 3, "rollbackStrategy": "automatic", "dryRunFirst": True}
    simulate = {"all-steps": "fail:1", "step-13": "fail-not-retryable"}
    [name] = await world.apply(a_workflow("limited", [*steps, last], simulate=simulate, executionStrategy=strategy))

    status = (await world.all_end([name]))[name]

    made = world.creations([name])
    suffixes = ("-dryrun", "-retry-1", "-rollback")
    assert (13, 12, 12) == tuple(sum(each.endswith(suffix) for each in made) for suffix in suffixes)
    assert {1} == set(made.values())
    assert 3 == world.in_flight.most[name]
    assert {"rolled_back", "failed"} == {step["status"] for step in status["stepStatuses"]}


async def test_a_rollback_goes_the_way_back(world: World) -> None:
    """1, then 2 and 3, then 4, then a failure: 4 first, then 2 and 3, then 1; each begun when those behind it ended."""
    steps = [a_step(1, **UNDO), a_step(2, 1, **UNDO), a_step(3, 1, **UNDO), a_step(4, 2, 3, **UNDO), a_step(5, 4)]
    [name] = await world.apply(
        a_workflow("way-back", steps, simulate={"step-5": "fail"}, executionStrategy={"rollbackStrategy": "automatic"})
    )

    await world.all_end([name])

    back = [each for each in order_of_creation(world, name) if each.endswith("-rollback")]
    numbers = [int(each.removeprefix(f"{name}-step-").removesuffix("-rollback")) for each in back]
    assert (4, {2, 3}, 1) == (numbers[0], set(numbers[1:3]), numbers[3])
    assert 4 == len(numbers)


async def test_the_clock_of_the_run_stands_still_while_it_is_paused(world: World) -> None:
    """A run of ten seconds that is paused for longer than that completes."""
    strategy, at_once = {"workflowTimeout": "10s"}, {"step-1": "take:0s"}
    [name] = await world.apply(
        a_workflow("held-still", [a_step(1)], simulate=at_once, executionStrategy=strategy, control={"paused": True})
    )
    await waits_until(world, name, "phase", "executing")

    await asyncio.sleep(11)  # the time itself: longer than the run has
    held = await world.status(name)
    await kubernaut(world, "resume", name)
    status = (await world.all_end([name]))[name]

    assert ("executing", "pending") == (held["phase"], fact(held, "step 1.status"))
    assert "completed" == status["phase"]


async def test_a_cancel_that_terminates_leaves_no_execution_at_work(world: World) -> None:
    """What was in flight is deleted, and the run does not wait for it to be gone."""
    steps = [a_step(1), a_step(2), a_step(3, 1, 2)]
    [name] = await world.apply(a_workflow("cut-short", steps, simulate={"all-steps": "hang"}))
    for number in (1, 2):
        await world.carried_out(f"{name}-step-{number}")

    await kubernaut(world, "cancel", name, "--mode", "terminate")
    status = (await world.all_end([name]))[name]

    async def none_left() -> bool:
        return not any(each["metadata"]["name"].startswith(f"{name}-") for each in await world.all_of(EXECUTIONS))

    await until(none_left, "its executions are gone", PATIENCE)
    assert ("cancelled", {"cancelled"}) == (status["phase"], {step["status"] for step in status["stepStatuses"]})


async def in_phase(world: World, phase: str) -> str:
    """Bring a run into a phase that it stays in; return its name."""
    name = f"parent-{phase.replace('_', '-')}"
    failing = {"step-2": "fail", "step-1.rollback": "hang"}
    simulate = {"executing": {"step-1": "hang"}, "rolling_back": failing}.get(phase, {})
    strategy: dict[str, dict[str, Any]] = {
        "validating": {"approvalRequired": True},
        "monitoring": {"monitoring": {"window": "5m"}},
        "rolling_back": {"rollbackStrategy": "automatic"},
    }
    steps = [a_step(1, **UNDO), a_step(2, 1)]
    await world.apply(a_workflow(name, steps, simulate=simulate, executionStrategy=strategy.get(phase, {})))
    await waits_until(world, name, "phase", phase)
    return name


async def test_a_parent_that_is_deleted_in_any_phase_is_gone_within_ten_seconds(world: World) -> None:
    """With all of its executions; its run is recorded as cancelled, or as it had ended."""
    phases = ("validating", "executing", "monitoring", "rolling_back", "completed")
    names = await asyncio.gather(*(in_phase(world, phase) for phase in phases))
    uids = [(await world.get(name))["metadata"]["uid"] for name in names]

    await asyncio.gather(
        *(world.cluster.delete(WORKFLOWS, NAMESPACE, name, uid=uid) for name, uid in zip(names, uids, strict=True))
    )
    await gone(world, *names, seconds=10)

    async def recorded() -> bool:
        query = "SELECT phase FROM workflow_run WHERE workflow_uid = ANY($1::text[])"
        rows = [row["phase"] for row in await world.database.fetch(query, uids)]
        return sorted(rows) == ["cancelled"] * 4 + ["completed"]

    async def none_left() -> bool:
        return not any(each["metadata"]["name"].startswith("parent-") for each in await world.all_of(EXECUTIONS))

    await until(recorded, "the ends are in the audit", PATIENCE)
    # Those that had ended are the garbage collector's, which looks for new kinds every 30 s.
    await until(none_left, "the executions are gone as well", PATIENCE)


async def test_an_approval_is_taken_in_by_whichever_scheduler_comes(world: World) -> None:
    """Killed while the run waits: the next one knows the plan, and the approval of it."""
    [name] = await world.apply(a_workflow("approved-later", [a_step(1)], executionStrategy={"approvalRequired": True}))
    await waits_until(world, name, "condition Validated.status", "True")

    await world.stack.supervisor.kill("scheduler", stay_down=True)
    await kubernaut(world, "approve", name, "--yes", "--no-wait")
    await world.stack.supervisor.start("scheduler")
    status = (await world.all_end([name]))[name]

    assert ("completed", True) == (status["phase"], fact(status, "validationResults.approvalReceived"))
    await world.all_ready()


async def test_waits_before_a_retry_outlive_nats_and_the_scheduler(world: World) -> None:
    """Both are killed while twenty retries wait; each comes, once."""
    step = a_step(1, maxRetries=1, retryPolicy={"initialDelay": "20s"})
    names = await world.apply(*(a_workflow(f"patient-{n}", [step], simulate={"step-1": "fail:1"}) for n in range(20)))

    async def most_wait() -> bool:
        statuses = await world.statuses()
        return sum(fact(statuses.get(name, {}), "step 1.status") == "waiting_retry" for name in names) >= 10

    await until(most_wait, "half of them wait for their retry", PATIENCE)
    await asyncio.gather(*(world.stack.supervisor.kill(part) for part in ("nats", "scheduler")))
    statuses = await world.all_end(names)

    assert {"completed"} == {status["phase"] for status in statuses.values()}
    assert {f"{name}-step-1{again}": 1 for name in names for again in ("", "-retry-1")} == world.creations(names)
    await world.all_ready()
    await world.audit_is_complete()


async def test_the_queue_starts_by_priority_and_then_by_age(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two places, taken; ten that wait, one of them deleted meanwhile; never more than two at work."""
    monkeypatch.setenv("KUBERNAUT_MAX_ACTIVE_WORKFLOWS", "2")
    options = StackOptions(name="queue", home=tmp_path_factory.mktemp("queue"), audit_log=True)
    async with a_world(options) as world:
        first = await world.apply(
            *(a_workflow(f"first-{n}", [a_step(1)], simulate={"step-1": "hang"}) for n in range(2))
        )
        for name in first:
            await waits_until(world, name, "phase", "executing")
        priorities = ["low", "normal", "critical", "high", "normal", "low", "high", "critical", "normal", "low"]
        names = []
        for n, priority in enumerate(priorities):
            workflow = a_workflow(f"waits-{n}", [a_step(1)], executionStrategy={"priority": priority})
            names += await world.apply(workflow)
        for name in names:
            await waits_until(world, name, "phase", "queued")
        left = names.pop()
        await world.cluster.delete(WORKFLOWS, NAMESPACE, left, uid=(await world.get(left))["metadata"]["uid"])
        await gone(world, left)

        for name in first:
            await kubernaut(world, "skip", name, "1", "--reason", "make room")
        statuses = await world.all_end(names)

        turns = []
        for name in names:
            found = await world.get(name)
            rank = RANKS[found["spec"]["executionStrategy"]["priority"]]
            turn = (rank, found["metadata"]["creationTimestamp"], found["metadata"]["uid"])
            turns.append((statuses[name]["startTime"], turn))
        assert sorted(turn for _, turn in turns) == [turn for _, turn in sorted(turns)]
        assert {"completed"} == {status["phase"] for status in statuses.values()}
        await world.audit_is_complete()


CRD = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: remediationrequests.{REQUEST}}}
spec:
  group: {REQUEST}
  scope: Namespaced
  names: {{kind: RemediationRequest, plural: remediationrequests, singular: remediationrequest}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
OWNER = f"""
apiVersion: {REQUEST}/v1
kind: RemediationRequest
metadata: {{name: checkout-down, namespace: {NAMESPACE}}}
"""


async def a_request(world: World, folder: Path) -> dict[str, Any]:
    """Make a RemediationRequest, as the product that it belongs to would; return the reference to it as an owner."""
    for name, text in (("crd.yaml", CRD), ("owner.yaml", OWNER)):
        (folder / name).write_text(text)
        await kubectl(world, "apply", "-f", str(folder / name))
        if name == "crd.yaml":
            await kubectl(world, "wait", "--for=condition=Established", f"crd/remediationrequests.{REQUEST}")
    uid = await kubectl(
        world, "get", f"remediationrequests.{REQUEST}", "checkout-down", "-o", "jsonpath={.metadata.uid}"
    )
    return {"apiVersion": f"{REQUEST}/v1", "kind": "RemediationRequest", "name": "checkout-down", "uid": uid}


async def test_a_finished_object_goes_after_its_time_unless_a_request_owns_it(world: World, tmp_path: Path) -> None:
    """What is owned goes with its owner."""
    owned = a_workflow("owned", [a_step(1)], executionStrategy={"ttlAfterFinished": "1s"})
    owned["metadata"]["ownerReferences"] = [await a_request(world, tmp_path)]
    others = [
        a_workflow(f"after-{ttl}", [a_step(1)], executionStrategy={"ttlAfterFinished": ttl}) for ttl in ("0s", "2s")
    ]
    await world.apply(owned, *others)

    await world.all_end(["owned"])
    await gone(world, "after-0s", "after-2s")
    kept = await world.get("owned")
    await kubectl(world, "delete", f"remediationrequests.{REQUEST}", "checkout-down")
    await gone(world, "owned")

    assert "completed" == kept["status"]["phase"]
    assert {} == {n: c for n, c in world.creations(["after-0s", "after-2s", "owned"]).items() if c != 1}


async def test_a_finished_object_stays_until_the_audit_holds_its_story(world: World) -> None:
    """Without the auditor it is asked in vain; with it, the next look finds everything, and the object goes."""
    await world.stack.supervisor.stop("auditor")
    [name] = await world.apply(a_workflow("unaudited", [a_step(1)], executionStrategy={"ttlAfterFinished": "0s"}))
    uid = (await world.get(name))["metadata"]["uid"]
    await world.all_end([name])

    async def asked_in_vain() -> bool:
        return b'"passed":false' in await last_outcome(world, uid)

    await until(asked_in_vain, "it was asked whether the audit holds it", PATIENCE)
    kept = await world.get(name)
    await world.stack.supervisor.start("auditor")
    await gone(world, name)

    row = await world.database.fetchrow("SELECT phase FROM workflow_run WHERE workflow_uid = $1", uid)
    assert "completed" == kept["status"]["phase"]
    assert row is not None
    assert "completed" == row["phase"]
    await world.all_ready()
    await world.audit_is_complete()


async def last_outcome(world: World, uid: str) -> bytes:
    """What the bridge told last about a run."""
    import nats  # noqa: PLC0415
    from nats.js.errors import NotFoundError as NoMessageError  # noqa: PLC0415

    client = await nats.connect(world.stack.nats_url)
    try:
        found = await client.jetstream().get_last_msg("KUBERNAUT", f"kubernaut.outcome.{uid}")
    except NoMessageError:
        return b""
    else:
        return found.data or b""
    finally:
        await client.close()
