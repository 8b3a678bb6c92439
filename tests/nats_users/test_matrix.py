"""Each user and each subject, on a real nats-server: what is in the table is allowed, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_asyncio

from runtime.subject_match import covers
from schemas.nats_users import USERS, User, allowed
from tests.eventually import eventually
from tests.nats_users.server import Server, running

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]
NAMES = [user.name for user in USERS]
SERVICES = {"watcher", "scheduler", "executor-bridge", "auditor", "shadow"}
PEOPLE = {"operator", "reader"}
EVERYBODY = set(NAMES)
_NEVER: set[str] = set()
_LAST = "nobody.may"

MAY_PUBLISH: dict[str, set[str]] = {
    "kubernaut.change.workflow.shop.u": {"watcher", "recovery"},
    "kubernaut.change.status.shop.u": {"watcher", "recovery"},
    "kubernaut.change.execution.shop.u.e": {"watcher", "recovery"},
    "kubernaut.watch.workflowexecutions": {"watcher", "recovery"},
    "kubernaut.decision.u": {"scheduler", "recovery"},
    "kubernaut.decision.queue": {"scheduler", "recovery"},
    "kubernaut.event.shop.u.workflow.failed": {"scheduler"},
    "kubernaut.timer.schedule.u.1": {"scheduler"},
    "kubernaut.timer.due.u.1": {"scheduler"},
    "kubernaut.outcome.u": {"executor-bridge", "recovery"},
    "kubernaut.signal.u.alert": {"recovery"},
    "kubernaut.shadow.divergence.u": {"shadow", "recovery"},
    "kubernaut.audit.checkpoint": {"auditor", "recovery"},
    "kubernaut.operation.freeze": {"operator", "recovery"},
    "kubernaut.operation.recover": {"recovery"},
    "kubernaut.deadletter.scheduler": {"scheduler", "recovery"},
    "kubernaut.deadletter.announcer": {"scheduler", "recovery"},
    "kubernaut.deadletter.bridge": {"executor-bridge", "recovery"},
    "kubernaut.deadletter.auditor": {"auditor", "recovery"},
    "kubernaut.redrive.bridge.letter": {"operator", "recovery"},
    "kubernaut.redrive.auditor.letter": {"recovery"},
    "$KV.KUBERNAUT_LEARNED.actions": {"auditor"},
    "$KV.KUBERNAUT_LEARNED.other": _NEVER,
    "$KV.KUBERNAUT_STORAGE.KUBERNAUT": SERVICES | {"setup", "recovery"},
    "$KV.KUBERNAUT_STORAGE.halt": SERVICES | {"recovery"},
    "$KV.KUBERNAUT_STORAGE.audit": {"auditor"},
    "$KV.KUBERNAUT_STORAGE.other": _NEVER,
    "$JS.API.INFO": EVERYBODY,
    "$JS.API.STREAM.INFO.KUBERNAUT": EVERYBODY,
    "$JS.API.STREAM.INFO.SOMEBODYS": _NEVER,
    "$JS.API.STREAM.CREATE.KUBERNAUT": {"setup", "recovery"},
    "$JS.API.STREAM.UPDATE.KUBERNAUT": {"setup", "recovery"},
    "$JS.API.STREAM.CREATE.MINE": _NEVER,
    "$JS.API.STREAM.DELETE.KUBERNAUT": {"recovery"},
    "$JS.API.STREAM.DELETE.KUBERNAUT_EVENTS": _NEVER,
    "$JS.API.STREAM.PURGE.KUBERNAUT": _NEVER,
    "$JS.API.STREAM.PURGE.KUBERNAUT_TIMERS": _NEVER,
    "$JS.API.STREAM.MSG.DELETE.KUBERNAUT": _NEVER,
    "$JS.API.STREAM.MSG.DELETE.KUBERNAUT_TIMERS": _NEVER,
    "$JS.API.STREAM.SNAPSHOT.KUBERNAUT": _NEVER,
    "$JS.API.STREAM.RESTORE.KUBERNAUT": _NEVER,
    "$JS.API.STREAM.LEADER.STEPDOWN.KUBERNAUT": _NEVER,
    "$JS.API.STREAM.NAMES": _NEVER,
    "$JS.API.STREAM.LIST": _NEVER,
    "$JS.API.STREAM.MSG.GET.KUBERNAUT": EVERYBODY - {"setup"},
    "$JS.API.STREAM.MSG.GET.KUBERNAUT_EVENTS": {"scheduler", "recovery"} | PEOPLE,
    "$JS.API.STREAM.MSG.GET.KV_KUBERNAUT_LEARNED": {"scheduler", "auditor"},
    "$JS.API.CONSUMER.CREATE.KUBERNAUT": _NEVER,
    "$JS.API.CONSUMER.DURABLE.CREATE.KUBERNAUT.mine": _NEVER,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.mine": _NEVER,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.scheduler": {"setup", "recovery"},
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.scheduler.kubernaut.>": _NEVER,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.bridge": {"setup", "operator", "recovery"},
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.watcher-reading-0.>": {"watcher"},
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.watcher-reading-0": _NEVER,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.watcher-reading-16.>": _NEVER,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT_EVENTS.watcher-reading-0.>": _NEVER,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.reader-reading-0.>": PEOPLE,
    "$JS.API.CONSUMER.CREATE.KUBERNAUT.operator-reading-0.>": {"operator"},
    "$JS.API.CONSUMER.DELETE.KUBERNAUT.scheduler": _NEVER,
    "$JS.API.CONSUMER.DELETE.KUBERNAUT.bridge": _NEVER,
    "$JS.API.CONSUMER.DELETE.KUBERNAUT.auditor-reading-3": {"auditor"},
    "$JS.API.CONSUMER.PAUSE.KUBERNAUT.bridge": {"operator"},
    "$JS.API.CONSUMER.PAUSE.KUBERNAUT.auditor": _NEVER,
    "$JS.API.CONSUMER.INFO.KUBERNAUT.auditor": {"auditor", "executor-bridge", "setup", "recovery"} | PEOPLE,
    "$JS.API.CONSUMER.MSG.NEXT.KUBERNAUT.scheduler": {"scheduler"},
    "$JS.API.CONSUMER.MSG.NEXT.KUBERNAUT.announcer": {"scheduler"},
    "$JS.API.CONSUMER.MSG.NEXT.KUBERNAUT_TIMERS.timers": {"scheduler"},
    "$JS.API.CONSUMER.MSG.NEXT.KUBERNAUT.bridge": {"executor-bridge"},
    "$JS.API.CONSUMER.MSG.NEXT.KUBERNAUT.auditor": {"auditor"},
    "$JS.API.CONSUMER.MSG.NEXT.KUBERNAUT.shadow": {"shadow"},
    "$JS.ACK.KUBERNAUT.bridge.1.1.1.1.0": {"executor-bridge"},
    "$JS.ACK._.hash.KUBERNAUT.bridge.1.1.1.1.0.x": {"executor-bridge"},
    "$JS.ACK.KUBERNAUT.auditor.1.1.1.1.0": {"auditor"},
    "$JS.ACK._.hash.KUBERNAUT.scheduler.1.1.1.1.0.x": {"scheduler"},
    "$JS.ACK.KUBERNAUT_TIMERS.timers.1.1.1.1.0": {"scheduler"},
    "$JS.ACK.KUBERNAUT.watcher-reading-0.1.1.1.1.0": _NEVER,
    "$JS.FC.KUBERNAUT.x.1": _NEVER,
    "$SYS.REQ.SERVER.PING": _NEVER,
    "$SYS.REQ.USER.INFO": _NEVER,
    "_INBOX_scheduler.x": _NEVER,
    "_INBOX_reader.x": _NEVER,
    "anything.else": _NEVER,
}
MAY_HEAR: dict[str, set[str]] = {
    **{f"_INBOX_{name.replace('-', '_')}.>": {name} for name in NAMES if name != "reader"},
    "_INBOX_reader.>": PEOPLE,
    "_INBOX_reader.a.b": PEOPLE,
    **dict.fromkeys(
        (">", "*.>", "_INBOX.>", "kubernaut.>", "kubernaut.event.>", "$JS.>", "$JS.EVENT.>", "$KV.>", "$SYS.>"), _NEVER
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One without streams: what is allowed comes to nothing there."""
    async with running(tmp_path_factory.mktemp("nats"), install=False) as found:
        yield found


