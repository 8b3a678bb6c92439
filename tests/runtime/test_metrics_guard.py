"""Who may read the metrics, before an API server that answers, does not, or takes its time."""

from __future__ import annotations

import asyncio

import pytest

from runtime.errors import ForbiddenError, KubernautError, SettingsError, UnavailableError
from runtime.metrics_guard import WAITING
from runtime.metrics_memory import ALLOWED_SECONDS, AT_ONCE, BURST, DENIED_SECONDS
from tests.eventually import eventually
from tests.runtime.reviewers import a_door

BOTH = ["tokenreviews", "subjectaccessreviews"]


@pytest.mark.parametrize(
    ("token", "status", "asked"),
    [
        pytest.param("good", 200, BOTH, id="who may read is let in"),
        pytest.param("other", 403, BOTH, id="who is known and may not read is refused"),
        pytest.param("nobody's", 401, BOTH[:1], id="whom nobody knows is not let in"),
        pytest.param("", 401, [], id="who has no token is not even asked about"),
    ],
)
async def test_a_token_is_judged_by_the_api_server(token: str, status: int, asked: list[str]) -> None:
    """By at most two questions, and by none the second time."""
    async with a_door() as door:
        found = [await door.knock(token), await door.knock(token)]

    assert ([status, status], asked) == (found, door.api.asked)


async def test_a_token_for_others_is_nobodys() -> None:
    """Also when whoever has it may read: it was given for something else."""
    async with a_door() as door:
        door.api.audiences = ["https://kubernetes.default.svc"]

        assert await door.knock("good") == 401


async def test_a_right_that_is_taken_away_ends_within_its_time() -> None:
    """A yes holds for a minute, then the API server is asked anew; so does a no for half of one."""
    async with a_door() as door:
        first = await door.knock("good")
        door.api.readers.clear()
        door.clock.advance(ALLOWED_SECONDS - 1)
        before = await door.knock("good")
        door.clock.advance(1)
        after = await door.knock("good")
        door.api.readers.add("prometheus")
        door.clock.advance(DENIED_SECONDS)
        again = await door.knock("good")

    assert [200, 200, 403, 200] == [first, before, after, again]


