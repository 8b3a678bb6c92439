"""What comes out of a watch is wrong: lines are missing, repeated, old, cut, rubbish, or do not come (G1, G2)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from runtime.kinds import EXECUTIONS
from tests.e2e.world import NAMESPACE, until
from tests.stale.objects import an_object, change, delete
from tests.stale.staleness import PATIENCE
from tests.watcher.builders import an_execution

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Object
    from tests.stale.gate import Edit
    from tests.stale.staleness import Staleness

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]
MIB = 1024 * 1024
MISSED = "no watch has told"
"""In what a resync says: it may be first with what a slow watch is late with."""
EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'


def once(wanted: Callable[[Object], bool], instead: Callable[[bytes], list[bytes]]) -> Edit:
    """Spoil the first line whose object is wanted."""
    done = False

    def edit(event: Object, line: bytes) -> list[bytes]:
        nonlocal done
        if done or not wanted(event["object"]):
            return [line]
        done = True
        return instead(line)

    return edit


def named(name: str) -> Callable[[Object], bool]:
    """Whether an object has that name."""
    return lambda found: found["metadata"].get("name") == name


async def test_an_event_that_the_watch_swallows_is_found_by_the_resync(stale: Staleness) -> None:
    """(F6) The watch goes on past it, so that it looks as new as the store: only a whole list shows what is missing."""
    uid, other = await an_object(stale, "swallowed"), await an_object(stale, "told")

    async def missed() -> float:
        return await stale.metric("watcher", "kubernaut_watch_missed_total", resource=EXECUTIONS.plural)

    before, stories = await missed(), len(await stale.stories())
    stale.watching.faults.edit = once(named("swallowed"), lambda _line: [])

    version = await change(stale, "swallowed", "2")
    await change(stale, "told", "2")
    seen = await stale.log_is_true()

    assert ((version, False), 1) == (seen[uid][-1], [at for at, _gone in seen[uid]].count(version))
    assert len(seen[other]) >= 2
    assert before + 1 == await missed()

    async def told() -> bool:
        return any(MISSED in story.reason for story in (await stale.stories())[stories:])

    await until(told, "the watcher told of what it had missed", PATIENCE)


async def test_lines_that_come_twice_and_in_old_versions_are_no_news(stale: Staleness) -> None:
    """(F7) Everything is told twice, and each time the whole past of the object once more after it."""
    uid = await an_object(stale, "repeated")
    past: list[bytes] = []

    def again(event: Object, line: bytes) -> list[bytes]:
        if event["type"] == "BOOKMARK":
            return [line]
        past.append(line)
        return [line, line, *past]

    stale.watching.faults.edit = again
    versions = [await change(stale, "repeated", str(number)) for number in range(5)]
    await delete(stale, "repeated", uid)
    seen = await stale.log_is_true()

    async def counted() -> bool:
        return await stale.metric("watcher", "kubernaut_watch_old_news_total", resource=EXECUTIONS.plural) >= 10

    await until(counted, "the repeats are counted as old news", PATIENCE)
    assert versions == [at for at, gone in seen[uid] if not gone][-5:]
    assert [True] == [gone for _at, gone in seen[uid] if gone]
    assert seen == await stale.log_is_true()


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        pytest.param("cut", lambda line: [line[: len(line) // 2]], id="cut in the middle"),
        pytest.param("rubbish", lambda _line: [b"Service Unavailable\n"], id="rubbish"),
        pytest.param("endless", lambda line: [line.rstrip() + b" " * (9 * MIB) + b"\n"], id="9 MiB long"),
        pytest.param("expired", lambda _line: [EXPIRED], id="410 as an event"),
    ],
)
async def test_after_a_line_that_is_no_event_a_list_finds_what_it_was(
    stale: Staleness, name: str, instead: Callable[[bytes], list[bytes]]
) -> None:
    """(F8, F11) The stream is not believed any more, the view says that it was blind, and nothing is lost."""
    uid = await an_object(stale, name)
    before = len(await stale.stories())
    stale.watching.faults.edit = once(named(name), instead)

    version = await change(stale, name, "2")
    seen = await stale.log_is_true()

    assert (version, False) == seen[uid][-1]

    async def told() -> bool:
        stories = [story for story in (await stale.stories())[before:] if MISSED not in story.reason]
        return ["gap", "relisted"] == [story.what for story in stories if story.what in {"gap", "relisted"}][:2]

    await until(told, "the watcher told of the gap", PATIENCE)
    await stale.is_ready("watcher")


async def test_what_happens_between_two_watches_is_made_up_for(stale: Staleness) -> None:
    """(F5) One goes A, B, A; one is made and deleted; one that was known is deleted: the log ends true, once each."""
    back, gone = await an_object(stale, "there-and-back"), await an_object(stale, "known")
    await change(stale, "there-and-back", "A")
    await stale.log_is_true()
    stale.watching.faults.refuse = lambda _request: web.Response(status=410, text="Gone")
    stale.watching.cut_watches()
    await stale.is_unready("watcher", "HTTP 410")

    await change(stale, "there-and-back", "B")
    version = await change(stale, "there-and-back", "A")
    await delete(stale, "known", gone)
    made = await stale.world.cluster.create(EXECUTIONS, NAMESPACE, an_execution("mayfly", NAMESPACE))
    await delete(stale, "mayfly", made["metadata"]["uid"])
    stale.watching.heal()
    seen = await stale.log_is_true()

    assert (version, False) == seen[back][-1]
    assert seen[gone][-1][1]
    assert made["metadata"]["uid"] not in seen or seen[made["metadata"]["uid"]][-1][1]


async def test_a_watch_that_stays_open_and_says_nothing_is_found_out(stale: Staleness) -> None:
    """(F12) Half open: what was missed is on the log long before the silence is an error; a new watch takes over."""
    uid = await an_object(stale, "half-open")
    silenced = time.monotonic()
    stale.watching.silence()

    version = await change(stale, "half-open", "2")
    seen = await stale.log_is_true()

    assert (version, False) == seen[uid][-1]
    rounds = 0

    async def replaced() -> bool:
        nonlocal rounds
        rounds += 1
        await change(stale, "half-open", f"round-{rounds}")
        asked = stale.watching.since(silenced)
        return any(each.is_watch and each.status == 200 and EXECUTIONS.plural in each.path for each in asked)

    await until(replaced, "a new watch took the place of the silent one", PATIENCE)
    version = await change(stale, "half-open", "last")
    assert (version, False) == (await stale.log_is_true())[uid][-1]
    assert await stale.metric("watcher", "kubernaut_watch_stale_total") >= 1
    await stale.is_ready("watcher")


async def test_a_frozen_watch_cache_is_healed_each_time_and_said(stale: Staleness) -> None:
    """(F13) Lists are new, every watch is old: the log stays true, and the watcher is not ready and says why."""
    uid = await an_object(stale, "frozen")
    frozen_at = 0

    def old(event: Object, line: bytes) -> list[bytes]:
        nonlocal frozen_at
        version = int(event["object"]["metadata"]["resourceVersion"])
        frozen_at = frozen_at or version
        if event["type"] != "BOOKMARK":
            return []
        event["object"]["metadata"]["resourceVersion"] = str(min(version, frozen_at))
        return [json.dumps(event).encode() + b"\n"]

    stale.watching.faults.edit = old
    rounds = 0

    async def unready() -> bool:
        nonlocal rounds
        rounds += 1
        await change(stale, "frozen", str(rounds))
        ready, told = await stale.readiness("watcher")
        return not ready and "fresh failed: the watch is at" in told

    await until(unready, "the watcher says that its watch is old", PATIENCE)
    version = await change(stale, "frozen", "last")
    assert (version, False) == (await stale.log_is_true())[uid][-1]
    assert await stale.metric("watcher", "kubernaut_watch_stale_total") >= 3

    stale.watching.heal()
    stale.watching.cut_watches()
    await stale.is_ready("watcher")
