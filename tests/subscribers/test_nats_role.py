"""The read-only role on a real nats-server, by what is tried with it: `deploy/nats/example.conf` as it stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner

from kubernaut import subscribe
from kubernaut.conformance.story import a_run
from kubernaut.install_mirror import install_mirror, main
from runtime.errors import RefusedError, UnavailableError
from tests.eventually import eventually
from tests.subscribers.accounts import SECONDS, STREAM, Server, running_accounts

TOLD = a_run()
pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A run was told."""
    async with running_accounts(tmp_path_factory.mktemp("nats"), TOLD) as found:
        yield found


async def test_the_public_events_are_read_as_anywhere(server: Server) -> None:
    """By a durable that the team makes itself; places in the stream are the same as in the original."""
    async with contextlib.aclosing(subscribe(server.url("my-team"), durable="my-team")) as items:
        async with asyncio.timeout(SECONDS):
            found = [await anext(items) for _ in TOLD]

    assert [(event.id, place) for place, event in enumerate(TOLD, 1)] == [(one.id, one.sequence) for one in found]


async def test_credentials_may_be_given_beside_the_address(server: Server) -> None:
    """As arguments of nats.connect: files with credentials and certificates go the same way."""
    address = server.url("other-team").replace("other-team:o@", "")
    options = {"user": "other-team", "password": "o"}

    async with contextlib.aclosing(subscribe(address, durable="other-team", options=options)) as items:
        async with asyncio.timeout(SECONDS):
            first = await anext(items)

    assert TOLD[0].id == first.id


async def test_another_durable_is_refused(server: Server) -> None:
    """A team makes and reads consumers of its own names only; the reason is told."""
    with pytest.raises(UnavailableError, match=r"(?i)permissions violation"):
        await anext(subscribe(server.url("my-team"), durable="other-team"))


REFUSED = {
    "publishing a public event": f"kubernaut.event.shop.{TOLD[0].id[:36]}.workflow.completed",
    "publishing a decision": "kubernaut.decision.u",
    "publishing a signal": "kubernaut.signal.u.alert",
    "publishing where nothing listens": "anything.else",
    "writing to another's inbox": "_INBOX_other_team.x",
    "reading the log's state": "$JS.API.STREAM.INFO.KUBERNAUT",
    "reading a message of the log": "$JS.API.STREAM.MSG.GET.KUBERNAUT",
    "reading a message of the log directly": "$JS.API.DIRECT.GET.KUBERNAUT",
    "making a consumer of the log": "$JS.API.CONSUMER.CREATE.KUBERNAUT.my-team",
    "making a nameless consumer": f"$JS.API.CONSUMER.CREATE.{STREAM}",
    "making a consumer as old clients do": f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.my-team",
    "making a consumer of another team": f"$JS.API.CONSUMER.CREATE.{STREAM}.other-team",
    "pulling for another team": f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.other-team",
    "acknowledging for another team": f"$JS.ACK.{STREAM}.other-team.1.1.1.1.0",
    "deleting a consumer of another team": f"$JS.API.CONSUMER.DELETE.{STREAM}.other-team",
    "pausing a consumer": f"$JS.API.CONSUMER.PAUSE.{STREAM}.my-team",
    "deleting a message": f"$JS.API.STREAM.MSG.DELETE.{STREAM}",
    "purging": f"$JS.API.STREAM.PURGE.{STREAM}",
    "deleting the stream": f"$JS.API.STREAM.DELETE.{STREAM}",
    "changing the stream": f"$JS.API.STREAM.UPDATE.{STREAM}",
    "making a stream": "$JS.API.STREAM.CREATE.MINE",
    "the way of the mirror": f"kubernaut.mirror.api.CONSUMER.CREATE.{STREAM}",
    "flow control of the mirror": f"$JS.FC.{STREAM}.x.1",
    "system requests": "$SYS.REQ.SERVER.PING",
}


@pytest.mark.parametrize("subject", REFUSED.values(), ids=REFUSED)
async def test_nothing_else_may_be_published(server: Server, subject: str) -> None:
    """The server says so itself."""
    assert "permissions violation for publish" in await complaint(server, publish=subject)


