"""What is run so that every site is passed: small runs, and messages that cannot be handled."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import msgspec

from runtime.errors import NotFoundError, UnavailableError
from runtime.kinds import EXECUTIONS, WORKFLOWS
from runtime.ports import Object
from scheduler.timer_index import GRACE_MS
from tests.e2e.world import NAMESPACE, World, a_step, a_workflow, until
from tests.failpoints.oracle import Chains
from tests.nats_server import administrator

LIMIT_SECONDS = 300.0
"""For anything to happen; the machine may be ten times slower than usual."""
REFUSED_SUBJECT = "kubernaut.signal.refused.alert"
"""Of what PostgreSQL is made to refuse: `refuse_some`."""

Act = Callable[[World, list[str]], Awaitable[None]]


async def nobody(_world: World, _names: list[str]) -> None:
    """Left alone."""


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one kind, and what is done to them."""

    name: str
    workflow: Callable[[str], Object] | None = None
    """Makes the run of a name; None where no run is needed."""
    first: Act = nobody
    """Before the failpoint is armed, with the runs applied already."""
    prepared: bool = False
    """Whether the runs are applied, and `first` done, before the failpoint is armed."""
    act: Act = nobody
    """While they run."""


def custom(kind: str) -> dict[str, Any]:
    """An action that may not be repeated: its execution is held until its end is in the log."""
    return {"action": "custom", "parameters": {"actionType": kind, "config": {}}}


def everything(name: str) -> Object:
    """Checks, a dry run, a retry, a failure, a rollback, and a deletion after the end."""
    first = a_step(1, **custom("switch"), maxRetries=1, retryPolicy={"initialDelay": "100ms"})
    steps = [first | {"rollbackSpec": custom("switch-back")}, a_step(2, 1)]
    strategy = {
        "rollbackStrategy": "automatic",
        "dryRunFirst": True,
        "safetyChecks": [{"type": "network", "description": "the API answers", "required": True}],
        "ttlAfterFinished": "1s",
    }
    simulate = {"step-1": "fail-before:1", "step-2": "fail-not-retryable"}
    return a_workflow(name, steps, simulate=simulate, executionStrategy=strategy)


def hanging(name: str) -> Object:
    """Two steps side by side that never end."""
    return a_workflow(name, [a_step(1), a_step(2)], simulate={"all-steps": "hang"})


def patient(name: str) -> Object:
    """A step that waits before it is tried again."""
    step = a_step(1, maxRetries=1, retryPolicy={"initialDelay": "40s"})
    return a_workflow(name, [step], simulate={"step-1": "fail:1"})


async def both_hang(world: World, name: str) -> None:
    """Wait until the executor holds the executions of both steps.

    Not until the workflow's status says so, which names what was only commanded; nor until they are there: whoever
    looks at an execution only after its workflow has gone cannot know that it is to hang.
    """

    async def held() -> bool:
        try:
            found = [await world.cluster.get(EXECUTIONS, NAMESPACE, f"{name}-step-{number}") for number in (1, 2)]
        except (NotFoundError, UnavailableError):
            return False
        return all(each.get("status", {}).get("phase") == "executing" for each in found)

    await until(held, f"the executions of {name} hang", LIMIT_SECONDS)


async def cancel(world: World, names: list[str]) -> None:
    """End them at once, when both of their executions hang."""
    for name in names:
        await both_hang(world, name)
        body = {"spec": {"control": {"cancel": {"mode": "terminate", "reason": "wrong service"}}}}
        await world.cluster.patch(WORKFLOWS, NAMESPACE, name, body)


async def delete(world: World, names: list[str]) -> None:
    """Delete the workflows themselves in the middle."""
    for name in names:
        await both_hang(world, name)
        uid = (await world.get(name))["metadata"]["uid"]
        await world.cluster.delete(WORKFLOWS, NAMESPACE, name, uid=uid)


async def lose_timers(world: World, names: list[str]) -> None:
    """Take away their wake-ups, and wait until each would have been due for longer than the sweep waits.

    By the log, not by the status, which comes late while the bridge dies. The scheduler is down meanwhile: its rounds
    must not come in between. It sweeps when it is started.
    """
    assert world.stack.nats_url
    chains, due = Chains(world), dict[str, int]()
    for name in names:
        uid = (await world.get(name))["metadata"]["uid"]

        async def waits(uid: str = uid) -> bool:
            await chains.read_on()
            chain = chains.of.get(uid)
            due[uid] = chain[-1].state.timers.get("step:1", 0) if chain else 0
            return bool(chain) and [step.phase for step in chain[-1].state.steps] == ["waiting_retry"]

        await until(waits, f"{name} waits for its retry", LIMIT_SECONDS)
        async with administrator(world.stack.nats_url) as connection:
            subject = f"kubernaut.timer.schedule.{uid}.>"
            await connection.api("STREAM.PURGE.KUBERNAUT_TIMERS", {"filter": subject})
    await world.stack.supervisor.stop("scheduler")

    async def overdue() -> bool:
        return time.time() * 1000 > max(due.values()) + GRACE_MS + 500

    await until(overdue, "the retries are overdue", LIMIT_SECONDS)
    await chains.read_on()
    assert {"waiting_retry"} == {chains.of[uid][-1].state.steps[0].phase for uid in due}


def sends(subject: str) -> Act:
    """Publish as many unreadable messages as there are names."""

    async def act(world: World, names: list[str]) -> None:
        import nats  # noqa: PLC0415

        client = await nats.connect(world.stack.nats_url)
        try:
            for name in names:
                headers = {"Nats-Msg-Id": f"{name}-{uuid4()}"}
                await client.jetstream().publish(subject.format(name), b"\xff no message", headers=headers)
        finally:
            await client.close()

    return act


async def refuse_some(world: World) -> None:
    """Have PostgreSQL refuse to store what has REFUSED_SUBJECT, as it refuses what it cannot represent."""
    await world.database.execute(
        f"ALTER TABLE audit_message ADD CONSTRAINT refused CHECK (subject <> '{REFUSED_SUBJECT}')"
    )


EVERYTHING = Play(name="everything", workflow=everything)
CANCELLED = Play(name="cancelled", workflow=hanging, act=cancel)
DELETED = Play(name="deleted", workflow=hanging, act=delete)
OVERDUE = Play(name="overdue", workflow=patient, first=lose_timers, prepared=True)
POISON = Play(name="poison", act=sends("kubernaut.signal.{}.alert"))
UNREADABLE = Play(name="unreadable", act=sends("kubernaut.decision.{}"))
REFUSED = Play(name="refused", act=sends(REFUSED_SUBJECT))
PLAYS = (EVERYTHING, CANCELLED, DELETED, OVERDUE)
"""Those with runs, which have an end to compare."""
