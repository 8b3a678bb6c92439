"""Forty secrets wherever somebody careless puts one: none of them leaves the object it was in (F56, G12)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from kubernaut.__main__ import main
from runtime.kinds import EVENTS, EXECUTIONS
from schemas import subjects
from tests.e2e.world import PATIENCE, SERVICES, World, a_step, a_workflow, until
from tests.hostile.canaries import Canary, forty
from tests.hostile.test_poison import stored
from tests.nats_server import administrator

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]


def careless(canaries: dict[str, Canary]) -> dict[str, Any]:
    """A workflow with secrets in its variables, parameters, descriptions and annotations."""
    of = {place: each.text for place, each in canaries.items()}
    config = {f"setting{n}": of[f"parameter-{n}"] for n in range(8)}
    told = a_step(1, parameters={"message": f"deploy with {of['parameter-0']}"}, description=of["parameter-1"])
    custom = a_step(2, 1, action="custom", parameters={"actionType": "probe", "config": config})
    variables = {f"v{n}": of[f"variable-{n}"] for n in range(8)}
    workflow = a_workflow(
        "careless", [told, custom], definition={"variables": variables}, simulate={"all-steps": "hang"}
    )
    workflow["metadata"]["annotations"] |= {f"note.example.com/{n}": of[f"annotation-{n}"] for n in range(8)}
    return workflow


async def report(world: World, name: str, status: dict[str, Any]) -> None:
    """Tell how an execution went, as an executor that is careless."""
    await until(lambda: _has_status(world, name), f"{name} is carried out", PATIENCE)
    await world.write_status(EXECUTIONS, name, status)


async def _has_status(world: World, name: str) -> bool:
    executions = {each["metadata"]["name"]: each for each in await world.all_of(EXECUTIONS)}
    return bool(executions.get(name, {}).get("status", {}).get("phase"))


async def test_no_secret_leaves_the_object_that_it_was_in(attacked: World, tmp_path: Path) -> None:
    """Logs, statuses, Events, the files of NATS and PostgreSQL, metrics, a bundle: in none of them, in no form."""
    canaries = forty()
    texts = {place: each.text for place, each in canaries.items()}
    [name] = await attacked.apply(careless(canaries))
    results = {
        "success": True,
        "warnings": [texts["result-0"]],
        "output": texts["result-1"],
        "more": [texts["result-2"]],
    }
    await report(
        attacked, "careless-step-1", {"phase": "completed", "executionResults": results | {"x": texts["result-3"]}}
    )
    errors = " ".join(texts[f"error-{n}"] for n in range(8))
    failure = {"reason": "broken", "message": errors, "retryable": False}
    more = {"success": False, "warnings": [texts[f"result-{n}"] for n in range(4, 8)]}
    await report(attacked, "careless-step-2", {"phase": "failed", "failure": failure, "executionResults": more})
    await attacked.all_end([name])
    async with administrator(str(attacked.stack.nats_url)) as connection:
        await attacked.all_ready()
        bundle = tmp_path / "careless.ndjson.gz"
        words = ["bundle", name, "-o", str(bundle), "--nats", str(attacked.stack.nats_url)]
        words += ["--kubeconfig", str(attacked.stack.kubeconfig), "--database", str(attacked.stack.database_url)]
        made = await asyncio.to_thread(CliRunner().invoke, main, words)
        assert made.exit_code == 0, made.output

        async def audited() -> bool:
            last = (await stored(connection, subjects.DECISIONS))[-1].sequence
            return bool(await attacked.database.fetchval("SELECT max(stream_sequence) >= $1 FROM audit_message", last))

        await until(audited, "the audit holds the run", PATIENCE)
        log = [part for each in await stored(connection, ">") for part in (each.data, str(each.headers).encode())]
        log += [each.data for each in await stored(connection, ">", subjects.EVENT_STREAM.name)]
    rows = await attacked.database.fetch(
        "SELECT raw, coalesce(headers::text, '') || coalesce(body::text, '') FROM audit_message"
    )
    await attacked.database.execute("CHECKPOINT")
    home = attacked.stack.home
    database = Path(await attacked.database.fetchval("SHOW data_directory"))
    seen: dict[str, list[bytes]] = {
        "the log": log,
        "the audit": [bytes(row[0]) + row[1].encode() for row in rows],
        "the status": [msgspec.json.encode(await attacked.status(name))],
        "Events": [msgspec.json.encode(each) for each in await attacked.all_of(EVENTS)],
        "metrics": await metrics(attacked),
        "the bundle": [gzip.decompress(bundle.read_bytes()), made.output.encode()],
        "logs": files(home.logs, without="kube"),
        "files of NATS": files(home.data / "nats"),
        "files of PostgreSQL": files(database),
    }

    leaks = [
        f"{each.kind} of {place} in {where}"
        for where, contents in seen.items()
        for content in [b"\n".join(contents)]
        for place, each in canaries.items()
        if any(form in content for form in each.forms)
    ]
    assert [] == leaks
    assert [] == [where for where, contents in seen.items() if not any(contents)]
    itself = msgspec.json.encode(await attacked.get(name)) + msgspec.json.encode(await attacked.all_of(EXECUTIONS))
    assert [] == [place for place, each in canaries.items() if not any(form in itself for form in each.forms)]
    assert any(b"[redacted:" in content for content in seen["the log"])


def files(folder: Path, *, without: str = "the API server's own") -> list[bytes]:
    """All that lies in a folder, but for the files of the server that holds the objects themselves.

    Servers are at work in it: what they have taken away by the time that it is read holds nothing any more.
    """
    found = []
    for place, _folders, names in os.walk(folder):
        for each in (Path(place, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if each.is_file() and without not in each.name:
                    found.append(each.read_bytes())
    return found


async def metrics(world: World) -> list[bytes]:
    """What every service measures."""
    found = []
    async with aiohttp.ClientSession() as session:
        for member in world.stack.supervisor.members:
            if member.spec.name in SERVICES:
                async with session.get(f"http://127.0.0.1:{member.spec.ports['metrics']}/metrics") as answer:
                    found.append(await answer.read())
    return found
