"""Freezing and thawing, on a real nats-server: what is handed out, what is not, and what people are told."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from kubernaut.__main__ import main
from kubernaut.cli import consumer_pause
from kubernaut.cli.connection import NoClusterError
from kubernaut.cli.consumer_pause import jetstream_at, look, pause, resume
from kubernaut.cli.freeze_fact import frozen_event, publish
from kubernaut.cli.freeze_lines import Frozen, freeze_line
from kubernaut.install_streams import install_streams
from kubernaut.local.home import Home
from kubernaut.local.state import StackState, write_state
from kubernaut.operation_facts import me
from runtime.errors import RefusedError, UnavailableError
from runtime.health import Dependency
from runtime.nats_log import NatsLog
from runtime.nats_requests import Reply
from runtime.ports import Delivery, Log
from schemas.cloudevents import Event
from schemas.messages import EffectsFrozen, EffectsThawed, decode
from schemas.subjects import AUDITOR, BRIDGE, FREEZES, LOG, decision
from tests.eventually import eventually
from tests.nats_server import NatsServer

pytestmark = pytest.mark.real
UID = "11111111-0000-4000-8000-{:012d}"


@asynccontextmanager
async def a_log(server: NatsServer) -> AsyncIterator[Log]:
    """Connect to the log of a server."""
    log = NatsLog(server.url, "test", Dependency("nats"), structlog.get_logger())
    keeping = asyncio.create_task(log.keep())
    await log.verified()
    yield log
    await log.close()
    await keeping


async def decide(log: Log, *numbers: int) -> None:
    """Publish decisions, each of another run."""
    for number in numbers:
        uid = UID.format(number)
        event = Event(
            subject=decision(uid),
            id=f"{uid}/1",
            type="io.kubernaut.log.decision.v1",
            source="/kubernaut/scheduler",
            data=b"{}",
            correlation_id=uid,
        )
        await log.publish(event)


class Bridge:
    """A reader of the bridge's consumer: it keeps what it gets in hand until it is told to acknowledge."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []

    async def read(self, log: Log) -> None:
        """Read for ever."""
        async with aclosing(log.consume(BRIDGE, in_hand=8)) as deliveries:
            async for delivery in deliveries:
                self.got.append(delivery)

    @property
    def numbers(self) -> list[int]:
        """The runs whose decisions came, in order."""
        return [int(delivery.message.subject[-12:]) for delivery in self.got]


@asynccontextmanager
async def a_bridge(log: Log) -> AsyncIterator[Bridge]:
    """Run a reader until the end of the block."""
    bridge = Bridge()
    reading = asyncio.create_task(bridge.read(log))
    yield bridge
    reading.cancel()
    await asyncio.wait({reading})


async def kubernaut(*words: str) -> Result:
    """Run a command in a thread, for it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, main, list(words))


async def is_asking(server: NatsServer) -> None:
    """Return once the reader's request for messages waits at the server, so that silence means something."""
    async with jetstream_at(server.url) as api:
        while not json.loads(await api.api(f"CONSUMER.INFO.{BRIDGE.stream}.{BRIDGE.name}"))["num_waiting"]:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.01)


async def test_nothing_is_delivered_while_frozen_and_all_of_it_once_after_the_thaw(fresh_nats: NatsServer) -> None:
    """What was in hand is finished; what is decided meanwhile waits in its order; other services read on."""
    async with a_log(fresh_nats) as log, a_bridge(log) as bridge:
        await decide(log, 1, 2)
        await eventually(lambda: bridge.numbers == [1, 2])

        frozen = await kubernaut("freeze", "--nats", fresh_nats.url, "--reason", "incident 4711")
        await decide(log, 3, 4, 5)
        await bridge.got[0].ack()
        await is_asking(fresh_nats)
        async with aclosing(log.consume(AUDITOR, in_hand=8)) as audit:
            everybody_else = [await anext(audit) for _ in range(5)]
        # The auditor has the last decision: the bridge, whose request came first, would have had it by now, too.
        in_the_freeze = list(bridge.numbers)
        async with jetstream_at(fresh_nats.url) as api:
            state = await look(api)

        thawed = await kubernaut("thaw", "--nats", fresh_nats.url)
        await eventually(lambda: len(bridge.got) >= 5)
        for delivery in bridge.got[1:]:
            await delivery.ack()
        async with jetstream_at(fresh_nats.url) as api:
            while (after := await look(api)).queue:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.01)

    assert (frozen.exit_code, thawed.exit_code) == (0, 0)
    assert ([1, 2], 5) == (in_the_freeze, len(everybody_else))
    assert (state.paused, state.waiting, state.in_hand, state.reason) == (True, 3, 1, "incident 4711")
    assert bridge.numbers == [1, 2, 3, 4, 5]
    assert after == Frozen(paused=False)
    assert "until `kubernaut thaw`: no new effects in the cluster; 0 decisions waiting, 2 in hand" in frozen.stdout
    assert "decisions already in hand are carried out to their end" in frozen.stdout
    assert "thawed; 3 decisions waiting, 1 in hand when it was" in thawed.stdout