FAULTS = [
    pytest.param(UnavailableError("connection refused"), id="the API is away"),
    pytest.param(ForbiddenError("may not"), id="we may not ask"),
    pytest.param(TimeoutError(), id="the API does not answer in time"),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_the_api_nobody_new_is_let_in(fault: Exception) -> None:
    """Whoever was let in stays so until the yes ends, and not longer; then all go on by themselves."""
    async with a_door() as door:
        await door.knock("good")
        door.api.fault = fault
        remembered, stranger = await door.knock("good"), await door.knock("new")
        door.clock.advance(ALLOWED_SECONDS)
        later = await door.knock("good")
        door.api.fault = None
        again = await door.knock("good")

    assert [200, 503, 503, 200] == [remembered, stranger, later, again]


async def test_an_api_server_that_wants_to_be_left_alone_is() -> None:
    """429 with Retry-After: no question about anybody before its time."""
    async with a_door() as door:
        door.api.fault = UnavailableError("429", retry_after=7.0)
        found = [await door.knock("good")]
        door.api.fault = None
        door.clock.advance(6.9)
        found.append(await door.knock("other"))
        asked = len(door.api.asked)
        door.clock.advance(0.1)
        found.append(await door.knock("good"))

    assert ([503, 503, 200], 1) == (found, asked)


async def test_an_error_that_nobody_foresaw_lets_nobody_in() -> None:
    """It comes out as an error; the next request asks anew."""
    async with a_door() as door:
        door.api.fault = ZeroDivisionError("unforeseen")
        with pytest.raises(ZeroDivisionError):
            await door.knock("good")
        door.api.fault = None

        assert await door.knock("good") == 200


async def test_a_slow_api_keeps_nobody_for_long() -> None:
    """After the time limit the answer is 503, and a line says why."""
    async with a_door(seconds=0.05) as door:
        door.api.answers.clear()

        assert await door.knock("good") == 503
        assert ["no answer of the Kubernetes API within 0.05 s"] == [line["reason"] for line in door.lines]


async def test_those_with_one_token_share_one_review() -> None:
    """A hundred at once are one question each of whose and whether, and all get the answer."""
    async with a_door() as door:
        found = await asyncio.gather(*(door.knock("good") for _ in range(WAITING)))

    assert ([200] * WAITING, BOTH) == (found, door.api.asked)


async def test_more_than_may_wait_are_turned_away_at_once() -> None:
    """While the API server takes its time; those who wait are answered in the end."""
    async with a_door() as door:
        door.api.answers.clear()
        waiting = [asyncio.create_task(door.knock("good")) for _ in range(WAITING)]
        await eventually(lambda: door.api.asked)
        turned_away = await door.knock("good")
        door.api.answers.set()

        assert (503, {200}) == (turned_away, set(await asyncio.gather(*waiting)))


async def test_a_flood_of_tokens_is_no_flood_on_the_api_server() -> None:
    """A thousand tokens that nobody knows: as many questions as the budget has, and who may read still can.

    Also once that yes has to be renewed in the middle of the flood.
    """
    async with a_door() as door:
        await door.knock("good")
        door.clock.advance(ALLOWED_SECONDS)
        flood = [await door.knock(f"bad-{number}") for number in range(1000)]
        asked = door.api.asked.count("tokenreviews") - 1
        good = await door.knock("good")

    assert (BURST, 200) == (asked, good)
    assert [401] * BURST + [503] * (1000 - BURST) == flood


async def test_a_slow_api_gets_few_questions_together() -> None:
    """However many tokens come while it does not answer."""
    async with a_door() as door:
        door.api.answers.clear()
        waiting = [asyncio.create_task(door.knock(f"bad-{number}")) for number in range(3 * AT_ONCE)]
        await eventually(lambda: len(door.api.asked) == AT_ONCE)
        door.api.answers.set()
        found = await asyncio.gather(*waiting)

    assert [401] * AT_ONCE + [503] * 2 * AT_ONCE == found


async def test_who_hangs_up_does_not_end_it_for_the_others() -> None:
    """The review goes on for those who wait for the same token."""
    async with a_door() as door:
        door.api.answers.clear()
        first, second = (asyncio.create_task(door.knock("good")) for _ in range(2))
        await eventually(lambda: door.api.asked)
        first.cancel()
        door.api.answers.set()

        assert await second == 200


async def test_the_api_is_connected_to_when_the_first_token_comes_and_once() -> None:
    """Who has no token does not make us connect; at the end the connection is closed."""
    async with a_door() as door:
        await door.knock("")
        before = door.api.connected
        await asyncio.gather(*(door.knock(token) for token in ("good", "other", "new")))

    assert (0, 1, True) == (before, door.api.connected, door.api.closed)


async def test_without_credentials_nobody_is_let_in_until_there_are_some() -> None:
    """What is missing is told in a line; the service itself goes on."""
    async with a_door() as door:
        door.api.no_way = SettingsError("KUBECONFIG is not set")
        found = [await door.knock("good")]
        door.api.no_way = None
        found.append(await door.knock("good"))

    assert [503, 200] == found
    assert [("metrics_closed", "KUBECONFIG is not set"), ("metrics_open_again", None)] == [
        (line["event"], line.get("reason")) for line in door.lines
    ]


async def test_trouble_is_a_line_when_it_begins_and_one_when_it_ends() -> None:
    """Not one a request: a scraper comes every few seconds."""
    async with a_door() as door:
        door.api.fault = UnavailableError("away")
        for number in range(5):
            await door.knock(f"t-{number}")
        door.api.fault = None
        for number in range(5):
            await door.knock(f"u-{number}")

    assert ["metrics_closed", "metrics_open_again"] == [line["event"] for line in door.lines]


@pytest.mark.parametrize(
    "fault",
    [UnavailableError("the proxy says: s3cret"), ForbiddenError("s3cret"), SettingsError("s3cret")],
    ids=["away", "forbidden", "another"],
)
async def test_a_token_gets_into_no_line(fault: KubernautError) -> None:
    """Also when what answers in place of the API server repeats the question; the kind of the error is told."""
    fault.__cause__ = OSError("s3cret")
    async with a_door() as door:
        door.api.fault = fault
        await door.knock("s3cret")

    assert [True, False] == [len(door.lines) == 1, "s3cret" in str(door.lines)]
