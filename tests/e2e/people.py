"""What people and other programs do to a run: the real command line, kubectl, an alert from a plain NATS client."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.world import NAMESPACE, PATIENCE, World, until

LIMIT_SECONDS = 600.0
"""Of a command: some read everything that there is."""
_STEERING = frozenset({"approve", "cancel", "pause", "reject", "resume", "retry", "rollback", "skip"})
"""Commands that wait ten seconds for the answer unless they are told another time, and fail without it."""


async def kubernaut(world: World, *arguments: str, expected_code: int = 0) -> str:
    """Run the command line on the world's cluster; return what it prints."""
    patiently = ("--timeout", f"{PATIENCE:g}") if arguments[0] in _STEERING else ()
    return await _run(world, sys.executable, "-m", "kubernaut", *arguments, *patiently, expected_code=expected_code)


async def kubectl(world: World, *arguments: str, expected_code: int = 0) -> str:
    """Run the real kubectl on the world's cluster; return what it prints."""
    program = str(Path(sys.executable).with_name("kubectl"))
    return await _run(world, program, *arguments, expected_code=expected_code)


async def fire_alert(world: World, name: str, alert: str, message: str = "") -> None:
    """Publish, as docs/semantics.md shows it, that an alert fired for a run."""
    import nats  # noqa: PLC0415

    uid = (await world.get(name))["metadata"]["uid"]
    workflow = {"namespace": NAMESPACE, "name": name, "uid": uid}
    headers = {
        "ce-specversion": "1.0",
        "ce-id": f"{alert}-{uid}",
        "ce-type": "io.kubernaut.log.alert-fired.v1",
        "ce-source": "/alertmanager",
        "Nats-Msg-Id": f"{alert}-{uid}",
    }
    client = await nats.connect(world.stack.nats_url)
    try:
        await client.jetstream().publish(
            f"kubernaut.signal.{uid}.alert",
            msgspec.json.encode({"workflow": workflow, "alert": alert, "message": message}),
            headers=headers,
        )
    finally:
        await client.close()


async def waits_until(world: World, name: str, path: str, expected: Any, seconds: float = PATIENCE) -> None:
    """Wait until a fact of the status is as expected."""

    async def holds() -> bool:
        return bool(fact(await world.status(name), path) == expected)

    await until(holds, f"{path} of {name} is {expected!r}", seconds)


def fact(status: dict[str, Any], path: str) -> Any:
    """Look up one fact of a status; None where there is none.

    `a.b` are fields, `a.0` is the first of a list, `step 2.reason` a field of a step, `condition Paused.status` one of
    a condition.
    """
    first, *rest = path.split(".")
    word, _, which = first.partition(" ")
    found: Any = status.get(first)
    if word == "step" and which:
        found = next((each for each in status.get("stepStatuses", ()) if each["stepNumber"] == int(which)), None)
    elif word == "condition":
        found = next((each for each in status.get("conditions", ()) if each["type"] == which), None)
    for field in rest:
        if isinstance(found, list):
            found = found[int(field)] if int(field) < len(found) else None
        else:
            found = found.get(field) if isinstance(found, dict) else None
    return found


async def _run(world: World, *command: str, expected_code: int) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | world.stack.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LIMIT_SECONDS):
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == expected_code, f"{' '.join(command)}: {text}"
    return text
