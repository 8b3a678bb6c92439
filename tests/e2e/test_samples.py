"""Every sample of docs/samples/, played side by side on one real system: each ends as its comments say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from kubernaut.cli.manifests import read
from runtime.errors import NotFoundError
from runtime.ports import Object
from schemas.workflow_status import TERMINAL_PHASES
from tests.e2e.people import fact, kubectl
from tests.e2e.plays import PLAYS, Play, nobody
from tests.e2e.world import NAMESPACE, World

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

FOLDER = Path(__file__).parents[2] / "docs" / "samples"
FILES = sorted(FOLDER.glob("*.yaml"))
SECONDS = 300.0
WORKFLOWS = {
    (file.stem, manifest.body["metadata"]["name"]): manifest.body
    for file in FILES
    for manifest in read(file.read_text(encoding="utf-8"), file.name)
}
_SIMULATOR = "simulator.kubernaut.io"
ATTENDED = tuple(play for play in PLAYS if play.act is not nobody)


class Stage(msgspec.Struct, frozen=True):
    """What goes on."""

    plays: dict[str, asyncio.Task[dict[str, Any]]]
    """By name of the run; each gives the last status that was seen of it."""
    dead: int
    """Dead letters before it began."""


class Ends:
    """How runs have ended, from one look at all of them at a time: so many that each look for themselves cost more."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, Any]] = {}
        self._news = asyncio.Condition()

    async def follow(self, world: World) -> None:
        """Look for ever."""
        while True:
            statuses = await world.statuses()
            async with self._news:
                self._seen |= {n: status for n, status in statuses.items() if status.get("phase") in TERMINAL_PHASES}
                self._news.notify_all()
            await asyncio.sleep(0.5)

    async def of(self, name: str) -> dict[str, Any]:
        """Wait for the end of a run; return its status then."""
        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(lambda: name in self._seen)
            return self._seen[name]


def body_of(play: Play) -> Object:
    """The workflow of a play, under its name and as the executor is to take it."""
    body: Object = WORKFLOWS[play.source]
    named = {**body["metadata"], "namespace": NAMESPACE, "name": play.name}
    if play.simulate:
        asked = {f"{_SIMULATOR}/{step}": behaviour for step, behaviour in play.simulate.items()}
        named["annotations"] = named["annotations"] | asked
    return body | {"metadata": named}


async def perform(world: World, play: Play, people: asyncio.Barrier, ends: Ends) -> dict[str, Any]:
    """Play one sample to its end; return the last status that was seen of it.

    Those in which people act come first, so that the others do not make them late.
    """
    if play not in ATTENDED:
        await people.wait()
    try:
        await world.apply(body_of(play))
        await play.act(world, play.name)
    finally:
        if play in ATTENDED:
            await people.wait()
    status = await ends.of(play.name)
    await play.then(world, play.name)
    try:
        return await world.status(play.name)
    except NotFoundError:
        return status


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(world: World) -> AsyncIterator[Stage]:
    """All plays, begun at once."""
    await kubectl(world, "apply", "-f", str(FOLDER / "cluster" / "shop.yaml"))
    people, ends, dead = asyncio.Barrier(len(PLAYS)), Ends(), await world.dead_letters()
    following = asyncio.create_task(ends.follow(world))
    plays = {play.name: asyncio.create_task(perform(world, play, people, ends)) for play in PLAYS}
    yield Stage(plays, dead)
    for task in (following, *plays.values()):
        task.cancel()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
async def test_a_sample_ends_as_it_says(stage: Stage, play: Play) -> None:
    """With its phase, its outcome, the ends of its steps and what makes it worth a sample."""
    status = await stage.plays[play.name]

    ends = {step["stepNumber"]: step["status"] for step in status["stepStatuses"]}
    assert (play.phase, play.outcome) == (status["phase"], status["workflowResult"]["outcome"])
    assert (play.steps or dict.fromkeys(ends, "completed")).items() <= ends.items()
    assert play.facts == {path: fact(status, path) for path in play.facts}
    assert play.says in status.get("failureReason", "")


def test_every_workflow_of_every_sample_is_played() -> None:
    """A sample that is added is played here, too, and told of in the table for people."""
    table = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert set(WORKFLOWS) == {play.source for play in PLAYS}
    assert [] == [file.name for file in FILES if f"`{file.name}`" not in table]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_audit_holds_all_of_it(stage: Stage, world: World) -> None:
    """One row for each message, and no dead letter among them."""
    await asyncio.wait(stage.plays.values())

    await world.audit_is_complete()

    assert stage.dead == await world.dead_letters()