async def test_what_is_given_back_while_frozen_comes_again_after_the_thaw(fresh_nats: NatsServer) -> None:
    """A bridge that dies in a freeze leaves its decisions to the thaw, not to another bridge."""
    async with a_log(fresh_nats) as log:
        async with a_bridge(log) as first:
            await decide(log, 1)
            await eventually(lambda: first.numbers == [1])
            await kubernaut("freeze", "--nats", fresh_nats.url)
            await first.got[0].nak()
        async with a_bridge(log) as second:
            await is_asking(fresh_nats)
            await decide(log, 2)
            async with aclosing(log.consume(AUDITOR, in_hand=8)) as audit:
                _ = [await anext(audit) for _ in range(2)]
            in_the_freeze = list(second.numbers)
            await kubernaut("thaw", "--nats", fresh_nats.url)
            await eventually(lambda: sorted(second.numbers) == [1, 2])

    assert in_the_freeze == []


async def test_a_freeze_outlives_restarts_and_installing_again(fresh_nats: NatsServer) -> None:
    """It is the server's: neither a restart nor `kubernaut.install` ends it."""
    async with jetstream_at(fresh_nats.url) as api:
        await pause(api, seconds=None, by="alice", reason="audit")
    await fresh_nats.kill()
    await fresh_nats.start()
    async with jetstream_at(fresh_nats.url) as api:
        installed = await install_streams(api)
        found = await look(api)

    assert installed == []
    assert (found.paused, found.by, found.reason, found.until) == (True, "alice", "audit", 0)


async def test_a_freeze_for_a_while_ends_by_itself(fresh_nats: NatsServer) -> None:
    """`--for` is counted by the server's clock."""
    async with a_log(fresh_nats) as log, a_bridge(log) as bridge:
        result = await kubernaut("freeze", "--nats", fresh_nats.url, "--for", "3s")
        await decide(log, 1)
        before = list(bridge.numbers)
        await eventually(lambda: bridge.numbers == [1])

    assert (result.exit_code, before) == (0, [])
    assert "until 2" in result.stdout


async def test_thawing_takes_the_notes_away(fresh_nats: NatsServer) -> None:
    """The next freeze must not show the reason of this one."""
    async with jetstream_at(fresh_nats.url) as api:
        await pause(api, seconds=None, by="alice", reason="audit")
        await resume(api)
        again, trouble = await pause(api, seconds=60, by="bob", reason="")

    assert (again.by, again.reason, trouble) == ("bob", "", "")
    assert again.until - again.since == 60_000


async def test_a_freeze_holds_although_nobody_can_be_noted(fresh_nats: NatsServer) -> None:
    """Whoever may pause the consumer may not always change its configuration."""

    class Limited:
        """An API whose user may not change consumers."""

        def __init__(self, api: consumer_pause.Api) -> None:
            self._api = api

        async def api(self, subject: str, body: Any = None, *, seconds: float = 5.0) -> bytes:
            """See `Api.api`."""
            if subject.startswith("CONSUMER.CREATE"):
                raise RefusedError("no right to change consumers")
            return await self._api.api(subject, body, seconds=seconds)

    async with jetstream_at(fresh_nats.url) as api:
        found, trouble = await pause(Limited(api), seconds=None, by="alice", reason="audit")

    assert (found.paused, found.by, trouble) == (True, "", "no right to change consumers")


async def test_the_log_holds_who_froze_and_thawed_and_why(fresh_nats: NatsServer) -> None:
    """So that the audit holds it; secrets in the reason are not told."""
    await kubernaut("freeze", "--reason", "incident 4711 password=hunter2hunter2", "--nats", fresh_nats.url)
    await kubernaut("thaw", "--nats", fresh_nats.url)

    async with a_log(fresh_nats) as log:
        told = [decode(each.headers["ce-type"], each.data) async for each in log.scan(LOG.name, FREEZES)]

    frozen, thawed = told
    assert isinstance(frozen, EffectsFrozen)
    assert (frozen.by, "incident 4711" in frozen.reason, "hunter2" in frozen.reason) == (me(), True, False)
    assert thawed == EffectsThawed(by=me(), frozen_by=me())


