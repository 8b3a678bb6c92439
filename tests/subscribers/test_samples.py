"""The subscribers of docs/subscribers: they tell the same, pass the conformance run, and get by with the role."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kubernaut.conformance.consumer import running
from kubernaut.conformance.run import conformance
from kubernaut.conformance.stage import Stage, a_stage
from kubernaut.conformance.story import a_run, a_uid, as_told, interleaved, of_type, poison
from kubernaut.conformance.verdicts import EXPECTED, Line
from kubernaut.local.toolchain import Toolchain
from schemas.public_events import public_types
from tests.subscribers.accounts import running_accounts
from tests.subscribers.programs import ROOT, SAMPLES, Program, present
from tests.tools.build import BUILD_SECONDS, run_go

pytestmark = [pytest.mark.real, pytest.mark.timeout(BUILD_SECONDS + 300)]
SECONDS = 120.0
Build = Callable[[str], Program]


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server to play on."""
    async with a_stage(tmp_path) as found:
        yield found


@pytest.mark.parametrize("name", present())
async def test_it_passes_the_conformance_run(stage: Stage, program: Build, name: str) -> None:
    """Every behaviour."""
    one = program(name)

    card = await conformance(one.command, one.environment, stage, seconds=SECONDS)

    assert list(EXPECTED) == [each.behaviour for each in card]
    assert [] == [f"{each.behaviour}: {each.detail}" for each in card if not each.passed]


@pytest.mark.parametrize("name", present())
async def test_it_tells_what_the_announcer_told(stage: Stage, program: Build, name: str) -> None:
    """One line for each message of the stream, of the right kind, and for a gap; the same in all languages."""
    told = [as_told(event) for event in interleaved(a_run(1), a_run(2))]
    strange = [of_type(as_told(a_run(3)[0]), "io.kubernaut.workflow.escalated.v1"), poison(told[0], "no headers")]
    await stage.clear()
    await stage.tell([*told, *strange, as_told(a_run(3)[4])])

    lines = await lines_of(program(name), stage.url, "teller", 24)

    assert [
        *(
            {
                "kind": "event",
                "id": message.id,
                "type": message.headers["ce-type"],
                "ordinal": message.ordinal,
                "workflowUid": message.workflow,
                "sequence": place,
            }
            for place, message in enumerate(told, 1)
        ),
        {"kind": "unknown", "id": strange[0].id, "type": "io.kubernaut.workflow.escalated.v1", "sequence": 21},
        {"kind": "unreadable", "error": True, "sequence": 22},
        {"kind": "gap", "workflowUid": a_uid(3), "first": 1, "last": 3},
        {
            "kind": "event",
            "id": a_run(3)[4].id,
            "type": a_run(3)[4].type,
            "ordinal": 4,
            "workflowUid": a_uid(3),
            "sequence": 23,
        },
    ] == [line | ({"error": bool(line["error"])} if "error" in line else {}) for line in lines]


@pytest.mark.parametrize("name", present())
async def test_it_gets_by_with_the_read_only_role(tmp_path: Path, program: Build, name: str) -> None:
    """As a team that has a durable of its name and nothing else."""
    told = a_run()
    async with running_accounts(tmp_path, told) as server:
        lines = await lines_of(program(name), server.url("my-team"), "my-team", len(told))

    assert [event.id for event in told] == [line["id"] for line in lines]


async def lines_of(one: Program, url: str, durable: str, count: int) -> list[Line]:
    """Run a sample until it wrote so many lines."""
    environment = {**one.environment, "NATS_URL": url, "KUBERNAUT_DURABLE": durable}
    async with running(one.command, environment) as consumer:
        await consumer.until(lambda: len(consumer.lines) >= count, SECONDS, f"{count} lines")
        return consumer.lines


def test_the_go_subscriber_passes_vet(go: Toolchain) -> None:
    """And its modules are as go.sum says."""
    run_go(go, SAMPLES / "go", "vet", "./...")
    run_go(go, SAMPLES / "go", "mod", "verify")


@pytest.mark.parametrize("file", ["go/main.go", "node/subscriber.mjs", "nats-cli/read.jq"])
def test_every_public_type_is_known_to_it(file: str) -> None:
    """The samples name the types; one that is added to the contract is added to them."""
    text = "".join(re.findall(r'["`\'](.*)["`\']', (SAMPLES / file).read_text()))
    whole = re.search(r"\^io.*?v1\$", re.sub(r'["`\']\s*\+\s*["`\']', "", text))
    assert whole is not None
    pattern = re.compile(whole[0].replace("\\\\", "\\"))

    assert [] == [kind for kind in public_types() if not pattern.fullmatch(kind)]
    assert not pattern.fullmatch("io.kubernaut.step.planned.v1")


@pytest.mark.parametrize("folder", ["docs/subscribers/node", "tests/subscribers/asyncapi"])
def test_lock_files_name_versions_and_hashes_and_no_place_to_fetch_from(folder: str) -> None:
    """Whoever installs uses the registry that he trusts."""
    lock = ROOT / folder / "package-lock.json"
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text())["packages"]

    assert "http" not in lock.read_text()
    assert all(one["integrity"].startswith("sha512-") for name, one in packages.items() if name)