@pytest.mark.parametrize(
    "subject",
    [">", "kubernaut.event.>", "kubernaut.decision.>", "_INBOX.>", "_INBOX_other_team.>", "$JS.>", "$SYS.>", "*.>"],
)
async def test_nothing_else_may_be_listened_to(server: Server, subject: str) -> None:
    """Inboxes of other teams least of all; events come by the consumer only."""
    assert "permissions violation for subscription" in await complaint(server, listen=subject)


async def complaint(server: Server, *, publish: str = "", listen: str = "") -> str:
    """What the server complains of when a member of the team does something."""
    told: list[str] = []

    async def note(error: Exception) -> None:
        told.append(str(error).lower())

    async with server.client("my-team", error_cb=note) as client:
        if publish:
            await client.publish(publish, b"{}")
        else:
            await client.subscribe(listen)
        await eventually(lambda: told, seconds=5.0, what=f"{publish or listen} was not refused")
    return told[0]


async def make_consumer(client: Any, name: str, **more: str) -> dict[str, Any]:
    """Make a consumer of the event stream; return the answer."""
    config = {"durable_name": name, "name": name, "ack_policy": "explicit"} | more
    body = json.dumps({"stream_name": STREAM, "config": config, "action": ""}).encode()
    reply = await client.request(f"$JS.API.CONSUMER.CREATE.{STREAM}.{name}", body, timeout=SECONDS)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def pull_into(server: Server, user: str, name: str, target: str) -> None:
    """Ask for an event and have it delivered to any subject."""
    async with server.client(user) as client:
        assert "error" not in await make_consumer(client, name)
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}", b'{"batch": 1}', reply=target)
        await client.request(f"$JS.API.CONSUMER.INFO.{STREAM}.{name}", timeout=SECONDS)  # answered after the pull was


async def test_in_the_account_of_the_services_a_pull_is_a_publish(server: Server) -> None:
    """Why subscribers have one of their own: the server delivers to any reply subject without asking."""
    log, events = await server.stored()

    await pull_into(server, "kubernaut", "insider", "kubernaut.signal.u.alert")
    async with asyncio.timeout(SECONDS):
        while (log, events) == await server.stored():  # noqa: ASYNC110 - the server is asked
            await asyncio.sleep(0.1)

    assert (log + 1, events) == await server.stored()


@pytest.mark.parametrize(
    "target",
    [
        "kubernaut.signal.u.alert",
        "kubernaut.event.shop.u.workflow.failed",
        f"kubernaut.mirror.api.CONSUMER.CREATE.{STREAM}",
    ],
)
async def test_a_subscriber_cannot_turn_a_pull_into_a_publish(server: Server, target: str) -> None:
    """In its own account nothing listens there that leads back."""
    before = await server.stored()

    await pull_into(server, "my-team", "my-team", target)

    assert before == await server.stored()


async def test_a_subscriber_cannot_have_events_pushed_into_the_log(server: Server) -> None:
    """The consumer is the team's own to make, and delivers into the team's own account."""
    before = await server.stored()

    async with server.client("other-team") as client:
        more = {"deliver_subject": "kubernaut.signal.u.alert", "ack_policy": "none"}
        assert "error" not in await make_consumer(client, "other-pushed", **more)
        await client.request(f"$JS.API.CONSUMER.INFO.{STREAM}.other-pushed", timeout=SECONDS)

    assert before == await server.stored()


async def test_the_mirror_is_made_once_and_never_in_the_account_of_the_services(server: Server) -> None:
    """Where the original is, a mirror of its name cannot be."""
    async with server.connection("subscribers-admin") as connection:
        again = await install_mirror(connection)
    async with server.connection("kubernaut") as connection:
        with pytest.raises(RefusedError, match="no mirror; is it that of the services"):
            await install_mirror(connection)

    assert again is False


async def test_the_program_that_makes_the_mirror_says_what_it_found(server: Server) -> None:
    """Exit code 1 and the reason where it cannot."""
    well = await asyncio.to_thread(CliRunner().invoke, main, ["--nats", server.url("subscribers-admin")])
    badly = await asyncio.to_thread(CliRunner().invoke, main, ["--nats", server.url("kubernaut")])

    assert (0, "the mirror is there") == (well.exit_code, well.output.splitlines()[-1])
    assert badly.exit_code == 1
    assert "is no mirror" in badly.output