async def test_a_freeze_holds_although_the_log_does_not_take_the_word_of_it(fresh_nats: NatsServer) -> None:
    """Whoever may pause the consumer may not always publish."""

    class Deaf:
        """A connection that nobody answers on."""

        async def request(self, *_: Any, **__: Any) -> Reply:
            """See `Requests.request`."""
            raise UnavailableError("no right to publish")

    async with jetstream_at(fresh_nats.url) as api:
        found, _ = await pause(api, seconds=None, by="alice", reason="audit")
        trouble = await publish(Deaf(), frozen_event(found, "alice"))

    assert (found.paused, trouble) == (True, "no right to publish")


async def test_thawing_what_is_not_frozen_says_so(fresh_nats: NatsServer) -> None:
    """It does no harm."""
    result = await kubernaut("thaw", "--nats", fresh_nats.url)

    assert (result.exit_code, result.stdout) == (0, "it was not frozen; 0 decisions waiting, 0 in hand\n")


async def test_a_server_without_the_bridges_consumer_is_the_wrong_one(nats_url: str) -> None:
    """Nothing was frozen, and the person must know."""
    result = await kubernaut("freeze", "--nats", nats_url)

    assert result.exit_code == 1
    assert "the bridge's consumer is not installed there" in result.stderr


@pytest.mark.parametrize("command", ["freeze", "thaw"])
async def test_a_server_that_is_away_is_told(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was changed."""
    monkeypatch.setattr(consumer_pause, "CONNECT_SECONDS", 0.2)

    result = await kubernaut(command, "--nats", "nats://127.0.0.1:1")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: NATS does not answer: ")
    assert result.stderr.endswith("; nothing was changed\n")


async def test_who_only_reads_is_told_of_no_change() -> None:
    """What the doctor says of a server that is away fits what it does."""
    with pytest.raises(NoClusterError) as caught:
        async with jetstream_at("nats://127.0.0.1:1", seconds=0.2):
            pass

    assert str(caught.value).startswith("NATS does not answer: ")
    assert "changed" not in str(caught.value)


@pytest.mark.parametrize(("duration", "words"), [("soon", "is not a duration"), ("0s", "`kubernaut thaw`")])
async def test_a_while_that_is_none_is_refused(duration: str, words: str) -> None:
    """Before anything is connected to."""
    result = await kubernaut("freeze", "--nats", "nats://127.0.0.1:1", "--for", duration)

    assert (result.exit_code, words in result.stderr) == (2, True)


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "not frozen"])
async def test_status_shows_a_freeze_and_its_queue(
    fresh_nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, frozen: bool
) -> None:
    """Whoever wonders why nothing happens sees it first."""
    monkeypatch.setenv("KUBERNAUT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("kubernaut.cli.stack._FROZEN_SECONDS", 30.0)
    async with a_log(fresh_nats) as log:
        if frozen:
            await kubernaut("freeze", "--nats", fresh_nats.url, "--reason", "incident 4711")
        await decide(log, 1, 2)
    with a_stack(fresh_nats.url):
        shown, as_json = await kubernaut("status"), await kubernaut("status", "-o", "json")

    told = json.loads(as_json.stdout)["frozen"]
    assert ("FROZEN since " in shown.stdout) == frozen
    assert ("2 decisions waiting, 0 in hand" in shown.stdout) == frozen
    assert (told["reason"], told["waiting"]) == ("incident 4711", 2) if frozen else told is None


async def test_status_is_shown_although_nats_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then whether it is frozen cannot be known; the health of the parts says why."""
    monkeypatch.setenv("KUBERNAUT_HOME", str(tmp_path / "home"))
    with a_stack("nats://127.0.0.1:1"):
        shown = await kubernaut("status")

    assert (shown.exit_code, "FROZEN" in shown.stdout) == (0, False)


@contextmanager
def a_stack(nats_url: str) -> Iterator[None]:
    """Let a stack with this NATS run, as far as `kubernaut status` can tell."""
    home = Home("default")
    home.state.mkdir(parents=True)
    nothing: dict[str, Any] = {"kubeconfig": None, "database_url": None, "folders": (), "processes": ()}
    write_state(
        home,
        StackState(
            name="default",
            phase="ready",
            message="all processes are ready",
            supervisor=os.getpid(),
            nats_url=nats_url,
            logs="",
            **nothing,
        ),
    )
    lock = home.lock()
    yield
    lock.close()


def test_a_freeze_is_one_line() -> None:
    """Since when, by whom, why, until when, and the queue."""
    frozen = Frozen(
        paused=True,
        until=1_767_225_660_000,
        since=1_767_225_600_000,
        by="alice@host",
        reason="audit",
        waiting=1,
        in_hand=2,
    )

    assert freeze_line(frozen) == (
        "FROZEN since 2026-01-01T00:00:00.000Z by alice@host (audit), until 2026-01-01T00:01:00.000Z: no new effects in"
        " the cluster; 1 decision waiting, 2 in hand"
    )