async def refused(server: Server, user: str, *, publish: Iterable[str] = (), listen: Iterable[str] = ()) -> set[str]:
    """Try all of them, at last what nobody may; return those that the server complains of, which it does in order."""
    told: list[str] = []
    tried = list(publish)
    async with server.client(user, told) as client:
        for subject in tried:
            await client.publish(subject, b"")
        for subject in (heard := list(listen)):
            await client.subscribe(subject)
        await client.publish(_LAST, b"")
        await eventually(lambda: any(_LAST in each for each in told), seconds=60.0)
    found = {each for each in tried if f'publish to "{each}"'.lower() in "\n".join(told)}
    return found | {each for each in heard if f'subscription to "{each}"'.lower() in "\n".join(told)}


@pytest.mark.parametrize("user", NAMES)
async def test_who_may_publish_what(server: Server, user: str) -> None:
    """As written down by hand above: the deeds of the product, and what nobody does."""
    found = await refused(server, user, publish=MAY_PUBLISH)

    assert {subject for subject, users in MAY_PUBLISH.items() if user not in users} == found


@pytest.mark.parametrize("user", NAMES)
async def test_who_may_hear_what(server: Server, user: str) -> None:
    """Its own inboxes; nobody listens to those of another, but an operator to those of the commands that read."""
    found = await refused(server, user, listen=MAY_HEAR)

    assert {subject for subject, users in MAY_HEAR.items() if user not in users} == found


@pytest.mark.parametrize("user", USERS, ids=NAMES)
async def test_everything_that_one_user_may_is_refused_to_all_others(server: Server, user: User) -> None:
    """Each subject that the table has for anybody, tried by each: allowed where its own part has it, else refused."""
    everything = sorted({a_subject(each) for one in USERS for each in allowed(one)[0]})
    own = allowed(user)[0]

    found = await refused(server, user.name, publish=everything)

    assert {each for each in everything if not any(covers(pattern, each) for pattern in own)} == found


def a_subject(pattern: str) -> str:
    """A subject that a pattern of the table stands for."""
    return pattern.replace("*", "x").replace(">", "x.y")
