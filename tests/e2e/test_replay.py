"""Replay of a run of the real system: from its log, from its audit, from a bundle; and a shadow beside it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from kubernaut.cli.events import log_at
from kubernaut.install import install
from kubernaut.replay.bundle_file import read
from kubernaut.replay.recording import Chain
from schemas.subjects import LOG, SHADOW
from tests.e2e.people import kubernaut
from tests.e2e.world import PATIENCE, World, a_step, a_workflow, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]

NAME = "to-be-replayed"


async def played(world: World) -> str:
    """A run with a retry, and its uid."""
    steps = [a_step(1, maxRetries=1, retryPolicy={"initialDelay": "100ms"}), a_step(2, 1), a_step(3, 1)]
    if NAME not in await world.statuses():
        await world.apply(a_workflow(NAME, steps, simulate={"step-1": "fail-before:1"}))
    await world.all_end([NAME])
    await world.audit_is_complete()
    return str((await world.get(NAME))["metadata"]["uid"])


async def test_every_decision_is_made_again_from_the_log_and_from_the_audit(world: World) -> None:
    """Byte for byte, from either."""
    uid = await played(world)

    from_log = await kubernaut(world, "replay", NAME, "--check")
    from_audit = await kubernaut(world, "replay", uid, "--check", "--audit")

    assert ", 0 otherwise" in from_log
    assert from_log.splitlines()[-1] == from_audit.splitlines()[-1]


async def test_every_run_of_the_system_is_decided_again_as_it_was(world: World) -> None:
    """Whatever other tests have left there."""
    await played(world)

    output = await kubernaut(world, "replay", "--all")

    assert ", 0 otherwise" in output.splitlines()[-1]
    assert "could not be made again" not in output


async def test_a_bundle_holds_everything_and_is_replayed_without_a_cluster(world: World, tmp_path: Path) -> None:
    """Messages, decisions, public events, the place in the queue, Kubernetes Events, versions."""
    uid = await played(world)
    file = tmp_path / "run.ndjson.gz"

    await kubernaut(world, "bundle", NAME, "-o", str(file))
    recording = read(file.read_bytes())
    nowhere = {**os.environ, "NATS_URL": "", "DATABASE_URL": "", "KUBECONFIG": "", "KUBERNAUT_HOME": str(tmp_path)}
    alone = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kubernaut", "replay", str(file), "--check"),
        env=nowhere,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await alone.communicate()

    kinds = {each.subject.split(".")[1] for each in recording.messages}
    chain = Chain(recording)
    assert 0 == alone.returncode, output.decode()
    assert uid == recording.uid
    assert {"change", "decision"} <= kinds
    assert any(each.subject == "kubernaut.decision.queue" for each in recording.messages)
    assert chain.made[-1].decision.state.announced == len(recording.events)
    assert any(each["reason"] == "Completed" for each in recording.cluster_events)
    assert {"kubernaut-workflow", "bundle", "python", "made"} == set(recording.versions)
    assert () == recording.notes


async def test_one_moment_is_shown_as_it_was(world: World) -> None:
    """While the first step waits for its retry."""
    await played(world)
    lines = (await kubernaut(world, "replay", NAME)).splitlines()
    retried = next(line for line in lines if "-> waiting_retry" in line)

    page = await kubernaut(world, "replay", NAME, "--at", retried.split()[0])

    assert "waiting_retry" in page
    assert "step:1" in page
    assert "its retry begins" in page


async def test_a_shadow_of_the_same_version_diverges_nowhere(world: World) -> None:
    """As a process beside the system; it reads all runs that there are."""
    await played(world)
    assert world.stack.nats_url
    environment = {"NATS_URL": world.stack.nats_url}
    await install(environment | world.stack.nats_login("setup"), ("shadow",), replicas=None, seconds=10)
    ports = {"KUBERNAUT_HEALTH_PORT": "0", "KUBERNAUT_METRICS_PORT": "0", "KUBERNAUT_BIND": "127.0.0.1"}
    shadow = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scheduler", "--shadow"),
        env=os.environ | environment | ports | world.stack.nats_login("shadow"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:

        async def is_done() -> bool:
            async with log_at(environment["NATS_URL"]) as log:
                last = await log.last(LOG.name, ">")
                return last is not None and await log.acknowledged(SHADOW) >= last.sequence

        await until(is_done, "the shadow has read everything", PATIENCE)
    finally:
        shadow.terminate()
        output, _ = await shadow.communicate()

    assert 0 == shadow.returncode
    assert "shadow_diverged" not in output.decode()
    assert "shadow_untried" not in output.decode()
